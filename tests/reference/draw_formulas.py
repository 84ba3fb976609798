"""Draws of formulas, with inputs of which the value lies near the limit, of one specimen or days apart."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction as F
from random import Random
from typing import Any

from tests.reference import draw_series
from tests.reference.drawing import around, edges, maybe, weighed
from tests.reference.formulary import FORMULAS, SAME, concepts_of
from tests.reference.numbers import ANALYTES, CONCEPTS

Row = dict[str, Any]
STEPS = (F(0), F(0), F(0), F("0.01"), F("-0.01"))

# formula: limit, and numbers of its inputs in their first units that give values on the limit and beside it
NEAR: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "ckd-epi-2021": ("60 mL/min/{1.73_m2}", {"creatinine": ("0.7", "0.9", "1.2", "1.35", "1.5")}),
    "bmi": ("25 kg/m2", {"weight": ("81", "72", "90"), "height": ("180", "175")}),
    "bsa-mosteller": ("2 m2", {"weight": ("80", "72", "90"), "height": ("180", "160")}),
    "bsa-du-bois": ("1.9 m2", {"weight": ("80", "72"), "height": ("180", "170")}),
    "qtcf": ("450 ms", {"qt_interval": ("450", "400", "430"), "heart_rate": ("60", "75", "80")}),
    "qtcb": ("450 ms", {"qt_interval": ("450", "400", "430"), "heart_rate": ("60", "75", "80")}),
    "corrected-calcium": ("8.5 mg/dL", {"calcium_total": ("8.5", "6.9", "8.1"), "albumin_serum": ("40", "20", "35")}),
    "corrected-calcium-si": ("8.5 mg/dL", {"calcium_total": ("8.5", "6.9", "8.1"), "albumin_serum": ("40", "20", "35")}),
    "ast-alt-ratio": ("1.5", {"ast": ("60", "30", "45"), "alt": ("40", "20", "30")}),
    "neutrophil-lymphocyte-ratio": ("3", {"anc": ("3", "6", "4"), "alc": ("1", "2", "1.5")}),
    "anc-from-differential": ("1.5 10*9/L", {"leukocytes": ("3", "2.5", "5"), "neutrophils_percent": ("50", "60", "30")}),
    "alc-from-differential": ("1 10*9/L", {"leukocytes": ("4", "5", "2.5"), "lymphocytes_percent": ("25", "20", "40")}),
}  # fmt: skip


def formula(rng: Random) -> Row:
    if rng.random() < 0.25:
        return draw_series.clearance(rng)
    name = rng.choice(sorted(NEAR))
    kind: Row = {"derive": {"formula": name}, "window": draw_series.days_window(rng)}
    if not FORMULAS[name].within and FORMULAS[name].beside and rng.random() < 0.5:
        other = concepts_of(name)[1]
        kind["derive"]["inputs"] = {other: {"concepts": [other], "within": rng.choice(("90 d", "10 d", SAME))}}
    return {"value": {**kind, rng.choice(("at-least", "more-than", "at-most", "less-than")): NEAR[name][0]}}


def inputs(rng: Random, kind: Row, run: Row) -> list[Row]:
    """One or two results of the first input, and of each other one, of the same day or of another."""
    name = kind["derive"]["formula"]
    if name not in NEAR:
        return draw_series.bloods(rng, kind, run)
    day = rng.choice(edges(kind["window"], run)) - timedelta(rng.choice((0, 0, 1, 3)))
    first, *others = NEAR[name][1]
    offsets = rng.sample((0, 0, 4), rng.choice((1, 1, 2)))
    found = [_sent(rng, name, first, (day - timedelta(step)).isoformat()) for step in offsets]
    apart = (0, 0, 0, 4) if SAME in str(kind) or FORMULAS[name].within else (0, 3, -3, 9, 10, 11, 91)
    for other in others:
        steps = rng.sample(apart, weighed(rng, {0: 1, 1: 6, 2: 3}))
        found += [_sent(rng, name, other, (day - timedelta(step)).isoformat()) for step in steps]
    return found


def _sent(rng: Random, name: str, concept: str, day: str) -> Row:
    units = ANALYTES[CONCEPTS[concept]].units
    unit = rng.choice(list(units))
    number = F(rng.choice(NEAR[name][1][concept])) / units[unit]
    row: Row = {"kind": "result", "concept": concept, "value": around(rng, number, STEPS), "unit": unit}
    row |= {"unit": ""} if rng.random() < 0.03 else {}
    row |= maybe(rng, 0.08, "comparator", ("<", ">", "<=", ">="))
    row |= {"time": day} if rng.random() < 0.96 else {}
    row |= maybe(rng, 0.5 if FORMULAS[name].within == SAME else 0, "specimen", ("Specimen/1", "Specimen/1", "Specimen/2"))
    return row | maybe(rng, 0.05, "status", ("cancelled", "amended", "preliminary"))
