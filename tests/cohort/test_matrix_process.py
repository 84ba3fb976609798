"""The process that writes the matrix: the file wholly or not at all, and an error of its own for whoever started it."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import msgspec
import pytest

from fhir_elig.cohort.matrix_file import MatrixFile, MatrixProcess
from fhir_elig.errors import FhirEligError
from fhir_elig.outputs.matrix_row import Row

ROWS = [Row("one", f"Patient/p{number}", "hb", "met", "in-range", 9.5, None, 9.5, "g/L") for number in range(3)]


def test_it_writes_the_bytes_that_are_written_without_it(tmp_path: Path) -> None:
    own = io.BytesIO()
    with MatrixFile(own) as matrix:
        matrix.add(map(msgspec.structs.astuple, ROWS))
    path = tmp_path / "matrix.parquet"
    with MatrixProcess(path) as process:
        for row in ROWS:
            process.add(msgspec.msgpack.encode([row]))
    assert path.read_bytes() == own.getvalue()
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_the_disk_refuses_is_told_as_it_is_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(FhirEligError, match="no such file") as told, MatrixProcess(tmp_path / "gone" / "matrix.parquet"):
        pass
    assert told.value.code == "FE0701"


def test_a_process_that_is_ended_from_outside_is_missed_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "matrix.parquet"
    with pytest.raises(FhirEligError, match="ended from outside") as told, MatrixProcess(path) as process:
        os.kill(process.number, signal.SIGKILL)
        process.add(msgspec.msgpack.encode(ROWS) * 100_000)
    assert told.value.code == "FE0701"
    assert not path.exists()


def test_an_error_of_whoever_gives_the_rows_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), MatrixProcess(tmp_path / "matrix.parquet") as process:
        process.add(msgspec.msgpack.encode(ROWS))
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
