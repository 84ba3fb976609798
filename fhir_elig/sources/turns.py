"""Patients in turn, with a circuit breaker: a server that fails again and again is left alone for a while.

The pattern is that of M. Nygard, "Release It!" (2007). Patients whose reads failed while the server was down are put back and
asked for once more in the same run; each gives exactly one chart. Patients may be read ahead of their turn (`workers`); while
the server is left alone, nobody new is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from fhir_elig.sources import Chart

Start = Callable[[str], Callable[[], Chart]]

FAILURES = 5  # in a row, until the server is left alone
REST = 30.0  # seconds
RESTS = 4  # without one success in between, until the server is given up

_OF_THE_SERVER = frozenset({"FE0401", "FE0412", "FE0413", "FE0415"})


def in_turn(ids: Iterable[str], start: Start, sleep: Callable[[float], None], ahead: int = 1) -> Iterator[Chart]:
    """One chart for each id; one that failed by the server's fault may come later than its turn.

    `start` begins with a patient and gives what waits for the chart; at most `ahead` of them are under way. The first goes
    alone, so that what is learned of the server then serves all.
    """
    waiting = deque((patient, False) for patient in ids)
    under_way: deque[tuple[bool, Callable[[], Chart]]] = deque()
    row: list[tuple[bool, Chart]] = []  # what failed without a success in between; whether it had been put back
    rests = 0
    crowd = 1
    while waiting or under_way:
        while waiting and len(under_way) < crowd:
            patient, again = waiting.popleft()
            under_way.append((again, start(patient)))
        again, take = under_way.popleft()
        chart = take()
        crowd = ahead
        if not server_failed(chart):
            yield from _charts(row)
            yield chart
            row, rests = [], 0
            continue
        row.append((again, chart))
        if len(row) < FAILURES and not rests:
            continue
        landed = [(again, take()) for again, take in under_way]  # asked for before the server was known to be down
        under_way.clear()
        row += [(again, chart) for again, chart in landed if server_failed(chart)]
        answered = [chart for _, chart in landed if not server_failed(chart)]
        yield from answered
        rests = 0 if answered else rests
        put_back = [(failed.patient, True) for retried, failed in row if not retried]
        if rests == RESTS or not (waiting or put_back):
            break
        yield from _charts([(retried, failed) for retried, failed in row if retried])
        waiting.extend(put_back)
        row = []
        if not answered:
            rests += 1
            sleep(REST)
    yield from _charts(row)
    for patient, _ in waiting:
        yield failure(patient, "FE0401", "the server failed for too long and was given up")


def server_failed(chart: Chart) -> bool:
    """Whether the patient could not be read because of the server, so that asking again later may help."""
    return chart.failure is not None and chart.failure[0] in _OF_THE_SERVER


def failure(patient: str, code: str, why: str, base: str | None = None) -> Chart:
    """The chart of a patient who cannot be assessed."""
    return Chart(patient=patient, resources=[], base=base, failure=(code, why))


def _charts(row: Iterable[tuple[bool, Chart]]) -> Iterator[Chart]:
    return (chart for _, chart in row)
