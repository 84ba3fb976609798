"""Values worked out of others: the latest result of the first input, the others nearest to it, the age on its day, every sex."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fractions import Fraction as F
from itertools import product

from tests.reference.days import days_of, surely, together
from tests.reference.formulary import FORMULAS, SAME, About, Formula, concepts_of
from tests.reference.limits import limit_of, number_of
from tests.reference.numbers import ANALYTES, CONCEPTS, Between, compare
from tests.reference.results import FINAL, time_of
from tests.reference.said import MET, NOT_MET, UNKNOWN, Said, merged, one_for_all, said, unknown
from tests.reference.spans import moved, span, years_between
from tests.reference.windows import IN, MAYBE, Data, World, window


def derived(kind: Data, world: World) -> Said:
    """On every day that the milestone may be: the latest result of the first input, with those nearest to it."""
    names = concepts_of(kind["derive"]["formula"])
    worlds = days_of(kind, world, names)
    found = [_on(kind, one) for one in worlds]
    if len(worlds) == 1:
        return found[0]
    return together(found) if surely(kind, world, names[:1]) else Said(UNKNOWN)


def _on(kind: Data, world: World) -> Said:
    """Results of one known day each, or of none: two of one day that differ must give one verdict."""
    asked, name = window(kind["window"], world), kind["derive"]["formula"]
    if asked is None:
        return unknown("pending-event")
    if "Observation" in world.broken:
        return unknown("incomplete", "restricted", *(["pending-event"] if asked.open else []))
    first, *others = concepts_of(name)
    rows = [row for row in _counted(first, world) if not FORMULAS[name].paired or _has_all(row, others, world)]
    places = [(row, asked.place(time_of(row, world))) for row in rows]
    inside = [row for row, where in places if where == IN and row.get("time")]  # two without a time may be no pair
    undated = [row for row, where in places if where in (IN, MAYBE) and not row.get("time")]
    if not inside or (undated and not FORMULAS[name].paired):  # one without a time may be the latest, at any age
        return Said(UNKNOWN)
    day = max(time_of(row, world).first for row in inside)
    latest = [row for row in inside if time_of(row, world).first == day]
    decided = one_for_all([_from(row, day, kind, world) for row in latest], "conflicting")
    if undated:  # and has its own pair
        may = [decided, *(_from(row, day, kind, world) for row in undated)]
        decided = decided if len({one.verdict for one in may}) == 1 else Said(UNKNOWN)
    if not asked.open:
        return decided
    if "implausible" in decided.reasons:  # a completion of that kind is none
        return Said(UNKNOWN, decided.reasons | {"pending-event"})
    return Said(decided.verdict) if decided.verdict != MET else unknown("pending-event")


def _counted(concept: str, world: World) -> list[Data]:
    rows = [row for row in world.of("result") if row.get("concept") == concept]
    return [row for row in rows if row.get("status", "final") in FINAL and not row.get("absent")]


def _has_all(row: Data, others: Sequence[str], world: World) -> bool:
    return all(any(_of_one(row, other) for other in _counted(concept, world)) for concept in others)


def _of_one(row: Data, other: Data) -> bool:
    """Of one specimen or recording, as far as the chart says; what neither has cannot tell them apart."""
    return row.get("time") == other.get("time") and row.get("specimen") == other.get("specimen")


def _from(row: Data, day: date, kind: Data, world: World) -> Said:
    """The verdicts of all results that may stand beside this one, and of all that the person may be."""
    formula = FORMULAS[kind["derive"]["formula"]]
    beside = [_beside(row, day, concept, kind, world) for concept in concepts_of(kind["derive"]["formula"])[1:]]
    people = _people(day, world) if formula.person else [About(0, False)]
    if not people or not all(beside):
        return Said(UNKNOWN)
    if formula.adults and any(who.age < 18 for who in people):
        return Said(UNKNOWN)
    choices = [[row, *chosen] for chosen in product(*beside)]
    results = [_between(read, who, formula) for read in map(_read, choices) if read for who in people]
    return one_for_all([_of(rows, people, formula, kind, results) for rows in choices], "conflicting")


def _beside(row: Data, day: date, concept: str, kind: Data, world: World) -> list[Data]:
    """What lies nearest to it within reach, the earlier of two that are as near, with all that has no time and may be nearer."""
    formula = FORMULAS[kind["derive"]["formula"]]
    given = [one for one in kind["derive"].get("inputs", {}).values() if concept in one["concepts"]]
    within = (given[0].get("within") if given else None) or formula.within
    if within == SAME:
        return [other for other in _counted(concept, world) if (row.get("time") or formula.paired) and _of_one(row, other)]
    milestone = world.milestone(kind["window"].get("milestone", "screening"))
    assert milestone is not None
    last = min(moved(day, within or "all", 1), milestone.last, world.as_of.last)
    dated = [other for other in _counted(concept, world) if other.get("time")]
    near = [other for other in dated if moved(day, within or "all", -1) <= time_of(other, world).first <= last]
    undated = [other for other in _counted(concept, world) if not other.get("time")]
    if not near:  # without a reach any day counts that is not after the milestone
        return undated if not within and last == world.as_of.last else []
    nearest = min((abs((time_of(other, world).first - day).days), time_of(other, world).first) for other in near)
    chosen = [other for other in near if time_of(other, world).first == nearest[1]]
    return chosen + undated


def _people(day: date, world: World) -> list[About]:
    """Every age and sex that the patient may have on that day; none if the birth is not known, or not surely past."""
    person = world.person or {}
    births = span(person["born"], world.zone) if person.get("born") else None
    if births is None or births.last > day:
        return []
    told = {person.get(key) for key in ("birth_sex", "gender")} - {None, ""}
    women = {frozenset({"female"}): [True], frozenset({"male"}): [False]}.get(frozenset(told), [True, False])
    return [About(years_between(birth, day), woman) for birth in (births.first, births.last) for woman in women]


def _read(rows: Sequence[Data]) -> list[Between]:
    """The numbers of these results; none if one of them has none."""
    numbers = [number_of(row, ANALYTES[CONCEPTS[row["concept"]]]) for row in rows]
    return [number for number in numbers if isinstance(number, Between)] if not any(isinstance(n, Said) for n in numbers) else []


def _of(rows: Sequence[Data], people: Sequence[About], formula: Formula, kind: Data, every: Sequence[Between]) -> Said:
    """The verdict of one choice of inputs; whether a value is plausible is asked of the whole stretch that all choices give."""
    read = _read(rows)
    if not read:
        numbers = [number_of(row, ANALYTES[CONCEPTS[row["concept"]]]) for row in rows]
        return Said(UNKNOWN, merged([number for number in numbers if isinstance(number, Said)]))
    results = [_between(read, who, formula) for who in people]
    analyte = ANALYTES[formula.analyte]
    limit, power = limit_of(kind, analyte), formula.power
    plausible = [_raised(Between(low, high), power) for low, high in analyte.plausible]
    lows, highs = [one.low for one in every], [one.high for one in every]
    low = None if None in lows else min(end for end in lows if end is not None)
    high = None if None in highs else max(end for end in highs if end is not None)
    ends = [end for end in (low if low or high == 0 else None, high) if end is not None]
    if plausible and not all(
        any(one.low <= end <= one.high for one in plausible if one.low is not None and one.high) for end in ends
    ):
        return unknown("implausible")  # zero below a higher end was not found: the value cannot fall further
    verdicts = {compare(one, _raised(limit, power)) for one in results}
    if len(verdicts) > 1 or UNKNOWN in verdicts:
        return unknown("comparator", "imprecise-date", "not-found", "conflicting")
    return said(MET, "in-range", "derived") if verdicts == {MET} else said(NOT_MET, "out-of-range", "derived")


def _between(values: Sequence[Between], who: About, formula: Formula) -> Between:
    """The value at the ends of its inputs: it rises or falls with each of them. A share ends at the whole."""
    if formula.whole is not None:
        values = [
            values[0],
            *(one if one.high is not None else Between(one.low, formula.whole, one.low_open) for one in values[1:]),
        ]
    pairs = list(zip(values, formula.rises, strict=True))
    lows = [one.low if rises else one.high for one, rises in pairs]
    highs = [one.high if rises else one.low for one, rises in pairs]
    low = _at(lows, who, formula)
    return Between(
        formula.floor if low is None else low,
        _at(highs, who, formula),
        any(one.low_open if rises else one.high_open for one, rises in pairs),
        any(one.high_open if rises else one.low_open for one, rises in pairs),
    )


def _at(ends: Sequence[F | None], who: About, formula: Formula) -> F | None:
    """The formula at these numbers; None where one of them has no end, or is a zero that divides."""
    known = [end for end in ends if end is not None]
    divides = any(end == 0 and not rises for end, rises in zip(ends, formula.rises, strict=True))
    if len(known) < len(ends) or (divides and formula.floor is not None):
        return None
    return formula.compute(known, who)


def _raised(one: Between, power: int) -> Between:
    ends = [None if end is None else end**power for end in (one.low, one.high)]
    return Between(ends[0], ends[1], one.low_open, one.high_open)
