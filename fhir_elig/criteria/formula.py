"""What a named formula is: where its inputs come from, and the value that it makes of the results of a chart.

The first input carries the time of the result; the others are the results that are nearest to it, or of its very time.
`formulary` holds the table of all formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

import msgspec

from fhir_elig import derive
from fhir_elig.criteria.candidates import Candidate
from fhir_elig.criteria.context import Context, Frame
from fhir_elig.criteria.limits import show
from fhir_elig.criteria.nearest import Input, analyte_of, nearest, together
from fhir_elig.criteria.patient import age_on, sexes_for_ranges
from fhir_elig.criteria.select import evidence_of, hull, interpret
from fhir_elig.quantity import Interval, Reading
from fhir_elig.record import Counts, Person, Result
from fhir_elig.times import When
from fhir_elig.verdict import Evidence, Reason

SKIP = Reading(reason=Reason.NOT_FOUND)  # of a result that a formula does not apply to


class About(msgspec.Struct, frozen=True):
    """The person at the time of the first input: completed years, and the sexes that are possible."""

    age: Interval
    sexes: frozenset[str]

    def words(self) -> Iterable[str]:
        years = f"{self.age.low}" if self.age.is_point else f"{self.age.low} to {self.age.high}"
        return f"age {years} a", " or ".join(sorted(self.sexes))


Compute = Callable[[Mapping[str, Interval], About], Interval]


class Formula(msgspec.Struct, frozen=True, kw_only=True):
    """A named formula: the analyte of its result, its inputs in order, the concepts that they come from unless a protocol says.

    `within` is how far the other inputs may lie from the first one unless the protocol says it; `person` tells whether age and
    sex count, and `from_age` the completed years from which the formula holds. `sets` are the sets of inputs beside the first
    one of which any will do: the first that is there is taken. An input without concepts of its own must be named by the
    protocol. Without `compute` it is a differential: the first input times the percentages of a set.
    """

    title: str
    analyte: str
    inputs: tuple[str, ...]
    concepts: Mapping[str, tuple[str, ...]] = {}
    within: str = ""
    person: bool = False
    compute: Compute | None = None
    from_age: int = 0
    sets: tuple[tuple[str, ...], ...] = ()

    def sources(self, given: Mapping[str, Input]) -> dict[str, Input]:
        """Where each input comes from: as the protocol says, else the formula's own concepts."""
        found = {}
        for name in self.inputs:
            source = given.get(name) or Input(concepts=self.concepts.get(name, ()))
            if source.within is None and self.within and name != self.inputs[0]:
                source = source.model_copy(update={"within": self.within})
            found[name] = source
        return found

    def build(
        self, sources: Mapping[str, Input], result: Result, reading: Reading, frame: Frame, context: Context
    ) -> Candidate | None:
        """The value that a result of the first input gives; None where the formula does not apply to it."""
        if self.compute is None:
            return _differential(self, sources, result, reading, context)
        return _computed(self, self.compute, sources, result, reading, frame, context)


def _computed(
    formula: Formula,
    compute: Compute,
    sources: Mapping[str, Input],
    result: Result,
    reading: Reading,
    frame: Frame,
    context: Context,
) -> Candidate:
    first = formula.inputs[0]
    near = _beside(formula, sources, result, frame, context)
    lacking = {name: found for name, found in near.items() if isinstance(found, Reading)}
    read = {name: found for name, found in near.items() if not isinstance(found, Reading)}
    about = _about(formula, result.time, context)
    if reading.interval is None or isinstance(about, Reading) or lacking:
        missing = reading if reading.interval is None else about if isinstance(about, Reading) else next(iter(lacking.values()))
        notes = [f"{name}: none within reach of the {first}" for name in lacking]
        if isinstance(about, Reading) and about.reason is Reason.IMPLAUSIBLE:
            notes.append(f"{formula.title} holds from {formula.from_age} years on")
        evidence = (evidence_of(result, note=first),)
        return Candidate(result=result, time=result.time, reading=missing, evidence=evidence, notes=tuple(notes))
    values = {name: hull([interval for interval, _ in found]) for name, found in read.items()}
    value = compute({first: reading.interval, **values}, about)
    shown = [show(values[name], _canonical(sources[name], context)) for name in values]
    note = f"{formula.title}: {', '.join([*(about.words() if formula.person else ()), *shown])}"
    doubtful = any(len({interval for interval, _ in found}) > 1 for found in read.values())
    return Candidate(
        result=result,
        time=result.time,
        reading=Reading(interval=value),
        evidence=(evidence_of(result, note=note), *(evidence for found in read.values() for _, evidence in found)),
        doubt=Reason.CONFLICTING if doubtful else Reason.COMPARATOR,
    )


