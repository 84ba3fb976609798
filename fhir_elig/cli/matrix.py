"""The commands `cohort funnel`, `what-if` and `diff`: what the stored matrix of a run answers at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_elig.cli.options import known
from fhir_elig.errors import UsageError

if TYPE_CHECKING:
    from fhir_elig.cohort.matrix import Matrix
    from fhir_elig.outputs.funnel_table import Funnel

RunArgument = Annotated[Path, typer.Argument(help="The folder of a run", metavar="RUN")]
ProtocolOption = Annotated[
    list[str], typer.Option("--protocol", help="A protocol of the run; all if none is named; may be repeated", metavar="ID")
]


def register(app: typer.Typer) -> None:
    """Hang the commands on `cohort`."""
    app.command("funnel")(funnel)
    app.command("what-if")(what_if)
    app.command("diff")(diff)


def funnel(
    run: RunArgument,
    protocol: ProtocolOption = [],  # noqa: B006  typer reads the default
    format_: Annotated[str, typer.Option("--format", help="table, json or html")] = "table",
    out: Annotated[Path | None, typer.Option("--out", help="Where the page goes, for html; RUN/funnel.html if not given")] = None,
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
        if format_ == "html":
            typer.echo(f"wrote {_page(matrix, shown, out)}", err=True)
        else:
            _print(render_funnel(shown) if format_ == "table" else _json(shown))
    return 0


def _page(matrix: Matrix, shown: Sequence[Funnel], out: Path | None) -> Path:
    """Write the page, and the lists behind its numbers beside the run unless small counts are hidden."""
    from fhir_elig._version import __version__
    from fhir_elig.cohort.folder import FUNNEL, LISTS, whole_file
    from fhir_elig.cohort.lists import lists, write_lists
    from fhir_elig.outputs.funnel_page import render_funnel_page

    page = out or matrix.run / FUNNEL
    used = matrix.protocols([funnel.protocol for funnel in shown])
    hidden = any(funnel.min_cell for funnel in shown)
    found = {} if hidden else {cell: listed for each in used for cell, listed in lists(matrix, each).items()}
    if any(listed.total > len(listed.patients) for listed in found.values()):
        write_lists(matrix, used, page.with_name(LISTS))
    with whole_file(page) as stream:
        stream.write(render_funnel_page(shown, found, more=LISTS, version=__version__).encode())
    return page


def what_if(
    run: RunArgument,
    drop: Annotated[list[str], typer.Option("--drop", help="Leave a criterion out", metavar="CRITERION")] = [],  # noqa: B006
    limit: Annotated[
        list[str],
        typer.Option("--limit", help="Another limit: 'hemoglobin=80 g/L', 'age=at-most 70 a'", metavar="CRITERION=VALUE"),
    ] = [],  # noqa: B006
    reading: Annotated[
        list[str], typer.Option("--reading", help="Decide how a doubtful text is read", metavar="CRITERION=READING")
    ] = [],  # noqa: B006
    protocol: Annotated[str, typer.Option("--protocol", help="A protocol of the run, if it has several", metavar="ID")] = "",
    format_: Annotated[str, typer.Option("--format", help="table or json")] = "table",
) -> int:
    """Recompute the whole of every person with a criterion dropped, a limit moved or a reading decided. Reads no chart.

    fhir-elig cohort what-if run/ --drop lvef --limit 'hemoglobin=80 g/L'
    fhir-elig cohort what-if run/ --reading refractory-or-progressive=and
    """
    from fhir_elig.cohort.changes import read_changes
    from fhir_elig.cohort.matrix import Matrix
    from fhir_elig.cohort.whatif import what_if as recomputed
    from fhir_elig.outputs.whatif_table import render_what_if

    known("--format", format_, ("table", "json"))
    with Matrix(run) as matrix:
        used, *more = matrix.protocols([protocol] if protocol else ())
        if more:
            names = ", ".join(one.id for one in (used, *more))
            raise UsageError("the run has several protocols", where="--protocol", fix=f"name one of {names}")
        found = recomputed(matrix, used, read_changes(used, drop, limit, reading))
    _print(render_what_if(found) if format_ == "table" else _json(found))
    return 0


def diff(
    run1: Annotated[Path, typer.Argument(help="The folder of the older run", metavar="RUN1")],
    run2: Annotated[Path, typer.Argument(help="The folder of the newer run", metavar="RUN2")],
    protocol: Annotated[str, typer.Option("--protocol", help="A protocol of both runs; all if none is named", metavar="ID")] = "",
    format_: Annotated[str, typer.Option("--format", help="table or json")] = "table",
) -> int:
    """Compare two runs: who is new, who left, who changed, and by which criterion and resource.

    fhir-elig cohort diff june/ july/
    """
    from fhir_elig.cohort.diff import common, diff as compared
    from fhir_elig.cohort.matrix import Matrix
    from fhir_elig.outputs.diff_table import render_diff

    known("--format", format_, ("table", "json"))
    with Matrix(run1) as old, Matrix(run2) as new:
        found = [compared(old, new, *both) for both in common(old, new, protocol)]
    _print(render_diff(found) if format_ == "table" else _json(found))
    return 0


def _json(value: object) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode() + "\n"


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
