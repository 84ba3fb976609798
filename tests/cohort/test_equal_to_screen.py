"""A run gives the verdicts that `screen` gives, byte by byte: in any layout, cut into pieces and shards of any size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_elig.cli import run
from fhir_elig.cohort import pieces, spill
from tests.cohort.exports import COMMON, FOLDERS


@pytest.fixture(params=FOLDERS)
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    FOLDERS[request.param](tmp_path / "data")
    return tmp_path / "data"


def screened(data: Path, complete: str, out: Path) -> tuple[int, list[Any], list[Any]]:
    code = run(["screen", *COMMON, "--complete", complete, "--data", str(data), "--format", "ndjson", "--out", str(out)])
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    failed = [row for row in rows if row["schema"] == "fhir-elig/error/1"]
    return code, [row for row in rows if row not in failed], failed


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(("small", "complete"), [(False, "all"), (True, "Patient")], ids=["as one", "in many pieces"])
def test_every_assessment_is_that_of_screen(
    data: Path, small: bool, complete: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small:
        monkeypatch.setattr(pieces, "SMALLEST_STRETCH", 5_000)
        monkeypatch.setattr(pieces, "LARGEST_STRETCH", 5_000)
        monkeypatch.setattr(pieces, "SHARD_BYTES", 20_000)
        monkeypatch.setattr(spill, "MOST_HELD", 3_000)
    out = tmp_path / "run"
    code = run(["cohort", "run", *COMMON, "--complete", complete, "--data", str(data), "--out", str(out)])
    expected, assessed, failed = screened(data, complete, tmp_path / "screened.ndjson")
    assert lines(out / "assessments.ndjson") == assessed
    assert lines(out / "errors.ndjson") == failed
    assert code == expected
