"""Dates as intervals, spans, windows: what is read, how wide it is, where it lies."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, strategies as st

from fhir_elig import times
from fhir_elig.times import ALWAYS, FIRST_DAY, LAST_DAY, Span, Unit, When, parse_span, parse_when
from fhir_elig.windows import Place, window_bounds

MONTHS = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())["months"]["vectors"]
AGES = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())["age"]["vectors"]
DAY = 86_400_000_000


def when(text: str, zone: str = "UTC") -> When:
    found = parse_when(text, zone)
    assert found is not None, text
    return found


def day(text: str) -> int:
    return date.fromisoformat(text).toordinal()


def spanned(found: When) -> tuple[str, str]:
    return times.iso(found.first), times.iso(found.last)


def test_an_instant_beyond_the_calendar_lies_on_its_first_or_last_day() -> None:
    assert times.day_of(times.BEGIN - 1000 * DAY, "UTC") == FIRST_DAY
    assert times.day_of(times.END + 1000 * DAY, "UTC") == LAST_DAY


@pytest.mark.parametrize("vector", MONTHS, ids=lambda vector: vector["id"])
def test_calendar_months_are_clipped_at_the_months_end(vector: dict[str, Any]) -> None:
    start = day(vector["from"])
    end = times.add_months(start, vector["months"])
    assert (times.iso(end), abs(end - start)) == (vector["expected"], vector["days"])


@pytest.mark.parametrize("vector", [v for v in AGES if len(v["birthDate"]) == 10], ids=lambda vector: vector["id"])
def test_completed_years(vector: dict[str, Any]) -> None:
    born, on = day(vector["birthDate"]), day(vector["screening"])
    assert times.completed_years(born, on) == vector["expected"]
    assert times.birthday(born, vector["expected"]) <= on < times.birthday(born, vector["expected"] + 1)


@pytest.mark.parametrize(
    ("text", "first", "last", "length"),
    [
        ("2024", "2024-01-01", "2024-12-31", 366 * DAY),
        ("2024-02", "2024-02-01", "2024-02-29", 29 * DAY),
        ("2024-02-29", "2024-02-29", "2024-02-29", DAY),
        (" 2024-02-29 ", "2024-02-29", "2024-02-29", DAY),
        ("2024-05-28T10:15", "2024-05-28", "2024-05-28", 60_000_000),
        ("2024-05-28 10:15", "2024-05-28", "2024-05-28", 60_000_000),
    ],
)
def test_a_date_is_as_wide_as_it_is_written(text: str, first: str, last: str, length: int) -> None:
    found = when(text)
    assert spanned(found) == (first, last)
    assert (found.end - found.start, found.text) == (length, text.strip())


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-28T10:15:30",
        "2024-05-28T10:15:30Z",
        "2024-05-28T12:15:30+02:00",
        "2024-05-28T04:45:30-05:30",
        "2024-05-28T10:15:30.123456789Z",
    ],
)
def test_a_time_with_its_offset_is_the_same_instant(text: str) -> None:
    assert spanned(when(text)) == ("2024-05-28", "2024-05-28")
    assert when(text).start // 1_000_000 == when("2024-05-28T10:15:30Z").start // 1_000_000
    assert when(text).end > when(text).start


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "24-05-28",
        "2024-13",
        "2024-00-10",
        "2024-02-30",
        "0000",
        "2024-05-28T25:00",
        "2024-05-28T10:60",
        "2024-05-28T10:15:61",
        "2024-05-28T10:15:00+15:00",
        "2024-05-28T10:15:00+02:60",
        "2024-05-28T10",
        "2024-W10",
        "2024-05-28" + " " * 64,
        "٢٠٢٤",
        "20240528",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_when(text) is None


ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Africa/Monrovia")
TWO = st.integers(0, 62).map(lambda number: f"{number:02}")
OFFSETS = st.sampled_from(("Z", "+00:00", "-00:00", "+02:00", "-05:30", "+14:00", "+14:59", "+15:00", "-23:59", "+02:60"))
FRACTIONS = st.one_of(st.just(""), st.text("0123456789", min_size=1, max_size=9).map(lambda digits: f".{digits}"))
CLOCKS = st.tuples(st.sampled_from(("00", "02", "23", "24")), TWO, TWO).map(":".join)
DAYS = st.one_of(
    st.dates().map(date.isoformat), st.sampled_from(("0001-01-01", "9999-12-31", "2011-12-30", "2023-02-29", "2024-13-01"))
)


@given(DAYS, CLOCKS, FRACTIONS, OFFSETS, st.sampled_from(ZONES))
@example("0001-01-01", "00:00:00", "", "+14:00", "UTC")
@example("9999-12-31", "23:59:59", ".9", "-05:30", "Asia/Kolkata")
def test_a_space_for_the_t_is_the_same_time(day: str, clock: str, fraction: str, offset: str, zone: str) -> None:
    """FHIR's own form is read on a shorter way than what some servers send."""
    usual, odd = (parse_when(f"{day}{between}{clock}{fraction}{offset}", zone) for between in "T ")
    assert (usual is None) is (odd is None)
    if usual is not None and odd is not None:
        assert msgspec.structs.replace(usual, text="") == msgspec.structs.replace(odd, text="")


