"""How much a value rose or fell, from the oldest of the months before the latest to the latest."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction as F

from tests.reference.days import days_of, surely, together
from tests.reference.limits import number_of
from tests.reference.numbers import ANALYTES, Between, compare
from tests.reference.results import FINAL, time_of
from tests.reference.said import MET, NOT_MET, UNKNOWN, Said, merged, one_for_all, said, unknown
from tests.reference.spans import moved
from tests.reference.windows import BEFORE, IN, Data, World, window


def change(kind: Data, world: World) -> Said:
    """On every day that the milestone may be."""
    concepts = tuple(kind["kinds"][0]["concepts"])
    worlds = days_of(kind, world, concepts)
    if len(worlds) == 1:
        return _on(kind, world)
    return together([_on(kind, one) for one in worlds]) if surely(kind, world, concepts) else Said(UNKNOWN)


def _on(kind: Data, world: World) -> Said:
    """One kind of value, each at its own day."""
    asked = window(kind["window"], world)
    if asked is None:
        return unknown("pending-event")
    if "Observation" in world.broken:
        return unknown("incomplete", "restricted", *(["pending-event"] if asked.open else []))
    series = kind["kinds"][0]
    rows = [row for row in world.of("result") if row.get("concept") in series["concepts"] and row.get("status", "final") in FINAL]
    rows = sorted((row for row in rows if not row.get("absent")), key=lambda row: time_of(row, world).start)
    places = {row["id"]: asked.place(time_of(row, world)) for row in rows}
    inside = [row for row in rows if places[row["id"]] == IN]
    if not inside:
        return unknown("too-old" if BEFORE in places.values() else "not-found", *(["pending-event"] if asked.open else []))
    last = time_of(inside[-1], world).first
    latest = [row for row in inside if time_of(row, world).first == last]
    found = one_for_all([_from(row, rows, kind, world) for row in latest], "conflicting")
    if not asked.open or found.verdict == NOT_MET:
        return found
    return unknown("pending-event") if found.verdict == MET else Said(UNKNOWN, merged([found], "pending-event"))


def _from(latest: Data, rows: Sequence[Data], kind: Data, world: World) -> Said:
    """From the oldest value; a fall from none of the others either, or the text leaves open which is meant."""
    day = time_of(latest, world).first
    first = moved(day, kind["baseline"], -1)
    earlier = [row for row in rows if first <= time_of(row, world).first < day]
    if not earlier:
        return unknown("not-found", "too-old")
    found = [_between(row, latest, kind) for row in earlier]
    oldest = [
        one for row, one in zip(earlier, found, strict=True) if time_of(row, world).first == time_of(earlier[0], world).first
    ]
    if len({one.verdict for one in oldest}) > 1:
        return one_for_all(oldest, "conflicting")
    if found[0].verdict != NOT_MET or all(one.verdict == NOT_MET for one in found):
        return found[0]
    open_ = [one for one in found if one.verdict == UNKNOWN]
    return Said(UNKNOWN, merged(open_, "ambiguous-protocol"))


def _between(old: Data, new: Data, kind: Data) -> Said:
    analyte = ANALYTES[kind["kinds"][0]["analyte"]]
    before, after = number_of(old, analyte), number_of(new, analyte)
    if isinstance(before, Said) or isinstance(after, Said):
        return Said(UNKNOWN, merged([one for one in (before, after) if isinstance(one, Said)]))
    risen = _risen(before, after, bool(kind.get("relative")))
    if kind["direction"] == "decrease":
        risen = Between(_minus(risen.high), _minus(risen.low), risen.high_open, risen.low_open)
    text = str(kind.get("at-least") or kind.get("more-than"))
    limit = F(text.split()[0]) * (1 if kind.get("relative") or " " not in text else analyte.units[text.split()[1]])
    verdict = compare(risen, Between(limit, None, low_open=not kind.get("at-least")))
    return {MET: said(MET, "in-range"), NOT_MET: said(NOT_MET, "out-of-range"), UNKNOWN: unknown("comparator")}[verdict]


def _minus(number: F | None) -> F | None:
    return None if number is None else -number


def _risen(old: Between, new: Between, relative: bool) -> Between:
    """New less old, or that in per cent of old: least from the highest old to the lowest new."""
    return Between(
        _step(old.high, new.low, relative),
        _step(old.low, new.high, relative),
        old.high_open or new.low_open,
        old.low_open or new.high_open,
    )


def _step(old: F | None, new: F | None, relative: bool) -> F | None:
    """None is an end without a bound; a relative change from an endless old value tends to a fall of all."""
    if old is None and new is not None:
        return F(-100) if relative else None
    if old is None or new is None or (relative and old == 0):
        return None
    return (new - old) * 100 / old if relative else new - old
