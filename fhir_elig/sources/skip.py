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
from typing import Any, cast

import msgspec

from fhir_elig.concepts import code_key
from fhir_elig.sources.usual_json import is_clean, is_number

Matters = Callable[[tuple[str, ...]], bool]

# What is kept, and what nobody reads; an Observation that has anything else is read whole.
_KEPT = frozenset("resourceType id meta status code subject effectiveDateTime effectivePeriod issued".split())
_UNREAD = frozenset(
    "language identifier basedOn category encounter performer valueQuantity valueCodeableConcept valueString interpretation note "
    "specimen device referenceRange hasMember derivedFrom component".split()
)
_PLAIN = _UNREAD | _KEPT
_PLAIN_PART = frozenset(("code", "valueQuantity", "valueCodeableConcept", "valueString", "interpretation", "referenceRange"))
_NEEDED = frozenset(("id", "subject"))
_REMEMBERED = 4096  # proofs that are kept


class _Coding(msgspec.Struct, frozen=True, gc=False):
    system: str = ""
    code: str = ""


class _Concept(msgspec.Struct, frozen=True, gc=False):
    coding: list[_Coding] = []
    text: str = ""


_read_concept = msgspec.json.Decoder(_Concept).decode
_read_concepts = msgspec.json.Decoder(list[_Concept]).decode


class Skip:
    """Says what to keep of an Observation: its head if it cannot matter, None (all of it) if there is any doubt.

    `matters` says of a result's code keys whether any criterion could ask for one of them; it must be sure of what it denies,
    and must be what the adapters are given (`Settings.matters`). May be shared by threads, and made anew in each process.
    """

    def __init__(self, matters: Matters, key: Callable[[str, str], str] = code_key) -> None:
        self._matters = matters
        self._key = key
        self._codings = lru_cache(maxsize=_REMEMBERED)(self._read_codings)

    def __call__(self, resource: dict[str, Any], values: dict[Any, Any]) -> dict[str, Any] | None:
        """The head of an Observation whose shared elements are text, as `usual_json` hands it out; `values` as there."""
        code = self._code(resource, values)
        plan = _plan(tuple(resource)) if code is not None else None
        if plan is None or not _is_sound(resource, plan):
            return None
        kept = {name: resource[name] for name in plan.kept}
        kept["code"] = code
        if "component" in resource:
            parts = [self._part(part, values) for part in resource["component"]]
            if None in parts:
                return None
            kept["component"] = parts
        return kept

    def _part(self, part: dict[str, Any], values: dict[Any, Any]) -> dict[str, Any] | None:
        code = self._code(part, values)
        plan = _plan(tuple(part), of_part=True) if code is not None else None
        return {"code": code} if plan is not None and _is_sound(part, plan) else None

    def _code(self, part: dict[str, Any], values: dict[Any, Any]) -> dict[str, Any] | None:
        """The codings of a concept that does not matter, without their names; None if it may."""
        text = part.get("code")
        codings = self._codings(bytes(text)) if text is not None else ()
        if not codings:
            return None
        if codings not in values:
            values[codings] = {"coding": [{"system": system, "code": code} for system, code in codings]}
        return cast("dict[str, Any]", values[codings])

    def _read_codings(self, text: bytes) -> tuple[tuple[str, str], ...]:
        """System and code of each coding of a concept; none if it may matter, or is not plain."""
        concept = _decoded(_read_concept, text)
        codings = tuple((one.system, one.code) for one in concept.coding) if concept is not None else ()
        if not all(system and code for system, code in codings):
            return ()
        codes = tuple(dict.fromkeys(self._key(system, code) for system, code in codings))
        return codings if codes and not self._matters(codes) else ()


class _Plan(msgspec.Struct, frozen=True):
    """What to do with an Observation of certain elements: keep some, see that others have no defect."""

    kept: tuple[str, ...]
    checks: tuple[tuple[str, Callable[[bytes], bool]], ...]
    has_quantity: bool


@lru_cache(maxsize=_REMEMBERED)
def _plan(names: tuple[str, ...], of_part: bool = False) -> _Plan | None:
    """None if it must be read whole."""
    if not (_PLAIN_PART if of_part else _PLAIN).issuperset(names) or not (of_part or _NEEDED.issubset(names)):
        return None
    checks = tuple((name, _CHECKS[name]) for name in names if name in _CHECKS)
    return _Plan(tuple(name for name in names if name in _KEPT), checks, "valueQuantity" in names)


def _is_sound(part: dict[str, Any], plan: _Plan) -> bool:
    """Whether what is not kept of it has no defect, and the adapters would not stumble over it."""
    for name, check in plan.checks:
        if not check(bytes(part[name])):
            return False
    return not plan.has_quantity or is_number(part["valueQuantity"].get("value"))


@lru_cache(maxsize=_REMEMBERED)
def _is_flag(text: bytes) -> bool:
    return _decoded(_read_concepts, text) is not None


@lru_cache(maxsize=_REMEMBERED)
def _is_answer(text: bytes) -> bool:
    return b'"extension"' not in text and _decoded(_read_concept, text) is not None


def _decoded(read: Callable[[bytes], Any], text: bytes) -> Any:
    """The element, if it is clean and of that shape; else None."""
    try:
        return read(text) if is_clean(text) else None
    except msgspec.MsgspecError:
        return None


_CHECKS = {"category": is_clean, "referenceRange": is_clean, "interpretation": _is_flag, "valueCodeableConcept": _is_answer}
