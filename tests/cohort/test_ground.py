"""What a run stands on: several protocols in one pass, an input that nobody writes to, disks that refuse."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from fhir_elig.cli import run
from fhir_elig.cohort.folder import RESULTS
from tests.cohort.exports import PROTOCOL, by_type, people, write

SMALL = """
protocol: small
version: "1"
title: small
milestones: {screening: {title: screening}}
inclusion:
  - {id: adult, text: adult, age: {at-least: 18 a}}
  - {id: hb, text: hemoglobin, value: {concepts: [hemoglobin], at-least: 80 g/L, window: {milestone: screening, before: 90 d}}}
"""
COMMON = ("--as-of", "2025-06-01", "--complete", "all")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("ground") / "data", by_type(people(3, 20)))


def begin(data: Path, out: Path, *protocols: str) -> int:
    named = [word for name in protocols for word in ("--protocol", name)]
    return run(["cohort", "run", *named, *COMMON, "--data", str(data), "--out", str(out)])


def results(out: Path, protocol: str) -> tuple[list[Any], list[Any]]:
    """The assessments and the rows of one protocol."""
    lines = [json.loads(line) for line in (out / "assessments.ndjson").read_text("utf-8").splitlines()]
    rows = pyarrow.parquet.read_table(out / "matrix.parquet").to_pylist()
    return [one for one in lines if one["protocol"]["id"] == protocol], [row for row in rows if row["protocol"] == protocol]


def test_two_protocols_in_one_pass_give_what_two_runs_give(data: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.yaml"
    small.write_text(SMALL, encoding="utf-8")
    both, *alone = tmp_path / "both", tmp_path / "one", tmp_path / "other"
    assert begin(data, both, str(small), PROTOCOL) == 0
    for out, given, name in zip(alone, (PROTOCOL, str(small)), (PROTOCOL, "small"), strict=True):
        assert begin(data, out, given) == 0
        assert results(both, name) == results(out, name)
        assert len(results(out, name)[0]) == 3


def test_nothing_of_the_input_is_written(data: Path, tmp_path: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in (data, *data.rglob("*"))}
    data.chmod(0o500)
    try:
        assert begin(data, tmp_path / "run", PROTOCOL) == 0
    finally:
        data.chmod(0o700)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in (data, *data.rglob("*"))} == before


def test_a_place_that_cannot_be_written_is_named(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").touch()
    assert begin(data, tmp_path / "taken" / "run", PROTOCOL) == 1
    told = capsys.readouterr().err
    assert "FE0701" in told
    assert str(tmp_path / "taken" / "run") in told


@contextmanager
def room_for(length: int) -> Iterator[None]:
    """No file may grow beyond that many bytes: what a full disk does, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("length", "file"), [(45_000, "checkpoint.sqlite"), (160_000, "work/0.results")])
def test_a_run_that_found_no_room_goes_on_where_there_is(
    tmp_path: Path, length: int, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data, whole, out = write(tmp_path / "data", by_type(people(12, 8))), tmp_path / "whole", tmp_path / "run"
    assert begin(data, whole, PROTOCOL) == 0
    with room_for(length):
        assert begin(data, out, PROTOCOL) == 1
    told = capsys.readouterr().err
    assert "FE0701" in told
    assert str(out / file) in told
    assert f"cohort resume {out}" in told
    assert run(["cohort", "resume", str(out)]) == 0
    assert [(out / name).read_bytes() for name in RESULTS] == [(whole / name).read_bytes() for name in RESULTS]
