"""How long drugs were taken: the days that records surely cover, counted one by one."""

from __future__ import annotations

from datetime import date

from tests.reference.absence import known_as_another
from tests.reference.said import MET, UNKNOWN, Said, said, unknown
from tests.reference.spans import day_of, every_day
from tests.reference.washouts import NOT_USED, back, by_route, counted, day_counts, days_told, episodes, not_taken
from tests.reference.windows import Data, Window, World, window

DENIED = "not-taken"


def exposure(kind: Data, world: World) -> Said:
    """`met` where the sure days suffice; too few are `not-met` only where absence is closed and the chart can carry that."""
    asked = window(kind.get("window", {}), world)
    if asked is None:
        return unknown("pending-event")
    days = {agent["concept"]: _sure(agent, kind, world, asked) for agent in kind["agents"]}
    groups = list(days.values()) if kind.get("method") == "per-drug" else [set().union(*days.values())]
    if max(len(one) for group in groups for one in episodes(group, kind)) >= _needed(kind):
        return said(MET, "in-range")
    found = not_taken(kind, world, asked, _needed(kind)) if kind.get("absence") == "closed" else Said(UNKNOWN)
    if found.reasons and found.verdict == UNKNOWN and "/kg" in str(kind) and "Observation" in world.broken:
        return Said(UNKNOWN, found.reasons | {"incomplete"})  # of weights a page is lost
    return found


def _needed(kind: Data) -> int:
    length, strict = (kind["more-than"], 1) if kind.get("more-than") else (kind["at-least"], 0)
    number, unit = length.split()
    return int(number) * {"d": 1, "wk": 7}[unit] + strict


def _sure(agent: Data, kind: Data, world: World, asked: Window) -> set[date]:
    """The days on which the drug was surely taken; a record that it was not taken removes all days that it may mean."""
    concept = agent["concept"]
    low = back(concept, kind, world, asked)[0]
    high = min([day_of(ends.end, world.zone) for ends in asked.ends] + [world.as_of.last])
    counts = day_counts(agent, kind, world)
    denials = [row for row in world.of("drug") if row.get("status") == DENIED]
    found: set[date] = set()
    for row in world.of("drug"):
        if row.get("concept") != concept or row.get("status") in NOT_USED or not counted(row, kind) or not by_route(row, agent):
            continue
        days = days_told(row, agent, world)[0]
        mine = {day for day in every_day(max(days[0], low), min(days[1], high)) if counts(day) == MET}
        for denial in (one for one in denials if _of_the_same(one, row)):
            first, last = days_told(denial, {}, world)[1]
            mine -= set(every_day(max(first, low), min(last, high)))
        found |= mine
    return found


def _of_the_same(denial: Data, row: Data) -> bool:
    """Whether the drug that was not taken may be that of the record: nobody can tell it, or it is the same one of a class."""
    if not known_as_another(denial, [row["concept"]]) and denial.get("concept") != row["concept"]:
        return True
    return denial.get("concept") == row["concept"] and denial.get("code") == row.get("code")
