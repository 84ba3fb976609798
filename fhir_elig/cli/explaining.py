"""The commands `explain` and `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_elig.cli.options import (
    DEMO_PROTOCOL,
    FORMATS,
    AnswersOption,
    AsOfOption,
    CompleteOption,
    DataOption,
    EventOption,
    FormatOption,
    ProtocolOption,
    ServerOption,
    SiteOption,
    TimeoutOption,
    known,
)
from fhir_elig.cli.screening import render, talk
from fhir_elig.cli.terminal import color, width, write
from fhir_elig.errors import UsageError

if TYPE_CHECKING:
    from fhir_elig.cli.pipeline import Options


def explain(
    patient: Annotated[str, typer.Argument(help="The patient's id", metavar="PATIENT")],
    protocol: ProtocolOption = DEMO_PROTOCOL,
    data: DataOption = None,
    server: ServerOption = "",
    as_of: AsOfOption = None,
    event: EventOption = [],  # noqa: B006
    answers: AnswersOption = None,
    site: SiteOption = None,
    complete: CompleteOption = "",
    format_: FormatOption = "table",
    timeout: TimeoutOption = 60.0,
) -> int:
    """Show one patient in full: every criterion, its value and limit, and what would settle each unknown.

    Without --data, --server and --site it explains one of the example patients of the demo.

    fhir-elig explain p07
    fhir-elig explain p1 --protocol relma-cel-ssc --data charts/ --as-of 2025-06-01
    """
    from fhir_elig.cli.pipeline import Options

    known("--format", format_, FORMATS)
    name = patient.strip().removeprefix("Patient/")
    options = Options(
        protocol=protocol, data=data, server=server, patients=(name,), as_of=as_of, events=tuple(event), answers=answers,
        site=site, complete=complete, timeout=timeout,
    )  # fmt: skip
    if data is None and not server and site is None:
        from fhir_elig.cli.demo import example

        options = example(options)
    return _explain(options, name, format_)


def _explain(options: Options, name: str, format_: str) -> int:
    from fhir_elig.cli.pipeline import Tally, assessments, charts, prepare

    tally = Tally()
    screening = prepare(options)
    found = list(assessments(charts(options, screening, tally), screening, tally))
    if not found:
        _refuse_unknown(name, options)
    elif format_ == "table":
        from fhir_elig.outputs.explain import explain as explained

        write([explained(found[0], color=color(), width=width() or 100)])
    else:
        write(render(found, tally, screening, format_, "R4"))
    talk(tally, found, options)
    return tally.exit_code()


def _refuse_unknown(name: str, options: Options) -> None:
    from fhir_elig.criteria.base import near

    known_ids = _all_ids(options)
    if known_ids and name not in known_ids:
        raise UsageError(f'no patient is named "{name}"', code="FE0103", where="PATIENT", fix=near(name, known_ids))


def _all_ids(options: Options) -> tuple[str, ...]:
    if options.data is None:
        return ()
    from fhir_elig.sources.files import read_files

    return read_files(options.data).patients


def demo(
    out: Annotated[Path, typer.Option("--out", help="The folder for the report", metavar="FOLDER")] = Path("fhir-elig-demo"),
) -> int:
    """Screen the bundled example patients with the bundled protocol: no server, no configuration."""
    from fhir_elig.cli.demo import run_demo

    return run_demo(out, color(), width())
