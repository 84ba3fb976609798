"""Creatinine clearance by Cockcroft and Gault: the published patients, which weight, whose age and sex."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from fhir_elig import derive
from fhir_elig.quantity import Interval, point
from fhir_elig.record import Flaw, Person
from fhir_elig.units import parse_amount
from tests.spec.table import Row, check, concepts, lab, not_final, person, relma_results, result, said
from tests.spec.words import Page

PAGE = Page(
    "Creatinine clearance",
    """
The clearance is computed from age, sex, body weight and creatinine by the formula of Cockcroft and Gault. Each of them may
be missing, too old or known only roughly; then the clearance is a span or is not known at all.
""",
)

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())["cockcroft_gault"]["vectors"]
CRCL = "value: {derive: {formula: cockcroft-gault, inputs: {weight: {concepts: [weight], within: 90 d}}}, at-least: 50 mL/min, window: {before: 28 d}}"
IDEAL = "value: {derive: {formula: cockcroft-gault-ideal-weight}, at-least: 50 mL/min, window: {before: 28 d}}"
ADJUSTED = "value: {derive: {formula: cockcroft-gault-adjusted-weight}, at-least: 50 mL/min, window: {before: 28 d}}"
DAY = "2025-05-28"


def ages(text: object) -> tuple[int, int]:
    low, _, high = str(text).strip("[]").partition(", ")
    return int(low), int(high or low)


def aged(text: object, sex: str) -> Person:
    """Someone of that age on the creatinine's day; an age interval is a birth date known to the year."""
    low, high = ages(text)
    return person(f"{2025 - high}" if low != high else f"{2025 - low}-01-01", gender=sex)


def bounds(expected: dict[str, Any]) -> Interval:
    ends = [Fraction(expected.get(side, expected)["fraction"]) for side in ("low", "high")]
    return Interval(*ends)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_the_formula_gives_the_published_clearance_exactly(vector: dict[str, Any]) -> None:
    sent = vector["inputs"]
    creatinine, weight = (parse_amount(sent[name], concepts().analytes[name]) for name in ("creatinine", "weight"))
    assert isinstance(creatinine, Fraction) and isinstance(weight, Fraction)
    low, high = (Fraction(age) for age in ages(sent["age"]))
    sexes = ("female", "male") if sent["sex"] == "unknown" else (sent["sex"],)
    assert derive.cockcroft_gault(Interval(low, high), point(weight), point(creatinine), sexes) == bounds(vector["expected"])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_the_protocol_gives_the_vectors_verdict(vector: dict[str, Any]) -> None:
    sent = vector["inputs"]
    name = "creatinine_molar" if "umol" in sent["creatinine"] else "creatinine"
    facts = (aged(sent["age"], sent["sex"]), lab(name, sent["creatinine"], DAY), lab("weight", sent["weight"], DAY))
    found = relma_results(*facts).find("creatinine-clearance")
    assert found is not None and found.verdict.value == vector["verdict"]
    if vector["id"] == "cg-12":
        assert found.evidence[0].compared.startswith("49.97 ")
    if vector["id"] in ("cg-10", "cg-09"):
        assert found.near_limit


MAN50 = person("1975-01-01")
CREA, KG = lab("creatinine", "1.80 mg/dL", DAY), lab("weight", "72 kg", DAY)


def kg(sent: str, on: str | None = DAY, **more: Any) -> Any:
    return lab("weight", sent, on, **more)


