"""Runs in the process of the tests, the writer of Parquet too, where a process of its own is not what is tested."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_elig.cohort import results
from fhir_elig.cohort.folder import whole_file
from fhir_elig.cohort.matrix_file import MatrixFile


class _Here:
    """Takes packed rows as the process does."""

    def __init__(self, matrix: MatrixFile) -> None:
        self._matrix = matrix

    def add(self, packed: bytes) -> None:
        self._matrix.add(msgspec.msgpack.decode(packed, type=list[tuple[Any, ...]]))


@contextmanager
def _matrix_here(path: Path) -> Iterator[_Here]:
    with whole_file(path) as stream, MatrixFile(stream) as matrix:
        yield _Here(matrix)


@pytest.fixture(scope="package", autouse=True)
def matrix_written_here() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "MatrixProcess", _matrix_here)
        yield
