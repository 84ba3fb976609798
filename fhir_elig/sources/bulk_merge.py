"""An earlier export brought up to date by what changed since: the newest form of each resource, deletions left out.

The folder of the increment becomes a whole export: its manifest vouches for the types of the earlier one, with the number of
resources that are there now. What either of the two did not deliver stays reported.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from fhir_elig.errors import DataError
from fhir_elig.references import parse_reference
from fhir_elig.sources.bulk import MANIFEST, write_owned
from fhir_elig.sources.strict_json import parse

Key = tuple[str, str]  # type and id


class _Named(msgspec.Struct):
    resourceType: str
    id: str


class _Meta(msgspec.Struct):
    lastUpdated: str


class _Dated(msgspec.Struct):
    meta: _Meta


_name_of = msgspec.json.Decoder(_Named).decode
_date_of = msgspec.json.Decoder(_Dated).decode


def read_export(folder: Path) -> dict[str, Any]:
    """The manifest of an export that `bulk` made. Raises DataError (FE0301)."""
    try:
        document = json.loads((folder / MANIFEST).read_bytes())
        datetime.fromisoformat(document["transactionTime"])
        return dict(document)
    except (OSError, ValueError, KeyError, TypeError):
        fix = "name a run that was made with --bulk, or export in full"
        raise DataError("there is no finished export in that run", where=str(folder), fix=fix) from None


def not_later(instant: str, other: str) -> bool:
    """Whether an instant is not after another. Raises ValueError if one is no instant with a zone."""
    first, second = datetime.fromisoformat(instant), datetime.fromisoformat(other)
    if first.tzinfo is None or second.tzinfo is None:
        raise ValueError("an instant has a zone")
    return first <= second


def merge(earlier: Path, folder: Path) -> frozenset[Key]:
    """Complete the increment in `folder` from the export in `earlier`; gives what changed. Raises DataError and OSError."""
    before, now = read_export(earlier), read_export(folder)
    counts: dict[str, int] = {}
    fresh: set[Key] = set()
    for kind, path in _files(folder):
        for line in _lines(path):
            counts[kind] = counts.get(kind, 0) + 1
            if (key := _key(line)) is not None:
                fresh.add(key)
    gone = _deleted(now, folder) - fresh  # what was made again after it was deleted is there
    _check_counts(now, counts)
    _check_since(now, folder)
    dropped, old = fresh | gone, dict[str, int]()
    for number, (kind, path) in enumerate(_files(earlier), 1):
        lines = list(_lines(path))
        kept = [line for line in lines if (key := _key(line)) is None or key not in dropped]
        old[kind] = old.get(kind, 0) + len(lines)
        counts[kind] = counts.get(kind, 0) + len(kept)
        write_owned(folder / f"{kind}.before.{number}.ndjson", b"".join(line + b"\n" for line in kept))
    _check_counts(before, old)
    types = sorted({str(one["type"]) for one in before["output"]})
    merged = {
        **now,
        "request": before["request"],
        "output": [{"type": kind, "url": f"{kind}.ndjson", "count": counts.get(kind, 0)} for kind in types],
        "error": [*before["error"], *now["error"]],
        "deleted": [],
    }
    write_owned(folder / MANIFEST, json.dumps(merged, indent=1).encode() + b"\n")
    return frozenset(fresh | gone)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file of resources that lies there, with the type by which it was exported."""
    for path in sorted(folder.glob("*.ndjson")):
        yield path.name.partition(".")[0], path


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        for line in stream:
            if text := line.strip():
                yield text


def _key(line: bytes) -> Key | None:
    """None for a line that cannot be read: it is kept, and whoever reads the folder tells of it."""
    try:
        named = _name_of(line)
    except msgspec.MsgspecError:
        return None
    return named.resourceType, named.id


def _deleted(manifest: dict[str, Any], folder: Path) -> set[Key]:
    """What the Bundles of deletions name. Raises DataError: a deletion that is not seen would leave what is not true any more."""
    found: set[Key] = set()
    for name in (one["url"] for one in manifest["deleted"]):
        for line in _lines(folder / name):
            for entry in _entries(line, name):
                request = entry.get("request")
                method, url = (request.get("method"), request.get("url")) if isinstance(request, dict) else (None, None)
                target = parse_reference(url) if isinstance(url, str) else None
                if method != "DELETE" or target is None:
                    raise _unreadable(name)
                found.add((target[0], target[1]))
    return found


def _entries(line: bytes, name: str) -> Iterable[dict[str, Any]]:
    try:
        bundle = parse(line).document
    except DataError:
        raise _unreadable(name) from None
    entries = bundle.get("entry", []) if isinstance(bundle, dict) and bundle.get("resourceType") == "Bundle" else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _unreadable(name)
    return entries


def _unreadable(name: str) -> DataError:
    return DataError("a deletion cannot be read", where=name, fix="export in full: leave out --after")


def _check_since(manifest: dict[str, Any], folder: Path) -> None:
    """Raises DataError if the server did not heed `_since`: then it tells no deletions, and what came is no increment."""
    since = parse_qs(urlsplit(manifest["request"]).query).get("_since", [""])[0]
    if not since:
        return
    lines = (line for kind, path in _files(folder) if kind != "Patient" for line in _lines(path))
    before = [age for line in lines for age in _is_before(line, since)]
    if sum(before) * 2 > len(before):
        told = f"{sum(before)} of {len(before)} resources were last changed before {since}"
        raise DataError(
            f"{told}: the server does not heed _since",
            where=manifest["request"].partition("?")[0],
            fix="export in full: leave out --after",
        )


def _is_before(line: bytes, since: str) -> Iterator[bool]:
    """Nothing, where it is not told when a resource was last changed."""
    try:
        yield not not_later(since, _date_of(line).meta.lastUpdated)
    except ValueError:  # msgspec's own errors among them
        return


def _check_counts(manifest: dict[str, Any], counts: dict[str, int]) -> None:
    """What an export did not deliver cannot be seen later, in a whole whose counts are our own. Raises DataError."""
    for kind in {str(one["type"]) for one in manifest["output"]}:
        stated = [one.get("count") for one in manifest["output"] if one["type"] == kind]
        if all(type(count) is int for count in stated) and sum(stated) != counts.get(kind, 0):
            raise DataError(
                f"the manifest states {sum(stated)} resources of {kind}, {counts.get(kind, 0)} came",
                where=manifest["request"].partition("?")[0],
                fix="run again; if it stays so, export in full: leave out --after",
            )
