"""Runs on classic PySpark (a JVM and local Python workers) held against the local run, row by row.

    make classic [SPARK=3.5.5] [DELTA=GROUP:NAME:VERSION]

In a session as it comes and in one whose settings are all others; over files in good order and damaged ones; into a folder and
into tables. Takes minutes and needs Java 17 or later, so it is no part of the test suite, which runs on Spark Connect without
a JVM.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet
import typer

from fhir_elig.cli import run
from fhir_elig.cohort.settings import RunOptions
from fhir_elig.cohort.spark import screen
from fhir_elig.cohort.spark.output import Form, write_tables
from fhir_elig.errors import UsageError
from tests.cohort.hospitals import COMMON, damaged, differing, messy

OPTIONS = RunOptions(protocols=("relma-cel-ssc",), as_of="2025-06-01", complete="all", data="")
STRANGE = "year=2025/a b [1] 100%+{x,y}"  # neither a partition nor a pattern
# What clusters set otherwise: SQL that refuses, plans that do not adapt, tiny splits and batches, files that are passed over.
OTHERS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.enforceReservedKeywords": "true",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.caseSensitive": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "2",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.pandas.convertToArrowArraySafely": "true",
    "spark.sql.files.ignoreCorruptFiles": "true",
    "spark.sql.files.ignoreMissingFiles": "true",
    "spark.sql.files.maxPartitionBytes": "50000",
    "spark.sql.legacy.execution.pandas.groupedMap.assignColumnsByName": "false",
    "spark.sql.session.timeZone": "America/St_Johns",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "true",
}


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 if every row is the same, 1 if not, 2 without Java."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.spark_classic", description="hold classic PySpark against local runs"
    )
    parser.add_argument("--delta", default="", help="Delta Lake for this Spark, as GROUP:NAME:VERSION; else it must be refused")
    delta = parser.parse_args(arguments).delta
    if shutil.which("java") is None:
        typer.echo("classic PySpark needs Java 17 or later on the PATH", err=True)
        return 2
    began = time.perf_counter()
    session = start(delta)
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = _held(session, Path(folder), bool(delta))
        told = f"PySpark {session.version}{' with ' + delta if delta else ''}: {time.perf_counter() - began:.0f} s"
    finally:
        session.stop()
    typer.echo(told)
    for what, names in found.items():
        typer.echo(f"{what}: {'differs in ' + ', '.join(names) if names else 'every row is that of the local run'}")
    return int(any(found.values()))


def start(delta: str = "") -> Any:
    """A session of two cores on this machine."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.ui.showConsoleProgress", "false").config("spark.sql.shuffle.partitions", "4")
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    if delta:
        builder = builder.config("spark.jars.packages", delta)
        builder = builder.config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        builder = builder.config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    return builder.getOrCreate()


def _held(session: Any, root: Path, delta: bool) -> dict[str, list[str]]:
    """By what was done: names of the files or tables that differ."""
    good, bad = messy(root / "good", STRANGE), damaged(root / "bad")
    for name, data in (("good", good), ("bad", bad)):
        run(["cohort", "run", *COMMON, "--data", str(data), "--out", str(root / f"local-{name}")])
    found = {"the session as it comes": _folder(good, root / "as-it-comes", root / "local-good")}
    found["tables"] = _tables(session, good, root / "tables", root / "local-good", "delta" if delta else "parquet")
    if not delta:
        found["Delta, which is not there"] = _refused(session, good, root / "refused")
    for name, value in OTHERS.items():
        session.conf.set(name, value)
    found["other settings"] = _folder(good, root / "other", root / "local-good")
    found["other settings, damaged files"] = _folder(bad, root / "damaged", root / "local-bad")
    return found


def _folder(data: Path, out: Path, local: Path) -> list[str]:
    run(["cohort", "run", *COMMON, "--data", f"file:{data}", "--engine", "spark", "--out", str(out)])
    return differing(out, local)


def _tables(session: Any, data: Path, out: Path, local: Path, form: Form) -> list[str]:
    """`auto` must find Delta where the session has it."""
    write_tables(session, screen(session, _options(data)), f"file:{out}", "auto")
    stored = session.read.format(form).load(f"file:{out}/assessments").orderBy("patient").collect()
    same = [row["assessment"] for row in stored] == (local / "assessments.ndjson").read_text(encoding="utf-8").splitlines()
    rows = session.read.format(form).load(f"file:{out}/matrix").count()
    wanted = pyarrow.parquet.read_metadata(local / "matrix.parquet").num_rows
    return ([] if same else ["assessments"]) + ([] if rows == wanted else ["matrix"])


def _refused(session: Any, data: Path, out: Path) -> list[str]:
    try:
        write_tables(session, screen(session, _options(data)), f"file:{out}", "delta")
    except UsageError as error:
        return [] if "Delta" in str(error) else ["its error"]
    return ["its error"]


def _options(data: Path) -> RunOptions:
    return msgspec.structs.replace(OPTIONS, data=f"file:{data}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
