"""The dose of a day: what all records of an agent together allow, against a limit.

Records of one drug and different strength (an order, its dispenses, a statement) tell of the same tablets; other records may
add up. A dose that cannot be told may be any; a record that may or may not hold on a day may add its dose or nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import lcm
from operator import itemgetter
from typing import NamedTuple

import msgspec

from fhir_elig import derive
from fhir_elig.criteria.agents import DayDose
from fhir_elig.criteria.context import Context
from fhir_elig.criteria.courses import Course
from fhir_elig.criteria.days import Days, common, subtract, touching, union
from fhir_elig.quantity import Interval, compare, fraction, parse_number, point
from fhir_elig.record import Dose, Medication, Strength
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


def within_dose(courses: list[Course], limit: DayDose, weight: Interval | None, context: Context) -> None:
    """Keep of each course the days on which the dose of the day lies within the limit; where it may, they are possible.

    A dose for each kilogram is one for that weight (kg; None: nobody knows it).
    """
    adding = [course for course in courses if course.wide]
    for course in adding:
        course.dose = daily_dose(course.medication, limit.as_prednisone, context)
        if course.dose is None:
            course.notes = (*course.notes, "daily dose not recorded")
    sure: Days = []
    perhaps: Days = []
    for first, last, dose in _doses(adding, context):
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
            if lost and common(lost, course.possible):
                course.notes = (*course.notes, "the dose of the day may lie on either side of the limit")
            if not course.possible and not course.weak:
                course.why = f"daily dose {'above' if limit.interval.low is None else 'below'} the limit"


def _each_kilogram(dose: Interval, weight: Interval | None) -> Interval:
    """The dose for each kilogram of a weight; of a weight that nobody knows it may be any."""
    heaviest, lightest = (weight.high, weight.low) if weight is not None else (None, None)
    low = (dose.low or _ZERO) / heaviest if heaviest else _ZERO
    return Interval(low, dose.high / lightest if dose.high is not None and lightest else None)


class _Kind(msgspec.Struct):
    """The records of one strength that may hold on a day, and those of them that surely do; with a dose, and without.

    `least` adds up the doses of those that surely hold, `most` all of them; `perhaps` are the lower ends of those that may hold.
    """

    told: int = 0
    told_surely: int = 0
    untold: int = 0
    untold_surely: int = 0
    least: int = 0
    most: int = 0
    perhaps: Counter[int] = msgspec.field(default_factory=Counter)

    def change(self, change: _Change) -> None:
        if change.dose is None:
            self.untold += change.records
            self.untold_surely += change.sure
            return
        low, high = change.dose
        self.told += change.records
        self.told_surely += change.sure
        self.least += change.sure * low
        self.most += change.records * high
        self.perhaps[low] += change.records - change.sure

    def lowest(self) -> int:
        """The least that they tell, if they tell anything."""
        return self.least if self.told_surely else min(low for low, count in self.perhaps.items() if count)


class _Today(msgspec.Struct):
    """What the records of one drug that may hold on a day let its dose be."""

    kinds: dict[Strength, _Kind] = {}
    taken: int = 0  # records that surely tell of use
    least: int = 0
    most: int | None = 0  # None: nobody can tell

    def change(self, change: _Change) -> None:
        self.taken += change.taken
        self.kinds.setdefault(change.strength, _Kind()).change(change)
        self._add_up()

    def _add_up(self) -> None:
        """Over its kinds of record, which tell of the same tablets: what one of them cannot tell another may."""
        kinds = self.kinds.values()
        telling = [kind for kind in kinds if kind.told and not kind.untold_surely]
        self.least = min([kind.lowest() for kind in telling], default=0)
        self.most = max([kind.most for kind in telling], default=0)
        surely = any(kind.told_surely and not kind.untold for kind in telling)  # else perhaps none of them tells anything
        if not surely and any(kind.untold for kind in kinds):
            self.most = None
        if not surely or not self.taken:
            self.least = 0


class _Change(NamedTuple):
    """A record begins (1) or ends (-1) to hold on a day, to hold surely, or to tell surely of use; its dose in parts of a
    milligram, if it is told."""

    day: int
    drug: Drug
    strength: Strength
    dose: tuple[int, int] | None
    records: int
    sure: int
    taken: int


def _doses(courses: list[Course], context: Context) -> Iterator[tuple[int, int, Interval]]:
    """Stretches of days on which a course may count, each with the least and the most that a day's dose may be.

    The records are gone through once, by the days on which each begins and ends, and added up in whole parts of a milligram:
    the effort grows with their number only.
    """
    asked = union(stretch for course in courses for stretch in course.possible)
    ends = [end for course in courses if course.dose is not None for end in (course.dose.low, course.dose.high)]
    parts = lcm(*(end.denominator for end in ends if end is not None))
    changes = sorted((change for course in courses for change in _changes(course, parts, context)), key=itemgetter(0))
    drugs: dict[Drug, _Today] = {}
    least, most, untold = 0, 0, 0
    for change, after in pairwise(changes):
        today = drugs.setdefault(change.drug, _Today())
        was_least, was_most = today.least, today.most
        today.change(change)
        least += today.least - was_least
        most += (today.most or 0) - (was_most or 0)
        untold += (today.most is None) - (was_most is None)
        if change.day < after.day and touching(asked, change.day, after.day - 1):
            yield change.day, after.day - 1, Interval(Fraction(least, parts), None if untold else Fraction(most, parts))


def _changes(course: Course, parts: int, context: Context) -> Iterator[_Change]:
    drug, strength = _drug(course.medication, context), course.medication.strength
    ends = None if course.dose is None else (course.dose.low or _ZERO, course.dose.high or _ZERO)
    dose = None if ends is None else (int(ends[0] * parts), int(ends[1] * parts))
    for days, records, sure, taken in (
        (course.wide, 1, 0, 0),
        (course.in_force, 0, 1, 0),
        (course.sure, 0, 0, 1),
        (subtract(course.certain, course.wide), 0, 0, 0),  # what lasts on adds nothing to the dose of a day
    ):
        for first, last in days:
            yield _Change(first, drug, strength, dose, records, sure, taken)
            yield _Change(last + 1, drug, strength, dose, -records, -sure, -taken)


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
