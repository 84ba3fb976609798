"""Drugs that were not taken: few enough possible days, in a chart that was kept and read to the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from fractions import Fraction as F

from tests.reference.absence import contact, known_as_another
from tests.reference.doses import Told, by_dose, weight_of
from tests.reference.events import MEDICATIONS, use
from tests.reference.said import NOT_MET, UNKNOWN, Said, said, unknown
from tests.reference.spans import FAR_PAST, day_of, every_day, midnight
from tests.reference.windows import Data, Ends, Window, World

# Shortest and longest half-life in hours, as mappings/concepts/half-lives.csv has them for the codes that are drawn.
HALF_LIVES = {"azathioprine": (F(5), F(5)), "rituximab": (F("268.8"), F("2258.4"))}
OF_MANY = {"rituximab"}
OF_PRODUCT = {"methotrexate": "oral"}  # its code that is drawn is that of a tablet
STRONGER = ("ordered", "stated", "dispensed", "administered")
NOT_USED = ("not-taken", "entered-in-error")
Stretch = tuple[date, date]
NEVER = date.max, date.min


def back(concept: str, kind: Data, world: World, asked: Window) -> tuple[date, date]:
    """The first days that are surely, and perhaps, in reach: of the window, and of so many half-lives of the drug."""
    lows = [day_of(ends.start, world.zone) for ends in asked.ends]
    sure, most = max(lows), min(lows)
    if not kind.get("half-lives"):
        return sure, most
    milestone = world.milestone(kind["window"]["milestone"])
    assert milestone is not None
    if concept in HALF_LIVES:
        least, longest = (hours * kind["half-lives"] / 24 for hours in HALF_LIVES[concept])
        lives = milestone.last - timedelta(int(least)), milestone.first - timedelta(-int(-longest // 1))
    else:
        lives = milestone.last + timedelta(1), FAR_PAST
    longer = kind.get("whichever", "longer") == "longer"
    return (min(sure, lives[0]), min(most, lives[1])) if longer else (max(sure, lives[0]), max(most, lives[1]))


def not_taken(kind: Data, world: World, asked: Window, needed: int) -> Said:
    """The sure days are too few; whether the possible ones are too."""
    if asked.open:
        return unknown("pending-event")
    unnamed = [row for row in world.of("drug") if _any_drug(row, kind)]
    days: list[set[date]] = []
    for agent in kind["agents"]:
        name = agent["concept"]
        rows = [row for row in world.of("drug") if row.get("concept") == name and by_route(row, agent) is not False]
        may_be = [row for row in unnamed if by_route(row, agent) is not False]
        counts = day_counts(agent, kind, world)
        days.append({day for day in _possible(rows, agent, kind, world, asked) if counts(day) != NOT_MET})
        one = name not in OF_MANY  # what nobody can tell may be a product of which no half-life is listed
        days[-1] |= _possible(may_be, agent if one else {**agent, "concept": ""}, kind, world, asked)
    groups = days if kind.get("method") == "per-drug" else [set().union(*days)]
    if any(len(one) >= needed for group in groups for one in episodes(group, kind)):
        return Said(UNKNOWN)
    if not any(name in world.complete for name in MEDICATIONS) or not contact(world, _watched(kind, world, asked)):
        return unknown("no-record", *(["unmapped"] if unnamed else []))  # which of two gaps is named first is not laid down
    return said(NOT_MET, "absent")


def episodes(days: set[date], kind: Data) -> list[set[date]]:
    """All days as one; by `longest`, those that lie together, but for gaps that are bridged and not counted."""
    if kind.get("method") != "longest":
        return [days]
    gap = int(kind.get("gap", "0 d").split()[0])
    found: list[set[date]] = [set()]
    for day in sorted(days):
        if found[-1] and (day - max(found[-1])).days - 1 > gap:
            found.append(set())
        found[-1].add(day)
    return found


def _any_drug(row: Data, kind: Data) -> bool:
    """Taken, but of what nobody can tell."""
    named = [agent["concept"] for agent in kind["agents"]]
    return not known_as_another(row, named) and row.get("concept") not in named


def by_route(row: Data, agent: Data) -> bool | None:
    """Whether it was given by a route that counts; None where the route is not recorded."""
    if not agent.get("routes"):
        return True
    route = row.get("route") or OF_PRODUCT.get(row.get("concept", ""))
    return route in agent["routes"] if route else None


def day_counts(agent: Data, kind: Data, world: World) -> Callable[[date], str]:
    """Whether the dose of a day counts, over all records of the agent."""
    rows = [row for row in world.of("drug") if row.get("concept") == agent["concept"] and row.get("status") not in NOT_USED]
    told = [_told(row, agent, world, counted(row, kind)) for row in rows]
    weight = weight_of(kind, world)
    return lambda day: by_dose(agent, told, day, weight)


def _told(row: Data, agent: Data, world: World, is_counted: bool) -> Told:
    """An active order without an end is in force, whether or not it is followed."""
    sure, (first, last) = days_told(row, agent, world)
    today = world.as_of.last
    taken = sure if is_counted else NEVER
    holds = taken
    if is_counted and row.get("strength") == "ordered" and not row.get("end"):
        begin = world.time(row["start"])
        assert begin is not None
        holds = begin.last, today
    return Told(row, taken, holds, (first, min(last, today)))


def counted(row: Data, kind: Data) -> bool:
    """Where something must not have happened, an order alone proves nothing."""
    weakest = max(STRONGER.index(kind.get("strength", "ordered")), 1 if kind.get("absence") == "closed" else 0)
    return not row.get("flaw") and STRONGER.index(row.get("strength", "stated")) >= weakest


def days_told(row: Data, agent: Data, world: World) -> tuple[Stretch, Stretch]:
    """The sure and the possible days of a record; a single intake is its day, if that is known, and those that it lasts on.

    Where nothing tells up to when it was used, no day is sure.
    """
    at = world.time(row.get("time"))
    if at is not None:
        more = timedelta(max((one["days"] for one in agent.get("persists", ())), default=1) - 1)
        return (at.last, at.first + more), (at.first, at.last + more)
    days = use(row, world)
    return days.sure if row.get("end") or row.get("asserted") else NEVER, days.possible


def _possible(rows: Iterable[Data], agent: Data, kind: Data, world: World, asked: Window) -> set[date]:
    """Days of the window on which one of the records may tell of use."""
    low = back(agent["concept"], kind, world, asked)[1]
    high = min(max(day_of(ends.end, world.zone) for ends in asked.ends), world.as_of.last)
    found: set[date] = set()
    for row in rows:
        if row.get("status") not in NOT_USED:
            first, last = days_told(row, agent, world)[1]
            found |= set(every_day(max(first, low), min(last, high)))
    return found


def _watched(kind: Data, world: World, asked: Window) -> Window:
    """The window in which contact must be shown: as far back as the longest half-life of these drugs reaches, if that counts."""
    known = [HALF_LIVES[agent["concept"]][1] for agent in kind["agents"] if agent["concept"] in HALF_LIVES]
    if not kind.get("half-lives") or kind.get("whichever") == "shorter":
        return asked
    milestone = world.milestone(kind["window"]["milestone"])
    assert milestone is not None
    length = timedelta(-int(-max(known, default=F(0)) * kind["half-lives"] / 24 // 1))
    days = every_day(milestone.first, milestone.last)
    lows = [min(day_of(ends.start, world.zone), day - length) for ends, day in zip(asked.ends, days, strict=True)]
    found = (Ends(midnight(low, world.zone), ends.end) for low, ends in zip(lows, asked.ends, strict=True))
    return Window(tuple(found), asked.open, asked.as_of)
