"""How long drugs were taken: the days that records surely cover, counted one by one."""

from __future__ import annotations

from datetime import date

from tests.reference.absence import known_as_another
from tests.reference.events import use
from tests.reference.said import MET, UNKNOWN, Said, said, unknown
from tests.reference.spans import day_of, every_day
from tests.reference.washouts import back, by_route, not_taken
from tests.reference.windows import Data, Window, World, window

STRONGER = ("ordered", "stated", "dispensed", "administered")
DENIED = "not-taken"


def exposure(kind: Data, world: World) -> Said:
    """`met` where the sure days suffice; too few are `not-met` only where absence is closed and the chart can carry that."""
    asked = window(kind.get("window", {}), world)
    if asked is None:
        return unknown("pending-event")
    days = {agent["concept"]: _sure(agent, kind, world, asked) for agent in kind["agents"]}
    counts = [len(found) for found in days.values()] if kind.get("method") == "per-drug" else [len(set().union(*days.values()))]
    if max(counts) >= _needed(kind):
        return said(MET, "in-range")
    return not_taken(kind, world, asked, _needed(kind)) if kind.get("absence") == "closed" else Said(UNKNOWN)


def _needed(kind: Data) -> int:
    length, strict = (kind["more-than"], 1) if kind.get("more-than") else (kind["at-least"], 0)
    number, unit = length.split()
    return int(number) * {"d": 1, "wk": 7}[unit] + strict


def _sure(agent: Data, kind: Data, world: World, asked: Window) -> set[date]:
    """The days on which the drug was surely taken; a record that it was not taken removes all days that it may mean."""
    concept = agent["concept"]
    low = back(concept, kind, world, asked)[0]
    high = min([day_of(ends.end, world.zone) for ends in asked.ends] + [world.as_of.last])
    found: set[date] = set()
    denied: set[date] = set()
    for row in world.of("drug"):
        unnamed = row.get("status") == DENIED and not known_as_another(row, [concept])  # it may be this drug that was not taken
        if (row.get("concept") != concept and not unnamed) or row.get("status") == "entered-in-error":
            continue
        days = _of(row, world)
        if row.get("status") == DENIED:
            denied |= set(every_day(max(days[1][0], low), min(days[1][1], high)))
        elif not row.get("flaw") and _strong(row, kind) and by_route(row, agent):
            found |= set(every_day(max(days[0][0], low), min(days[0][1], high)))
    return found - denied


def _strong(row: Data, kind: Data) -> bool:
    """Where something must not have happened, an order alone proves nothing."""
    weakest = max(STRONGER.index(kind.get("strength", "ordered")), 1 if kind.get("absence") == "closed" else 0)
    return STRONGER.index(row.get("strength", "stated")) >= weakest


def _of(row: Data, world: World) -> tuple[tuple[date, date], tuple[date, date]]:
    """The sure and the possible days of a record; a single intake is its day, if that is known.

    Where nothing tells up to when it was used, no day is sure.
    """
    at = world.time(row.get("time"))
    if at is not None:
        return (at.last, at.first), (at.first, at.last)
    days = use(row, world)
    return days.sure if row.get("end") or row.get("asserted") else (date.max, date.min), days.possible
