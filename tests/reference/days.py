"""Milestones that are not known to the day: what holds on every day that they may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.reference.results import FINAL, time_of
from tests.reference.said import UNKNOWN, Said
from tests.reference.spans import every_day, of_days
from tests.reference.windows import IN, Data, World, window


def days_of(kind: Data, world: World, concepts: Sequence[str]) -> list[World]:
    """The world with its milestone on each day that it may be; days on which nothing lies elsewhere are looked at once."""
    name = kind["window"].get("milestone", "screening")
    milestone = world.milestone(name)
    if milestone is None or milestone.first == milestone.last:
        return [world]
    found: dict[object, World] = {}
    for day in every_day(milestone.first, milestone.last):
        here = replace(world, events={**world.events, name: of_days(day, day, world.zone)})
        found.setdefault(_lies(kind, here, concepts), here)
    return list(found.values())


def _lies(kind: Data, world: World, concepts: Sequence[str]) -> object:
    """Which results lie in the window, which after its milestone, and whether days of it are to come."""
    asked, milestone = window(kind["window"], world), world.milestone(kind["window"].get("milestone", "screening"))
    assert asked is not None and milestone is not None
    rows = [row for row in world.of("result") if row.get("concept") in concepts]
    times = [time_of(row, world) for row in rows]
    return tuple((asked.place(time), time.first > milestone.last) for time in times), asked.open


def surely(kind: Data, world: World, concepts: Sequence[str]) -> bool:
    """Whether one result lies in the window on every day that its milestone may be."""
    asked = window(kind["window"], world)
    rows = [row for row in world.of("result") if row.get("concept") in concepts and row.get("status", "final") in FINAL]
    return asked is not None and any(asked.place(time_of(row, world)) == IN for row in rows if not row.get("absent"))


def together(found: Sequence[Said]) -> Said:
    """The verdict that all give; which reason speaks for those that differ is left open."""
    return found[0] if len({one.verdict for one in found}) == 1 and found[0].verdict != UNKNOWN else Said(UNKNOWN)