def test_a_leap_second_is_the_last_second() -> None:
    assert when("2016-12-31T23:59:60Z").start == when("2016-12-31T23:59:59Z").start


def test_dates_at_the_ends_of_time() -> None:
    assert spanned(when("0001")) == ("0001-01-01", "0001-12-31")
    assert spanned(when("9999-12-31")) == ("9999-12-31", "9999-12-31")
    assert when("9999-12-31").end > when("9999-12-31T23:59:59Z").start


def test_a_date_is_that_of_the_zone() -> None:
    berlin = when("2024-05-28", "Europe/Berlin")
    assert when("2024-05-28").start - berlin.start == 2 * 3_600_000_000
    assert spanned(when("2024-05-27T23:00:00Z", "Europe/Berlin")) == ("2024-05-28", "2024-05-28")
    assert spanned(when("2024-05-28T01:00:00", "Europe/Berlin")) == ("2024-05-28", "2024-05-28")


@pytest.mark.parametrize(("text", "hours"), [("2024-03-31", 23), ("2024-10-27", 25), ("2024-06-01", 24)])
def test_days_on_which_clocks_change_are_shorter_or_longer(text: str, hours: int) -> None:
    found = when(text, "Europe/Berlin")
    assert found.end - found.start == hours * 3_600_000_000


def test_a_zone_that_skips_a_day_still_has_one_day_for_each_instant() -> None:
    assert spanned(when("2011-12-29T23:30:00-10:00", "Pacific/Apia"))[0] == "2011-12-29"
    assert spanned(when("2011-12-31T00:30:00+14:00", "Pacific/Apia"))[0] == "2011-12-31"


def test_zones_are_known_by_their_names() -> None:
    assert times.zone("Europe/Berlin") is not None
    assert [times.zone(name) for name in ("Middle/Earth", "../etc/passwd", "")] == [None, None, None]


def test_before_and_overlap() -> None:
    may, june, second = when("2025-05"), when("2025-06"), when("2025-05-02")
    assert may.before(june) and not june.before(may) and not may.before(second)
    assert may.overlaps(second) and not may.overlaps(june)
    assert second.one_day and not may.one_day


def test_the_hull_and_what_came_before() -> None:
    both = when("2025-05-02").hull(when("2025-06"))
    assert (spanned(both), both.text) == (("2025-05-02", "2025-06-30"), "2025-05-02/2025-06")
    assert when("2025").hull(when("2025")).text == "2025"
    until = when("2025-05-02").until()
    assert (until.first, times.iso(until.last), until.text) == (FIRST_DAY, "2025-05-02", "up to 2025-05-02")


