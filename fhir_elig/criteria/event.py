"""Events: procedures and medications given in a window, such as transfusions and growth factors, and their absence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

from pydantic import Field, PrivateAttr, model_validator

from fhir_elig import times
from fhir_elig.concepts import Concepts, Match
from fhir_elig.criteria.base import Binder, Kind, Name, Path, Window
from fhir_elig.criteria.condition import Absence, contact_evidence, titles
from fhir_elig.criteria.context import Context, Frame
from fhir_elig.criteria.outcome import Outcome, flaw_reason, unknown
from fhir_elig.criteria.overlap import given_in
from fhir_elig.criteria.specimens import before_used
from fhir_elig.record import MEDICATION_TYPES, Counts, Event, Fact, Medication, Need, Strength
from fhir_elig.times import When
from fhir_elig.verdict import MET, NOT_MET, UNKNOWN, Evidence, Reason, SetAside, SettledBy
from fhir_elig.windows import BEFORE, INSIDE, PARTLY


class Known(NamedTuple):
    """The records that may be an event: each with why it is doubtful, wherever it lies. `aside` holds what was not done.

    `proof` tells whether one of them is not doubtful.
    """

    events: list[tuple[Event, Reason | None]]
    medications: list[tuple[Medication, Reason | None]]
    aside: tuple[SetAside, ...]
    proof: bool


class EventKind(Kind):
    """Something done or given inside a window: around a milestone, or before the specimens that other criteria used."""

    procedures: tuple[str, ...] = ()
    medications: tuple[str, ...] = ()
    window: Window = Window()
    of_results: tuple[Name, ...] = Field((), description="Criteria whose results the window hangs on too, each at its own time")
    absence: Absence = Absence.OPEN
    confounds: dict[str, tuple[Name, ...]] = Field({}, description="Concept to the criteria whose results such an event distorts")

    _procedures: frozenset[str] = PrivateAttr(default=frozenset())
    _medications: frozenset[str] = PrivateAttr(default=frozenset())
    _asked: frozenset[str] = PrivateAttr(default=frozenset())
    _settled: SettledBy = PrivateAttr(default=SettledBy())

    @model_validator(mode="after")
    def _something(self) -> EventKind:
        if not self.procedures and not self.medications:
            raise ValueError("name procedures, medications or both")
        return self

    def bind(self, binder: Binder, path: Path) -> None:
        self.window.bind(binder, (*path, "window"))
        procedures = binder.concept_set(self.procedures, (*path, "procedures"))
        medications = binder.concept_set(self.medications, (*path, "medications"))
        settled = SettledBy(
            resource="Procedure" if self.procedures else "MedicationAdministration",
            codes=binder.shown_codes((*self.procedures, *self.medications)),
            window=self.window.text,
        )
        self.keep(_procedures=procedures, _medications=medications, _asked=procedures | medications, _settled=settled)
        for index, name in enumerate(self.of_results):
            binder.criterion(name, (*path, "of-results", index))
        for concept, names in self.confounds.items():
            binder.concept_set([concept], (*path, "confounds"))
            for name in names:
                binder.criterion(name, (*path, "confounds", concept))

    def refers(self) -> Iterable[str]:
        return self.of_results

    def needs(self, concepts: Concepts) -> Iterable[Need]:
        if self.procedures:
            yield Need("Procedure")
        if self.medications:
            yield from (Need(name) for name in MEDICATION_TYPES)
        if self.absence is Absence.CLOSED:
            yield Need("Encounter")

    def evaluate(self, context: Context) -> Outcome:
        frame = self.window.frame(context)
        if frame is None:
            return unknown(Reason.PENDING_EVENT, settled_by=self.window.pending)
        outcome = self._survey(frame, context).within(frame.text)
        proof = self._known(context).proof

        def survey(around: Frame) -> Outcome:
            return self._survey(around, context, covered=True)

        for name in self.of_results if outcome.verdict is not MET else ():
            if outcome.verdict is UNKNOWN and not proof:
                break  # no other window makes it worse
            outcome = self._worse(outcome, before_used(name, self.window.before, frame, context, survey))
        return outcome.plus(settled_by=outcome.settled_by or self._settled, recoverable=True, provisional=bool(frame.stand_in))

    def _worse(self, one: Outcome, other: Outcome | None) -> Outcome:
        """Present in any of the windows is present; else what is not known of one is not known of all."""
        if other is None or other.verdict is NOT_MET or one.verdict is UNKNOWN and other.verdict is not MET:
            return one
        return other

    def _survey(self, frame: Frame, context: Context, covered: bool = False) -> Outcome:
        known = self._known(context)
        present: list[tuple[Fact, When]] = []
        doubt: list[tuple[Reason, Fact]] = []
        for event, doubtful in known.events:
            place = context.place(event.time, frame)
            if place is INSIDE and doubtful is None:
                present.append((event, event.time or context.as_of.until()))
            elif place is INSIDE or place is PARTLY:
                doubt.append((doubtful or Reason.IMPRECISE_DATE, event))
        for medication, doubtful in known.medications:
            place, when = given_in(medication, frame, context)
            if place is INSIDE and doubtful is None:
                present.append((medication, when))
            elif place is not BEFORE:
                doubt.append((doubtful or Reason.IMPRECISE_DATE, medication))
        maybe = tuple(_time(fact) or times.ALWAYS for reason, fact in doubt if reason is not Reason.UNMAPPED)
        if present:
            lost = context.incomplete(self._types(), self._asked, True) if context.facts.any_missing else None
            also = maybe if lost is None else (*maybe, times.ALWAYS)
            return self._present(present, frame, context).plus(set_aside=known.aside, also=also)
        broken = context.incomplete(self._types(), self._asked, self.absence is Absence.CLOSED)
        if broken is not None:
            return broken
        if frame.open and not covered:
            return unknown(Reason.PENDING_EVENT, settled_by=self.window.pending)
        if doubt:
            reason = min((r for r, _ in doubt), key=_ORDER.index)
            evidence = tuple(_evidence(f, _time(f), self._asked, context) for r, f in doubt if r is reason)
            return unknown(reason, evidence=evidence, set_aside=known.aside, also=maybe)
        if self.absence is Absence.OPEN:
            return unknown(Reason.NOT_FOUND)
        return self._absent(frame, context, covered).plus(set_aside=known.aside)

    def _types(self) -> tuple[str, ...]:
        return (("Procedure",) if self.procedures else ()) + (MEDICATION_TYPES if self.medications else ())

    def _known(self, context: Context) -> Known:
        """The chart's records that may be such an event; looked up once for a chart."""
        asked = self._procedures, self._medications  # another criterion may ask for the same
        found = context.facts.matched.get(asked)
        if found is None:
            found = context.facts.matched[asked] = self._look_up(context)
        return cast("Known", found)

    def _look_up(self, context: Context) -> Known:
        facts, concepts, record = context.facts, context.concepts, context.record
        events = [pair for pair in facts.matching(record.events, self._procedures, concepts) if _is_procedure(pair[0])]
        given = [
            pair
            for pair in facts.matching(record.medications, self._medications, concepts)
            if pair[0].counts not in (Counts.NO, Counts.NEGATIVE)
        ]
        denied = (event for event, match in events if match is Match.YES and event.counts is Counts.NEGATIVE)
        sent = [(event, _why_doubtful(event, match)) for event, match in events if event.counts is not Counts.NEGATIVE]
        taken = [(medication, _why_unproven(medication, match)) for medication, match in given]
        proof = any(reason is None for _, reason in (*sent, *taken))
        return Known(sent, taken, tuple(SetAside(event.reference, f"status {event.status}") for event in denied), proof)

    def _present(self, present: list[tuple[Fact, When]], frame: Frame, context: Context) -> Outcome:
        last = max(when.last for _, when in present)
        names = {
            name for fact, _ in present for code in getattr(fact, "codes", ()) for name in context.concepts.names_of(code)[0]
        }
        distorted = sorted({criterion for concept, found in self.confounds.items() if concept in names for criterion in found})
        clear = ""
        if frame.before is not None and not frame.before.exact:
            clear = times.iso(frame.before.shift(last, 1) + 1)
        return Outcome(
            verdict=MET,
            reason=Reason.PRESENT,
            evidence=tuple(_evidence(fact, when, self._asked, context) for fact, when in present),
            notes=(f"confounds {', '.join(distorted)}",) if distorted else (),
            when=tuple(when for _, when in present),
            recoverable_from=clear,
        )

    def _absent(self, frame: Frame, context: Context, covered: bool) -> Outcome:
        why = self._not_served(context)
        if why:
            return unknown(Reason.NO_RECORD, notes=(why,))
        if covered:
            return Outcome(verdict=NOT_MET, reason=Reason.ABSENT)
        needless = "window" not in self.model_fields_set  # the claim does not rest on it
        contact = None if needless and context.quiet else context.contact(frame)
        if contact is None and not needless:
            return unknown(Reason.NO_RECORD, notes=(f"no contact {frame.text}",))
        evidence = (contact_evidence(contact, "no record of such an event", frame.text),) if contact is not None else ()
        return Outcome(verdict=NOT_MET, reason=Reason.ABSENT, evidence=evidence)

    def _not_served(self, context: Context) -> str:
        """Which type nobody vouches for; of the medication types one whole one is enough."""
        if self.procedures and not context.record.retrieval("Procedure").complete:
            return f"Procedure: {context.record.retrieval('Procedure').note or 'not complete'}"
        if self.medications and not any(context.record.retrieval(name).complete for name in MEDICATION_TYPES):
            return "no medication type was served completely"
        return ""


