"""Charts from bytes in memory: the same as from a file with those bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import charts
from fhir_elig.errors import DataError
from fhir_elig.sources.files import FileSource, read_bytes, read_files

PATIENTS = [{"resourceType": "Patient", "id": "p1"}, {"resourceType": "Patient", "id": "p2"}]
SOUND = {"resourceType": "Observation", "id": "o1", "subject": {"reference": "Patient/p1"}}
# A resource, and whether it is of patient p1 with certainty.
STRANGE: list[tuple[Any, bool]] = [
    ({**SOUND, "patient": {"reference": "Patient/p2"}}, False),
    ({**SOUND, "patient": {"reference": "Patient/p1"}}, True),
    ({**SOUND, "individual": {"reference": "Patient/p1"}}, True),
    ({**SOUND, "subject": "Patient/p1"}, False),
    ({**SOUND, "subject": {"reference": 7}}, False),
    ({**SOUND, "subject": {"reference": "Group/g1"}}, False),
    ({**SOUND, "subject": {"reference": "urn:uuid:p1"}}, False),
    ({**SOUND, "subject": {"reference": "urn:uuid:0"}}, True),
    ({**SOUND, "resourceType": "Flag"}, True),
    ({**SOUND, "resourceType": "flag"}, False),
    ({**SOUND, "resourceType": ["Observation"]}, False),
    ({**SOUND, "resourceType": "Patient"}, False),
    (7, False),
]


def bundle(*resources: Any) -> bytes:
    entries = [{"fullUrl": f"urn:uuid:{index}", "resource": one} for index, one in enumerate(resources)]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()


def told(source: FileSource) -> tuple[Any, ...]:
    return [repr(chart) for chart in source], source.errors, source.orphans, source.tally, source.patients


def same(tmp_path: Path, data: bytes, name: str = "data.json") -> FileSource:
    path = tmp_path / name
    path.write_bytes(data)
    source = read_bytes(data, name=name, complete="all", patient_ids=["p1"])
    assert told(source) == told(read_files(path, complete="all", patient_ids=["p1"]))
    return source


@pytest.mark.parametrize("sparse", [False, True])
def test_a_large_chart_is_the_same(tmp_path: Path, sparse: bool) -> None:
    source = same(tmp_path, charts.bundle(1, sparse=sparse))
    (chart,) = source
    assert len(chart.resources) == 250 and not source.errors and all(entry.complete for entry in chart.retrieved)


@pytest.mark.parametrize(("strange", "own"), STRANGE, ids=lambda value: json.dumps(value)[:60])
def test_an_odd_resource_is_the_same_and_in_the_chart_only_if_it_is_the_patients(tmp_path: Path, strange: Any, own: bool) -> None:
    (chart,) = same(tmp_path, bundle(*PATIENTS, strange))
    assert len(chart.resources) == 1 + own
    (chart,) = same(tmp_path, bundle(*PATIENTS, strange, SOUND))
    assert SOUND in chart.resources


def test_ndjson_is_the_same(tmp_path: Path) -> None:
    data = b"\n".join(json.dumps(one).encode() for one in (*PATIENTS, SOUND, STRANGE[0][0])) + b"\n"
    assert len(same(tmp_path, data, "data.ndjson").patients) == 1


def test_one_of_two_copies_with_a_doubled_key_costs_that_copy_only(tmp_path: Path) -> None:
    data = bundle(*PATIENTS, SOUND, {**SOUND, "id": "o2", "status": "final", "x": 1}).replace(b'"x": 1', b'"status": "amended"')
    (chart,) = same(tmp_path, data)
    assert SOUND in chart.resources and [one.reference for one in chart.refused] == ["Observation/o2"]


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"resourceType": "Bundle"}', b'{"a', b"\xff", b"text\n"])
def test_what_holds_nothing_is_a_typed_error(data: bytes) -> None:
    with pytest.raises(DataError) as caught:
        read_bytes(data)
    assert caught.value.code == "FE0301"
