"""The days that one medication record covers for an agent: certain ones, possible ones, and those it denies."""

from __future__ import annotations

from fractions import Fraction

import msgspec
from pydantic import Field, StrictBool, StrictInt

from fhir_elig import derive, times
from fhir_elig.concepts import SYSTEMIC_ROUTES, folded
from fhir_elig.criteria.base import Model, Name, Text
from fhir_elig.criteria.context import Context, Frame
from fhir_elig.criteria.days import Days, clip, subtract, union
from fhir_elig.criteria.outcome import flaw_reason
from fhir_elig.quantity import Interval, compare, fraction
from fhir_elig.record import Counts, Dose, Medication, Strength
from fhir_elig.times import FIRST_DAY
from fhir_elig.verdict import MET, NOT_MET, Evidence

_MILLIGRAMS = {
    "mg": Fraction(1),
    "milligram": Fraction(1),
    "g": Fraction(1000),
    "ug": Fraction(1, 1000),
    "mcg": Fraction(1, 1000),
}
_ATC = "http://www.whocc.no/atc|"
_STRENGTHS = tuple(Strength)


class Persistence(Model):
    """How many days one intake covers, by route class or for all routes, and where that comes from."""

    days: StrictInt = Field(ge=1)
    route: Name | None = None
    source: str = ""


class Agent(Model):
    """One drug or class of an exposure: which routes count, which doses, how long one intake lasts."""

    concept: str
    systemic: StrictBool = Field(False, description="Only systemic use counts; a route that is not recorded gives possible days")
    prednisone_equivalent_at_most: Text | None = Field(None, pattern=r"^[0-9.]+ ?mg/d$")
    persists: tuple[Persistence, ...] = ()


class Course(msgspec.Struct, kw_only=True):
    """What a record says of an agent. `why` is set where it counts for nothing."""

    medication: Medication
    agent: Agent
    certain: Days = []
    possible: Days = []
    denied: Days = []
    dose: Interval | None = None
    why: str = ""
    notes: tuple[str, ...] = ()
    goes_on: bool = False  # it lasts beyond as_of

    def evidence(self) -> Evidence:
        m = self.medication
        spans = ", ".join(f"{times.iso(first)} to {times.iso(last)}" for first, last in self.certain)
        kind = "ordered, not known to be taken" if m.strength is Strength.ORDERED else m.strength.value
        note = "; ".join((kind, *self.notes, *(("its days are possible, not certain",) if not self.certain else ())))
        start = m.start.text if m.start is not None else ""
        return Evidence(m.reference, m.version, m.text or ", ".join(m.codes), spans, "", start, note)


def course_of(
    medication: Medication, agent: Agent, ceiling: Interval | None, weakest: Strength, frame: Frame, context: Context
) -> Course:
    """The days of one record, up to the end of the window and to `as_of`."""
    course = Course(medication=medication, agent=agent)
    low = frame.bounds.low_late if frame.bounds.low_late is not None and not frame.bounds.exact else FIRST_DAY
    high = min(frame.high.last, context.as_of.last)
    if medication.start is not None:
        context.mark_around(medication.start)
        if medication.end is not None:
            context.mark_around(medication.end)
    if medication.counts is Counts.NEGATIVE:
        course.denied = clip(_span_of(medication, high), low, high)
        course.why = f"status {medication.status}"
        return course
    course.why = _useless(medication, agent, weakest, context)
    if course.why:
        return course
    certain, possible = _covered(medication, agent, high, context)
    if agent.systemic and _systemic(medication, context) is None:
        certain, possible = [], union((*certain, *possible))
        course.notes = ("route not recorded",)
    if _vague(medication):
        certain, possible = [], union((*certain, *possible))
        course.notes = (*course.notes, "the dose is as needed, or in words only")
    if ceiling is not None:
        certain, possible = _dosed(course, certain, possible, ceiling, context)
    if flaw_reason(medication) is not None:
        certain, possible = [], union((*certain, *possible))
    course.goes_on = any(last > high for _, last in certain)
    course.certain, course.possible = clip(certain, low, high), clip(possible, low, high)
    if not course.certain and not course.possible and not course.why:
        course.why = "no day of it lies in the window"
    return course


def _useless(medication: Medication, agent: Agent, weakest: Strength, context: Context) -> str:
    if medication.counts is not Counts.YES:
        return f"status {medication.status or medication.counts.value}"
    if _STRENGTHS.index(medication.strength) < _STRENGTHS.index(weakest):
        return f"only {medication.strength.value}"
    if agent.systemic and _systemic(medication, context) is False:
        return "not systemic use"
    return ""


def _systemic(medication: Medication, context: Context) -> bool | None:
    """Whether use is systemic: by its route; without one, by an ATC code (a class of systemic products); else not known."""
    classes = route_classes(medication, context)
    if classes:
        return True if classes <= SYSTEMIC_ROUTES else False if not classes & SYSTEMIC_ROUTES else None
    if medication.routes or medication.route_text:
        return None
    return True if any(code.startswith(_ATC) for code in medication.codes) else None


def route_classes(medication: Medication, context: Context) -> set[str]:
    """The classes of a record's routes; of a record without one, those that its product or ATC code stands for."""
    stated = [*medication.routes, *((folded(medication.route_text),) if medication.route_text else ())]
    return {context.concepts.routes[key] for key in stated or medication.codes if key in context.concepts.routes}


