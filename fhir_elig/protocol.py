"""A trial's protocol: one YAML file, loaded, checked and bound to the concepts once; what it needs from a chart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import Field, model_validator

from fhir_elig.concepts import Concepts
from fhir_elig.criteria.attestation import Attestation
from fhir_elig.criteria.base import Binder, Model, Name, Path, Text
from fhir_elig.criteria.node import Node
from fhir_elig.criteria.readings import Readings
from fhir_elig.documents import Document, load_document, validate
from fhir_elig.errors import AuthoringError, Finding
from fhir_elig.record import Need, merge_needs


class Registry(Model):
    """Where the study is registered."""

    system: str
    id: str


class MilestoneText(Model):
    """A point in the course of the study that windows hang on; `else` names a stand-in that is used until it has a date."""

    title: str
    else_: Name | None = None


class ProtocolFile(Model):
    """The file of one protocol."""

    protocol: Name = Field(description="The protocol's id")
    version: Text
    title: str
    registry: Registry | None = None
    about: str = ""
    milestones: dict[Name, MilestoneText]
    definitions: dict[Name, Node] = Field({}, description="Named parts that criteria refer to")
    inclusion: tuple[Node, ...] = Field(json_schema_extra={"minItems": 1})
    exclusion: tuple[Node, ...] = ()
    not_computed: tuple[str, ...] = Field((), description="Sentences of the source that no criterion holds, each with its reason")

    @model_validator(mode="after")
    def _something(self) -> ProtocolFile:
        if not self.inclusion:
            raise ValueError("a protocol has at least one inclusion criterion")
        return self


class Protocol:
    """A protocol that is ready: its criteria by id, bound to a mapping. Built by `load_protocol`, safe to share."""

    def __init__(self, file: ProtocolFile, sha256: str, concepts: Concepts, nodes: Mapping[str, Node]) -> None:
        self.file = file
        self.id = file.protocol
        self.version = file.version
        self.title = file.title
        self.sha256 = sha256
        self.concepts = concepts
        self.nodes = nodes
        self.stand_ins = {name: text.else_ for name, text in file.milestones.items() if text.else_}
        self.users: dict[int, list[Node]] = {}  # by a node's identity, those that use its outcome
        for node in self.walk():
            named = [child for _, child in node.inner()]
            for child in (*named, *node.kind.refers()):
                used = nodes[child] if isinstance(child, str) else child
                self.users.setdefault(id(used), []).append(node)

    def needs(self) -> tuple[Need, ...]:
        """Resource types and codes that its criteria read; the Patient always."""
        found = [need for node in self.walk() for need in node.needs(self.concepts)]
        return merge_needs([Need("Patient"), *found])

    def walk(self) -> Iterator[Node]:
        """Every node, definitions first, depth first, each once."""
        for node in (*self.file.definitions.values(), *self.file.inclusion, *self.file.exclusion):
            yield from _walk(node)

    def criteria(self) -> Iterator[Node]:
        """The nodes that have an id, in the protocol's order."""
        for node in (*self.file.inclusion, *self.file.exclusion):
            yield from (inner for inner in _walk(node) if inner.id)

    def questions(self) -> list[tuple[str, str, str]]:
        """What people are asked: criterion id, the protocol's words, the question."""
        asked = []
        for node in self.criteria():
            attestation = _attestation(node)
            if attestation is not None:
                asked.append((node.id or "", node.text, attestation.question))
            elif node.attestable:
                asked.append((node.id or "", node.text, node.question))
        return asked

    def readings(self) -> dict[str, tuple[str, ...]]:
        """The criteria whose text has readings, and their names."""
        return {node.id or "": tuple(node.kind.options) for node in self.criteria() if isinstance(node.kind, Readings)}


def _attestation(node: Node) -> Attestation | None:
    """The question that this criterion puts itself, behind a guard or not."""
    if isinstance(node.kind, Attestation):
        return node.kind
    nameless = (child for _, child in node.inner() if not isinstance(child, str) and not child.id)
    return next((found for found in map(_attestation, nameless) if found is not None), None)


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for _, child in node.inner():
        if not isinstance(child, str):
            yield from _walk(child)


