"""Charts from Bundles, resources and folders: whose each resource is, and where everything went."""

from __future__ import annotations

import gc
import gzip
import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_elig.errors import DataError
from fhir_elig.sources import Chart
from fhir_elig.sources.files import FileSource, Tally, read_files

Resource = dict[str, Any]


def patient(identity: str = "p1", **more: Any) -> Resource:
    return {"resourceType": "Patient", "id": identity, **more}


def observation(identity: str, owner: str = "p1", **more: Any) -> Resource:
    code = {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}
    return {"resourceType": "Observation", "id": identity, "subject": {"reference": f"Patient/{owner}"}, "code": code, **more}


def bundle(*resources: Resource, **more: Any) -> Resource:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources], **more}


def write(path: Path, *documents: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in documents).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def charts(source: FileSource) -> dict[str, list[str]]:
    return {chart.patient: references(chart) for chart in source}


def references(chart: Chart) -> list[str]:
    return sorted(f"{one['resourceType']}/{one.get('id')}" for one in chart.resources)


def notes(chart: Chart) -> dict[str, str]:
    return {entry.type: entry.note for entry in chart.retrieved}


def complete(chart: Chart) -> set[str]:
    return {entry.type for entry in chart.retrieved if entry.complete}


def whys(source: FileSource) -> list[tuple[str, str, str]]:
    return [(finding.code, finding.where, finding.why) for finding in source.errors]


@pytest.mark.parametrize("kind", ["collection", "searchset", "transaction", "batch", "document", "history"])
def test_a_bundle_of_any_kind_gives_its_patients_chart(tmp_path: Path, kind: str) -> None:
    source = read_files(write(tmp_path / "b.json", {**bundle(patient(), observation("o1")), "type": kind}))
    assert charts(source) == {"p1": ["Observation/o1", "Patient/p1"]}
    assert source.errors == () and len(source) == 1


def test_one_patient_over_many_files_and_folders_is_one_chart(tmp_path: Path) -> None:
    write(tmp_path / "z.json", patient())
    write(tmp_path / "a" / "b" / "o.json", observation("o1"))
    write(tmp_path / "a" / "lines.ndjson", observation("o2"), observation("o3", "p2"))
    write(tmp_path / "a" / "lines.ndjson.gz", observation("o4"), patient("p2"))
    write(tmp_path / "a" / "more.jsonl", observation("o5"))
    write(tmp_path / "a" / "packed.json.gz", bundle(observation("o6")))
    source = read_files(tmp_path)
    assert charts(source) == {
        "p1": ["Observation/o1", "Observation/o2", "Observation/o4", "Observation/o5", "Observation/o6", "Patient/p1"],
        "p2": ["Observation/o3", "Patient/p2"],
    }
    assert source.tally == Tally(read=8, used=8, others=0, shared=0, orphans=0, set_aside=0)
    assert [chart.patient for chart in source] == ["p1", "p2"] == [chart.patient for chart in source]


def test_numbers_arrive_as_they_were_sent(tmp_path: Path) -> None:
    path = write(tmp_path / "b.json", '{"resourceType": "Patient", "id": "p1", "x": 7.50, "y": 7}')
    (chart,) = read_files(path)
    assert chart.resources == [{"resourceType": "Patient", "id": "p1", "x": Decimal("7.50"), "y": 7}]
    assert str(chart.resources[0]["x"]) == "7.50"


def test_bundles_may_hold_bundles_and_lines_may_be_bundles(tmp_path: Path) -> None:
    write(tmp_path / "b.json", bundle(bundle(patient()), bundle(observation("o1"))))
    write(tmp_path / "b.ndjson", bundle(observation("o2")))
    assert charts(read_files(tmp_path)) == {"p1": ["Observation/o1", "Observation/o2", "Patient/p1"]}


def test_ndjson_under_the_name_of_a_document_is_read(tmp_path: Path) -> None:
    write(tmp_path / "b.json", patient(), observation("o1"))
    assert charts(read_files(tmp_path)) == {"p1": ["Observation/o1", "Patient/p1"]}


@pytest.mark.parametrize("name", ["data", "data.txt", "data.gz"])
def test_a_file_that_is_named_itself_is_read_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, patient(), observation("o1"))
    assert charts(read_files(path)) == {"p1": ["Observation/o1", "Patient/p1"]}


