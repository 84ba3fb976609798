"""Whether a condition or a medication lasted into a window, as far as its dates tell."""

from __future__ import annotations

from enum import StrEnum

from fhir_elig import times
from fhir_elig.criteria.context import Context, Frame
from fhir_elig.record import Medication, Problem, Strength
from fhir_elig.times import ALWAYS, When
from fhir_elig.windows import AFTER, BEFORE, INSIDE, PARTLY, Place

NOW = frozenset({"active", "recurrence", "relapse"})


class Overlap(StrEnum):
    """Whether a condition's time overlaps a window."""

    SURE = "sure"
    PERHAPS = "perhaps"
    STALE = "stale"
    NONE = "none"


def overlap_of(problem: Problem, frame: Frame, stale: times.Span | None, context: Context) -> Overlap:
    """From onset (or, without one, the recorded date) to abatement; an open one lasts until `as_of`, not beyond."""
    began = problem.onset or (problem.recorded.until() if problem.recorded else context.as_of.until())
    (low_late, high_early), (low_early, high_late) = frame.bounds.days(context.run.time_zone)
    today = context.as_of.last
    ended = problem.abated
    unknown_end = (
        ended is ALWAYS
        or (ended is not None and ended.first == ALWAYS.first)
        or (ended is None and problem.clinical not in NOW and bool(problem.clinical))
    )
    first_end, last_end = (
        (began.first, today)
        if unknown_end
        else (today, today)
        if ended is None
        else (min(ended.first, today), min(ended.last, today))
    )
    context.mark_around(began)
    if unknown_end or ended is not None:
        context.mark_leaving(began if unknown_end or ended is None else ended, frame)
    if began.first > min(high_late, today) or last_end < low_early:
        return Overlap.NONE
    if not (began.last <= min(high_early, today) and first_end >= low_late):
        return Overlap.PERHAPS
    if ended is None and stale is not None:
        if _forgotten(problem, low_late, stale):
            return Overlap.STALE
        _mark_forgotten(problem, frame, stale, context)
    return Overlap.SURE


def _mark_forgotten(problem: Problem, frame: Frame, stale: times.Span, context: Context) -> None:
    """The day on which an open condition may become too old to be believed open; it is looked at anew on that day."""
    known = [when.first for when in (problem.onset, problem.recorded) if when is not None]
    if known and frame.floating and frame.before is not None:
        day = frame.before.shift(stale.shift(max(known), 1), 1) - (2 if frame.bounds.exact_low else 0)
        context.mark(max(day, context.as_of.last + 1))


def _forgotten(problem: Problem, low: int, stale: times.Span) -> bool:
    """Whether the last that is known of it may lie that long before the window; what has no date may."""
    known = [when.first for when in (problem.onset, problem.recorded) if when is not None]
    return max(known, default=ALWAYS.first) < stale.shift(low, -1)


def last_known(medication: Medication, context: Context) -> When:
    """How long a record without an end may tell of use: an order that is not active speaks of its own day only."""
    over = medication.strength is Strength.ORDERED and medication.status != "active"
    return medication.start if over and medication.start is not None else context.as_of


def in_window(medication: Medication, frame: Frame | None, context: Context) -> bool:
    """Whether a medication's days may touch the window."""
    if frame is None:
        return True
    start = medication.start or ALWAYS
    context.mark_around(start)
    end = medication.end or last_known(medication, context)
    span = start.hull(end) if end.end > start.start else start
    if end is not context.as_of:
        context.mark_leaving(span, frame)
    _, (low, high) = frame.bounds.days(context.run.time_zone)
    return span.first <= high and span.last >= low and span.first <= context.as_of.last


def given_in(medication: Medication, frame: Frame, context: Context) -> tuple[Place, When]:
    """Whether use surely, perhaps or surely not fell into a window."""
    start = medication.start or context.as_of.until()
    place = context.place(medication.start, frame)
    if place is INSIDE or (medication.single and not _lasts(medication, start)):
        return (BEFORE if place is AFTER else place), start
    if place is AFTER:
        return BEFORE, start
    end = medication.end or last_known(medication, context)
    whole = start.hull(end) if end.end > start.start else start
    last_sure = medication.end or medication.certain_until
    for when in (medication.end, last_sure):
        if when is not None:
            context.mark_leaving(when, frame)
    if frame.bounds.place(end) is BEFORE:
        return BEFORE, whole
    began = medication.start is not None  # else it may have begun on any day
    reaches = began and last_sure is not None and _reach(start, last_sure, frame, context)
    return (INSIDE if reaches else PARTLY), whole


def _lasts(medication: Medication, start: When) -> bool:
    """Whether one intake took its time: an infusion over days, or one of which no end is told."""
    given = medication.strength is Strength.ADMINISTERED and medication.start is not None
    return given and (medication.end is None or medication.end.end > start.end)


def _reach(start: When, last: When, frame: Frame, context: Context) -> bool:
    """Whether what lasted from one time to the other surely reached into the window, whenever its milestone is.

    It began at the latest when it is known to have lasted, and lasted at least until it began.
    """
    bounds, today = frame.bounds, context.as_of
    reached = _later(last, start, today, bounds.exact_low)
    begun = min(start.until_instant, last.until_instant) if bounds.exact_high else min(start.last, last.last)
    if min(start.last, last.last) > today.last:
        return False
    return (bounds.low_late is None or reached >= bounds.low_late) and (bounds.high_early is None or begun <= bounds.high_early)


def _later(last: When, start: When, today: When, exact: bool) -> int:
    """The later of two times at its earliest, but not after today."""
    if exact:
        return min(max(last.start, start.start), today.until_instant)
    return min(max(last.first, start.first), today.last)
