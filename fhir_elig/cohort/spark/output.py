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
from fhir_elig.cohort.spark.listing import listed
from fhir_elig.errors import Finding, UsageError

_QUARANTINE = {"file": "string", "line": "int", "offset": "bigint", "reference": "string", "code": "string", "why": "string"}
_ORPHAN = "its patient is not in the data"
_DELTA = "io.delta.sql.DeltaSparkSessionExtension"
_DATABRICKS = "spark.databricks.clusterUsageTags.sparkVersion"
# What sessions say that lack Delta's library, or its extension.
_NO_DELTA = ("DATA_SOURCE_NOT_FOUND", "DELTA_CONFIGURE_SPARK_SESSION_WITH_EXTENSION_AND_CATALOG", "find data source: delta")


Form = Literal["auto", "parquet", "delta"]


def write_tables(session: Any, results: Results, path: str, form: Form = "auto") -> None:
    """Tables `assessments`, `matrix`, `errors`, `quarantine` and, last, the text `manifest` below a path.

    `auto` is Delta where the session has it, else Parquet. Raises UsageError if something is there, or the session cannot write
    Delta.
    """
    check_free(session, path)
    kind = ("delta" if _has_delta(session) else "parquet") if form == "auto" else form
    tables = {
        "assessments": results.assessments,
        "matrix": results.matrix,
        "errors": results.failures,
        "quarantine": _quarantine(session, results),
    }
    root = path.rstrip("/")
    for name, frame in tables.items():
        write(frame, kind, f"{root}/{name}")
    text = json.dumps(msgspec.to_builtins(results.manifest), ensure_ascii=False)
    session.createDataFrame([(text,)], "value string").coalesce(1).write.mode("error").text(f"{root}/manifest")


def check_free(session: Any, path: str) -> None:
    """Raises UsageError if there is any file below a path: tables are never written over, and a run is long."""
    found = listed(session, path)
    if found is not None and (found[0] or found[1]):
        raise UsageError("there is something already", where=path, fix="name another path, or remove what is there")


def write(frame: Any, kind: str, path: str) -> None:
    """A frame as a table of a format. Raises UsageError where that is Delta and the session has none."""
    try:
        frame.write.format(kind).mode("error").save(path)
    except Exception as error:  # each kind of session has an error of its own for it
        if kind == "delta" and any(sign in str(error) for sign in _NO_DELTA):
            fix = "start the session with Delta Lake (spark.sql.extensions, spark.sql.catalog.spark_catalog), or write Parquet"
            raise UsageError("the session cannot write Delta tables", where=path, fix=fix) from None
        raise


def _quarantine(session: Any, results: Results) -> Any:
    aside = [tuple(_row(file, one).values()) for file, one in results.findings]
    findings = session.createDataFrame(aside, ", ".join(f"`{name}` {kind}" for name, kind in _QUARANTINE.items()))
    told = {"file": "''", "line": "NULL", "offset": "NULL", "reference": "reference", "code": "'FE0303'", "why": f"'{_ORPHAN}'"}
    orphans = results.orphans.selectExpr(*(f"CAST({told[name]} AS {kind}) AS `{name}`" for name, kind in _QUARANTINE.items()))
    return findings.unionByName(orphans)


def _has_delta(session: Any) -> bool:
    """Delta's own extension, or a Databricks runtime, whose tables are Delta."""
    return _DELTA in _setting(session, "spark.sql.extensions") or bool(_setting(session, _DATABRICKS))


def _setting(session: Any, name: str) -> str:
    try:
        return session.conf.get(name, "") or ""
    except Exception:  # a serverless session refuses to tell most of its settings, each with an error of its own
        return ""


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
