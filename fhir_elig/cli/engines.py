"""The engine `spark` of `cohort run`: a session of this machine or a Spark Connect address; results in a folder or as tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhir_elig.errors import FhirEligError, UsageError

if TYPE_CHECKING:
    from fhir_elig.cohort.folder import RunFolder
    from fhir_elig.cohort.settings import RunOptions
    from fhir_elig.cohort.spark import Results

EngineOption = Annotated[str, typer.Option("--engine", help="local, or spark", metavar="ENGINE")]
RemoteOption = Annotated[
    str | None,
    typer.Option("--spark-remote", help="A Spark Connect address; else the session of this machine", metavar="sc://HOST"),
]
ENGINES = ("local", "spark")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/")


def run_on_spark(options: RunOptions, out: str, remote: str) -> int:
    """Screen on Spark; `out` is the folder of a run on this machine, or an address such as `s3://bucket/run` for tables."""
    from fhir_elig.cli.pipeline import Tally
    from fhir_elig.cohort.folder import RunFolder
    from fhir_elig.cohort.matrix_file import need_parquet

    need_parquet()
    folder = None if _ADDRESS.match(out) else RunFolder(Path(out))
    session = _session(remote)
    if folder is not None:
        folder.create()
    try:
        results = _screened(session, options, folder, out)
    except FhirEligError:
        raise
    except Exception as error:
        _translate(error)
        raise
    finally:
        if remote:
            session.stop()
    counts = results.manifest.counts
    assert counts is not None
    typer.echo(f"patients {counts.patients} = assessed {counts.assessed} + not assessed {counts.not_assessed}", err=True)
    if counts.quarantined:
        typer.echo(f"set aside {counts.quarantined} pieces of the data: see quarantine in {out}", err=True)
    tally = Tally()
    tally.codes, tally.assessed = set(results.codes), counts.assessed
    return tally.exit_code()


def _screened(session: Any, options: RunOptions, folder: RunFolder | None, out: str) -> Results:
    from fhir_elig.cohort.spark import screen
    from fhir_elig.cohort.spark.output import check_free, write_folder, write_tables

    if folder is None:
        check_free(session, out)
    results = screen(session, options)
    if folder is None:
        write_tables(session, results, out)
    else:
        write_folder(results, folder)
    return results


def _session(remote: str) -> Any:
    """Raises UsageError where there is no Spark, or a secret stands in the address."""
    if "token=" in remote:
        why = "a token does not belong on the command line, where others can read it"
        raise UsageError(why, where="--spark-remote", fix="put the address with its token into the variable SPARK_REMOTE")
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        why = "Spark needs a library that is not installed"
        raise UsageError(why, where="pyspark", fix="pip install 'fhir-elig[spark]'") from None
    builder: Any = SparkSession.builder
    try:
        return builder.remote(remote).create() if remote else builder.getOrCreate()
    except PySparkException as error:
        why = f"there is no Spark session: {_first_line(error)}"
        raise UsageError(why, where="--engine spark", fix="name its address with  --spark-remote sc://HOST:PORT") from None


def _translate(error: Exception) -> None:
    """What Spark says, in one line: a worker's own message stands in the session's log. Raises FhirEligError."""
    from pyspark.errors import PySparkException

    if isinstance(error, PySparkException):
        fix = "see the log of the session; each worker needs the same version of fhir-elig"
        raise FhirEligError(f"Spark stopped: {_first_line(error)}", where="--engine spark", fix=fix) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
