"""Deadlines, storms and the law: a fault gives less and says so, never a false "has none"."""

from __future__ import annotations

import json
import logging
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from fhir_elig.record import Need
from fhir_elig.sources.replies import Limits
from tests.sources.charts import (
    CHART,
    CLEAN,
    LABS,
    OTHERS,
    P1,
    PROCEDURES,
    fetch,
    ids,
    line,
    network,
    observations,
    orders,
    procedure,
    source,
)
from tests.sources.fakes import (
    FHIR,
    Answer,
    Clock,
    Fake,
    observation,
    ok,
    outcome,
    searchset,
)


def test_the_deadline_of_a_patient_is_total_and_the_rest_is_told() -> None:
    clock = Clock()

    def slow(path: str, body: str) -> Any:
        clock.now += 25
        return searchset(CHART[1:3], f"?cursor={clock.now}") if clock.now < 1100 else searchset([])

    counter = iter(range(100))
    fake = observations(Fake([*CHART, procedure("a1")]), lambda path, body: {**slow(path, body), "id": str(next(counter))})
    chart = fetch(fake, LABS, PROCEDURES, clock=clock)
    assert chart.failure is None
    assert chart.broken
    assert line(chart, "Procedure").startswith("partial: ")


def test_the_deadline_before_the_patient_came_is_a_failure() -> None:
    clock = Clock()
    fake = Fake(CHART)
    fake.override = lambda method, path, body: (503, {"Retry-After": "70"}, "") if path == "/Patient/p1" else None
    assert (fetch(fake, clock=clock).failure or ("",))[0] == "FE0414"


def test_the_deadline_among_the_medications_is_told_once() -> None:
    fake = Fake([P1, *orders("m1", "m2", "m3")])
    fake.override = lambda method, path, body: (429, {"Retry-After": "70"}, "") if "/Medication/" in path else None
    chart = fetch(fake, Need("MedicationRequest"))
    assert [text.split()[0] for text in chart.errors] == ["FE0414"]


def test_500_that_is_permanent_for_one_patient_fails_that_patient_only() -> None:
    fake = Fake([*CHART, *OTHERS])
    fake.override = lambda method, path, body: (500, {}, "") if path == "/Patient/p1" else None
    with network(fake):
        charts = list(source().patients(["p1", "p2"]))
    assert [(chart.patient, chart.failure is None) for chart in charts] == [("p1", False), ("p2", True)]


def test_a_storm_of_503_gives_the_clean_charts_at_less_than_three_times_the_requests() -> None:
    people = [{"resourceType": "Patient", "id": f"q{number}"} for number in range(20)]
    results = [observation(f"o{person}-{number}", f"q{person}") for person in range(20) for number in range(5)]
    names = [str(one["id"]) for one in people]
    clean, stormy = Fake([*people, *results]), Fake([*people, *results])
    dice = random.Random(3)
    stormy.override = lambda method, path, body: (dice.choice((502, 503, 504)), {}, "") if dice.random() < 0.3 else None
    with network(clean):
        expected = {chart.patient: ids(chart) for chart in source().patients(names)}
    with network(stormy):
        charts = list(source(limits=Limits(tries=10)).patients(names))
    assert {chart.patient: ids(chart) for chart in charts} == expected
    assert len(stormy.asked) <= 3 * len(clean.asked)


def test_no_log_and_no_error_holds_a_word_of_a_patient(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "canary-4711"
    person = {"resourceType": "Patient", "id": canary, "birthDate": "1980-01-02", "name": [{"family": canary}]}
    fake = Fake([person, observation("o1", canary), observation("o2", canary), observation("o3", canary)], page=1)
    fake.override = lambda method, path, body: (400, FHIR, json.dumps(outcome(text=canary))) if "cursor=2" in path else None
    chart = fetch(fake, patient=canary)
    assert chart.broken
    assert "Observation: page 1, 1 entries" in caplog.text
    assert canary not in caplog.text + "".join(chart.errors) + "".join(entry.note for entry in chart.retrieved)


FAULTS: list[Answer] = [
    (200, FHIR, ""),
    (204, {}, ""),
    (404, {}, ""),
    (410, {}, ""),
    (400, {}, ""),
    (403, {}, ""),
    (500, {}, "x"),
    (503, {"Retry-After": "1"}, ""),
    (302, {"Location": "/"}, ""),
    (200, {}, "<html>login</html>"),
    (200, FHIR, "{"),
    ok(outcome()),
    ok(searchset([observation("o77", "p2")])),
    ok(searchset([], total=3)),
    ok(searchset([], following="https://evil.example.org/fhir/Observation")),
    ok(searchset([], following="?again")),
]


@given(faults=st.dictionaries(st.integers(1, 12), st.sampled_from(FAULTS), max_size=4), page=st.integers(1, 6))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_type_that_is_called_complete_holds_all_of_the_clean_run(faults: dict[int, Answer], page: int) -> None:
    fake = Fake([*CHART, *OTHERS, procedure("a1"), procedure("a2")], page=page)
    counter = iter(range(1_000_000))
    fake.override = lambda method, path, body: None if path == "/metadata" else faults.get(next(counter))
    chart = fetch(fake, LABS, PROCEDURES)
    kept = {kind: set(ids(chart, kind)) for kind in ("Observation", "Procedure")}
    for kind, whole in {"Observation": set(CLEAN), "Procedure": {"a1", "a2"}}.items():
        assert kept[kind] <= whole
        if chart.failure is None and not chart.identity and line(chart, kind) == "complete":
            assert kept[kind] == whole
