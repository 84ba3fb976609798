"""The four verdicts: a combination is what every completion of the unknown gives, and knowing more never flips it."""

from __future__ import annotations

from itertools import product

from hypothesis import given, strategies as st

from fhir_elig.quantity import Interval, compare, point
from fhir_elig.verdict import MET, NOT_APPLICABLE, NOT_MET, UNKNOWN, Verdict, all_of, any_of, at_least, negate

members = st.lists(st.sampled_from(list(Verdict)), max_size=5)
fractions = st.fractions(-20, 20, max_denominator=8)


def ends(low: st.SearchStrategy[object], high: st.SearchStrategy[object]) -> st.SearchStrategy[Interval]:
    return st.builds(_interval, low, high, st.booleans(), st.booleans())


def _interval(one: object, two: object, low_open: bool, high_open: bool) -> Interval:
    low, high = (one, two) if one is None or two is None or one <= two else (two, one)  # type: ignore[operator]
    whole = low is not None and low == high
    return Interval(low, high, low_open and low is not None and not whole, high_open and high is not None and not whole)  # type: ignore[arg-type]


intervals = ends(st.none() | fractions, st.none() | fractions)


def completions(verdicts: list[Verdict]) -> list[list[Verdict]]:
    return [list(case) for case in product(*([MET, NOT_MET] if verdict is UNKNOWN else [verdict] for verdict in verdicts))]


@given(members)
def test_a_verdict_is_given_only_where_every_completion_gives_it(verdicts: list[Verdict]) -> None:
    for rule in (all_of, any_of, lambda case: at_least(2, case)):
        given_now, later = rule(verdicts), {rule(case) for case in completions(verdicts)}
        assert later == {given_now} if given_now is not UNKNOWN else len(later) > 1


@given(members)
def test_the_laws_of_de_morgan(verdicts: list[Verdict]) -> None:
    assert negate(all_of(verdicts)) is any_of([negate(verdict) for verdict in verdicts])
    assert at_least(1, verdicts) is any_of(verdicts)
    applying = [verdict for verdict in verdicts if verdict is not NOT_APPLICABLE]
    assert not applying or at_least(len(applying), verdicts) is all_of(verdicts)


@given(members, st.randoms(use_true_random=False))
def test_order_means_nothing(verdicts: list[Verdict], random: object) -> None:
    shuffled = list(verdicts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert all_of(shuffled) is all_of(verdicts)
    assert any_of(shuffled) is any_of(verdicts)


@given(intervals, intervals, fractions)
def test_an_intervals_verdict_holds_for_every_value_in_it(value: Interval, limit: Interval, number: object) -> None:
    verdict = compare(value, limit)
    if number in value and verdict is not UNKNOWN:  # type: ignore[operator]
        assert (number in limit) is (verdict is MET)  # type: ignore[operator]


@given(intervals, intervals)
def test_where_it_is_unknown_there_are_values_on_both_sides(value: Interval, limit: Interval) -> None:
    if compare(value, limit) is UNKNOWN:
        edges = [end for end in (value.low, value.high, limit.low, limit.high) if end is not None]
        near = sorted({edge + step for edge in edges for step in (-1000, -1, 0, 1, 1000)} | set(edges))
        probes = {*near, *((one + two) / 2 for one, two in zip(near, near[1:], strict=False))}
        assert {probe in limit for probe in probes if probe in value} == {True, False}


@given(intervals, intervals, fractions)
def test_narrowing_never_flips(value: Interval, limit: Interval, number: object) -> None:
    if number in value and compare(value, limit) is not UNKNOWN:  # type: ignore[operator]
        assert compare(point(number), limit) is compare(value, limit)  # type: ignore[arg-type]


@given(intervals, intervals, fractions)
def test_the_hull_holds_every_value_of_both(one: Interval, two: Interval, number: object) -> None:
    assert (number in one or number in two) <= (number in one.hull(two))  # type: ignore[operator]
