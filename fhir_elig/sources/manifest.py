"""The manifest of a bulk export, where it lies beside the files: which types it vouches for, and whether they came whole.

FHIR Bulk Data Access, "Complete Status" response: `transactionTime`, `request`, `output[]` of type, url and count, `error[]`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import msgspec

from fhir_elig.sources.contents import Contents, Loss

# Asked for with any other (`_since`, `_typeFilter`, `_elements`, one of a server's own) an export may be of a part.
_HARMLESS = frozenset({"_type", "_outputFormat", "patient"})
_KICK_OFF = re.compile(r"/(?:Patient/|Group/[^/]+/)?\$export$")


class Voucher(msgspec.Struct, frozen=True):
    """What a manifest says: these `types` are complete for the patients of its `folder`, save for the `losses`."""

    folder: str
    types: frozenset[str]
    losses: tuple[Loss, ...]
    base: str | None


class Counted(Protocol):
    """A file by its name, and how many resources of each type stand in it."""

    @property
    def name(self) -> str: ...
    @property
    def counts(self) -> Counter[str]: ...


def read_manifest(contents: Contents, files: Sequence[Counted]) -> Voucher:
    """Hold the manifest of `contents` against the files of its folder."""
    manifest = contents.manifest or {}
    folder = contents.name.rpartition("/")[0]
    beside = [file for file in files if not folder or file.name.startswith(folder + "/")]
    outputs = [output for output in manifest["output"] if isinstance(output, dict) and isinstance(output.get("type"), str)]
    losses: list[Loss] = []
    if manifest.get("error") or manifest.get("outcome"):
        losses.append(Loss(where=contents.name, why="the export's manifest reports errors"))
    types = frozenset(output["type"] for output in outputs)
    for kind in sorted(types):
        why = _shortfall(kind, [output for output in outputs if output["type"] == kind], beside)
        if why:
            losses.append(Loss(where=contents.name, why=why, types=frozenset({kind})))
    request = manifest.get("request")
    request = request if isinstance(request, str) else ""
    narrowed = _is_narrowed(request) or manifest.get("deleted") or manifest.get("link")
    return Voucher(folder, frozenset() if narrowed else types, tuple(losses), _base(request))


def _shortfall(kind: str, outputs: list[dict[str, Any]], beside: list[Counted]) -> str:
    counts = [output.get("count") for output in outputs]
    if all(type(count) is int for count in counts):
        stated = sum(count for count in counts if count)
        found = sum((file.counts for file in beside), Counter())[kind]
        return "" if stated == found else f"the manifest states {stated} resources, {found} were found"
    names = {file.name.rpartition("/")[2].removesuffix(".gz") for file in beside}
    wanted = {urlsplit(str(output.get("url"))).path.rpartition("/")[2].removesuffix(".gz") for output in outputs}
    return "" if wanted <= names else "a file of the manifest is not there"


def _is_narrowed(request: str) -> bool:
    return not parse_qs(urlsplit(request).query, keep_blank_values=True).keys() <= _HARMLESS


def _base(request: str) -> str | None:
    """The server's base, to which absolute references lead."""
    address = request.partition("?")[0]
    return _KICK_OFF.sub("", address) if _KICK_OFF.search(address) else None
