"""Conditions: recorded at all, active in a window, or which subtype of a disease; and what "no record" may claim.

"No record" is `not-met` only where the criterion says `absence: closed` and the chart can carry the claim (verdicts,
section 9): the type was served completely, every record that could lie in the window is known to be something else, and the
window shows contact.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, cast

import msgspec
from pydantic import Field, PrivateAttr, StrictBool

from fhir_elig import times
from fhir_elig.concept_sets import remember
from fhir_elig.concepts import Concepts, Match
from fhir_elig.criteria.base import Binder, Kind, Path, SpanText, Window, results_of
from fhir_elig.criteria.context import Context, Frame
from fhir_elig.criteria.hints import hinted
from fhir_elig.criteria.outcome import Outcome, flaw_reason, unknown
from fhir_elig.criteria.overlap import Overlap, overlap_of
from fhir_elig.record import MEDICATION_TYPES, Counts, Fact, Need, Problem
from fhir_elig.times import ALWAYS, When
from fhir_elig.verdict import MET, NOT_MET, Evidence, Reason, SetAside, SettledBy


class Absence(StrEnum):
    """What "no record" means: nothing (`open`), or that it is not there, if the chart can carry that (`closed`)."""

    OPEN = "open"
    CLOSED = "closed"


class Heard(NamedTuple):
    """What a condition's codes say: of the concepts, of those that may be it, of those that only sound alike."""

    match: Match
    perhaps: bool
    unlike: bool
    telling: bool  # whether it says more than that it cannot be told


_NOTHING = Heard(Match.NO, False, False, False)


