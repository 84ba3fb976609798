"""Sets of calendar days as closed intervals: united, subtracted, joined into episodes, measured against calendar spans."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from enum import IntEnum
from operator import itemgetter

from fhir_elig.times import Span, Unit, parse_span

Stretch = tuple[int, int]
Days = list[Stretch]  # closed intervals of calendar days, sorted and apart


def union(spans: Iterable[Stretch]) -> Days:
    """Closed day intervals, joined where they touch or overlap."""
    ordered = sorted(spans)
    if len(ordered) < 2:
        return ordered
    joined: Days = []
    for first, last in ordered:
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def touching(days: Days, first: int, last: int) -> Days:
    """The stretches that hold a day from `first` to `last`; found without a look at all of them."""
    start = bisect_left(days, first, key=itemgetter(1))
    end = start
    while end < len(days) and days[end][0] <= last:
        end += 1
    return days[start:end]


def subtract(days: Days, other: Days) -> Days:
    """The days of the first that are not in the second."""
    left: Days = []
    for first, last in days:
        for begin, end in touching(other, first, last):
            if begin > first:
                left.append((first, begin - 1))
            first = end + 1
        if first <= last:
            left.append((first, last))
    return left


def common(days: Days, other: Days) -> Days:
    """The days that are in both."""
    return [(max(a, c), min(b, d)) for a, b in days for c, d in touching(other, a, b)]


def bridge(days: Days, gap: Span | None) -> list[Days]:
    """Stretches grouped into episodes: gaps of up to that many days join two; the days between are not covered."""
    allowed = 0 if gap is None else span_days(gap)[1]
    episodes: list[Days] = []
    for first, last in days:
        if episodes and first - episodes[-1][-1][1] - 1 <= allowed:
            episodes[-1].append((first, last))
        else:
            episodes.append([(first, last)])
    return episodes


# The fewest and most days that n calendar months hold, wherever they begin.
_MONTHS = {
    1: (28, 31),
    2: (59, 62),
    3: (89, 92),
    4: (120, 123),
    5: (150, 153),
    6: (181, 184),
    7: (212, 215),
    8: (242, 245),
    9: (273, 276),
    10: (303, 306),
    11: (334, 337),
}


def span_days(span: Span) -> tuple[int, int]:
    """How many days a span holds, at least and at most."""
    match span.unit:
        case Unit.DAY:
            return span.count, span.count
        case Unit.WEEK:
            return 7 * span.count, 7 * span.count
        case Unit.HOUR:
            return span.count // 24, -(-span.count // 24)
        case Unit.MONTH:
            years, months = divmod(span.count, 12)
            few, many = _MONTHS.get(months, (0, 0))
            return few + 365 * years, many + 365 * years + -(-years // 4)
    return 365 * span.count, 365 * span.count + -(-span.count // 4)


def clip(days: Days, low: int, high: int) -> Days:
    """The days from `low` to `high`."""
    return [
        (first if first > low else low, last if last < high else high)
        for first, last in days
        if low <= last >= first <= high >= low
    ]


class Enough(IntEnum):
    """Whether days suffice: no, on the border of what calendar months are, yes."""

    NO = 0
    BORDER = 1
    YES = 2


def long_enough(days: Days, more_than: str | None, at_least: str | None) -> Enough:
    """Whether covered days are more than (at least) the span, counted inclusively; months by the calendar."""
    span = parse_span(more_than or at_least or "")
    if span is None or not days:
        return Enough.NO
    shortest, longest = span_days(span)
    total, short = 0, 0 if more_than is not None else 1
    for first, last in days:
        total += last - first + 1
        if last - first >= shortest - short and last >= span.shift(first, 1) - short:
            return Enough.YES
    if total > longest or (at_least is not None and total >= longest):
        return Enough.YES
    return Enough.BORDER if total > shortest - short and len(days) > 1 else Enough.NO


CLIPPED = 3  # days that a window of calendar months may move on by beyond those that pass: a month before 28 February and 1 March


def to_spare(days: Days, more_than: str | None, at_least: str | None) -> int:
    """How many of these days may go, whichever they are, and the others are still long enough; negative if that is not sure."""
    span = parse_span(more_than or at_least or "")
    needed = span_days(span)[1] + (more_than is not None) if span is not None else 0
    return sum(last - first + 1 for first, last in days) - needed
