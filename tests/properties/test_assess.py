"""Laws of whole assessments, on random charts: how long they hold, what may change them and what may not."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import assume, given, settings, strategies as st

from fhir_elig.assessment import assess
from fhir_elig.record import Record
from fhir_elig.verdict import Assessment
from tests.properties.charts import CRITERIA, DATES, DAY, charts, criteria, facts
from tests.spec.table import chart, concepts, contact, keeps_the_law, lab, problem, protocol, run

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
@given(criteria, charts)
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


LATEST = ("latest", "clearance", "uln", "hours", "slot")


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


LIMITS = {
    "hemoglobin": "at-least: 90 g/L",
    "platelets": "at-least: 75 10*9/L",
    "anc": "at-least: 1000 /uL",
    "creatinine": "at-most: 1.5 mg/dL",
    "alt": "at-most: 120 U/L",
    "lvef": "at-least: 55 %",
}


@st.composite
def written_twice(draw: st.DrawFn) -> tuple[str, str, str, str]:
    """An amount near its limit in two units of the analyte, exactly the same in both."""
    name = draw(st.sampled_from(sorted(LIMITS)))
    analyte = concepts().analytes[concepts().by_name[name].analyte]
    one, two = (draw(st.sampled_from(sorted(unit for unit, scale in analyte.aliases.items() if not scale.offset))) for _ in "12")
    amount = Fraction(draw(st.decimals(Decimal("0.5"), Decimal("1.5"), places=3))) * Fraction(LIMITS[name].split()[1])
    canonical = amount * (Fraction(1, 1000) if name == "anc" else 1)
    sent = [canonical / analyte.aliases[unit].factor for unit in (one, two)]
    assume(all(terminates(number) for number in sent))
    first, second = (
        f"{Decimal(number.numerator) / Decimal(number.denominator):f} {unit}"
        for number, unit in zip(sent, (one, two), strict=True)
    )
    return name, LIMITS[name], first, second


def terminates(number: Fraction) -> bool:
    """Whether it can be written as a decimal of at most 25 digits after the point."""
    return (number * 10**25).denominator == 1


@given(written_twice())
def test_one_amount_in_two_units_gives_one_verdict(sent: tuple[str, str, str, str]) -> None:
    name, limit, first, second = sent
    criterion = f"value: {{concepts: [{name}], {limit}}}"
    one, two = (at(criterion, chart(lab(name, text))).find("c") for text in (first, second))
    assert one is not None and two is not None
    assert one.verdict is two.verdict and one.reason is two.reason
    assert one.evidence[0].compared == two.evidence[0].compared
