"""One case: a protocol of nested criteria, a chart that matters to them, and a run; the same for the same seed and number."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Any

from tests.reference import draw_answers, draw_evidence, draw_formulas, draw_records, draw_series, draw_values, drawing
from tests.reference.drawing import maybe, weighed
from tests.reference.numbers import ANALYTES
from tests.reference.results import FINAL

Row = dict[str, Any]
USED = "used"  # a criterion whose result another one asks for, until it has an id of its own
CHARTS_OF_ONE = 8  # charts that one protocol is held against: building protocols is the larger part of a case

LEAVES: dict[str, tuple[Any, Any, int]] = {
    "value": (draw_values.criterion, draw_values.rows, 10),
    "answer": (draw_answers.criterion, draw_answers.rows, 4),
    "age": (draw_records.age, draw_records.nobody, 2),
    "sex": (draw_records.sex, draw_records.nobody, 2),
    "condition": (draw_records.condition, draw_records.problems, 6),
    "event": (draw_records.event, draw_records.events, 6),
    "attestation": (draw_records.attestation, draw_records.nobody, 2),
    "score": (draw_records.score, draw_records.nobody, 2),
    "exposure": (draw_series.exposure, draw_series.courses, 4),
    "change": (draw_series.change, draw_series.series, 4),
    "subtype": (draw_evidence.subtype, draw_evidence.subtypes, 3),
    "weigh": (draw_evidence.weigh, draw_evidence.evidence, 3),
    "formula": (draw_formulas.formula, draw_formulas.inputs, 6),
}
HEAD = {
    "protocol": "drawn",
    "version": "1.0.0",
    "title": "drawn",
    "milestones": {name: {"title": name} for name in drawing.MILESTONES}
    | {"baseline": {"title": "baseline", "else": "screening"}, "visit": {"title": "visit", "else": "enrollment"}},
}


def case(seed: int, number: int) -> Row:
    """Case `number` of a seed; eight follow each other on one protocol."""
    made = drawn(Random(f"{seed}/protocol/{number // CHARTS_OF_ONE}"), Random(f"{seed}/chart/{number}"))
    return {**made, "fhir": number % 3 == 0, "whole": number % 10 == 0}


def drawn(of_protocol: Random, of_chart: Random) -> Row:
    """A case from two sources of chance, which may be one."""
    made = {"protocol": _protocol(of_protocol), "run": drawing.run(of_chart), "person": None, "rows": []}
    made["person"] = _person(of_chart, made["run"]["as_of"])
    made["run"] |= {"decisions": dict(_decisions(of_chart, made["protocol"]))}
    return {**made, "rows": _rows(of_chart, made)}


def _decisions(rng: Random, node: Any) -> Iterator[tuple[str, str]]:
    """What the site decides of readings that have an id."""
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _decisions(rng, inner)
    if isinstance(node, dict) and "readings" in node and "id" in node and rng.random() < 0.3:
        yield node["id"], rng.choice(sorted(node["readings"]["options"]))


def _protocol(rng: Random) -> Row:
    inclusion = [{**_node(rng, 2), "id": f"i{index}"} for index in range(rng.choice((1, 1, 2)))]
    exclusion = [{**_node(rng, 1), "id": "e0"}] if rng.random() < 0.2 else []
    named = _named([*inclusion, *exclusion])
    return {**HEAD, "inclusion": named[: len(inclusion)]} | ({"exclusion": named[len(inclusion) :]} if exclusion else {})


def _named(nodes: list[Row]) -> list[Row]:
    """Criteria at the top with their words, and an id of its own for each one inside that has one."""
    numbers = count()
    return [{**_numbered(node, numbers), "id": node["id"], "text": "t"} for node in nodes]


def _numbered(node: Any, numbers: Iterator[int]) -> Any:
    if isinstance(node, list):
        return [_numbered(inner, numbers) for inner in node]
    if not isinstance(node, dict):
        return node
    if node.get("all-of") and node["all-of"][0].get("id") == USED:
        counted, asked = node["all-of"]
        name = f"u{next(numbers)}"
        node = {**node, "all-of": [{**counted, "id": name}, {"event": {**asked["event"], "of-results": [name]}}]}
    made = {key: _numbered(inner, numbers) for key, inner in node.items()}
    return {**made, "id": f"m{next(numbers)}"} if node.get("id") == "m" else made


def _specimen(rng: Random) -> Row:
    """A value, and an event that must not lie before the result that was used for it."""
    counted = draw_values.criterion(rng)
    counted["value"].pop("pick", None)
    asked = draw_records.event(rng)["event"] | {"window": {"milestone": "screening", "before": rng.choice(("7 d", "28 d"))}}
    return {"all-of": [{**counted, "id": USED, "text": "t"}, {"event": {**asked, "of-results": [USED]}}]}


def _node(rng: Random, depth: int) -> Row:
    if depth and rng.random() < 0.05:
        return _specimen(rng)
    if depth == 0 or rng.random() < 0.45:
        return _leaf(rng)
    shape = weighed(rng, {"all-of": 3, "any-of": 3, "not": 2, "at-least": 2, "applies-if": 3, "readings": 2, "unless": 1})
    members = [_node(rng, depth - 1) for _ in range(rng.choice((2, 2, 2, 3)))]
    if shape == "not":
        return {"not": members[0]}
    if shape == "at-least":
        return {"at-least": {"count": rng.randint(1, len(members)), "of": members}}
    if shape == "applies-if":
        return {"applies-if": {"when": _leaf(rng), "then": members[0]}}
    if shape == "unless":
        return {**_leaf(rng, 0), "unless": {"when": _leaf(rng), "then": members[0]}}
    if shape == "readings":
        return {"readings": {"options": dict(zip(("one", "two", "three"), members, strict=False)), **_decided(rng)}}
    if rng.random() < 0.5:
        members = [{**member, "id": "m", "text": "t"} for member in members]
    return {shape: members}


def _decided(rng: Random) -> Row:
    return {**maybe(rng, 1, "decided", ("one", "two")), "because": "drawn"} if rng.random() < 0.3 else {}


def _leaf(rng: Random, attestable: float = 0.15) -> Row:
    name = rng.choices(list(LEAVES), [weight for *_, weight in LEAVES.values()])[0]
    leaf: Row = LEAVES[name][0](rng)
    if name == "score" and rng.random() < 0.5:
        told = rng.sample(sorted(leaf["score"]["items"]), rng.choice((1, 1, 2, 3)))
        leaf["score"]["computed"] = {item: _told(rng) for item in told}
    asked = next(iter(leaf.values())).get("window", {})
    at_screening = asked.get("milestone") == "screening" and "after" not in asked
    if at_screening and rng.random() < attestable:
        return {**leaf, "id": "m", "text": "t", "attestable": True, "question": "is it so?"}
    return leaf


def _told(rng: Random) -> Row:
    """A criterion that tells whether an item of a score is there."""
    name = weighed(rng, {"value": 4, "age": 1, "condition": 3, "event": 2, "exposure": 1, "formula": 2})
    leaf: Row = LEAVES[name][0](rng)
    return {"applies-if": {"when": _leaf(rng), "then": leaf}} if rng.random() < 0.2 else leaf


def _person(rng: Random, as_of: str) -> Row:
    born = draw_records.born(rng, as_of)
    return {
        **born,
        **maybe(rng, 0.9, "gender", ("female", "male", "female", "male", "unknown")),
        **maybe(rng, 0.2, "birth_sex", ("female", "male")),
    }


def leaves(node: Any) -> Iterator[tuple[str, Row]]:
    """Every criterion of a kind that reads the chart, however deep."""
    if isinstance(node, dict):
        for key, inner in node.items():
            if key in LEAVES and isinstance(inner, dict) and key != "answer":
                yield ("formula" if "derive" in inner else "answer" if "answer" in inner else key), inner
            yield from leaves(inner) if key != "weigh" else ()
    elif isinstance(node, list):
        for inner in node:
            yield from leaves(inner)


def questions(node: Any, owner: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every criterion that people answer: its id, and its items if it is a score."""
    if isinstance(node, list):
        for inner in node:
            yield from questions(inner, owner)
    elif isinstance(node, dict):
        owner = node.get("id", owner) if "text" in node else owner
        if "attestation" in node or node.get("attestable"):
            yield owner, ()
        if "score" in node:
            yield owner, tuple(node["score"]["items"])
        for inner in node.values():
            yield from questions(inner, owner)


def _rows(rng: Random, made: Row) -> list[Row]:
    nodes = [made["protocol"].get(part, []) for part in ("inclusion", "exclusion")]
    found = [row for name, kind in leaves(nodes) for row in LEAVES[name][1](rng, kind, made["run"])]
    found += [row for owner, items in questions(nodes) for row in draw_records.said_of(rng, owner, made["run"], items)]
    if "derive" in str(nodes):
        found = [row for row in found if row.get("concept") != "weight" or _is_plain(row)]
    rng.shuffle(found)
    return [{**row, "id": f"r{index}"} for index, row in enumerate(found)]


def _is_plain(row: Row) -> bool:
    """A weight as the formulas of the reference read it: a number of a day or of no time, in a unit of weight or in none."""
    plain = row.keys() <= {"kind", "concept", "value", "unit", "comparator", "time", "status"} and "value" in row
    known = row.get("unit", "") in ("", *ANALYTES["weight"].units) and row.get("status", "final") in (*FINAL, "cancelled")
    return plain and known and len(row.get("time", "2025-01-01")) == len("2025-01-01")