def test_days_name_themselves() -> None:
    assert times.days(day("2025-05-01"), day("2025-05-01")).text == "2025-05-01"
    assert times.days(day("2025-05-01"), day("2025-05-03")).text == "2025-05-01/2025-05-03"
    assert times.days(day("2025-05-01"), LAST_DAY).end == ALWAYS.end
    assert (times.iso(0), times.iso(LAST_DAY + 9)) == ("0001-01-01", "9999-12-31")


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("48 h", Span(48, Unit.HOUR)),
        ("28d", Span(28, Unit.DAY)),
        ("1 wk", Span(1, Unit.WEEK)),
        ("6 mo", Span(6, Unit.MONTH)),
        ("18 a", Span(18, Unit.YEAR)),
    ],
)
def test_spans(text: str, span: Span) -> None:
    assert parse_span(text) == parse_span(str(span)) == span
    assert span.exact is (text == "48 h")


@pytest.mark.parametrize("text", ["", "28", "d", "28 D", "28 days", "-1 d", "1.5 d", "999999 d", "28 min", "all"])
def test_what_is_no_span_is_none(text: str) -> None:
    assert parse_span(text) is None


@pytest.mark.parametrize(
    ("span", "earlier", "later"),
    [
        ("28 d", "2025-05-03", "2025-06-28"),
        ("2 wk", "2025-05-17", "2025-06-14"),
        ("6 mo", "2024-11-30", "2025-11-30"),
        ("1 a", "2024-05-31", "2026-05-31"),
        ("48 h", "2025-05-29", "2025-06-02"),
        ("25 h", "2025-05-29", "2025-06-02"),
    ],
)
def test_a_span_before_and_after_a_day(span: str, earlier: str, later: str) -> None:
    found = parse_span(span)
    assert found is not None
    assert (times.iso(found.shift(day("2025-05-31"), -1)), times.iso(found.shift(day("2025-05-31"), 1))) == (earlier, later)


def test_spans_end_at_the_ends_of_time() -> None:
    far = Span(99_999, Unit.YEAR)
    assert (far.shift(FIRST_DAY, -1), far.shift(FIRST_DAY, 1)) == (FIRST_DAY, LAST_DAY)
    assert Span(99_999, Unit.DAY).shift(FIRST_DAY, -1) == FIRST_DAY
    assert Span(99_999, Unit.HOUR).shift(LAST_DAY, 1) == LAST_DAY
    assert times.birthday(day("9990-01-01"), 50) == LAST_DAY


PLACES = [
    ("28 d", "0 d", "2025-05-04", Place.INSIDE),
    ("28 d", "0 d", "2025-05-03", Place.BEFORE),
    ("28 d", "0 d", "2025-06-01", Place.INSIDE),
    ("28 d", "0 d", "2025-06-02", Place.AFTER),
    ("28 d", "0 d", "2025-05", Place.PARTLY),
    ("28 d", "0 d", "2025", Place.PARTLY),
    ("7 d", "7 d", "2025-06-08", Place.INSIDE),
    ("7 d", "7 d", "2025-06-09", Place.AFTER),
    (None, "0 d", "0001", Place.INSIDE),
    ("0 d", None, "9999", Place.INSIDE),
    ("0 d", None, "2025-05-31", Place.BEFORE),
]


@pytest.mark.parametrize(("before", "after", "text", "place"), PLACES)
def test_a_window_of_days_around_a_day(before: str | None, after: str | None, text: str, place: Place) -> None:
    spans = [None if span is None else parse_span(span) for span in (before, after)]
    assert window_bounds(when("2025-06-01"), *spans).place(when(text)) is place


def test_a_window_around_a_month_surely_holds_less_than_it_may() -> None:
    bounds = window_bounds(when("2025-06"), parse_span("7 d"), parse_span("0 d"))
    places = {
        text: bounds.place(when(text))
        for text in ("2025-05-24", "2025-05-25", "2025-06-01", "2025-06-23", "2025-06-30", "2025-07-01")
    }
    assert list(places.values()) == [Place.BEFORE, Place.PARTLY, Place.PARTLY, Place.PARTLY, Place.PARTLY, Place.AFTER]


