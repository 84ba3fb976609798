"""The files of a run that is done: written from what lies in the work folder, sorted, each there wholly or not at all."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import msgspec

from fhir_elig.cohort.checkpoint import Checkpoint
from fhir_elig.cohort.facts.write import Same, write_facts
from fhir_elig.cohort.folder import ASSESSMENTS, ERRORS, FACTS, MATRIX, QUARANTINE, RunFolder, whole_file
from fhir_elig.cohort.ground import set_aside
from fhir_elig.cohort.matrix_file import MatrixProcess
from fhir_elig.cohort.worker import facts_name, results_name
from fhir_elig.sources.file_walk import Walk

_MOST_OPEN = 64  # files at a time


class _Shards:
    """Reads stretches of what was written for each shard; keeps the files open that were read last."""

    def __init__(self, work: Path, name: Callable[[int], str]) -> None:
        self._work, self._name = work, name
        self._open: OrderedDict[int, int] = OrderedDict()

    def __enter__(self) -> _Shards:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            os.close(file)

    def read(self, shard: int, at: int, length: int) -> bytes:
        file = self._open.get(shard)
        if file is None:
            if len(self._open) >= _MOST_OPEN:
                os.close(self._open.popitem(last=False)[1])
            file = self._open[shard] = os.open(self._work / self._name(shard), os.O_RDONLY)
        self._open.move_to_end(shard)
        return os.pread(file, length, at)


def write_results(folder: RunFolder, checkpoint: Checkpoint, protocols: int) -> None:
    """Writes assessments, matrix and errors. Raises FhirEligError (FE0701)."""
    with _Shards(folder.work, results_name) as shards:
        with whole_file(folder.path(ASSESSMENTS)) as stream:
            for shard, at, length, _ in checkpoint.results():
                stream.write(shards.read(shard, at, length))
        with MatrixProcess(folder.path(MATRIX)) as matrix:
            for protocol in range(protocols):
                for shard, at, length, size in checkpoint.results(protocol):
                    matrix.add(shards.read(shard, at + length, size))
    write_errors(folder, checkpoint)


def write_errors(folder: RunFolder, checkpoint: Checkpoint) -> None:
    """The patients who could not be assessed."""
    with whole_file(folder.path(ERRORS)) as stream:
        for failure in checkpoint.failures():
            code, _, why = failure.why.partition(": ")
            told = {"schema": "fhir-elig/error/1", "patient": failure.patient, "errors": [{"code": code, "why": why}]}
            stream.write(msgspec.json.encode(told) + b"\n")


def write_kept(cache: RunFolder, work: Path, checkpoint: Checkpoint, earlier: RunFolder) -> tuple[int, str]:
    """Writes the file of a facts cache; `earlier` is the one whose facts were taken over. Gives the number of its row groups and
    its SHA-256. Raises FhirEligError (FE0701), and DataError where the facts of the earlier one are gone."""
    there = str(earlier.path(FACTS))
    with _Shards(work, facts_name) as shards, MatrixProcess(cache.path(FACTS), write_facts) as facts:
        for patient, shard, at, length in checkpoint.facts():
            facts.add(shards.read(shard, at, length) if length else msgspec.msgpack.encode(Same(patient, there)))
    groups, sha256 = facts.result
    return groups, sha256


def write_quarantine(folder: RunFolder, checkpoint: Checkpoint, walk: Walk) -> int:
    """Writes what was set aside; gives the number of pieces."""
    count = 0
    with whole_file(folder.path(QUARANTINE)) as stream:
        for file, one in set_aside(checkpoint, walk):
            finding = one.finding
            place = f"{file}:{one.line}" if one.line else file
            told = {
                "file": file,
                "line": one.line or None,
                "offset": None if one.offset < 0 else one.offset,
                "reference": finding.where.removeprefix(place).strip(),
                "code": finding.code,
                "why": finding.why,
            }
            stream.write(msgspec.json.encode(told) + b"\n")
            count += 1
    return count
