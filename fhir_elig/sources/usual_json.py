"""The resources that make up most of a chart, in the form in which servers write them, read at a fraction of the cost.

A laboratory's codes, flags and ranges make up half of a result's bytes, and hardly vary: such an element is proved to be sound
once, and is decoded once for all resources of a document that hold the same bytes (of a run, where a `Slim` keeps elements). Of
the rest only elements of a known, shallow shape are taken. A resource is used only if it accounts for its whole text: written
again it is exactly as long, so no member was dropped, none stood twice, and there was no white space, no escape and no element
that is not named here. Anything else is left to `clean_json`, or to `strict_json` behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Protocol, TypedDict, get_type_hints

import msgspec
from msgspec import Raw

from fhir_elig.sources import clean_json
from fhir_elig.sources.clean_json import TROUBLE, Doubt

_MAX_LENGTH = 2048  # bytes of a shared element
_MAX_BRACKETS = 40  # of such an element: with those around it never more than the levels that a document may have
_REMEMBERED = 4096  # elements, and proofs, that are kept: as a rule some 300 bytes each
_LARGEST = 10**clean_json.MAX_DIGITS
_HEAD = b'{"resourceType":"'
_START = len(_HEAD)
OBSERVATION = _HEAD + b'Observation"'

Elements = dict[bytes, Any]  # what was decoded of shared elements, by their bytes


class Slim(Protocol):
    """Says what to keep of an Observation (None: all of it), and keeps the elements that many documents share."""

    @property
    def elements(self) -> Elements: ...

    def __call__(self, text: bytes, /) -> dict[str, Any] | None: ...


# The elements of own bytes. None of them can be deep: what their types do not name is dropped, and so found out.


class Meta(TypedDict, total=False):
    versionId: str
    lastUpdated: str
    source: str
    profile: list[str]


class Reference(TypedDict, total=False):
    reference: str
    type: str
    display: str


class _Identifier(TypedDict, total=False):
    use: str
    system: str
    value: str


class _Quantity(TypedDict, total=False):
    value: Any  # a number, see `_is_number`
    comparator: str
    unit: str
    system: str
    code: str


class Period(TypedDict, total=False):
    start: str
    end: str


class _Note(TypedDict, total=False):
    text: str
    time: str


_Count = Annotated[int, msgspec.Meta(ge=0, le=10**9)]


class _Amount(TypedDict, total=False):
    value: _Count
    unit: str
    system: str
    code: str


class _Supply(TypedDict, total=False):
    validityPeriod: Period
    numberOfRepeatsAllowed: _Count
    quantity: _Amount
    expectedSupplyDuration: _Amount


class _Resource(TypedDict, total=False):
    resourceType: str
    id: str
    meta: Meta
    language: str
    identifier: list[_Identifier]
    status: str
    category: Raw
    code: Raw
    subject: Reference
    encounter: Reference
    note: list[_Note]


class _Component(TypedDict, total=False):
    code: Raw
    valueQuantity: _Quantity
    valueCodeableConcept: Raw
    valueString: str
    dataAbsentReason: Raw
    interpretation: Raw
    referenceRange: Raw


class _Observation(_Resource, total=False):
    basedOn: list[Reference]
    effectiveDateTime: str
    effectivePeriod: Period
    issued: str
    performer: list[Reference]
    valueQuantity: _Quantity
    valueCodeableConcept: Raw
    valueString: str
    interpretation: Raw
    method: Raw
    dataAbsentReason: Raw
    specimen: Reference
    device: Reference
    referenceRange: Raw
    hasMember: list[Reference]
    derivedFrom: list[Reference]
    component: list[_Component]


class _Condition(_Resource, total=False):
    clinicalStatus: Raw
    verificationStatus: Raw
    severity: Raw
    bodySite: Raw
    onsetDateTime: str
    abatementDateTime: str
    recordedDate: str
    recorder: Reference
    asserter: Reference


class _MedicationRequest(_Resource, total=False):
    intent: str
    priority: str
    medicationCodeableConcept: Raw
    medicationReference: Reference
    authoredOn: str
    requester: Reference
    recorder: Reference
    reasonCode: Raw
    reasonReference: list[Reference]
    dosageInstruction: Raw
    dispenseRequest: _Supply


# `class` is a word of Python.
_Class = TypedDict("_Class", {"class": Raw}, total=False)


class _Encounter(_Resource, _Class, total=False):
    type: Raw
    serviceType: Raw
    period: Period
    reasonCode: Raw
    serviceProvider: Reference


class _Procedure(_Resource, total=False):
    performedDateTime: str
    performedPeriod: Period
    recorder: Reference
    asserter: Reference
    reasonCode: Raw
    reasonReference: list[Reference]
    bodySite: Raw
    outcome: Raw


class _Kind(msgspec.Struct, frozen=True):
    """How a resource type is read, and which of its elements are shared."""

    decode: Callable[[bytes | Raw], dict[str, Any]]
    shared: tuple[str, ...]


def _kind(shape: Any) -> _Kind:
    shared = tuple(name for name, kind in get_type_hints(shape).items() if kind is Raw)
    return _Kind(msgspec.json.Decoder(shape, float_hook=clean_json.decimal).decode, shared)


_KINDS = {
    b"Observation": _kind(_Observation),
    b"Condition": _kind(_Condition),
    b"MedicationRequest": _kind(_MedicationRequest),
    b"Encounter": _kind(_Encounter),
    b"Procedure": _kind(_Procedure),
}
_PART = _kind(_Component).shared
_encode = msgspec.json.Encoder(decimal_format="number").encode


def read(text: bytes, elements: Elements, slim: Slim | None = None) -> dict[str, Any] | None:
    """The resource, as `strict_json.parse` gives it; None if it is not usual, sound or not.

    What stands in `elements` is part of several resources, so it must not be changed. `slim` is asked of each Observation what
    to keep of it.
    """
    if not text.startswith(_HEAD):
        return None
    kind = _KINDS.get(text[_START : text.find(b'"', _START)])
    if kind is None:
        return None
    if slim is not None and text.startswith(OBSERVATION):
        kept = slim(text)
        if kept is not None:
            return kept
    try:
        resource = kind.decode(text)
        if len(_encode(resource)) != len(text):
            return None
    except TROUBLE:
        return None
    return resource if _is_filled(resource, kind.shared, elements) else None


def _is_filled(resource: dict[str, Any], names: tuple[str, ...], elements: Elements) -> bool:
    """Put the shared elements in their places; False if one of them, or a number, is not surely sound."""
    for name in names:
        if name in resource:
            value = resource[name] = shared(bytes(resource[name]), elements)
            if value is None:
                return False
    if "valueQuantity" in resource and not is_number(resource["valueQuantity"].get("value")):
        return False
    return "component" not in resource or all(_is_filled(part, _PART, elements) for part in resource["component"])


def is_number(value: Any) -> bool:
    """Whether a quantity's value is a number within bounds, or not there."""
    return value is None or type(value) is Decimal or (type(value) is int and -_LARGEST < value < _LARGEST)


def shared(text: bytes, elements: Elements) -> Any:
    """The element that these bytes are, one object as long as it is remembered; None if it is not clean, or null."""
    value = elements.get(text)
    if value is None and is_clean(text):
        if len(elements) >= _REMEMBERED:
            elements.clear()
        value = elements[text] = clean_json.decode(text)
    return value


@lru_cache(maxsize=_REMEMBERED)
def is_clean(text: bytes) -> bool:
    """Whether an element has no defect, is not long nor deep, and refers to nothing, so that no one rewrites it."""
    brackets = text.count(b"{") + text.count(b"[")
    if len(text) > _MAX_LENGTH or brackets > _MAX_BRACKETS or b'"reference"' in text or b"\\" in text:
        return False
    try:
        clean_json.read(text)
    except Doubt:
        return False
    return True
