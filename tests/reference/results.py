"""Criteria on one value: which results count, where they lie, which of them the pick reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from tests.reference.limits import judge, limit_of, number_of
from tests.reference.numbers import ANALYTES, CONCEPTS, Between, compare
from tests.reference.qualitative import judged
from tests.reference.said import MET, NOT_MET, UNKNOWN, Said, merged, one_for_all, said, unknown
from tests.reference.spans import Span
from tests.reference.windows import AFTER, BEFORE, IN, MAYBE, Data, Window, World, until, window

FINAL, NOT_YET = ("final", "amended", "corrected"), ("preliminary", "registered")
HIDDEN = ("masked", "not-permitted")


@dataclass(frozen=True)
class Placed:
    """A result that may lie in the window: when, whether surely, and what it says."""

    time: Span
    sure: bool
    says: Said
    value: Between | None = None


def value(kind: Data, world: World) -> Said:
    asked = window(kind.get("window", {}), world)
    if asked is None:
        return unknown("pending-event")
    rows = [row for row in world.of("result") if row.get("concept") in kind["concepts"]]
    inside = [one for row in rows for one in of_window(row, kind, world, asked)]
    found = pick(kind, inside) if inside else _nothing(rows, world, asked)
    if "Observation" in world.broken:
        return unknown("incomplete", *found.reasons) if found.verdict == UNKNOWN else _cut(kind, inside, found)
    return _waiting(found, asked, NOT_MET if kind.get("pick") == "any" else MET)


def _cut(kind: Data, inside: Sequence[Placed], found: Said) -> Said:
    """A page is missing: what one result proves alone still stands, whatever else there is."""
    alone = {"any": MET, "all": NOT_MET}.get(kind.get("pick", "latest"))
    return found if found.verdict == alone else unknown("incomplete")


def _empty(row: Data, kind: Data) -> bool:
    """A result without a value, for a reason that hides nothing: it is set aside, unless an answer is asked for and shown."""
    if row.get("absent"):
        return row["absent"] not in HIDDEN
    return bool(row.get("bare")) and not ("answer" in kind and row.get("interpretation"))


def time_of(row: Data, world: World) -> Span:
    """Its effective time; else any time up to its issue, or up to the day of the run."""
    time = world.time(row.get("time"))
    if time is None:
        return until(world.time(row.get("issued")) or world.as_of)
    stop = world.time(row.get("until")) or time
    return Span(time.first, stop.last, time.start, stop.end)


def of_window(row: Data, kind: Data, world: World, asked: Window) -> list[Placed]:
    """The result, if it counts and may lie in the window."""
    time = time_of(row, world)
    where = asked.place(time)
    if where in (BEFORE, AFTER) or row.get("status", "final") not in FINAL or _empty(row, kind):
        return []
    if "answer" in kind:
        return [Placed(time, where == IN, judged(row, kind))]
    number = number_of(row, ANALYTES[CONCEPTS[row["concept"]]])
    return [Placed(time, where == IN, judge(row, kind, world), None if isinstance(number, Said) else number)]


def _nothing(rows: Sequence[Data], world: World, asked: Window) -> Said:
    reasons = set()
    for row in rows:
        where = asked.place(time_of(row, world))
        if row.get("bare") and not row.get("interpretation"):
            continue  # it says nothing, wherever it lies
        if row.get("status", "final") in FINAL and where == BEFORE:
            reasons |= {
                "too-old",
                *(["not-found"] if row.get("absent") else []),
                *(["imprecise-date"] if not row.get("time") else []),
            }
        if row.get("status") in NOT_YET and where in (IN, MAYBE):
            reasons.add("not-final")
    return unknown(*(reasons or {"not-found"}))


def _waiting(found: Said, asked: Window, waits: str) -> Said:
    """While days of the window are to come, what one more result may end waits; what it cannot change stands."""
    if not asked.open or found.verdict not in (waits, UNKNOWN):
        return found
    return unknown("pending-event") if found.verdict == waits else Said(UNKNOWN, merged([found], "pending-event"))


def pick(kind: Data, inside: Sequence[Placed]) -> Said:
    name = kind.get("pick", "latest")
    if name in ("highest", "lowest"):
        return _extreme(kind, inside, highest=name == "highest")
    # the nearest to a milestone that nothing in the window lies after is the latest
    return {"latest": _latest, "nearest": _latest, "earliest": _earliest, "any": _any, "all": _all}[name](inside)


def _extreme(kind: Data, inside: Sequence[Placed], highest: bool) -> Said:
    """The highest or lowest of every set of results that may lie in the window; what cannot be read may be any number."""
    unread = [one.says for one in inside if one.value is None]
    sure = [one.value for one in inside if one.sure and one.value is not None]
    if not sure:
        return Said(UNKNOWN, merged(unread, "imprecise-date"))
    doubtful = [one.value or Between(None, None) for one in inside if not one.sure or one.value is None]
    found = []
    for size in range(len(doubtful) + 1):
        for more in combinations(doubtful, size):
            found.append(_against(kind, _most([*sure, *more], highest)))
    told = one_for_all(found, "imprecise-date")
    return Said(UNKNOWN, merged(unread)) if unread and told.verdict == UNKNOWN else told


def _against(kind: Data, value: Between) -> Said:
    analyte = ANALYTES[CONCEPTS[kind["concepts"][0]]]
    verdict = compare(value, limit_of(kind, analyte))
    return {MET: said(MET, "in-range"), NOT_MET: said(NOT_MET, "out-of-range"), UNKNOWN: unknown("comparator")}[verdict]


def _most(values: Sequence[Between], highest: bool) -> Between:
    """What the highest (lowest) of several may be: at least the greatest of their lows, at most the greatest of their highs."""
    if not highest:
        most = _most([Between(_minus(one.high), _minus(one.low), one.high_open, one.low_open) for one in values], highest=True)
        return Between(_minus(most.high), _minus(most.low), most.high_open, most.low_open)
    lows = [(one.low, one.low_open) for one in values if one.low is not None]  # of two equal ones the open one lies higher
    highs = [(one.high, not one.high_open) for one in values if one.high is not None]
    low, high = max(lows, default=(None, False)), max(highs) if len(highs) == len(values) else (None, True)
    return Between(low[0], high[0], low[1], not high[1])


def _minus(number: Fraction | None) -> Fraction | None:
    return None if number is None else -number


def _latest(inside: Sequence[Placed]) -> Said:
    """Every result that no sure one follows may be the latest; all of them must say the same."""
    return _chosen(inside, may_be_latest(inside))


def may_be_latest(inside: Sequence[Placed]) -> list[Placed]:
    return [one for one in inside if not any(o.sure and o.time.start > one.time.end for o in inside)]


def _earliest(inside: Sequence[Placed]) -> Said:
    return _chosen(inside, [one for one in inside if not any(o.sure and o.time.end < one.time.start for o in inside)])


def _chosen(inside: Sequence[Placed], candidates: Sequence[Placed]) -> Said:
    outcomes = [one.says for one in candidates]
    if not any(one.sure for one in inside):
        return Said(UNKNOWN, merged([one for one in outcomes if one.verdict == UNKNOWN], "imprecise-date"))
    spans = {one.time for one in candidates}
    return one_for_all(outcomes, "conflicting", *(["imprecise-date"] if len(spans) > 1 else []))


def _any(inside: Sequence[Placed]) -> Said:
    if any(one.sure and one.says.verdict == MET for one in inside):
        return said(MET, "in-range")
    if all(one.says.verdict == NOT_MET for one in inside) and any(one.sure for one in inside):
        return said(NOT_MET, "out-of-range")
    return Said(UNKNOWN, merged([one.says for one in inside if one.says.verdict == UNKNOWN], "imprecise-date"))


def _all(inside: Sequence[Placed]) -> Said:
    if any(one.sure and one.says.verdict == NOT_MET for one in inside):
        return said(NOT_MET, "out-of-range")
    if all(one.says.verdict == MET for one in inside) and any(one.sure for one in inside):
        return said(MET, "in-range")
    return Said(UNKNOWN, merged([one.says for one in inside if one.says.verdict == UNKNOWN], "imprecise-date"))
