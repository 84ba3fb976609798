"""The reference: one protocol, one chart, one day; a verdict for every criterion that has an id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.reference import (
    answers,
    changes,
    conditions,
    exposures,
    formulas,
    logic,
    people,
    results,
    specimens,
    subtypes,
    weighing,
)
from tests.reference.said import Said, negated, plain
from tests.reference.spans import span
from tests.reference.windows import Data, World


def _value(kind: Data, world: World) -> Said:
    return formulas.derived(kind, world) if kind.get("derive") else results.value(kind, world)


KINDS = {
    "value": _value,
    "age": people.age,
    "sex": people.sex,
    "condition": conditions.condition,
    "event": specimens.event,
    "exposure": exposures.exposure,
    "change": changes.change,
    "subtype": subtypes.subtype,
    "weigh": weighing.weigh,
}


def world_of(case: Data) -> World:
    """The case as the kinds read it."""
    run, protocol = case["run"], case["protocol"]
    zone = run.get("zone", "UTC")
    return World(
        rows=case["rows"],
        person=case.get("person"),
        as_of=span(run["as_of"], zone),
        events={name: span(text, zone) for name, text in run.get("events", {}).items()},
        stand_ins={name: data["else"] for name, data in protocol["milestones"].items() if data.get("else")},
        zone=zone,
        complete=frozenset(run.get("complete", ())),
        broken=frozenset(run.get("broken", ())),
        decisions=run.get("decisions", {}),
        limits=tuple(tuple(row) for row in run.get("limits", ())),
        criteria=dict(_named_in([*protocol.get("inclusion", ()), *protocol.get("exclusion", ())])),
    )


def _named_in(node: object) -> Iterator[tuple[str, Data]]:
    if isinstance(node, dict) and "text" in node and "id" in node:
        yield node["id"], node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _named_in(inner)


def evaluate(case: Data) -> dict[str, Said]:
    """What every top criterion is, by id; an exclusion criterion is its opposite."""
    world = world_of(case)
    protocol = case["protocol"]
    found = {node["id"]: of_node(node, world) for node in protocol.get("inclusion", ())}
    return found | {node["id"]: negated(plain(of_node(node, world))) for node in protocol.get("exclusion", ())}


def doubted(case: Data) -> int:
    """How many criteria, however deep, are unknown since nobody would believe the value."""
    return sum("implausible" in one.reasons for one in _leaves(case["protocol"], world_of(case)))


def _leaves(node: object, world: World) -> Iterator[Said]:
    if isinstance(node, dict):
        yield from (evaluator(node[name], world) for name, evaluator in KINDS.items() if isinstance(node.get(name), dict))
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _leaves(inner, world)


def of_node(node: Data, world: World, owner: str = "") -> Said:
    owner = node.get("id") or owner
    found = _of_kind(node, world, owner)
    if node.get("unless"):
        data = node["unless"]
        found = logic.unless(of_node(data["when"], world, owner), of_node(data["then"], world, owner), found)
    return answers.settled(found, owner, world) if node.get("attestable") else found


def _of_kind(node: Data, world: World, owner: str) -> Said:
    for name, evaluator in KINDS.items():
        if name in node:
            return evaluator(node[name], world)
    if "attestation" in node:
        return answers.attestation(node["attestation"], world, owner)
    if "score" in node:
        items = node["score"].get("computed", {})
        told = {item: of_node(child, world, owner) for item, child in items.items()}
        return answers.score(node["score"], world, owner, told)
    return _combined(node, world, owner)


def _combined(node: Data, world: World, owner: str) -> Said:
    if "all-of" in node:
        return logic.all_of(_members(node["all-of"], world, owner), _named(node["all-of"]))
    if "any-of" in node:
        return logic.any_of(_members(node["any-of"], world, owner), _named(node["any-of"]))
    if "at-least" in node:
        data = node["at-least"]
        guarded = ["applies-if" in str(member) for member in data["of"]]
        return logic.at_least(data["count"], _members(data["of"], world, owner), guarded)
    if "not" in node:
        return negated(of_node(node["not"], world, owner))
    if "applies-if" in node:
        data = node["applies-if"]
        return logic.applies_if(of_node(data["when"], world, owner), of_node(data["then"], world, owner))
    return _readings(node, world, owner)


def _members(nodes: Sequence[Data], world: World, owner: str) -> list[Said]:
    return [of_node(node, world, owner) for node in nodes]


def _named(nodes: Sequence[Data]) -> list[bool]:
    return ["id" in node for node in nodes]


def _readings(node: Data, world: World, owner: str) -> Said:
    data = node["readings"]
    decided = world.decisions.get(node.get("id", "")) or data.get("decided")
    if decided:
        return of_node(data["options"][decided], world, owner)
    return logic.readings([of_node(option, world, owner) for option in data["options"].values()])
