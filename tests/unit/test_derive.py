"""Formulas over exact intervals: what they give at points, at ends, at open ends and where an end is missing."""

from __future__ import annotations

from fractions import Fraction

import pytest

from fhir_elig import derive
from fhir_elig.quantity import Interval, point

ONE, TWO, FIVE = Fraction(1), Fraction(2), Fraction(5)
UP = Interval(low=Fraction(0))


def test_sums() -> None:
    assert derive.add(Interval(ONE, TWO, True), Interval(ONE, TWO, False, True)) == Interval(TWO, Fraction(4), True, True)
    assert derive.add(Interval(low=ONE), Interval(high=ONE)) == Interval()


@pytest.mark.parametrize(
    ("one", "two", "product"),
    [
        (point(2), point(5), point(10)),
        (Interval(ONE, TWO), Interval(TWO, FIVE), Interval(TWO, Fraction(10))),
        (point(0), UP, point(0)),
        (UP, point(0), point(0)),
        (UP, Interval(ONE, TWO), Interval(low=Fraction(0))),
        (Interval(low=Fraction(-3), high=TWO), point(5), Interval(Fraction(0), Fraction(10))),
        (Interval(ONE, TWO, True, True), point(5), Interval(FIVE, Fraction(10), True, True)),
        (Interval(Fraction(0), TWO), Interval(ONE, FIVE, True, True), Interval(Fraction(0), Fraction(10), False, True)),
        (Interval(None, TWO), point(5), Interval(Fraction(0), Fraction(10))),
    ],
)
def test_products_of_what_is_not_negative(one: Interval, two: Interval, product: Interval) -> None:
    assert derive.multiply(one, two) == product


@pytest.mark.parametrize(
    ("one", "two", "quotient"),
    [
        (point(10), point(5), point(2)),
        (Interval(ONE, TWO), Interval(TWO, FIVE), Interval(Fraction(1, 5), ONE)),
        (point(1), Interval(low=TWO), Interval(Fraction(0), Fraction(1, 2))),
        (point(1), Interval(high=TWO), Interval(Fraction(1, 2), None)),
        (Interval(low=ONE), point(2), Interval(Fraction(1, 2), None)),
        (Interval(Fraction(0), TWO), Interval(ONE, FIVE, True, True), Interval(Fraction(0), TWO, False, True)),
        (Interval(ONE, TWO), Interval(ONE, FIVE, True, True), Interval(Fraction(1, 5), TWO, True, True)),
        (point(1), Interval(Fraction(0), TWO, True), Interval(Fraction(1, 2), None, False, True)),
    ],
)
def test_quotients_of_what_is_not_negative(one: Interval, two: Interval, quotient: Interval) -> None:
    assert derive.divide(one, two) == quotient


def test_the_clearance_of_either_sex_is_the_hull_of_both() -> None:
    man, woman, either = (
        derive.cockcroft_gault(point(50), point(72), point(Fraction(9, 5)), sexes)
        for sexes in (["male"], ["female"], ["male", "female"])
    )
    assert (man, woman) == (point(50), point(Fraction(85, 2)))
    assert either == Interval(Fraction(85, 2), Fraction(50))


def test_an_open_age_gives_an_open_clearance() -> None:
    old = Interval(low=Fraction(50))
    assert derive.cockcroft_gault(old, point(72), point(Fraction(9, 5)), ["male"]).high == Fraction(50)
    assert derive.cockcroft_gault(Interval(high=Fraction(50)), point(72), point(1), ["male"]).high is None


@pytest.mark.parametrize(
    ("sexes", "weight"),
    [(["male"], point(50)), (["female"], point(Fraction(91, 2))), (["female", "male"], Interval(Fraction(91, 2), Fraction(50)))],
)
def test_the_ideal_weight_at_five_feet(sexes: list[str], weight: Interval) -> None:
    assert derive.ideal_weight(point(Fraction(1524, 10)), sexes) == weight
    assert derive.ideal_weight(point(Fraction(1778, 10)), ["male"]) == point(73)


def test_the_adjusted_weight_lies_between_ideal_and_actual_where_the_actual_one_is_higher() -> None:
    assert derive.adjusted_weight(point(100), point(50)) == point(70)
    assert derive.adjusted_weight(point(40), point(50)) == point(40)
    assert derive.adjusted_weight(Interval(Fraction(40), Fraction(100)), point(50)) == Interval(Fraction(40), Fraction(70))
    assert derive.adjusted_weight(Interval(low=Fraction(40)), point(50)) == Interval(Fraction(0), None)


def test_a_share_of_a_count_is_never_more_than_all_of_it() -> None:
    assert derive.share_of_count(point(2), point(50)) == point(1)
    assert derive.share_of_count(point(2), point(40), point(10)) == point(1)
    assert derive.share_of_count(point(2), point(80), Interval(Fraction(10), Fraction(90))).high == TWO
    assert derive.share_of_count(point(2), Interval(low=Fraction(50))) == Interval(ONE, TWO)


def test_changes_absolute_and_relative_up_and_down() -> None:
    old, new = point(80), point(72)
    assert derive.change(old, new, relative=True, decrease=True) == point(10)
    assert derive.change(old, new, relative=True, decrease=False) == point(-10)
    assert derive.change(old, new, relative=False, decrease=True) == point(8)
    assert derive.change(Interval(high=Fraction(80)), new, relative=False, decrease=True) == Interval(high=Fraction(8))


def test_two_published_equivalents_give_an_interval() -> None:
    assert derive.prednisone_equivalent(TWO, [Fraction(3, 5), Fraction(3, 4)]) == Interval(Fraction(40, 3), Fraction(50, 3))


def test_a_score_counts_a_group_once_and_items_alone_each() -> None:
    weights, groups = {"a": 4, "b": 3, "c": 5}, [["a", "b"]]
    assert derive.score(weights, groups, ["a", "b"], ["c"]) == {4}
    assert derive.score(weights, groups, ["b"], []) == {3, 4, 8, 9}
    assert derive.score(weights, groups, [], ["a", "b", "c"]) == {0}
