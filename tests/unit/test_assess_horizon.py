"""`valid_until`: the verdicts stand on the day before it and change on it, although nothing new is recorded."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from fhir_elig import horizon
from fhir_elig.record import Strength
from tests.pace import at_most
from tests.properties.charts import CRITERIA, DATES
from tests.spec.table import AS_OF, EVERYTHING, answer, assessed, contact, drug, event, lab, person, problem, relma_results

HB = CRITERIA["latest"]
AGE = CRITERIA["age"]


def verdicts(found: Any) -> dict[str, str]:
    return {result.id: result.verdict.value for result in found.walk()}


def stands(criterion: str, facts: tuple[Any, ...], until: str | None, **options: Any) -> None:
    """The assessment says that day; the day before it agrees with today, the day itself does not."""
    now = assessed(criterion, *facts, **options)
    assert now.valid_until == until
    if until is not None:
        before = (date.fromisoformat(until) - timedelta(1)).isoformat()
        assert verdicts(assessed(criterion, *facts, **{**options, "as_of": before})) == verdicts(now)
        assert verdicts(assessed(criterion, *facts, **{**options, "as_of": until})) != verdicts(now)


CASES = [
    ("a result grows too old", HB, (lab("hemoglobin", "100 g/L", "2025-05-28"),), "2025-06-26"),
    (
        "an older one would still agree, and grows too old later",
        HB,
        (lab("hemoglobin", "100 g/L", "2025-05-28"), lab("hemoglobin", "100 g/L", "2025-05-20")),
        "2025-06-26",
    ),
    (
        "of two that disagree the older one leaves",
        CRITERIA["all"],
        (lab("hemoglobin", "80 g/L", "2025-05-05"), lab("hemoglobin", "100 g/L")),
        "2025-06-06",
    ),
    (
        "months are clipped at their end",
        "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 1 mo}}",
        (lab("hemoglobin", "100 g/L", "2025-05-31"),),
        "2025-07-01",
    ),
    ("a birthday many years ahead", AGE, (person("1999-03-01"),), "2065-03-01"),
    ("a birthday", AGE, (person("2007-06-10"),), "2025-06-10"),
    ("the 66th birthday", AGE, (person("1959-08-01"),), "2025-08-01"),
    ("the first day on which a birthday may be past", AGE, (person("1959-08"),), "2025-08-01"),
    ("a birth date of a leap day", AGE, (person("2008-02-29"),), "2026-03-01"),
    ("nothing changes", "sex: {is: male}", (), None),
    ("nothing is known, and no day changes that", HB, (), None),
    ("the last day of an answer", "attestation: {question: q}", (answer("c", True, expires="2025-06-20"),), "2025-06-21"),
    ("an answer that grows old", CRITERIA["attestation"], (answer("c", True, "2025-05-30"),), "2025-06-14"),
    ("an answer from tomorrow on", "attestation: {question: q}", (answer("c", True, "2025-06-03"),), "2025-06-03"),
    ("a result from tomorrow on", HB, (lab("hemoglobin", "100 g/L", "2025-06-05"),), "2025-06-05"),
    ("a day of death to come", "sex: {is: male}", (person(died="2025-06-09"),), "2025-06-09"),
    ("a month of death to come", "sex: {is: male}", (person(died="2025-07"),), "2025-07-01"),
    (
        "a wash-out that ends",
        CRITERIA["event"],
        (
            drug("growth_factor_white", "2025-05-28", single=True, strength=Strength.ADMINISTERED),
            contact("2025-06-01"),
            *EVERYTHING,
        ),
        "2025-06-05",
    ),
    ("contact that grows old", CRITERIA["floating"], (contact("2025-06-01"), *EVERYTHING), "2025-06-16"),
]


@pytest.mark.parametrize(("holds", "criterion", "facts", "until"), CASES, ids=[case[0] for case in CASES])
def test_valid_until(holds: str, criterion: str, facts: tuple[Any, ...], until: str | None) -> None:
    stands(criterion, facts, until)


def test_a_milestone_that_comes_closes_its_window() -> None:
    stands(CRITERIA["infection"], (contact("2025-05-25"), *EVERYTHING), "2025-06-04", **DATES)


def test_a_window_in_hours_is_over_after_its_milestone() -> None:
    stands(CRITERIA["hours"], (lab("hemoglobin", "100 g/L", "2025-06-05T08:00:00Z"),), "2025-06-06", **DATES)


def test_use_that_ended_before_a_window_in_hours_is_not_looked_at_again() -> None:
    hours = "event: {medications: [growth_factor_white], window: {before: 48 h}}"
    stands(hours, (drug("growth_factor_white", "2025-05-01", "2025-05-10"),), None)


LATE = [
    (
        "a course that goes on grows long enough",
        CRITERIA["exposure"],
        (drug("azathioprine", "2025-05-25", "2025-09-01"),),
        "2025-06-08",
    ),
    (
        "days of a course fall out of the window",
        CRITERIA["exposure-window"],
        (drug("azathioprine", "2025-05-23", "2025-06-01"),),
        "2025-06-13",
    ),
    (
        "an open condition is forgotten",
        CRITERIA["floating"],
        (problem("pneumonia", recorded="2025-06-01"), *EVERYTHING),
        "2025-07-06",
    ),
    (
        "the onset of one that ended at no known time leaves the window",
        CRITERIA["floating"],
        (problem("pneumonia", "2025-06-01", "?"), *EVERYTHING),
        "2025-06-16",
    ),
    (
        "a contact to come carries the claim for longer, and then no more",
        CRITERIA["floating"],
        (contact("2025-06-01"), contact("2025-06-02"), *EVERYTHING),
        "2025-06-17",
    ),
    (
        "a result to come agrees, and grows too old",
        HB,
        (lab("hemoglobin", "100 g/L", "2025-05-28"), lab("hemoglobin", "95 g/L", "2025-06-10")),
        "2025-07-09",
    ),
]


@pytest.mark.parametrize(("holds", "criterion", "facts", "until"), LATE, ids=[case[0] for case in LATE])
def test_valid_until_looks_at_these_days_too(holds: str, criterion: str, facts: tuple[Any, ...], until: str) -> None:
    stands(criterion, facts, until)


CLOSED = "exposure: {agents: [{concept: azathioprine}], more-than: 5 d, method: longest, window: {before: 1 mo}, absence: closed}"
TO_COME = [
    (
        "use that is vouched for up to a day to come",
        CRITERIA["event"],
        (drug("growth_factor_white", "2025-06-01", certain_until="2025-06-02"), *EVERYTHING),
        "2025-06-10",
    ),
    (
        "an onset to come of what ended at no known time, beside another one",
        CRITERIA["floating"],
        (problem("pneumonia", None, "2025-06-01"), problem("pneumonia", "2025-06-02", "?"), *EVERYTHING),
        "2025-06-17",
    ),
    (
        "use that perhaps goes on may last for long enough, where absence is closed",
        CLOSED,
        (drug("azathioprine", "2025-05-30"), contact("2025-05-20"), *EVERYTHING),
        "2025-06-04",
    ),
    (
        "a course to come grows long enough",
        CRITERIA["exposure"],
        (drug("azathioprine", "2025-06-02", "2025-09-01"),),
        "2025-06-16",
    ),
]


@pytest.mark.parametrize(("holds", "criterion", "facts", "until"), TO_COME, ids=[case[0] for case in TO_COME])
def test_valid_until_of_records_that_are_dated_after_today(
    holds: str, criterion: str, facts: tuple[Any, ...], until: str
) -> None:
    stands(criterion, facts, until)


def test_the_shipped_protocol_stands_until_the_first_result_grows_too_old() -> None:
    facts = (
        lab("hemoglobin", "100 g/L", "2025-05-20"),
        lab("platelets", "200 K/uL", "2025-05-10"),
        lab("lvef", "60 %", "2025-04-01"),
    )
    now = relma_results(*facts)
    assert now.valid_until == "2025-06-08"
    assert verdicts(relma_results(*facts, as_of="2025-06-07")) == verdicts(now)
    assert verdicts(relma_results(*facts, as_of="2025-06-08")) != verdicts(now)
    assert now.as_of == AS_OF


HB_BEFORE_TRANSFUSION = """
all-of:
  - id: hb
    text: hemoglobin
    value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 28 d}}
  - not: {event: {procedures: [transfusion_red_cells], window: {before: 7 d}, of-results: [hb], absence: closed}}
