"""Which subtype of a disease is recorded: the ladder of evidence, first rung that applies."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_elig.record import Counts, Flaw, Problem, Refused
from tests.spec.table import EVERYTHING, LOCAL, Row, answer, check, problem, relma_results, result, said, served
from tests.spec.words import Page

PAGE = Page(
    "Subtype",
    """
Which subtype of a disease does the patient have? Evidence is looked through in a fixed order, from the strongest to the
weakest. Records that name two subtypes leave it open.
""",
)

SUBSET = "subtype: {wanted: [dcssc], other: [ssc_limited], open: [ssc_any, ssc_drug_induced], absence: closed}"
OPEN = SUBSET.replace("closed", "open")
ICD = "http://hl7.org/fhir/sid/icd-10-cm|"
SCT = "http://snomed.info/sct|"
UNSURE = {"counts": Counts.UNCONFIRMED, "verification": "provisional"}


def diffuse(on: str | None = "2020-01-01", **more: Any) -> Any:
    return problem(SCT + "128460000", on, **more)


def limited(on: str | None = "2020-01-01", **more: Any) -> Any:
    return problem(ICD + "M34.1", on, **more)


def unspecified(on: str | None = "2020-01-01", **more: Any) -> Any:
    return problem(ICD + "M34.9", on, **more)


LADDER = [
    Row("rung 2: diffuse", (diffuse(),), SUBSET, "met", "present"),
    Row("rung 2: diffuse of childhood", (problem(SCT + "1144925008"),), SUBSET, "met", "present"),
    Row("rung 2: diffuse, limited before it", (diffuse("2022-01-01"), limited("2020-01-01")), SUBSET, "met", "present"),
    Row("rung 2: diffuse and an open code", (diffuse(), unspecified("2024-01-01")), SUBSET, "met", "present"),
    Row("rung 2: inactive still says which", (diffuse(clinical="inactive"),), SUBSET, "met", "present"),
    Row(
        "rung 3: a limited code recorded later", (diffuse("2020-01-01"), limited("2022-01-01")), SUBSET, "unknown", "conflicting"
    ),
    Row("rung 3: a limited code of no known date", (diffuse(), limited(None)), SUBSET, "unknown", "conflicting"),
    Row("rung 3: a diffuse code of no known date", (diffuse(None), limited()), SUBSET, "unknown", "conflicting"),
    Row(
        "rung 3: recorded goes before onset",
        (diffuse("2010", recorded="2021-01-01"), limited("2020", recorded="2021-06-01")),
        SUBSET,
        "unknown",
        "conflicting",
    ),
    Row(
        "rung 3: a later limited code that is unconfirmed",
        (diffuse("2020-01-01"), limited("2022-01-01", **UNSURE)),
        SUBSET,
        "unknown",
        "unconfirmed",
    ),
    Row(
        "rung 2: an earlier limited code that is unconfirmed",
        (diffuse("2022-01-01"), limited("2020-01-01", **UNSURE)),
        SUBSET,
        "met",
        "present",
    ),
    Row("rung 4: limited", (limited(),), SUBSET, "not-met", "present"),
    Row(
        "rung 4: limited, an open code before it",
        (limited("2022-01-01"), unspecified("2020-01-01")),
        SUBSET,
        "not-met",
        "present",
    ),
    Row(
        "rung 4: limited, an open code after it",
        (limited("2020-01-01"), unspecified("2022-01-01")),
        SUBSET,
        "unknown",
        "conflicting",
    ),
    Row("rung 4: limited, with something unconfirmed", (limited(), diffuse(**UNSURE)), SUBSET, "unknown", "unconfirmed"),
    Row("rung 5: M34.0 is a name, and proves nothing", (problem(ICD + "M34.0"),), SUBSET, "unknown", "needs-person"),
    Row("rung 5: SNOMED's progressive is a name too", (problem(SCT + "444133002"),), SUBSET, "unknown", "needs-person"),
    Row("rung 5: drug-induced", (problem(ICD + "M34.2"),), SUBSET, "unknown", "needs-person"),
    Row("rung 6: unconfirmed only", (diffuse(**UNSURE),), SUBSET, "unknown", "unconfirmed"),
    Row("rung 7: a text", (problem("", text="diffuse SSc"), *EVERYTHING), SUBSET, "unknown", "unmapped"),
    Row("rung 7: a local code", (problem(LOCAL + "X"), *EVERYTHING), SUBSET, "unknown", "unmapped"),
    Row("rung 7: a code that may mean it", (problem(ICD + "M35.1"), *EVERYTHING), SUBSET, "unknown", "unmapped"),
    Row("rung 8: none, read to the end", EVERYTHING, SUBSET, "not-met", "absent"),
    Row("rung 8: another disease", (problem(ICD + "I10"), *EVERYTHING), SUBSET, "not-met", "absent"),
    Row("rung 8: morphea is none", (problem(ICD + "L94.0"), *EVERYTHING), SUBSET, "not-met", "absent"),
    Row("rung 8: refuted is none", (diffuse(counts=Counts.NEGATIVE), *EVERYTHING), SUBSET, "not-met", "absent"),
    Row("rung 9: nobody vouches", (), SUBSET, "unknown", "no-record"),
    Row("rung 9: not served", served("Condition", note="not-served"), SUBSET, "unknown", "no-record"),
    Row("where absence is open", EVERYTHING, OPEN, "unknown", "not-found"),
    Row(
        "a lost page may hold a later limited code",
        (diffuse(), served("Condition", note="partial")),
        SUBSET,
        "unknown",
        "incomplete",
    ),
    Row("a refused condition", (diffuse(), Refused("Condition/x", "Condition", "NaN")), SUBSET, "unknown", "incomplete"),
    Row("a modifier", (diffuse(flaws=(Flaw.MODIFIER,)),), SUBSET, "unknown", "modifier"),
]


@pytest.mark.parametrize("row", LADDER, ids=str)
def test_subtype(row: Row) -> None:
    check(row)


def test_one_record_that_is_coded_both_ways_contradicts_itself() -> None:
    torn = Problem(reference="Condition/x", codes=(SCT + "128460000", ICD + "M34.1"))
    assert said(result(SUBSET, torn)) == ("unknown", "conflicting")


def test_rung_1_an_answer_settles_what_is_open_and_flips_nothing() -> None:
    for told, verdict in ((True, "met"), (False, "not-met")):
        assert said(relma_results(unspecified(), answer("diffuse-subset", told)).find("diffuse-subset")) == (verdict, "attested")
    assert said(relma_results(diffuse(), answer("diffuse-subset", False)).find("diffuse-subset")) == ("met", "present")
    assert said(relma_results(limited(), answer("diffuse-subset", True)).find("diffuse-subset")) == ("not-met", "present")


def test_what_was_read_for_an_absence_and_what_is_asked_are_told() -> None:
    found = result(SUBSET.replace("closed", "closed, question: which one?"), EVERYTHING)
    assert found.notes == ("Condition was read to the end: no record of the disease",)
    assert found.settled_by is None or found.settled_by.question == "which one?"
    asked = result(SUBSET.replace("closed", "closed, question: which one?"), unspecified())
    assert asked.settled_by is not None and asked.settled_by.question == "which one?"


def test_the_question_is_asked_where_the_subtype_is_not_recorded() -> None:
    found = relma_results(unspecified()).find("diffuse-subset")
    assert found is not None and found.settled_by is not None
    assert "proximal to the elbows or knees" in found.settled_by.question
    assert [e.received for e in found.evidence] == [ICD + "M34.9"]


def test_a_record_that_may_mean_it_is_shown() -> None:
    found = result(SUBSET, problem("", text="systemic sclerosis, diffuse", ref="t"), *EVERYTHING)
    assert [(e.reference, e.received) for e in found.evidence] == [("Condition/t", "systemic sclerosis, diffuse")]


def test_a_clinicians_diagnosis_satisfies_the_classification() -> None:
    assert said(relma_results(unspecified()).find("ssc-classification")) == ("met", "present")
    assert said(relma_results(problem(ICD + "M34.2")).find("ssc-classification"))[0] == "unknown"
    assert said(relma_results(problem(ICD + "L94.0"), *EVERYTHING).find("ssc-classification"))[0] == "unknown"