def test_a_plain_file_with_the_name_of_a_packed_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "p.ndjson.gz"
    path.write_text(json.dumps(patient()))
    assert charts(read_files(path)) == {"p1": ["Patient/p1"]}


# References ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["urn:uuid:{}", "https://ehr.example/fhir/Patient/{}", "urn:oid:{}"])
def test_references_to_entries_by_address_are_resolved(tmp_path: Path, address: str) -> None:
    first, second = address.format("u-1"), address.format("u-2")
    inner = {"resourceType": "Observation", "subject": {"reference": first}, "hasMember": [{"reference": second}]}
    entries = [
        {"fullUrl": first, "resource": {"resourceType": "Patient"}},
        {"fullUrl": second, "resource": inner},
        {"fullUrl": "urn:uuid:u-3", "resource": observation("own", "u-1", focus=[{"reference": f"{first}/_history/2"}])},
    ]
    (chart,) = read_files(write(tmp_path / "b.json", {"resourceType": "Bundle", "entry": entries}))
    assert references(chart) == ["Observation/own", "Observation/u-2", "Patient/u-1"]
    (found,) = [one for one in chart.resources if one["id"] == "u-2"]
    assert found["subject"] == {"reference": "Patient/u-1"} and found["hasMember"] == [{"reference": "Observation/u-2"}]
    (own,) = [one for one in chart.resources if one["id"] == "own"]
    assert own["focus"] == [{"reference": "Patient/u-1"}]


def test_an_address_that_two_entries_share_resolves_to_neither(tmp_path: Path) -> None:
    entries = [{"fullUrl": "urn:uuid:u", "resource": patient(one)} for one in ("p1", "p2")]
    entries.append({"resource": {**observation("o1"), "subject": {"reference": "urn:uuid:u"}}})
    source = read_files(write(tmp_path / "b.json", {"resourceType": "Bundle", "entry": entries}))
    assert charts(source) == {"p1": ["Patient/p1"], "p2": ["Patient/p2"]}
    assert all(notes(chart)["Observation"].startswith("partial: it names no patient") for chart in source)


def test_absolute_references_lead_to_the_base_and_nowhere_else(tmp_path: Path) -> None:
    own = {**observation("o1"), "subject": {"reference": "https://ehr.example/fhir/Patient/p1"}}
    foreign = {**observation("o2"), "subject": {"reference": "https://elsewhere.example/fhir/Patient/p1"}}
    write(tmp_path / "l.ndjson", patient(), own, foreign)
    source = read_files(tmp_path, base="https://ehr.example/fhir")
    assert charts(source) == {"p1": ["Observation/o1", "Patient/p1"]}
    assert next(iter(source)).base == "https://ehr.example/fhir"
    assert whys(source) == [("FE0302", "l.ndjson:3 Observation/o2", "it names no patient")]


def test_medications_go_to_the_charts_that_refer_to_them(tmp_path: Path) -> None:
    def order(identity: str, owner: str, **drug: Any) -> Resource:
        return {"resourceType": "MedicationRequest", "id": identity, "subject": {"reference": f"Patient/{owner}"}, **drug}

    write(
        tmp_path / "b.ndjson",
        patient("p1"), patient("p2"), patient("p3"),
        order("r1", "p1", medicationReference={"reference": "Medication/m1"}),
        order("r2", "p2", medication={"reference": {"reference": "Medication/m2"}}),
        order("r3", "p3", medicationReference={"reference": "Medication/none"}),
        order("r4", "p3", medicationCodeableConcept={"text": "x"}),
        {"resourceType": "Medication", "id": "m1", "ingredient": [{"itemReference": {"reference": "Medication/m3"}}, 7]},
        {"resourceType": "Medication", "id": "m2", "ingredient": [{"item": {"reference": {"reference": "Medication/m2"}}}]},
        {"resourceType": "Medication", "id": "m3"},
        {"resourceType": "Medication", "id": "m4"},
        {"resourceType": "Organization", "id": "org"},
    )  # fmt: skip
    source = read_files(tmp_path)
    assert charts(source) == {
        "p1": ["Medication/m1", "Medication/m3", "MedicationRequest/r1", "Patient/p1"],
        "p2": ["Medication/m2", "MedicationRequest/r2", "Patient/p2"],
        "p3": ["MedicationRequest/r3", "MedicationRequest/r4", "Patient/p3"],
    }
    assert source.tally == Tally(read=12, used=7, others=0, shared=5, orphans=0, set_aside=0)


