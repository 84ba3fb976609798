"""Draws of criteria on the answer of a test, and of results that say it by code, word, flag, interpretation or number."""

from __future__ import annotations

from fractions import Fraction as F
from random import Random
from typing import Any

from tests.reference.drawing import around, maybe, moment, weighed, window
from tests.reference.qualitative import SAYS

Row = dict[str, Any]
BANDS = {"negative": {"less-than": "5 [IU]/L"}, "positive": {"more-than": "25 [IU]/L"}}
CODES = sorted(key for key in SAYS if "|" in key and "Interpretation" not in key)
SHOWN = [
    *sorted(key for key in SAYS if "Interpretation" in key),
    "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation|N",
]
TEXTS = [
    *sorted(key for key in SAYS if "|" not in key),
    "Negative ",
    "REACTIVE",
    "not negative",
    "by assay B",
]
STATUSES = ("amended", "corrected", "preliminary", "registered", "cancelled", "entered-in-error", "unknown")


def criterion(rng: Random) -> Row:
    """A `value` criterion that asks for an answer, of a test that gives words, one that gives numbers, or both."""
    concepts = rng.choice((["hcg_serum_quant", "hcg_serum_qual"], ["hcg_serum_qual"], ["hcg_serum_quant"]))
    answer: Row = {"is": rng.choice(("negative", "positive"))}
    if "hcg_serum_quant" in concepts:
        answer |= {name: band for name, band in BANDS.items() if rng.random() < 0.9}
    picks = {"latest": 8, "earliest": 1, "any": 3, "all": 2}
    return {"value": {"concepts": concepts, "answer": answer, "window": window(rng), "pick": weighed(rng, picks)}}


def rows(rng: Random, kind: Row, run: Row) -> list[Row]:
    return [result(rng, kind, run) for _ in range(weighed(rng, {0: 1, 1: 8, 2: 7, 3: 3}))]


def result(rng: Random, kind: Row, run: Row) -> Row:
    concept = rng.choice(kind["concepts"])
    row: Row = {"kind": "result", "concept": concept, **moment(rng, kind.get("window", {}), run), **_said(rng, concept)}
    row |= maybe(rng, 0.12, "status", STATUSES) | maybe(rng, 0.04, "flaw", ("modifier", "restricted"))
    if "value" in row and rng.random() < 0.4:
        row["ranges"] = [
            {"high": rng.choice(("5", "3", "2", "0.1", "10")), "unit": "[IU]/L"} for _ in range(rng.choice((1, 1, 2)))
        ]
    if row.get("bare") or rng.random() < 0.15:
        row["interpretation"] = rng.sample(SHOWN, weighed(rng, {1: 6, 2: 1}))
    return row


def _said(rng: Random, concept: str) -> Row:
    shape = weighed(rng, number=12 if concept == "hcg_serum_quant" else 0, coded=5, text=5, flag=2, bare=2, absent=1)
    if shape == "number":
        return _number(rng)
    if shape == "coded":
        return {"coded": rng.sample(CODES, weighed(rng, {1: 7, 2: 1})), **maybe(rng, 0.3, "text", tuple(TEXTS))}
    if shape == "text":
        return {"text": rng.choice(TEXTS)}
    if shape == "flag":
        return {"flag": rng.random() < 0.5}
    return {"bare": True} if shape == "bare" else {"absent": rng.choice(("masked", "error", "unknown", "not-permitted"))}


def _number(rng: Random) -> Row:
    number = around(rng, F(rng.choice(("5", "25", "3", "1"))))
    unit = weighed(rng, {"[IU]/L": 6, "m[IU]/mL": 4, "": 1, "furlong": 1})
    shape = weighed(rng, plain=8, comparator=3, range=1, text=2, both=1)
    if shape == "text":
        return {"text": f"{rng.choice(('', '<', '>='))}{number} {unit}".strip()}
    if shape == "both":
        return {"text": f"{number} {unit}".strip(), "coded": [rng.choice(CODES)]}
    row: Row = {"value": number, "unit": unit}
    if shape == "comparator":
        return {**row, "comparator": rng.choice(("<", "<=", ">", ">="))}
    return {**row, "high": around(rng, F("25"))} if shape == "range" else row
