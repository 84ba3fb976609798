"""The days that one medication record covers for an agent: certain ones, possible ones, and those it denies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from fhir_elig import times
from fhir_elig.concepts import SYSTEMIC_ROUTES, folded
from fhir_elig.criteria.agents import Agent
from fhir_elig.criteria.context import Context
from fhir_elig.criteria.days import Days, clip, common, union
from fhir_elig.criteria.reach import Reach
from fhir_elig.quantity import Interval
from fhir_elig.record import Counts, Medication, Strength
from fhir_elig.times import FIRST_DAY, When
from fhir_elig.verdict import Evidence

_ATC = "http://www.whocc.no/atc|"
_RANKS = {strength: rank for rank, strength in enumerate(Strength)}


class Course(msgspec.Struct, kw_only=True):
    """What a record says of an agent. `why` is set where it counts for nothing."""

    medication: Medication
    agent: Agent
    certain: Days = []
    possible: Days = []
    denied: Days = []
    wide: Days = []  # when it may have been taken, whatever the window: what it may add to the dose of a day
    sure: Days = []  # of those the days on which it surely was
    in_force: Days = []  # those on which it surely tells the dose, if it was
    dose: Interval | None = None
    why: str = ""
    weak: bool = False  # shown only, or weaker than what is asked for
    notes: tuple[str, ...] = ()
    goes_on: bool = False  # more certain days are to come

    def evidence(self) -> Evidence:
        m = self.medication
        spans = ", ".join(f"{times.iso(first)} to {times.iso(last)}" for first, last in self.certain)
        kind = "ordered, not known to be taken" if m.strength is Strength.ORDERED else m.strength.value
        note = "; ".join((kind, *self.notes, *(("its days are possible, not certain",) if not self.certain else ())))
        start = m.start.text if m.start is not None else ""
        return Evidence(m.reference, m.version, m.text or ", ".join(m.codes), spans, "", start, note)


def course_of(medication: Medication, agent: Agent, weakest: Strength, reach: Reach, context: Context) -> Course:
    """The days of one record, up to the end of the window and to `as_of`.

    A record that is shown only, or weaker than what is asked for, is weak: it has possible days and counts for nothing.
    """
    course = Course(medication=medication, agent=agent)
    if medication.start is not None:
        context.mark_around(medication.start)
    if medication.counts is Counts.NEGATIVE:
        course.denied = denied_days(medication, agent, reach, context)
        course.why = f"status {medication.status}"
        return course
    classes = route_classes(medication, context) if agent.wanted or medication.single else set()
    counted = _by_route(medication, agent, classes) if agent.wanted else True
    course.why = _useless(medication, agent, counted)
    if course.why:
        return course
    today = context.as_of.last
    certain, possible = _covered(medication, agent, classes, today)
    whole = union((*certain, *possible))
    doubts = _doubts(medication, counted)
    course.notes = tuple([doubt for doubt in doubts if doubt])
    course.wide = clip(whole, FIRST_DAY, _last_told(medication, today))
    if medication.counts is Counts.SHOWN:
        course.why = f"status {medication.status or medication.counts.value}"
    elif _RANKS[medication.strength] < _RANKS[weakest]:
        course.why = f"only {medication.strength.value}"
    course.weak = bool(course.why)
    certain = [] if course.weak or doubts else certain
    course.sure = common(course.wide, certain)
    course.in_force = [] if course.weak or doubts else union((*course.sure, *_ordered_on(medication, today)))
    _into_window(course, certain, course.wide if course.weak else whole, reach, context)
    return course


def _into_window(course: Course, certain: Days, possible: Days, reach: Reach, context: Context) -> None:
    """The days inside the window: sure ones where every day that its milestone may be on allows them."""
    today = context.as_of.last
    (low_late, high_early), (low_early, high_late) = reach.days(course.medication, course.agent.concept, context)
    course.goes_on = (reach.frame.floating or today < high_early) and any(last > today for _, last in certain)
    course.certain = clip(certain, low_late, min(high_early, today))
    course.possible = clip(possible, low_early, min(high_late, today))
    if not course.possible and not course.weak:
        course.why = "no day of it lies in the window"


def denied_days(medication: Medication, agent: Agent, reach: Reach, context: Context) -> Days:
    """The days of the window on which a record that a drug was not taken may say so."""
    _, (low, high) = reach.days(medication, agent.concept, context)
    high = min(high, context.as_of.last)
    first = medication.start.first if medication.start is not None else FIRST_DAY
    last = medication.end.last if medication.end is not None else high
    return clip([(first, last)], low, high) if last >= first else []


def perhaps_denied(untold: Iterable[Medication], agents: Sequence[Agent], reach: Reach, context: Context) -> list[Course]:
    """What was perhaps not taken: of a drug that nobody can tell, it may be any of these."""
    return [Course(medication=m, agent=a, denied=denied_days(m, a, reach, context)) for m in untold for a in agents]


def _doubts(medication: Medication, counted: bool | None) -> list[str]:
    """Why the days of a record are not certain; empty for what is said elsewhere."""
    doubts = ["route not recorded"] if counted is None else []
    if _vague(medication):
        doubts.append("the dose is as needed, or in words only")
    if medication.flaws:
        doubts.append("")
    return doubts


def _ordered_on(medication: Medication, today: int) -> Days:
    """The days on which an active order without an end says what is to be taken, whether or not it is."""
    is_open = medication.strength is Strength.ORDERED and medication.status == "active" and medication.end is None
    return [(medication.start.last, today)] if is_open and medication.start is not None and medication.start.last <= today else []


def _last_told(medication: Medication, today: int) -> int:
    """Up to when a record may add to what is taken on a day: an order that is over, without an end, speaks of its own day."""
    over = medication.strength is Strength.ORDERED and medication.status != "active"
    return medication.start.last if over and medication.end is None and medication.start is not None else today


def _useless(medication: Medication, agent: Agent, counted: bool | None) -> str:
    if medication.counts is not Counts.YES and medication.counts is not Counts.SHOWN:
        return f"status {medication.status or medication.counts.value}"
    if counted is False:
        return "not by a route that counts" if agent.routes else "not systemic use"
    return ""


def _by_route(medication: Medication, agent: Agent, classes: set[str]) -> bool | None:
    """Whether it was given by a route that counts; without a route an ATC code (a class of systemic products) may tell it."""
    if classes:
        vague = "systemic" in classes and bool(agent.wanted & SYSTEMIC_ROUTES)
        return True if classes <= agent.wanted else False if not classes & agent.wanted and not vague else None
    if medication.routes or medication.route_text or agent.routes:
        return None
    return True if any(code.startswith(_ATC) for code in medication.codes) else None


def route_classes(medication: Medication, context: Context) -> set[str]:
    """The classes of a record's routes; of a record without one, those that its product or ATC code stands for."""
    stated = [*medication.routes, *((folded(medication.route_text),) if medication.route_text else ())]
    return {context.concepts.routes[key] for key in stated or medication.codes if key in context.concepts.routes}


