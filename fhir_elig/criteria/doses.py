"""The dose of a day: what all records of an agent together allow, against a limit.

Records of one drug and different strength (an order, its dispenses, a statement) tell of the same tablets; other records may
add up. A dose that cannot be told may be any; a record that may or may not hold on a day may add its dose or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache, reduce

from fhir_elig import derive
from fhir_elig.criteria.agents import DayDose
from fhir_elig.criteria.context import Context, Frame
from fhir_elig.criteria.courses import Course
from fhir_elig.criteria.days import Days, common, subtract, union
from fhir_elig.criteria.select import hull, interpret
from fhir_elig.quantity import Interval, compare, fraction, parse_number, point
from fhir_elig.record import Counts, Dose, Medication
from fhir_elig.verdict import MET, NOT_MET

_ZERO = Fraction(0)
_MILLIGRAMS = {
    "mg": Fraction(1),
    "milligram": Fraction(1),
    "g": Fraction(1000),
    "ug": Fraction(1, 1000),
    "mcg": Fraction(1, 1000),
}

Drug = tuple[str, ...]

# What an order calls one tablet or capsule: UCUM annotations, HL7 orderable drug forms, plain words; all in lower case.
_TABLETS = frozenset(
    "{tbl} {tablet} {tablets} {tab} {capsule} {capsules} {cap} tab tabs tbl tablet tablets tablet(s) cap caps capsule capsules "
    "capsule(s)".split()
)
_TABLET = re.compile(r"[^0-9/]+ ([0-9]+(?:\.[0-9]+)?) MG (?:[A-Z][A-Za-z -]* )?Oral (?:Tablet|Capsule)(?: \[[^\]]+\])?")


def within_dose(courses: list[Course], limit: DayDose, frame: Frame, context: Context) -> None:
    """Keep of each course the days on which the dose of the day lies within the limit; where it may, they are possible."""
    adding = [course for course in courses if course.wide]
    for course in adding:
        course.dose = daily_dose(course.medication, limit.as_prednisone, context)
        if course.dose is None:
            course.notes = (*course.notes, "daily dose not recorded")
    drugs = [(_drug(course.medication, context), course) for course in adding]
    weight = _weight(frame, context) if limit.per_kg else None
    sure: Days = []
    perhaps: Days = []
    for first, last in _stretches(adding):
        dose = _dose_of_a_day([pair for pair in drugs if _covers(pair[1].wide, first)], first)
        verdict = compare(_each_kilogram(dose, weight) if limit.per_kg else dose, limit.interval)
        if verdict is not NOT_MET:
            perhaps.append((first, last))
        if verdict is MET:
            sure.append((first, last))
    sure, perhaps = union(sure), union(perhaps)
    for course in courses:
        if course.possible:
            lost = subtract(course.certain, sure)
            course.certain, course.possible = common(course.certain, sure), common(course.possible, perhaps)
            if common(lost, course.possible):
                course.notes = (*course.notes, "the dose of the day may lie on either side of the limit")
            if not course.possible and not course.weak:
                course.why = f"daily dose {'above' if limit.interval.low is None else 'below'} the limit"


def _each_kilogram(dose: Interval, weight: Interval | None) -> Interval:
    """The dose for each kilogram of a weight; of a weight that nobody knows it may be any."""
    if weight is None or not weight.low or not weight.high:
        return Interval(_ZERO)
    return Interval((dose.low or _ZERO) / weight.high, None if dose.high is None else dose.high / weight.low)


def _weight(frame: Frame, context: Context) -> Interval | None:
    """All weights of the 90 days before the milestone, in kg; None if there is none, or one that cannot be read."""
    last = min(frame.high.last, context.as_of.last)
    analyte = context.concepts.analytes[context.concepts.by_name["weight"].analyte]
    read = [
        interpret(result, analyte, context).interval
        for result in context.facts.of(("weight",))
        if result.counts is Counts.YES and result.time is not None and last - 90 <= result.time.last and result.time.first <= last
    ]
    known = [interval for interval in read if interval is not None]
    return hull(known) if known and len(known) == len(read) else None


def _stretches(courses: list[Course]) -> Iterator[tuple[int, int]]:
    """The days on which a course may count, cut wherever one of them begins or ends."""
    edges = sorted({edge for c in courses for first, last in (*c.wide, *c.certain) for edge in (first, last + 1)})
    asked = union(stretch for course in courses for stretch in course.possible)
    for first, after in zip(edges, edges[1:], strict=False):
        if any(a < after and first <= b for a, b in asked):
            yield first, after - 1


def _covers(days: Days, day: int) -> bool:
    return any(first <= day <= last for first, last in days)


def _dose_of_a_day(active: list[tuple[Drug, Course]], day: int) -> Interval:
    """The least and the most that these records, each with its drug, let a day's dose be."""
    drugs: dict[Drug, dict[str, list[Course]]] = {}
    for drug, course in active:
        drugs.setdefault(drug, {}).setdefault(course.medication.strength.value, []).append(course)
    totals = [_dose_of_a_drug(list(kinds.values()), day) for kinds in drugs.values()]
    return totals[0] if len(totals) == 1 else reduce(derive.add, totals, point(0))


