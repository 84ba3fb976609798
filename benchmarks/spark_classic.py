"""A run on classic PySpark (a JVM and local Python workers) held against the local run: the same rows, and what each costs.

    make classic

Takes minutes and needs Java 17 or later, so it is no part of the test suite, which runs on Spark Connect without a JVM.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet
import typer

from fhir_elig.cli import run
from tests.cohort.test_spark import COMMON, messy

_TEXTS = ("assessments.ndjson", "errors.ndjson")


def main() -> int:
    """Exit code 0 if every row is the same, 1 if not, 2 without Java."""
    if shutil.which("java") is None:
        typer.echo("classic PySpark needs Java 17 or later on the PATH", err=True)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = messy(root / "data")
        run(["cohort", "run", *COMMON, "--data", str(data), "--out", str(root / "local")])
        began = time.perf_counter()
        _on_spark(data, root / "spark")
        typer.echo(f"PySpark {_version()}: {time.perf_counter() - began:.0f} s for 4 patients, the start of the session included")
        differing = _differing(root / "spark", root / "local")
    typer.echo(f"differs from the local run: {', '.join(differing)}" if differing else "every row is that of the local run")
    return int(bool(differing))


def _version() -> str:
    import pyspark

    return str(pyspark.__version__)


def _on_spark(data: Path, out: Path) -> None:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.shuffle.partitions", "4").config("spark.driver.bindAddress", "127.0.0.1")
    session = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
    try:
        run(["cohort", "run", *COMMON, "--data", f"file:{data}", "--engine", "spark", "--out", str(out)])
    finally:
        session.stop()


def _differing(spark: Path, local: Path) -> list[str]:
    """Names of the files whose rows differ; at which byte a piece begins is not known on Spark."""
    found = [name for name in _TEXTS if (spark / name).read_bytes() != (local / name).read_bytes()]
    theirs = [{**row, "offset": None} for row in _lines(local / "quarantine.ndjson")]
    found += [] if _lines(spark / "quarantine.ndjson") == theirs else ["quarantine.ndjson"]
    tables = [pyarrow.parquet.read_table(folder / "matrix.parquet") for folder in (spark, local)]
    return found + ([] if tables[0].equals(tables[1]) else ["matrix.parquet"])


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


if __name__ == "__main__":
    sys.exit(main())
