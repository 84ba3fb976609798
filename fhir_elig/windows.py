"""Windows that hang on milestones, and where a time lies against them.

A side that is counted in hours compares instants, one that is counted in days compares calendar days; a window may have one
of each. Both ends are inclusive.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from fhir_elig.times import FIRST_DAY, LAST_DAY, Span, When, day_of


class Place(Enum):
    """Where a time lies against a window."""

    INSIDE = "inside"
    BEFORE = "before"
    AFTER = "after"
    PARTLY = "partly"


INSIDE, BEFORE, AFTER, PARTLY = Place.INSIDE, Place.BEFORE, Place.AFTER, Place.PARTLY


class Bounds(msgspec.Struct, frozen=True, gc=False):
    """A window around a dated milestone: each side in calendar days, or in instants where it is `exact`.

    The window surely holds `[low_late, high_early]` and possibly `[low_early, high_late]`: they differ where the milestone's
    own time is not exact. None is an open end. Days are compared as days, whatever the hours: else a result known to the day
    would lie inside, and its hour, once known, outside.
    """

    exact_low: bool
    exact_high: bool
    low_early: int | None
    low_late: int | None
    high_early: int | None
    high_late: int | None

    def place(self, when: When) -> Place:
        from_low, to_high = when.first, when.last
        from_high, to_low = from_low, to_high
        if self.exact_low:
            from_low, to_low = when.start, when.until_instant
        if self.exact_high:
            from_high, to_high = when.start, when.until_instant
        if self.low_early is not None and to_low < self.low_early:
            return BEFORE
        if self.high_late is not None and from_high > self.high_late:
            return AFTER
        after_low = self.low_late is None or from_low >= self.low_late
        return INSIDE if after_low and (self.high_early is None or to_high <= self.high_early) else PARTLY

    def days(self, zone: str) -> tuple[tuple[int, int], tuple[int, int]]:
        """The calendar days that lie wholly and surely in the window, and those that may lie in it at least in part.

        Each as first and last day; where no day lies surely in it the first pair is empty: its last day is before its first.
        """
        low_early, low_late, high_early, high_late = self.low_early, self.low_late, self.high_early, self.high_late
        if self.exact_low and low_early is not None and low_late is not None:
            low_early, low_late = day_of(low_early, zone), day_of(low_late - 1, zone) + 1
        if self.exact_high and high_early is not None and high_late is not None:
            high_early, high_late = day_of(high_early + 1, zone) - 1, day_of(high_late, zone)
        sure = FIRST_DAY if low_late is None else low_late, LAST_DAY if high_early is None else high_early
        return sure, (FIRST_DAY if low_early is None else low_early, LAST_DAY if high_late is None else high_late)


def window_bounds(milestone: When, before: Span | None, after: Span | None) -> Bounds:
    """The window from `before` that milestone to `after` it; None is an open end, a span of 0 is the milestone itself.

    A side counted in hours is an instant, else a calendar day. A side of 0 that is not given in hours is counted as the other.
    """
    exact_low = _exact(before, after)
    exact_high = _exact(after, before)
    low = _shifted(milestone, before, -1, exact_low)
    high = _shifted(milestone, after, 1, exact_high)
    return Bounds(exact_low, exact_high, *low, *high)


def _exact(side: Span | None, other: Span | None) -> bool:
    return side is not None and (side.exact or (side.count == 0 and other is not None and other.exact))


def _shifted(milestone: When, span: Span | None, sign: int, exact: bool) -> tuple[int | None, int | None]:
    """The earliest and the latest that this side of the window may be."""
    if span is None:
        return None, None
    if exact:
        shift = sign * span.micros()
        return milestone.start + shift, milestone.until_instant + shift
    return span.shift(milestone.first, sign), span.shift(milestone.last, sign)
