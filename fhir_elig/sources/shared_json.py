"""Documents whose usual resources are read one by one, at a fraction of the cost; the rest is read as any document is.

Nothing is taken on trust: of a Bundle the resources that `usual_json` has proved to be sound are cut out, and so are the
elements of others that it knows; the rest is used only if its length shows that no member was lost in the cutting. Whatever is
unusual is left to `clean_json`, or to `strict_json` behind it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from fhir_elig.sources import clean_json, usual_json
from fhir_elig.sources.usual_json import Slim

# Elements that are alike in many resources, of one patient and of the next, and that name nobody.
_SHARED = ("code", "category", "interpretation", "referenceRange", "medicationCodeableConcept")
_HOLE = msgspec.Raw(b"0")

_Text = msgspec.Raw | msgspec.UnsetType


class _Entry(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """An entry of a Bundle. What it holds is text; a name that FHIR does not have is an error."""

    link: _Text = msgspec.UNSET
    fullUrl: _Text = msgspec.UNSET
    resource: msgspec.Raw
    search: _Text = msgspec.UNSET
    request: _Text = msgspec.UNSET
    response: _Text = msgspec.UNSET


class _Bundle(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    resourceType: Literal["Bundle"]
    id: _Text = msgspec.UNSET
    meta: _Text = msgspec.UNSET
    implicitRules: _Text = msgspec.UNSET
    language: _Text = msgspec.UNSET
    identifier: _Text = msgspec.UNSET
    type: _Text = msgspec.UNSET
    timestamp: _Text = msgspec.UNSET
    total: _Text = msgspec.UNSET
    link: _Text = msgspec.UNSET
    entry: list[_Entry]


# None of them keeps anything of what it reads, so threads may share them.
_decode = msgspec.json.Decoder(_Bundle).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def read(data: bytes, slim: Slim | None = None) -> Any:
    """The document, as `clean_json.read` gives it; equal parts of its resources may be one object, which
    must not be changed. `slim`: see `usual_json.read`. Raises Doubt."""
    if b'"Bundle"' not in data[:256]:
        return usual_json.read(data, {}, slim) or clean_json.read(data)
    try:
        bundle = _decode(data)
        values: dict[Any, Any] = {}
        cuts = [_cut(entry, values, slim) for entry in bundle.entry]
        rest = _encode(bundle)
    except clean_json.TROUBLE:
        return clean_json.read(data)
    if len(rest) + sum(length for length, _, _ in cuts) != len(data.strip()):  # white space, or a member that was dropped
        return clean_json.read(data)
    document = clean_json.read(rest)
    for entry, (_, resource, elements) in zip(document["entry"], cuts, strict=True):
        if resource is None:
            entry["resource"].update(elements)
        else:
            entry["resource"] = resource
    return document


def _cut(entry: _Entry, values: dict[Any, Any], slim: Slim | None) -> tuple[int, dict[str, Any] | None, dict[str, Any]]:
    """Put a hole in the place of the resource, or of each shared element of one that is not usual: by how much that shortened the
    text, the resource, or the elements."""
    text = bytes(entry.resource)
    resource = usual_json.read(text, values, slim)
    if resource is not None:
        entry.resource = _HOLE
        return len(text) - 1, resource, {}
    members = _members(text)
    elements: dict[str, Any] = {}
    cut = 0
    for name in _SHARED:
        if name in members:
            piece = bytes(members[name])
            value = usual_json.shared(piece, values)
            if value is not None:
                members[name], elements[name] = _HOLE, value
                cut += len(piece) - 1
    if elements:
        entry.resource = msgspec.Raw(_encode(members))
    return cut, None, elements