# Identity --------------------------------------------------------------------------------------------------------------


def test_a_resource_of_a_patient_who_is_not_there_is_an_orphan(tmp_path: Path) -> None:
    source = read_files(write(tmp_path / "b.json", bundle(patient(), observation("o1"), observation("o2", "p9"))))
    assert charts(source) == {"p1": ["Observation/o1", "Patient/p1"]}
    assert source.orphans == ("Observation/o2",)
    assert whys(source) == [("FE0303", "Observation/o2", "its patient is not in the data")]
    assert source.tally == Tally(read=3, used=2, others=0, shared=0, orphans=1, set_aside=0)
    assert not any(chart.identity for chart in source)


@pytest.mark.parametrize("subject", [None, {"reference": "Group/g"}, {"identifier": {"value": "1"}}, {"reference": "#p"}, "p1"])
def test_a_resource_without_a_patient_makes_its_type_partial(tmp_path: Path, subject: Any) -> None:
    write(tmp_path / "1.json", bundle(patient("p1"), {**observation("o1"), "subject": subject}))
    write(tmp_path / "2.json", bundle(patient("p2"), observation("o2", "p2")))
    source = read_files(tmp_path, complete="all")
    first, second = source
    assert references(first) == ["Patient/p1"]
    assert notes(first)["Observation"] == "partial: it names no patient (1.json)"
    assert "Observation" not in complete(first) and "Condition" in complete(first)
    assert "Observation" in complete(second) and not first.broken
    assert whys(source) == [("FE0302", "1.json Observation/o1", "it names no patient")]
    assert source.tally == Tally(read=4, used=3, others=0, shared=0, orphans=0, set_aside=1)


def test_a_resource_without_a_patient_may_be_anybodys_where_a_file_has_several(tmp_path: Path) -> None:
    write(tmp_path / "1.json", bundle(patient("p1"), patient("p2")))
    write(tmp_path / "2.json", {**observation("o1"), "subject": None})
    source = read_files(tmp_path)
    assert [notes(chart)["Observation"][:7] for chart in source] == ["partial", "partial"]


@pytest.mark.parametrize("identity", ["../../x", "%2e%2e", "a/b", "x" * 65, "", "..", 7, None])
def test_a_patient_without_a_valid_id_is_set_aside(tmp_path: Path, identity: Any) -> None:
    source = read_files(write(tmp_path / "l.ndjson", patient("p1"), {"resourceType": "Patient", "id": identity}))
    assert charts(source) == {"p1": ["Patient/p1"]}
    assert whys(source) == [("FE0302", "l.ndjson:2 Patient/?", "a Patient without a valid id")]


def test_two_patients_with_one_record_number_stay_two(tmp_path: Path) -> None:
    number = [{"system": "urn:mrn", "value": "007"}]
    source = read_files(write(tmp_path / "b.ndjson", patient("p1", identifier=number), patient("p2", identifier=number)))
    assert source.patients == ("p1", "p2")


def test_ids_that_look_like_numbers_are_texts(tmp_path: Path) -> None:
    names = ("007", "0x7", "1E05", "1E5", "7")
    source = read_files(write(tmp_path / "b.ndjson", *(patient(name) for name in names)))
    assert source.patients == names


def test_patients_are_chosen_by_id(tmp_path: Path) -> None:
    write(tmp_path / "b.ndjson", *(patient(one) for one in ("p1", "p2", "p3")), observation("o3", "p3"))
    source = read_files(tmp_path, patient_ids=["Patient/p3", "p1"])
    assert charts(source) == {"p1": ["Patient/p1"], "p3": ["Observation/o3", "Patient/p3"]}
    assert source.tally == Tally(read=4, used=3, others=1, shared=0, orphans=0, set_aside=0)
    assert not any(chart.identity for chart in source)