class Condition(Kind):
    """A condition recorded in the chart: at any time, or with a time that overlaps the window."""

    concepts: tuple[str, ...] = Field(min_length=1)
    perhaps: tuple[str, ...] = Field((), description="Records that may be it: a person is asked")
    not_these: tuple[str, ...] = Field((), description="Concepts that sound alike and are set aside with a note")
    window: Window | None = None
    absence: Absence = Absence.OPEN
    stale: SpanText | None = Field(None, description="Open, but last recorded this long before the window: a person is asked")
    hint_medications: tuple[str, ...] = Field((), description="Drugs in the window that make a person be asked")
    hint_results: tuple[str, ...] = Field((), description="Positive results in the window that make a person be asked")
    ask: StrictBool = Field(False, description="Where nothing is recorded a person is asked")
    question: str = ""

    _asked: frozenset[str] = PrivateAttr(default=frozenset())
    _wider: frozenset[str] = PrivateAttr(default=frozenset())
    _unlike: frozenset[str] = PrivateAttr(default=frozenset())
    _settled: SettledBy = PrivateAttr(default=SettledBy())
    _known: dict[tuple[str, ...], Heard] = PrivateAttr(default={})  # what codes were found to say

    def bind(self, binder: Binder, path: Path) -> None:
        keys = ("concepts", "perhaps", "not_these", "hint_medications", "hint_results")
        asked, perhaps, unlike, *_ = (binder.concept_set(getattr(self, key), (*path, key.replace("_", "-"))) for key in keys)
        settled = SettledBy(
            resource="Condition",
            codes=binder.shown_codes(self.concepts),
            window="" if self.window is None else self.window.text,
            question=self.question,
        )
        self.keep(_asked=asked, _wider=asked | perhaps, _unlike=unlike, _settled=settled, _known={})
        if self.window is not None:
            self.window.bind(binder, (*path, "window"))

    def needs(self, concepts: Concepts) -> Iterable[Need]:
        yield Need("Condition")
        if self.window is not None and self.absence is Absence.CLOSED:
            yield Need("Encounter")
        if self.hint_medications:
            yield from (Need(name) for name in MEDICATION_TYPES)
        if self.hint_results:
            yield results_of(self.hint_results, concepts)

    def evaluate(self, context: Context) -> Outcome:
        if self.window is None:
            outcome = self._survey(None, context)
            return outcome.plus(settled_by=outcome.settled_by or self._settled)
        frame = self.window.frame(context)
        if frame is None:
            return unknown(Reason.PENDING_EVENT, settled_by=self._pending(self.window))
        outcome = self._survey(frame, context).within(frame.text)
        return outcome.plus(settled_by=outcome.settled_by or self._settled, recoverable=True, provisional=bool(frame.stand_in))

    def _pending(self, window: Window) -> SettledBy:
        return msgspec.structs.replace(window.pending, question=self.question)

    def _survey(self, frame: Frame | None, context: Context) -> Outcome:
        asked = self._asked
        seen = Seen()
        for problem, heard in self._heard(context):
            self._sort(problem, heard, frame, context, seen)
        aside = tuple(seen.aside)
        if seen.present:
            return Outcome(
                verdict=MET,
                reason=Reason.PRESENT,
                evidence=tuple(condition_evidence(p, asked, context) for p in seen.present),
                set_aside=aside,
                when=_times(seen.present),
                also=self._further(seen, context),
            )
        broken = self._broken(context) if context.facts.any_missing else None
        if broken is not None:
            return broken.plus(set_aside=(*broken.set_aside, *aside))
        if frame is not None and frame.open and self.window is not None:
            return unknown(Reason.PENDING_EVENT, set_aside=aside, settled_by=self._pending(self.window))
        if seen.doubt:
            reason, problem = min(seen.doubt, key=lambda pair: (_ORDER.index(pair[0]), pair[1].reference))
            evidence = tuple(condition_evidence(p, asked, context) for r, p in seen.doubt if r is reason)
            found = [problem for _, problem in seen.doubt]
            return unknown(reason, evidence=evidence, set_aside=aside, when=_times(found), also=any_time(found))
        hint = hinted(self.hint_medications, self.hint_results, frame, context)
        if hint is not None:
            return hint.plus(set_aside=aside)
        if self.absence is Absence.OPEN:
            return unknown(Reason.NEEDS_PERSON if self.ask else Reason.NOT_FOUND, set_aside=aside)
        return self._absent(seen, frame, context).plus(set_aside=aside)

    def _further(self, seen: Seen, context: Context) -> tuple[When, ...]:
        """When else it may have been: by records that leave it open, without a date, or not read."""
        lost = (ALWAYS,) if context.facts.any_missing and self._broken(context) is not None else ()
        doubt = [problem for reason, problem in seen.doubt if reason is not Reason.UNMAPPED]
        return lost + _times(doubt) + any_time((*seen.present, *doubt))

    def _broken(self, context: Context) -> Outcome | None:
        """Whether a record that this one is told from may be missing."""
        return (
            context.incomplete(("Condition",), self._wider, self.absence is Absence.CLOSED)
            or context.incomplete(MEDICATION_TYPES if self.hint_medications else (), frozenset(self.hint_medications), True)
            or context.incomplete(("Observation",) if self.hint_results else (), frozenset(self.hint_results))
        )

    def _heard(self, context: Context) -> list[tuple[Problem, Heard]]:
        """The chart's conditions that have to do with what is asked; looked up once for a chart."""
        found = context.facts.matched.get(id(self))
        if found is None:
            known = self._known
            every = [
                (one, known.get(one.codes) or remember(known, one.codes, self._hear(one.codes, context.concepts)))
                for one in context.record.problems
            ]
            every = [pair for pair in every if pair[1] is not _NOTHING]
            if self.absence is Absence.OPEN:  # what cannot be told bears on a claim of absence; else on what is still to come
                every = [(one, heard) for one, heard in every if heard.telling or _to_come(one, context.run.as_of)]
            found = context.facts.matched[id(self)] = every
        return cast("list[tuple[Problem, Heard]]", found)

    def _hear(self, codes: tuple[str, ...], concepts: Concepts) -> Heard:
        match = concepts.match(codes, self._asked)
        perhaps = False
        if self.perhaps and match is not Match.YES:
            wider = concepts.match(codes, self._wider)
            perhaps, match = wider is Match.YES, match if wider is Match.YES else wider
        sure = perhaps or match is Match.YES
        unlike = not sure and not self._unlike.isdisjoint(concepts.held_by(codes))
        heard = Heard(match, perhaps, unlike, sure or unlike)
        return _NOTHING if heard == _NOTHING else heard

    def _sort(self, problem: Problem, heard: Heard, frame: Frame | None, context: Context, seen: Seen) -> None:
        match, perhaps, unlike, _ = heard
        if problem.counts in (Counts.NO, Counts.NEGATIVE):
            if match is Match.YES or perhaps:
                seen.aside.append(SetAside(problem.reference, f"verificationStatus {problem.verification or problem.status}"))
            return
        if in_future(problem, context):
            if match is not Match.NO or perhaps:
                seen.aside.append(SetAside(problem.reference, "dated in the future"))
            return
        if unlike:
            seen.aside.append(SetAside(problem.reference, "not what is asked for"))
            return
        if match is not Match.YES and not perhaps and (match is Match.NO or self.absence is Absence.OPEN):
            return  # what cannot be told bears on a claim of absence only
        overlap = Overlap.SURE if frame is None else overlap_of(problem, frame, times.parse_span(self.stale or ""), context)
        if overlap is Overlap.NONE:
            if match is Match.YES or perhaps:
                seen.aside.append(SetAside(problem.reference, f"not within {frame.text if frame else 'the window'}"))
            return
        self._weigh(problem, match, perhaps, overlap, seen)

    def _weigh(self, problem: Problem, match: Match, perhaps: bool, overlap: Overlap, seen: Seen) -> None:
        if match is Match.YES:
            flawed = flaw_reason(problem)
            if flawed is not None:
                seen.doubt.append((flawed, problem))
            elif problem.counts is Counts.UNCONFIRMED:
                seen.doubt.append((Reason.UNCONFIRMED, problem))
            elif overlap is Overlap.SURE:
                seen.present.append(problem)
            else:
                seen.doubt.append((Reason.NEEDS_PERSON if overlap is Overlap.STALE else Reason.IMPRECISE_DATE, problem))
        elif perhaps:
            seen.doubt.append((Reason.NEEDS_PERSON, problem))
        else:
            seen.doubt.append((Reason.UNMAPPED, problem))

    def _absent(self, seen: Seen, frame: Frame | None, context: Context) -> Outcome:
        entry = context.record.retrieval("Condition")
        if not entry.complete:
            return unknown(Reason.NO_RECORD, notes=(f"Condition: {entry.note or 'not complete'}",))
        evidence: tuple[Evidence, ...] = ()
        if frame is not None:
            contact = context.contact(frame)
            if contact is None:
                return unknown(Reason.NO_RECORD, notes=(f"no contact {frame.text}",))
            evidence = (contact_evidence(contact, "no record of the condition", frame.text),)
        return Outcome(verdict=NOT_MET, reason=Reason.ABSENT, evidence=evidence)


