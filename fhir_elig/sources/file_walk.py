"""Which files of a folder are read, which are not, and why."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from fhir_elig.errors import DataError, Finding

DOCUMENTS = (".json", ".json.gz")
LINES = (".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")
# Files that may well hold a chart, in a form that is not read.
FOREIGN = (".xml", ".gz", ".zip", ".tar", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".parquet", ".ttl")


class FoundFile(msgspec.Struct, frozen=True):
    """A file to read; `name` is its path below the folder, fit for a message."""

    path: Path
    name: str


class Walk(msgspec.Struct, frozen=True):
    """What a folder holds: `files` to read; `closed`, folders that could not be opened; `foreign`, what may hold data and is
    not read; `ignored`, the number of other files (hidden ones and those of unrelated kinds)."""

    files: list[FoundFile] = []
    closed: list[Finding] = []
    foreign: list[Finding] = []
    ignored: list[str] = []


def walk(path: Path) -> Walk:
    """The files under a path, sorted by name; a path that is a file is read whatever its name.

    Links to folders are not followed: what they show inside is found where it lies. Raises DataError (FE0214) if there is
    nothing at the path.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise DataError(_reason(error), code="FE0214", where=_printable(path.name), fix="name a file or a folder") from None
    found = Walk()
    if stat.S_ISDIR(mode):
        root = os.path.realpath(path)
        seen: set[Path] = set()
        for entry, name in _entries(path, found):
            _sort_in(entry, name, root, seen, found)
    elif stat.S_ISREG(mode):
        found.files.append(FoundFile(path, _printable(path.name)))
    else:
        raise DataError("neither a file nor a folder", code="FE0214", where=_printable(path.name))
    return found


def _entries(root: Path, found: Walk) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Every visible entry that is no folder, in the order of the names."""
    stack: list[tuple[str, str]] = [(str(root), "")]
    while stack:
        folder, prefix = stack.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            found.closed.append(aside(prefix or ".", _reason(error)))
            continue
        for entry in entries:
            name = f"{prefix}{_printable(entry.name)}"
            if entry.name.startswith("."):
                found.ignored.append(name)
            elif not entry.is_dir(follow_symlinks=False):
                yield entry, name
        stack += [
            (entry.path, f"{prefix}{_printable(entry.name)}/")
            for entry in reversed(entries)
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
        ]


def _sort_in(entry: os.DirEntry[str], name: str, root: str, seen: set[Path], found: Walk) -> None:
    lower = entry.name.lower()
    real = Path(os.path.realpath(entry.path))
    if not real.is_relative_to(root):
        found.foreign.append(aside(name, "a link that leads out of the folder"))
    elif real.is_dir():
        found.ignored.append(name)
    elif not lower.endswith(DOCUMENTS + LINES):
        if lower.endswith(FOREIGN):
            found.foreign.append(aside(name, "a kind of file that is not read (JSON and NDJSON are, plain or gzip)"))
        else:
            found.ignored.append(name)
    elif real.exists() and not real.is_file():
        found.foreign.append(aside(name, "no plain file"))
    elif real not in seen:
        seen.add(real)
        found.files.append(FoundFile(Path(entry.path), name))


def aside(where: str, why: str) -> Finding:
    """A finding that says: this was set aside."""
    return Finding("FE0302", where, why, "")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _printable(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name)