def test_a_patient_who_was_asked_for_and_is_not_there_is_a_failure(tmp_path: Path) -> None:
    source = read_files(write(tmp_path / "b.json", bundle(patient("p1"))), patient_ids=["p2"])
    (chart,) = source
    assert chart.failure == ("FE0103", "the patient is not in the data") and chart.resources == []
    assert not chart.identity
    assert whys(source) == [("FE0103", "Patient/p2", "the patient is not in the data")]


def test_a_stranger_in_the_one_bundle_of_the_one_patient_is_an_alarm(tmp_path: Path) -> None:
    path = write(tmp_path / "b.json", bundle(patient("p1"), observation("o1"), observation("o2", "p2")))
    source = read_files(path, patient_ids=["p1"])
    (chart,) = source
    assert chart.identity and references(chart) == ["Observation/o1", "Patient/p1"]
    assert chart.errors == ("another patient's resource stood in the Bundle and was dropped",)
    assert ("FE0601", "Observation/o2", "it is not of the patient who was asked for") in whys(source)


def test_a_refused_resource_of_a_stranger_is_an_alarm_too(tmp_path: Path) -> None:
    for owner in ("p1", "p2"):
        text = json.dumps(bundle(patient("p1"), observation("o2", owner, x="@"))).replace('"@"', "NaN")
        (chart,) = read_files(write(tmp_path / "b.json", text), patient_ids=["p1"])
        assert chart.identity == (owner == "p2")


@pytest.mark.parametrize("asked", [[], ["p1", "p2"]])
def test_a_bundle_of_many_raises_no_alarm_where_not_one_was_asked_for(tmp_path: Path, asked: list[str]) -> None:
    path = write(tmp_path / "b.json", bundle(patient("p1"), patient("p2"), observation("o2", "p2")))
    source = read_files(path, patient_ids=asked)
    assert source.patients == ("p1", "p2") and not any(chart.identity for chart in source)


def test_a_replaced_record_is_read_with_its_survivor(tmp_path: Path) -> None:
    replaced = [{"type": "replaced-by", "other": {"reference": "Patient/p2"}}]
    write(tmp_path / "l.ndjson", patient("p1", link=replaced), patient("p2"), observation("o1", "p1"), observation("o2", "p2"))
    for asked in ([], ["p1"], ["p2"]):
        source = read_files(tmp_path, patient_ids=asked)
        assert charts(source) == {"p2": ["Observation/o1", "Observation/o2", "Patient/p1", "Patient/p2"]}
        (chart,) = source
        assert chart.errors == ("Patient/p1 was replaced by Patient/p2: read as one",) and not chart.identity


def test_replaced_records_are_followed_to_the_end_and_told_by_either_side(tmp_path: Path) -> None:
    first = [
        {"type": "replaced-by", "other": {"reference": "Patient/p2"}},
        {"type": "seealso", "other": {"reference": "Patient/p9"}},
    ]
    last = [{"type": "replaces", "other": {"reference": "Patient/p2"}}, "odd", {"type": "replaces", "other": None}]
    write(tmp_path / "l.ndjson", patient("p1", link=first), patient("p2"), patient("p3", link=last), patient("p9", link="odd"))
    assert charts(read_files(tmp_path)) == {"p3": ["Patient/p1", "Patient/p2", "Patient/p3"], "p9": ["Patient/p9"]}


def test_a_survivor_who_is_not_there_leaves_the_record_and_a_remark(tmp_path: Path) -> None:
    replaced = [{"type": "replaced-by", "other": {"reference": "Patient/p2"}}]
    (chart,) = read_files(write(tmp_path / "p.json", patient("p1", link=replaced)))
    assert chart.errors == ("Patient/p1 was replaced by Patient/p2, who is not in the data",)


@pytest.mark.parametrize("targets", [["p2", "p3"], ["p1"]])
def test_links_that_loop_or_fork_leave_the_identity_in_doubt(tmp_path: Path, targets: list[str]) -> None:
    links = [{"type": "replaced-by", "other": {"reference": f"Patient/{one}"}} for one in targets]
    write(tmp_path / "l.ndjson", patient("p1", link=links), patient("p2"), patient("p3"))
    assert [chart.identity for chart in read_files(tmp_path)] == [True, False, False]


