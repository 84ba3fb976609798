"""The terminal and the files that the commands write to."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from fhir_elig.errors import FhirEligError


def color() -> bool:
    """Whether colour is wanted: on a terminal, unless NO_COLOR is set to something."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def width() -> int | None:
    """The columns of the terminal; None where stdout is none, so that nothing is wrapped for a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def write(pieces: Iterable[str], out: Path | None = None) -> None:
    """Write to stdout, or to a file that is whole or not there. Raises FhirEligError FE0701 with the file's name."""
    if out is None:
        sys.stdout.writelines(pieces)
        sys.stdout.flush()
        return
    try:
        _to_file(pieces, out)
    except OSError as error:
        why = error.strerror or "the file cannot be written"
        raise FhirEligError(why, code="FE0701", where=str(out), fix="check the path and the disk") from None


def make_folder(folder: Path) -> None:
    """Make a folder and those above it. Raises FhirEligError FE0701 with its name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or "the folder cannot be made"
        raise FhirEligError(why, code="FE0701", where=str(folder), fix="name another place with  --out") from None


def _to_file(pieces: Iterable[str], out: Path) -> None:
    """A file is replaced as a whole; a device, a pipe or a terminal is written to and stays what it is."""
    target = out.resolve()
    if target.exists() and not target.is_file():
        with target.open("w", encoding="utf-8") as stream:
            stream.writelines(pieces)
        return
    part = target.with_name(target.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as stream:
            stream.writelines(pieces)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
