"""The options that several commands share, with their help."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from fhir_elig.errors import UsageError

DEMO_PROTOCOL = "relma-cel-ssc"

ProtocolOption = Annotated[
    str, typer.Option("--protocol", help="A bundled protocol's id, or a protocol file", metavar="ID_OR_FILE")
]
DataOption = Annotated[Path | None, typer.Option("--data", help="A file or folder of FHIR JSON or NDJSON, searched recursively")]
ServerOption = Annotated[
    str, typer.Option("--server", help="The base address of a FHIR server; its token comes from FHIR_ELIG_TOKEN", metavar="URL")
]
PatientOption = Annotated[list[str], typer.Option("--patient", help="A patient's id; may be repeated", metavar="ID")]
PatientsOption = Annotated[Path | None, typer.Option("--patients", help="A file of patient ids, one a line", metavar="FILE")]
GroupOption = Annotated[str, typer.Option("--group", help="A FHIR Group whose members are screened", metavar="ID")]
AsOfOption = Annotated[str | None, typer.Option("--as-of", help="The date to screen at; today if not given", metavar="DATE")]
EventOption = Annotated[
    list[str], typer.Option("--event", help="A milestone's date: NAME=DATE, or NAME@PATIENT=DATE", metavar="NAME=DATE")
]
AnswersOption = Annotated[Path | None, typer.Option("--answers", help="What people said, YAML", metavar="FILE")]
SiteOption = Annotated[Path | None, typer.Option("--site", help="What is true of this hospital, YAML", metavar="FILE")]
CompleteOption = Annotated[
    str, typer.Option("--complete", help="Types that the source holds completely, or all", metavar="TYPE,...")
]
FormatOption = Annotated[str, typer.Option("--format", help="table, json, ndjson or fhir; table on a terminal, ndjson in a pipe")]
VersionOption = Annotated[str, typer.Option("--fhir-version", help="R4 or R5, for --format fhir")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Write the data here instead of to stdout", metavar="PATH")]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", help="Total seconds for one patient at a server", min=1.0, metavar="SECONDS")
]
WriteOption = Annotated[
    bool, typer.Option("--write", help="Write the recommendations back to the server; the plan is shown first")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="With --write: show the plan and send nothing")]
FORMATS = ("table", "json", "ndjson", "fhir")


def known(option: str, value: str, choices: Iterable[str]) -> None:
    """Refuse a value that is none of the choices. Raises UsageError FE0101 with a suggestion."""
    from fhir_elig.criteria.base import near

    if value not in choices:
        raise UsageError(f'{option} does not know "{value}"', where=option, fix=near(value, choices))


def patient_ids(given: Iterable[str], file: Path | None) -> tuple[str, ...]:
    """The ids of `--patient` and `--patients`. An empty one is refused: it would mean everybody, or nobody.

    Raises UsageError FE0103 (an empty id), FE0105 (a file without ids), FE0214 (a file that cannot be read).
    """
    ids = tuple(text.strip().removeprefix("Patient/") for text in given)
    if "" in ids:
        raise UsageError("a patient's id is empty", code="FE0103", where="--patient", fix="give the id of the Patient resource")
    return (*ids, *_ids_of(file)) if file is not None else ids


def _ids_of(file: Path) -> tuple[str, ...]:
    where = f"--patients {file}"
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UsageError("the file of patient ids cannot be read", code="FE0214", where=where, fix="check the path") from None
    ids = tuple(line.strip().removeprefix("Patient/") for line in lines if line.strip() and not line.startswith("#"))
    if not ids:
        raise UsageError("the file names no patient", code="FE0105", where=where, fix="write one id a line")
    return ids
