"""Days and stretches of them: what is done with sets of days by their ends is what sets of days give, and how long is long enough."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from itertools import combinations, product

import pytest

from fhir_elig.criteria.days import Days, Enough, bridge, clip, common, long_enough, span_days, subtract, touching, union
from fhir_elig.times import parse_span

STRETCHES = [(first, last) for first in range(5) for last in range(first, 5)]
SETS = [union(chosen) for count in range(4) for chosen in combinations(STRETCHES, count)]
APART = sorted({tuple(days) for days in SETS})


def each(days: Days) -> set[int]:
    return {day for first, last in days for day in range(first, last + 1)}


def stretches(days: set[int]) -> Days:
    """The days as stretches that do not touch."""
    firsts = sorted(day for day in days if day - 1 not in days)
    lasts = sorted(day for day in days if day + 1 not in days)
    return list(zip(firsts, lasts, strict=True))


def test_stretches_are_joined_where_they_touch_or_overlap() -> None:
    for chosen in combinations(STRETCHES, 3):
        assert union(reversed(chosen)) == stretches(each(list(chosen)))


LAWS: list[tuple[Callable[[Days, Days], Days], Callable[[set[int], set[int]], set[int]]]] = [
    (subtract, set.difference),
    (common, set.intersection),
]


@pytest.mark.parametrize(("by_ends", "by_days"), LAWS)
def test_two_sets_of_days(by_ends: Callable[[Days, Days], Days], by_days: Callable[[set[int], set[int]], set[int]]) -> None:
    for one, other in product(APART, repeat=2):
        assert stretches(each(by_ends(list(one), list(other)))) == stretches(by_days(each(list(one)), each(list(other))))


def test_days_are_cut_and_found_by_both_ends() -> None:
    for days, low, high in product(APART, range(5), range(5)):
        assert clip(list(days), low, high) == stretches(each(list(days)) & set(range(low, high + 1)))
        if low <= high:
            assert touching(list(days), low, high) == [part for part in days if part[0] <= high and part[1] >= low]


def test_a_gap_of_that_many_days_joins_and_one_more_parts() -> None:
    days = [(0, 1), (32, 33), (65, 66)]
    assert bridge(days, parse_span("30 d")) == [[(0, 1), (32, 33)], [(65, 66)]]
    assert bridge(days, parse_span("31 d")) == [days]
    assert bridge(days, None) == [[part] for part in days]
    assert bridge([(0, 1), (2, 3)], None) == [[(0, 1), (2, 3)]]


SPANS = ["1 d", "30 d", "4 wk", *(f"{count} mo" for count in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 18)), "1 a", "2 a"]
STARTS = range(date(2023, 1, 1).toordinal(), date(2024, 12, 31).toordinal(), 3)


@pytest.mark.parametrize("text", SPANS)
def test_one_stretch_is_as_long_as_the_calendar_says(text: str) -> None:
    span = parse_span(text)
    assert span is not None
    lengths = set()
    for first in STARTS:
        due = span.shift(first, 1)  # the day on which the span has passed
        lengths.add(due - first)
        assert long_enough([(first, due - 1)], None, text) is Enough.YES
        assert long_enough([(first, due)], text, None) is Enough.YES
        assert long_enough([(first, due - 2)], None, text) is Enough.NO
        assert long_enough([(first, due - 1)], text, None) is Enough.NO
    fewest, most = span_days(span)
    assert fewest <= min(lengths) and max(lengths) <= most


@pytest.mark.parametrize(
    ("more_than", "at_least", "days", "enough"),
    [
        ("6 mo", None, 181, Enough.NO),
        ("6 mo", None, 182, Enough.BORDER),
        ("6 mo", None, 184, Enough.BORDER),
        ("6 mo", None, 185, Enough.YES),
        (None, "6 mo", 180, Enough.NO),
        (None, "6 mo", 181, Enough.BORDER),
        (None, "6 mo", 182, Enough.BORDER),
        (None, "6 mo", 183, Enough.BORDER),
        (None, "6 mo", 184, Enough.YES),
        (None, "30 d", 29, Enough.NO),
        (None, "30 d", 30, Enough.YES),
        ("30 d", None, 30, Enough.NO),
        ("30 d", None, 31, Enough.YES),
    ],
)
def test_stretches_apart_suffice_where_any_months_would(
    more_than: str | None, at_least: str | None, days: int, enough: Enough
) -> None:
    """Months that are not told by a first day hold the fewest to the most days that they may: between them it is the border."""
    first = date(2025, 1, 1).toordinal()
    assert long_enough([(first, first + 9), (first + 50, first + 50 + days - 11)], more_than, at_least) is enough


def test_no_days_and_no_span_are_never_enough() -> None:
    assert long_enough([], None, "1 d") is Enough.NO
    assert long_enough([(1, 9)], None, None) is Enough.NO
