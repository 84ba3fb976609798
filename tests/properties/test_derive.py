"""Formulas over intervals hold every value that their inputs allow."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import assume, given, strategies as st

from fhir_elig import derive
from fhir_elig.quantity import Interval, point
from tests.properties.test_kleene import ends

positive = st.fractions(Fraction(1, 100), 50, max_denominator=100)
natural = st.fractions(0, 50, max_denominator=100)
amounts = ends(natural, natural | st.none())
sizes = ends(positive, positive | st.none())
sexes = st.sampled_from((("male",), ("female",), ("female", "male")))
share = st.fractions(0, 1, max_denominator=7)


def inside(interval: Interval, part: Fraction) -> Fraction:
    """A value of the interval; nearer to the upper end for a greater part."""
    low = interval.low if interval.low is not None else Fraction(0)
    high = interval.high if interval.high is not None else low + 40
    inner = Fraction(1, 1000) + part * Fraction(998, 1000)
    return low if low == high else low + (high - low) * inner


@given(amounts, amounts, share, share)
def test_sum_and_product(one: Interval, two: Interval, first: Fraction, second: Fraction) -> None:
    a, b = inside(one, first), inside(two, second)
    assert a + b in derive.add(one, two)
    assert a * b in derive.multiply(one, two)


@given(amounts, sizes, share, share)
def test_quotient(one: Interval, two: Interval, first: Fraction, second: Fraction) -> None:
    assume(one != point(0) or not two.low_open)
    assert inside(one, first) / inside(two, second) in derive.divide(one, two)


def test_nothing_divided_by_more_than_something_is_nothing() -> None:
    assert Fraction(0) in derive.divide(point(0), Interval(Fraction(1), None, True))


@given(amounts, amounts, sizes, sizes)
def test_ends_that_are_closed_are_reached(one: Interval, two: Interval, three: Interval, four: Interval) -> None:
    """The bounds are no wider than they must be: products and quotients of closed ends lie on them."""
    if not (one.low_open or two.low_open):
        assert derive.multiply(one, two).low == (one.low or 0) * (two.low or 0)
    if three.high is not None and not (three.high_open or four.low_open) and four.low is not None:
        assert derive.divide(three, four).high == three.high / four.low


@given(
    ends(st.fractions(0, 120, max_denominator=1), st.fractions(0, 120, max_denominator=1)),
    sizes,
    sizes,
    sexes,
    share,
    share,
    share,
)
def test_clearance(
    age: Interval, weight: Interval, creatinine: Interval, of: tuple[str, ...], a: Fraction, w: Fraction, c: Fraction
) -> None:
    whole = derive.cockcroft_gault(age, weight, creatinine, of)
    for sex in of:
        factor = Fraction(85, 100) if sex == "female" else 1
        value = (140 - inside(age, a)) * inside(weight, w) / (72 * inside(creatinine, c)) * factor
        assert value in whole


@given(sizes, sexes, share)
def test_ideal_weight(height: Interval, of: tuple[str, ...], part: Fraction) -> None:
    inches = inside(height, part) / Fraction(254, 100)
    for sex in of:
        base = Fraction(91, 2) if sex == "female" else Fraction(50)
        assert base + Fraction(23, 10) * (inches - 60) in derive.ideal_weight(height, of)


@given(sizes, sizes, share, share)
def test_adjusted_weight(actual: Interval, ideal: Interval, first: Fraction, second: Fraction) -> None:
    a, i = inside(actual, first), inside(ideal, second)
    assert (i + Fraction(2, 5) * (a - i) if a > i else a) in derive.adjusted_weight(actual, ideal)


@given(amounts, ends(natural, natural), ends(natural, natural), share, share, share)
def test_share_of_a_count(count: Interval, one: Interval, two: Interval, a: Fraction, b: Fraction, c: Fraction) -> None:
    total = inside(one, b) + inside(two, c)
    assert inside(count, a) * min(total, Fraction(100)) / 100 in derive.share_of_count(count, one, two)


@given(sizes, sizes, share, share, st.booleans())
def test_change(old: Interval, new: Interval, first: Fraction, second: Fraction, decrease: bool) -> None:
    before, after = inside(old, first), inside(new, second)
    sign = -1 if decrease else 1
    assert sign * (after - before) in derive.change(old, new, relative=False, decrease=decrease)
    assert sign * (after - before) / before * 100 in derive.change(old, new, relative=True, decrease=decrease)


@given(positive, st.lists(positive, min_size=1, max_size=3))
def test_equivalents(dose: Fraction, equal: list[Fraction]) -> None:
    whole = derive.prednisone_equivalent(dose, equal)
    assert all(dose * 5 / one in whole for one in equal)


SIGNED = {"a": 4, "b": -3, "c": -2, "d": 1, "e": -1}


@given(st.sets(st.sampled_from(sorted(SIGNED))), st.sets(st.sampled_from(sorted(SIGNED))))
def test_a_score_has_the_points_of_each_way_in_which_open_items_turn_out(one: set[str], two: set[str]) -> None:
    """Negative points too, tried one by one."""
    groups, present, absent = (("a", "b"), ("c", "e")), one - two, two - one
    still_open = sorted(set(SIGNED) - present - absent)

    def points(there: set[str]) -> int:
        sides = [[SIGNED[item] for item in group if item in there] for group in (*groups, ("d",))]
        return sum(max(side, default=0) for side in sides)

    ways = [points(present | {i for n, i in enumerate(still_open) if mask >> n & 1}) for mask in range(2 ** len(still_open))]
    assert derive.score(SIGNED, groups, present, absent) == set(ways)


ITEMS = {"a": 4, "b": 3, "c": 5, "d": 1}
GROUPS = (("a", "b"), ("c",))


@given(
    st.dictionaries(st.sampled_from(sorted(ITEMS)), st.booleans()), st.dictionaries(st.sampled_from(sorted(ITEMS)), st.booleans())
)
def test_a_score_of_known_items_holds_every_score_that_further_answers_can_give(
    known: dict[str, bool], later: dict[str, bool]
) -> None:
    def points(told: dict[str, bool]) -> frozenset[int]:
        return derive.score(ITEMS, GROUPS, [i for i, yes in told.items() if yes], [i for i, yes in told.items() if not yes])

    before, after = points(known), points({**dict.fromkeys(ITEMS, False), **later, **known})
    assert len(after) == 1 and after <= before
    assert before != {0} or not any(known.values())
