"""Laws of whole assessments, on random charts: how long they hold, what may change them and what may not."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings, strategies as st

from fhir_elig.assessment import assess
from fhir_elig.record import Record
from fhir_elig.verdict import Assessment
from tests.properties.charts import CRITERIA, DATES, DAY, charts, criteria, facts, steady
from tests.spec.table import chart, contact, keeps_the_law, lab, problem, protocol, run

HORIZON = 75


def at(criterion: str, record: Record, offset: int = 0, **options: Any) -> Assessment:
    return assess(protocol(criterion), record, run((DAY + timedelta(offset)).isoformat(), **{**DATES, **options}))


def verdicts(assessment: Assessment) -> dict[str, str]:
    return {result.id: result.verdict.value for result in assessment.walk()}


def first_change(criterion: str, record: Record) -> str | None:
    now = verdicts(at(criterion, record))
    later = (offset for offset in range(1, HORIZON + 1) if verdicts(at(criterion, record, offset)) != now)
    offset = next(later, None)
    return None if offset is None else (DAY + timedelta(offset)).isoformat()


@settings(max_examples=150)
@given(steady, charts)
def test_it_stands_until_valid_until_and_changes_on_that_day(criterion: str, sent: tuple[Any, ...]) -> None:
    record = chart(*sent)
    said = at(criterion, record).valid_until
    changes = first_change(criterion, record)
    if said is None or said > (DAY + timedelta(HORIZON)).isoformat():
        assert changes is None
    else:
        assert said == changes


@given(criteria, charts)
def test_every_result_keeps_the_law(criterion: str, sent: tuple[Any, ...]) -> None:
    for result in at(criterion, chart(*sent)).criteria:
        keeps_the_law(result)


@given(criteria, charts, st.randoms(use_true_random=False))
def test_the_order_of_facts_changes_nothing(criterion: str, sent: tuple[Any, ...], random: Any) -> None:
    shuffled = list(sent)
    random.shuffle(shuffled)
    retrieved = chart(*sent).retrieved
    other = msgspec.structs.replace(chart(*shuffled), retrieved=retrieved)
    assert at(criterion, chart(*sent)).to_json() == at(criterion, other).to_json()


OTHERS = (
    lab("inr", "1.2", ref="zz1"),
    lab("lvef", "60 %", "2025-05-20", ref="zz2"),
    problem("http://hl7.org/fhir/sid/icd-10-cm|I10", "2010", ref="zz3"),
)


@given(criteria, charts)
def test_what_the_criterion_does_not_read_changes_no_verdict(criterion: str, sent: tuple[Any, ...]) -> None:
    """Hypertension and other results are contact at most, which only a claim of absence asks for: it is there in both."""
    seen = (*sent, contact("2025-05-29"), contact("2025-05-28"), contact("2025-06-01"))
    assert verdicts(at(criterion, chart(*seen))) == verdicts(at(criterion, chart(*seen, *OTHERS)))


LATEST = ("latest", "clearance", "uln", "hours", "slot", "attestable")


@given(st.sampled_from(LATEST), charts, st.sampled_from(("hemoglobin", "alt", "creatinine")), st.integers(1, 400))
def test_an_older_sound_result_changes_no_latest_verdict(name: str, sent: tuple[Any, ...], concept: str, age: int) -> None:
    record = chart(*sent)
    mine = [r.time.first for r in record.results if r.time is not None and r.counts.value == "yes"]
    day = min([*mine, DAY.toordinal() - 5]) - age
    unit = {"hemoglobin": "100 g/L", "alt": "30 U/L", "creatinine": "1.0 mg/dL"}[concept]
    older = lab(concept, unit, date.fromordinal(day).isoformat(), ref="older")
    before, after = at(CRITERIA[name], record).find("c"), at(CRITERIA[name], chart(*sent, older)).find("c")
    assert before is not None and after is not None
    if before.verdict.value in ("met", "not-met"):
        assert after.verdict is before.verdict


@given(criteria, charts, facts)
def test_an_assessment_is_a_function_of_its_arguments(criterion: str, sent: tuple[Any, ...], other: list[Any]) -> None:
    """Holding another chart in between leaves nothing behind."""
    first = at(criterion, chart(*sent)).to_json()
    at(criterion, chart(*other))
    assert at(criterion, chart(*sent)).to_json() == first