def _covered(medication: Medication, agent: Agent, high: int, context: Context) -> tuple[Days, Days]:
    start, end = medication.start, medication.end
    if start is None:
        return [], [(FIRST_DAY, high)]
    if medication.single:
        least, most = _persistence(medication, agent, context)
        sure = [(start.last, start.first + least - 1)] if start.last <= start.first + least - 1 else []
        return list(sure), [(start.first, start.last + most - 1)]
    vouched = medication.certain_until
    if end is None:
        sure = [(start.last, vouched.first)] if vouched is not None and vouched.first >= start.last else []
        return list(sure), [(start.first, high)]
    last = end.first if vouched is None else min(end.first, vouched.first)
    return [(start.last, last)] if last >= start.last else [], [(start.first, end.last)]


def _persistence(medication: Medication, agent: Agent, context: Context) -> tuple[int, int]:
    """How many days one intake covers, at least and at most: by its route, or by every route that it may have had."""
    classes = route_classes(medication, context)
    general = [p.days for p in agent.persists if p.route is None] or [1]
    by_route = [p.days for p in agent.persists if p.route in classes]
    every = [*general, *(p.days for p in agent.persists if p.route is not None)]
    found = (by_route or general) if classes else every
    return min(found), max(found)


def _vague(medication: Medication) -> bool:
    """Whether the dose does not say that it was taken daily: as needed, or in words only where no supply tells the days."""
    told_by_dose = medication.strength in (Strength.ORDERED, Strength.STATED)
    return any(dose.as_needed for dose in medication.doses) or (
        told_by_dose
        and bool(medication.doses)
        and all(dose.per_day is None and dose.numerator is None and bool(dose.text) for dose in medication.doses)
    )


def _dosed(course: Course, certain: Days, possible: Days, ceiling: Interval, context: Context) -> tuple[Days, Days]:
    """Keep the days whose dose lies under the ceiling; a dose that cannot be told gives possible days."""
    course.dose = daily_prednisone(course.medication, context)
    if course.dose is None:
        course.notes = (*course.notes, "daily dose not recorded")
        return [], union((*certain, *possible))
    verdict = compare(course.dose, ceiling)
    if verdict is NOT_MET:
        course.why = "daily dose above the limit"
        return [], []
    return (certain, possible) if verdict is MET else ([], union((*certain, *possible)))


def daily_prednisone(medication: Medication, context: Context) -> Interval | None:
    """The prednisone equivalent of the daily dose in mg, over all doses stated; None if one cannot be told."""
    equals = next((context.concepts.equivalents[c] for c in medication.codes if c in context.concepts.equivalents), None)
    if not equals or not medication.doses:
        return None
    doses = [_milligrams(dose) for dose in medication.doses]
    if any(dose is None for dose in doses) or len(doses) > 1 and len(set(doses)) > 1:
        return None
    return derive.prednisone_equivalent(doses[0] or Fraction(0), equals)


def _milligrams(dose: Dose) -> Fraction | None:
    """Dose a day in mg: one intake times the number of intakes, by the days of the period."""
    factor = _MILLIGRAMS.get(dose.unit.strip().casefold().replace("µ", "u").replace("μ", "u"))
    if factor is None or dose.as_needed:
        return None
    if dose.per_day is not None:
        per_day = fraction(dose.per_day)
        return None if per_day is None else per_day * factor
    parts = [None if x is None else fraction(x) for x in (dose.numerator, dose.times, dose.period_days)]
    if any(part is None for part in parts) or not parts[2]:
        return None
    numerator, count, period = (part or Fraction(0) for part in parts)
    return numerator * count / period * factor


def mask_heavy_days(courses: list[Course], ceiling: Interval, context: Context) -> list[Course]:
    """Days on which several records together may pass the ceiling are possible only.

    Records of one drug and different strength (an order, its dispenses) tell of the same tablets; others may add up.
    """
    edges = sorted({edge for c in courses for first, last in c.certain for edge in (first, last + 1)})
    for first, after in zip(edges, edges[1:], strict=False):
        active = [c for c in courses if any(a <= first and after - 1 <= b for a, b in c.certain)]
        if (
            len(active) > 1
            and compare(Interval(high=_heaviest(active, context)), ceiling) is not MET
            and _over(_heaviest(active, context), ceiling)
        ):
            for course in active:
                course.certain = subtract(course.certain, [(first, after - 1)])
                course.possible = union((*course.possible, (first, after - 1)))
    return courses


def _drug(medication: Medication, context: Context) -> tuple[str, ...]:
    """What tells one drug from another: the name of its codes, the same in every code system; else the codes."""
    names = {context.concepts.displays[code].casefold() for code in medication.codes if code in context.concepts.displays}
    return (min(names),) if names else medication.codes


def _over(total: Fraction, ceiling: Interval) -> bool:
    return ceiling.high is not None and total > ceiling.high


def _heaviest(active: list[Course], context: Context) -> Fraction:
    """The largest dose of a day that these records allow."""
    by_drug: dict[tuple[str, ...], dict[Strength, Fraction]] = {}
    for course in active:
        top = course.dose.high if course.dose is not None and course.dose.high is not None else Fraction(0)
        sums = by_drug.setdefault(_drug(course.medication, context), {})
        sums[course.medication.strength] = sums.get(course.medication.strength, Fraction(0)) + top
    return sum((max(sums.values()) for sums in by_drug.values()), Fraction(0))


def _span_of(medication: Medication, high: int) -> Days:
    first = medication.start.first if medication.start is not None else FIRST_DAY
    last = medication.end.last if medication.end is not None else high
    return [(first, last)] if last >= first else []