# Defects ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "defect",
    ['{"value": NaN}', '{"value": 1e9999999}', '{"value": 1, "value": 2}', '{"value": "\\ud800"}', "[" * 150 + "]" * 150],
)
@pytest.mark.parametrize("name", ["b.json", "b.ndjson"])
def test_a_defect_costs_its_resource_and_tells_its_codes(tmp_path: Path, defect: str, name: str) -> None:
    rows = [patient("p1"), patient("p2"), observation("o1"), observation("o2", x="@"), observation("o3", "p2")]
    documents = [bundle(*rows)] if name == "b.json" else rows
    write(tmp_path / name, *(json.dumps(one).replace('"@"', defect) for one in documents))
    source = read_files(tmp_path, complete="all")
    first, second = source
    assert references(first) == ["Observation/o1", "Patient/p1"] and references(second) == ["Observation/o3", "Patient/p2"]
    (refused,) = first.refused
    assert (refused.reference, refused.type, refused.codes) == ("Observation/o2", "Observation", ("http://loinc.org|718-7",))
    assert second.refused == () and "Observation" in complete(first) & complete(second)
    assert [code for code, _, _ in whys(source)] == ["FE0302"]
    assert source.tally == Tally(read=5, used=4, others=0, shared=0, orphans=0, set_aside=1)


def test_a_defect_in_the_codes_makes_the_type_partial_for_that_patient(tmp_path: Path) -> None:
    text = json.dumps(bundle(patient("p1"), patient("p2"), observation("o1", code="@"))).replace('"@"', "NaN")
    first, second = read_files(write(tmp_path / "b.json", text), complete=frozenset({"Observation"}))
    assert notes(first)["Observation"].startswith("partial: a number that is not finite") and first.refused[0].codes is None
    assert "Observation" in complete(second) and second.refused == ()


def test_two_subjects_make_a_resource_anybodys(tmp_path: Path) -> None:
    text = json.dumps(bundle(patient("p1"), patient("p2"), observation("o1"))).replace(
        '"code":', '"subject": {"reference": "Patient/p2"}, "code":', 1
    )
    for chart in read_files(write(tmp_path / "b.json", text)):
        assert [one.reference for one in chart.refused] == ["Observation/o1"] and references(chart) == [
            f"Patient/{chart.patient}"
        ]


def test_two_resource_types_make_every_type_partial(tmp_path: Path) -> None:
    text = '{"resourceType": "Observation", "resourceType": "Condition", "subject": {"reference": "Patient/p1"}}'
    (chart,) = read_files(
        write(
            tmp_path / "b.json",
            f'{{"resourceType": "Bundle", "entry": [{{"resource": {text}}}, {{"resource": {json.dumps(patient())}}}]}}',
        ),
        complete="all",
    )
    assert complete(chart) == set() and chart.refused[0].type == ""


def test_a_refused_patient_still_has_a_chart(tmp_path: Path) -> None:
    write(tmp_path / "l.ndjson", '{"resourceType": "Patient", "id": "p1", "x": NaN}', observation("o1"))
    (chart,) = read_files(tmp_path, complete="all")
    assert references(chart) == ["Observation/o1"]
    assert "Patient" not in complete(chart) and "Observation" in complete(chart)
    assert [one.reference for one in chart.refused] == ["Patient/p1"]


def test_a_defect_outside_of_the_entries_refuses_the_bundle_and_names_its_patients(tmp_path: Path) -> None:
    entries = [
        {"fullUrl": "urn:uuid:p1", "resource": {"resourceType": "Patient", "id": "p1"}},
        {"resource": {**observation("o1"), "subject": {"reference": "urn:uuid:p1"}}},
    ]
    write(tmp_path / "1.json", json.dumps({"resourceType": "Bundle", "entry": entries, "total": "@"}).replace('"@"', "NaN"))
    write(tmp_path / "2.json", bundle(patient("p2")))
    first, second = read_files(tmp_path, complete="all")
    assert first.resources == [] and [one.reference for one in first.refused] == ["Observation/o1", "Patient/p1"]
    assert second.refused == () and "Observation" in complete(second)


