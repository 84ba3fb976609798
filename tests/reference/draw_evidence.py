"""Draws of subtypes of a disease, and of evidence for a state against evidence for its end."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import Any

from tests.reference.draw_records import named
from tests.reference.drawing import maybe, weighed, written

Row = dict[str, Any]
SUBTYPES = {"wanted": ["dcssc"], "other": ["ssc_limited"], "open": ["ssc_any", "ssc_drug_induced"]}
SIDES: dict[str, tuple[Row, ...]] = {
    "for": (
        {"condition": {"concepts": ["pneumonia"], "perhaps": ["infection_any"]}},
        {"condition": {"concepts": ["gilbert"]}},
        {"value": {"concepts": ["hcg_serum_quant"], "more-than": "25 [IU]/L", "pick": "any"}},
    ),
    "against": (
        {"event": {"procedures": ["sterile"]}},
        {"condition": {"concepts": ["tb_active"]}},
        {"event": {"procedures": ["leukapheresis"]}},
    ),
}


def subtype(rng: Random) -> Row:
    return {"subtype": {**SUBTYPES, **({"absence": "closed"} if rng.random() < 0.7 else {})}}


def subtypes(rng: Random, kind: Row, run: Row) -> list[Row]:
    """Records of few days, so that many are of one day."""
    names = tuple(name for key in ("wanted", "wanted", "other", "open") for name in kind[key])
    found = []
    for _ in range(weighed(rng, {0: 2, 1: 4, 2: 5, 3: 2})):
        row: Row = {"kind": "condition", **named(rng, names, ("not_ssc", "pneumonia"))}
        day = _day(rng, run)
        row |= {"onset": written(rng, day - timedelta(rng.choice((0, 0, 30))))} if rng.random() < 0.7 else {}
        row |= {"recorded": written(rng, day)} if rng.random() < 0.5 else {}
        row |= maybe(rng, 0.4, "verification", ("confirmed", "confirmed", "provisional", "refuted", "entered-in-error"))
        found.append(row | maybe(rng, 0.03, "flaw", ("modifier", "restricted")))
    return found


def weigh(rng: Random) -> Row:
    return {"weigh": {side: rng.sample(nodes, rng.choice((1, 1, 2))) for side, nodes in SIDES.items()}}


def evidence(rng: Random, kind: Row, run: Row) -> list[Row]:
    """One to three records of either side; the members draw none themselves."""
    nodes = [node for side in SIDES for node in kind[side]]
    return [_record(rng, rng.choice(nodes), run) for _ in range(weighed(rng, {0: 1, 1: 4, 2: 6, 3: 5}))]


def _record(rng: Random, node: Row, run: Row) -> Row:
    time = written(rng, _day(rng, run))
    if "value" in node:
        row: Row = {"kind": "result", "concept": "hcg_serum_quant", "time": time}
        row |= {"value": rng.choice(("30", "25", "4", "26")), "unit": weighed(rng, {"[IU]/L": 8, "": 1, "m[IU]/mL": 2})}
        row |= maybe(rng, 0.1, "comparator", ("<", ">"))
        return row | maybe(rng, 0.1, "status", ("preliminary", "cancelled", "amended"))
    if "event" in node:
        row = {"kind": "procedure", **named(rng, tuple(node["event"]["procedures"]), ("transfusion_any",)), "time": time}
        row = {key: value for key, value in row.items() if key != "time" or rng.random() < 0.9}
        return row | maybe(rng, 0.04, "flaw", ("modifier", "restricted"))
    kind = node["condition"]
    row = {"kind": "condition", **named(rng, tuple(kind["concepts"]), (*kind.get("perhaps", ()), "onychomycosis"))}
    row |= {rng.choice(("onset", "recorded")): time} if rng.random() < 0.9 else {}
    return row | maybe(rng, 0.35, "verification", ("confirmed", "provisional", "unconfirmed", "refuted"))


def _day(rng: Random, run: Row) -> date:
    return date.fromisoformat(run["as_of"]) - timedelta(rng.choice((-1, 0, 1, 2, 2, 3, 30, 31, 200, 400)))
