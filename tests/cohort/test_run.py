"""`cohort run`: a folder of charts becomes the folder of a run, with the verdicts that `screen` gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from benchmarks.charts import chart
from fhir_elig.cli import run
from fhir_elig.outputs.matrix_row import WHOLE

PROTOCOL = "relma-cel-ssc"
COMMON = ("--protocol", PROTOCOL, "--as-of", "2025-06-01", "--complete", "all")


def export(folder: Path, patients: int) -> Path:
    """The charts of that many invented patients, one NDJSON file a type."""
    folder.mkdir(parents=True)
    lines: dict[str, list[str]] = {}
    for seed in range(patients):
        for resource in chart(seed):
            lines.setdefault(resource["resourceType"], []).append(json.dumps(resource) + "\n")
    for kind, texts in lines.items():
        (folder / f"{kind}.ndjson").write_text("".join(texts), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("run") / "data", 4)


def read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_run_gives_what_screen_gives_patient_by_patient(data: Path, tmp_path: Path) -> None:
    out, screened = tmp_path / "run", tmp_path / "screened.ndjson"
    assert run(["cohort", "run", *COMMON, "--data", str(data), "--out", str(out)]) == 0
    assert run(["screen", *COMMON, "--data", str(data), "--format", "ndjson", "--out", str(screened)]) == 0
    assert (out / "assessments.ndjson").read_bytes() == screened.read_bytes()


def test_the_matrix_has_a_row_for_each_criterion_and_one_for_the_whole(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run(["cohort", "run", *COMMON, "--data", str(data), "--out", str(out)]) == 0
    matrix = pyarrow.parquet.read_table(out / "matrix.parquet").to_pylist()
    wholes = [row for row in matrix if row["criterion"] == WHOLE]
    assert [row["patient"] for row in wholes] == ["Patient/p0", "Patient/p1", "Patient/p2", "Patient/p3"]
    hemoglobin = next(row for row in matrix if row["criterion"] == "hemoglobin" and row["value"])
    assert hemoglobin["limit"] == ">= 90 g/L"
    assert hemoglobin["unit"] == "g/L"
    assert hemoglobin["value"] == hemoglobin["value_low"] == hemoglobin["value_high"]


def test_all_of_a_run_is_its_owners_alone(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run(["cohort", "run", *COMMON, "--data", str(data), "--out", str(out)]) == 0
    assert out.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}


def test_purge_removes_the_run_and_nothing_else(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert run(["cohort", "run", *COMMON, "--data", str(data), "--out", str(out)]) == 0
    (out / "own-notes.txt").write_text("mine")
    assert run(["cohort", "purge", str(out)]) == 0
    assert [path.name for path in out.iterdir()] == ["own-notes.txt"]
    assert "1 other entries" in capsys.readouterr().err
    assert run(["cohort", "purge", str(out)]) == 2
    assert "this is no folder of a run" in capsys.readouterr().err


@pytest.mark.parametrize("there", ["a run", "a file"])
def test_a_run_takes_no_folder_that_is_in_use(data: Path, tmp_path: Path, there: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ("manifest.json" if there == "a run" else "thesis.txt")).write_text("{}")
    assert run(["cohort", "run", *COMMON, "--data", str(data), "--out", str(tmp_path)]) == 2
    assert ("resume" if there == "a run" else "not empty") in capsys.readouterr().err


@pytest.mark.parametrize(
    "there", [{}, {"notes.json": "no JSON"}, {"Observation.ndjson": '{"resourceType": "Observation", "id": "o1"}'}]
)
def test_a_run_of_which_nothing_can_come_leaves_its_folder_to_the_next(
    there: dict[str, str], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, out = tmp_path / "given", tmp_path / "run"
    given.mkdir()
    for name, text in there.items():
        (given / name).write_text(text)
    assert run(["cohort", "run", *COMMON, "--data", str(given), "--out", str(out)]) == 11
    told = capsys.readouterr().err
    assert "where" in told
    assert "resume" not in told
    assert list(out.iterdir()) == []
    assert run(["cohort", "run", *COMMON, "--data", str(data), "--out", str(out)]) == 0


@pytest.mark.parametrize("option", ["--out", "--group", "--since", "--spark-remote"])
def test_what_is_given_and_empty_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A shell's variable that is not set: not the folder at hand, not everybody, not the session of this machine."""
    assert run(["cohort", "run", *COMMON, "--bulk", "https://ehr.example/fhir", "--out", "/dev/null/run", option, ""]) == 2
    told = capsys.readouterr().err
    assert option in told
    assert "given and empty" in told