"""


def test_a_later_result_of_the_same_verdict_moves_the_windows_that_hang_on_it() -> None:
    facts = (lab("hemoglobin", "100 g/L", "2025-05-20"), lab("hemoglobin", "100 g/L", "2025-06-05"))
    given = (event("transfusion_red_cells", "2025-05-18"), contact("2025-06-01"), *EVERYTHING)
    stands(HB_BEFORE_TRANSFUSION, (*facts, *given), "2025-06-05")


BACK = """
any-of:
  - value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 7 d}}
  - attestation: {question: q}
"""


def test_a_node_that_changes_and_changes_back_is_followed() -> None:
    """The count leaves its window while an answer still carries the criterion; a later count cannot, once that has expired."""
    facts = (
        lab("hemoglobin", "100 g/L", "2025-05-28"),
        lab("hemoglobin", "100 g/L", "2025-06-10"),
        answer("c", True, "2025-05-30", expires="2025-06-12"),
    )
    stands(BACK, facts, "2025-06-18")


@pytest.mark.parametrize(("as_of", "until"), [("2025-05", "2025-06-01"), ("2025-06-01T10:15:00Z", "2025-06-02")])
def test_a_run_that_is_no_whole_day_is_looked_at_on_the_next_one(as_of: str, until: str) -> None:
    """A month leaves it open whether the window had begun; at a quarter past ten the afternoon is still to come."""
    facts = (lab("hemoglobin", "100 g/L", "2025-05-10T12:00:00Z"), lab("hemoglobin", "80 g/L", "2025-06-01T15:00:00Z"))
    assert assessed(HB, *facts, as_of=as_of).valid_until == until


def test_the_days_that_are_looked_at_are_bounded_and_no_more_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = (lab("hemoglobin", "100 g/L", "2025-05-28"), lab("hemoglobin", "100 g/L", "2025-06-05"))
    assert assessed(HB, *facts).valid_until == "2025-07-04"
    monkeypatch.setattr(horizon, "MOST_DAYS", 1)
    assert assessed(HB, *facts).valid_until == "2025-06-05"


@pytest.mark.parametrize("method", ["union", "longest"])
def test_a_drug_of_each_day_is_not_looked_at_on_each_day_to_come(method: str) -> None:
    """With 546 days more than are asked for, nothing is looked at anew until nearly as many have left the window."""
    today = date(2025, 6, 1)
    every = [(today - timedelta(days=back)).isoformat() for back in range(730)]
    doses = [drug("azathioprine", day, day, ref=f"d{day}") for day in every]
    asked = f"exposure: {{agents: [{{concept: azathioprine}}], at-least: 184 d, window: {{before: 730 d}}, method: {method}}}"
    found = []
    at_most(20, lambda: found.append(assessed(asked, *doses).valid_until))
    assert found[0] == (today + timedelta(days=548)).isoformat()
