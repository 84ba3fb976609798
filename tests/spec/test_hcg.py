"""Answers of tests: negative or positive by code, text, number or interpretation; bands; slots; childbearing potential."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_elig.record import Coded, Flag, Flaw
from tests.spec.table import (
    EVERYTHING,
    WOMAN,
    Row,
    check,
    event,
    lab,
    limits,
    not_final,
    person,
    problem,
    relma_results,
    result,
    said,
)
from tests.spec.words import Page

PAGE = Page(
    "Answers of tests",
    """
A test such as the pregnancy test is negative or positive. That may be told by a code, by a text, by a number against
limits, or by the laboratory's interpretation. Where two of them contradict each other, or the number lies between the
limits, the answer is unclear.
""",
)

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())["hcg"]["vectors"]
BANDS = "answer: {is: negative, negative: {less-than: '5 [IU]/L'}, positive: {more-than: '25 [IU]/L'}}"
HCG = f"value: {{concepts: [hcg_serum_quant, hcg_serum_qual, hcg_serum_mass_or_molar], {BANDS}, set-aside: [hcg_urine], window: {{before: 28 d}}}}"
POSITIVE = "value: {concepts: [hcg_serum_qual], answer: {is: positive}, pick: any}"
V3 = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation|"
SCT = "http://snomed.info/sct|"


def quant(sent: Any, **more: Any) -> Any:
    return lab("hcg_serum_quant", sent, **more)


def qual(sent: Any, **more: Any) -> Any:
    return lab("hcg_serum_qual", sent, **more)


def vector_fact(vector: dict[str, Any]) -> Any:
    received: str = vector["received"]
    if received.startswith("SNOMED"):
        return qual(Coded(codes=(SCT + received.split()[1],)))
    if received.startswith("text"):
        return qual(Coded(text=received.removeprefix("text ")))
    if received.startswith("urine"):
        return lab("http://loinc.org|2106-3", Coded(text="negative"))
    sent, _, bound = received.partition(" with its own reference range < ")
    return quant(sent, **(limits(None, f"{bound} [IU]/L") if bound else {}))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_the_vectors(vector: dict[str, Any]) -> None:
    found = result(HCG, WOMAN, vector_fact(vector))
    due = {"negative": "met", "positive": "not-met"}.get(vector["expected"], "unknown")
    assert found.verdict.value == due
    if vector["expected"] == "set aside":
        assert [s.why for s in found.set_aside] == ["another kind of test"]


CODED = [
    Row("the grey zone", (quant("10 [IU]/L"),), HCG, "unknown", "comparator"),
    Row(
        "a code and words that nobody lists",
        (qual(Coded(codes=(SCT + "260385009",), text="by assay B")),),
        HCG,
        "met",
        "in-range",
    ),
    Row(
        "a code and words that are known to be unclear",
        (qual(Coded(codes=(SCT + "260385009",), text="weakly positive")),),
        HCG,
        "unknown",
        "not-numeric",
    ),
    Row(
        "a code and a number that contradict each other",
        (quant(Coded(codes=(SCT + "10828004",), text="3 [IU]/L")),),
        HCG,
        "unknown",
        "conflicting",
    ),
    Row(
        "a code and a number that no unit gives a meaning",
        (quant(Coded(codes=(SCT + "260385009",), text="300")),),
        HCG,
        "unknown",
        "no-unit",
    ),
    Row(
        "a code and a number that nobody would believe",
        (quant(Coded(codes=(SCT + "260385009",), text="2000000 [IU]/L")),),
        HCG,
        "unknown",
        "implausible",
    ),
    Row(
        "a code that is known to be unclear and a number",
        (quant(Coded(codes=(SCT + "419984006",), text="3 [IU]/L")),),
        HCG,
        "unknown",
        "not-numeric",
    ),
    Row("a code and a number that agree", (quant(Coded(codes=(SCT + "260385009",), text="3 [IU]/L")),), HCG, "met", "in-range"),
    Row(
        "codes that contradict each other",
        (qual(Coded(codes=(SCT + "260385009", SCT + "260373001"))),),
        HCG,
        "unknown",
        "conflicting",
    ),
    Row(
        "a code and words that contradict each other",
        (qual(Coded(codes=(SCT + "260373001",), text="negative")),),
        HCG,
        "unknown",
        "conflicting",
    ),
    Row(
        "a number that is asked to be positive",
        (quant("30 [IU]/L"),),
        HCG.replace("is: negative", "is: positive"),
        "met",
        "in-range",
    ),
    Row("positive in words", (qual("Positive"),), HCG, "not-met", "out-of-range"),
    Row("words with spaces around them", (qual(Coded(text="  NEGATIVE ")),), HCG, "met", "in-range"),
    Row("a part of the words never counts", (qual("not negative"),), HCG, "unknown", "not-numeric"),
    Row("a boolean: not detected", (qual(Flag(False)),), HCG, "met", "in-range"),
    Row("a boolean: detected", (qual(Flag(True)),), HCG, "not-met", "out-of-range"),
    Row("a number that means a quality", (quant(Coded(text="NEG")),), HCG, "met", "in-range"),
    Row("without a unit", (quant("3"),), HCG, "unknown", "no-unit"),
    Row("in mass there is no exact factor", (lab("hcg_serum_mass_or_molar", "0.1 ng/mL"),), HCG, "unknown", "unit-unknown"),
    Row(
        "an interpretation that contradicts the value",
        (quant("3 [IU]/L", interpretation=(V3 + "POS",)),),
        HCG,
        "unknown",
        "conflicting",
    ),
    Row(
        "two interpretations, of which one contradicts the value",
        (qual("negative", interpretation=(V3 + "NEG", V3 + "DET")),),
        HCG,
        "unknown",
        "conflicting",
    ),
    Row("an interpretation that agrees", (quant("3 [IU]/L", interpretation=(V3 + "NEG",)),), HCG, "met", "in-range"),
    Row("normal is not negative", (qual("see comment", interpretation=(V3 + "N",)),), HCG, "unknown", "not-numeric"),
    Row(
        "a value goes before an interpretation",
        (qual("see comment", interpretation=(V3 + "NEG",)),),
        HCG,
        "unknown",
        "not-numeric",
    ),
    Row("below its own limit", (quant("3 [IU]/L", **limits(None, "4 [IU]/L")),), HCG, "met", "in-range"),
    Row("at its own limit", (quant("4 [IU]/L", **limits(None, "4 [IU]/L")),), HCG, "met", "in-range"),
    Row("a bound against its own limit", (quant("<5 [IU]/L", **limits(None, "4 [IU]/L")),), HCG, "unknown", "comparator"),
    Row("preliminary", (quant("3 [IU]/L", **not_final()),), HCG, "unknown", "not-final"),
    Row("urine never counts", (lab("hcg_urine", "negative"),), HCG, "unknown", "not-found"),
    Row(
        "the latest in the window",
        (quant("3 [IU]/L", on="2025-05-20"), qual("positive", on="2025-05-25")),
        HCG,
        "not-met",
        "out-of-range",
    ),
    Row("asked for a positive one", (qual("positive"),), POSITIVE, "met", "in-range"),
    Row("asked for a positive one, found none", (qual("negative"),), POSITIVE, "not-met", "out-of-range"),
    Row("an unclear answer of a qualitative test", (qual("weakly positive"),), HCG, "unknown", "not-numeric"),
    Row("no value, but an interpretation that says it", (qual(None, interpretation=(V3 + "NEG",)),), HCG, "met", "in-range"),
    Row(
        "no value, but an interpretation of long ago",
        (qual(None, on="2025-01-10", interpretation=(V3 + "NEG",)),),
        HCG,
        "unknown",
        "too-old",
    ),
    Row(
        "no value, and an interpretation that says nothing",
        (qual(None, interpretation=(V3 + "N",)),),
        HCG,
        "unknown",
        "not-found",
    ),
    Row(
        "interpretations that contradict each other",
        (qual(None, interpretation=(V3 + "NEG", V3 + "POS")),),
        HCG,
        "unknown",
        "conflicting",
    ),
    Row("a qualitative test under a modifier", (qual("negative", flaws=(Flaw.MODIFIER,)),), HCG, "unknown", "modifier"),
    Row(
        "a coded answer of a measured test under a modifier",
        (quant(Coded(text="negative"), flaws=(Flaw.MODIFIER,)),),
        HCG,
        "unknown",
        "modifier",
    ),
]


@pytest.mark.parametrize("row", CODED, ids=str)
def test_answers(row: Row) -> None:
    check(row)


def test_a_masked_answer_is_restricted() -> None:
    assert said(result(HCG, qual(None, absent="masked"))) == ("unknown", "restricted")


@pytest.mark.parametrize(
    ("enrollment", "on", "verdict", "reason"),
    [
        ("2025-05-30", "2025-05-23", "met", "in-range"),
        ("2025-05-30", "2025-05-22", "unknown", "too-old"),
        ("2025-05-30", "2025-05-30", "met", "in-range"),
        ("2025-05-30", "2025-05-31", "unknown", "not-found"),
    ],
)
def test_one_test_fills_every_slot_that_its_time_lies_in(enrollment: str, on: str, verdict: str, reason: str) -> None:
    facts = (WOMAN, problem("pregnancy", "2010", "2011"), quant("3 [IU]/L", on=on))
    found = relma_results(*facts, events={"enrollment": enrollment})
    assert said(found.find("hcg-enrollment")) == (verdict, reason)
    assert said(found.find("hcg-screening")) == ("met", "in-range")
    assert said(found.find("hcg-lymphodepletion")) == ("unknown", "pending-event")


CRITERION = "sex: {is: male}\n"
GUARD = [
    ("a man", (person(gender="male"),), "not-applicable"),
    ("a sterile woman", (WOMAN, problem("sterile")), "not-applicable"),
    ("a hysterectomy as a procedure", (WOMAN, event("sterile", "2010")), "not-applicable"),
    ("after the menopause, over 50", (person("1970-01-01", "female"), problem("menopause")), "not-applicable"),
    ("after the menopause, under 50", (WOMAN, problem("menopause")), "unknown"),
    ("premature ovarian failure at any age", (WOMAN, problem("ovarian_failure")), "not-applicable"),
    ("a proof of potential", (WOMAN, problem("pregnancy", "2020")), "not-found"),
    ("a proof before the operation", (WOMAN, problem("pregnancy", "2009", "2010"), event("sterile", "2015")), "not-applicable"),
    ("a proof after the operation", (WOMAN, problem("pregnancy", "2020"), event("sterile", "2015")), "conflicting"),
    ("a proof of no known time", (WOMAN, problem("pregnancy"), event("sterile", "2015")), "conflicting"),
    ("a sterile condition of no known time", (WOMAN, problem("pregnancy", "2020"), problem("sterile")), "conflicting"),
    ("only one ovary or the cervix", (WOMAN, problem("not_sterile")), "unknown"),
    ("a tubal ligation is not sterility", (WOMAN, problem("tubal_ligation")), "unknown"),
    ("menopausal symptoms are no menopause", (person("1970-01-01", "female"), problem("menopause_unclear")), "unknown"),
    ("nothing is known", (WOMAN,), "unknown"),
    ("age alone decides nothing", (person("1950-01-01", "female"),), "unknown"),
    ("sex unknown", (person(gender="unknown"),), "unknown"),
    ("lactation", (WOMAN, problem("lactation", "2025-01-01")), "not-found"),
    ("an old positive hCG", (WOMAN, quant("2000 [IU]/L", on="2015-01-01")), "not-found"),
    ("an old hCG in the grey zone proves nothing", (WOMAN, quant("20 [IU]/L", on="2015-01-01")), "unknown"),
    ("an old positive test", (WOMAN, qual("positive", on="2015-01-01")), "not-found"),
]


@pytest.mark.parametrize(("holds", "facts", "due"), GUARD, ids=[case[0] for case in GUARD])
def test_childbearing_potential(holds: str, facts: tuple[Any, ...], due: str) -> None:
    """By the lactation criterion and the test at screening: not applicable, known to apply (`due` is then a reason), or open."""
    found = relma_results(*facts, *EVERYTHING).find("pregnancy-test")
    assert found is not None
    if due == "not-applicable":
        assert found.verdict.value == "not-applicable"
        return
    assert found.verdict.value == "unknown"
    negative = lab("hcg_serum_qual", "negative")
    tested = relma_results(*facts, negative, *EVERYTHING).find("hcg-screening")
    assert tested is not None and tested.verdict.value == "met"
    assert tested.conditional is (due in ("unknown", "conflicting"))


def test_a_negative_test_satisfies_a_woman_of_unknown_potential_and_a_positive_one_does_not_fail_her() -> None:
    dates = {"events": {"lymphodepletion": "2025-05-30T10:00:00Z"}}
    both = (WOMAN, lab("hcg_serum_qual", "negative", "2025-05-29"))
    found = relma_results(*both, **dates).find("pregnancy-test")
    assert found is not None and (found.verdict.value, found.conditional) == ("met", True)
    sterile = relma_results(WOMAN, problem("sterile"), lab("hcg_serum_qual", "positive", "2025-05-29"), **dates).find(
        "pregnancy-test"
    )
    assert said(sterile)[0] in ("not-applicable", "unknown")


def test_a_positive_test_of_a_woman_with_potential_can_be_repeated() -> None:
    found = relma_results(WOMAN, problem("pregnancy", "2020"), lab("hcg_serum_qual", "positive")).find("hcg-screening")
    assert found is not None and (said(found), found.recoverable) == (("not-met", "out-of-range"), True)
