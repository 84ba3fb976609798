"""Laws of reading files: order and cuts change nothing, and whatever is lost is known of all whom it can touch."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from fhir_elig.errors import DataError
from fhir_elig.sources import Chart
from fhir_elig.sources.files import FileSource, read_files

Resource = dict[str, Any]
Charts = dict[str, set[str]]


def resource(kind: str, identity: str, owner: str, **more: Any) -> Resource:
    return {"resourceType": kind, "id": identity, "subject": {"reference": f"Patient/{owner}"}, **more}


PATIENTS: list[Resource] = [{"resourceType": "Patient", "id": identity} for identity in ("p1", "p2", "p3")]
DRUG = {"medicationReference": {"reference": "Medication/m1"}}
CHART: list[Resource] = [
    *(resource("Observation", f"o{number}", f"p{number % 3 + 1}", note="\u2028]}") for number in range(6)),
    *(resource("Condition", f"c{number}", f"p{number % 3 + 1}") for number in range(3)),
    resource("MedicationRequest", "r1", "p2", **DRUG),
    resource("Observation", "orphan", "p9"),
    {"resourceType": "Medication", "id": "m1"},
    {"resourceType": "Organization", "id": "org"},
]
ALL = PATIENTS + CHART


def lines(resources: list[Resource]) -> bytes:
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in resources).encode()


def document(resources: list[Resource]) -> bytes:
    return json.dumps({"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}).encode()


@contextmanager
def folder(files: dict[str, bytes]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        for file, data in files.items():
            path = Path(name) / file
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        yield Path(name)


def read(files: dict[str, bytes], **options: Any) -> FileSource:
    with folder(files) as path:
        return read_files(path, complete="all", **options)


def charts(source: FileSource) -> Charts:
    return {chart.patient: {json.dumps(one, sort_keys=True) for one in chart.resources} for chart in source}


def lossy(chart: Chart) -> set[str]:
    return {entry.type for entry in chart.retrieved if entry.note.startswith("partial")}


CLEAN = charts(read({"all.ndjson": lines(ALL)}))


def unnoticed(source: FileSource) -> list[tuple[str, str]]:
    """What is missing from a chart, against the clean run, and is not known to be missing there."""
    missing = []
    for chart in source:
        gone = CLEAN[chart.patient] - charts(source)[chart.patient]
        missing += [
            (chart.patient, text) for text in gone if json.loads(text)["resourceType"] not in lossy(chart) | {"Medication"}
        ]
        assert charts(source)[chart.patient] <= CLEAN[chart.patient]
    return missing


@st.composite
def splits(draw: st.DrawFn) -> dict[str, bytes]:
    """The same resources, some of them doubled, in any order, over any files of any kind."""
    shuffled = draw(st.permutations(ALL + draw(st.lists(st.sampled_from(ALL), max_size=4))))
    files: dict[str, bytes] = {}
    while shuffled:
        size = draw(st.integers(1, len(shuffled)))
        part, shuffled = shuffled[:size], shuffled[size:]
        kinds = {
            "ndjson": lines(part),
            "jsonl": lines(part),
            "json": document(part),
            "ndjson.gz": gzip.compress(lines(part)),
            "json.gz": gzip.compress(document(part)),
        }
        if size == 1:
            kinds["json"] = json.dumps(part[0]).encode()
        kind = draw(st.sampled_from(sorted(kinds)))
        files[f"{draw(st.sampled_from(['', 'a/', 'z/']))}{len(files)}.{kind}"] = kinds[kind]
    return files


@settings(max_examples=100, deadline=None)
@given(splits())
def test_any_order_and_any_split_give_the_same_charts(files: dict[str, bytes]) -> None:
    source = read(files)
    assert charts(source) == CLEAN
    assert source.orphans == ("Observation/orphan",)
    assert [chart.retrieved for chart in source] == [chart.retrieved for chart in read({"all.ndjson": lines(ALL)})]
    assert not any(chart.broken or chart.identity or chart.refused for chart in source)


@settings(max_examples=60, deadline=None)
@given(splits(), st.lists(st.sampled_from(["p1", "p2", "p3"]), max_size=2))
def test_every_resource_that_comes_in_is_counted_once(files: dict[str, bytes], asked: list[str]) -> None:
    tally = read(files, patient_ids=asked).tally
    assert tally.read == tally.used + tally.others + tally.shared + tally.orphans + tally.set_aside
    doubled = sum(
        gzip.decompress(data).count(b'"id"') if name.endswith(".gz") else data.count(b'"id"') for name, data in files.items()
    )
    assert tally.read == doubled and tally.set_aside == 0


TABLE = lines(CHART)


@pytest.mark.parametrize("start", range(0, len(TABLE), 40))
def test_a_file_of_lines_that_is_cut_at_any_byte_is_known_to_be_cut(start: int) -> None:
    for cut in range(start, min(start + 40, len(TABLE))):
        source = read({"patients.ndjson": lines(PATIENTS), "chart.ndjson": TABLE[:cut]})
        between_lines = cut == 0 or TABLE[cut - 1 : cut] == b"\n" or TABLE[cut : cut + 1] == b"\n"
        assert between_lines or unnoticed(source) == []


@pytest.mark.parametrize("start", range(0, len(TABLE), 80))
def test_with_a_manifest_a_cut_between_lines_is_known_too(start: int) -> None:
    outputs = [
        {"type": kind, "url": "x", "count": sum(one["resourceType"] == kind for one in CHART)}
        for kind in ("Observation", "Condition", "MedicationRequest")
    ]
    manifest = json.dumps({"transactionTime": "2025-06-01", "output": outputs}).encode()
    for cut in range(start, min(start + 80, len(TABLE))):
        source = read({"patients.ndjson": lines(PATIENTS), "chart.ndjson": TABLE[:cut], "manifest.json": manifest})
        assert unnoticed(source) == []


WHOLE = document(CHART)


@pytest.mark.parametrize("start", range(0, len(WHOLE), 80))
def test_a_bundle_that_is_cut_at_any_byte_is_known_to_be_cut(start: int) -> None:
    for cut in range(start, min(start + 80, len(WHOLE))):
        assert unnoticed(read({"patients.ndjson": lines(PATIENTS), "chart.json": WHOLE[:cut]})) == []


OWN = document([PATIENTS[0], *(one for one in CHART if one.get("subject") == {"reference": "Patient/p1"})])


@pytest.mark.parametrize("start", range(0, len(OWN), 40))
def test_one_patients_bundle_that_is_cut_leaves_no_false_chart_behind(start: int) -> None:
    for cut in range(start, min(start + 40, len(OWN))):
        source = read({"p1.json": OWN[:cut], "p2.json": document([PATIENTS[1]])})
        assert [chart.patient for chart in source] == ["p2"] and len(source.errors) == 1


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_a_packed_file_that_is_cut_at_any_byte_is_known_to_be_cut(cut: int) -> None:
    packed = gzip.compress(TABLE, mtime=0)
    if cut < len(packed):
        assert unnoticed(read({"patients.ndjson": lines(PATIENTS), "chart.ndjson.gz": packed[:cut]})) == []


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_is_taken_out_of_a_line_is_missed(data: st.DataObject) -> None:
    rows = TABLE.splitlines()
    number = data.draw(st.integers(0, len(rows) - 1))
    start = data.draw(st.integers(0, len(rows[number]) - 1))
    end = data.draw(st.integers(start + 1, len(rows[number])))
    rows[number] = rows[number][:start] + rows[number][end:]
    try:
        json.loads(rows[number])
    except ValueError:
        source = read({"patients.ndjson": lines(PATIENTS), "chart.ndjson": b"\n".join(rows) + b"\n"})
        assert unnoticed(source) == [] or rows[number] == b""


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(0, len(CHART) - 1), min_size=1))
def test_lines_that_run_together_are_missed(joined: set[int]) -> None:
    rows = TABLE.splitlines()
    text = b"".join(row + (b"" if number in joined else b"\n") for number, row in enumerate(rows))
    source = read({"patients.ndjson": lines(PATIENTS), "chart.ndjson": text})
    assert unnoticed(source) == [] and (source.tally.set_aside or joined == {len(rows) - 1})


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, len(CHART) - 1),
    st.sampled_from(['"x": NaN', '"x": 1e999', '"subject": {}', '"id": "o1"', '"x": {"a": 1, "a": 2}', '"x": "\\ud800"']),
)
def test_one_bad_resource_costs_one_resource(number: int, defect: str) -> None:
    texts = [json.dumps(one) for one in CHART]
    texts[number] = f"{{{defect}, {texts[number][1:]}"
    bundle = ", ".join(f'{{"resource": {text}}}' for text in texts)
    for files in (
        {"c.ndjson": "\n".join(texts).encode()},
        {"c.json": f'{{"resourceType": "Bundle", "entry": [{bundle}]}}'.encode()},
    ):
        source = read({"patients.ndjson": lines(PATIENTS), **files})
        assert source.tally.read == len(ALL)
        for chart in source:
            gone = [json.loads(text) for text in CLEAN[chart.patient] - charts(source)[chart.patient]]
            assert {one["id"] for one in gone} <= {CHART[number]["id"], "m1"}
            assert not gone or chart.refused or gone[0]["resourceType"] == "Medication" or gone[0]["resourceType"] in lossy(chart)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["a.json", "b.ndjson", "c.json.gz", "d.ndjson.gz", "e.jsonl"]),
        st.binary(max_size=200) | st.sampled_from([OWN, TABLE, gzip.compress(TABLE, mtime=0)]),
        max_size=4,
    )
)
def test_any_bytes_give_charts_or_a_typed_error(files: dict[str, bytes]) -> None:
    try:
        source = read(files)
    except DataError as error:
        assert error.text()
    else:
        assert len(list(source)) == len(source)