ROWS = [
    Row("exactly on the inclusive limit", (MAN50, CREA, KG), CRCL, "met", "in-range"),
    Row(
        "the age is that of the creatinine's day",
        (person("1975-05-29"), lab("creatinine", "1.81 mg/dL", DAY), KG),
        CRCL,
        "met",
        "in-range",
    ),
    Row("a day later it is a year more", (person("1974-05-28"), CREA, KG), CRCL, "not-met", "out-of-range"),
    Row("a woman", (person("1975-01-01", "female"), CREA, KG), CRCL, "not-met", "out-of-range"),
    Row(
        "the sex for clinical use goes first",
        (person("1975-01-01", "female", clinical_sex="male"), CREA, KG),
        CRCL,
        "met",
        "in-range",
    ),
    Row(
        "birth sex and gender that differ: both forms",
        (person("1975-01-01", "female", birth_sex="male"), CREA, KG),
        CRCL,
        "unknown",
        "comparator",
    ),
    Row(
        "birth sex unknown: both forms",
        (person("1975-01-01", "male", birth_sex="unknown"), CREA, KG),
        CRCL,
        "unknown",
        "comparator",
    ),
    Row("no creatinine", (MAN50, KG), CRCL, "unknown", "not-found"),
    Row("a creatinine that is too old", (MAN50, lab("creatinine", "1.0 mg/dL", "2025-01-01"), KG), CRCL, "unknown", "too-old"),
    Row("a preliminary creatinine", (MAN50, lab("creatinine", "1.0 mg/dL", **not_final()), KG), CRCL, "unknown", "not-final"),
    Row("no weight", (MAN50, CREA), CRCL, "unknown", "not-found"),
    Row("a weight too far away", (MAN50, CREA, kg("72 kg", "2025-01-01")), CRCL, "unknown", "too-old"),
    Row("a weight of a month that lies too far back", (MAN50, CREA, kg("72 kg", "2024-11")), CRCL, "unknown", "too-old"),
    Row("a weight 90 days before", (MAN50, CREA, kg("72 kg", "2025-02-27")), CRCL, "met", "in-range"),
    Row("a weight 91 days before", (MAN50, CREA, kg("72 kg", "2025-02-26")), CRCL, "unknown", "too-old"),
    Row("a weight after the creatinine", (MAN50, CREA, kg("72 kg", "2025-06-01")), CRCL, "met", "in-range"),
    Row("never one after screening", (MAN50, CREA, kg("72 kg", "2025-06-02")), CRCL, "unknown", "too-old"),
    Row(
        "never one after a screening that lies behind",
        (MAN50, lab("creatinine", "1.80 mg/dL", "2025-05-01"), kg("72 kg", "2025-05-11")),
        CRCL,
        "unknown",
        "too-old",
        {"events": {"screening": "2025-05-10"}},
    ),
    Row(
        "a weight that may lie after a milestone known to the month",
        (MAN50, lab("creatinine", "1.80 mg/dL", "2025-04-30"), kg("60 kg", "2025-05-02"), kg("72 kg", "2025-04-20")),
        CRCL.replace("window: {", "window: {milestone: enrollment, "),
        "unknown",
        "imprecise-date",
        {"events": {"enrollment": "2025-05"}},
    ),
    Row(
        "a nearer weight after the creatinine, which may lie after a milestone known to the month, is not passed over",
        (MAN50, lab("creatinine", "1.80 mg/dL", "2025-05-01"), kg("72 kg", "2025-04-20"), kg("60 kg", "2025-05-11")),
        CRCL.replace("window: {before: 28 d", "window: {milestone: enrollment, before: 90 d"),
        "unknown",
        "conflicting",
        {"events": {"enrollment": "2025-05"}},
    ),
    Row(
        "the later of two that lie as near counts for nothing, though a third may be nearer",
        (MAN50, CREA, kg("72 kg", "2025-05-27"), kg("72", "2025-05-29"), kg("72 kg", None)),
        CRCL,
        "met",
        "in-range",
    ),
    Row(
        "of two weights that lie as near the earlier one counts",
        (MAN50, lab("creatinine", "1.80 mg/dL", "2025-05-11"), kg("72 kg", "2025-05-09"), kg("60 kg", "2025-05-13")),
        CRCL,
        "met",
        "in-range",
    ),
    Row(
        "a weight from before a creatinine is not dated after the milestone for which that creatinine counts",
        (
            MAN50,
            lab("creatinine", "1.00 mg/dL", "2025-04-30"),
            kg("60 kg", "2025-04-30"),
            lab("creatinine", "1.80 mg/dL", "2025-05-07"),
            kg("73 kg", "2025-05-05"),
        ),
        CRCL.replace("window: {", "window: {milestone: enrollment, ").replace("before: 28 d", "before: 90 d"),
        "met",
        "in-range",
        {"events": {"enrollment": "2025-05"}},
    ),
    Row(
        "a weight of the creatinine's day, which may be the day after its milestone",
        (MAN50, lab("creatinine", "1.80 mg/dL", "2025-05-02"), kg("72 kg", "2025-05-02")),
        CRCL.replace("before: 28 d", "milestone: enrollment, before: 90 d, after: 1 d"),
        "unknown",
        "imprecise-date",
        {"events": {"enrollment": "2025-05"}},
    ),
    Row(
        "a weight without a time may be the nearest",
        (MAN50, CREA, kg("72 kg", "2025-05-20"), kg("60 kg", None)),
        CRCL,
        "unknown",
        "conflicting",
    ),
    Row(
        "a weight without a time that would change nothing",
        (MAN50, CREA, kg("72 kg", "2025-05-20"), kg("80 kg", None)),
        CRCL,
        "met",
        "in-range",
    ),
    Row("only a weight without a time", (MAN50, CREA, kg("72 kg", None)), CRCL, "unknown", "imprecise-date"),
    Row("the nearest weight", (MAN50, CREA, kg("60 kg", "2025-05-20"), kg("72 kg", "2025-05-27")), CRCL, "met", "in-range"),
    Row(
        "the earlier one of two that lie as near",
        (MAN50, CREA, kg("60 kg", "2025-05-29"), kg("72 kg", "2025-05-27")),
        CRCL,
        "met",
        "in-range",
    ),
    Row("a weight without a unit", (MAN50, CREA, kg("72")), CRCL, "unknown", "no-unit"),
    Row("a stated weight is no measured one", (MAN50, CREA, lab("weight_stated", "72 kg", DAY)), CRCL, "unknown", "not-found"),
    Row("a preliminary weight", (MAN50, CREA, kg("72 kg", **not_final())), CRCL, "unknown", "not-final"),
    Row("a weight without a value", (MAN50, CREA, lab("weight", None, DAY, absent="error")), CRCL, "unknown", "not-found"),
    Row("a creatinine without a unit", (MAN50, lab("creatinine", "1.8", DAY), KG), CRCL, "unknown", "no-unit"),
    Row("a creatinine without a time", (MAN50, lab("creatinine", "1.8 mg/dL", None), KG), CRCL, "unknown", "imprecise-date"),
    Row("a creatinine of another kind", (MAN50, lab("creatinine_dialysis", "1.8 mg/dL", DAY), KG), CRCL, "unknown", "not-found"),
    Row("no birth date", (person(None), CREA, KG), CRCL, "unknown", "not-found"),
    Row(
        "a result beyond belief",
        (person("1975-01-01"), lab("creatinine", "0.2 mg/dL", DAY), kg("300 kg")),
        CRCL,
        "unknown",
        "implausible",
    ),
    Row("a bound of creatinine gives an interval", (MAN50, lab("creatinine", "<1.0 mg/dL", DAY), KG), CRCL, "met", "in-range"),
    Row("a bound that does not decide", (MAN50, lab("creatinine", "<3 mg/dL", DAY), KG), CRCL, "unknown", "comparator"),
    Row("the ideal weight needs the height", (MAN50, CREA, KG), IDEAL, "unknown", "not-found"),
    Row("the ideal weight of a tall man", (MAN50, CREA, KG, lab("height", "180 cm", DAY)), IDEAL, "met", "in-range"),
    Row("the ideal weight of a small man", (MAN50, CREA, KG, lab("height", "160 cm", DAY)), IDEAL, "not-met", "out-of-range"),
    Row(
        "the adjusted weight of a heavy small man",
        (MAN50, CREA, kg("120 kg"), lab("height", "160 cm", DAY)),
        ADJUSTED,
        "met",
        "in-range",
    ),
    Row(
        "the adjusted weight is the actual one under the ideal one",
        (MAN50, CREA, kg("60 kg"), lab("height", "180 cm", DAY)),
        ADJUSTED,
        "not-met",
        "out-of-range",
    ),
    Row("an unreadable height", (MAN50, CREA, KG, lab("height", "180", DAY)), IDEAL, "unknown", "no-unit"),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_creatinine_clearance(row: Row) -> None:
    check(row)


def test_a_weight_that_may_be_the_nearest_leaves_the_clearance_open() -> None:
    found = result(CRCL, MAN50, CREA, kg("60 kg", "2025"), kg("72 kg", "2025-05-20"))
    assert said(result(CRCL, MAN50, CREA, kg("60 kg", "2025-05-28"), kg("72 kg", "2025-05-20")))[0] == "not-met"
    assert found.verdict.value == "unknown"


def test_a_masked_weight_is_restricted() -> None:
    found = result(CRCL, MAN50, CREA, lab("weight", None, DAY, absent="masked"), kg("72 kg", "2025-05-20"))
    assert said(found) == ("unknown", "restricted")


def test_two_weights_of_one_instant_that_disagree_conflict() -> None:
    assert said(result(CRCL, MAN50, CREA, kg("71 kg"), kg("73 kg"))) == ("unknown", "conflicting")


def test_an_amended_weight_with_a_modifier_is_not_used_in_silence() -> None:
    assert said(result(CRCL, MAN50, CREA, kg("72 kg", flaws=(Flaw.MODIFIER,)))) == ("unknown", "modifier")


def test_a_clearance_that_somebody_else_computed_is_set_aside() -> None:
    found = relma_results(MAN50, CREA, KG, lab("egfr_not_crcl", "30 mL/min/{1.73_m2}", DAY)).find("creatinine-clearance")
    assert found is not None and found.verdict.value == "met"
    assert [entry.why for entry in found.set_aside] == ["supporting only"]


def test_the_evidence_names_age_sex_weight_and_their_sources() -> None:
    found = result(CRCL, MAN50, CREA, KG)
    assert [e.reference for e in found.evidence] == [CREA.reference, KG.reference]
    assert "age 50 a, male, 72 kg" in found.evidence[0].note
    assert (found.evidence[0].compared, found.evidence[0].limit) == ("50 mL/min", ">= 50 mL/min")
    open_age = result(CRCL, person("1975"), CREA, KG)
    assert "age 49 to 50 a" in open_age.evidence[0].note


def test_other_weights_are_noted_where_they_would_change_the_verdict() -> None:
    found = relma_results(MAN50, lab("creatinine", "1.80 mg/dL", DAY), kg("72 kg"), lab("height", "160 cm", DAY)).find(
        "creatinine-clearance"
    )
    assert found is not None and found.reading == "actual-weight"
    assert "the reading ideal-weight would give not-met" in found.notes


def test_the_weight_may_stand_in_pounds() -> None:
    assert said(result(CRCL, MAN50, CREA, kg("158.8 lb")))[0] == "met"
