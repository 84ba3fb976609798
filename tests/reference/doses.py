"""The dose of a day: every way in which the records of a drug may hold on it, tried one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction as F
from itertools import combinations

from tests.reference.limits import number_of
from tests.reference.numbers import ANALYTES, Between, compare
from tests.reference.results import FINAL, HIDDEN, time_of
from tests.reference.said import MET
from tests.reference.windows import IN, MAYBE, Data, World, window

# mg that equal 5 mg of prednisone, as mappings/concepts/equivalents.csv has them for the codes that are drawn.
EQUALS = {"8640": (F(5), F(5)), "3264": (F("0.75"), F("0.75")), "1514": (F("0.6"), F("0.75"))}
Days = tuple[date, date]
Ends = tuple[F, F | None]  # the least and the most of a day; None: nobody can tell


@dataclass(frozen=True)
class Told:
    """A record, the days on which it surely tells of use, surely holds, and may hold."""

    row: Data
    taken: Days
    holds: Days
    may_hold: Days


def by_dose(agent: Data, told: Sequence[Told], day: date, weight: Between | None) -> str:
    """Whether the dose of the day counts; `told` are all records that may tell of it, `weight` all weights (None: any)."""
    if not agent.get("dose"):
        return MET
    low, high = F(0), F(0)
    untold = False
    for drug in {one.row.get("code", "") for one in told}:
        mine = [one for one in told if one.row.get("code", "") == drug and _within(one.may_hold, day)]
        surely = [one.row for one in mine if _within(one.holds, day)]
        perhaps = [one.row for one in mine if not _within(one.holds, day)]
        ways = [(*surely, *some) for size in range(len(perhaps) + 1) for some in combinations(perhaps, size)]
        found = [_together(way, agent) for way in ways]
        low += min(least for least, _ in found) if any(_within(one.taken, day) for one in mine) else F(0)
        high += max(most or F(0) for _, most in found)
        untold = untold or any(most is None for _, most in found)
    dose = Between(low, None if untold else high)
    return compare(_each_kilogram(dose, weight) if "/kg" in str(agent["dose"]) else dose, _limit(agent["dose"]))


def _each_kilogram(dose: Between, weight: Between | None) -> Between:
    """Least by the heaviest, most by the lightest that the patient may be."""
    least = dose.low / weight.high if weight and weight.high and dose.low else F(0)
    return Between(least, dose.high / weight.low if weight and weight.low and dose.high is not None else None)


def weight_of(kind: Data, world: World) -> Between | None:
    """All weights that may be of the 90 days before the milestone; None where none surely is, or one may be any."""
    asked = window({"milestone": kind["window"].get("milestone", "screening"), "before": "90 d"}, world)
    if asked is None or "Observation" in world.broken:
        return None
    rows = [row for row in world.of("result") if row.get("concept") == "weight"]
    rows = [row for row in rows if row.get("status", "final") in FINAL and not row.get("bare")]
    rows = [row for row in rows if not row.get("absent") or row["absent"] in HIDDEN]  # for another reason there is none
    placed = [(row, asked.place(time_of(row, world))) for row in rows]
    told = [number_of(row, ANALYTES["weight"]) for row, where in placed if where in (IN, MAYBE)]
    known = [number for number in told if isinstance(number, Between)]
    if len(known) < len(told) or not any(where == IN for _, where in placed):
        return None
    lows, highs = [one.low for one in known], [one.high for one in known]
    return Between(min(low or F(0) for low in lows), None if None in highs else max(high for high in highs if high is not None))


def _within(days: Days, day: date) -> bool:
    return days[0] <= day <= days[1]


def _together(rows: Sequence[Data], agent: Data) -> Ends:
    """Of records that all hold: those of one strength add up; an order and a statement tell of the same tablets."""
    if not rows:
        return F(0), F(0)
    sums = []
    for strength in {row.get("strength", "stated") for row in rows}:
        doses = [_dose(row, agent) for row in rows if row.get("strength", "stated") == strength]
        known = [dose for dose in doses if dose is not None]
        if len(known) == len(doses):
            sums.append((sum((low for low, _ in known), F(0)), sum((high for _, high in known), F(0))))
    return (min(low for low, _ in sums), max(high for _, high in sums)) if sums else (F(0), None)


def _dose(row: Data, agent: Data) -> tuple[F, F] | None:
    if not row.get("dose"):
        return None
    dose = F(row["dose"])
    if agent["dose"].get("as") != "prednisone":
        return dose, dose
    low, high = EQUALS[row["code"].partition("|")[2]]
    return dose * 5 / high, dose * 5 / low


def _limit(asked: Data) -> Between:
    """The limits in mg a day."""
    ends = {name: F(text.split()[0]) for name, text in asked.items() if name != "as"}
    low, high = ends.get("at-least", ends.get("more-than")), ends.get("at-most", ends.get("less-than"))
    return Between(low, high, "more-than" in ends, "less-than" in ends)


def weights_at(node: object, rows: Sequence[Data]) -> set[F]:
    """The weights at which the doses of the chart, alone and of two records together, lie on a limit for each kilogram."""
    if isinstance(node, list):
        return {weight for inner in node for weight in weights_at(inner, rows)}
    if not isinstance(node, dict):
        return set()
    found = {weight for inner in node.values() for weight in weights_at(inner, rows)}
    if "/kg/" not in str(node.get("dose", "")):
        return found
    doses = [dose for row in rows if row["kind"] == "drug" for dose in _dose(row, node) or ()]
    sums = {*doses, *(sum(pair) for pair in combinations(doses, 2))}
    asked = _limit(node["dose"])
    return found | {F(total) / end for total in sums for end in (asked.low, asked.high) if end}
