"""Which files lie below a path, and how each is read: as a whole by one worker, line by line, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

import msgspec

from fhir_elig.cohort.spark.deal import name_below
from fhir_elig.errors import DataError, Finding
from fhir_elig.sources.file_reading import MAX_DOCUMENT
from fhir_elig.sources.file_walk import DOCUMENTS, FOREIGN, LINES, aside

WHOLE_FILE = 64 << 20  # bytes of an NDJSON file that one worker reads as a whole
# Without these a session may be set to pass over what it cannot read, and nobody would know what the charts lack.
STRICT = {"ignoreCorruptFiles": "false", "ignoreMissingFiles": "false"}
# What sessions say of a path where nothing is.
_NOTHING = ("PATH_NOT_FOUND", "not found")


class Found(msgspec.Struct, frozen=True):
    """The files of a path: read whole, or line by line (address and name); of 0 bytes; too large to be read; in a form that is
    not read. `twice` says that the session gives some file more than once."""

    whole: int
    lines: tuple[tuple[str, str], ...]
    empty: tuple[str, ...]
    too_large: tuple[str, ...]
    foreign: tuple[Finding, ...]
    files: int
    bytes: int
    twice: bool = False


def look(session: Any, path: str) -> Found:
    """The files below a path. Raises DataError: FE0214 if there is nothing, FE0301 if nothing of it can be FHIR."""
    found = listed(session, path)
    if found is None:
        raise DataError("there is no such file or folder", code="FE0214", where=path, fix="name a path that Spark reads")
    return sort_in(*found, path)


def listed(session: Any, path: str) -> tuple[list[tuple[str, int]], list[str]] | None:
    """Address and size in bytes of every file that has a byte, and the addresses of all; None where there is nothing."""
    try:
        frame = binary(session, path)
        rows = frame.select("path", "length").collect()
        return [(row["path"], row["length"]) for row in rows], list(frame.inputFiles())
    except Exception as error:  # each kind of session has an error of its own for it
        if not any(sign.lower() in str(error).lower() for sign in _NOTHING):
            raise
    return None


def binary(session: Any, path: str) -> Any:
    """A data frame of all files below a path: path, length, content."""
    return session.read.format("binaryFile").options(recursiveFileLookup="true", **STRICT).load(path)


def sort_in(listing: Iterable[tuple[str, int]], addresses: Iterable[str], root: str) -> Found:
    """Files by address and size in bytes, and the addresses of all. Raises DataError (FE0301) if nothing of it can be FHIR."""
    listing = list(listing)
    sizes = dict(listing)
    names = {name_below(root, address): address for address in sizes}
    empty = _empty(addresses, names, root)
    lines, large, foreign, nothing, whole = [], [], [], [], 0
    for name in sorted({*names, *empty}):
        address = names.get(name, "")
        length, lower = sizes.get(address, 0), name.lower()
        if not lower.endswith(DOCUMENTS + LINES):
            foreign += (
                [aside(name, "a kind of file that is not read (JSON and NDJSON are, plain or gzip)")]
                if lower.endswith(FOREIGN)
                else []
            )
        elif not length:
            nothing.append(name)
        elif length <= (WHOLE_FILE if lower.endswith(LINES) else MAX_DOCUMENT):
            whole += 1
        elif lower.endswith(LINES):
            lines.append((address, name))
        else:
            large.append(name)
    count = whole + len(lines) + len(large) + len(nothing)
    if not count:
        raise DataError("there is no FHIR file (*.json, *.ndjson)", where=root, fix="give FHIR JSON: a Bundle, or NDJSON")
    size = sum(size for address, size in sizes.items() if address.lower().endswith(DOCUMENTS + LINES))
    twice = len(listing) > len(sizes)
    return Found(whole, tuple(lines), tuple(nothing), tuple(large), tuple(foreign), count, size, twice)


def _empty(addresses: Iterable[str], names: dict[str, str], root: str) -> Iterator[str]:
    """Names of files of 0 bytes, which Spark gives to nobody who reads. Most sessions write these addresses percent-encoded."""
    for address in addresses:
        name = name_below(root, unquote(address))
        if name not in names and name_below(root, address) not in names:
            yield name


def walk_order(name: str) -> list[tuple[bool, str]]:
    """Sorts names as a walk of this machine's folders meets them: the files of a folder, then the folders in it."""
    *folders, file = name.split("/")
    return [*((True, folder) for folder in folders), (False, file)]