@pytest.mark.parametrize("entry", [7, {"resource": None}, {"resource": {"id": "x"}}])
def test_an_entry_that_is_no_resource_may_have_been_anything(tmp_path: Path, entry: Any) -> None:
    broken = {"resourceType": "Bundle", "entry": [{"resource": patient()}, entry, {"request": {"method": "DELETE"}}]}
    (chart,) = read_files(write(tmp_path / "b.json", broken), complete="all")
    assert references(chart) == ["Patient/p1"] and complete(chart) == set()


def test_entries_that_are_no_list_are_a_loss(tmp_path: Path) -> None:
    write(tmp_path / "b.json", {"resourceType": "Bundle", "entry": {"resource": observation("o1")}})
    write(tmp_path / "p.json", patient())
    (chart,) = read_files(tmp_path, complete="all")
    assert complete(chart) == set()


def test_changes_are_no_data(tmp_path: Path) -> None:
    entry = {"resource": observation("o1"), "request": {"method": "DELETE"}}
    source = read_files(write(tmp_path / "b.json", {"resourceType": "Bundle", "entry": [{"resource": patient()}, entry]}))
    assert charts(source) == {"p1": ["Patient/p1"]}
    assert whys(source) == [("FE0302", "b.json Observation/o1", "a change, not a resource")]


@pytest.mark.parametrize(
    "issue, lost",
    [
        ({"severity": "information", "code": "informational"}, False),
        ({"severity": "warning", "code": "not-supported"}, False),
        ({"severity": "error", "code": "processing"}, True),
        ({"severity": "warning", "code": "suppressed"}, True),
    ],
)
@pytest.mark.parametrize("search", [{}, {"search": {"mode": "outcome"}}])
def test_a_servers_message_is_no_data_and_may_tell_of_a_loss(
    tmp_path: Path, issue: Resource, lost: bool, search: Resource
) -> None:
    outcome = {"resource": {"resourceType": "OperationOutcome", "issue": [issue]}, **search}
    source = read_files(
        write(tmp_path / "b.json", {"resourceType": "Bundle", "entry": [{"resource": patient()}, outcome]}), complete="all"
    )
    (chart,) = source
    assert references(chart) == ["Patient/p1"] and len(source.errors) == 1
    assert (complete(chart) == set()) == lost


def test_a_search_result_without_its_next_page_is_partial(tmp_path: Path) -> None:
    def page(number: int, *resources: Resource) -> Resource:
        links = [
            {"relation": "self", "url": f"https://x/fhir?page={number}"},
            {"relation": "next", "url": f"https://x/fhir?page={number + 1}"},
            {"relation": "last"},
        ]
        return {**bundle(*resources), "type": "searchset", "link": links[: 3 if number < 3 else 1]}

    write(tmp_path / "p.json", patient())
    write(tmp_path / "1.json", page(1, observation("o1")))
    (chart,) = read_files(tmp_path, complete="all")
    assert notes(chart)[
        "Observation"
    ] == "partial: the next page of this search is not there (1.json)" and "Condition" in complete(chart)
    write(tmp_path / "2.json", page(2, observation("o2"), {**observation("c"), "resourceType": "Condition"}))
    (chart,) = read_files(tmp_path, complete="all")
    assert complete(chart) == set()
    write(tmp_path / "3.json", page(3))
    (chart,) = read_files(tmp_path, complete="all")
    assert {"Observation", "Condition"} <= complete(chart)


# Files that are not read -----------------------------------------------------------------------------------------------


def test_a_broken_file_touches_the_patients_that_it_names(tmp_path: Path) -> None:
    for one in ("p1", "p2", "p3"):
        write(tmp_path / f"{one}.json", bundle(patient(one), observation(f"o-{one}", one)))
    write(tmp_path / "more.json", json.dumps(bundle(patient("p3"), observation("x", "p3")))[:-9])
    source = read_files(tmp_path, complete="all")
    assert [complete(chart) == set() for chart in source] == [False, False, True]
    assert [where for _, where, _ in whys(source)] == ["more.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"resourceType": "Observation", ',
        "<html>",
        "<html>\n<body>",
        '{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "p1"',
    ],
)
def test_a_broken_file_that_names_nobody_may_be_anybodys(tmp_path: Path, text: str) -> None:
    write(tmp_path / "1.json", bundle(patient("p1")))
    write(tmp_path / "2.json", text)
    (chart,) = read_files(tmp_path, complete="all")
    assert complete(chart) == set()


