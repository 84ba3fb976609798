"""Age in completed years, from partial birth dates too, at a milestone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fhir_elig.assessment import assess
from fhir_elig.record import Flaw, Record
from tests.spec.table import (
    Row,
    assessed,
    chart,
    check,
    person,
    protocol,
    relma,
    relma_results,
    result,
    run,
    said,
    when,
)
from tests.spec.words import Page

PAGE = Page(
    "Age",
    """
Age is counted in completed years, from the birthday on. A birth date may be known to the month or the year only: then the
age is a span, and a limit inside that span leaves the criterion unknown. An age above 120 years, or a birth after the day
of the run, is not believed.
""",
)

AGE = "age: {at-least: 18 a, at-most: 65 a}"
VECTORS = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())["age"]["vectors"]

ROWS = [
    Row("the 18th birthday is inside", (person("2007-06-01"),), AGE, "met", "in-range"),
    Row("the day before it is not", (person("2007-06-02"),), AGE, "not-met", "out-of-range"),
    Row("the last day at 65 is inside", (person("1959-06-02"),), AGE, "met", "in-range"),
    Row("the 66th birthday is not", (person("1959-06-01"),), AGE, "not-met", "out-of-range"),
    Row("a month that holds the 18th birthday decides nothing", (person("2007-06"),), AGE, "unknown", "imprecise-date"),
    Row("a month before it decides", (person("2007-05"),), AGE, "met", "in-range"),
    Row("a modifier on the patient", (person("1980-01-01", flaws=(Flaw.MODIFIER,)),), AGE, "unknown", "modifier"),
    Row("no birth date: nothing is known", (person(None),), AGE, "unknown", "not-found"),
    Row("born after the day of the run", (person("2026-01-01"),), AGE, "unknown", "implausible"),
    Row("born tomorrow", (person("2025-06-02"),), AGE, "unknown", "implausible"),
    Row("121 years old", (person("1904-05-31"),), AGE, "unknown", "implausible"),
    Row("120 years old is believed", (person("1904-06-02"),), AGE, "not-met", "out-of-range"),
    Row("a milestone without a date is waited for", (), "age: {at-least: 18 a, at: enrollment}", "unknown", "pending-event"),
    Row(
        "the age at a milestone is that of its day",
        (person("2007-06-10"),),
        "age: {at-least: 18 a, at: enrollment}",
        "met",
        "in-range",
        {"events": {"enrollment": "2025-06-10"}},
    ),
    Row(
        "a milestone known to the month leaves the birthday open",
        (person("2007-06-10"),),
        "age: {at-least: 18 a, at: enrollment}",
        "unknown",
        "imprecise-date",
        {"events": {"enrollment": "2025-06"}},
    ),
    Row("only an upper limit", (person("1900-01-01"),), "age: {at-most: 65 a}", "unknown", "implausible"),
    Row("only a lower limit", (person("1930-01-01"),), "age: {at-least: 18 a}", "met", "in-range"),
]


def test_who_cannot_be_read_without_doubt_may_be_alive() -> None:
    found = assessed(AGE, person("1980-01-01", deceased=True, flaws=(Flaw.MODIFIER,))).find("alive")
    assert said(found) == ("unknown", "modifier") and found is not None
    assert found.settled_by is not None and found.settled_by.resource == "Patient"


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_age(row: Row) -> None:
    check(row)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_the_published_ages(vector: dict[str, object]) -> None:
    found = result(AGE, person(str(vector["birthDate"])), as_of=str(vector["screening"]))
    years = vector["expected"]
    shown = f"{years[0]} to {years[1]} a" if isinstance(years, list) else f"{years} a"
    assert (found.verdict.value, found.evidence[0].compared) == (vector["verdict"], shown)
    whole = relma_results(person(str(vector["birthDate"])), as_of=str(vector["screening"])).find("age")
    assert whole is not None and whole.verdict.value == vector["verdict"]


def test_without_a_patient_resource_the_age_is_not_found() -> None:
    bare = assess(relma(), Record(patient="p1", person=None), run())
    assert said(bare.find("age")) == ("unknown", "not-found")
    assert "no Patient resource" in bare.notes


def test_the_evidence_names_the_birth_date_as_sent_and_the_limit() -> None:
    evidence = result(AGE, person("1980")).evidence[0]
    assert (evidence.received, evidence.limit, evidence.reference) == ("1980", ">= 18 a and <= 65 a", "Patient/p1")


def test_a_stand_in_for_a_milestone_makes_the_verdict_provisional() -> None:
    found = assessed("age: {at-least: 18 a, at: baseline}", person("1980-01-01"))
    assert (found.find("c").provisional, found.provisional, found.milestones["baseline"]) == (True, True, "2025-06-01")  # type: ignore[union-attr]


def test_a_stand_in_gives_way_to_the_date_itself() -> None:
    found = assessed("age: {at-least: 18 a, at: baseline}", person("1980-01-01"), events={"baseline": "2025-05-01"})
    assert not found.provisional


def test_a_stand_in_without_a_date_of_its_own_is_waited_for() -> None:
    assert said(result("age: {at-least: 18 a, at: visit}")) == ("unknown", "pending-event")


def test_one_patients_own_milestone_goes_before_the_runs() -> None:
    shared = run(events={"enrollment": "2025-06-09"}, own_milestones={"p1": {"enrollment": when("2025-06-10")}})
    found = assess(protocol("age: {at-least: 18 a, at: enrollment}"), chart(person("2007-06-10")), shared)
    assert found.find("c").verdict.value == "met"  # type: ignore[union-attr]
