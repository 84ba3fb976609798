"""NDJSON and bulk exports: lines that cannot be read, files that were cut, manifests that do not fit."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from fhir_elig.sources import Chart
from fhir_elig.sources.files import FileSource, read_files

Resource = dict[str, Any]


def patient(identity: str) -> str:
    return json.dumps({"resourceType": "Patient", "id": identity})


def resource(identity: str, owner: str, kind: str = "Observation", **more: Any) -> str:
    body = {"resourceType": kind, "id": identity, "subject": {"reference": f"Patient/{owner}"}, "text": "a \u2028 b \U0001f600"}
    return json.dumps({**body, **more}, ensure_ascii=False)


def folder(tmp_path: Path, **files: bytes | str | list[str]) -> Path:
    for name, content in files.items():
        lines = "".join(f"{line}\n" for line in content) if isinstance(content, list) else content
        data = lines.encode() if isinstance(lines, str) else lines
        (tmp_path / f"{name}.ndjson").write_bytes(data)
    return tmp_path


def charts(source: FileSource) -> dict[str, list[str]]:
    return {chart.patient: sorted(one["id"] for one in chart.resources if one["resourceType"] != "Patient") for chart in source}


def partial(source: FileSource) -> dict[str, list[str]]:
    return {chart.patient: [one.type for one in chart.retrieved if one.note.startswith("partial")] for chart in source}


def places(source: FileSource) -> list[str]:
    return [finding.where for finding in source.errors]


PATIENTS = [patient(one) for one in ("p1", "p2", "p3")]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\n\n \n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", ["", "\n"])
def test_line_ends_blank_lines_and_a_bom_at_the_head_change_nothing(tmp_path: Path, newline: str, bom: bytes, last: str) -> None:
    lines = [*PATIENTS, resource("o1", "p1"), resource("o2", "p2")]
    source = read_files(folder(tmp_path, all=bom + (newline.join(lines) + last).encode()))
    assert charts(source) == {"p1": ["o1"], "p2": ["o2"], "p3": []}
    assert source.errors == () and next(iter(source)).resources[1]["text"] == "a \u2028 b \U0001f600"


def test_a_cut_line_amid_others_touches_only_its_patient_and_type(tmp_path: Path) -> None:
    lines = [resource("o1", "p1"), resource("o2", "p2")[:-20], resource("o3", "p3")]
    source = read_files(folder(tmp_path, p=PATIENTS, Observation=lines), complete="all")
    assert charts(source) == {"p1": ["o1"], "p2": [], "p3": ["o3"]}
    assert partial(source) == {"p1": [], "p2": ["Observation"], "p3": []}
    assert places(source) == ["Observation.ndjson:2 Observation/o2"]
    assert [chart.broken for chart in source] == [False, True, False]
    second = list(source)[1]
    assert [(one.reference, one.codes) for one in second.refused] == [("Observation/o2", None)]


def test_two_objects_on_a_line_are_both_refused_and_both_patients_touched(tmp_path: Path) -> None:
    lines = [resource("o1", "p1") + resource("c2", "p2", "Condition"), resource("o3", "p3")]
    source = read_files(folder(tmp_path, p=PATIENTS, Observation=lines), complete="all")
    assert charts(source) == {"p1": [], "p2": [], "p3": ["o3"]}
    assert partial(source) == {"p1": ["Condition", "Observation"], "p2": ["Condition", "Observation"], "p3": []}
    assert len(source.errors) == 2


def test_two_objects_on_the_last_line_without_a_newline_touch_all(tmp_path: Path) -> None:
    source = read_files(folder(tmp_path, p=PATIENTS, Observation=resource("o1", "p1") + resource("o2", "p2")), complete="all")
    assert partial(source) == {one: ["Observation"] for one in ("p1", "p2", "p3")}


@pytest.mark.parametrize(
    "line",
    [
        resource("o2", "p2")[:30],  # cut before its subject
        resource("o2", "p2").replace('"id"', '? "id"'),
        resource("o2", "p2")[1:],
        "<html>",
        "\ufeff" + resource("o2", "p2"),
        '{"id": "x"}',
        '{"resourceType": 7}',
        "7",
        "[" * 5000,
        "[" * 100_000,
        '{"resourceType": "Observation", "resourceType": "Observation"}',
    ],
)
def test_a_line_that_may_be_anybodys_touches_everybody_for_the_type_of_its_file(tmp_path: Path, line: str) -> None:
    source = read_files(
        folder(tmp_path, p=PATIENTS, Observation=[resource("o1", "p1"), line, resource("o3", "p3")]), complete="all"
    )
    assert charts(source) == {"p1": ["o1"], "p2": [], "p3": ["o3"]}
    assert partial(source) == {one: ["Observation"] for one in ("p1", "p2", "p3")}
    assert places(source)[0].startswith("Observation.ndjson:2")


def test_a_line_in_a_file_without_any_type_touches_every_type(tmp_path: Path) -> None:
    source = read_files(folder(tmp_path, p=PATIENTS, Observation=["<html>"]), complete="all")
    assert all(not entry.complete for chart in source for entry in chart.retrieved)


@pytest.mark.parametrize("name", ["Observation", "o", "x.Condition.1"])
@pytest.mark.parametrize("line", ['{"resourceType": "Condition", ?}', '{"resourceType": "Observation", ?}', "<html>"])
def test_the_type_of_a_lost_line_is_told_only_by_a_file_of_one_type(tmp_path: Path, name: str, line: str) -> None:
    source = read_files(folder(tmp_path, p=PATIENTS, **{name: [resource("o1", "p1"), line]}), complete="all")
    one_type = name == "Observation" and "Condition" not in line
    assert [types == ["Observation"] for types in partial(source).values()] == [one_type] * 3
    assert all("Condition" in types for types in partial(source).values()) != one_type


def test_invalid_utf8_costs_its_line(tmp_path: Path) -> None:
    lines = [
        resource("o1", "p1").encode(),
        resource("o2", "p2").encode().replace(b" b ", b"\xff\xfe"),
        resource("o3", "p3").encode(),
    ]
    source = read_files(folder(tmp_path, p=PATIENTS, Observation=b"\n".join(lines)), complete="all")
    assert charts(source) == {"p1": ["o1"], "p2": [], "p3": ["o3"]}
    assert partial(source) == {"p1": [], "p2": ["Observation"], "p3": []}


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_line_past_the_limit_is_skipped_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str
) -> None:
    monkeypatch.setattr("fhir_elig.sources.file_reading.MAX_LINE", 300)
    long = resource("o2", "p2", note="x" * 2000)
    just = resource("o3", "p3")
    just = just[:-1] + " " * (300 - len(just.encode())) + "}"
    source = read_files(folder(tmp_path, p=PATIENTS, Observation=(f"{mark}{long}\r\n{just}\r\n" + long).encode()), complete="all")
    assert charts(source) == {"p1": [], "p2": [], "p3": ["o3"]}
    assert places(source) == ["Observation.ndjson:1", "Observation.ndjson:3"]
    assert partial(source) == {one: ["Observation"] for one in ("p1", "p2", "p3")}


def test_a_broken_line_in_one_patients_own_file_touches_that_patient(tmp_path: Path) -> None:
    folder(tmp_path, a=[patient("p1"), resource("o1", "p1"), "<html>"], b=[patient("p2"), resource("o2", "p2")])
    first, second = read_files(tmp_path, complete="all")
    assert not complete(first) and "Observation" in complete(second)


def test_a_cut_file_is_one_patients_own_only_where_all_files_are(tmp_path: Path) -> None:
    cut = f"{patient('p1')}\n{resource('o1', 'p1')}\n" + '{"resou'
    source = read_files(folder(tmp_path, a=cut, b=[patient("p2")]), complete="all")
    assert [bool(complete(chart)) for chart in source] == [False, True]
    source = read_files(folder(tmp_path, a=cut, b=[patient("p2"), patient("p3")]), complete="all")
    assert not any(complete(chart) for chart in source)


def packed(*lines: str) -> bytes:
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)


@pytest.mark.parametrize("damage", ["cut", "crc", "body", "empty", "one byte", "tail"])
def test_nothing_of_a_damaged_packed_file_is_used(tmp_path: Path, damage: str) -> None:
    whole = packed(*(resource(f"o{number}", "p1") for number in range(50)))
    broken = {
        "cut": whole[: len(whole) // 2],
        "crc": whole[:-8] + bytes(4) + whole[-4:],
        "body": whole[:20] + bytes(len(whole) - 40) + whole[-20:],
        "empty": b"",
        "one byte": whole[:1],
        "tail": whole + b"garbage",
    }[damage]
    folder(tmp_path, p=PATIENTS)
    (tmp_path / "Observation.ndjson.gz").write_bytes(broken)
    source = read_files(tmp_path, complete="all")
    assert charts(source) == {"p1": [], "p2": [], "p3": []}
    assert all("Observation" in types for types in partial(source).values())
    assert source.errors[-1].where == "Observation.ndjson.gz" and source.errors[-1].why == "the compressed file is damaged or cut"
    assert source.tally.read == source.tally.used + source.tally.set_aside


def test_packed_parts_one_after_the_other_are_one_file(tmp_path: Path) -> None:
    (tmp_path / "Observation.ndjson.gz").write_bytes(packed(patient("p1")) + packed(resource("o1", "p1")))
    assert charts(read_files(tmp_path)) == {"p1": ["o1"]}


# Manifests -------------------------------------------------------------------------------------------------------------


def export(tmp_path: Path, **changes: Any) -> Path:
    folder(tmp_path, **{"Patient.000": PATIENTS, "Observation.000": [resource("o1", "p1"), resource("o2", "p2")]})
    outputs = [
        {"type": "Patient", "url": "https://ehr.example/out/Patient.000.ndjson?sig=1", "count": 3},
        {"type": "Observation", "url": "https://ehr.example/out/Observation.000.ndjson", "count": 2},
    ]
    manifest = {
        "transactionTime": "2025-06-01T00:00:00Z",
        "request": "https://ehr.example/fhir/Patient/$export?_type=Observation",
        "output": outputs,
        "error": [],
    }
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, **changes}))
    return tmp_path


def complete(chart: Chart) -> set[str]:
    return {entry.type for entry in chart.retrieved if entry.complete}


def test_a_manifest_vouches_for_the_types_that_it_lists(tmp_path: Path) -> None:
    source = read_files(export(tmp_path))
    assert source.errors == ()
    assert [complete(chart) for chart in source] == [{"Patient", "Observation"}] * 3


@pytest.mark.parametrize("output", ["Observation.000.ndjson", "other/Observation.000.ndjson.gz"])
def test_a_manifest_without_counts_vouches_if_its_files_are_there(tmp_path: Path, output: str) -> None:
    (chart, *_) = read_files(export(tmp_path, output=[{"type": "Observation", "url": f"https://x/{output}"}, 7]))
    assert "Observation" in complete(chart)


@pytest.mark.parametrize(
    "output, note",
    [
        (
            {"type": "Observation", "url": "https://x/Observation.000.ndjson", "count": 3},
            "partial: the manifest states 3 resources, 2 were found (manifest.json)",
        ),
        (
            {"type": "Observation", "url": "https://x/Observation.000.ndjson", "count": 1},
            "partial: the manifest states 1 resources, 2 were found (manifest.json)",
        ),
        (
            {"type": "Observation", "url": "https://x/Observation.001.ndjson"},
            "partial: a file of the manifest is not there (manifest.json)",
        ),
        ({"type": "Observation"}, "partial: a file of the manifest is not there (manifest.json)"),
    ],
)
def test_a_manifest_that_does_not_fit_its_files_makes_the_type_partial(tmp_path: Path, output: Resource, note: str) -> None:
    for chart in read_files(export(tmp_path, output=[output]), complete="all"):
        assert {entry.type: entry.note for entry in chart.retrieved}["Observation"] == note
        assert "Condition" in complete(chart)


@pytest.mark.parametrize("kind", ["error", "outcome"])
def test_an_export_with_errors_is_complete_in_nothing(tmp_path: Path, kind: str) -> None:
    source = read_files(export(tmp_path, **{kind: [{"type": "OperationOutcome", "url": "https://x/e.ndjson"}]}), complete="all")
    assert [complete(chart) for chart in source] == [set()] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"request": "https://ehr.example/fhir/$export?_since=2025-01-01"},
        {"request": "https://ehr.example/fhir/$export?_typeFilter=Observation%3Fcode%3D1"},
        {"request": "https://ehr.example/fhir/$export?_type=Observation&_aServersOwnFilter="},
        {"deleted": [{"type": "Bundle", "url": "https://x/d.ndjson"}]},
        {"link": [{"relation": "next", "url": "https://x/manifest2"}]},
    ],
)
def test_an_export_of_a_part_vouches_for_nothing(tmp_path: Path, changes: Resource) -> None:
    assert [complete(chart) for chart in read_files(export(tmp_path, **changes))] == [{"Patient"}] * 3


def test_a_manifest_vouches_only_for_the_patients_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    export(tmp_path / "a", request=7)
    folder(tmp_path, other=[patient("p9"), resource("o9", "p9")])
    assert {chart.patient: "Observation" in complete(chart) for chart in read_files(tmp_path)} == {
        "p1": True,
        "p2": True,
        "p3": True,
        "p9": False,
    }


def test_a_line_that_is_lost_takes_the_manifests_word_back(tmp_path: Path) -> None:
    export(tmp_path)
    folder(tmp_path, **{"Observation.000": [resource("o1", "p1"), resource("o2", "p2")[:-5]]})
    assert all("Observation" not in complete(chart) for chart in read_files(tmp_path))


def test_absolute_references_of_an_export_lead_to_its_server(tmp_path: Path) -> None:
    line = resource("o1", "p1").replace("Patient/p1", "https://ehr.example/fhir/Patient/p1")
    export(tmp_path)
    folder(tmp_path, **{"Observation.000": [line, resource("o2", "p2")]})
    source = read_files(tmp_path)
    assert charts(source) == {"p1": ["o1"], "p2": ["o2"], "p3": []} and source.errors == ()
    assert {chart.base for chart in source} == {"https://ehr.example/fhir"}


def test_the_line_is_trusted_where_the_manifest_names_another_type(tmp_path: Path) -> None:
    export(tmp_path)
    folder(tmp_path, **{"Observation.000": [resource("o1", "p1"), resource("c2", "p2", "Condition")]})
    source = read_files(tmp_path)
    assert charts(source) == {"p1": ["o1"], "p2": ["c2"], "p3": []}
    assert all("Observation" not in complete(chart) for chart in source)