def test_a_broken_file_beside_one_with_many_patients_may_be_anybodys(tmp_path: Path) -> None:
    write(tmp_path / "1.json", bundle(patient("p1"), patient("p2")))
    write(tmp_path / "2.json", json.dumps(bundle(patient("p1"), observation("x")))[:-5])
    assert [complete(chart) for chart in read_files(tmp_path, complete="all")] == [set(), set()]


@pytest.mark.parametrize("text", ["{}", "[]", "7", '{"name": "x", "version": "1"}', '{"a": 1, "a": 2}', '{"a": NaN}'])
def test_json_that_is_not_fhir_is_set_aside_and_harms_nothing(tmp_path: Path, text: str) -> None:
    write(tmp_path / "1.json", patient())
    write(tmp_path / "package.json", text)
    write(tmp_path / "log.ndjson", text, text)
    source = read_files(tmp_path, complete="all")
    assert "Observation" in complete(next(iter(source)))
    assert whys(source) == [
        ("FE0302", "log.ndjson", "it holds no FHIR resource"),
        ("FE0302", "package.json", "it holds no FHIR resource"),
    ]


def test_a_list_of_resources_is_not_taken_in_and_ends_all_claims(tmp_path: Path) -> None:
    write(tmp_path / "1.json", patient())
    write(tmp_path / "2.json", [observation("o1")])
    (chart,) = read_files(tmp_path, complete="all")
    assert complete(chart) == {"Patient"}
    assert notes(chart)["Observation"] == "not-asked: complete but for what was not taken in (2.json)"


@pytest.mark.parametrize("name", ["x.xml", "x.zip", "x.ndjson.zst", "x.csv.gz"])
def test_a_file_that_may_hold_a_chart_and_is_not_read_ends_all_claims(tmp_path: Path, name: str) -> None:
    write(tmp_path / "1.json", patient())
    (tmp_path / name).write_bytes(b"x")
    source = read_files(tmp_path, complete="all")
    assert complete(next(iter(source))) == {"Patient"} and [where for _, where, _ in whys(source)] == [name]


def test_hidden_and_unrelated_files_are_named_and_harm_nothing(tmp_path: Path) -> None:
    write(tmp_path / "1.json", patient())
    write(tmp_path / ".git" / "x.json", "{")
    write(tmp_path / "._1.json", "{")
    write(tmp_path / "why.md", "x")
    source = read_files(tmp_path, complete="all")
    assert source.ignored == ("._1.json", ".git", "why.md") and source.errors == ()


def test_links_that_leave_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside" / "o.json", observation("secret"))
    inside = tmp_path / "data"
    write(inside / "p.json", patient())
    write(inside / "sub" / "o.json", observation("o1"))
    (inside / "out.json").symlink_to(outside)
    (inside / "folder").symlink_to(outside.parent)
    (inside / "loop").symlink_to(inside)
    (inside / "again.json").symlink_to(inside / "p.json")
    source = read_files(inside, complete="all")
    assert charts(source) == {"p1": ["Observation/o1", "Patient/p1"]}
    assert whys(source) == [("FE0302", name, "a link that leads out of the folder") for name in ("folder", "out.json")]
    assert complete(next(iter(source))) == {"Patient"}
    assert source.tally.read == 2


def test_a_link_is_followed_where_it_is_the_path_itself(tmp_path: Path) -> None:
    write(tmp_path / "data" / "p.json", patient())
    (tmp_path / "link").symlink_to(tmp_path / "data")
    assert charts(read_files(tmp_path / "link")) == {"p1": ["Patient/p1"]}


def test_a_link_to_nothing_may_have_been_anything(tmp_path: Path) -> None:
    write(tmp_path / "p.json", patient())
    (tmp_path / "gone.json").symlink_to(tmp_path / "never.json")
    source = read_files(tmp_path, complete="all")
    assert complete(next(iter(source))) == set()
    assert whys(source) == [("FE0302", "gone.json", "the file cannot be read: no such file or directory")]


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    write(tmp_path / "p.json", patient())
    os.mkfifo(tmp_path / "pipe.json")
    assert [where for _, where, _ in whys(read_files(tmp_path))] == ["pipe.json"]
    with pytest.raises(DataError, match="neither"):
        read_files(tmp_path / "pipe.json")


