"""Exact numbers and intervals: ends, comparison, what a quantity shows."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from fhir_elig.quantity import Interval, Quantity, Range, compare, fraction, parse_number, point
from fhir_elig.verdict import MET, NOT_MET, UNKNOWN, Verdict

ONE, TWO, THREE = Fraction(1), Fraction(2), Fraction(3)


@pytest.mark.parametrize(
    ("value", "limit", "verdict"),
    [
        (point(2), Interval(low=TWO), MET),
        (point(2), Interval(low=TWO, low_open=True), NOT_MET),
        (point(2), Interval(high=TWO), MET),
        (point(2), Interval(high=TWO, high_open=True), NOT_MET),
        (point(2), Interval(TWO, TWO), MET),
        (point(2), Interval(), MET),
        (Interval(), Interval(), MET),
        (Interval(), Interval(low=TWO), UNKNOWN),
        (Interval(), Interval(high=TWO), UNKNOWN),
        (Interval(low=TWO, low_open=True), Interval(low=TWO, low_open=True), MET),
        (Interval(low=TWO), Interval(low=TWO, low_open=True), UNKNOWN),
        (Interval(low=TWO, low_open=True), Interval(high=TWO), NOT_MET),
        (Interval(low=TWO), Interval(high=TWO), UNKNOWN),
        (Interval(low=TWO), Interval(high=TWO, high_open=True), NOT_MET),
        (Interval(high=TWO, high_open=True), Interval(high=TWO, high_open=True), MET),
        (Interval(high=TWO), Interval(high=TWO, high_open=True), UNKNOWN),
        (Interval(high=TWO, high_open=True), Interval(low=TWO), NOT_MET),
        (Interval(high=TWO), Interval(low=TWO), UNKNOWN),
        (Interval(high=TWO), Interval(low=TWO, low_open=True), NOT_MET),
        (Interval(ONE, THREE), Interval(ONE, THREE), MET),
        (Interval(ONE, THREE), Interval(TWO, THREE), UNKNOWN),
        (Interval(ONE, TWO), Interval(low=THREE), NOT_MET),
        (Interval(TWO, THREE), Interval(high=ONE), NOT_MET),
    ],
)
def test_a_value_is_met_if_all_of_it_lies_inside_and_not_met_if_none_does(
    value: Interval, limit: Interval, verdict: Verdict
) -> None:
    assert compare(value, limit) is verdict


def test_an_interval_holds_its_closed_ends_and_not_its_open_ones() -> None:
    closed, open_ = Interval(ONE, THREE), Interval(ONE, THREE, True, True)
    assert [number in closed for number in (Fraction(0), ONE, TWO, THREE, Fraction(4))] == [False, True, True, True, False]
    assert [number in open_ for number in (ONE, TWO, THREE)] == [False, True, False]
    assert TWO in Interval()


def test_a_point_is_an_interval_of_one_value() -> None:
    assert point(2).is_point and point(Fraction(1, 3)).low == Fraction(1, 3)
    assert not Interval(ONE, TWO).is_point and not Interval().is_point


def test_scaling_moves_both_ends_and_keeps_what_is_open() -> None:
    assert Interval(ONE, None, True).scaled(Fraction(9, 5), Fraction(32)) == Interval(Fraction(169, 5), None, True)
    assert Interval(None, TWO, False, True).scaled(TWO) == Interval(None, Fraction(4), False, True)


@pytest.mark.parametrize(
    ("one", "two", "both"),
    [
        (point(1), point(3), Interval(ONE, THREE)),
        (Interval(ONE, TWO, True, True), Interval(ONE, TWO), Interval(ONE, TWO)),
        (Interval(ONE, TWO, True, True), Interval(ONE, TWO, True, True), Interval(ONE, TWO, True, True)),
        (Interval(low=ONE), point(0), Interval(low=Fraction(0))),
        (Interval(high=ONE), point(3), Interval(high=THREE)),
    ],
)
def test_the_hull_holds_both(one: Interval, two: Interval, both: Interval) -> None:
    assert one.hull(two) == two.hull(one) == both


@pytest.mark.parametrize(
    ("number", "exact"),
    [
        (7, Fraction(7)),
        (Decimal("7.50"), Fraction(15, 2)),
        (Decimal("-0.1"), Fraction(-1, 10)),
        (Decimal("NaN"), None),
        (Decimal("Infinity"), None),
        (Decimal("1E+31"), None),
        (Decimal("1E+30"), Fraction(10**30)),
        (Decimal("1E-70"), Fraction(1, 10**70)),
        (Decimal("1E-71"), None),
        (Decimal("1" * 40), Fraction(int("1" * 40))),
        (Decimal("1" * 41), None),
        (2**139, Fraction(2**139)),
        (2**141, None),
    ],
)
def test_a_number_is_exact_within_bounds(number: Decimal | int, exact: Fraction | None) -> None:
    assert fraction(number) == exact


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("90", Fraction(90)),
        ("+1.5", Fraction(3, 2)),
        ("-2e-1", Fraction(-1, 5)),
        ("1,5", None),
        (".5", None),
        ("5.", None),
        ("1e9999", None),
        ("1" * 65, None),
        ("ten", None),
        ("٣", None),
    ],
)
def test_a_number_as_text_is_bounded_before_it_is_computed(text: str, exact: Fraction | None) -> None:
    assert parse_number(text) == exact


def test_a_quantity_shows_what_was_sent() -> None:
    assert str(Quantity(Decimal("7.50"), unit="g/dL", code="x")) == "7.50 g/dL"
    assert str(Quantity(5, "<", code="mg")) == "<5 mg"
    assert str(Quantity(5)) == "5"


def test_a_range_shows_both_sides_with_the_unit_once() -> None:
    assert str(Range(Quantity(50, unit="%"), Quantity(55, unit="%"))) == "50-55 %"
    assert str(Range(None, Quantity(55, code="%"))) == "-55 %"
    assert str(Range(Quantity(50), None)) == "50-"
