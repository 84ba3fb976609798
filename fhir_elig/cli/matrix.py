"""The commands `cohort funnel`, `what-if` and `diff`: what the stored matrix of a run answers at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fhir_elig.cli.options import known

RunArgument = Annotated[Path, typer.Argument(help="The folder of a run", metavar="RUN")]
ProtocolOption = Annotated[
    list[str], typer.Option("--protocol", help="A protocol of the run; all if none is named; may be repeated", metavar="ID")
]


def register(app: typer.Typer) -> None:
    """Hang the commands on `cohort`."""
    app.command("funnel")(funnel)


def funnel(
    run: RunArgument,
    protocol: ProtocolOption = [],  # noqa: B006  typer reads the default
    format_: Annotated[str, typer.Option("--format", help="table, json or html")] = "table",
    min_cell: Annotated[int, typer.Option("--min-cell", help="Hide counts from 1 to N - 1, to share it", min=0, metavar="N")] = 0,
) -> int:
    """Show who is left after each criterion, who is near, and what is missing. Counts are of persons.

    fhir-elig cohort funnel run/
    fhir-elig cohort funnel run/ --format html --min-cell 10
    """
    from fhir_elig.cohort.funnel import funnel as counted
    from fhir_elig.cohort.hiding import hide
    from fhir_elig.cohort.matrix import Matrix
    from fhir_elig.outputs.funnel_table import render_funnel

    known("--format", format_, ("table", "json", "html"))
    with Matrix(run) as matrix:
        found = [counted(matrix, used) for used in matrix.protocols(protocol)]
        shown = hide(found, min_cell) if min_cell else found
        if format_ == "table":
            _print(render_funnel(shown))
        else:
            _print(_json(shown))
    return 0


def _json(value: object) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode() + "\n"


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