def refuse(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def opened(path: Any, *args: Any, **named: Any) -> Any:
        if Path(path).name == name:
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **named)

    return opened


def test_a_file_without_permission_may_have_been_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "p.json", patient())
    write(tmp_path / "closed.json", observation("o1"))
    monkeypatch.setattr(Path, "open", refuse("closed.json", Path.open))
    source = read_files(tmp_path, complete="all")
    assert complete(next(iter(source))) == set()
    assert whys(source) == [("FE0302", "closed.json", "the file cannot be read: permission denied")]


def test_a_folder_without_permission_may_have_held_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "p.json", patient())
    write(tmp_path / "closed" / "o.json", observation("o1"))
    monkeypatch.setattr(os, "scandir", refuse("closed", os.scandir))
    source = read_files(tmp_path, complete="all")
    assert complete(next(iter(source))) == set()
    assert whys(source) == [("FE0302", "closed/", "permission denied")]


def test_two_hundred_folders_deep_is_read(tmp_path: Path) -> None:
    write(tmp_path / Path(*["d"] * 200) / "p.json", patient())
    assert charts(read_files(tmp_path)) == {"p1": ["Patient/p1"]}


def test_a_file_name_with_control_characters_is_shown_safely(tmp_path: Path) -> None:
    write(tmp_path / "p.json", patient())
    write(tmp_path / "\x1b[31m\u202e.json", "{")
    (tmp_path / os.fsdecode(b"\xff.json")).write_bytes(b"{")
    assert [where for _, where, _ in whys(read_files(tmp_path))] == ["?[31m?.json", "?.json"]


@pytest.mark.parametrize("content", [None, "", "{}", "x", '{"resourceType": "Bundle", "entry": [{"resou'])
def test_nothing_that_can_be_read_is_an_error(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        write(tmp_path / "b.json", content)
    with pytest.raises(DataError) as caught:
        read_files(tmp_path)
    assert caught.value.code == "FE0301" and caught.value.exit_code == 11


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_files(tmp_path / "none")
    assert caught.value.code == "FE0214" and caught.value.findings[0].where == "none"


def test_a_file_past_the_limit_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_elig.sources.file_reading.MAX_DOCUMENT", 100)
    write(tmp_path / "p.json", patient())
    write(tmp_path / "o.json", observation("o" * 60))
    source = read_files(tmp_path)
    assert whys(source) == [("FE0302", "o.json", "larger than 100 bytes: split it, or use NDJSON")]


def test_a_packed_bomb_is_stopped(tmp_path: Path) -> None:
    write(tmp_path / "p.json", patient())
    (tmp_path / "bomb.json.gz").write_bytes(gzip.compress(b" " * 80_000_000))
    ((_, where, why),) = whys(read_files(tmp_path))
    assert where == "bomb.json.gz" and why.startswith("larger than 67108864 bytes")


# Completeness ----------------------------------------------------------------------------------------------------------


def test_no_type_is_complete_unless_it_was_declared(tmp_path: Path) -> None:
    write(tmp_path / "b.json", bundle(patient(), observation("o1"), {**observation("i1"), "resourceType": "ImagingStudy"}))
    (chart,) = read_files(tmp_path)
    assert complete(chart) == {"Patient"}
    assert notes(chart)["Procedure"] == "not-asked: not declared complete; --complete Procedure"
    assert notes(chart)["ImagingStudy"].startswith("not-asked")
    (chart,) = read_files(tmp_path, complete=frozenset({"Procedure", "Claim"}))
    assert complete(chart) == {"Patient", "Procedure"}
    (chart,) = read_files(tmp_path, complete="all")
    assert complete(chart) == set(notes(chart)) and [entry.type for entry in chart.retrieved] == sorted(notes(chart))


def test_progress_is_told_after_each_file(tmp_path: Path) -> None:
    for one in ("p1", "p2", "p3"):
        write(tmp_path / f"{one}.json", patient(one))
    told: list[tuple[int, int]] = []
    read_files(tmp_path, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("enabled", [True, False])
def test_reading_leaves_the_collector_as_it_was(tmp_path: Path, enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(DataError):
            read_files(tmp_path)
        assert gc.isenabled() == enabled
    finally:
        gc.enable()
