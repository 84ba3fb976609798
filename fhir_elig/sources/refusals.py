"""A refused resource: what can still be told of it with certainty, and what cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

_CONCEPTS = ("code", "medicationCodeableConcept", "vaccineCode", "medication")


class Refusal(msgspec.Struct, frozen=True):
    """A resource that is refused, and what can be told of it with certainty.

    `type` and `id` are empty, and `codes` (pairs of system and code) None, where the defect leaves a doubt. `known` holds the
    elements of the resource that occur once and hold no defect; `full_url` is that of its Bundle entry.
    """

    why: str
    type: str = ""
    id: str = ""
    codes: tuple[tuple[str, str], ...] | None = None
    full_url: str = ""
    known: dict[str, Any] = {}

    @property
    def reference(self) -> str:
        """`Type/id`, with `?` for what cannot be told."""
        return f"{self.type or '?'}/{self.id or '?'}"


class Bad:
    """Stands in the tree where a defect was met; `pairs` are the members of an object that is refused for its keys."""

    __slots__ = ("pairs", "why")

    def __init__(self, why: str, pairs: list[tuple[str, Any]] | None = None) -> None:
        self.why = why
        self.pairs = pairs


def defects(tree: Any) -> Iterator[Bad]:
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, Bad):
            yield node
            stack.extend(value for _, value in node.pairs or ())


def entries(tree: Any) -> Iterator[tuple[Any, str]]:
    """The resources of a document's entries, wherever a defect stands."""
    for _, entries in filter(lambda pair: pair[0] == "entry" and isinstance(pair[1], list), _pairs(tree)):
        for entry in entries:
            known = _known(entry)
            for key, resource in _pairs(entry):
                if key == "resource" and isinstance(resource, (dict, Bad)):
                    yield resource, str(known.get("fullUrl", ""))


def _pairs(tree: Any) -> list[tuple[str, Any]]:
    if isinstance(tree, Bad):
        return tree.pairs or []
    return list(tree.items()) if isinstance(tree, dict) else []


def _known(tree: Any) -> dict[str, Any]:
    pairs = _pairs(tree)
    times = Counter(key for key, _ in pairs)
    return {key: value for key, value in pairs if times[key] == 1 and not any(defects(value))}


def refusal(resource: Any, why: str, full_url: str = "") -> Refusal:
    known = _known(resource)
    kind, name = known.get("resourceType"), known.get("id")
    return Refusal(
        why,
        kind if isinstance(kind, str) else "",
        name if isinstance(name, str) else "",
        _codes(resource, known) if kind else None,
        full_url,
        known,
    )


def codes_of(resource: dict[str, Any]) -> tuple[tuple[str, str], ...] | None:
    """All codes under which a reader could file a sound resource; None if there is any doubt, or none at all."""
    return _codes(resource, resource)


def _codes(resource: Any, known: dict[str, Any]) -> tuple[tuple[str, str], ...] | None:
    """All codes under which a reader could file the resource; None if there is any doubt, or none at all."""
    codes: set[tuple[str, str]] = set()
    for key, value in _pairs(resource):
        concepts = [known.get(key)] if key in _CONCEPTS or key.startswith("medicationRef") else []
        if key == "component":
            concepts = [_known(part).get("code") for part in value] if isinstance(value, list) else [None]
        for concept in concepts:
            codings = _codings(concept)
            if not codings:
                return None
            codes |= codings
    return tuple(sorted(codes)) or None


def _codings(concept: Any) -> set[tuple[str, str]]:
    """The codings of a CodeableConcept (or of R5's CodeableReference); empty if any of them is not whole."""
    if isinstance(concept, dict) and isinstance(concept.get("concept"), dict):
        concept = concept["concept"]
    codings = concept.get("coding") if isinstance(concept, dict) else None
    found: set[tuple[str, str]] = set()
    for coding in codings if isinstance(codings, list) else []:
        system, code = (coding.get("system"), coding.get("code")) if isinstance(coding, dict) else (None, None)
        if not isinstance(system, str) or not isinstance(code, str):
            return set()
        found.add((system, code))
    return found
