"""The highest and the lowest of several values that are not known exactly: just what the values of all of them may give."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import product

import pytest

from fhir_elig.criteria.candidates import Candidate
from fhir_elig.criteria.outcome import Outcome
from fhir_elig.criteria.picks import Pick, picked
from fhir_elig.quantity import Interval, Reading
from fhir_elig.record import Result
from fhir_elig.verdict import MET, Reason

GRID = [Fraction(step, 2) for step in range(-3, 6)]
ENDS = [Fraction(0), Fraction(1)]
INTERVALS = [
    *(Interval(end, end) for end in ENDS),
    *(Interval(*ENDS, low_open, high_open) for low_open, high_open in product((False, True), repeat=2)),
    *(Interval(end, None, low_open) for end, low_open in product(ENDS, (False, True))),
    *(Interval(None, end, False, high_open) for end, high_open in product(ENDS, (False, True))),
]


def taken(pick: Pick, *values: Interval) -> Interval:
    """The interval that is judged for the highest (lowest) of these."""
    seen: list[Interval] = []

    def judge(candidate: Candidate) -> Outcome:
        assert candidate.reading.interval is not None
        seen.append(candidate.reading.interval)
        return Outcome(verdict=MET, reason=Reason.IN_RANGE)

    one = [
        Candidate(
            result=Result(reference=f"Observation/{n}", codes=(), value=None, time=None),
            time=None,
            reading=Reading(interval=value),
            evidence=(),
        )
        for n, value in enumerate(values)
    ]
    picked(pick, one, judge)
    assert len(set(map(str, seen))) == 1
    return seen[0]


def held(value: Interval) -> set[Fraction]:
    return {step for step in GRID if step in value}


@pytest.mark.parametrize(("pick", "of"), [(Pick.HIGHEST, max), (Pick.LOWEST, min)])
def test_the_highest_may_be_what_the_highest_of_a_value_of_each_may_be(
    pick: Pick, of: Callable[[Iterable[Fraction]], Fraction]
) -> None:
    for values in product(INTERVALS, repeat=2):
        assert held(taken(pick, *values)) == {of(pair) for pair in product(*map(held, values))}, values
