"""A protocol's document with a criterion dropped, a limit moved or a reading decided: what a what-if is held against."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from fhir_elig.concepts import Concepts
from fhir_elig.documents import load_document
from fhir_elig.protocol import Protocol, build_protocol

Document = dict[str, Any]


def plain(text: str) -> Document:
    found: Document = yaml.safe_load(text)
    return found


def built(document: Document, concepts: Concepts) -> Protocol:
    text = yaml.dump(document, sort_keys=False, allow_unicode=True, Dumper=_Plain)
    return build_protocol(load_document(text.encode(), "changed.yaml"), concepts)


class _Plain(yaml.SafeDumper):
    """No aliases: the project's own loader takes none."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def nodes(value: Any) -> Iterator[Document]:
    """Every mapping of a document, outer ones first."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


def criterion(document: Document, name: str) -> Document:
    return next(node for node in nodes(document) if node.get("id") == name)


def dropped(document: Document, name: str) -> Document:
    """Without the criterion in any list; one whose results others look at is still defined."""
    changed = copy.deepcopy(document)
    kept = {key: value for key, value in criterion(changed, name).items() if key != "id"}
    for node in nodes(changed):
        for key in ("inclusion", "exclusion", "all-of", "any-of", "of"):
            if isinstance(node.get(key), list):
                node[key] = [one for one in node[key] if one != name and not (isinstance(one, dict) and one.get("id") == name)]
    if any(name in node.get("of-results", ()) for node in nodes(changed)):
        changed.setdefault("definitions", {})[name] = kept
    return changed


def moved(document: Document, name: str, key: str, text: str) -> Document:
    """With another text under `key` of its limit, in every reading."""

    def change(node: Document) -> None:
        for inner in nodes({kind: node[kind] for kind in ("value", "age", "readings") if kind in node}):
            if key in inner and "id" not in inner and not isinstance(inner[key], dict):
                inner[key] = text

    return _changed(document, name, change)


def decided(document: Document, name: str, reading: str) -> Document:
    return _changed(document, name, lambda node: node["readings"].update(decided=reading, because="what if"))


def _changed(document: Document, name: str, change: Callable[[Document], None]) -> Document:
    made = copy.deepcopy(document)
    change(criterion(made, name))
    return made