_ORDER = (
    Reason.CONFLICTING,
    Reason.MODIFIER,
    Reason.RESTRICTED,
    Reason.INCOMPLETE,
    Reason.IDENTITY,
    Reason.UNCONFIRMED,
    Reason.IMPRECISE_DATE,
    Reason.UNMAPPED,
)


def _is_procedure(event: Event) -> bool:
    return event.counts is not Counts.NO and event.reference.startswith("Procedure/")


def _why_doubtful(fact: Fact, match: Match) -> Reason | None:
    """Why a record proves nothing, wherever it lies."""
    if match is not Match.YES:
        return Reason.UNMAPPED
    return flaw_reason(fact) or (None if fact.counts is Counts.YES else Reason.UNCONFIRMED)


def _why_unproven(medication: Medication, match: Match) -> Reason | None:
    """The same; an order shows intent, not use."""
    reason = _why_doubtful(medication, match)
    return Reason.UNCONFIRMED if reason is None and medication.strength is Strength.ORDERED else reason


def _time(fact: Fact) -> When | None:
    when: When | None = getattr(fact, "time", None) or getattr(fact, "start", None)
    return when


def _evidence(fact: Fact, when: When | None, asked: frozenset[str], context: Context) -> Evidence:
    codes: tuple[str, ...] = getattr(fact, "codes", ())
    received = getattr(fact, "text", "") or ", ".join(codes)
    what = titles(context, (name for code in codes for name in context.concepts.names_of(code)[0] & asked))
    strength = f"; {fact.strength.value}" if isinstance(fact, Medication) else ""
    return Evidence(
        fact.reference, fact.version, received, what, "", when.text if when else "", f"status {fact.status}{strength}"
    )
