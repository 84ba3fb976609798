"""A run over a folder of charts: every patient held against every protocol, results into the run's folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from fhir_elig.assessment import assess
from fhir_elig.cli.pipeline import Screening, Tally, record_of
from fhir_elig.cohort.folder import ASSESSMENTS, ERRORS, MATRIX, QUARANTINE, RunFolder, clear, whole_file
from fhir_elig.cohort.manifest import Counts, Input, Manifest, make_manifest, write_manifest
from fhir_elig.cohort.matrix_file import MatrixFile, pyarrow
from fhir_elig.cohort.settings import RunOptions, screenings
from fhir_elig.outputs.matrix import rows, rulers
from fhir_elig.sources import Chart
from fhir_elig.sources.files import FileSource, read_files
from fhir_elig.verdict import Assessment


class Finished(msgspec.Struct, frozen=True):
    """How a run ended."""

    manifest: Manifest
    exit_code: int


def run(options: RunOptions, folder: RunFolder) -> Finished:
    """A new run. Raises UsageError, AuthoringError, DataError, and FhirEligError (FE0701) where the disk refuses."""
    pyarrow()
    options = options.settled()
    grounds = screenings(options)
    complete: frozenset[str] | Literal["all"] = "all" if "all" in grounds[0].complete else grounds[0].complete
    source = read_files(Path(options.data), complete=complete)
    folder.create()
    manifest = make_manifest(options, grounds, Input(path=options.data, files=0, bytes=0))
    write_manifest(folder, manifest)
    return _assess_all(source, grounds, folder, manifest)


def _assess_all(source: FileSource, grounds: tuple[Screening, ...], folder: RunFolder, manifest: Manifest) -> Finished:
    tally = Tally()
    found: dict[str, list[Assessment]] = {one.protocol.id: [] for one in grounds}
    with whole_file(folder.path(ASSESSMENTS)) as lines:
        for chart in source:
            for one in _assessed(chart, grounds, tally):
                lines.write(one.to_json() + b"\n")
                found[one.protocol.id].append(one)
    with whole_file(folder.path(MATRIX)) as stream, MatrixFile(stream) as matrix:
        for ground in grounds:
            read = rulers(ground.protocol)
            for one in found[ground.protocol.id]:
                matrix.add(rows(one, read))
    with whole_file(folder.path(ERRORS)) as lines:
        for failure in tally.failures:
            lines.write(msgspec.json.encode({"patient": failure.patient, "why": failure.why}) + b"\n")
    with whole_file(folder.path(QUARANTINE)) as lines:
        for finding in source.errors:
            lines.write(msgspec.json.encode({"code": finding.code, "where": finding.where, "why": finding.why}) + b"\n")
    clear(folder.work)
    counts = Counts(
        patients=len(source),
        assessed=tally.assessed,
        not_assessed=len(tally.failures),
        quarantined=len(source.errors),
        orphans=len(source.orphans),
    )
    manifest = msgspec.structs.replace(manifest, counts=counts)
    write_manifest(folder, manifest)
    return Finished(manifest, tally.exit_code())


def _assessed(chart: Chart, grounds: tuple[Screening, ...], tally: Tally) -> Iterator[Assessment]:
    for ground in grounds:
        record = record_of(chart, ground, tally)
        if record is None:
            return
        yield assess(ground.protocol, record, ground.run)
    tally.assessed += 1
