"""Events before the results that another criterion used: for each of the results that may be the one."""

from __future__ import annotations

from dataclasses import replace

from tests.reference import events
from tests.reference.events import MEDICATIONS, may_be, one_record
from tests.reference.results import may_be_latest, of_window, value
from tests.reference.said import MET, NOT_MET, UNKNOWN, Said, one_for_all, said, unknown
from tests.reference.spans import FAR_PAST, Span, day_of, of_days
from tests.reference.windows import Data, Window, World, window


def event(kind: Data, world: World) -> Said:
    """Present in any of its windows is present; else what is not known of one is not known of all."""
    found = events.event(kind, world)
    for name in kind.get("of-results", ()):
        other = _before(world.criteria[name]["value"], kind, world)
        if found.verdict != MET and (other.verdict == MET or (other.verdict == UNKNOWN and found.verdict == NOT_MET)):
            found = other
        elif found.verdict == UNKNOWN and other.verdict == UNKNOWN:
            found = Said(UNKNOWN)  # which of two is named is not laid down
    return found


def _before(used: Data, kind: Data, world: World) -> Said:
    """Before the latest result of the other criterion, whichever that is."""
    asked = window(used.get("window", {}), world)
    rows = [row for row in world.of("result") if row.get("concept") in used["concepts"]] if asked else []
    inside = [one for row in rows for one in of_window(row, used, world, asked)] if asked else []
    told = value(used, world)
    if not inside or "Observation" in world.broken:
        return _at(_possible(asked, world), kind, world, sure=False)
    found = [_at(one.time, kind, world, sure=told.verdict != UNKNOWN) for one in may_be_latest(inside)]
    if told.verdict == UNKNOWN:  # perhaps none was used
        found.append(_at(_possible(asked, world), kind, world, sure=False))
    whole = one_for_all(found)
    return Said(UNKNOWN) if whole.verdict == UNKNOWN else whole


def _possible(asked: Window | None, world: World) -> Span:
    """Every time at which there could be a result."""
    first = min((day_of(ends.start, world.zone) for ends in asked.ends), default=FAR_PAST) if asked else FAR_PAST
    return of_days(first, max(first, world.as_of.last), world.zone)


def _at(time: Span, kind: Data, world: World, sure: bool) -> Said:
    """Whether there was such an event in the days before a result of that time."""
    ever = (time.last - time.first).days > 400  # surely before it lies nothing
    milestone = world.as_of if ever else time
    before = "all" if ever else kind["window"]["before"]
    around = window({"milestone": "the result", "before": before}, replace(world, events={"the result": milestone}))
    assert around is not None
    rows = [*world.of("procedure"), *world.of("drug")]
    found = {one_record(row, kind, world, around) for row in rows}
    if MET in found:
        return said(MET, "present") if sure and not ever else Said(UNKNOWN)
    if found - {""} or any(may_be(row, kind, world, around) for row in rows):
        return Said(UNKNOWN)
    if kind.get("absence") != "closed":
        return unknown("not-found")
    procedures = not kind.get("procedures") or "Procedure" in world.complete
    drugs = not kind.get("medications") or any(name in world.complete for name in MEDICATIONS)
    return said(NOT_MET, "absent") if procedures and drugs else unknown("no-record")
