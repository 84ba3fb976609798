"""Patients in turn: a server that is down is left alone, its patients come later, and each gives one chart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

from hypothesis import given, strategies as st

from fhir_elig.sources import Chart
from fhir_elig.sources.turns import FAILURES, REST, RESTS, failure, in_turn

NAMES = [f"p{number}" for number in range(12)]


class Server:
    """Down for some calls (by their number), and always for some patients."""

    def __init__(self, down: range = range(0), bad: frozenset[str] = frozenset(), code: str = "FE0415", ahead: int = 1) -> None:
        self.ahead = ahead
        self.down, self.bad, self.code = down, bad, code
        self.calls: list[str] = []
        self.rests: list[float] = []

    def fetch(self, patient: str) -> Chart:
        self.calls.append(patient)
        if len(self.calls) - 1 in self.down or patient in self.bad:
            return failure(patient, self.code, "HTTP 503")
        return Chart(patient=patient, resources=[])

    def start(self, patient: str) -> Callable[[], Chart]:
        """Fetched at once, as if by a worker that is quick, or when the chart is taken, if nobody fetches ahead."""
        if self.ahead == 1:
            return partial(self.fetch, patient)
        chart = self.fetch(patient)
        return lambda: chart

    def run(self, names: list[str]) -> dict[str, bool]:
        charts = list(in_turn(names, self.start, self.rests.append, self.ahead))
        assert Counter(chart.patient for chart in charts) == Counter(names)
        return {chart.patient: chart.failure is None for chart in charts}


def test_one_patient_who_always_fails_costs_one_patient_and_one_call() -> None:
    server = Server(bad=frozenset({"p3"}))
    assert [name for name, well in server.run(NAMES).items() if not well] == ["p3"]
    assert (len(server.calls), server.rests) == (12, [])


def test_after_five_failures_in_a_row_the_server_rests_and_its_patients_come_later() -> None:
    server = Server(down=range(2, 2 + FAILURES))
    assert all(server.run(NAMES).values())
    assert server.rests == [REST]
    assert server.calls[-FAILURES:] == NAMES[2 : 2 + FAILURES]


def test_after_a_rest_one_failure_is_enough_for_the_next_rest() -> None:
    server = Server(down=range(0, FAILURES + 2))
    assert all(server.run(NAMES).values())
    assert server.rests == [REST] * 3


def test_a_server_that_stays_down_is_given_up_and_every_patient_is_told() -> None:
    server = Server(down=range(0, 1000))
    names = [f"p{number}" for number in range(1000)]
    assert not any(server.run(names).values())
    assert len(server.rests) == RESTS
    assert len(server.calls) == FAILURES + RESTS


def test_a_single_patient_is_not_asked_twice() -> None:
    server = Server(down=range(0, 1000))
    assert server.run(["p1"]) == {"p1": False}
    assert (len(server.calls), server.rests) == (1, [])


def test_the_last_patients_get_one_more_try_each() -> None:
    server = Server(bad=frozenset(NAMES[:FAILURES]))
    assert not any(server.run(NAMES[:FAILURES]).values())
    assert max(Counter(server.calls).values()) == 2


def test_an_unknown_patient_or_a_deadline_is_no_sign_that_the_server_is_down() -> None:
    for code in ("FE0404", "FE0403", "FE0414"):
        server = Server(bad=frozenset(NAMES), code=code)
        assert not any(server.run(NAMES).values())
        assert (len(server.calls), server.rests) == (12, [])


def test_who_was_under_way_when_the_server_failed_is_put_back_and_nobody_new_is_asked_for() -> None:
    server = Server(down=range(0, 12), ahead=8)
    names = [*NAMES, "q1", "q2"]
    assert all(server.run(names).values())
    assert server.rests == [REST]
    assert server.calls[12:] == ["q1", "q2", *NAMES]


def test_a_server_that_answers_one_of_those_under_way_needs_no_rest() -> None:
    server = Server(bad=frozenset(NAMES[:FAILURES]), ahead=8)
    assert [name for name, well in server.run(NAMES).items() if not well] == NAMES[:FAILURES]
    assert server.rests == []


@given(
    start=st.integers(0, 30),
    length=st.integers(0, 30),
    bad=st.frozensets(st.sampled_from(NAMES)),
    ahead=st.sampled_from((1, 2, 6, 16)),
)
def test_whatever_fails_each_patient_gives_one_chart_and_at_most_two_calls(
    start: int, length: int, bad: frozenset[str], ahead: int
) -> None:
    server = Server(down=range(start, start + length), bad=bad, ahead=ahead)
    server.run(NAMES)
    assert max(Counter(server.calls).values()) <= 2
