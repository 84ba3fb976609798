"""Results of observations: a value against limits in units or multiples of its upper limit of normal, a test's answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cached_property

import msgspec
from pydantic import Field, PrivateAttr, model_validator

from fhir_elig import units
from fhir_elig.concepts import Concepts
from fhir_elig.criteria import derived
from fhir_elig.criteria.answers import above_own_range, interpreted, qualitative, unclear_by_code
from fhir_elig.criteria.base import Binder, Kind, Model, Path, Text, Window, results_of
from fhir_elig.criteria.candidates import Candidate, Found
from fhir_elig.criteria.context import Context, Frame
from fhir_elig.criteria.limits import Limits, judge
from fhir_elig.criteria.outcome import Outcome, flaw_reason, unknown
from fhir_elig.criteria.picks import Pick, picked, taken
from fhir_elig.criteria.select import (
    evidence_of,
    gather,
    interpret,
    mark_leaving,
    nothing_found,
    superseded,
)
from fhir_elig.quantity import Analyte, Interval, Reading, compare
from fhir_elig.record import Need, Result
from fhir_elig.times import ALWAYS
from fhir_elig.verdict import MET, NOT_MET, UNKNOWN, Reason, SetAside, SettledBy
from fhir_elig.windows import INSIDE, PARTLY

# The verdict that one result proves alone, whatever else there is: no missing page takes it back.
_ENOUGH = {Pick.ANY: MET, Pick.ALL: NOT_MET}


class Band(Model):
    """What a number must be to count as an answer."""

    less_than: Text | None = None
    more_than: Text | None = None


class Answer(Model):
    """A qualitative result: `negative` or `positive`; numbers by their bands, what lies between is not clear."""

    is_: str = Field(pattern="^(negative|positive)$")
    negative: Band | None = None
    positive: Band | None = None


class Value(Kind):
    """The value of results of one analyte, or of a formula over several.

    Limits are inclusive (`at-least`, `at-most`) or strict (`more-than`, `less-than`), in a unit of the analyte or as
    `3 x ULN`. Without a default window of its own, all of the past before screening counts.
    """

    concepts: tuple[str, ...] = ()
    derive: derived.Derivation | None = None
    or_derive: derived.Derivation | None = Field(None, description="Used where the window holds no result of the concepts")
    at_least: Text | None = None
    more_than: Text | None = None
    at_most: Text | None = None
    less_than: Text | None = None
    answer: Answer | None = None
    set_aside: tuple[str, ...] = Field((), description="Concepts that look alike: listed, never used")
    window: Window = Window()
    pick: Pick = Pick.LATEST

    _limits: Limits = PrivateAttr()
    _settled: SettledBy = PrivateAttr(default=SettledBy())
    _analytes: dict[str, Analyte] = PrivateAttr(default_factory=dict)
    _bands: tuple[Interval | None, Interval | None] = PrivateAttr(default=(None, None))

    @model_validator(mode="after")
    def _something(self) -> Value:
        if bool(self.concepts) == (self.derive is not None):
            raise ValueError("name concepts, or a formula to derive")
        limits = [self.at_least, self.more_than, self.at_most, self.less_than]
        if (self.answer is None) == all(limit is None for limit in limits):
            raise ValueError("name a limit (at-least, more-than, at-most, less-than) or an answer")
        return self

    @property
    def limits(self) -> Limits:
        """Its limits in the analyte's canonical unit, as they were bound."""
        return self._limits

    def bind(self, binder: Binder, path: Path) -> None:
        self.window.bind(binder, (*path, "window"))
        names = binder.concept_set(self.concepts, (*path, "concepts"))
        binder.concept_set(self.set_aside, (*path, "set-aside"))
        for derivation, key in ((self.derive, "derive"), (self.or_derive, "or-derive")):
            if derivation is not None:
                derived.bind(derivation, binder, (*path, key))
        analytes = {}
        for name in sorted(names):
            found = binder.analyte([name], (*path, "concepts")) if self.answer is None else _analyte_of(name, binder.concepts)
            if found is not None:
                analytes[name] = found
        if self.answer is None and len(analytes) > 1:
            binder.analyte(sorted(analytes), (*path, "concepts"))
        analyte = next(iter(analytes.values()), None)
        if self.derive is not None:
            analyte = derived.analyte_of(self.derive.formula, binder.concepts)
        wanted = self.concepts if self.derive is None else self.derive.concepts
        settled = SettledBy(resource="Observation", codes=binder.shown_codes(wanted), window=self.window.text)
        self.keep(_analytes=analytes, _limits=Limits.bind(self, analyte, binder, path), _settled=settled)
        if self.answer is not None and analyte is not None:
            where = (*path, "answer")
            bands = (_band(band, analyte, binder, where) for band in (self.answer.negative, self.answer.positive))
            self.keep(_bands=tuple(bands))
            _check_bands(self._bands, binder, where)

    def needs(self, concepts: Concepts) -> Iterable[Need]:
        yield results_of(self._reads | self._lists, concepts)

    def evaluate(self, context: Context) -> Outcome:
        frame = self.window.frame(context)
        if frame is None:
            pending = self.window.pending
            return unknown(
                Reason.PENDING_EVENT,
                settled_by=msgspec.structs.replace(pending, resource="Observation", codes=self._settled.codes),
            )
        found = self._find(frame, context)
        chosen = taken(self.pick, found.candidates, frame)
        mark_leaving(chosen or found.not_final, frame, context)
        outcome = self._chosen(found, chosen, frame, context)
        broken = context.incomplete(("Observation",), self._reads)
        if broken is not None:
            outcome = outcome.plus(also=(ALWAYS,)) if self._stands_alone(outcome, found) else broken
        if frame.open:
            outcome = self._pending(outcome, found)
        aside = superseded(found, chosen) if outcome is not broken else found.aside
        if aside or outcome.set_aside:
            outcome.set_aside = tuple(dict.fromkeys((*outcome.set_aside, *aside)))
        if frame.stand_in:
            outcome.notes = (*outcome.notes, f"{frame.stand_in} stands in for {self.window.milestone}")
        outcome.settled_by = outcome.settled_by or self._settled
        outcome.recoverable, outcome.recoverable_from = True, context.as_of.text[:10]
        outcome.provisional = bool(frame.stand_in)
        return outcome

    def _derives(self, found: Found) -> bool:
        """Whether a value is derived: results that are not there yet may be nearer to its own than those that it was made of."""
        return self.derive is not None or any(candidate.derived for candidate in found.candidates)

    def _stands_alone(self, outcome: Outcome, found: Found) -> bool:
        """Whether one result proves it, so that no missing page takes it back."""
        return outcome.verdict is _ENOUGH.get(self.pick) and not self._derives(found)

    def _chosen(self, found: Found, chosen: Sequence[Candidate], frame: Frame, context: Context) -> Outcome:
        if not found.candidates:
            return nothing_found(found, frame.text)
        return picked(self.pick, chosen, lambda candidate: self._judge(candidate, context))

    def _pending(self, outcome: Outcome, found: Found) -> Outcome:
        """Days of the window are still to come: they may bring the result, or a later one than the one that satisfies now."""
        missing = outcome.reason in (Reason.NOT_FOUND, Reason.TOO_OLD, Reason.NOT_FINAL)
        waits = NOT_MET if self.pick is Pick.ANY else MET  # one more result may satisfy an `any`; it may end any other
        if missing or outcome.verdict is waits or (outcome.verdict is MET and self._derives(found)):
            return outcome.plus(verdict=UNKNOWN, reason=Reason.PENDING_EVENT, settled_by=self.window.pending)
        return outcome

    @cached_property
    def _reads(self) -> frozenset[str]:
        """The concepts that its value is read from, or derived from."""
        derivations = (derivation for derivation in (self.derive, self.or_derive) if derivation is not None)
        return frozenset(self.concepts).union(*(one.concepts for one in derivations))

    @cached_property
    def _lists(self) -> frozenset[str]:
        """The concepts whose results are listed as set aside."""
        derivations = (derivation for derivation in (self.derive, self.or_derive) if derivation is not None)
        return frozenset(self.set_aside).union(*(one.supporting for one in derivations))

    def _find(self, frame: Frame, context: Context) -> Found:
        if self.derive is not None:
            return derived.candidates(self.derive, frame, context)
        found = gather(
            self.concepts,
            frame,
            context,
            lambda result: self._candidate(result, context),
            interpreted=self.answer is not None,
        )
        for result in context.facts.of(self.set_aside):
            if context.position(result.time, frame) in (INSIDE, PARTLY):
                found.aside.append(SetAside(result.reference, "another kind of test"))
        if not found.candidates and self.or_derive is not None:
            other = derived.candidates(self.or_derive, frame, context)
            if other.candidates:
                for candidate in other.candidates:
                    candidate.derived = True
                other.aside = [*found.aside, *other.aside]
                return other
        return found

    def _candidate(self, result: Result, context: Context) -> Candidate:
        held = context.concepts.held_by(result.codes)
        analyte = self._analytes.get(next(name for name in self.concepts if name in held))
        reading = interpret(result, analyte, context) if analyte is not None else Reading(reason=Reason.NOT_NUMERIC)
        return Candidate(result=result, time=result.time, reading=reading, evidence=(evidence_of(result),))

    def _judge(self, candidate: Candidate, context: Context) -> Outcome:
        when, also = ((candidate.time,), ()) if candidate.time is not None else ((), (ALWAYS,))
        if self.answer is not None:
            outcome = self._answered(candidate, context).within(self.window.label)
            outcome.when, outcome.also = when, also
            return outcome
        if candidate.reading.interval is None:
            reason = candidate.reading.reason or Reason.NOT_NUMERIC
            found = unknown(reason, evidence=candidate.evidence, notes=candidate.notes, when=when, also=also)
            return found.within(self.window.label)
        outcome = judge(candidate, self._limits, context).within(self.window.label)
        if candidate.derived and outcome.verdict is not UNKNOWN:
            outcome.reason = Reason.DERIVED
        outcome.when, outcome.also, outcome.notes = when, also, candidate.notes
        return outcome

    def _answered(self, candidate: Candidate, context: Context) -> Outcome:
        said, reason = self._read_answer(candidate, context)
        wanted = self.answer.is_ if self.answer else ""
        evidence = tuple(msgspec.structs.replace(e, compared=said or "not clear", limit=wanted) for e in candidate.evidence)
        if said is None:
            return unknown(reason, evidence=evidence, notes=candidate.notes)
        if said == wanted:
            return Outcome(verdict=MET, reason=Reason.IN_RANGE, evidence=evidence)
        return Outcome(verdict=NOT_MET, reason=Reason.OUT_OF_RANGE, evidence=evidence)

    def _read_answer(self, candidate: Candidate, context: Context) -> tuple[str | None, Reason]:
        result = candidate.result
        said = qualitative(result, context)
        interval = candidate.reading.interval
        flaw = flaw_reason(result)
        if flaw not in (None, Reason.CONFLICTING) or candidate.reading.reason is Reason.RESTRICTED:
            return None, flaw or Reason.RESTRICTED
        if result.value is None:
            shown = interpreted(result, context)
            if len(shown) == 1:
                return next(iter(shown)), Reason.IN_RANGE
            return None, Reason.CONFLICTING if shown else Reason.NOT_FOUND
        if interval is not None:
            coded, said = said, self._by_band(interval, candidate, context)
            if said is not None and coded not in (None, said):  # a text that is a number beside a code
                said = "conflicting"
        if candidate.reading.reason not in (None, Reason.NOT_NUMERIC):  # a number, whatever a code beside it says
            return None, candidate.reading.reason
        if said is None:
            return None, Reason.COMPARATOR if interval is not None else Reason.NOT_NUMERIC
        shown = interpreted(result, context)
        if said == "conflicting" or shown - {said}:
            return None, Reason.CONFLICTING
        return (None, Reason.NOT_NUMERIC) if unclear_by_code(result, context) else (said, Reason.IN_RANGE)

    def _by_band(self, interval: Interval, candidate: Candidate, context: Context) -> str | None:
        negative, positive = self._bands
        if negative is not None and compare(interval, negative) is MET:
            return None if above_own_range(candidate, context) else "negative"
        if positive is not None and compare(interval, positive) is MET:
            return "positive"
        return None


def _analyte_of(name: str, concepts: Concepts) -> Analyte | None:
    return concepts.analytes.get(concepts.by_name[name].analyte)


def _band(band: Band | None, analyte: Analyte, binder: Binder, path: Path) -> Interval | None:
    if band is None:
        return None
    ends: dict[str, Fraction | None] = {}
    for key, text in (("low", band.more_than), ("high", band.less_than)):
        amount = units.parse_amount(text, analyte) if text is not None else None
        if isinstance(amount, Reason):
            binder.finding(
                path, "FE0206", f'"{text}" is no amount of {analyte.name}', f"write a number and a unit, as 5 {analyte.canonical}"
            )
            amount = None
        ends[key] = amount
    return Interval(ends["low"], ends["high"], True, True)


def _check_bands(bands: tuple[Interval | None, Interval | None], binder: Binder, path: Path) -> None:
    negative, positive = bands
    if negative is None or positive is None or negative.high is None or positive.low is None:
        return
    if negative.high > positive.low:
        binder.finding(path, "FE0210", "a number can be negative and positive at once", "part the two bands")