class Seen(msgspec.Struct):
    """The chart's conditions, sorted."""

    present: list[Problem] = []
    doubt: list[tuple[Reason, Problem]] = []
    aside: list[SetAside] = []


# Which doubt is named where there are several: what a repeat of the record would settle first.
_ORDER = (
    Reason.CONFLICTING, Reason.MODIFIER, Reason.RESTRICTED, Reason.INCOMPLETE, Reason.IDENTITY, Reason.IMPRECISE_DATE,
    Reason.UNCONFIRMED, Reason.NEEDS_PERSON, Reason.UNMAPPED,
)  # fmt: skip


def in_future(problem: Problem, context: Context) -> bool:
    """Whether a record says that it begins, or was made, after `as_of`: it is not used yet."""
    now, future = context.as_of.end, False
    for when in (problem.onset, problem.recorded):
        if when is not None and when.end > now:
            context.mark_around(when)
            future = future or when.start >= now
    return future


def _to_come(problem: Problem, now: When) -> bool:
    """Whether a time of it may lie after now."""
    onset, recorded = problem.onset, problem.recorded
    return (onset is not None and onset.end > now.end) or (recorded is not None and recorded.end > now.end)


def when_of(problem: Problem) -> When | None:
    return problem.onset or problem.recorded


def _times(problems: Iterable[Problem]) -> tuple[When, ...]:
    return tuple(when for when in map(when_of, problems) if when is not None)


def any_time(problems: Iterable[Problem]) -> tuple[When, ...]:
    """Any time at all, if one of them has none."""
    return (ALWAYS,) if any(when_of(problem) is None for problem in problems) else ()


def condition_evidence(problem: Problem, asked: frozenset[str], context: Context, limit: str = "") -> Evidence:
    """A condition as it was sent, and the concepts that it stands for."""
    matching = {code: context.concepts.names_of(code)[0] & asked for code in problem.codes}
    codes = [code for code, names in matching.items() if names]
    when = when_of(problem)
    said = (("verificationStatus", problem.verification), ("clinicalStatus", problem.clinical))
    return Evidence(
        reference=problem.reference,
        version=problem.version,
        received=codes[0] if codes else problem.text or ", ".join(problem.codes),
        compared=titles(context, (name for names in matching.values() for name in names)),
        limit=limit,
        time=when.text if when else "",
        note=", ".join([f"{name} {value}" for name, value in said if value]),
    )


def titles(context: Context, names: Iterable[str]) -> str:
    """Concepts as people call them."""
    return " or ".join(dict.fromkeys(context.concepts.by_name[name].title or name for name in sorted(set(names))))


def contact_evidence(contact: tuple[When, Fact], compared: str, window: str) -> Evidence:
    """The contact that carries a claim of absence."""
    when, fact = contact
    return Evidence(
        fact.reference, fact.version, "contact", compared, f"none {window}", when.text, "the types were read to the end"
    )
