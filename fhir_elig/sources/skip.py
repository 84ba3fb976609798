"""Observations that no criterion can ask for: of them only the head is kept, so that they cost next to nothing later on.

Most results of a chart are of tests that the mappings do not know. A criterion learns from them one thing: that the patient was
seen then. What tells that (whose it is, when, its status, its labels, its codes) is kept, in plain FHIR JSON, and the adapters
make of it what they make of the whole. Nothing is skipped on suspicion: the resource was read and proved to be sound
(`usual_json`), each of its codes is known not to matter, and it holds no element that the adapters would look at. Other types
are never skipped, since a record without a known code is a gap there.

    skip = Skip(known_codes(concepts))
    source = read_files(path, slim=skip)    # or Contents(name, base, skip), or strict_json.parse(line, slim=skip)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from fhir_elig.concepts import code_key
from fhir_elig.sources import clean_json
from fhir_elig.sources.usual_json import Elements, Meta, Period, Reference, is_clean, is_number

Matters = Callable[[tuple[str, ...]], bool]
_Label = dict[str, Any]

_REMEMBERED = 4096  # proofs that are kept
_ALIKE = 12  # sound elements that are kept of each kind and test
_HINT = 96  # bytes of a code that tell, as a rule, which it is
_CODE = b'"code":{'


class _Shape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """An element of which all names are known; any other makes the Observation one that is read whole."""


class _Identifier(_Shape, frozen=True, kw_only=True):
    use: str | UnsetType = UNSET
    system: str | UnsetType = UNSET
    value: str | UnsetType = UNSET


class _Reference(_Shape, frozen=True, kw_only=True):
    reference: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    display: str | UnsetType = UNSET


class _Quantity(_Shape, frozen=True, kw_only=True):
    value: Any = UNSET
    comparator: str | UnsetType = UNSET
    unit: str | UnsetType = UNSET
    system: str | UnsetType = UNSET
    code: str | UnsetType = UNSET


class _Note(_Shape, frozen=True, kw_only=True):
    text: str | UnsetType = UNSET
    time: str | UnsetType = UNSET


class _Part(_Shape, frozen=True, kw_only=True):
    """A component, or what an Observation has as well. None of it but the code is kept."""

    code: Raw
    valueQuantity: _Quantity | UnsetType = UNSET
    valueCodeableConcept: Raw | UnsetType = UNSET
    valueString: str | UnsetType = UNSET
    interpretation: Raw | UnsetType = UNSET
    referenceRange: Raw | UnsetType = UNSET


class _Observation(_Part, frozen=True, kw_only=True):
    """An Observation of which the adapters would read no more than a contact, if its codes do not matter."""

    resourceType: str
    id: str
    subject: Reference
    meta: Meta | UnsetType = UNSET
    status: str | UnsetType = UNSET
    effectiveDateTime: str | UnsetType = UNSET
    effectivePeriod: Period | UnsetType = UNSET
    issued: str | UnsetType = UNSET
    component: list[_Part] | UnsetType = UNSET
    # Nobody reads what follows.
    language: str | UnsetType = UNSET
    identifier: list[_Identifier] | UnsetType = UNSET
    basedOn: list[_Reference] | UnsetType = UNSET
    category: Raw | UnsetType = UNSET
    encounter: _Reference | UnsetType = UNSET
    performer: list[_Reference] | UnsetType = UNSET
    note: list[_Note] | UnsetType = UNSET
    specimen: _Reference | UnsetType = UNSET
    device: _Reference | UnsetType = UNSET
    hasMember: list[_Reference] | UnsetType = UNSET
    derivedFrom: list[_Reference] | UnsetType = UNSET


class _Coding(msgspec.Struct, frozen=True, gc=False):
    system: str = ""
    code: str = ""


class _Concept(msgspec.Struct, frozen=True, gc=False):
    coding: list[_Coding] = []
    text: str = ""


_decode = msgspec.json.Decoder(_Observation, float_hook=clean_json.decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode_concept = msgspec.json.Decoder(_Concept).decode
_decode_concepts = msgspec.json.Decoder(list[_Concept]).decode


class Skip:
    """Says what to keep of an Observation: its head if it cannot matter, None (all of it) if there is any doubt.

    `matters` says of a result's code keys whether any criterion could ask for one of them; it must be sure of what it denies,
    and must be what the adapters are given (`Settings.matters`). May be shared by threads, and made anew in each process. Charts
    that are read with one `Skip` share their `elements`: for the adapters, who change nothing in them.
    """

    def __init__(self, matters: Matters, key: Callable[[str, str], str] = code_key) -> None:
        self._matters = matters
        self._key = key
        self.elements: Elements = {}
        self._labels = lru_cache(maxsize=_REMEMBERED)(self._read_label)
        self._tests: dict[bytes, _Test] = {}  # by the beginning of their codes

    def __call__(self, text: bytes, /) -> dict[str, Any] | None:
        """The head of the Observation that these bytes are."""
        start = text.find(_CODE) + len(_CODE) - 1
        hint = text[start : start + _HINT]
        test = self._tests.get(hint)
        if test is not None and test.label is None and text.startswith(test.text, start):
            return None
        try:
            seen = _decode(text)
            if test is None or seen.code != test.code:
                test = self._remember(hint, seen.code)
            if test.label is None or len(_encode(seen)) != len(text) or not test.is_sound(seen):
                return None
        except clean_json.TROUBLE:
            return None
        return self._head(seen, test.label)

    def _remember(self, hint: bytes, code: Raw) -> _Test:
        if len(self._tests) >= _REMEMBERED:
            self._tests.clear()
        text = bytes(code)
        test = self._tests[hint] = _Test(text, Raw(text), self._labels(text))
        return test

    def _head(self, seen: _Observation, code: _Label) -> dict[str, Any] | None:
        kept: dict[str, Any] = {"resourceType": seen.resourceType, "id": seen.id, "code": code, "subject": seen.subject}
        for name in ("meta", "status", "effectiveDateTime", "effectivePeriod", "issued"):
            value = getattr(seen, name)
            if value is not UNSET:
                kept[name] = value
        if seen.component is not UNSET:
            labels = [self._labels(bytes(part.code)) for part in seen.component if _is_sound(part)]
            if len(labels) < len(seen.component) or None in labels:
                return None
            kept["component"] = [{"code": label} for label in labels]
        return kept

    def _read_label(self, text: bytes) -> _Label | None:
        """The codings of a concept, without their names; None if it may matter, or is not plain."""
        concept = _decoded(_decode_concept, text)
        codings = [(one.system, one.code) for one in concept.coding] if concept is not None else []
        if not all(system and code for system, code in codings):
            return None
        codes = tuple(dict.fromkeys(self._key(system, code) for system, code in codings))
        if not codes or self._matters(codes):
            return None
        return {"coding": [{"system": system, "code": code} for system, code in codings]}


class _Test(msgspec.Struct):
    """A test of which a result was seen before: its code, its label if it does not matter, and what was sound beside them.

    To compare such an element with one that is at hand takes less time than to look it up.
    """

    text: bytes
    code: Raw
    label: _Label | None
    clean: list[Raw] = []
    flags: list[Raw] = []

    def is_sound(self, seen: _Observation) -> bool:
        """Whether what is not kept of it has no defect, and the adapters would not stumble over it."""
        return (
            _is_known(seen.category, self.clean, is_clean)
            and _is_known(seen.interpretation, self.flags, _is_flag)
            and _is_known(seen.referenceRange, self.clean, is_clean)
            and _is_value(seen)
        )


def _is_known(value: Raw | UnsetType, known: list[Raw], check: Callable[[bytes], bool]) -> bool:
    if value is UNSET or value in known:
        return True
    text = bytes(value)
    if not check(text):
        return False
    if len(known) < _ALIKE:
        known.append(Raw(text))
    return True


def _is_sound(part: _Part) -> bool:
    """The same of a component."""
    return _is_known(part.interpretation, [], _is_flag) and _is_known(part.referenceRange, [], is_clean) and _is_value(part)


def _is_value(part: _Part) -> bool:
    amount, answer = part.valueQuantity, part.valueCodeableConcept
    if amount is not UNSET and amount.value is not UNSET and not is_number(amount.value):
        return False
    return answer is UNSET or _is_answer(bytes(answer))


@lru_cache(maxsize=_REMEMBERED)
def _is_flag(text: bytes) -> bool:
    return _decoded(_decode_concepts, text) is not None


@lru_cache(maxsize=_REMEMBERED)
def _is_answer(text: bytes) -> bool:
    return b'"extension"' not in text and _decoded(_decode_concept, text) is not None


def _decoded(read: Callable[[bytes], Any], text: bytes) -> Any:
    """The element, if it is clean and of that shape; else None."""
    try:
        return read(text) if is_clean(text) else None
    except msgspec.MsgspecError:
        return None
