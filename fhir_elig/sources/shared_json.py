"""Documents whose usual resources are read one by one, at a fraction of the cost; the rest is read as any document is.

Nothing is taken on trust: of a Bundle the resources that `usual_json` has proved to be sound are cut out, and so are the
elements of others that it knows; the rest is used only if its length shows that no member was lost in the cutting. Whatever is
unusual is left to `clean_json`, or to `strict_json` behind it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from fhir_elig.sources import clean_json, usual_json
from fhir_elig.sources.usual_json import Elements, Slim

# Elements that are alike in many resources, of one patient and of the next, and that name nobody.
_SHARED = ("code", "category", "interpretation", "referenceRange", "medicationCodeableConcept")
_HOLE = Raw(b"0")

_Text = Raw | UnsetType


class _Entry(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """An entry of a Bundle. What it holds is text as it was sent; a name that FHIR does not have is an error."""

    link: _Text = UNSET
    fullUrl: str | UnsetType = UNSET
    resource: Raw
    search: _Text = UNSET
    request: _Text = UNSET
    response: _Text = UNSET


class _Bundle(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    resourceType: Literal["Bundle"]
    id: _Text = UNSET
    meta: _Text = UNSET
    implicitRules: _Text = UNSET
    language: _Text = UNSET
    identifier: _Text = UNSET
    type: _Text = UNSET
    timestamp: _Text = UNSET
    total: _Text = UNSET
    link: _Text = UNSET
    entry: list[_Entry]


# None of them keeps anything of what it reads, so threads may share them.
_decode = msgspec.json.Decoder(_Bundle).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def read(data: bytes, slim: Slim | None = None) -> Any:
    """The document, as `clean_json.read` gives it; equal parts of its resources (with `slim` of those of other
    documents too) may be one object, which must not be changed.
    `slim`: see `usual_json.read`. Raises Doubt."""
    if b'"Bundle"' not in data[:256]:
        found = usual_json.read(data, slim.elements, slim) if slim is not None else None
        return found or clean_json.read(data)  # one resource alone has hardly two elements that are alike
    try:
        bundle = _decode(data)
        if len(_encode(bundle)) != len(data.strip()):  # white space, or a member that was dropped
            return clean_json.read(data)
        elements: Elements = {} if slim is None else slim.elements
        usual = [_usual(entry, elements, slim) for entry in bundle.entry]
        bundle.entry = [entry for entry, known in zip(bundle.entry, usual, strict=True) if known is None]
        lost = [_cut(entry, elements) for entry in bundle.entry]
        document = clean_json.read(_encode(bundle))
    except clean_json.TROUBLE:
        return clean_json.read(data)
    others = iter(document["entry"])
    for entry, cut in zip(document["entry"], lost, strict=True):
        entry["resource"].update(cut)
    document["entry"] = [next(others) if known is None else known for known in usual]
    return document


def _usual(entry: _Entry, elements: Elements, slim: Slim | None) -> dict[str, Any] | None:
    """The entry, if its resource is usual and it holds no more than an address and what a search says of it."""
    if entry.link is not UNSET or entry.request is not UNSET or entry.response is not UNSET:
        return None
    resource = usual_json.read(bytes(entry.resource), elements, slim)
    if resource is None:
        return None
    found: dict[str, Any] = {"resource": resource} if entry.fullUrl is UNSET else {"fullUrl": entry.fullUrl, "resource": resource}
    if entry.search is not UNSET:
        found["search"] = usual_json.shared(bytes(entry.search), elements)
        if found["search"] is None:
            return None
    return found


def _cut(entry: _Entry, elements: Elements) -> dict[str, Any]:
    """Put a hole in the place of each shared element of the resource: what it has lost; nothing, if a member was dropped."""
    text = bytes(entry.resource)
    members = _members(text)
    lost: dict[str, Any] = {}
    if len(_encode(members)) != len(text):
        return lost
    for name in _SHARED:
        if name in members:
            value = usual_json.shared(bytes(members[name]), elements)
            if value is not None:
                members[name], lost[name] = _HOLE, value
    if lost:
        entry.resource = Raw(_encode(members))
    return lost
