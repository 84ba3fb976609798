"""What only a person can say.

The newest answer counts, of whatever kind (answers file, QuestionnaireResponse, Consent); two of one time that disagree give
`unknown(conflicting)`; an answer can expire. Nothing is satisfied by assumption.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field, PrivateAttr

from fhir_elig import times
from fhir_elig.concepts import Concepts
from fhir_elig.criteria.base import Binder, Kind, Path, SpanText
from fhir_elig.criteria.context import Context
from fhir_elig.criteria.outcome import Outcome, flaw_reason, unknown
from fhir_elig.record import Answer, Counts, Need
from fhir_elig.verdict import MET, NOT_MET, UNKNOWN, Evidence, Reason, SetAside, SettledBy


class Attestation(Kind):
    """A question to a person; `true` satisfies the criterion."""

    question: str = Field(min_length=1)
    accepts: tuple[str, ...] = Field((), description="Resources that answer it beside a questionnaire: Consent")
    expires: SpanText | None = Field(None, description="How long an answer holds")
    hints: tuple[str, ...] = Field((), description="Concepts of conditions that are shown beside the question")

    _criterion: str = PrivateAttr(default="")
    _settled: SettledBy = PrivateAttr(default=SettledBy())
    _wanted: frozenset[str] = PrivateAttr(default=frozenset())

    def bind(self, binder: Binder, path: Path) -> None:
        settled = SettledBy(resource="QuestionnaireResponse", question=self.question)
        self.keep(_criterion=binder.owner, _settled=settled, _wanted=binder.concept_set(self.hints, (*path, "hints")))
        for index, name in enumerate(self.accepts):
            if name != "Consent":
                binder.finding((*path, "accepts", index), "FE0203", f"{name} answers no question", "use Consent")

    def needs(self, concepts: Concepts) -> Iterable[Need]:
        yield Need("QuestionnaireResponse")
        if "Consent" in self.accepts:
            yield Need("Consent")
        if self.hints:
            yield Need("Condition")

    def evaluate(self, context: Context) -> Outcome:
        answer = answered(self._criterion, context, accepts_consent="Consent" in self.accepts, expires=self.expires)
        if answer is None or answer.verdict is UNKNOWN:
            return (answer or unknown(Reason.NEEDS_PERSON)).plus(settled_by=self._settled, notes=self._hints(context))
        return answer

    def _hints(self, context: Context) -> tuple[str, ...]:
        wanted, held_by = self._wanted, context.concepts.held_by
        problems = context.record.problems if wanted else ()
        found = [problem.reference for problem in problems if not wanted.isdisjoint(held_by(problem.codes))]
        return (f"see {', '.join(found)}",) if found else ()


def answered(criterion: str, context: Context, *, accepts_consent: bool, expires: str | None = None) -> Outcome | None:
    """What people answered to a criterion: met, not-met, or unknown where they contradict each other; None if nobody did.

    The newest answer counts alone: where it has expired, or cannot be read, no older one takes its place.
    """
    if not context.facts.answers and not context.facts.any_missing:
        return None
    sound, aside = _sound(criterion, context, accepts_consent)
    over = [answer for answer in sound if _expired(answer, context, expires)]
    standing = [answer for answer in sound if answer not in over]
    aside += [SetAside(answer.reference, "expired") for answer in over]
    aside += [SetAside(answer.reference, "neither yes nor no") for answer in standing if answer.value is None]
    aside += [SetAside(answer.reference, "no date") for answer in standing if answer.on is None]
    kinds = ("QuestionnaireResponse", "Consent") if accepts_consent else ("QuestionnaireResponse",)
    broken = context.incomplete(kinds, frozenset())
    if broken is not None:
        return broken.plus(set_aside=(*broken.set_aside, *aside))
    newest = max((answer.on.start for answer in sound if answer.on is not None), default=None)
    last = [answer for answer in standing if answer.on is not None and newest is not None and answer.on.end > newest]
    if not last or any(answer.value is None for answer in last):
        return unknown(Reason.NEEDS_PERSON, set_aside=tuple(aside)) if aside else None
    evidence = tuple(_evidence(answer) for answer in last)
    reason = _doubt(last, [answer for answer in standing if answer.on is None])
    if reason is not None:
        return unknown(reason, evidence=evidence, set_aside=tuple(aside))
    when = tuple(answer.on for answer in last if answer.on is not None)
    verdict = MET if last[0].value else NOT_MET
    return Outcome(verdict=verdict, reason=Reason.ATTESTED, evidence=evidence, set_aside=tuple(aside), when=when)


def _doubt(last: list[Answer], undated: list[Answer]) -> Reason | None:
    """Why the newest answers decide nothing: they differ, one is flawed, or one without a date that differs may be newer."""
    values = {answer.value for answer in last}
    if len(values) > 1:
        return Reason.CONFLICTING
    flaw = next((reason for reason in map(flaw_reason, last) if reason is not None), None)
    return flaw if flaw is not None or {answer.value for answer in undated} <= values else Reason.IMPRECISE_DATE


def _sound(criterion: str, context: Context, consent: bool) -> tuple[list[Answer], list[SetAside]]:
    """The answers that count, those without a date among them; what is set aside, with the reason."""
    given = [*context.facts.answers.get(criterion, ()), *(context.facts.answers.get("", ()) if consent else ())]
    sound, aside = [], []
    for answer in sorted(given, key=lambda a: (a.reference, a.version)):
        if answer.value is not None and not isinstance(answer.value, bool):
            continue
        why = _unsound(answer, context)
        if why:
            aside.append(SetAside(answer.reference, why))
        else:
            sound.append(answer)
    return sound, aside


def _unsound(answer: Answer, context: Context) -> str:
    if answer.counts is not Counts.YES:
        return f"status {answer.status}"
    if answer.on is not None:
        context.mark_around(answer.on)
        if answer.on.start >= context.as_of.end:
            return "dated in the future"
    if answer.kind == "consent" and context.run.study not in answer.study:
        return "a consent that does not name this study"
    return ""


def _expired(answer: Answer, context: Context, expires: str | None) -> bool:
    """Whether its own end, or the criterion's, has passed."""
    last = answer.expires.last if answer.expires is not None else None
    if expires is not None and expires != "all" and answer.on is not None:
        span = times.parse_span(expires)
        end = span.shift(answer.on.first, 1) if span is not None else None
        last = end if last is None or (end is not None and end < last) else last
    if last is None:
        return False
    context.mark(last + 1)
    return context.as_of.last > last


def _evidence(answer: Answer) -> Evidence:
    said = "yes" if answer.value else "no"
    note = "; ".join(part for part in (f"answered by {answer.by}" if answer.by else "", answer.note) if part)
    return Evidence(answer.reference, answer.version, said, said, "yes", answer.on.text if answer.on else "", note)
