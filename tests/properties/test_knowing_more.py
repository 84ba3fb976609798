"""The law of soundness on random charts: knowing more of what is there never flips a verdict that was given.

A date is narrowed, a time that was missing is found, a bound becomes a number, a range, a sex or a birth date becomes known, a
lost page turns out to hold nothing, a question is answered: what was met stays met, and what was not stays so.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import assume, given, settings, strategies as st

from fhir_elig.assessment import assess
from fhir_elig.quantity import Quantity, point
from fhir_elig.record import Flaw, Record, ReferenceRange, Refused, Result
from fhir_elig.times import When, iso
from fhir_elig.verdict import CriterionResult, Reason
from tests.properties.charts import CRITERIA, DATES, DAY, charts, criteria
from tests.spec.table import answer, chart, lab, person, protocol, run, served, when

replace = msgspec.structs.replace
TIMES = {"results": ("time",), "problems": ("onset", "recorded"), "medications": ("start",), "events": ("time",)}


def verdict(criterion: str, record: Record, **options: Any) -> CriterionResult:
    found = assess(protocol(criterion), record, run(**{**DATES, **options})).find("c")
    assert found is not None
    return found


def stays(criterion: str, before: Record, after: Record, **options: Any) -> None:
    """A `met` under an open guard may turn out not to apply; everything else that was given stays."""
    told = verdict(criterion, before)
    now = verdict(criterion, after, **options)
    answered = told.reason is Reason.ATTESTED and "attestable" in criterion  # what is computed goes before an answer
    if told.verdict.value != "unknown" and not answered:
        allowed = {told.verdict.value, "not-applicable"} if told.conditional else {told.verdict.value}
        assert now.verdict.value in allowed, (
            f"{told.verdict.value} ({told.reason.value}) became {now.verdict.value} ({now.reason.value})"
        )


@st.composite
def inside(draw: st.DrawFn, whole: When | None) -> When:
    """A full date in what was written, or any of the last weeks where nothing was."""
    if whole is None:
        return when((DAY - timedelta(draw(st.integers(0, 60)))).isoformat())
    day = iso(draw(st.integers(whole.first, whole.last)))
    if whole.one_day:
        hour = draw(st.integers(0, 23))
        found = when(f"{day}T{hour:02}:30:00Z")
        return found if whole.start <= found.start and found.end <= whole.end else whole
    return when(day)


@settings(max_examples=200)
@given(criteria, charts, st.data())
def test_a_date_that_becomes_known_flips_nothing(criterion: str, sent: tuple[Any, ...], data: st.DataObject) -> None:
    record = chart(*sent)
    places = [
        (kind, index, name) for kind, names in TIMES.items() for index in range(len(getattr(record, kind))) for name in names
    ]
    assume(places)
    kind, index, name = data.draw(st.sampled_from(places))
    facts = list(getattr(record, kind))
    known = getattr(facts[index], name)
    # Who began no one knows when had begun by the day of the run at the latest.
    narrow = data.draw(inside(known))
    end = getattr(facts[index], "end", None) or getattr(facts[index], "abated", None)
    assume(end is None or narrow.last <= end.first or known is not None)
    facts[index] = replace(facts[index], **{name: narrow})
    stays(criterion, record, replace(record, **{kind: tuple(facts)}))


@given(criteria, charts, st.data())
def test_a_bound_that_becomes_a_number_flips_nothing(criterion: str, sent: tuple[Any, ...], data: st.DataObject) -> None:
    bound = lab(
        "hemoglobin", data.draw(st.sampled_from(("<95 g/L", ">=85 g/L", "80-100 g/L", "<=90 g/L"))), "2025-05-30", ref="bound"
    )
    numbers = {"<95 g/L": (30, 94), ">=85 g/L": (85, 200), "80-100 g/L": (80, 100), "<=90 g/L": (30, 90)}
    low, high = numbers[str(bound.value)]
    exact = replace(bound, value=Quantity(Decimal(data.draw(st.integers(low, high))), unit="g/L"))
    stays(criterion, chart(*sent, bound), chart(*sent, exact))


@given(
    st.sampled_from(("age", "age-later", "clearance", "unless")),
    charts,
    st.sampled_from(("2007", "1959", "1960", "1980", "2007-06", "1959-06")),
    st.data(),
)
def test_a_birth_date_that_becomes_known_flips_nothing(name: str, sent: tuple[Any, ...], born: str, data: st.DataObject) -> None:
    exact = data.draw(inside(when(born)))
    stays(CRITERIA[name], chart(*sent, person(born)), chart(*sent, person(exact.text)))


RANGES = st.builds(
    lambda high, sex, low_age: ReferenceRange(None, Quantity(high, unit="U/L"), sex=sex, low_age=low_age),
    st.integers(10, 130),
    st.sampled_from(("", "female", "male")),
    st.sampled_from((None, None, 18, 45, 60)),
)
TABLES = st.sampled_from(({}, {"alt": (("", point(50)),)}, {"alt": (("female", point(34)), ("male", point(45)))}))


@st.composite
def livers(draw: st.DrawFn) -> Result:
    ranges = draw(st.lists(RANGES, max_size=3))
    return lab("alt", f"{draw(st.integers(10, 500))} U/L", "2025-05-28", ref="alt", ranges=tuple(ranges))


@settings(max_examples=300)
@given(livers(), TABLES, st.sampled_from((None, "1980", "1980-06-01", "1960")), st.sampled_from(("female", "male")), st.data())
def test_a_sex_or_an_age_that_becomes_known_flips_no_limit(
    result: Result, table: Any, born: str | None, sex: str, data: st.DataObject
) -> None:
    unknown = data.draw(st.sampled_from((person(born, "unknown"), person(born, sex, birth_sex="unknown"), person(None, sex))))
    exact = data.draw(inside(when(born))) if born else when("1980-06-01")
    stays_with(result, unknown, person(exact.text, sex), table)


def stays_with(result: Result, before: Any, after: Any, table: Any, later: Result | None = None, later_table: Any = None) -> None:
    told = verdict(CRITERIA["uln"], chart(result, before), upper_limits=table).verdict.value
    now = verdict(
        CRITERIA["uln"], chart(later or result, after), upper_limits=table if later_table is None else later_table
    ).verdict.value
    assert told in ("unknown", now)


@given(livers(), st.integers(15, 120), st.sampled_from(("female", "male")))
def test_a_limit_of_normal_that_becomes_known_flips_nothing(result: Result, limit: int, sex: str) -> None:
    bare = replace(result, ranges=())
    ranged = replace(bare, ranges=(ReferenceRange(None, Quantity(limit, unit="U/L")),))
    stays_with(bare, person(gender=sex), person(gender=sex), {}, later=ranged)
    stays_with(bare, person(gender=sex), person(gender=sex), {}, later_table={"alt": (("", point(limit)),)})


@given(
    criteria,
    charts,
    st.sampled_from(("Observation", "Condition", "Procedure", "MedicationStatement", "QuestionnaireResponse")),
    st.sampled_from(("partial", "refused (403)", "not-served", "withheld")),
)
def test_a_page_that_turns_out_to_hold_nothing_flips_nothing(criterion: str, sent: tuple[Any, ...], name: str, note: str) -> None:
    record = chart(*sent)
    lost = replace(record, retrieved=(*served(name, note=note), *(entry for entry in record.retrieved if entry.type != name)))
    stays(criterion, lost, record)
    whole = replace(record, retrieved=served())
    stays(criterion, record, whole)


@given(criteria, charts, st.sampled_from(("Observation", "Condition", "Procedure", "MedicationStatement", "")))
def test_a_refused_resource_that_is_nothing_flips_nothing(criterion: str, sent: tuple[Any, ...], name: str) -> None:
    record = chart(*sent)
    stays(criterion, replace(record, refused=(Refused(f"{name}/x", name, "NaN"),)), record)


@given(st.sampled_from(("attestable", "score")), charts, st.booleans(), st.sampled_from(("c", "c/a", "c/b")))
def test_a_first_answer_flips_nothing(name: str, sent: tuple[Any, ...], told: bool, item: str) -> None:
    unanswered = [fact for fact in sent if not (hasattr(fact, "item") and fact.item == item)]
    stays(CRITERIA[name], chart(*unanswered), chart(*unanswered, answer(item, told, ref="first")))


@given(criteria, charts, st.sampled_from(("baseline", "screening")))
def test_a_flaw_that_is_understood_flips_nothing(criterion: str, sent: tuple[Any, ...], word: str) -> None:
    """A record under a modifier or a label decides nothing; once it may, what was given without it stays."""
    record = chart(*sent)
    assume(record.results)
    flaw = Flaw.MODIFIER if word == "baseline" else Flaw.RESTRICTED
    flawed = replace(record, results=(replace(record.results[0], flaws=(flaw,)), *record.results[1:]))
    stays(criterion, flawed, record)