def _covered(medication: Medication, agent: Agent, classes: set[str], high: int) -> tuple[Days, Days]:
    start, end = medication.start, medication.end
    if start is None:
        return [], [(FIRST_DAY, high)]
    if medication.single:
        return _intake(medication, start, _persistence(agent, classes), high)
    told = [when for when in (end, medication.certain_until) if when is not None]
    possible = [(start.first, high if end is None else end.last)]
    if not told:
        return [], possible
    begun = min(start.last, max(start.first, told[0].last))  # whoever used it until then had begun
    last = min(max(when.first, start.first) if when.last >= start.first else when.first for when in told)
    return [(begun, last)] if last >= begun else [], possible


def _intake(medication: Medication, start: When, persists: tuple[int, int], high: int) -> tuple[Days, Days]:
    """One intake lasts as the protocol says; a period of administration counts as it is written too."""
    least, most = persists
    end = medication.end
    given = medication.strength is Strength.ADMINISTERED
    last = high if end is None and given else start.last if end is None else max(start.last, end.last)
    sure = [(start.last, start.first + least - 1)] if given or last == start.last else []
    if given and end is not None:
        sure.append((start.last, end.first))
    return union(stretch for stretch in sure if stretch[0] <= stretch[1]), [(start.first, last + most - 1)]


def _persistence(agent: Agent, classes: set[str]) -> tuple[int, int]:
    """How many days one intake covers, at least and at most: by its route, or by every route that it may have had."""
    general = [p.days for p in agent.persists if p.route is None] or [1]
    by_route = [p.days for p in agent.persists if p.route in classes]
    every = [*general, *(p.days for p in agent.persists if p.route is not None)]
    found = (by_route or general) if classes else every
    return min(found), max(found)


def _vague(medication: Medication) -> bool:
    """Whether the dose does not say that it was taken daily: as needed, or in words only where no supply tells the days."""
    in_words = medication.strength is Strength.ORDERED or medication.strength is Strength.STATED
    for dose in medication.doses:
        if dose.as_needed:
            return True
        in_words = in_words and dose.per_day is None and dose.numerator is None and bool(dose.text)
    return in_words and bool(medication.doses)


def same_drug(one: Medication, two: Medication, agent: Agent, context: Context) -> bool:
    """Whether two records of an agent may tell of one drug: they do unless both name drugs of it that differ.

    The names are those of the concept's ATC substances: product names and local codes are no proof of another drug.
    """
    if set(one.codes) & set(two.codes):
        return True
    concept = context.concepts.by_name[agent.concept]
    known = context.concepts.drug_names(code for code in concept.codes - concept.ranged if code.startswith(_ATC))
    first, second = (context.concepts.drug_names(medication.codes) & known for medication in (one, two))
    return not first or not second or not first.isdisjoint(second)
