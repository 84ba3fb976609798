"""Where a run on Spark leaves its results: as tables on any path that Spark writes, or in the folder of a run on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from fhir_elig.cohort.folder import ASSESSMENTS, ERRORS, MATRIX, QUARANTINE, RunFolder, clear, whole_file
from fhir_elig.cohort.manifest import write_manifest
from fhir_elig.cohort.matrix_file import MatrixFile
from fhir_elig.cohort.spark import Results
from fhir_elig.errors import Finding

_QUARANTINE = {"file": "string", "line": "int", "offset": "bigint", "reference": "string", "code": "string", "why": "string"}
_ORPHAN = "its patient is not in the data"
_DELTA = "io.delta.sql.DeltaSparkSessionExtension"


def write_tables(session: Any, results: Results, path: str, form: Literal["auto", "parquet", "delta"] = "auto") -> None:
    """Tables `assessments`, `matrix`, `errors`, `quarantine` and the text `manifest` below a path; what is there is not touched:
    the session's own error is raised. `auto` is Delta where the session has it, else Parquet."""
    kind = ("delta" if _has_delta(session) else "parquet") if form == "auto" else form
    aside = [tuple(_row(file, one).values()) for file, one in results.findings]
    findings = session.createDataFrame(aside, ", ".join(f"{name} {kind}" for name, kind in _QUARANTINE.items()))
    told = {
        "file": "''",
        "line": "CAST(NULL AS int)",
        "offset": "CAST(NULL AS bigint)",
        "code": "'FE0303'",
        "why": f"'{_ORPHAN}'",
    }
    orphans = results.orphans.selectExpr(*(f"{told.get(name, name)} AS {name}" for name in _QUARANTINE))
    tables = {
        "assessments": results.assessments,
        "matrix": results.matrix,
        "errors": results.failures,
        "quarantine": findings.unionByName(orphans),
    }
    for name, frame in tables.items():
        frame.write.format(kind).mode("error").save(f"{path.rstrip('/')}/{name}")
    text = json.dumps(msgspec.to_builtins(results.manifest), ensure_ascii=False)
    session.createDataFrame([(text,)], "value string").coalesce(1).write.mode("error").text(f"{path.rstrip('/')}/manifest")


def _has_delta(session: Any) -> bool:
    """Delta's own extension, or a Databricks runtime, whose tables are Delta."""
    named = [
        session.conf.get(name, "") or "" for name in ("spark.sql.extensions", "spark.databricks.clusterUsageTags.sparkVersion")
    ]
    return _DELTA in named[0] or bool(named[1])


def write_folder(results: Results, folder: RunFolder) -> None:
    """The files of a local run, row by row the same. Raises FhirEligError (FE0701)."""
    with whole_file(folder.path(ASSESSMENTS)) as stream:
        for row in _sorted(results.assessments, "patient", "protocol"):
            stream.write(row["assessment"].encode() + b"\n")
    with whole_file(folder.path(MATRIX)) as stream, MatrixFile(stream) as matrix:
        for row in _sorted(results.matrix, "protocol", "patient", "position"):
            matrix.add([row[:-1]])
    with whole_file(folder.path(ERRORS)) as stream:
        for row in _sorted(results.failures, "patient"):
            code, _, why = row["why"].partition(": ")
            told = {"schema": "fhir-elig/error/1", "patient": row["patient"], "errors": [{"code": code, "why": why}]}
            stream.write(msgspec.json.encode(told) + b"\n")
    with whole_file(folder.path(QUARANTINE)) as stream:
        for file, one in results.findings:
            stream.write(msgspec.json.encode(_row(file, one)) + b"\n")
        for row in _sorted(results.orphans, "reference"):
            stream.write(msgspec.json.encode(_row("", Finding("FE0303", row["reference"], _ORPHAN, ""))) + b"\n")
    clear(folder.work)
    write_manifest(folder, results.manifest)


def _row(file: str, finding: Finding) -> dict[str, Any]:
    """A line of `quarantine.ndjson`; at which byte the piece begins is not known here."""
    place, _, reference = finding.where.removeprefix(file).partition(" ")
    number = place.removeprefix(":")
    line = int(number) if number.isdigit() else None
    named = {"file": file, "line": line, "offset": None, "reference": reference if file else finding.where}
    return {**named, "code": finding.code, "why": finding.why}


def _sorted(frame: Any, *columns: str) -> Iterator[Any]:
    return iter(frame.orderBy(*columns).toLocalIterator())
