"""The newest result, whatever it measures: a contact where a server shows no Encounter."""

from __future__ import annotations

import pytest

from fhir_elig.record import Need
from fhir_elig.sources import Chart
from fhir_elig.sources.credentials import Bearer
from fhir_elig.sources.rest import RestSource
from fhir_elig.sources.scopes import Grant, read_grant
from tests.sources.charts import LABS, P1, ids, line, network, source
from tests.sources.fakes import BASE, Answer, Fake, capability, observation, ok, outcome, searchset, transport

SERVED = capability(Observation=["patient", "code"], Encounter=["patient"])
VISITED = {"resourceType": "Encounter", "id": "e1", "status": "finished", "subject": {"reference": "Patient/p1"}}
OTHER = observation("sodium", code="2951-2")
BOTH = (LABS, Need("Encounter"))
NEWEST = "_sort=-date"


def fetched(fake: Fake, *needs: Need) -> tuple[Chart, list[str]]:
    """The chart, and how the newest result was asked for."""
    with network(fake):
        (chart,) = source(*needs).patients(["p1"])
    return chart, [f"{method} {path} {body}" for method, path, body in fake.asked if NEWEST in path + body]


def test_without_an_encounter_the_newest_result_is_asked_for_once_and_shows_that_the_patient_was_seen() -> None:
    chart, asked = fetched(
        Fake([P1, OTHER, observation("more", code="x"), observation("most", code="y")], declared=SERVED), *BOTH
    )
    assert asked == ["POST /Observation/_search patient=p1&_count=1&_sort=-date"]
    assert "sodium" in ids(chart, "Observation")
    assert line(chart, "Observation") == "complete"


@pytest.mark.parametrize(
    ("resources", "needs"),
    [([P1, OTHER, VISITED], BOTH), ([P1, OTHER], (LABS,)), ([P1, OTHER], (Need("Encounter"),))],
    ids=["an encounter came", "no contact is needed", "results are not needed"],
)
def test_it_is_not_asked_for(resources: list[dict[str, object]], needs: tuple[Need, ...]) -> None:
    chart, asked = fetched(Fake(resources, declared=SERVED), *needs)
    assert (ids(chart, "Observation"), asked) == ([], [])


def test_a_server_that_serves_no_search_by_post_is_asked_by_get() -> None:
    fake = Fake([P1, OTHER], declared=SERVED)
    fake.override = lambda method, path, body: (405, {}, "") if method == "POST" else None
    chart, asked = fetched(fake, *BOTH)
    assert asked == ["GET /Observation?patient=p1&_count=1&_sort=-date "]
    assert ids(chart, "Observation") == ["sodium"]


@pytest.mark.parametrize(
    "answer",
    [
        (400, {}, ""),
        (403, {}, ""),
        (200, {}, "{"),
        ok(outcome()),
        ok(searchset([])),
        ok(searchset([], following=f"{BASE}?page=2", total=9)),
        ok(searchset([outcome("warning", "incomplete")])),
    ],
    ids=["refused", "forbidden", "cut", "an outcome", "empty", "a page more", "a warning"],
)
def test_what_does_not_come_takes_nothing_from_what_came(answer: Answer) -> None:
    fake = Fake([P1, observation("hb"), OTHER], declared=SERVED)
    fake.override = lambda method, path, body: answer if NEWEST in path + body else None
    chart, _ = fetched(fake, *BOTH)
    assert ids(chart, "Observation") == ["hb"]
    assert (line(chart, "Observation"), chart.broken, chart.errors) == ("complete", False, ())


def test_another_patients_result_is_dropped_and_raises_the_alarm() -> None:
    fake = Fake([P1], declared=SERVED)
    stranger = ok(searchset([observation("theirs", patient="p2")]))
    fake.override = lambda method, path, body: stranger if NEWEST in path + body else None
    chart, _ = fetched(fake, *BOTH)
    assert (ids(chart, "Observation"), chart.identity) == ([], True)


def test_a_server_without_results_is_not_asked() -> None:
    chart, asked = fetched(Fake([P1], declared=capability(Encounter=["patient"])), *BOTH)
    assert (line(chart, "Observation"), asked) == ("not-served", [])


def test_without_the_scope_for_results_nothing_is_asked() -> None:
    class Narrow(Bearer):
        def grant(self, deadline: float) -> Grant | None:
            return read_grant("system/Encounter.rs")

    fake = Fake([P1, OTHER], declared=SERVED)
    with network(fake):
        RestSource(BASE, needs=BOTH, transport=transport(credentials=Narrow(None))).fetch("p1")
    assert not [path for _, path, _ in fake.asked if "Observation" in path]
