"""The command `screen`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import typer

from fhir_elig.cli.options import (
    FORMATS,
    AnswersOption,
    AsOfOption,
    CompleteOption,
    DataOption,
    DryRunOption,
    EventOption,
    FormatOption,
    GroupOption,
    OutOption,
    PatientOption,
    PatientsOption,
    ProtocolOption,
    ServerOption,
    SiteOption,
    TimeoutOption,
    VersionOption,
    WriteOption,
    known,
    patient_ids,
)
from fhir_elig.cli.terminal import color, width, write
from fhir_elig.errors import UsageError

if TYPE_CHECKING:
    from fhir_elig.cli.pipeline import Options, Screening, Tally
    from fhir_elig.cli.writing import FileWriter, Writer
    from fhir_elig.verdict import Assessment


def screen(
    protocol: ProtocolOption,
    data: DataOption = None,
    server: ServerOption = "",
    patient: PatientOption = [],  # noqa: B006  typer reads the default
    patients: PatientsOption = None,
    group: GroupOption = "",
    as_of: AsOfOption = None,
    event: EventOption = [],  # noqa: B006
    answers: AnswersOption = None,
    site: SiteOption = None,
    complete: CompleteOption = "",
    format_: FormatOption = "",
    fhir_version: VersionOption = "R4",
    out: OutOption = None,
    timeout: TimeoutOption = 60.0,
    write_: WriteOption = False,
    dry_run: DryRunOption = False,
) -> int:
    """Screen patients from files or a FHIR server.

    fhir-elig screen --protocol relma-cel-ssc --data charts/ --as-of 2025-06-01 --complete all
    fhir-elig screen --protocol relma-cel-ssc --server http://localhost:8080/fhir --patient p1 --format json
    """
    from fhir_elig.cli.pipeline import Options

    options = Options(
        protocol=protocol, data=data, server=server, patients=patient_ids(patient, patients), group=group, as_of=as_of,
        events=tuple(event), answers=answers, site=site, complete=complete, timeout=timeout,
    )  # fmt: skip
    chosen = format_ or ("table" if out is None and sys.stdout.isatty() else "ndjson")
    known("--format", chosen, FORMATS)
    known("--fhir-version", fhir_version, ("R4", "R5"))
    if dry_run and not write_:
        raise UsageError("--dry-run shows what --write would do", code="FE0105", where="--dry-run", fix="add  --write")
    if write_ and not (server or site):
        raise UsageError("--write needs a server", code="FE0105", where="--write", fix="add  --server URL")
    return _screen(options, chosen, fhir_version, out, Wish(write_, dry_run))


class Wish(NamedTuple):
    """Whether anything is to be written to the server, and whether that is only shown."""

    write: bool = False
    dry_run: bool = False


def _screen(options: Options, chosen: str, fhir_version: str, out: Path | None, wish: Wish) -> int:
    from fhir_elig.cli.kept import Kept
    from fhir_elig.cli.pipeline import Tally, assessments, charts, fail_if_nothing, prepare

    tally = Tally()
    screening = prepare(options)
    # What forbids writing is told before anybody is screened.
    with Kept() as found, _writer(screening, options, fhir_version, wish) as writer:
        for assessment in _counted(assessments(charts(options, screening, tally), screening, tally)):
            found.keep(assessment)
        fail_if_nothing(tally, options)
        if chosen == "table" and out is None:
            write([_table(found, tally, width=width(), color=color())])
        else:
            write(render(found, tally, screening, chosen, fhir_version), out)
        talk(tally, found, options)
        _say_strangers(screening, tally, options)
        if writer is not None:
            writer.write(found, tally)
    return tally.exit_code()


def _writer(
    screening: Screening, options: Options, fhir_version: str, wish: Wish
) -> AbstractContextManager[Writer | FileWriter | None]:
    if not wish.write:
        return nullcontext()
    from fhir_elig.cli.writing import writer

    return writer(screening, options, fhir_version, dry_run=wish.dry_run)


def _say_strangers(screening: Screening, tally: Tally, options: Options) -> None:
    """Tells of patients whom the answers file or --event names and who were not screened: a slip would go unseen."""
    for who, told in (("the answers file", screening.run.answers), ("--event", screening.run.own_milestones)):
        strangers = len(told.keys() - tally.seen)
        if strangers and not options.patients:
            typer.echo(f"note: {who} speaks of patients who were not screened: {strangers}", err=True)


def _counted(found: Iterable[Assessment]) -> Iterable[Assessment]:
    """Progress on stderr, if it is a terminal: one line that is written over."""
    shown = sys.stderr.isatty()
    number = 0
    for number, assessment in enumerate(found, 1):
        if shown and number % 25 == 0:
            typer.echo(f"\r{number} patients", err=True, nl=False)
        yield assessment
    if shown and number >= 25:
        typer.echo("\r" + " " * 30 + "\r", err=True, nl=False)


def render(found: Sequence[Assessment], tally: Tally, screening: Screening, chosen: str, fhir_version: str) -> Iterator[str]:
    """The whole data of a run as pieces of text; a table is neither wrapped nor coloured, since it may go to a file."""
    if chosen == "table":
        yield _table(found, tally)
    elif chosen == "fhir":
        yield from _fhir(found, tally, screening, fhir_version)
    elif chosen == "ndjson":
        yield from (f"{line}\n" for line in _lines(found, tally))
    else:
        yield from _json(found, tally)


def _lines(found: Sequence[Assessment], tally: Tally) -> Iterator[str]:
    yield from (one.to_json().decode() for one in found)
    yield from (_failure_line(failure.patient, failure.why) for failure in tally.failures)


def _json(found: Sequence[Assessment], tally: Tally) -> Iterator[str]:
    """One patient's object, or an array of them."""
    import json

    many = len(found) + len(tally.failures) != 1
    yield "[" if many else ""
    before = ""
    for line in _lines(found, tally):
        yield before + json.dumps(json.loads(line), ensure_ascii=False, indent=1)
        before = ",\n"
    yield "]\n" if many else "\n"


