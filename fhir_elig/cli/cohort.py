"""The commands `cohort run`, `resume`, `export`, `purge`: a whole hospital, checkpointed and resumable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from fhir_elig.cli import matrix
from fhir_elig.cli.bulk import (
    SIX_HOURS,
    AfterOption,
    Bulk,
    BulkGroupOption,
    BulkOption,
    ExportTimeoutOption,
    SinceOption,
    exported,
)
from fhir_elig.cli.engines import ENGINES, EngineOption, RemoteOption, run_on_spark
from fhir_elig.cli.options import AnswersOption, AsOfOption, CompleteOption, EventOption, SiteOption, known
from fhir_elig.errors import FhirEligError, UsageError

if TYPE_CHECKING:
    from fhir_elig.cohort.job import Finished

app = typer.Typer(help="A whole hospital: many charts against one protocol or more.", no_args_is_help=True)
matrix.register(app)

RunArgument = Annotated[Path, typer.Argument(help="The folder of a run", metavar="RUN")]
ProtocolsOption = Annotated[
    list[str],
    typer.Option("--protocol", help="A bundled protocol's id, or a protocol file; may be repeated", metavar="ID_OR_FILE"),
]
DataOption = Annotated[
    str, typer.Option("--data", help="A file or folder of FHIR JSON or NDJSON, searched recursively", metavar="PATH")
]
OutOption = Annotated[str, typer.Option("--out", help="The folder of the run; new or empty", metavar="RUN")]
JobsOption = Annotated[int, typer.Option("--jobs", help="Processes that work at the same time", min=1, metavar="N")]
_STOPPED = ("FE0701", "FE0301", "FE0901")


@app.command()
def run(
    protocol: ProtocolsOption,
    out: OutOption,
    data: DataOption = "",
    bulk: BulkOption = "",
    group: BulkGroupOption = None,
    after: AfterOption = None,
    since: SinceOption = None,
    export_timeout: ExportTimeoutOption = SIX_HOURS,
    as_of: AsOfOption = None,
    event: EventOption = [],  # noqa: B006  typer reads the default
    answers: AnswersOption = None,
    site: SiteOption = None,
    complete: CompleteOption = "",
    engine: EngineOption = "local",
    spark_remote: RemoteOption = None,
    jobs: JobsOption = 1,
    facts: Annotated[bool, typer.Option("--facts", help="Keep the facts of the charts too, as  cohort facts  does")] = False,
    skip: Annotated[bool, typer.Option("--skip/--no-skip", help="Keep only the head of results that nothing asks for")] = True,
) -> int:
    """Hold every chart of a folder, or of a bulk export, against the protocols; results go into RUN.

    fhir-elig cohort run --protocol relma-cel-ssc --data export/ --complete all --as-of 2025-06-01 --out run/
    fhir-elig cohort run --protocol relma-cel-ssc --bulk https://ehr.hospital.example/fhir --site site.yaml --out run/
    """
    from fhir_elig.cohort.folder import RunFolder
    from fhir_elig.cohort.run import run as begin
    from fhir_elig.cohort.settings import RunOptions

    options = RunOptions(
        protocols=tuple(protocol), data=data, as_of=as_of, events=tuple(event), answers=str(answers or ""),
        site=str(site or ""), complete=complete, skip=skip, facts=facts,
    )  # fmt: skip
    known("--engine", engine, ENGINES)
    for option, given in (("--out", out), ("--group", group), ("--since", since), ("--spark-remote", spark_remote)):
        if given == "":
            raise UsageError("it is given and empty", where=option, fix="name what is meant, or leave it out")
    asked = Bulk(url=bulk, group=group or "", after=after, since=since or "", timeout=export_timeout)
    asked.check(data)
    if data and after is not None:
        RunFolder(after).need()
    if bulk:
        options = exported(options, Path(out), asked)
    if engine == "spark":
        _check_spark(data, after, facts)
        return run_on_spark(options, out, spark_remote or "")
    options = msgspec.structs.replace(options, after=str(after or ""))
    folder = Path(out)
    with _resumable(folder):
        finished = begin(options, RunFolder(folder), jobs)
    _tell(finished, folder)
    return finished.exit_code


def _check_spark(data: str, after: Path | None, facts: bool) -> None:
    """Raises UsageError where Spark would quietly do something else than what was asked for."""
    from fhir_elig.cohort.facts.cache import is_kept

    if data and (is_kept(data) or after is not None):
        why = "facts are read, and results taken over, by the local engine alone"
        raise UsageError(why, code="FE0105", where="--engine spark", fix="leave out  --engine spark")
    if facts:
        why = "facts are kept by the local engine alone"
        raise UsageError(why, code="FE0105", where="--facts", fix="leave out  --engine spark")


@app.command()
def resume(run: RunArgument, jobs: JobsOption = 1) -> int:
    """Go on with a run that was stopped, by whatever; it ends as if it never had been.

    fhir-elig cohort resume run/
    """
    from fhir_elig.cohort.folder import RunFolder
    from fhir_elig.cohort.run import resume as go_on

    with _resumable(run):
        finished = go_on(RunFolder(run), jobs)
    _tell(finished, run)
    return finished.exit_code


@contextmanager
def _resumable(out: Path) -> Iterator[None]:
    """However a run stops, the line that goes on with it is told."""
    from fhir_elig.cohort.folder import RunFolder

    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt) or (isinstance(error, FhirEligError) and error.code in _STOPPED)
        if stopped and RunFolder(out).is_run:
            typer.echo(f"\nto go on:  fhir-elig cohort resume {out}", err=True)
        raise


def _tell(finished: Finished, out: Path) -> None:
    manifest, counts = finished.manifest, finished.manifest.counts
    if counts is not None:
        typer.echo(f"patients {counts.patients} = assessed {counts.assessed} + not assessed {counts.not_assessed}", err=True)
        if manifest.options.after:
            _tell_taken(finished)
        if manifest.options.facts:
            anew = f", made anew: {finished.facts_anew}" if finished.facts_anew else ""
            typer.echo(f"facts of {counts.patients} patients: {out / 'facts'}{anew}", err=True)
        if counts.quarantined:
            typer.echo(f"set aside {counts.quarantined} pieces of the data: {out / 'quarantine.ndjson'}", err=True)


def _tell_taken(finished: Finished) -> None:
    from fhir_elig.cohort.earlier import why_not

    why = "" if finished.taken else why_not(finished.manifest)
    typer.echo(f"unchanged since {finished.manifest.options.after}, taken over: {finished.taken} {why}".rstrip(), err=True)


@app.command()
def export(
    run: RunArgument,
    format_: Annotated[str, typer.Option("--format", help="csv or parquet (the matrix), ndjson (assessments), fhir")] = "csv",
    status: Annotated[str, typer.Option("--status", help="Only patients of this status", metavar="STATUS")] = "",
    out: Annotated[Path | None, typer.Option("--out", help="Write it here instead of to stdout", metavar="PATH")] = None,
) -> int:
    """Hand over the results of a run: the matrix, the assessments, or FHIR Bundles, one a line.

    fhir-elig cohort export run/ --format fhir --status candidate --out candidates.ndjson
    """
    from fhir_elig.cohort.export import FORMATS, export as write
    from fhir_elig.cohort.folder import RunFolder
    from fhir_elig.verdict import Status

    known("--format", format_, FORMATS)
    if status:
        known("--status", status, tuple(Status))
    write(RunFolder(run), format_, status, out)
    return 0


@app.command()
def facts(run: RunArgument, jobs: JobsOption = 1) -> int:
    """Keep what was read of the charts of a run: a later run takes the folder as --data, with any protocol, at any date.

    fhir-elig cohort facts run/
    fhir-elig cohort run --protocol amended.yaml --data run/facts --as-of 2025-07-01 --out again/
    """
    from fhir_elig.cohort.folder import RunFolder
    from fhir_elig.cohort.run import keep_facts

    folder = RunFolder(run)
    try:
        finished = keep_facts(folder, jobs)
    except KeyboardInterrupt:
        typer.echo(f"\nto go on:  fhir-elig cohort facts {run}", err=True)
        raise
    typer.echo(f"facts of {finished.patients} patients: {folder.kept.root}", err=True)
    return finished.exit_code


@app.command()
def purge(run: RunArgument) -> int:
    """Remove the folder of a run: assessments, matrix, checkpoint, all that tells of patients.

    fhir-elig cohort purge run/
    """
    from fhir_elig.cohort.folder import RunFolder

    left = RunFolder(run).purge()
    if left:
        typer.echo(f"note: {len(left)} other entries are not of the run and stay in {run}", err=True)
    return 0
