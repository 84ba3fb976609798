"""Which subtype of a disease is recorded: the wanted one, another, or one that leaves it open."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field, PrivateAttr

from fhir_elig.concepts import Concepts, Match
from fhir_elig.criteria.base import Binder, Kind, Path
from fhir_elig.criteria.condition import Absence, any_time, condition_evidence, in_future, titles, when_of
from fhir_elig.criteria.context import Context
from fhir_elig.criteria.outcome import Outcome, flaw_reason, unknown
from fhir_elig.record import Counts, Need, Problem
from fhir_elig.verdict import MET, NOT_MET, Reason, SettledBy


class Subtype(Kind):
    """Which subtype of a disease is recorded: the wanted one, another, or one that leaves it open."""

    wanted: tuple[str, ...] = Field(min_length=1)
    other: tuple[str, ...] = Field(min_length=1)
    open: tuple[str, ...] = Field((), description="The disease without its subtype")
    absence: Absence = Absence.OPEN
    question: str = ""

    _asked: frozenset[str] = PrivateAttr(default=frozenset())
    _settled: SettledBy = PrivateAttr(default=SettledBy())

    def bind(self, binder: Binder, path: Path) -> None:
        found = [binder.concept_set(getattr(self, key), (*path, key)) for key in ("wanted", "other", "open")]
        settled = SettledBy(resource="Condition", codes=binder.shown_codes(self.wanted), question=self.question)
        self.keep(_asked=frozenset().union(*found), _settled=settled)

    def needs(self, concepts: Concepts) -> Iterable[Need]:
        yield Need("Condition")

    def evaluate(self, context: Context) -> Outcome:
        groups: dict[str, list[Problem]] = {"wanted": [], "other": [], "open": [], "gap": [], "torn": []}
        for problem in context.record.problems:
            group = self._group(problem, context)
            if group and problem.counts not in (Counts.NO, Counts.NEGATIVE) and not in_future(problem, context):
                groups[group].append(problem)
        broken = context.incomplete(("Condition",), self._asked, True)
        outcome = broken or self._ladder(groups, context)
        limit = titles(context, self.wanted)
        asked = self._asked
        evidence = tuple(
            condition_evidence(p, asked, context, limit) for key in ("wanted", "other", "open", "torn") for p in groups[key]
        )
        if outcome.reason is Reason.UNMAPPED:
            evidence = tuple(condition_evidence(p, asked, context, limit) for p in groups["gap"])
        return outcome.plus(evidence=evidence, settled_by=self._settled)

    def _group(self, problem: Problem, context: Context) -> str:
        names = context.concepts.held_by(problem.codes)
        held = [key for key in ("wanted", "other", "open") if not names.isdisjoint(getattr(self, key))]
        if held:
            return "torn" if {"wanted", "other"} <= set(held) else held[0]
        return "gap" if context.concepts.match(problem.codes, self._asked) in (Match.GAP, Match.UNVERIFIED) else ""

    def _ladder(self, groups: dict[str, list[Problem]], context: Context) -> Outcome:
        sure = {key: [p for p in found if p.counts is Counts.YES and flaw_reason(p) is None] for key, found in groups.items()}
        unsure = [p for key in ("wanted", "other", "open") for p in groups[key] if p not in sure[key]]
        flawed = next((reason for p in unsure for reason in [flaw_reason(p)] if reason is not None), None)
        if flawed is not None or groups["torn"]:
            return unknown(flawed or Reason.CONFLICTING)
        if sure["wanted"]:
            return self._with_wanted(sure, [p for p in groups["other"] if p not in sure["other"]])
        if sure["other"]:
            return self._with_other(sure, unsure)
        if sure["open"]:
            return unknown(Reason.NEEDS_PERSON)
        if unsure:
            return unknown(Reason.UNCONFIRMED)
        if groups["gap"]:
            return unknown(Reason.UNMAPPED)
        if self.absence is Absence.OPEN:
            return unknown(Reason.NOT_FOUND)
        entry = context.record.retrieval("Condition")
        if not entry.complete:
            return unknown(Reason.NO_RECORD, notes=(f"Condition: {entry.note or 'not complete'}",))
        return Outcome(verdict=NOT_MET, reason=Reason.ABSENT, notes=("Condition was read to the end: no record of the disease",))

    def _with_wanted(self, sure: dict[str, list[Problem]], unconfirmed: list[Problem]) -> Outcome:
        when = tuple(w for p in sure["wanted"] for w in [when_of(p)] if w is not None)
        if any(_may_follow(p, sure["wanted"]) for p in sure["other"]):
            return unknown(Reason.CONFLICTING, when=when)
        if any(_may_follow(p, sure["wanted"]) for p in unconfirmed):
            return unknown(Reason.UNCONFIRMED, when=when)
        return Outcome(verdict=MET, reason=Reason.PRESENT, when=when, also=any_time(sure["wanted"]))

    def _with_other(self, sure: dict[str, list[Problem]], unsure: list[Problem]) -> Outcome:
        when = tuple(w for p in sure["other"] for w in [when_of(p)] if w is not None)
        if unsure:
            return unknown(Reason.UNCONFIRMED, when=when)
        if any(_may_follow(p, sure["other"]) for p in sure["open"]):
            return unknown(Reason.CONFLICTING, when=when)
        return Outcome(verdict=NOT_MET, reason=Reason.PRESENT, when=when)


def _may_follow(problem: Problem, others: list[Problem]) -> bool:
    """Whether it may be recorded after the first of the others (what has no date may)."""
    mine = problem.recorded or problem.onset
    theirs = [p.recorded or p.onset for p in others]
    if mine is None or any(when is None for when in theirs):
        return True
    return not all(when is not None and mine.last <= when.first for when in theirs)
