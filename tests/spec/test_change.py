"""The change between two results: which pair, of which kind, relative or absolute."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from fhir_elig import derive
from fhir_elig.quantity import point
from fhir_elig.record import Counts, Flaw
from tests.spec.table import Row, answer, check, lab, not_final, relma_results, result, said, served
from tests.spec.words import Page

PAGE = Page(
    "Change",
    """
How much did a value rise or fall? Two results of one kind are compared: the latest one, and the oldest one of the months
before it. "By more than 10 %" may mean 10 % of the older value or 10 points of a percentage: the criterion says which
(`relative`). Results of different kinds are never compared with each other.
""",
    {"PAIRS": "Which two results are compared", "SORTS": "Kinds of result", "PEOPLE": "Scores that people measure and report"},
)

DATA = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())
OLD, NEW = "2025-01-10", "2025-05-20"
KINDS = """
    kinds:
      - {analyte: fvc, concepts: [fvc]}
      - {analyte: fvc, concepts: [fvc_post_bronchodilator]}
      - {analyte: fvc-percent-predicted, concepts: [fvc_percent_predicted, fvc]}"""
FVC = f"change:{KINDS}\n    direction: decrease\n    relative: true\n    more-than: 10 %\n    window: {{before: 6 mo}}\n    baseline: 6 mo"
POINTS = "change: {kinds: [{analyte: fvc-percent-predicted, concepts: [fvc_percent_predicted, fvc]}], direction: decrease, more-than: 10 %, window: {before: 6 mo}, baseline: 6 mo}"
MRSS = "change: {kinds: [{analyte: mrss, concepts: [mrss]}], direction: increase, at-least: 3, window: {before: 6 mo}, baseline: 6 mo, measurable: true}"
LITRES = "change: {kinds: [{analyte: fvc, concepts: [fvc]}], direction: decrease, at-least: 0.5 L, window: {before: 6 mo}, baseline: 6 mo}"
LATER = "change: {kinds: [{analyte: mrss, concepts: [mrss]}], direction: increase, at-least: 3, window: {milestone: enrollment, before: 6 mo}, baseline: 6 mo}"


def fvc(sent: str, on: str | None, **more: Any) -> Any:
    return lab("fvc", sent, on, **more)


def mrss(sent: str, on: str | None, **more: Any) -> Any:
    return lab("mrss", sent, on, **more)


def series(name: str, percent: str, sent: list[str | None] | None, unit: str) -> list[Any]:
    """Two values of a vector, the older one first; a value in % of predicted has its own concept."""
    found = []
    for text, on in zip(sent or (), (OLD, NEW), strict=False):
        if text is not None:
            amount, _, said_unit = text.partition(" ")
            predicted = said_unit == "% predicted"
            found.append(lab(percent if predicted else name, f"{amount} {'%' if predicted else said_unit or unit}", on))
    return found


@pytest.mark.parametrize("vector", DATA["lung_decline"]["vectors"], ids=lambda vector: vector["id"])
def test_the_lung_vectors_through_the_protocol(vector: dict[str, Any]) -> None:
    sent = vector["inputs"]
    facts = [
        *series("fvc", "fvc_percent_predicted", sent["fvc"], "L"),
        *series("dlco", "dlco_percent_predicted", sent["dlco"], "mL/min/mm[Hg]"),
    ]
    found = relma_results(*facts)
    got = {name: found.find(name).verdict.value for name in vector["verdicts"]}  # type: ignore[union-attr]
    assert got == vector["verdicts"]
    points = relma_results(*facts, decisions={"fvc-decline-10": "points-of-percent-predicted"}).find("fvc-decline-10")
    if "absolute_reading_fvc_10" in vector:
        assert points is not None and points.verdict.value == vector["absolute_reading_fvc_10"]


@pytest.mark.parametrize("vector", DATA["lung_decline"]["vectors"], ids=lambda vector: vector["id"])
def test_the_formula_gives_the_lung_vectors_exactly(vector: dict[str, Any]) -> None:
    for name in ("fvc", "dlco"):
        pair = [Fraction(Decimal(re.split(" ", text)[0])) for text in vector["inputs"][name] or () if text is not None]
        if len(pair) == 2:
            old, new = (point(number) for number in pair)
            due = Fraction(vector["expected"][f"{name}_relative_percent"]["fraction"])
            assert derive.change(old, new, relative=True, decrease=True) == point(due)
    if "fvc_absolute" in vector["expected"]:
        old, new = (point(Fraction(Decimal(text.split(" ")[0]))) for text in vector["inputs"]["fvc"])
        due = Fraction(vector["expected"]["fvc_absolute"]["fraction"])
        assert derive.change(old, new, relative=False, decrease=True) == point(due)


@pytest.mark.parametrize("vector", DATA["mrss"]["vectors"], ids=lambda vector: vector["id"])
def test_the_skin_score_vectors_through_the_protocol(vector: dict[str, Any]) -> None:
    facts = [mrss(str(sent), on) for sent, on in zip(vector["inputs"], (OLD, NEW), strict=True) if sent is not None]
    found = relma_results(*facts).find("mrss-increase")
    assert found is not None and found.verdict.value == vector["verdict"]
    assert "reason" not in vector or found.reason.value == vector["reason"]


PAIRS = [
    Row(
        "the oldest value of the months before the latest is the baseline",
        (fvc("3.0 L", OLD), fvc("2.9 L", "2025-03-01"), fvc("2.6 L", NEW)),
        FVC,
        "met",
        "in-range",
    ),
    Row(
        "from the oldest none, from a later one there is",
        (fvc("2.8 L", OLD), fvc("3.2 L", "2025-03-01"), fvc("2.84 L", NEW)),
        FVC,
        "unknown",
        "ambiguous-protocol",
    ),
    Row(
        "from no earlier value",
        (fvc("2.8 L", OLD), fvc("2.9 L", "2025-03-01"), fvc("2.8 L", NEW)),
        FVC,
        "not-met",
        "out-of-range",
    ),
    Row(
        "a later value that cannot be read leaves it open",
        (fvc("2.8 L", OLD), fvc("2.9", "2025-03-01"), fvc("2.8 L", NEW)),
        FVC,
        "unknown",
        "no-unit",
    ),
    Row(
        "a fall that is less than the limit by a hair", (fvc("3 L", OLD), fvc("2.7000001 L", NEW)), FVC, "not-met", "out-of-range"
    ),
    Row("one value only", (fvc("2.8 L", NEW),), FVC, "unknown", "not-found"),
    Row("none", (), FVC, "unknown", "not-found"),
    Row("the latest is too old", (fvc("2.8 L", "2024-11-30"), fvc("3.0 L", "2024-10-01")), FVC, "unknown", "too-old"),
    Row(
        "the latest on the first day of the window",
        (fvc("2.5 L", "2024-12-01"), fvc("3.0 L", "2024-06-01")),
        FVC,
        "met",
        "in-range",
    ),
    Row("a baseline a day too early", (fvc("2.5 L", "2024-12-01"), fvc("3.0 L", "2024-05-31")), FVC, "unknown", "not-found"),
    Row("a preliminary latest", (fvc("3.0 L", OLD), fvc("2.5 L", NEW, **not_final())), FVC, "unknown", "not-found"),
    Row("a preliminary one only", (fvc("2.5 L", NEW, **not_final()),), FVC, "unknown", "not-final"),
    Row(
        "a latest without a unit is not skipped",
        (fvc("3.0 L", OLD), fvc("2.9 L", "2025-03-01"), fvc("2.5", NEW)),
        FVC,
        "unknown",
        "no-unit",
    ),
    Row("a baseline without a date may lie anywhere", (fvc("3.0 L", None), fvc("2.5 L", NEW)), FVC, "unknown", "imprecise-date"),
    Row("a baseline known to the month", (fvc("3.0 L", "2025-01"), fvc("2.5 L", NEW)), FVC, "met", "in-range"),
    Row("a baseline known to the year", (fvc("3.0 L", "2024"), fvc("2.5 L", NEW)), FVC, "unknown", "imprecise-date"),
    Row(
        "a latest known to the month, which holds the other",
        (fvc("3.0 L", "2025-05-03"), fvc("2.5 L", "2025-05")),
        FVC,
        "unknown",
        "imprecise-date",
    ),
    Row(
        "two baselines of one instant on both sides",
        (fvc("3.0 L", OLD), fvc("2.6 L", OLD), fvc("2.5 L", NEW)),
        FVC,
        "unknown",
        "conflicting",
    ),
    Row(
        "two latest of one instant on both sides",
        (fvc("3.0 L", OLD), fvc("2.5 L", NEW), fvc("2.9 L", NEW)),
        FVC,
        "unknown",
        "conflicting",
    ),
    Row("two latest that agree", (fvc("3.0 L", OLD), fvc("2.5 L", NEW), fvc("2.4 L", NEW)), FVC, "met", "in-range"),
    Row("two of one instant are no change", (fvc("3.0 L", NEW), fvc("2.5 L", NEW)), FVC, "unknown", "not-found"),
    Row("exactly at a strict limit", (fvc("3.20 L", OLD), fvc("2.88 L", NEW)), FVC, "not-met", "out-of-range"),
    Row("a bound of the latest", (fvc("3.0 L", OLD), fvc("<2.5 L", NEW)), FVC, "met", "in-range"),
    Row("a bound that leaves it open", (fvc("3.0 L", OLD), fvc("<2.9 L", NEW)), FVC, "unknown", "comparator"),
    Row("a rise is no fall", (fvc("2.5 L", OLD), fvc("3.0 L", NEW)), FVC, "not-met", "out-of-range"),
    Row(
        "a search that lost a page",
        (fvc("3.0 L", OLD), fvc("2.5 L", NEW), served("Observation", note="partial")),
        FVC,
        "unknown",
        "incomplete",
    ),
    Row("a modifier", (fvc("3.0 L", OLD), fvc("2.5 L", NEW, flaws=(Flaw.MODIFIER,))), FVC, "unknown", "modifier"),
    Row("an absolute fall in the analyte's unit", (fvc("3.0 L", OLD), fvc("2500 mL", NEW)), LITRES, "met", "in-range"),
    Row("a milestone without a date", (mrss("18", OLD), mrss("21", NEW)), LATER, "unknown", "pending-event"),
    Row(
        "days to come may bring a later value",
        (mrss("18", OLD), mrss("21", NEW)),
        LATER,
        "unknown",
        "pending-event",
        {"events": {"enrollment": "2025-06-10"}},
    ),
    Row(
        "each of two values lies in the window on some days of the milestone's month, and none on all of them",
        (mrss("18", "2024-12-09"), mrss("18", "2025-05-01"), mrss("18", "2025-05-23")),
        LATER.replace("before: 6 mo", "before: 28 d"),
        "unknown",
        "imprecise-date",
        {"events": {"enrollment": "2025-05"}},
    ),
]

SORTS = [
    Row(
        "litres go before percent",
        (
            fvc("3.0 L", OLD),
            fvc("2.9 L", NEW),
            lab("fvc_percent_predicted", "80 %", OLD),
            lab("fvc_percent_predicted", "60 %", NEW),
        ),
        FVC,
        "not-met",
        "out-of-range",
    ),
    Row(
        "percent where litres are not there twice",
        (fvc("2.9 L", NEW), lab("fvc_percent_predicted", "80 %", OLD), lab("fvc_percent_predicted", "60 %", NEW)),
        FVC,
        "met",
        "in-range",
    ),
    Row(
        "never litres against percent",
        (fvc("3.0 L", OLD), lab("fvc_percent_predicted", "60 %", NEW)),
        FVC,
        "unknown",
        "conflicting",
    ),
    Row(
        "never before against after the bronchodilator",
        (fvc("3.0 L", OLD), lab("fvc_post_bronchodilator", "2.5 L", NEW)),
        FVC,
        "unknown",
        "conflicting",
    ),
    Row("the unit tells the kind, not the code", (fvc("80 %", OLD), fvc("60 %", NEW)), FVC, "met", "in-range"),
    Row(
        "a predicted value is a norm",
        (lab("fvc_predicted", "3.0 L", OLD), lab("fvc_predicted", "2.0 L", NEW)),
        FVC,
        "unknown",
        "not-found",
    ),
    Row("a reported change is never used", (lab("fvc_change", "-20 %", NEW),), FVC, "unknown", "not-found"),
    Row("another method", (fvc("3.0 L", OLD, method="a"), fvc("2.5 L", NEW, method="b")), FVC, "unknown", "conflicting"),
    Row("a method that is told once", (fvc("3.0 L", OLD, method="a"), fvc("2.5 L", NEW)), FVC, "met", "in-range"),
    Row("a unit that no kind reads", (fvc("3.0 L", OLD), fvc("2.5 furlong", NEW)), FVC, "unknown", "unit-unknown"),
    Row(
        "points of percent, absolute",
        (lab("fvc_percent_predicted", "80 %", OLD), lab("fvc_percent_predicted", "70 %", NEW)),
        POINTS,
        "not-met",
        "out-of-range",
    ),
    Row(
        "points of percent, more",
        (lab("fvc_percent_predicted", "80 %", OLD), lab("fvc_percent_predicted", "69.9 %", NEW)),
        POINTS,
        "met",
        "in-range",
    ),
]

PEOPLE = [
    Row("a measured score that somebody stated", (mrss("18", OLD), answer("c", 21, NEW)), MRSS, "met", "in-range"),
    Row("both stated", (answer("c", 18, OLD), answer("c", Decimal(20), NEW)), MRSS, "not-met", "out-of-range"),
    Row(
        "a stated one that is too old serves as baseline",
        (answer("c", 18, "2024-11-25"), mrss("21", "2025-05-01")),
        MRSS,
        "met",
        "in-range",
    ),
    Row(
        "one stated after the run",
        (mrss("18", OLD), mrss("19", NEW), answer("c", 30, "2025-06-09")),
        MRSS,
        "not-met",
        "out-of-range",
    ),
    Row("a yes is no score", (mrss("18", OLD), answer("c", True, NEW)), MRSS, "unknown", "not-found"),
    Row("a score of something else", (lab("not_mrss", "4", OLD), lab("not_mrss", "1", NEW)), MRSS, "unknown", "not-found"),
]


@pytest.mark.parametrize("row", [*PAIRS, *SORTS, *PEOPLE], ids=str)
def test_change(row: Row) -> None:
    check(row)


def test_a_stated_value_counts_only_where_the_criterion_can_be_answered_by_a_measure() -> None:
    unasked = MRSS.replace(", measurable: true", "")
    assert said(result(unasked, answer("c", 18, OLD), answer("c", 21, NEW))) == ("unknown", "not-found")


def test_an_unsound_stated_value_does_not_count() -> None:
    """A draft, or an answer under a modifier that nobody understands, is no measured value."""
    draft = answer("c", 30, NEW, counts=Counts.NO, status="in-progress")
    assert said(result(MRSS, mrss("18", OLD), mrss("19", "2025-05-01"), draft)) == ("not-met", "out-of-range")


def test_the_evidence_names_baseline_and_latest_and_the_change() -> None:
    found = result(FVC, fvc("3.20 L", OLD), fvc("2.87 L", NEW))
    assert [(e.received, e.time) for e in found.evidence] == [("3.20 L", OLD), ("2.87 L", NEW)]
    assert (found.evidence[0].note, found.evidence[1].limit) == ("baseline", "> 10 %")
    assert found.evidence[1].compared.startswith("10.31")
    points = result(POINTS, fvc("80 %", OLD), fvc("60 %", NEW)).evidence[1]
    assert (points.compared, points.note) == ("20 %", "fall from the baseline")
    assert result(MRSS, mrss("18", OLD), mrss("21", NEW)).evidence[1].compared == "3"
    assert "to" in result(FVC, fvc("3.0 L", OLD), fvc("2.4-2.5 L", NEW)).evidence[1].compared


def test_the_last_of_two_kinds_says_so() -> None:
    found = result(FVC, fvc("3.0 L", OLD), lab("fvc_percent_predicted", "60 %", NEW))
    assert "different kinds" in found.notes[0]
    assert "one value only" in result(FVC, fvc("3.0 L", NEW)).notes


def skin(old: str, new: str) -> tuple[Any, ...]:
    return mrss("18", old), mrss("21", new)


def lungs(old: str, new: str, to: str = "2.5 L") -> tuple[Any, ...]:
    return fvc("3.0 L", old), fvc(to, new)


def test_progressive_is_met_where_both_readings_are() -> None:
    found = relma_results(*skin(OLD, NEW), *lungs(OLD, NEW)).find("progressive")
    assert said(found) == ("met", "in-range")


def test_progressive_is_ambiguous_where_one_is_met_and_one_is_not() -> None:
    found = relma_results(*skin(OLD, NEW), *lungs(OLD, NEW, "3.0 L")).find("progressive")
    assert said(found) == ("unknown", "ambiguous-protocol")


def test_progressive_is_not_met_where_neither_is() -> None:
    found = relma_results(mrss("18", OLD), mrss("18", NEW), *lungs(OLD, NEW, "3.0 L")).find("progressive")
    assert said(found) == ("not-met", "out-of-range")


def test_progressive_is_ambiguous_where_the_dates_fit_in_no_span_of_six_months() -> None:
    found = relma_results(*skin("2024-07-01", "2024-12-15"), *lungs(OLD, NEW)).find("progressive")
    assert said(found) == ("unknown", "ambiguous-protocol")
    assert any("no single span of 6 mo" in note for note in found.notes)  # type: ignore[union-attr]


def test_progressive_with_one_open_has_the_reason_of_the_open_one() -> None:
    found = relma_results(*skin(OLD, NEW)).find("progressive")
    assert said(found) == ("unknown", "not-found")


def test_a_site_that_reads_or_settles_it() -> None:
    found = relma_results(*skin(OLD, NEW), decisions={"progressive": "any-of"}).find("progressive")
    assert said(found) == ("met", "in-range")


def test_what_would_settle_it_are_two_results() -> None:
    settled = result(FVC).settled_by
    assert settled is not None
    assert settled.window == "two results, the latest 6 mo before screening, the other up to 6 mo before it"