def load_protocol(path: FilePath, concepts: Concepts) -> Protocol:
    """Read, check and bind a protocol file.

    Raises AuthoringError with every finding at once, each with file, line, column, path and fix.
    """
    document = load_document(path)
    return build_protocol(document, concepts)


def build_protocol(document: Document, concepts: Concepts) -> Protocol:
    """Like `load_protocol`, from a document that was read already."""
    file = validate(ProtocolFile, document)
    nodes: dict[str, Node] = dict(file.definitions)
    findings: list[tuple[Path, Finding]] = []
    for path, node in _roots(file):
        for inner_path, inner in _paths(path, node):
            if inner.id is None:
                continue
            if inner.id in nodes:
                findings.append(
                    (
                        (*inner_path, "id"),
                        Finding("FE0208", "", f'"{inner.id}" is used twice', "give each criterion an id of its own"),
                    )
                )
            nodes[inner.id] = inner
    binder = Binder(concepts, nodes, file.milestones)
    for name, text in file.milestones.items():
        if text.else_:
            binder.milestone(text.else_, ("milestones", name, "else"))
    for path, node in _roots(file):
        node.bind(binder, path)
    findings += [*binder.findings, *_circles(nodes, file), *_stand_ins(file)]
    if findings:
        raise AuthoringError(
            findings[0][1].why,
            findings=[Finding(f.code, document.where(_keys(path, document.data)), f.why, f.fix) for path, f in findings],
        )
    return Protocol(file, document.sha256, concepts, nodes)


def _roots(file: ProtocolFile) -> Iterator[tuple[Path, Node]]:
    for name, node in file.definitions.items():
        yield ("definitions", name), node
    for section in ("inclusion", "exclusion"):
        for index, node in enumerate(getattr(file, section)):
            yield (section, index), node


def _paths(path: Path, node: Node) -> Iterator[tuple[Path, Node]]:
    yield path, node
    for inner, child in node.inner():
        if not isinstance(child, str):
            yield from _paths((*path, *inner), child)


def _keys(path: Path, data: Any) -> Path:
    """The path as the file writes it: `of` and `body` stand where the author wrote them, and only there."""
    keys: list[str | int] = []
    for step in path:
        if isinstance(step, int) and isinstance(data, dict) and "of" in data:
            keys.append("of")
            data = data["of"]
        keys.append(step)
        data = _child(data, step)
        if step == "not" and isinstance(data, dict) and set(data) == {"body"}:
            keys.append("body")
            data = data["body"]
    return tuple(keys)


def _child(data: Any, step: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(step)
    return data[step] if isinstance(data, list) and isinstance(step, int) and step < len(data) else None


def _stand_ins(file: ProtocolFile) -> list[tuple[Path, Finding]]:
    """Milestones whose stand-ins lead back to themselves."""
    found: list[tuple[Path, Finding]] = []
    for name in file.milestones:
        other, seen = file.milestones[name].else_, {name}
        while other in file.milestones and other not in seen:
            seen.add(other)
            other = file.milestones[other].else_
        if other == name:
            where = ("milestones", name, "else")
            found.append((where, Finding("FE0209", "", f'the stand-ins of "{name}" lead back to it', "name one that has a date")))
    return found


def _circles(nodes: Mapping[str, Node], file: ProtocolFile) -> list[tuple[Path, Finding]]:
    """Names that lead back to themselves."""
    found = []
    for root_path, root in _roots(file):
        for path, node in _paths(root_path, root):
            name = node.id or (str(path[-1]) if node is root else "")
            if name in nodes and _reaches(name, node, nodes, set()):
                found.append((path, Finding("FE0209", "", f'"{name}" refers to itself', "break the circle")))
    return found


def _reaches(goal: str, node: Node, nodes: Mapping[str, Node], seen: set[str]) -> bool:
    for inner in _walk(node):
        named = [child for _, child in inner.inner() if isinstance(child, str)]
        for name in (*named, *inner.kind.refers()):
            if name == goal:
                return True
            if name in nodes and name not in seen:
                seen.add(name)
                if _reaches(goal, nodes[name], nodes, seen):
                    return True
    return False


def protocol_schema() -> dict[str, Any]:
    """The JSON Schema of protocol files, for editors."""
    schema = ProtocolFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
