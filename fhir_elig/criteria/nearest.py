"""The inputs of a formula: which results stand beside one, how near they must lie, and what they say."""

from __future__ import annotations

import msgspec
from pydantic import Field

from fhir_elig import times
from fhir_elig.criteria.base import Model, Reach
from fhir_elig.criteria.context import Context, Frame
from fhir_elig.criteria.limits import show
from fhir_elig.criteria.select import RESTRICTED_ABSENCE, evidence_of, interpret
from fhir_elig.quantity import Analyte, Interval, Reading
from fhir_elig.record import Counts, Result
from fhir_elig.times import When
from fhir_elig.verdict import Evidence, Reason

SAME_TIME = "same-time"


class Input(Model):
    """Where one input of a formula comes from: its concepts, and how near to the first input it must lie."""

    concepts: tuple[str, ...]
    within: Reach | None = Field(
        None, description="At most this far from the first input, either side; same-time: of one specimen or recording"
    )
    supporting: tuple[str, ...] = Field((), description="Concepts that are listed beside it, and never used")


def analyte_of(source: Input, result: Result, context: Context) -> Analyte:
    held = context.concepts.held_by(result.codes)
    name = next(name for name in source.concepts if name in held)
    return context.concepts.analytes[context.concepts.by_name[name].analyte]


Days = tuple[int, int] | None  # the first and the last day; None for any


_FURTHER = (2, 60, 10**9)  # days


class Near(msgspec.Struct):
    """A result beside another one: how near and how far it may lie, in days, and whether it surely lies within reach."""

    result: Result
    when: When
    closest: int
    farthest: int
    sure: bool


def nearest(source: Input, to: Result, frame: Frame, context: Context) -> Reading | list[tuple[Interval, Evidence]]:
    """The results nearest in time to another one; of two that lie as near, the earlier; a reason if none can be read."""
    time = to.time
    if time is None:
        return Reading(reason=Reason.IMPRECISE_DATE)
    facts, within = context.facts, _within(source, time)
    found = _around(source, to, time, within, frame, context)
    if not found:
        counts = facts.said(source.concepts)
        waiting = Reason.NOT_FINAL if Counts.NOT_FINAL in counts else Reason.NOT_FOUND
        return Reading(reason=Reason.TOO_OLD if Counts.YES in counts else waiting)
    reach = min((one.farthest for one in found if one.sure), default=None)
    if reach is None:
        return Reading(reason=Reason.IMPRECISE_DATE)
    nearest = [one for one in found if one.closest <= reach]
    if time.one_day and any(one.when.one_day and _is_first(one, reach, time) for one in nearest):
        nearest = [one for one in nearest if one.closest < reach or one.when.first <= time.first]
    return _read_nearest(source, _by_the_clock(nearest, time), context)


def _within(source: Input, time: When) -> Days:
    """The days that are near enough to a result of that time."""
    if source.within == SAME_TIME:
        return time.first, time.last
    span = times.parse_span(source.within or "")
    return None if span is None else (span.shift(time.first, -1), span.shift(time.last, 1))


def _around(source: Input, to: Result, time: When, within: Days, frame: Frame, context: Context) -> list[Near]:
    """What may lie near; without a reach it is looked for further and further off, so that a long history stays cheap."""
    for days in _FURTHER if within is None else (0,):
        first, last = within or (time.first - days, time.last + days)
        beside = context.facts.beside(source.concepts, first, last)
        found = [one for result in beside for one in _near(source, result, to, time, within, frame, context)]
        if any(one.sure and one.farthest <= days for one in found):
            break
    return found


def together(one: Result, other: Result) -> bool:
    """Whether two results are of one specimen or recording: one day or instant for both, and the same specimen. Of two without
    a time they may be."""
    first, second = one.time, other.time
    if first is None or second is None:
        return first is second and one.specimen == other.specimen
    if not first.one_day:
        return False
    return (first.start, first.end) == (second.start, second.end) and one.specimen == other.specimen


def _near(source: Input, result: Result, to: Result, time: When, within: Days, frame: Frame, context: Context) -> list[Near]:
    when = result.time or context.as_of.until()  # without a time it may be the nearest
    unsaid = result.value is None or bool(result.absent)
    if result.counts is not Counts.YES or (unsaid and result.absent not in RESTRICTED_ABSENCE):
        return []
    context.mark_around(when)
    if when.start >= context.as_of.end or when.first > frame.high.last:
        return []
    if source.within == SAME_TIME and not together(result, to):
        return []
    low, high = within or (-1, 10**9)
    if when.last < low or when.first > high:
        return []
    farthest = max(when.last - time.first, time.last - when.first)
    closest = max(0, when.first - time.last, time.first - when.last)
    latest = min(high, _milestone_from(time, frame), context.as_of.last)  # whenever the milestone is, it is not dated after it
    return [Near(result, when, closest, farthest, low <= when.first and when.last <= latest)]


def _milestone_from(time: When, frame: Frame) -> int:
    """The first day that the milestone may be, where a result of that time lies in the window."""
    bounds, high = frame.bounds, frame.high
    ends_there = bounds.high_late == (high.until_instant if bounds.exact_high else high.last)
    return max(high.first, time.first) if ends_there else high.first


def _is_first(one: Near, reach: int, time: When) -> bool:
    """Whether it is surely there, as far off as the nearest one that is, and the earlier of two that lie so far off."""
    return one.sure and one.closest == reach and one.when.first <= time.first


def _by_the_clock(nearest: list[Near], time: When) -> list[Near]:
    """Of results that lie as near by the calendar, the nearest by the clock, where every time is written with its hour; those
    that are nearer than any that is surely there stay too."""
    if any(when.end - when.start > 3_600_000_000 for when in (time, *(one.when for one in nearest))):
        return nearest
    least = min(abs(one.when.start - time.start) for one in nearest if one.sure)
    return [one for one in nearest if abs(one.when.start - time.start) <= least]


def _read_nearest(source: Input, nearest: list[Near], context: Context) -> Reading | list[tuple[Interval, Evidence]]:
    read = []
    for one in nearest:
        analyte = analyte_of(source, one.result, context)
        hidden = Reading(reason=Reason.RESTRICTED) if one.result.absent else None
        reading = hidden or interpret(one.result, analyte, context)
        if reading.interval is None:
            return reading
        shown = show(reading.interval, analyte.canonical)
        read.append((reading.interval, evidence_of(one.result, compared=shown, note=analyte.name)))
    return read
