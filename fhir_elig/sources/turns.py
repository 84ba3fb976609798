"""Patients in turn, with a circuit breaker: a server that fails again and again is left alone for a while.

The pattern is that of M. Nygard, "Release It!" (2007). Patients whose reads failed while the server was down are put back and
asked for once more in the same run; each gives exactly one chart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from fhir_elig.sources import Chart

FAILURES = 5  # in a row, until the server is left alone
REST = 30.0  # seconds
RESTS = 4  # without one success in between, until the server is given up

_OF_THE_SERVER = frozenset({"FE0401", "FE0412", "FE0413", "FE0415"})


def in_turn(ids: Iterable[str], fetch: Callable[[str], Chart], sleep: Callable[[float], None]) -> Iterator[Chart]:
    """One chart for each id; one that failed by the server's fault may come later than its turn."""
    waiting = deque((patient, False) for patient in ids)
    row: list[tuple[bool, Chart]] = []  # what failed without a success in between; whether it had been put back
    rests = 0
    while waiting:
        patient, again = waiting.popleft()
        chart = fetch(patient)
        if not server_failed(chart):
            yield from _charts(row)
            yield chart
            row, rests = [], 0
            continue
        row.append((again, chart))
        if len(row) < FAILURES and not rests:
            continue
        put_back = [(failed.patient, True) for retried, failed in row if not retried]
        if rests == RESTS or not (waiting or put_back):
            break
        yield from _charts([(retried, failed) for retried, failed in row if retried])
        waiting.extend(put_back)
        row, rests = [], rests + 1
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
