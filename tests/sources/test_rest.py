"""Patients, groups, linked records and Medications from a server."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_elig.errors import SourceError, UsageError
from fhir_elig.record import Need
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
    orders,
    procedure,
    source,
)
from tests.sources.fakes import (
    BASE,
    DECLARED,
    Answer,
    Fake,
    capability,
    observation,
    ok,
    outcome,
    searchset,
)


def test_medications_that_records_refer_to_are_read_once_a_run() -> None:
    drugs: list[dict[str, Any]] = [
        {"medicationReference": {"reference": "Medication/m1"}},
        {"medication": {"reference": {"reference": f"{BASE}/Medication/m1/_history/2"}}},
        {"medicationReference": {"reference": "#inside"}},
        {"medicationReference": {"reference": "https://elsewhere.example.org/fhir/Medication/m9"}},
        {"medicationCodeableConcept": {"text": "x"}},
    ]
    orders = [
        {"resourceType": "MedicationRequest", "id": f"r{patient}{number}", "subject": {"reference": f"Patient/{patient}"}, **drug}
        for patient in ("p1", "p2")
        for number, drug in enumerate(drugs)
    ]
    fake = Fake([*CHART, *OTHERS, *orders, {"resourceType": "Medication", "id": "m1"}], page=20)
    with network(fake):
        charts = list(source(Need("MedicationRequest")).patients(["p1", "p2"]))
    assert [ids(chart, "Medication") for chart in charts] == [["m1"], ["m1"]]
    assert [line(chart, "Medication") for chart in charts] == ["complete", "complete"]
    assert [path for _, path, _ in fake.asked if "/Medication/" in path] == ["/Medication/m1"]


def test_a_medication_that_is_not_there_makes_the_medications_partial() -> None:
    chart = fetch(Fake([P1, *orders("m1", "m2"), {"resourceType": "Medication", "id": "m2"}]), Need("MedicationRequest"))
    assert ids(chart, "Medication") == ["m2"]
    assert (line(chart, "Medication").split()[0], chart.broken) == ("partial:", False)


@pytest.mark.parametrize(
    ("status", "note", "broken"), [(403, "refused: 403", False), (500, "partial: a Medication could not", True)]
)
def test_medications_that_are_refused_or_lost_are_told(status: int, note: str, broken: bool) -> None:
    fake = Fake([P1, *orders("m1", "m2")])
    fake.override = lambda method, path, body: (status, {}, "") if "/Medication/" in path else None
    chart = fetch(fake, Need("MedicationRequest"))
    assert line(chart, "Medication").startswith(note)
    assert chart.broken is broken


def test_a_medication_that_is_not_there_is_asked_for_once_a_run() -> None:
    fake = Fake([P1, *orders("m1")])
    with network(fake):
        reader = source(Need("MedicationRequest"))
        charts = [reader.fetch("p1"), reader.fetch("p1")]
    assert [line(chart, "Medication") for chart in charts] == ["partial: a Medication that is referred to is not there"] * 2
    assert sum("/Medication/" in path for _, path, _ in fake.asked) == 1


def test_medications_are_not_read_where_they_are_not_served() -> None:
    fake = Fake([P1, *orders("m1")], declared=capability(MedicationRequest=["patient"]))
    assert line(fetch(fake, Need("MedicationRequest")), "Medication") == "not-served"


def test_a_medication_in_the_answer_is_not_read_again() -> None:
    drug = {"resourceType": "Medication", "id": "m1"}
    fake = Fake([P1])
    fake.override = lambda method, path, body: ok(searchset([*orders("m1"), drug])) if "MedicationRequest" in path else None
    chart = fetch(fake, Need("MedicationRequest"))
    assert (ids(chart, "Medication"), line(chart, "MedicationRequest")) == (["m1"], "complete")
    assert not any("/Medication/" in path for _, path, _ in fake.asked)


def test_an_unknown_patient_is_a_failure_and_not_an_empty_chart() -> None:
    chart = fetch(Fake(CHART), patient="nobody")
    assert chart.failure is not None
    assert (chart.failure[0], chart.resources) == ("FE0404", [])


@pytest.mark.parametrize("name", ["../Group/1", "a b", "", "..", "x" * 65, "p1?_id=p2"])
def test_a_text_that_is_no_id_is_never_sent(name: str) -> None:
    fake = Fake(CHART)
    chart = fetch(fake, patient=name)
    assert (chart.failure or ("",))[0] == "FE0404"
    assert fake.asked == []


def test_where_no_text_is_an_id_nothing_at_all_is_sent() -> None:
    fake = Fake(CHART)
    with network(fake):
        charts = list(source().patients(["../etc", "x" * 65, "p 1"]))
    assert [(chart.failure or ("",))[0] for chart in charts] == ["FE0404"] * 3
    assert fake.asked == []


def test_another_patient_in_place_of_the_asked_one_is_an_alarm() -> None:
    fake = Fake(CHART)
    fake.override = lambda method, path, body: ok({"resourceType": "Patient", "id": "p2"}) if path == "/Patient/p1" else None
    chart = fetch(fake)
    assert (chart.identity, chart.resources) == (True, [])
    assert line(chart).startswith("not-asked")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((403, {}, ""), "FE0403"),
        ((500, {}, ""), "FE0415"),
        (ok(outcome()), "FE0412"),
        ((200, {}, "<html>login</html>"), "FE0412"),
    ],
)
def test_a_patient_who_cannot_be_read_is_a_failure(answer: Answer, code: str) -> None:
    fake = Fake(CHART)
    fake.override = lambda method, path, body: answer if path == "/Patient/p1" else None
    chart = fetch(fake)
    assert (chart.failure or ("",))[0] == code


def test_records_of_one_person_under_linked_ids_are_read_together() -> None:
    link = {"other": {"reference": "Patient/old"}, "type": "replaces"}
    back = {"other": {"reference": "Patient/p1"}, "type": "replaced-by"}
    aside = {"other": {"reference": "Patient/p2"}, "type": "seealso"}
    old = {"resourceType": "Patient", "id": "old", "link": [back]}
    chart = fetch(Fake([{**P1, "link": [link, aside]}, old, *CHART[1:], observation("before", "old"), *OTHERS]))
    assert (ids(chart), ids(chart, "Patient")) == (["before", *CLEAN], ["old", "p1"])
    assert (chart.identity, line(chart, "Patient"), chart.broken) == (False, "complete", False)
    assert (chart.patient, chart.errors) == ("p1", ("Patient/old was replaced by Patient/p1: read as one",))


def test_two_ids_of_one_person_give_one_chart_under_the_id_that_holds_now() -> None:
    link = {"other": {"reference": "Patient/p1"}, "type": "replaced-by"}
    old = {"resourceType": "Patient", "id": "old", "link": [link]}
    with network(Fake([*CHART, old])):
        charts = list(source().patients(["old", "p1"]))
    assert [(chart.patient, ids(chart)) for chart in charts] == [("p1", CLEAN)]


def test_links_that_form_a_loop_are_an_alarm() -> None:
    there, back = ({"link": [{"other": {"reference": f"Patient/{name}"}, "type": "replaced-by"}]} for name in ("old", "p1"))
    assert fetch(Fake([{**P1, **there}, {"resourceType": "Patient", "id": "old", **back}])).identity


@pytest.mark.parametrize("other", [None, {"resourceType": "Patient", "id": "p2"}])
def test_a_linked_record_that_cannot_be_read_is_told(other: Any) -> None:
    fake = Fake([{**P1, "link": [{"other": {"reference": "Patient/old"}, "type": "replaces"}]}])
    fake.override = lambda method, path, body: ok(other) if other and path == "/Patient/old" else None
    chart = fetch(fake)
    assert line(chart, "Patient") == "partial: a linked record could not be read"
    assert (chart.broken, ids(chart, "Patient")) == (True, ["p1"])


def test_a_chain_of_linked_records_has_an_end() -> None:
    fake = Fake([P1])

    def answer(method: str, path: str, body: str) -> Answer | None:
        number = int(path.removeprefix("/Patient/p")) if path.startswith("/Patient/") else 0
        link = {"other": {"reference": f"Patient/p{number + 1}"}, "type": "replaced-by"}
        return ok({"resourceType": "Patient", "id": f"p{number}", "link": [link]}) if number else None

    fake.override = answer
    chart = fetch(fake)
    assert len(ids(chart, "Patient")) == 10
    assert chart.broken


def test_a_group_gives_its_members_once_and_tells_of_those_that_cannot_be_resolved() -> None:
    members = [
        {"entity": {"reference": "Patient/p1"}},
        {"entity": {"reference": "Patient/p1"}},
        {"entity": {"reference": "Patient/p2"}},
        {"entity": {"reference": "Patient/p3"}, "inactive": True},
        {"entity": {"reference": "Practitioner/d1"}},
        {"entity": {"identifier": {"value": "77"}}},
    ]
    fake = Fake([*CHART, *OTHERS, {"resourceType": "Group", "id": "g1", "member": members}])
    with network(fake):
        charts = list(source().patients(["p2"], group="Group/g1"))
    assert [(chart.patient, chart.failure is None) for chart in charts] == [
        ("p2", True),
        ("p1", True),
        ("unresolved-member-1", False),
    ]


@pytest.mark.parametrize(("name", "error"), [("none", SourceError), ("a/b", UsageError)])
def test_a_group_that_is_not_there_is_an_error(name: str, error: type[Exception]) -> None:
    with network(Fake(CHART)), pytest.raises(error):
        list(source().patients(group=name))


def test_a_group_that_is_refused_is_an_error() -> None:
    fake = Fake(CHART)
    fake.override = lambda method, path, body: (403, {}, "") if "Group" in path else None
    with network(fake), pytest.raises(SourceError) as caught:
        list(source().patients(group="g1"))
    assert caught.value.code == "FE0403"


def test_a_statement_is_read_as_far_as_it_can_be_read() -> None:
    odd = [3, {"type": 7}, {"type": "Procedure"}, {"type": "Observation", "searchParam": [{"name": "patient"}, {"name": 3}, 4]}]
    client = {"mode": "client", "resource": DECLARED["rest"][0]["resource"]}
    declared = {
        "resourceType": "CapabilityStatement",
        "rest": [client, {"resource": odd, "searchParam": [{"name": "_id"}]}, None],
    }
    chart = fetch(Fake([*CHART, procedure("a1")], declared=declared), LABS, PROCEDURES)
    assert (ids(chart), line(chart), line(chart, "Procedure")) == (CLEAN, "complete", "not-served")


@pytest.mark.parametrize("answer", [(404, {}, ""), ok(outcome()), (200, {}, "<html>login</html>"), (503, {}, "")])
def test_a_server_without_metadata_is_an_error_of_the_source(answer: Answer) -> None:
    fake = Fake(CHART)
    fake.override = lambda method, path, body: answer if path == "/metadata" else None
    with network(fake), pytest.raises(SourceError) as caught:
        source().fetch("p1")
    assert caught.value.exit_code == 14
