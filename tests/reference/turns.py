"""Where the verdict of a protocol may turn: its limits, the lengths of its windows, what its formulas read, its milestones."""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

from tests.reference.formulary import FORMULAS, SAME, concepts_of
from tests.reference.limits import BOUNDS
from tests.reference.numbers import ANALYTES, CONCEPTS

Row = dict[str, Any]
OF_WEIGHTS = "90 d"  # before the milestone: the weights that a dose for each kilogram is held against


def inputs(node: Any) -> frozenset[str]:
    """The concepts that the formulas of a protocol read."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    own = concepts_of(node["formula"]) if isinstance(node, dict) and "formula" in node else ()
    return frozenset(own).union(*map(inputs, inner))


def one_time(node: Any) -> bool:
    """Whether a formula of the protocol reads several results of one time."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    own = isinstance(node, dict) and "formula" in node and SAME in (FORMULAS[node["formula"]].within, *_within(node))
    return own or any(map(one_time, inner))


def _within(node: Row) -> list[str | None]:
    return [one.get("within") for one in node.get("inputs", {}).values()]


def normals(node: Any) -> frozenset[str]:
    """The analytes that a protocol holds against multiples of their limits of normal."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    asks = isinstance(node, dict) and any("ULN" in str(node.get(key)) for key in BOUNDS)
    own = frozenset(CONCEPTS[name] for name in node.get("concepts", ()) if name in CONCEPTS) if asks else frozenset()
    return own.union(*map(normals, inner))


def limits_of(node: Any, concept: str) -> set[F]:
    """Every limit that the protocol sets for a concept, in the canonical unit; a multiple of a limit at both believed ends."""
    if isinstance(node, list):
        return {limit for inner in node for limit in limits_of(inner, concept)}
    if not isinstance(node, dict):
        return set()
    found = {limit for inner in node.values() for limit in limits_of(inner, concept)}
    if concept in node.get("concepts", ()):
        analyte = ANALYTES[CONCEPTS[concept]]
        bands = node.get("answer", {})
        stated = (node, *(bands[name] for name in ("negative", "positive") if name in bands))
        for text in (str(one[key]) for one in stated for key in BOUNDS if key in one):
            number, _, unit = text.partition(" ")
            uppers = analyte.believed if unit == "x ULN" and analyte.believed else (analyte.units[unit] if unit else F(1),)
            found |= {F(number) * upper for upper in uppers}
    return found


def lengths_of(node: Any) -> set[str]:
    """Every length of a window of the protocol."""
    if isinstance(node, list):
        return {length for inner in node for length in lengths_of(inner)}
    if not isinstance(node, dict):
        return set()
    own = {OF_WEIGHTS} if "/kg/" in str(node.get("dose", "")) else set()
    own |= {node[key] for key in ("before", "after") if isinstance(node.get(key), str) and node[key] != "all"}
    return own | {length for inner in node.values() for length in lengths_of(inner)}


def hung_on(node: Any) -> set[str]:
    if isinstance(node, list):
        return {name for inner in node for name in hung_on(inner)}
    if not isinstance(node, dict):
        return set()
    own = {node[key] for key in ("milestone", "at") if isinstance(node.get(key), str)}
    return own | {name for inner in node.values() for name in hung_on(inner)}
