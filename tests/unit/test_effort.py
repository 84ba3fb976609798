"""What an assessment costs, in calls of Python functions: a bound that holds on any machine, whatever else it does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import cycle
from types import FrameType
from typing import Any

import pytest

from benchmarks import charts
from benchmarks.one_patient import Bench
from fhir_elig.assessment import assess
from fhir_elig.protocol import Protocol
from fhir_elig.record import Record
from tests.spec.table import chart, drug, event, lab, problem, protocol, run

STEROID = (
    """exposure: {agents: [{concept: glucocorticoid, systemic: true, prednisone-equivalent-at-most: 15 mg/d}], more-than: 6 mo}"""
)
CRITERIA = {
    "the doses of each day": STEROID,
    "the latest of many results": "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 14 d}}",
    "results of one time": """value: {derive: {formula: ratio, inputs: {numerator: {concepts: [anc], within: same-time},
  denominator: {concepts: [alc], within: same-time}}}, at-most: '3', pick: any}""",
    "conditions that have another meaning": "condition: {concepts: [ssc_any], absence: closed, window: {before: 6 mo}}",
    "events that have another meaning": "event: {procedures: [transfusion_any], absence: closed, window: {before: 7 d}}",
}
FEW, MANY = 60, 600


def calls(protocol: Protocol, record: Record, at: Any) -> int:
    """The Python functions that one assessment calls, the second time: what is remembered of codes and dates is at hand."""
    count = 0

    def seen(frame: FrameType, what: str, value: object) -> None:
        nonlocal count
        count += what == "call"

    assess(protocol, record, at)
    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        assess(protocol, record, at)
    finally:
        sys.setprofile(before)
    return count


def test_a_chart_of_250_resources_is_assessed_in_a_bounded_number_of_calls() -> None:
    bench = Bench()
    counted = [calls(bench.protocol, bench.read(bench.parse(charts.bundle(seed))), bench.run) for seed in range(1, 6)]
    assert max(counted) <= 7_500


def long_chart(count: int) -> Sequence[Any]:
    """So many days, each with a record of every kind that the criteria look at."""
    days = [(date(2025, 5, 31) - timedelta(3 * number)).isoformat() for number in range(count)]
    told = zip(days, cycle(("10", "20", "5")), strict=False)
    return [
        *(drug("http://www.whocc.no/atc|H02AB07", day, day, dose=dose, ref=f"d{day}") for day, dose in told),
        *(lab("hemoglobin", "100 g/L", day) for day in days),
        *(lab(name, "2 10*9/L", day) for day in days for name in ("anc", "alc")),
        *(problem("http://hl7.org/fhir/sid/icd-10-cm|A15.0", day) for day in days),
        *(event("http://www.cms.gov/Medicare/Coding/ICD10|0DTJ4ZZ", day) for day in days),
    ]


@pytest.mark.parametrize("criterion", CRITERIA.values(), ids=CRITERIA)
def test_ten_times_the_facts_cost_about_ten_times_the_calls(criterion: str) -> None:
    few, many = (calls(protocol(criterion), chart(*long_chart(count)), run()) for count in (FEW, MANY))
    assert many <= 12 * few