def _dose_of_a_drug(kinds: list[list[Course]], day: int) -> Interval:
    """Over its kinds of record, which tell of the same tablets: what one of them cannot tell another may."""
    known = [kind for kind in kinds if all(course.dose is not None for course in kind)]
    if not known:
        return Interval(_ZERO)
    sums = [reduce(derive.add, [course.dose for course in kind if course.dose is not None]) for kind in known]
    if not any(_covers(course.certain, day) for kind in kinds for course in kind):
        sums.append(point(0))
    return Interval(min([total.low or _ZERO for total in sums]), max([total.high or _ZERO for total in sums]))


def _drug(medication: Medication, context: Context) -> Drug:
    """What tells one drug from another: the name of its codes, the same in every code system; else the codes."""
    names = context.concepts.drug_names(medication.codes)
    return (min(names),) if names else medication.codes


def daily_dose(medication: Medication, as_prednisone: bool, context: Context) -> Interval | None:
    """The daily dose in mg, as prednisone if asked for, over all doses stated; None if one cannot be told."""
    equals = next((context.concepts.equivalents[c] for c in medication.codes if c in context.concepts.equivalents), None)
    if not medication.doses or (as_prednisone and not equals):
        return None
    doses = [_milligrams(dose, medication, context) for dose in medication.doses]
    if any(dose is None for dose in doses) or len(doses) > 1 and len(set(doses)) > 1:
        return None
    dose = doses[0] or _ZERO
    return derive.prednisone_equivalent(dose, equals) if as_prednisone and equals else point(dose)


def _tablet(medication: Medication, context: Context) -> Fraction | None:
    """mg in one tablet or capsule, by the product's name in the tables; None if it tells none, or several codes disagree."""
    named = {tablet_strength(context.concepts.displays.get(code, "")) for code in medication.codes}
    found = named - {None}
    return found.pop() if len(found) == 1 else None


@lru_cache(maxsize=4096)
def tablet_strength(product: str) -> Fraction | None:
    """mg of the one ingredient of a tablet or capsule, by its normalised name in RxNorm (term types SCD and SBD).

    >>> tablet_strength("prednisone 2.5 MG Delayed Release Oral Tablet [Rayos]")
    Fraction(5, 2)
    """
    match = _TABLET.fullmatch(product)
    return None if match is None else parse_number(match[1])


def _milligrams(dose: Dose, medication: Medication, context: Context) -> Fraction | None:
    """Dose a day in mg: one intake times the number of intakes, by the days of the period; of tablets by what one holds."""
    unit = dose.unit.strip().casefold().replace("µ", "u").replace("μ", "u")
    factor = _tablet(medication, context) if unit in _TABLETS else _MILLIGRAMS.get(unit)
    if factor is None or dose.as_needed:
        return None
    if dose.per_day is not None:
        per_day = fraction(dose.per_day)
        return None if per_day is None else per_day * factor
    parts = [None if x is None else fraction(x) for x in (dose.numerator, dose.times, dose.period_days)]
    if any(part is None for part in parts) or not parts[2]:
        return None
    numerator, count, period = (part or _ZERO for part in parts)
    return numerator * count / period * factor
