"""Draws of criteria on drugs over time, on changes and on formulas, with records near their limits."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction as F
from random import Random
from typing import Any

from tests.reference import draw_doses
from tests.reference.draw_records import seen
from tests.reference.drawing import around, edges, maybe, weighed, window
from tests.reference.numbers import ANALYTES, CONCEPTS

Row = dict[str, Any]
DRUGS = ("azathioprine", "methotrexate", "rituximab")


def days_window(rng: Random) -> Row:
    asked = window(rng)
    days = weighed(rng, {"28 d": 3, "90 d": 3, "6 mo": 2, "all": 2})
    return {"milestone": asked["milestone"], "before": days}


def exposure(rng: Random) -> Row:
    kind: Row = {"agents": [{"concept": name} for name in rng.sample(DRUGS, rng.choice((1, 2)))], "window": days_window(rng)}
    kind[rng.choice(("more-than", "at-least"))] = rng.choice(("2 wk", "10 d", "20 d"))
    kind |= maybe(rng, 0.4, "method", ("per-drug", "longest"))
    kind |= maybe(rng, 0.5, "gap", ("1 d", "5 d")) if kind.get("method") == "longest" else {}
    if rng.random() < 0.3:
        kind["agents"] = [{**agent, "persists": [{"days": rng.choice((7, 28))}]} for agent in kind["agents"]]
    if rng.random() < 0.3:
        closed = {"absence": "closed"} if rng.random() < 0.4 else maybe(rng, 0.3, "strength", ("stated", "administered"))
        return {"exposure": kind | closed | {"agents": [{"concept": "glucocorticoid", "dose": draw_doses.ceiling(rng)}]}}
    if rng.random() < 0.45:
        return {"exposure": _washout(rng, kind)}
    return {"exposure": kind | maybe(rng, 0.3, "strength", ("stated", "administered"))}


def _washout(rng: Random, kind: Row) -> Row:
    """Not taken for some days, or some half-lives; by these routes."""
    drawn = {key: value for key, value in kind.items() if key not in ("more-than", "at-least")}
    drawn |= {"at-least": rng.choice(("1 d", "1 d", "1 d", "10 d")), "absence": "closed"}
    if rng.random() < 0.5:
        drawn |= {"half-lives": rng.choice((1, 5)), **maybe(rng, 0.7, "whichever", ("longer", "shorter"))}
    if rng.random() < 0.3:
        drawn["agents"] = [{**agent, "routes": rng.choice((["oral"], ["oral", "intravenous"]))} for agent in kind["agents"]]
    return drawn


def courses(rng: Random, kind: Row, run: Row) -> list[Row]:
    """Courses of treatment; where their absence is asked for, fewer of them, and a visit."""
    if "/kg" in str(kind):
        plain = {**kind, "agents": [{"concept": "glucocorticoid"}]}
        taken = courses(rng, plain, run) if rng.random() < 0.5 else [draw_doses.course(rng, kind, run), *seen(rng, kind, run)]
        return [*taken, *draw_doses.weights(rng, kind, run)]
    if kind.get("absence"):
        return [_course(rng, kind, run) for _ in range(weighed(rng, {0: 3, 1: 4, 2: 1}))] + seen(rng, kind, run)
    return [_course(rng, kind, run) for _ in range(weighed(rng, {0: 1, 1: 4, 2: 4, 3: 2}))]


def _course(rng: Random, kind: Row, run: Row) -> Row:
    names = [agent["concept"] for agent in kind["agents"]]
    row: Row = {"kind": "drug", "concept": rng.choice((*names, *names, "growth_factor_white"))}
    row |= draw_doses.dose(rng) if row["concept"] == "glucocorticoid" else {}
    row |= {"route": weighed(rng, {"oral": 8, "intravenous": 2, "": 1})}
    start = rng.choice(edges(kind["window"], run)) - timedelta(rng.choice((0, 5, 9, 10, 14, 20, 21, 60)))
    length = rng.choice((1, 5, 9, 10, 13, 14, 19, 20, 40))
    shape = weighed(rng, stated=6, told=3, ordered=2, given=1)
    if shape == "given":
        return row | {"strength": "administered", "time": start.isoformat(), "status": "completed"}
    status = weighed(rng, {"active": 10, "not-taken": 2, "entered-in-error": 1}) if shape != "ordered" else "active"
    row |= {"strength": "ordered" if shape == "ordered" else "stated", "start": start.isoformat(), "status": status}
    if shape == "ordered" and rng.random() < 0.3:
        row |= {"asserted": start.isoformat()}  # an order without an end says that of its own day
    else:
        row |= {"asserted" if shape == "told" else "end": (start + timedelta(length)).isoformat()}
    return row | maybe(rng, 0.03, "flaw", ("modifier", "restricted"))


CHANGES: dict[str, tuple[Row, F, tuple[str, ...]]] = {
    "mrss": ({"direction": "increase", "at-least": "3"}, F(15), ("", "{score}")),
    "fvc": ({"direction": "decrease", "relative": True, "more-than": "10 %"}, F(3), ("L", "mL")),
}  # fmt: skip


def change(rng: Random) -> Row:
    name = rng.choice(sorted(CHANGES))
    kind = {"kinds": [{"analyte": name, "concepts": [name]}], **CHANGES[name][0]}
    return {"change": {**kind, "window": days_window(rng), "baseline": rng.choice(("6 mo", "28 d"))}}


def series(rng: Random, kind: Row, run: Row) -> list[Row]:
    """Values of distinct days around the window."""
    name = kind["kinds"][0]["analyte"]
    last = rng.choice(edges(kind["window"], run)) - timedelta(rng.choice((0, 1, 3)))
    steps = rng.sample((0, 1, 5, 27, 28, 29, 60, 150, 200), weighed(rng, {1: 1, 2: 5, 3: 4}))
    return [_value(rng, name, last - timedelta(step)) for step in steps]


def _value(rng: Random, name: str, day: date) -> Row:
    _, near, units = CHANGES[name]
    unit = rng.choice(units)
    number = (
        near + rng.choice((-3, -2, 0, 0, 3, 4))
        if name == "mrss"
        else near * rng.choice((F("0.9"), F("0.89"), F("0.95"), F(1), F("1.1")))
    )
    sent = str(number) if name == "mrss" else around(rng, number / ANALYTES[CONCEPTS[name]].units[unit], steps=(F(0),))
    row: Row = {"kind": "result", "concept": name, "value": sent, "unit": unit, "time": day.isoformat()}
    row |= {"unit": ""} if rng.random() < 0.04 else {}
    row |= maybe(rng, 0.06, "comparator", ("<", ">", "<=", ">=")) if name == "fvc" else {}
    return row | maybe(rng, 0.06, "status", ("cancelled", "amended"))


def clearance(rng: Random) -> Row:
    weight = {"concepts": ["weight"], "within": rng.choice(("90 d", "10 d"))}
    inputs = {"creatinine": {"concepts": ["creatinine"]}, "weight": weight}
    return {
        "value": {
            "derive": {"formula": "cockcroft-gault", "inputs": inputs},
            "at-least": "50 mL/min",
            "window": days_window(rng),
        }
    }


def bloods(rng: Random, kind: Row, run: Row) -> list[Row]:
    """Creatinine near the limit of a middle-aged patient, and weights around it."""
    day = rng.choice(edges(kind["window"], run)) - timedelta(rng.choice((0, 0, 1, 3, 10)))
    found = [
        _sent(rng, "creatinine", day - timedelta(step), F(rng.choice((18, 12, 15, 21))) / 10)
        for step in rng.sample((0, 0, 4), rng.choice((1, 1, 2)))
    ]
    offsets = rng.sample((0, 3, -3, 9, 10, -10, 11, 90, 91), weighed(rng, {0: 1, 1: 4, 2: 4}))
    return found + [_sent(rng, "weight", day - timedelta(step), F(rng.choice((72, 60, 84)))) for step in offsets]


def _sent(rng: Random, name: str, day: date, number: F) -> Row:
    units = ANALYTES[CONCEPTS[name]].units
    unit = rng.choice(list(units))
    row: Row = {
        "kind": "result",
        "concept": name,
        "value": around(rng, number / units[unit], steps=(F(0), F(0), F("0.01"))),
        "unit": unit,
    }
    row |= {"unit": ""} if rng.random() < 0.03 else {}
    row |= maybe(rng, 0.08, "comparator", ("<", ">", "<=", ">="))
    row |= {"time": day.isoformat()} if rng.random() < 0.96 else {}
    return row | maybe(rng, 0.05, "status", ("cancelled", "amended"))
