"""Faults of charts, played by the real command on files: enormous lines, twins, the dead, ids like numbers, values at their limit."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_elig.cli import run
from fhir_elig.sources.files import read_files
from tests.golden import cases
from tests.sources import hostile

Resource = dict[str, Any]
Screen = Callable[..., tuple[int, list[Resource], str]]
PERSON, RESULT = {"birthDate": "1979-11-23", "gender": "female"}, "Observation"


@pytest.fixture(scope="module", autouse=True)
def _loaded_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        hostile.loaded_once(patch)
        yield


@pytest.fixture
def screen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Screen:
    """Writes resources, or lines, to a file; screens it; gives the exit code, what came out for each patient, and stderr."""

    def go(*lines: Resource | str, arguments: tuple[str, ...] = ()) -> tuple[int, list[Resource], str]:
        file = tmp_path / "chart.ndjson"
        file.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines) + "\n", "utf-8")
        where = ("--data", str(file), "--as-of", "2025-06-01", "--format", "ndjson")
        code = run(["screen", "--protocol", cases.PROTOCOL, *where, *arguments])
        said = capsys.readouterr()
        return code, [json.loads(line) for line in said.out.splitlines()], said.err

    return go


def patient(name: str, **more: Any) -> Resource:
    return {"resourceType": "Patient", "id": name, **PERSON, **more}


def platelets(value: str, patient: str = "p1") -> str:
    """A result as it stands in a file, so that no digit is lost on the way."""
    about = json.dumps({"coding": [{"system": "http://loinc.org", "code": "777-3"}]})
    return (
        f'{{"resourceType":"{RESULT}","id":"o-{patient}","status":"final","subject":{{"reference":"Patient/{patient}"}},"code":{about},'
        f'"effectiveDateTime":"2025-05-30","valueQuantity":{{"value":{value},"unit":"10*9/L"}}}}'
    )


def of(assessment: Resource, name: str) -> Resource:
    """The criterion of that id, at any depth."""
    waiting = list(assessment["criteria"])
    while waiting:
        one = waiting.pop()
        if one["id"] == name:
            return one
        waiting += one.get("criteria", [])
    raise KeyError(name)


def test_a_line_without_end_costs_its_type_and_little_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "chart.ndjson"
    with file.open("wb") as stream:
        stream.write(json.dumps(patient("p1")).encode() + b"\n" + b'{"resourceType":"Procedure","x":"')
        stream.truncate(256 << 20)  # a hole of zeros: it takes no room on the disk
        stream.seek(0, 2)
        stream.write(b'"}\n' + platelets("240").encode() + b"\n")
    tracemalloc.start()
    assert len(read_files(file)) == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 96 << 20, "of the line no more is held than may be read of one, a few times over"
    code = run(["screen", "--protocol", cases.PROTOCOL, "--data", str(file), "--as-of", "2025-06-01", "--format", "ndjson"])
    said = capsys.readouterr()
    assert code == 1 and said.err.count("FE0302") == 1 and f"{file.name}:2" in said.err
    found = of(json.loads(said.out), "platelets")
    assert (found["verdict"], found["reason"]) == ("unknown", "incomplete"), "it may have been a later result"


@pytest.mark.parametrize(("value", "verdict"), [("75", "met"), ("75.0", "met"), ("74.99999999999999999999", "not-met")])
def test_a_value_beside_its_limit_is_compared_to_the_last_digit(screen: Screen, value: str, verdict: str) -> None:
    code, (one,), _ = screen(patient("p1"), platelets(value))
    found = of(one, "platelets")
    assert (code, found["verdict"]) == (0, verdict)
    assert found["evidence"][0]["received"].startswith(value), "shown as it was sent"


def test_two_patients_with_one_record_number_are_told_and_never_fused(screen: Screen) -> None:
    number = {"identifier": [{"system": "urn:hospital", "value": "MRN-Canary-0815"}]}
    code, found, said = screen(patient("p1", **number), platelets("240"), patient("p2", **number), platelets("20", "p2"))
    assert code == 0 and [one["patient"] for one in found] == ["Patient/p1", "Patient/p2"]
    assert [of(one, "platelets")["verdict"] for one in found] == ["met", "not-met"]
    assert "Patient/p1 and Patient/p2 have a record number in common" in said and "Canary" not in said
    alike = {"identifier": [{"value": "1"}, {"system": "urn:hospital"}, "1"]}
    assert "in common" not in screen(patient("p1", **alike), patient("p2", **alike))[2], "these say too little"


@pytest.mark.parametrize(
    "died", [{"deceasedBoolean": True}, {"deceasedDateTime": "2025-05"}, {"deceasedDateTime": "2025-05-30T10:00:00Z"}]
)
def test_who_has_died_is_ineligible_however_it_is_written(screen: Screen, died: Resource) -> None:
    code, (one,), _ = screen(patient("p1", **died), platelets("240"))
    alive = of(one, "alive")
    assert (code, one["status"], alive["verdict"], alive["reason"]) == (0, "ineligible", "not-met", "deceased")


def test_ids_that_look_like_numbers_are_texts(screen: Screen, tmp_path: Path) -> None:
    names = ("007", "0x7", "1E05", "1E5", "7")
    everybody = (*map(patient, names), platelets("240", "007"), platelets("20", "7"))
    _, found, _ = screen(*everybody)
    assert [one["patient"] for one in found] == [f"Patient/{name}" for name in names]
    (tmp_path / "ids.txt").write_text("007\n1E5\n", "utf-8")
    _, found, _ = screen(*everybody, arguments=("--patients", str(tmp_path / "ids.txt")))
    assert [one["patient"] for one in found] == ["Patient/007", "Patient/1E5"]
    assert of(found[0], "platelets")["verdict"] == "met"