_ABSENT = (Reason.NOT_FOUND, Reason.TOO_OLD, Reason.NOT_FINAL)


def _beside(
    formula: Formula, sources: Mapping[str, Input], result: Result, frame: Frame, context: Context
) -> dict[str, Reading | list[tuple[Interval, Evidence]]]:
    """The inputs beside the first one: those of the first set that is there, else of the last set, with what is missing."""
    near: dict[str, Reading | list[tuple[Interval, Evidence]]] = {}
    for names in formula.sets or (formula.inputs[1:],):
        near = {name: nearest(sources[name], result, frame, context) for name in names}
        if not any(isinstance(found, Reading) and found.reason in _ABSENT for found in near.values()):
            break
    return near


def _about(formula: Formula, time: When | None, context: Context) -> About | Reading:
    """Age and sex at that time where they count, or why they cannot be told or the formula does not hold for them."""
    if not formula.person:
        return About(Interval(), frozenset())
    person: Person | None = context.record.person
    if time is None:
        return Reading(reason=Reason.IMPRECISE_DATE)
    if person is None or person.born is None:
        return Reading(reason=Reason.NOT_FOUND)
    youngest, oldest = age_on(person.born, time)
    if youngest < formula.from_age:
        return Reading(reason=Reason.IMPLAUSIBLE)
    return About(Interval(Fraction(youngest), Fraction(oldest)), frozenset(sexes_for_ranges(context)))


def _canonical(source: Input, context: Context) -> str:
    return context.concepts.analytes[context.concepts.by_name[source.concepts[0]].analyte].canonical


def _differential(
    formula: Formula, sources: Mapping[str, Input], result: Result, reading: Reading, context: Context
) -> Candidate | None:
    """Leukocytes times percentages of the same specimen; the first set of percentages that is there."""
    for names in formula.sets:
        shares = [_same_specimen(sources[name], result, context) for name in names]
        if all(shares):
            read = [
                [(r, interpret(r, analyte_of(sources[name], r, context), context)) for r in found]
                for name, found in zip(names, shares, strict=True)
            ]
            evidence = (
                evidence_of(result, note="leukocytes"),
                *(evidence_of(r, note=name) for name, rs in zip(names, read, strict=True) for r, _ in rs),
            )
            bad = next((x for x in (reading, *(x for rs in read for _, x in rs)) if x.interval is None), None)
            if bad is not None or reading.interval is None:
                return Candidate(result=result, time=result.time, reading=bad or SKIP, evidence=evidence)
            intervals = [[x.interval for _, x in rs if x.interval is not None] for rs in read]
            value = derive.share_of_count(reading.interval, *map(hull, intervals))
            return Candidate(
                result=result,
                time=result.time,
                reading=Reading(interval=value),
                evidence=evidence,
                sure=result.time is not None,  # of two without a time nobody knows whether it is the same
                notes=("derived from the differential",),
                doubt=Reason.CONFLICTING if any(len(set(found)) > 1 for found in intervals) else Reason.COMPARATOR,
            )
    return None


def _same_specimen(source: Input, of: Result, context: Context) -> list[Result]:
    return [
        result
        for result in context.facts.of(source.concepts)
        if result.counts is Counts.YES and result.value is not None and not result.absent and together(result, of)
    ]
