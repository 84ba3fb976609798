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
from fhir_elig.outputs.matrix import Row

_DELTA = "io.delta.sql.DeltaSparkSessionExtension"


def write_tables(session: Any, results: Results, path: str, form: Literal["auto", "parquet", "delta"] = "auto") -> None:
    """Tables `assessments`, `matrix`, `errors`, `quarantine` and the text `manifest` below a path; what is there is not touched:
    the session's own error is raised. `auto` is Delta where the session has it, else Parquet."""
    kind = ("delta" if _has_delta(session) else "parquet") if form == "auto" else form
    aside = [(one.code, one.where, one.why) for one in results.findings]
    findings = session.createDataFrame(aside, "code string, `where` string, why string")
    orphans = results.orphans.selectExpr("'FE0303' AS code", "reference AS `where`", "'its patient is not in the data' AS why")
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
            matrix.add([Row(*row[:-1])])
    with whole_file(folder.path(ERRORS)) as stream:
        for row in _sorted(results.failures, "patient"):
            stream.write(msgspec.json.encode({"patient": row["patient"], "why": row["why"]}) + b"\n")
    with whole_file(folder.path(QUARANTINE)) as stream:
        for one in results.findings:
            stream.write(msgspec.json.encode({"code": one.code, "where": one.where, "why": one.why}) + b"\n")
        for row in _sorted(results.orphans, "reference"):
            told = {"code": "FE0303", "where": row["reference"], "why": "its patient is not in the data"}
            stream.write(msgspec.json.encode(told) + b"\n")
    clear(folder.work)
    write_manifest(folder, results.manifest)


def _sorted(frame: Any, *columns: str) -> Iterator[Any]:
    return iter(frame.orderBy(*columns).toLocalIterator())
