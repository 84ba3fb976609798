"""Runs in the process of the tests, the writer of Parquet too, where a process of its own is not what is tested."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from fhir_elig import _version
from fhir_elig.cohort import results, settings
from fhir_elig.cohort.matrix_file import write_matrix
from fhir_elig.concepts import Concepts, load_concepts
from fhir_elig.protocol import Protocol, load_protocol


class _Here:
    """Takes packed rows as the process does, and is the connection from which its work gets them, when all are there."""

    def __init__(self, path: Path, write: Callable[[Any, Path], Any] = write_matrix) -> None:
        self._path, self._write = path, write
        self._packed: list[bytes] = []
        self.result: Any = None

    def __enter__(self) -> _Here:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._packed = [b"", *reversed(self._packed)]
        if kind is None:
            self.result = self._write(self, self._path)

    def add(self, packed: bytes) -> None:
        self._packed.append(packed)

    def recv_bytes(self) -> bytes:
        return self._packed.pop()


@pytest.fixture(scope="module")
def loaded_once() -> Iterator[None]:
    """Concepts and protocols are loaded once for all runs of the module: for modules whose protocols and mappings do not change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "load_concepts", lru_cache(load_concepts))
        by_place: dict[tuple[Path, int], Protocol] = {}

        def protocol(path: Path, concepts: Concepts) -> Protocol:
            key = path, id(concepts)
            if key not in by_place:
                by_place[key] = load_protocol(path, concepts)  # which keeps the concepts
            return by_place[key]

        patch.setattr(settings, "load_protocol", protocol)
        yield


@pytest.fixture(scope="package", autouse=True)
def matrix_written_here() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "MatrixProcess", _Here)
        yield


@pytest.fixture(scope="package")
def remote() -> Iterator[str]:
    """The address of a Spark Connect server in this process."""
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    with pytest.MonkeyPatch.context() as patch:
        # A process of pytest-xdist has a main module without a file, which PySpark takes for its own doctests and ends. The
        # processes that a run starts load that file as theirs: it is there, and does nothing.
        patch.setattr(sys.modules["__main__"], "__file__", _version.__file__, raising=False)
        yield f"sc://127.0.0.1:{server.listening_address[1]}"
    server.stop()
