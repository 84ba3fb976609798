"""RestSource against a FHIR server that this project did not write: the same resources come back, and no others."""

from __future__ import annotations

import pytest

from fhir_elig.record import Need
from fhir_elig.sources import Chart
from fhir_elig.sources.rest import RestSource
from tests.sources import sekmet
from tests.sources.loaded import CODES, LOINC, NEEDS, chart_of, names_of, needed, resource

NAMES = ["anna-1", "ben.2", "cleo3"]


@pytest.fixture(scope="module")
def base(sekmet_base: str) -> str:
    group = {"resourceType": "Group", "id": "cohort", "type": "person", "actual": True}
    members = [{"entity": {"reference": f"Patient/{name}"}} for name in NAMES[:2]]
    rows = [one for name in NAMES for one in chart_of(name)]
    questionnaire = resource("QuestionnaireResponse", "undeclared", NAMES[0], status="completed")
    sekmet.load(sekmet_base, [*rows, {**group, "member": members}, questionnaire])
    return sekmet_base


@pytest.mark.parametrize("count", [7, 200])
@pytest.mark.parametrize("look_back", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_the_resources_that_were_loaded_come_back_and_no_others(base: str, name: str, count: int, look_back: bool) -> None:
    needs = [Need(need.type, need.codes, since=1) for need in NEEDS]
    chart = RestSource(base, needs=needs, count=count, look_back=look_back).fetch(name)
    assert names_of(chart.resources) == names_of(needed(chart_of(name)))
    assert (chart.failure, chart.identity, chart.broken, chart.errors) == (None, False, False, ())


def test_what_the_server_declares_and_honours_is_complete_and_the_rest_is_told(base: str) -> None:
    chart = RestSource(base, needs=NEEDS, count=7).fetch(NAMES[0])
    notes = {line.type: line.note for line in chart.retrieved}
    assert notes.pop("QuestionnaireResponse") == "not-served"
    assert notes.pop("ResearchSubject") == "not-served: HTTP 400"  # it refuses a parameter that it would else ignore
    assert set(notes.values()) == {""}
    assert {"Observation", "Procedure", "MedicationAdministration", "Patient"} <= set(notes)
    assert "Medication" not in notes, "drugs came with the records that name them"
    assert "Medication" in {one["resourceType"] for one in chart.resources}


def test_results_of_long_ago_are_left_out_by_a_look_back_and_those_without_a_date_are_not(base: str) -> None:
    since = 739_400  # 2025-05-27
    need = Need("Observation", frozenset(f"{LOINC}|{code}" for code in CODES), since)
    chart = RestSource(base, needs=[need], look_back=True).fetch(NAMES[0])
    rows = [one for one in needed(chart_of(NAMES[0])) if one["resourceType"] == "Observation"]
    recent = [one for one in rows if one.get("effectiveDateTime", "9") >= "2025-05-25"]
    assert names_of([one for one in chart.resources if one["resourceType"] == "Observation"]) == names_of(recent)


def test_the_members_of_a_group_are_read_in_turn(base: str) -> None:
    charts: list[Chart] = list(RestSource(base, needs=NEEDS).patients(group="cohort"))
    assert [chart.patient for chart in charts] == NAMES[:2]
    assert all(len(chart.resources) > 60 for chart in charts)


def test_an_unknown_patient_is_told_and_the_others_are_read(base: str) -> None:
    charts = list(RestSource(base, needs=NEEDS).patients(["nobody", NAMES[2]]))
    assert [(chart.patient, (chart.failure or ("",))[0]) for chart in charts] == [("nobody", "FE0404"), (NAMES[2], "")]


def test_a_deadline_that_is_too_short_is_told_and_nothing_counts_as_absent(base: str) -> None:
    source = RestSource(base, needs=NEEDS, count=1, timeout=0.15)
    chart = source.fetch(NAMES[0])
    assert chart.failure is not None or chart.broken
    complete = {line.type for line in chart.retrieved if line.complete}
    whole = needed(chart_of(NAMES[0]))
    for kind in complete - {"ResearchSubject"}:
        have = [one for one in chart.resources if one["resourceType"] == kind]
        assert names_of(have) == names_of([one for one in whole if one["resourceType"] == kind])
