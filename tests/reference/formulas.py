"""Cockcroft-Gault, with plain fractions: the latest creatinine, the weight nearest to it, the age on its day, every sex that may be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fractions import Fraction as F

from tests.reference.days import days_of, surely, together
from tests.reference.limits import limit_of, number_of
from tests.reference.numbers import ANALYTES, Between, compare
from tests.reference.results import FINAL, time_of
from tests.reference.said import MET, NOT_MET, UNKNOWN, Said, merged, one_for_all, said, unknown
from tests.reference.spans import moved, span, years_between
from tests.reference.windows import IN, MAYBE, Data, World, window


def clearance(kind: Data, world: World) -> Said:
    """On every day that the milestone may be: the latest creatinine, with the weight nearest to it."""
    worlds = days_of(kind, world, ("creatinine", "weight"))
    found = [_on(kind, one) for one in worlds]
    if len(worlds) == 1:
        return found[0]
    return together(found) if surely(kind, world, ("creatinine",)) else Said(UNKNOWN)


def _on(kind: Data, world: World) -> Said:
    """Results of one known day each, or of none: two of one day that differ must give one verdict."""
    asked = window(kind["window"], world)
    if asked is None:
        return unknown("pending-event")
    if "Observation" in world.broken:
        return unknown("incomplete", "restricted", *(["pending-event"] if asked.open else []))
    places = [(row, asked.place(time_of(row, world))) for row in _counted("creatinine", world)]
    inside = [row for row, where in places if where == IN]
    undated = [row for row, where in places if where in (IN, MAYBE) and not row.get("time")]
    if undated or not inside:  # one without a time may be the latest, at any age
        return Said(UNKNOWN)
    day = max(time_of(row, world).first for row in inside)
    latest = [row for row in inside if time_of(row, world).first == day]
    weights = _nearest(day, _weights(day, kind, world), world)
    weights += [row for row in _counted("weight", world) if weights and not row.get("time")]  # it may be nearer
    born = (world.person or {}).get("born")
    if not weights or not born:
        return Said(UNKNOWN)
    found = [_of(row, weight, day, born, kind, world) for row in latest for weight in weights]
    decided = one_for_all(found, "conflicting")
    if not asked.open or decided.verdict != MET:
        return decided if not asked.open else Said(decided.verdict)
    return unknown("pending-event")


def _counted(concept: str, world: World) -> list[Data]:
    rows = [row for row in world.of("result") if row.get("concept") == concept]
    return [row for row in rows if row.get("status", "final") in FINAL and not row.get("absent")]


def _weights(day: date, kind: Data, world: World) -> list[Data]:
    """Weights within the stretch on either side of the day, and not after the milestone."""
    within = kind["derive"]["inputs"]["weight"]["within"]
    milestone = world.milestone(kind["window"].get("milestone", "screening"))
    assert milestone is not None
    last = min(moved(day, within, 1), milestone.last, world.as_of.last)
    dated = [row for row in _counted("weight", world) if row.get("time")]
    return [row for row in dated if moved(day, within, -1) <= time_of(row, world).first <= last]


def _nearest(day: date, rows: Sequence[Data], world: World) -> list[Data]:
    """The nearest to the day; the earlier of two that are as near."""
    if not rows:
        return []
    nearest = min((abs((time_of(row, world).first - day).days), time_of(row, world).first) for row in rows)
    return [row for row in rows if time_of(row, world).first == nearest[1]]


def _of(creatinine: Data, weight: Data, day: date, born: str, kind: Data, world: World) -> Said:
    milligrams, kilograms = number_of(creatinine, ANALYTES["creatinine"]), number_of(weight, ANALYTES["weight"])
    if isinstance(milligrams, Said) or isinstance(kilograms, Said):
        return Said(UNKNOWN, merged([one for one in (milligrams, kilograms) if isinstance(one, Said)]))
    births = span(born, world.zone)
    if births.last > day:
        return Said(UNKNOWN)
    ages = F(years_between(births.last, day)), F(years_between(births.first, day))
    results = [_formula(milligrams, kilograms, ages, factor) for factor in _factors(world)]
    analyte = ANALYTES["clearance"]
    if not all(not end or analyte.believes(end) for one in results for end in (one.low, one.high)):  # zero was not sent
        return unknown("implausible")
    verdicts = {compare(one, limit_of(kind, analyte)) for one in results}
    if len(verdicts) > 1 or UNKNOWN in verdicts:
        return unknown("comparator", "imprecise-date", "not-found", "conflicting")
    return said(MET, "in-range", "derived") if verdicts == {MET} else said(NOT_MET, "out-of-range", "derived")


def _formula(milligrams: Between, kilograms: Between, ages: tuple[F, F], factor: F) -> Between:
    """(140 - age) x kg / (72 x mg/dL): rises with the weight, falls with age and creatinine."""
    low = None if milligrams.high is None or kilograms.low is None else (140 - ages[1]) * kilograms.low / (72 * milligrams.high)
    high = None if not milligrams.low or kilograms.high is None else (140 - ages[0]) * kilograms.high / (72 * milligrams.low)
    ends = [None if end is None else end * factor for end in (low, high)]
    return Between(
        F(0) if ends[0] is None else ends[0],
        ends[1],
        milligrams.high_open or kilograms.low_open,
        milligrams.low_open or kilograms.high_open,
    )


def _factors(world: World) -> list[F]:
    """0.85 for a woman; both forms where the record says neither or both."""
    told = {(world.person or {}).get(key) for key in ("birth_sex", "gender")} - {None, ""}
    women, men = F(85, 100), F(1)
    return {frozenset({"female"}): [women], frozenset({"male"}): [men]}.get(frozenset(told), [women, men])