HOURS = [
    ("2025-06-08T10:00:00Z", Place.INSIDE),
    ("2025-06-10T10:00:00Z", Place.INSIDE),
    ("2025-06-08T09:59:59Z", Place.BEFORE),
    ("2025-06-08T10:00:01Z", Place.INSIDE),
    ("2025-06-10T09:59:59Z", Place.INSIDE),
    ("2025-06-10T10:00:01Z", Place.AFTER),
    ("2025-06-09", Place.INSIDE),
    ("2025-06-08", Place.PARTLY),
    ("2025-06-07", Place.BEFORE),
    ("2025-06-11", Place.AFTER),
]


@pytest.mark.parametrize(("text", "place"), HOURS)
def test_a_window_of_hours_compares_instants(text: str, place: Place) -> None:
    bounds = window_bounds(when("2025-06-10T10:00:00Z"), parse_span("48 h"), parse_span("0 d"))
    assert bounds.exact_low and bounds.exact_high and bounds.place(when(text)) is place


def test_a_window_of_hours_after_its_milestone_may_be_open_at_the_other_end() -> None:
    after = window_bounds(when("2025-06-10T10:00:00Z"), parse_span("0 h"), parse_span("24 h"))
    assert [after.place(when(text)) for text in ("2025-06-10T10:00:01Z", "2025-06-11T09:59:59Z", "2025-06-11T10:00:02Z")] == [
        Place.INSIDE,
        Place.INSIDE,
        Place.AFTER,
    ]
    assert window_bounds(when("2025-06-10"), parse_span("1 h"), None).place(when("2030")) is Place.INSIDE
    assert window_bounds(when("2025-06-10"), None, parse_span("1 h")).place(when("2020")) is Place.INSIDE


MIXED = [
    ("48 h", "7 d", "2025-06-08T10:00:00Z", Place.INSIDE),
    ("48 h", "7 d", "2025-06-08T09:59:00Z", Place.BEFORE),
    ("48 h", "7 d", "2025-06-17T23:59:00Z", Place.INSIDE),
    ("48 h", "7 d", "2025-06-18T00:00:00Z", Place.AFTER),
    ("6 mo", "24 h", "2024-12-10T00:00:00Z", Place.INSIDE),
    ("6 mo", "24 h", "2024-12-09T23:59:00Z", Place.BEFORE),
    ("6 mo", "24 h", "2025-06-11T10:00:01Z", Place.AFTER),
    ("6 mo", "24 h", "2025-06-11", Place.PARTLY),
    ("7 d", "0 d", "2025-06-10T10:00:01Z", Place.INSIDE),
    ("7 d", "0 d", "2025-06-10T09:00:00Z", Place.INSIDE),
    ("7 d", "0 d", "2025-06-10", Place.INSIDE),
    ("7 d", "1 d", "2025-06-10T10:00:01Z", Place.INSIDE),
]


@pytest.mark.parametrize(("before", "after", "text", "place"), MIXED)
def test_each_side_of_a_window_is_counted_as_it_is_written(before: str, after: str, text: str, place: Place) -> None:
    bounds = window_bounds(when("2025-06-10T10:00:00Z"), parse_span(before), parse_span(after))
    assert bounds.place(when(text)) is place


def test_the_days_of_a_window_of_hours_lie_wholly_inside_or_may() -> None:
    bounds = window_bounds(when("2025-06-10T10:00:00Z"), parse_span("48 h"), parse_span("24 h"))
    sure, perhaps = bounds.days("UTC")
    assert [times.iso(day) for day in (*sure, *perhaps)] == ["2025-06-09", "2025-06-10", "2025-06-08", "2025-06-11"]
    assert window_bounds(when("2025-06-10"), None, None).days("UTC") == ((FIRST_DAY, LAST_DAY), (FIRST_DAY, LAST_DAY))
