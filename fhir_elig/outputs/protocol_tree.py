"""A protocol's criteria as a tree of plain JSON, with the limits in numbers: what a run's manifest keeps of it.

Each node has `id` (empty for a nameless part), `kind`, `text` and `criteria`, its parts in the order of the protocol. A part that
only names another node is `{"refers": name}`. `role` says how a part serves where that matters (`when`, `then`, `for`).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from fhir_elig import units
from fhir_elig.concepts import Concepts
from fhir_elig.criteria import derived
from fhir_elig.criteria.base import Kind, Path
from fhir_elig.criteria.change import Change
from fhir_elig.criteria.limits import MULTIPLE, SIDES
from fhir_elig.criteria.logic import AllOf
from fhir_elig.criteria.node import Child, Node
from fhir_elig.criteria.observation import Value
from fhir_elig.criteria.readings import Readings
from fhir_elig.outputs.matrix import measure
from fhir_elig.protocol import Protocol
from fhir_elig.quantity import Analyte

Tree = dict[str, Any]


def tree(protocol: Protocol) -> Tree:
    """`inclusion`, `exclusion` (each criterion as it is written, not yet turned round) and the named `definitions`."""
    file, concepts = protocol.file, protocol.concepts
    return {
        "inclusion": [_node(node, concepts) for node in file.inclusion],
        "exclusion": [_node(node, concepts) for node in file.exclusion],
        "definitions": {name: _node(node, concepts) for name, node in file.definitions.items()},
    }


def _node(node: Node, concepts: Concepts) -> Tree:
    made: Tree = {"id": node.id or "", "kind": node.kind_name, "text": node.text}
    count = getattr(node.kind, "count", None)
    if isinstance(count, int):
        made["count"] = count
    if node.attestable:
        made["attestable"] = True
    made |= _told(node.kind, concepts)
    if limits := list(_limits(node.kind, concepts)):
        made["limits"] = limits
    made["criteria"] = [_part(path, child, concepts) for path, child in node.inner()]
    return made


def _told(kind: Kind, concepts: Concepts) -> Tree:
    """What bears on a verdict beside the parts and the limits: what is read, and when."""
    made: Tree = {}
    if isinstance(kind, AllOf) and kind.together is not None:
        made["together"] = kind.together
    if isinstance(kind, Readings) and kind.decided is not None:
        made["decided"] = kind.decided
    if isinstance(kind, Value):
        analyte = _analyte(kind, concepts) if kind.answer is None else None
        made["analyte"] = analyte.name if analyte is not None else ""
        made["pick"] = kind.pick.value
        made["window"] = {"milestone": kind.window.milestone, "before": kind.window.before, "after": kind.window.after}
    if read := _read(kind):
        made["reads"] = list(dict.fromkeys(read))
    return made


def _read(kind: Kind) -> list[str]:
    """The names of the concepts that a kind reads, in the order of the protocol."""
    if isinstance(kind, Value) and kind.derive is not None:
        return sorted(kind.derive.concepts)
    series = kind.kinds if isinstance(kind, Change) else ()
    return [*getattr(kind, "concepts", ()), *(name for one in series for name in one.concepts)]


def _part(path: Path, child: Child, concepts: Concepts) -> Tree:
    made = {"refers": child} if isinstance(child, str) else _node(child, concepts)
    roles = [step for step in path[1:] if isinstance(step, str) and step != "of"]
    role = "-".join(["unless", *roles] if path[0] == "unless" else roles)
    return {**made, "role": role} if role else made


def _limits(kind: Kind, concepts: Concepts) -> Iterator[Tree]:
    """Each limit of a value, an age, a change or a score: its sign and text, and `value` in `unit`, the unit of comparison.

    `value` is None for a multiple of a limit of normal, which differs from patient to patient.
    """
    analyte = _analyte(kind, concepts)
    for key, (_, _, sign) in SIDES.items():
        written = getattr(kind, key, None)
        if written is not None:
            value, unit = _number(str(written), analyte)
            yield {"sign": sign, "value": value, "unit": unit, "text": str(written)}


def _analyte(kind: Kind, concepts: Concepts) -> Analyte | None:
    """In whose canonical unit the values of this kind are compared."""
    if isinstance(kind, Value) and kind.derive is not None:
        return derived.analyte_of(kind.derive.formula, concepts)
    if isinstance(kind, Value):
        return concepts.analytes.get(concepts.by_name[kind.concepts[0]].analyte)
    if isinstance(kind, Change) and not kind.relative:
        return concepts.analytes.get(kind.kinds[0].analyte)
    return None


def _number(text: str, analyte: Analyte | None) -> tuple[float | None, str]:
    if MULTIPLE.fullmatch(text):
        return None, ""
    amount = units.parse_amount(text, analyte) if analyte is not None else None
    if isinstance(amount, Fraction) and analyte is not None:
        return float(amount), "" if analyte.canonical == "1" else analyte.canonical
    plain = measure(text)
    return (plain.point, plain.unit) if plain is not None else (None, "")
