"""A protocol in plain words: what is computed, what a person answers, windows, readings decided and open."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import cast

from fhir_elig.criteria.attestation import Attestation
from fhir_elig.criteria.change import Change
from fhir_elig.criteria.condition import Condition
from fhir_elig.criteria.context import Branch, Child, Part
from fhir_elig.criteria.event import EventKind
from fhir_elig.criteria.logic import AppliesIf
from fhir_elig.criteria.medication import Exposure
from fhir_elig.criteria.node import Node
from fhir_elig.criteria.observation import Value
from fhir_elig.criteria.patient import Age, Sex
from fhir_elig.criteria.readings import Readings
from fhir_elig.criteria.score import Score
from fhir_elig.criteria.subtype import Subtype
from fhir_elig.protocol import Protocol

_SIGNS = (("at_least", ">="), ("more_than", ">"), ("at_most", "<="), ("less_than", "<"))


def protocol_words(protocol: Protocol) -> str:
    """The whole protocol as text, ending in a line break."""
    file = protocol.file
    registry = f"   {file.registry.system} {file.registry.id}" if file.registry else ""
    lines = [f"{protocol.id} {protocol.version}{registry}", protocol.title, f"sha256 {protocol.sha256}", ""]
    lines += _wrapped(file.about, "")
    lines += ["", "milestones", *(f"  {name}: {text.title}" for name, text in file.milestones.items())]
    for title, nodes in (("inclusion", file.inclusion), ("exclusion", file.exclusion)):
        if nodes:
            lines += ["", title]
            for node in nodes:
                lines += _node(node, 1)
    if file.definitions:
        lines += ["", "definitions"]
        for name, node in file.definitions.items():
            lines += [f"  {name}: {describe(node)}"]
    if file.not_computed:
        lines += ["", "not computed", *(f"  {sentence}" for sentence in file.not_computed)]
    return "\n".join(lines) + "\n"


def _wrapped(text: str, indent: str, mark: str = "") -> list[str]:
    later = indent + " " * len(mark)
    return textwrap.wrap(text, 100, initial_indent=indent + mark, subsequent_indent=later) if text else []


def _node(node: Node, depth: int) -> Iterator[str]:
    indent = "  " * depth
    place = (
        f"   [{node.source.section} {node.source.item}{f', {node.source.part}' if node.source.part else ''}]"
        if node.source
        else ""
    )
    yield f"{indent}{node.id}{place}"
    yield from _wrapped(node.text, f"{indent}  ")
    yield from _wrapped(describe(node), f"{indent}  ", "= ")
    for remark in _remarks(node):
        yield from _wrapped(remark, f"{indent}  ", "- ")
    for inner in _criteria(node):
        yield from _node(inner, depth + 1)


def _criteria(node: Node) -> Iterator[Node]:
    """The criteria directly inside, through nameless parts."""
    for _, child in node.inner():
        if not isinstance(child, str):
            yield from [child] if child.id else _criteria(child)


def _remarks(node: Node) -> Iterator[str]:
    if isinstance(node.kind, Readings):
        others = ", ".join(name for name in node.kind.options if name != node.kind.decided)
        if node.kind.decided is not None:
            yield f"decided: {node.kind.decided}, because {node.kind.because}; other readings: {others}"
        else:
            yield f"not decided; readings: {others}; a verdict stands only if all agree, or a site decides"
    if node.attestable:
        yield f"where it is unknown a person may answer: {node.question}"
    if node.unless is not None:
        yield f"unless {_child(node.unless.when)}: then {_child(node.unless.then)}"


def describe(node: Branch) -> str:
    """What a node asks, in one sentence."""
    kind = node.kind
    if isinstance(kind, Readings):
        chosen = kind.options[kind.decided] if kind.decided else next(iter(kind.options.values()))
        return _child(chosen)
    if isinstance(kind, AppliesIf):
        return f"only if {_child(kind.when)}: {_child(kind.then)}"
    if kind.children and not isinstance(kind, Score):
        return f"{node.kind_name}: {'; '.join(map(_child, kind.children))}"
    return _leaf(kind)


def _child(child: Child) -> str:
    if isinstance(child, str):
        return child
    return child.id or describe(child)


def _leaf(kind: Part) -> str:
    match kind:
        case Age():
            return f"age in completed years at {kind.at}, {kind.limit_text}"
        case Sex():
            return f"sex is {kind.is_} (by {', then '.join(kind.by)})"
        case Value():
            return _value(kind)
        case Change():
            return _change(kind)
        case Condition():
            window = f", {kind.window.text}" if kind.window else ""
            return f"recorded condition: {' or '.join(kind.concepts)}{window}; absence is {kind.absence.value}"
        case Subtype():
            return f"recorded subtype {' or '.join(kind.wanted)}, not {' or '.join(kind.other)}"
        case Exposure():
            than = f"more than {kind.more_than}" if kind.more_than else f"at least {kind.at_least}"
            return f"treated {than} with any of {', '.join(agent.concept for agent in kind.agents)}"
        case EventKind():
            what = ", ".join((*kind.procedures, *kind.medications))
            return f"done or given {kind.window.text}: {what}; absence is {kind.absence.value}"
        case Score():
            told_by = "the chart and people's answers" if kind.computed else "people's answers"
            return f"score of {told_by} {kind.limit_text()}"
    return f"a person answers: {cast(Attestation, kind).question}"


def _change(kind: Change) -> str:
    limit = f">= {kind.at_least}" if kind.at_least else f"> {kind.more_than}"
    what = f"{'relative ' if kind.relative else ''}{kind.direction} of {kind.kinds[0].analyte} {limit}"
    return f"{what}; the latest {kind.window.text}, the baseline up to {kind.baseline} before it"


def _value(kind: Value) -> str:
    what = kind.derive.formula if kind.derive else " or ".join(kind.concepts)
    if kind.answer is not None:
        limit = f"is {kind.answer.is_}"
    else:
        limit = " and ".join(f"{sign} {getattr(kind, key)}" for key, sign in _SIGNS if getattr(kind, key) is not None)
    default = " (the project's default window)" if kind.window.default else ""
    return f"{kind.pick.value} {what} {limit}, {kind.window.text}{default}"
