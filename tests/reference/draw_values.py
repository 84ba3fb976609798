"""Draws of value criteria, and of results that lie near their limits and at the edges of their windows."""

from __future__ import annotations

from fractions import Fraction as F
from random import Random
from typing import Any

from tests.reference.drawing import around, maybe, moment, weighed, window
from tests.reference.numbers import ANALYTES, CONCEPTS

Row = dict[str, Any]

# concept: limits in a unit, and the units in which results come
LIMITS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "hemoglobin": (("90 g/L", "9 g/dL", "100 g/L"), ("g/L", "g/dL", "mmol/L")),
    "platelets": (("75 10*9/L", "75000 /uL"), ("10*9/L", "K/uL", "/uL")),
    "alt": (("3 x ULN", "1.5 x ULN", "100 U/L"), ("U/L", "IU/L", "ukat/L")),
    "inr": (("1.5 x ULN", "1.5"), ("", "{INR}", "1")),
    "lvef": (("55 %", "40 %"), ("%", "1")),
}  # fmt: skip
BANDS = {"hemoglobin": ("90 g/L", "100 g/L"), "platelets": ("75 10*9/L", "100 10*9/L"), "lvef": ("40 %", "55 %")}
WRONG_UNITS = ("", "furlong", "mmHg", "%")
TEXTS = ("see comment", "normal", "hemolyzed", "12,5", "1 2")


def criterion(rng: Random) -> Row:
    """A `value` criterion on one analyte."""
    concept = rng.choice(sorted(LIMITS))
    kind: Row = {"concepts": [concept], "window": window(rng)}
    limit = rng.choice(LIMITS[concept][0])
    below = "x ULN" in limit or concept == "inr" or rng.random() < 0.3
    kind[rng.choice(("at-most", "less-than") if below else ("at-least", "more-than"))] = limit
    picks = {"latest": 12, "earliest": 2, "any": 3, "all": 3, "nearest": 0 if "after" in kind["window"] else 1}
    if concept in BANDS and rng.random() < 0.15:
        kind = {key: value for key, value in kind.items() if key in ("concepts", "window")}
        kind |= dict(zip((rng.choice(("at-least", "more-than")), "at-most"), BANDS[concept], strict=True))
    pick = weighed(rng, picks | ({} if "x ULN" in str(kind) else {"highest": 2, "lowest": 2}))
    return {"value": kind if pick == "latest" else {**kind, "pick": pick}}


def rows(rng: Random, kind: Row, run: Row) -> list[Row]:
    """Results that matter to that criterion."""
    return [result(rng, kind, run, kind["concepts"][0]) for _ in range(weighed(rng, {0: 1, 1: 8, 2: 6, 3: 3}))]


def result(rng: Random, kind: Row, run: Row, concept: str) -> Row:
    row: Row = {"kind": "result", "concept": concept}
    row |= moment(rng, kind.get("window", {}), run)
    row |= sent(rng, concept, _near(rng, kind, concept))
    row |= _quirks(rng)
    if "x ULN" in str(kind) and rng.random() < 0.7:
        row["ranges"] = [_range(rng, concept, row) for _ in range(weighed(rng, {1: 5, 2: 1}))]
    return row


def _near(rng: Random, kind: Row, concept: str) -> F:
    """A number in the canonical unit near the criterion's limit."""
    analyte = ANALYTES[CONCEPTS[concept]]
    limit = str(next(kind[key] for key in ("at-least", "more-than", "at-most", "less-than") if key in kind))
    number, _, unit = limit.partition(" ")
    if unit == "x ULN":
        assert analyte.believed is not None
        upper = rng.choice((*analyte.believed, *(F(text) for text in _usual(concept))))
        return F(number) * upper
    return F(number) * (analyte.units[unit] if unit else 1)


def _usual(concept: str) -> tuple[str, ...]:
    return {"alt": ("35", "40"), "inr": ("1.2", "1.1")}[concept]


def sent(rng: Random, concept: str, near: F) -> Row:
    """A number as a laboratory may send it: on the limit, beside it, as an interval, as text, in an odd unit."""
    unit = rng.choice(LIMITS[concept][1]) if concept in LIMITS else next(iter(ANALYTES[CONCEPTS[concept]].units))
    factor = ANALYTES[CONCEPTS[concept]].units[unit] if unit else F(1)
    number = around(rng, near / factor)
    shape = weighed(rng, plain=30, comparator=5, range=2, text=3, words=1, wrong=2, odd=1, absent=1, code=1)
    if shape == "text":
        return {"text": f"{rng.choice(('', '<', '>=', '< '))}{number} {unit.removeprefix('1')}".strip()}
    if shape == "words":
        return {"text": rng.choice(TEXTS)}
    row: Row = {"value": number, "unit": rng.choice(WRONG_UNITS) if shape == "wrong" else unit}
    if shape == "comparator":
        return {**row, "comparator": rng.choice(("<", "<=", ">", ">="))}
    if shape == "range":
        return {**row, "high": around(rng, near / factor)}
    if shape == "absent":
        return {"absent": rng.choice(("masked", "error", "unknown", "not-permitted"))}
    return row | ({"comparator": "ad"} if shape == "odd" else {})


def _quirks(rng: Random) -> Row:
    return {
        **maybe(
            rng, 0.15, "status", ("amended", "corrected", "preliminary", "registered", "cancelled", "entered-in-error", "unknown")
        ),
        **maybe(rng, 0.04, "flaw", ("modifier", "restricted")),
    }


def _range(rng: Random, concept: str, row: Row) -> Row:
    believed = ANALYTES[CONCEPTS[concept]].believed
    assert believed is not None
    upper = rng.choice((*believed, *(F(text) for text in _usual(concept)), believed[1] * 100))
    unit = row.get("unit", "")
    units = ANALYTES[CONCEPTS[concept]].units
    factor = units.get(unit, F(1))
    stated: Row = {"high": around(rng, upper / factor, steps=(F(0),))}
    stated |= {"unit": unit} if unit and rng.random() < 0.7 else {}
    return stated | maybe(rng, 0.1, "type", ("therapeutic", "normal")) | maybe(rng, 0.15, "sex", ("female", "male"))
