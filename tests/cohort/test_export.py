"""`cohort export`: what a run found, in the form that another program takes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from fhir_elig.cli import run
from tests.cohort.test_run import COMMON
from tests.golden import cases

DEMO = Path(cases.__file__).parents[2] / "fixtures" / "demo" / "charts"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "run"
    assert run(["cohort", "run", *COMMON, "--data", str(DEMO), "--out", str(out)]) == 0
    return out


def matrix(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return rows


def of_status(rows: list[dict[str, Any]], status: str) -> set[str]:
    return {row["patient"] for row in rows if not row["criterion"] and row["reason"] == status}


@pytest.mark.parametrize("status", ["", "ineligible", "potential-candidate", "withdrawn"])
def test_parquet_has_the_rows_of_those_patients_in_order(folder: Path, tmp_path: Path, status: str) -> None:
    out = tmp_path / "some.parquet"
    code = run(
        ["cohort", "export", str(folder), "--format", "parquet", "--out", str(out), *(["--status", status] if status else [])]
    )
    if status == "withdrawn":
        assert (code, out.exists()) == (2, False), "no status of an assessment"
        return
    every = matrix(folder / "matrix.parquet")
    kept = of_status(every, status)
    assert matrix(out) == [row for row in every if not status or row["patient"] in kept]
    assert not status or 0 < len(kept) < 12
    assert out.stat().st_mode & 0o77 == 0


def test_csv_has_the_cells_of_the_matrix(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "matrix.csv"
    assert run(["cohort", "export", str(folder), "--out", str(out)]) == 0
    with out.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    expected = matrix(folder / "matrix.parquet")
    assert len(rows) == len(expected)
    for row, other in zip(rows, expected, strict=True):
        assert row == {name: "" if cell is None else str(cell) for name, cell in other.items()}


def test_ndjson_and_fhir_have_one_line_a_patient(folder: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["cohort", "export", str(folder), "--format", "ndjson"]) == 0
    assert capsysbinary.readouterr().out == (folder / "assessments.ndjson").read_bytes()
    assert run(["cohort", "export", str(folder), "--format", "fhir", "--status", "ineligible"]) == 0
    bundles = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    subjects = [
        entry["resource"]["individual"]["reference"]
        for bundle in bundles
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "ResearchSubject"
    ]
    assert sorted(subjects) == sorted(of_status(matrix(folder / "matrix.parquet"), "ineligible"))


def test_what_cannot_be_exported_is_said(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cohort", "export", str(tmp_path)]) == 2
    assert run(["cohort", "export", str(folder), "--format", "parquet"]) == 2
    assert run(["cohort", "export", str(folder), "--format", "xlsx"]) == 2
    assert "xlsx" in capsys.readouterr().err


def test_no_cell_is_a_formula_to_a_spreadsheet() -> None:
    from fhir_elig.cohort.export import _safe

    assert [_safe(text) for text in ("=1+1", "@x", "-2", "< 5", "Patient/p1")] == ["'=1+1", "'@x", "'-2", "< 5", "Patient/p1"]
    assert _safe(-2.0) == -2.0
