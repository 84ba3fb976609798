"""`cohort export`: the results of a finished run in the form that another program takes, all of them or those of one status."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from fhir_elig.cohort.folder import ASSESSMENTS, MATRIX, RunFolder, whole_file
from fhir_elig.cohort.manifest import Manifest, read_manifest
from fhir_elig.cohort.matrix_file import pyarrow
from fhir_elig.cohort.settings import screenings
from fhir_elig.errors import UsageError
from fhir_elig.outputs.matrix_row import WHOLE
from fhir_elig.verdict import Assessment

FORMATS = ("csv", "ndjson", "parquet", "fhir")
# A spreadsheet takes a text that begins so for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Batches = Iterator[Any]  # pyarrow.RecordBatch


class _Status(msgspec.Struct):
    status: str


_read_status = msgspec.json.Decoder(_Status).decode
_read_assessment = msgspec.json.Decoder(Assessment).decode


def export(run: RunFolder, form: str, status: str = "", out: Path | None = None) -> None:
    """Write the results to a file that only its owner can read, or to stdout; `status` keeps the patients of that status.

    Raises UsageError (no finished run, Parquet without a file), DataError (its manifest), FhirEligError FE0701 (the disk).
    """
    manifest = read_manifest(run)
    if not run.is_finished:
        raise UsageError("the run has not ended", where=str(run.root), fix=f"fhir-elig cohort resume {run.root}")
    if form == "parquet" and out is None:
        raise UsageError("Parquet goes into a file", where="--format parquet", fix="name it with  --out FILE")
    with _stream(out) as stream:
        if form == "parquet":
            _parquet(run, status, stream)
        elif form == "csv":
            _csv(run, status, stream)
        else:
            for line in _lines(run, status) if form == "ndjson" else _bundles(run, manifest, status):
                stream.write(line)


@contextmanager
def _stream(out: Path | None) -> Iterator[BinaryIO]:
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with whole_file(Path(os.path.realpath(out))) as stream:
            yield stream


def _lines(run: RunFolder, status: str) -> Iterator[bytes]:
    with run.path(ASSESSMENTS).open("rb") as lines:
        yield from (line for line in lines if not status or _read_status(line).status == status)


def _bundles(run: RunFolder, manifest: Manifest, status: str) -> Iterator[bytes]:
    """A Bundle of recommendation resources a line."""
    from fhir_elig.outputs.fhir_json import encode
    from fhir_elig.outputs.research_subject import bundle

    recorded = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    grounds = {one.protocol.id: one for one in screenings(manifest.options)}
    for line in _lines(run, status):
        assessment = _read_assessment(line)
        ground = grounds[assessment.protocol.id]
        base = ground.site.file.canonical_base
        yield encode(bundle(assessment, fhir_version="R4", recorded=recorded, canonical_base=base, study=ground.study)) + b"\n"


def _matrix(run: RunFolder, status: str) -> Batches:
    """The rows of the matrix in order; of a patient the row of the whole, which tells the status, comes first."""
    arrow = pyarrow()
    kept = not status
    for batch in arrow.parquet.ParquetFile(run.path(MATRIX)).iter_batches():
        if not status:
            yield batch
            continue
        mask = []
        for criterion, reason in zip(batch.column("criterion").to_pylist(), batch.column("reason").to_pylist(), strict=True):
            kept = reason == status if criterion == WHOLE else kept
            mask.append(kept)
        yield batch.filter(arrow.array(mask, arrow.bool_()))


def _parquet(run: RunFolder, status: str, stream: BinaryIO) -> None:
    arrow = pyarrow()
    schema = arrow.parquet.read_schema(run.path(MATRIX))
    with arrow.parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        for batch in _matrix(run, status):
            writer.write_batch(batch)


def _csv(run: RunFolder, status: str, stream: BinaryIO) -> None:
    schema = pyarrow().parquet.read_schema(run.path(MATRIX))
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(schema.names)
    for batch in _matrix(run, status):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            writer.writerow(["" if cell is None else _safe(cell) for cell in row])
    text.detach()


def _safe(cell: str | float) -> str | float:
    """A text that no spreadsheet runs."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
