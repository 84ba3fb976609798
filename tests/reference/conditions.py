"""Conditions: recorded at any time, or with a time that reaches into a window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from tests.reference import hints
from tests.reference.absence import FLAWS, absent, known_as_another
from tests.reference.said import MET, Said, said, unknown
from tests.reference.spans import FAR_PAST, day_of, moved
from tests.reference.windows import AFTER, IN, MAYBE, Data, Window, World, window

UNSURE = ("unconfirmed", "provisional", "differential")
DROPPED = ("refuted", "entered-in-error")
NOW = ("active", "recurrence", "relapse")
OVER = ("inactive", "remission", "resolved")
STALE = "stale"


@dataclass(frozen=True)
class Lasting:
    """When a condition began and ended: the first and last day that each may be."""

    begin: tuple[date, date]
    end: tuple[date, date]
    open: bool
    known: date | None


def condition(kind: Data, world: World) -> Said:
    asked = window(kind["window"], world) if kind.get("window") else None
    if kind.get("window") and asked is None:
        return unknown("pending-event")
    rows = [row for row in world.of("condition") if row.get("verification", "") not in DROPPED and not later(row, world)]
    reasons: set[str] = set()
    for row in rows:
        found = one_record(row, kind, world, asked)
        if MET in found:
            return said(MET, "present")
        reasons |= found
    gap = any(_gap(row, kind, world, asked) for row in rows)
    return _without(kind, world, asked, reasons, gap)


def later(row: Data, world: World) -> bool:
    """Dated after the day of the run: it is not used."""
    dated = [world.time(row[key]) for key in ("onset", "recorded") if row.get(key)]
    return any(one is not None and one.start > world.as_of.end for one in dated)


def _without(kind: Data, world: World, asked: Window | None, reasons: set[str], gap: bool) -> Said:
    """No record of it is sure."""
    needed = {"Condition", *(["Observation"] if kind.get("hint-results") else [])}
    lost = {"incomplete"} if needed & world.broken else set()
    if reasons or lost:
        return unknown(*reasons, *lost, *(["unmapped"] if gap else []), *(["pending-event"] if asked and asked.open else []))
    if asked is not None and asked.open:
        return unknown("pending-event", *(["unmapped"] if gap else []), "no-record", "not-found", "needs-person")
    hint = hints.hinted(kind, world, asked)
    if hint:
        return unknown(*hint, *(["unmapped"] if gap else []))
    return absent(kind, world, asked, "Condition" in world.complete, gap)


def one_record(row: Data, kind: Data, world: World, asked: Window | None) -> set[str]:
    """What one record says: `met`, or all that keeps it from saying so, or nothing."""
    concept = row.get("concept")
    if concept not in (*kind["concepts"], *kind.get("perhaps", ())):
        return set()
    where = IN if asked is None else reaches(row, world, asked, kind.get("stale"))
    if where == AFTER:
        return set()
    doubts = {FLAWS[row["flaw"]]} if row.get("flaw") else set()
    doubts |= {"needs-person"} if concept not in kind["concepts"] or where == STALE else set()
    doubts |= {"unconfirmed"} if row.get("verification") in UNSURE else set()
    doubts |= {"imprecise-date"} if where == MAYBE else set()
    return doubts or {MET}


def _gap(row: Data, kind: Data, world: World, asked: Window | None) -> bool:
    """A record in the window that may be anything."""
    named = [*kind["concepts"], *kind.get("perhaps", ()), *kind.get("not-these", ())]
    if row.get("concept") in named or known_as_another(row, kind["concepts"]):
        return False
    return asked is None or reaches(row, world, asked, None) != AFTER


def lasting(row: Data, world: World) -> Lasting:
    onset, recorded, today = world.time(row.get("onset")), world.time(row.get("recorded")), world.as_of.last
    begin = (onset.first, onset.last) if onset is not None else (FAR_PAST, (recorded or world.as_of).last)
    known = [one.first for one in (onset, recorded) if one is not None]
    ended = row.get("abated")
    if ended and ended != "?":
        end = world.time(ended)
        assert end is not None
        return Lasting(begin, (min(end.first, today), min(end.last, today)), False, None)
    if ended == "?" or row.get("clinical") in OVER:
        return Lasting(begin, (begin[0], today), False, max(known, default=None))
    return Lasting(begin, (today, today), True, max(known, default=None))


def reaches(row: Data, world: World, asked: Window, stale: str | None) -> str:
    """Whether it lasted into the window: surely (`in`), perhaps (`maybe`), not (`after`), or open and long forgotten."""
    time = lasting(row, world)
    low = [_day(ends.start, world) for ends in asked.ends]
    high = [min(_day(ends.end, world), world.as_of.last) for ends in asked.ends]
    if time.begin[0] > max(high) or time.end[1] < min(low):
        return AFTER
    if not (time.begin[1] <= min(high) and time.end[0] >= max(low)):
        return MAYBE
    if stale and time.open and (time.known or FAR_PAST) < moved(max(low), stale, -1):
        return STALE
    return IN


def _day(at: datetime, world: World) -> date:
    return day_of(at, world.zone)
