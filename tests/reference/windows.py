"""Windows of the reference: where a time lies, for every moment that the milestone may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.reference.spans import FAR_PAST, Span, every_day, moved, of_days, span

Data = dict[str, Any]
IN, MAYBE, BEFORE, AFTER = "in", "maybe", "before", "after"


@dataclass(frozen=True)
class World:
    """One run: the chart's rows, the date, the milestones, the site's zone, and what was served."""

    rows: Sequence[Data]
    person: Data | None
    as_of: Span
    events: dict[str, Span]
    stand_ins: dict[str, str]
    zone: str
    complete: frozenset[str]
    broken: frozenset[str]
    decisions: dict[str, str]
    limits: tuple[tuple[str, str, str], ...]  # analyte, sex, upper limit in the canonical unit
    criteria: dict[str, Data]  # those with an id, by it

    def of(self, kind: str) -> list[Data]:
        return [row for row in self.rows if row["kind"] == kind]

    def milestone(self, name: str) -> Span | None:
        """Its date, or that of its stand-in; `screening` is the day of the run unless given."""
        if name in self.events:
            return self.events[name]
        if name == "screening":
            return self.as_of
        other = self.stand_ins.get(name)
        return self.milestone(other) if other else None

    def time(self, text: str | None) -> Span | None:
        return span(text, self.zone) if text else None


@dataclass(frozen=True)
class Ends:
    """A window for one moment of its milestone: both ends belong to it."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Window:
    """A window for all moments that its milestone may be, and whether days of it are still to come."""

    ends: tuple[Ends, ...]
    open: bool
    as_of: Span

    def place(self, time: Span) -> str:
        """Whether the time lies in it, surely or perhaps; nothing after the day of the run is ever used."""
        places = {_place(time, ends) for ends in self.ends}
        where = places.pop() if len(places) == 1 else MAYBE
        if time.start > self.as_of.end:
            return AFTER
        if where == IN and time.latest > self.as_of.end:
            return MAYBE
        return where


def _place(time: Span, ends: Ends) -> str:
    if time.latest < ends.start:
        return BEFORE
    if time.start > ends.end:
        return AFTER
    return IN if time.start >= ends.start and time.latest <= ends.end else MAYBE


def window(data: Data, world: World) -> Window | None:
    """The window, or None while its milestone has no date."""
    milestone = world.milestone(data.get("milestone", "screening"))
    if milestone is None:
        return None
    before, after = data.get("before", "all"), data.get("after", "0 d")
    if before.endswith(" h") or after.endswith(" h"):
        ends = _hours(milestone, before, after)
    else:
        days = [(moved(day, before, -1), moved(day, after, 1)) for day in every_day(milestone.first, milestone.last)]
        spans = [of_days(first, last, world.zone) for first, last in days]
        ends = [Ends(one.start, one.end) for one in spans]
    return Window(tuple(ends), any(one.end > world.as_of.end for one in ends), world.as_of)


def _hours(milestone: Span, before: str, after: str) -> list[Ends]:
    """The windows of the first and of the last instant that the milestone may be; those between lie between them."""
    back, on = _hours_in(before), _hours_in(after)
    return [Ends(at - back, at + on) for at in (milestone.start, milestone.latest)]


def _hours_in(length: str) -> timedelta:
    number, unit = length.split()
    return timedelta(hours=int(number) * {"h": 1, "d": 24}[unit])


def until(time: Span) -> Span:
    """Any time up to this one: what a record without its own time allows."""
    past = of_days(FAR_PAST + timedelta(7), time.last, "UTC")
    return Span(past.first, time.last, past.start, time.end)
