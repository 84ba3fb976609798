"""The manifest of a finished bulk export, in the spellings of FHIR Bulk Data Access 1.0 to 4.0.0-ballot.

STU2, STU3   transactionTime request requiresAccessToken output[type url count] error[] deleted[] link[relation=next]
4.0.0-ballot transactionTime         requiresAccessToken output[type url count] outcome[] deleted[] link[relation=next]
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from fhir_elig.errors import FhirEligError, SourceError
from fhir_elig.references import is_type
from fhir_elig.sources import strict_json

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
MOST_FILES = 100_000


class File(msgspec.Struct, frozen=True):
    """One file of an export; `count` is the number of its resources, None where the server does not tell."""

    type: str
    url: str
    count: int | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a manifest. `needs_token`: only if the server says so. `following` is the address of the next page.

    `tells_deletions`: whether it has the key `deleted`, with files or without; it may be left out where there are deletions.
    """

    time: str
    needs_token: bool
    output: tuple[File, ...]
    errors: tuple[File, ...]
    deleted: tuple[File, ...]
    following: str = ""
    tells_deletions: bool = False


def read_status(body: bytes) -> Status:
    """The manifest in the body of the answer 200. Raises SourceError (FE0412) if it is none."""
    try:
        document = strict_json.parse(body).document
    except FhirEligError:
        raise _no_manifest("it is no JSON") from None
    if not isinstance(document, dict) or not isinstance(document.get("output"), list):
        raise _no_manifest("it lists no output")
    time = document.get("transactionTime")
    if not isinstance(time, str) or not _INSTANT.fullmatch(time):
        raise _no_manifest("its transactionTime is no instant")
    links = [link for link in _list(document, "link") if isinstance(link, dict) and link.get("relation") == "next"]
    following = links[0].get("url") if links else ""
    return Status(
        time=time,
        needs_token=document.get("requiresAccessToken") is True,
        output=_files(document, "output"),
        errors=(*_files(document, "error"), *_files(document, "outcome")),
        deleted=_files(document, "deleted"),
        following=following if isinstance(following, str) else "",
        tells_deletions=isinstance(document.get("deleted"), list),
    )


def _list(document: dict[str, Any], name: str) -> list[Any]:
    found = document.get(name)
    return found if isinstance(found, list) else []


def _files(document: dict[str, Any], name: str) -> tuple[File, ...]:
    """Raises SourceError for an entry that cannot be read: what it holds would be missing in silence."""
    entries = _list(document, name)
    if len(entries) > MOST_FILES:
        raise _no_manifest(f"it lists more than {MOST_FILES} files")
    found = []
    for entry in entries:
        url = entry.get("url") if isinstance(entry, dict) else None
        if not isinstance(url, str) or not url:
            raise _no_manifest(f"an entry of {name} has no url")
        kind, count = entry.get("type"), entry.get("count")
        if name == "output" and not is_type(kind):
            raise _no_manifest("an entry of output names no type")
        found.append(File(str(kind), url, count if type(count) is int and count >= 0 else None))
    return tuple(found)


def _no_manifest(why: str) -> SourceError:
    return SourceError(f"the manifest of the export cannot be used: {why}", code="FE0412", fix="ask the server's vendor")
