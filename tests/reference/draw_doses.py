"""Draws of doses of a day, some of them for each kilogram, and of the weights that those are held against."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction as F
from random import Random
from typing import Any

from tests.reference.drawing import around, edges, maybe, weighed, written
from tests.reference.numbers import ANALYTES

Row = dict[str, Any]
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
STATUSES = ("amended", "corrected", "preliminary", "registered", "cancelled", "entered-in-error", "unknown")


def ceiling(rng: Random) -> Row:
    """The doses of a day that count."""
    found = {rng.choice(("at-most", "at-most", "less-than", "at-least", "more-than")): rng.choice(("10 mg/d", "5 mg/d"))}
    if rng.random() < 0.2:
        found = {"more-than": "5 mg/d", "at-most": "15 mg/d"}
    if rng.random() < 0.5:
        found = {key: f"{int(text.split()[0]) / 100:g} mg/kg/d" for key, text in found.items()}
    return found | ({"as": "prednisone"} if rng.random() < 0.5 else {})


def dose(rng: Random) -> Row:
    """A glucocorticoid, as a rule with the dose of a day."""
    drug = weighed(rng, {"8640": 6, "3264": 1, "1514": 1})
    doses = ("5", "5", "10", "10", "4.99", "15", "2.5") if drug == "8640" else ("0.75", "1.5", "0.6", "5")
    return {"code": f"{RXNORM}|{drug}"} | ({"dose": rng.choice(doses)} if rng.random() < 0.85 else {})


def course(rng: Random, kind: Row, run: Row) -> Row:
    """A course that is long enough, of a dose that is told: what is left to decide is the weight."""
    first, *_, last = sorted(edges(kind["window"], run))
    begin = max(first, last - timedelta(60)) + timedelta(rng.choice((-1, 0, 0, 5)))
    end = begin + timedelta(rng.choice((10, 14, 20, 25)))
    row: Row = {"kind": "drug", "concept": "glucocorticoid", **dose(rng), "route": "oral", "strength": "stated"}
    return row | {
        "start": begin.isoformat(),
        "end": min(end, last).isoformat() if begin < last else end.isoformat(),
        "status": "active",
    }


def weights(rng: Random, kind: Row, run: Row) -> list[Row]:
    """Weights inside the 90 days that they count for and at their edges; of 100 kg a usual dose lies on a limit."""
    return [_weight(rng, kind, run) for _ in range(weighed(rng, {0: 1, 1: 9, 2: 3, 3: 1}))]


def _weight(rng: Random, kind: Row, run: Row) -> Row:
    number = F(weighed(rng, {100: 4, 99: 1, 101: 1, 50: 2, 60: 2, 150: 2, 210: 1}))
    row: Row = {"kind": "result", "concept": "weight", **_said(rng, number), **_time(rng, kind, run)}
    return row | maybe(rng, 0.1, "status", STATUSES) | maybe(rng, 0.03, "flaw", ("modifier", "restricted"))


def _said(rng: Random, number: F) -> Row:
    """The weight as it was sent: in any unit, as a bound or a stretch, in words, beyond belief, or not at all."""
    units = ANALYTES["weight"].units
    unit = rng.choice(list(units))
    sent: Row = {"value": around(rng, number / units[unit], steps=(F(0),)), "unit": unit}
    shape = weighed(rng, plain=44, bound=5, stretch=3, words=1, text=2, unit=1, absent=2, bare=1, beyond=1)
    if shape == "bound":
        return sent | maybe(rng, 1, "comparator", ("<", "<=", ">", ">="))
    if shape == "stretch":
        return sent | {"value": around(rng, number / units[unit] * F("0.9"), steps=(F(0),)), "high": sent["value"]}
    if shape == "words":
        return {"text": rng.choice(("about 70", "see note", f"{number}"))}
    if shape == "text":
        return {"text": f"{rng.choice(('', '<', '>='))}{sent['value']} {unit}"}
    if shape == "unit":
        return sent | {"unit": rng.choice(("", "stone", "kg/m2", "lb/oz"))}
    if shape == "absent":
        return {"absent": rng.choice(("masked", "not-permitted", "error", "unknown"))}
    if shape == "bare":
        return {"bare": True}
    return sent | ({"value": rng.choice(("2", "900")), "unit": "kg"} if shape == "beyond" else {})


def _time(rng: Random, kind: Row, run: Row) -> Row:
    shape = weighed(rng, inside=20, edge=5, future=1, none=1, issued=1)
    days = edges({**kind["window"], "before": "90 d"}, run)
    milestone = days[1]
    if shape == "none":
        return {}
    if shape == "issued":
        return {"issued": f"{milestone - timedelta(rng.choice((0, 5, 91)))}T10:00:00Z"}
    if shape == "inside":
        return {"time": written(rng, min(milestone, days[-1]) - timedelta(rng.choice((3, 10, 30, 45, 60))))}
    edge = max(days) + timedelta(9) if shape == "future" else rng.choice(days) + timedelta(rng.choice((0, 0, 1, -1)))
    return {"time": written(rng, edge)}
