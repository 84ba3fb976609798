"""RestSource against a FHIR server that this project did not write: the same resources come back, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_elig.record import Need
from fhir_elig.sources import Chart
from fhir_elig.sources.rest import RestSource
from tests.sources import sekmet

LOINC = "http://loinc.org"
CODES = ["718-7", "777-3", "1742-6", "1920-8", "2160-0"]
NEEDS = [
    Need("Observation", frozenset(f"{LOINC}|{code}" for code in CODES)),
    *(Need(kind) for kind in ("Condition", "Procedure", "Encounter", "Consent", "QuestionnaireResponse", "ResearchSubject")),
    *(Need(f"Medication{kind}") for kind in ("Request", "Statement", "Dispense", "Administration")),
]
NAMES = ["anna-1", "ben.2", "cleo3"]
CONCEPT = {"coding": [{"system": "http://snomed.info/sct", "code": "128302006"}]}


def resource(kind: str, name: str, patient: str, **more: Any) -> dict[str, Any]:
    whose = "patient" if kind == "Consent" else "subject"
    return {"resourceType": kind, "id": name, whose: {"reference": f"Patient/{patient}"}, **more}


def chart_of(patient: str) -> list[dict[str, Any]]:
    """One invented patient: 67 resources, of which 65 are needed."""
    drug = {"medicationReference": {"reference": f"Medication/{patient}-drug"}}
    rows: list[dict[str, Any]] = [{"resourceType": "Patient", "id": patient, "birthDate": "1980-01-02", "gender": "female"}]
    for number in range(42):
        code = [*CODES, "8480-6"][number % 6] if number < 12 else CODES[number % 5]
        more: dict[str, Any] = {} if number == 7 else {"effectiveDateTime": f"2025-{number % 12 + 1:02}-15"}
        value = {"value": 10.5 + number, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"}
        coding = {"coding": [{"system": LOINC, "code": code}]}
        rows.append(
            resource("Observation", f"{patient}-o{number}", patient, status="final", code=coding, valueQuantity=value, **more)
        )
    for number in range(6):
        tail = f"{patient}-{number}"
        rows += [
            resource("Condition", f"c-{tail}", patient, code=CONCEPT),
            resource("Procedure", f"p-{tail}", patient, status="completed", code=CONCEPT, performedDateTime="2025-03-01"),
            resource(
                "Encounter", f"e-{tail}", patient, status="finished", **{"class": {"code": "AMB"}}, period={"start": "2025-03-01"}
            ),
        ]
    rows += [
        resource("MedicationRequest", f"mr-{patient}", patient, status="active", intent="order", **drug),
        resource("MedicationStatement", f"ms-{patient}", patient, status="active", **drug),
        resource("MedicationDispense", f"md-{patient}", patient, status="completed", **drug),
        resource(
            "MedicationAdministration", f"ma-{patient}", patient, status="completed", effectiveDateTime="2025-03-01", **drug
        ),
        resource("Consent", f"co-{patient}", patient, status="active", scope=CONCEPT, category=[CONCEPT]),
        {"resourceType": "Medication", "id": f"{patient}-drug", "code": {"text": "invented"}},
    ]
    return rows


def names_of(resources: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((one["resourceType"], one["id"]) for one in resources)


def needed(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in resources if one["resourceType"] != "Observation" or one["code"]["coding"][0]["code"] in CODES]


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
    assert {"Observation", "Procedure", "MedicationAdministration", "Medication", "Patient"} <= set(notes)


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
