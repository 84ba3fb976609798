"""Evidence for a state against evidence for its end: which side decides, and when they contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_elig.record import Counts
from tests.spec.table import Row, check, event, lab, problem, result, served
from tests.spec.words import Page

PAGE = Page(
    "Evidence for and against",
    """
Some states begin and end: a woman may bear children until she is sterile. Records for such a state are held against records
of what ended it. One side alone decides. Where both are found, the state is over if all that speaks for it is older than what
ended it; else the chart contradicts itself.
""",
)

WEIGH = "weigh: {for: [{condition: {concepts: [pneumonia]}}], against: [{event: {procedures: [sterile]}}], question: can she?}"
UNSURE: dict[str, Any] = {"counts": Counts.UNCONFIRMED, "verification": "provisional"}


def for_it(on: str | None, **more: Any) -> Any:
    return problem("pneumonia", on, **more)


def ended(on: str | None, **more: Any) -> Any:
    return event("sterile", on, **more)


SIDES = [
    Row("only records for it", (for_it("2020-01-01"),), WEIGH, "met", "present"),
    Row("only a record of its end", (ended("2020-01-01"),), WEIGH, "not-met", "present"),
    Row("neither", (), WEIGH, "unknown", "not-found"),
    Row("its end came later", (for_it("2020-01-01"), ended("2020-01-02")), WEIGH, "not-met", "present"),
    Row("its end came before", (for_it("2020-01-02"), ended("2020-01-01")), WEIGH, "unknown", "conflicting"),
    Row("its end came on the same day", (for_it("2020-01-01"), ended("2020-01-01")), WEIGH, "unknown", "conflicting"),
    Row("its end came in the same year, by one date", (for_it("2020"), ended("2020-06-01")), WEIGH, "unknown", "conflicting"),
    Row("its end has no date", (for_it("2020-01-01"), ended(None)), WEIGH, "unknown", "conflicting"),
    Row("records for it have no date", (for_it(None), ended("2020-01-01")), WEIGH, "unknown", "conflicting"),
    Row("an unconfirmed record for it, and no end", (for_it("2020-01-01", **UNSURE),), WEIGH, "unknown", "unconfirmed"),
    Row(
        "an unconfirmed record for it from before its end",
        (for_it("2020-01-01", **UNSURE), ended("2021-01-01")),
        WEIGH,
        "not-met",
        "present",
    ),
    Row(
        "an unconfirmed record for it from after its end",
        (for_it("2022-01-01", **UNSURE), ended("2021-01-01")),
        WEIGH,
        "unknown",
        "unconfirmed",
    ),
    Row(
        "an unconfirmed record of its end beside one for it",
        (for_it("2020-01-01"), ended("2021-01-01", counts=Counts.UNCONFIRMED)),
        WEIGH,
        "unknown",
        "unconfirmed",
    ),
]

TWO = """weigh:
  for: [{condition: {concepts: [pneumonia]}}, {value: {concepts: [hcg_serum_quant], more-than: '25 [IU]/L', pick: any}}]
  against: [{event: {procedures: [sterile]}}, {condition: {concepts: [gilbert]}}]
"""


def proof(on: str | None, sent: str = "30 [IU]/L") -> Any:
    return lab("hcg_serum_quant", sent, on)


FURTHER = [
    Row("one record for it is older than its end, one has no date", (for_it("2020-01-01"), for_it(None), ended("2021-01-01")), WEIGH,
        "unknown", "conflicting"),
    Row("one record for it is older than its end, an unconfirmed one is not",
        (for_it("2020-01-01"), for_it("2022-01-01", **UNSURE), ended("2021-01-01")), WEIGH, "unknown", "conflicting"),
    Row("two that are doubtful, one of them from after its end",
        (for_it("2020-01-01", **UNSURE), proof("2022-01-01", "30"), ended("2021-01-01")), TWO, "unknown", "unconfirmed"),
    Row("a result for it that has no unit beside one that proves it",
        (proof("2020-01-01"), proof("2022-01-01", "30"), ended("2021-01-01")), TWO, "unknown", "conflicting"),
    Row("a result for it that has no date", (proof("2020-01-01"), proof(None), ended("2021-01-01")), TWO, "unknown", "conflicting"),
    Row("its end, and an unconfirmed end from before all that speaks for it",
        (for_it("2020-01-01"), ended("2021-01-01"), problem("gilbert", "2019-01-01", **UNSURE)), TWO, "unknown", "unconfirmed"),
    Row("its end, and an unconfirmed end from after all that speaks for it",
        (for_it("2020-01-01"), ended("2021-01-01"), problem("gilbert", "2022-01-01", **UNSURE)), TWO, "not-met", "present"),
    Row("a lost page may hold a later record for it",
        (for_it("2020-01-01"), ended("2021-01-01"), served("Condition", note="partial")), WEIGH, "unknown", "conflicting"),
    Row("a lost page may hold a later result for it",
        (proof("2020-01-01"), ended("2021-01-01"), served("Observation", note="partial")), TWO, "unknown", "conflicting"),
    Row("a lost page may hold an earlier record of its end",
        (for_it("2020-01-01"), ended("2021-01-01"), served("Procedure", note="partial")), WEIGH, "unknown", "conflicting"),
]  # fmt: skip


@pytest.mark.parametrize("row", [*SIDES, *FURTHER], ids=str)
def test_evidence_for_and_against(row: Row) -> None:
    check(row)


def test_where_nothing_is_known_the_question_is_asked() -> None:
    assert result(WEIGH).notes == ("can she?",)
    assert result(WEIGH.replace(", question: can she?", "")).notes == ()


def test_all_evidence_that_decides_is_shown() -> None:
    first, second = for_it("2020-01-01"), for_it("2020-02-01")
    assert [e.reference for e in result(WEIGH, first, second).evidence] == [first.reference, second.reference]
    over = ended("2021-01-01")
    assert [e.reference for e in result(WEIGH, first, over).evidence] == [over.reference, first.reference]