def _table(found: Sequence[Assessment], tally: Tally, *, width: int | None = None, color: bool = False) -> str:
    from fhir_elig.outputs.table import render_table

    return render_table(found, tally.failures, width=width, color=color)


def _failure_line(patient: str, why: str) -> str:
    import json

    code, _, text = why.partition(": ")
    return json.dumps({"schema": "fhir-elig/error/1", "patient": patient, "errors": [{"code": code, "why": text}]})


def _fhir(found: Sequence[Assessment], tally: Tally, screening: Screening, fhir_version: str) -> Iterator[str]:
    from fhir_elig.outputs.fhir_json import encode
    from fhir_elig.outputs.research_subject import bundle, not_assessed

    recorded = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    base = screening.site.file.canonical_base
    version: Literal["R4", "R5"] = "R5" if fhir_version == "R5" else "R4"
    for one in found:
        made = bundle(one, fhir_version=version, recorded=recorded, canonical_base=base, study=screening.study)
        yield encode(made).decode() + "\n"
    for failure in tally.failures:
        code, _, why = failure.why.partition(": ")
        made = not_assessed(failure.patient.removeprefix("Patient/"), code, why, recorded=recorded, canonical_base=base)
        yield encode(made).decode() + "\n"


def talk(tally: Tally, found: Sequence[Assessment], options: Options) -> None:
    """What was set aside, who was not assessed, and which types nobody vouches for."""
    failed = {failure.patient for failure in tally.failures}
    aside = [finding for finding in tally.findings if finding.where not in failed]
    for finding in aside[:50]:
        typer.echo(f"note {finding.code}: {finding.title()}: {finding.where}: {finding.why}", err=True)
    if len(aside) > 50:
        typer.echo(f"note: {len(aside) - 50} more were set aside", err=True)
    for failure in tally.failures:
        typer.echo(f"not assessed {failure.patient}: {failure.why}", err=True)
    for one, other in tally.twins[:50]:
        typer.echo(f"note: Patient/{one} and Patient/{other} have a record number in common; each was assessed alone", err=True)
    waiting = {
        note
        for one in found
        for result in one.walk()
        if result.reason == "no-record"
        for note in result.notes
        if "--complete" in note
    }
    if waiting and options.data is not None:
        typer.echo(
            "note: some criteria wait for  --complete  (types that the data hold completely); see the notes of no-record",
            err=True,
        )
