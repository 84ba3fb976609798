"""The days that a medication record covers.

`start` and `end` are intervals: the use begins and ends somewhere within them, so the days from the last of `start` to the first
of `end` are certain and those from the first of `start` to the last of `end` are possible. `end` is None where use may go on;
`certain_until` is the last day that the record itself vouches for.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fhir_elig.adapters.dosage import bounds
from fhir_elig.adapters.moments import after_days, calendar_unit, day_before, day_count, earliest, events, onward
from fhir_elig.adapters.shapes import Context, Resource, when
from fhir_elig.times import When

GOING_ON, ENDED, HELD = "going-on", "ended", "held"


class Course(msgspec.Struct, frozen=True):
    """When use began, when it ended, up to when it is vouched for."""

    start: When | None = None
    end: When | None = None
    certain_until: When | None = None


class _Edges(msgspec.Struct, frozen=True):
    """The two ends of a period as sent. `open` means that no end was written, so that it may go on."""

    start: When | None
    end: When | None
    open: bool
    point: bool = False


def _edges(resource: Resource, stem: str, context: Context) -> _Edges:
    """Of a choice element: a dateTime, a Period or a Timing of events."""
    period, timing = resource.get(f"{stem}Period"), resource.get(f"{stem}Timing")
    if period is not None:
        return _period(period, context)
    if timing is not None:
        times = events(timing, context)
        # Between two events nothing is certain: the end lies anywhere from the first to the last.
        return _Edges(times[0], times[0].hull(times[-1]), False, len(times) == 1) if times else _Edges(None, None, False)
    time = when(resource.get(f"{stem}DateTime"), context)
    return _Edges(time, time, False, time is not None)


def _period(period: Any, context: Context) -> _Edges:
    start, end = when(period.get("start"), context), when(period.get("end"), context)
    if start is not None and end is not None and end.before(start):
        start = end = end.hull(start)  # ends before it starts: somewhere in between, and no day is certain
    elif start is None and end is not None:
        start = end.until()
    return _Edges(start, end, "end" not in period)


def _updated(resource: Resource, context: Context) -> When | None:
    return when((resource.get("meta") or {}).get("lastUpdated"), context)


def stated(resource: Resource, state: str, context: Context) -> Course:
    """A MedicationStatement: effective[x]. It vouches for use up to the day on which it was asserted."""
    asserted = when(resource.get("dateAsserted"), context) or _updated(resource, context)
    return _reported(_edges(resource, "effective", context), asserted, state, context)


def _reported(edges: _Edges, asserted: When | None, state: str, context: Context) -> Course:
    start, end = edges.start, edges.end
    if start is None:
        return _undated(asserted, state)
    if edges.point:  # the day on which it was in use
        end = None
    if state == GOING_ON:
        if edges.point or (end is None and not edges.open):
            return Course(start, None, start)
        if end is None:
            return Course(start, None, asserted or start)
        return Course(start, end, asserted if asserted is not None and asserted.last < end.first else None)
    known = None if asserted is None or asserted.before(start) else asserted
    if state == ENDED:
        end = end or (start.hull(known) if known else None)
    elif known is not None:
        held = start.hull(day_before(known, context))
        end = earliest(end, held) if end else held
    else:
        end = start.hull(end) if end else None
    return Course(start, end, None if end else start)


def _undated(asserted: When | None, state: str) -> Course:
    """Without a date of its own: in use on the day of the assertion, or at some time before it."""
    if asserted is None:
        return Course()
    before = asserted.until()
    return Course(before, None, asserted) if state == GOING_ON else Course(before, before)


def ordered(resource: Resource, dosages: list[Any], state: str, context: Context, reported: bool = False) -> Course:
    """A MedicationRequest: the validity period, else the dosage's bounds, else the day of the order alone."""
    authored = when(resource.get("authoredOn"), context)
    supply = resource.get("dispenseRequest") or {}
    valid = _period(supply.get("validityPeriod") or {}, context)
    planned = bounds(dosages, valid.start or (None if reported else authored), context)
    start, end = valid.start or planned.start, valid.end or planned.end
    if reported:
        return _reported(_Edges(start, end, valid.open and not planned.vague), authored, state, context)
    start = start or authored
    if start is None:
        return Course(end.until(), end, end.until()) if end is not None else Course()
    if end is not None and end.before(start):
        start = end = end.hull(start)
    vague = planned.vague and valid.end is None
    if state != GOING_ON:
        end = _cut(resource, start, end, state, context)
    return Course(start, end, start if end is None or vague else None)


def _cut(resource: Resource, start: When, end: When | None, state: str, context: Context) -> When | None:
    """The end of an order that was stopped or is on hold, as far as it is dated; it is never later than planned."""
    changed, updated = when(resource.get("statusChanged"), context), _updated(resource, context)
    if changed is not None:
        cut = changed if state == ENDED else day_before(changed, context)
        cut = cut if start.before(changed) else start.hull(changed)
    elif updated is not None and start.before(updated):
        cut = start.hull(updated)
    elif end is not None:
        cut = start.hull(end)
    else:
        return end
    return cut if end is None else earliest(cut, end)


def dispensed(resource: Resource, context: Context) -> Course:
    """A MedicationDispense: from the hand-over, as many days as the supply lasts, the first one included."""
    handed = when(resource.get("whenHandedOver"), context)
    if handed is None:
        prepared = when(resource.get("whenPrepared"), context)
        return Course() if prepared is None else Course(onward(prepared))
    supply = resource.get("daysSupply")
    days = _supply(supply) if supply else None
    return Course(handed, after_days(handed, *days, context)) if days else Course(handed, None, handed)


def _supply(value: Resource) -> tuple[int, int] | None:
    """Days of supply; the unit may be left out, since the element says days."""
    bare = not value.get("unit") and not value.get("code")
    if not bare and not calendar_unit(value):
        return None
    return day_count({**value, "unit": "d"} if bare else value)


def administered(resource: Resource, context: Context) -> Course:
    """A MedicationAdministration: its moment or its span; R5 spells the element `occurence`."""
    found = (_edges(resource, stem, context) for stem in ("effective", "occurence", "occurrence"))
    edges = next((one for one in found if one.start is not None), None)
    if edges is None:
        return Course()
    return Course(edges.start, edges.end, edges.start if edges.end is None else None)
