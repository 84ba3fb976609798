"""Derived values and their inputs: of one specimen or recording, ratios and their units, zero, age, and what a lost page leaves."""

from __future__ import annotations

import re
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, strategies as st

from fhir_elig import derive, formulas
from fhir_elig.criteria.nearest import together
from fhir_elig.quantity import Interval, point
from fhir_elig.units import parse_amount
from tests.house.tree import ROOT
from tests.pace import at_most
from tests.spec.table import EVERYTHING, Row, check, concepts, lab, not_final, person, result, said, served
from tests.spec.words import Page

PAGE = Page(
    "Derived values and their inputs",
    """
A value that is computed needs inputs that belong together: of one specimen or one recording, or few days apart. The result
with the later date is not mixed with an older one of another specimen, and a lost page may hide a better input.
""",
)

F = Fraction
DAY, MORNING, EVENING = "2025-05-28", "2025-05-28T08:00:00Z", "2025-05-28T18:00:00Z"
MAN = person("1975-01-01", gender="male")

# Values of calculators that others hold their own programs to: the test suite of pharmaverse/admiral (CDC's and the National
# Kidney Foundation's calculators for the first and the last two), to the digits that stand there.
PUBLISHED = [
    ("body mass index of 75 kg and 180 cm", formulas.body_mass_index(point(75), point(180)), "23.148"),
    ("body mass index of 100 kg and 200 cm", formulas.body_mass_index(point(100), point(200)), "25.000"),
    ("Mosteller, 75 kg and 170 cm", formulas.bsa_mosteller(point(75), point(170)), "1.882"),
    ("Mosteller, 90 kg and 185 cm", formulas.bsa_mosteller(point(90), point(185)), "2.151"),
    ("Du Bois, 75 kg and 170 cm", formulas.bsa_du_bois(point(75), point(170)), "1.864"),
    ("Du Bois, 90 kg and 185 cm", formulas.bsa_du_bois(point(90), point(185)), "2.141"),
    ("CKD-EPI 2021, man of 55, 1.09 mg/dL", formulas.ckd_epi_2021(point(F("1.09")), point(55), ["male"]), "80"),
    ("CKD-EPI 2021, woman of 65, 85 umol/L", formulas.ckd_epi_2021(point(85 * F(707, 62500)), point(65), ["female"]), "66"),
]


@pytest.mark.parametrize(("name", "value", "printed"), PUBLISHED, ids=[name for name, _, _ in PUBLISHED])
def test_the_formula_gives_the_value_of_the_published_calculator(name: str, value: Interval, printed: str) -> None:
    places = len(printed.partition(".")[2])
    assert value.low is not None and value.high is not None
    assert f"{float(value.low):.{places}f}" == printed == f"{float(value.high):.{places}f}"


@given(
    st.fractions(F(1, 20), 30, max_denominator=200),
    st.sampled_from([F(-241, 1000), F(-302, 1000), F(-6, 5), F(425, 1000), F(725, 1000), F(1, 3), F(1, 2)]),
)
def test_the_bounds_of_a_power_embrace_it_in_whole_numbers(base: Fraction, exponent: Fraction) -> None:
    """Apart from logarithms: both bounds raised to the root's degree lie on either side of the power of the base."""
    low, high = formulas.power(base, exponent)
    assert low**exponent.denominator <= base**exponent.numerator <= high**exponent.denominator
    assert high - low <= low / 10**45


@given(st.sampled_from(["mg/dL", "umol/L", "mg/L"]), st.integers(20, 900), st.integers(18, 100))
def test_the_unit_in_which_a_creatinine_was_sent_changes_no_filtration_rate(unit: str, hundredths: int, age: int) -> None:
    creatinine = concepts().analytes["creatinine"]
    one = parse_amount(f"1 {unit}", creatinine)
    assert isinstance(one, Fraction)
    milligrams = F(hundredths, 100)
    again = milligrams / one * one
    assert formulas.ckd_epi_2021(point(again), point(age), ["male"]) == formulas.ckd_epi_2021(
        point(milligrams), point(age), ["male"]
    )


@given(st.integers(20, 900), st.integers(20, 900), st.integers(18, 99))
def test_the_filtration_rate_falls_with_creatinine_and_with_age_across_the_turning_point(one: int, two: int, age: int) -> None:
    less, more = sorted((F(one, 100), F(two, 100)))
    for sex in ("female", "male"):
        high = formulas.ckd_epi_2021(point(less), point(age), [sex])
        low = formulas.ckd_epi_2021(point(more), point(age + 1), [sex])
        assert low.high is not None and high.low is not None and low.high < high.low


@pytest.mark.parametrize(
    ("one", "two"),
    [(point(5), point(0)), (point(0), point(0)), (Interval(F(1), None), point(0)), (point(3), Interval(high=F(0)))],
)
def test_nothing_is_known_of_a_quotient_by_zero(one: Interval, two: Interval) -> None:
    assert derive.divide(one, two) == Interval(F(0), None)


def test_a_change_relative_to_zero_may_be_any() -> None:
    assert derive.change(point(0), point(3), relative=True, decrease=False) == Interval(F(-100), None)


def formula(name: str, limit: str, more: str = "") -> str:
    return f"value: {{derive: {{formula: {name}{', ' + more if more else ''}}}, {limit}}}"


EGFR = formula("ckd-epi-2021", "at-least: '60 mL/min/{1.73_m2}'")
QTCF, QTCB = formula("qtcf", "at-most: 450 ms"), formula("qtcb", "at-most: 450 ms")
NEAR_RATE = formula("qtcf", "at-most: 450 ms", "inputs: {heart-rate: {concepts: [heart_rate], within: 0 d}}")
BMI = formula("bmi", "at-most: 40 kg/m2")
UPCR, UACR = (
    formula("urine-protein-creatinine-ratio", "at-most: 500 mg/g"),
    formula("urine-albumin-creatinine-ratio", "at-most: 30 mg/g"),
)
CD4_CD8 = formula("cd4-cd8-ratio", "at-least: '1'")
NLR, AST_ALT = formula("neutrophil-lymphocyte-ratio", "at-most: '3'"), formula("ast-alt-ratio", "at-most: '2'")
ANC = formula("anc-from-counts", "at-least: 1.5 10*9/L")


def ecg(qt: str = "400 ms", on: str | None = MORNING, **more: Any) -> Any:
    return lab("qt_interval", qt, on, **more)


def rate(sent: str, on: str | None = MORNING, **more: Any) -> Any:
    return lab("heart_rate", sent, on, **more)


def urine(protein: str, creatinine: str, name: str = "urine_protein") -> tuple[Any, ...]:
    return lab(name, protein, DAY), lab("urine_creatinine", creatinine, DAY)


SEGMENTS, BANDS = lab("anc_segmented_only", "1.4 10*9/L", DAY), lab("bands", "100 /uL", DAY)
HEAVY, TALL = lab("weight", "<100 kg", DAY), lab("height", "180 cm", DAY)

ROWS = [
    Row("a rate of the same recording", (ecg(), rate("75 /min")), QTCF, "met", "in-range"),
    Row("a rate of another hour is none of this recording", (ecg(), rate("75 /min", EVENING)), QTCF, "unknown", "too-old"),
    Row("unless the protocol takes the rate of that day", (ecg(), rate("75 /min", EVENING)), NEAR_RATE, "met", "in-range"),
    Row("the RR interval goes before the rate", (ecg(), lab("rr_interval", "1000 ms", MORNING), rate("110 /min")), QTCF, "met", "in-range"),
    Row("a rate where the RR interval is of another recording", (ecg(), lab("rr_interval", "1000 ms", EVENING), rate("110 /min")), QTCF, "not-met", "out-of-range"),
    Row("an RR interval that cannot be read is not passed over", (ecg(), lab("rr_interval", "1000", MORNING), rate("75 /min")), QTCF, "unknown", "no-unit"),
    Row("a masked RR interval is not passed over", (ecg(), lab("rr_interval", None, MORNING, absent="masked"), rate("75 /min")), QTCF, "unknown", "restricted"),
    Row("RR in seconds", (ecg(), lab("rr_interval", "0.8 s", MORNING)), QTCF, "met", "in-range"),
    Row("an RR of one second leaves QT as it is, exactly on the limit", (ecg("450 ms"), lab("rr_interval", "1 s", MORNING)), QTCB, "met", "in-range"),
    Row("two rates of one recording that disagree", (ecg("430 ms"), rate("60 /min"), rate("80 /min")), QTCF, "unknown", "conflicting"),
    Row("neither RR nor rate", (ecg(),), QTCF, "unknown", "not-found"),
    Row("a rate that is not final", (ecg(), rate("75 /min", **not_final())), QTCF, "unknown", "not-final"),
    Row("a rate with a bound", (ecg(), rate("<70 /min")), QTCF, "met", "in-range"),
    Row("no time at all", (ecg(on=None), rate("75 /min", None)), QTCF, "unknown", "imprecise-date"),
    Row("one month is no one recording", (ecg(on="2025-05"), rate("75 /min", "2025-05")), QTCF, "unknown", "too-old"),
    Row("a rate of that month may be of another day", (ecg(), rate("75 /min", "2025-05")), NEAR_RATE, "unknown", "imprecise-date"),
    Row("the equation is for adults", (person("2008-06-01"), lab("creatinine", "0.6 mg/dL", DAY)), EGFR, "unknown", "implausible"),
    Row("from the 18th birthday on", (person("2007-05-28"), lab("creatinine", "0.6 mg/dL", DAY)), EGFR, "met", "in-range"),
    Row("a birth year that leaves it open whether it holds", (person("2007"), lab("creatinine", "0.6 mg/dL", DAY)), EGFR, "unknown", "implausible"),
    Row("a bound that decides whatever the value is", (HEAVY, TALL), BMI, "met", "in-range"),
    Row("a body mass index beyond belief", (lab("weight", "300 kg", DAY), lab("height", "100 cm", DAY)), BMI, "unknown", "implausible"),
    Row("protein and creatinine of one specimen", urine("50 mg/dL", "1 g/L"), UPCR, "met", "in-range"),
    Row("more of it", urine("0.51 g/L", "1 g/L"), UPCR, "not-met", "out-of-range"),
    Row("creatinine in mmol/L", urine("500 mg/L", "8.85 mmol/L"), UPCR, "met", "in-range"),
    Row("a protein that is below detection", urine("<60 mg/L", "1.5 mmol/L"), UPCR, "met", "in-range"),
    Row("albumin", urine("31 mg/L", "100 mg/dL", "urine_albumin"), UACR, "not-met", "out-of-range"),
    Row("CD4 and CD8", (lab("cd4", "450 /uL", DAY), lab("cd8", "450 /uL", DAY)), CD4_CD8, "met", "in-range"),
    Row("no CD8 cell at all", (lab("cd4", "450 /uL", DAY), lab("cd8", "0 /uL", DAY)), CD4_CD8, "unknown", "comparator"),
    Row("neutrophils and lymphocytes", (lab("anc", "3 10*9/L", DAY), lab("alc", "1 10*9/L", DAY)), NLR, "met", "in-range"),
    Row(
        "two shares of one specimen that differ",
        (lab("leukocytes", "3 10*9/L", DAY), lab("neutrophils_percent", "60 %", DAY), lab("neutrophils_percent", "30 %", DAY)),
        "value: {derive: {formula: anc-from-differential}, at-least: '1.5 10*9/L'}",
        "unknown",
        "conflicting",
    ),
    Row(
        "a share of which only the least is known is not more than the whole",
        (lab("leukocytes", "1.25 10*9/L", DAY), lab("neutrophils_percent", ">=51 %", DAY)),
        "value: {derive: {formula: anc-from-differential}, less-than: '1.5 10*9/L'}",
        "met",
        "in-range",
    ),
    Row("of two specimens", (lab("anc", "3 10*9/L", DAY, specimen="a"), lab("alc", "1 10*9/L", DAY, specimen="b")), NLR, "unknown", "too-old"),
    Row("AST and ALT", (lab("ast", "90 U/L", DAY), lab("alt", "40 U/L", DAY)), AST_ALT, "not-met", "out-of-range"),
    Row("segments and bands", (SEGMENTS, BANDS), ANC, "met", "in-range"),
    Row("segments without bands are no neutrophil count", (SEGMENTS,), ANC, "unknown", "not-found"),
    Row("bands of another day", (SEGMENTS, lab("bands", "100 /uL", "2025-05-27")), ANC, "unknown", "too-old"),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_derived_values(row: Row) -> None:
    check(row)


@pytest.mark.parametrize(("sent", "limit"), [("60", "mg/mmol"), ("530.4", "mg/g"), ("0.5304", "g/g"), ("530.4", "ug/mg")])
def test_a_ratio_to_creatinine_may_be_limited_in_any_of_its_units(sent: str, limit: str) -> None:
    amount = parse_amount(f"{sent} {limit}", concepts().analytes["protein-creatinine-ratio"])
    assert isinstance(amount, Fraction) and abs(amount - F("530.4")) < F("0.02")


def test_a_long_history_of_two_measures_costs_no_more_than_its_length() -> None:
    """Each height is held against the weights of its own days, not against all."""
    days = [(date(2025, 5, 30) - timedelta(back)).isoformat() for back in range(1500)]
    facts = [
        lab(name, sent, day, ref=f"{name}-{day}") for name, sent in (("weight", "60 kg"), ("height", "160 cm")) for day in days
    ]
    at_most(40, lambda: result(BMI, *facts))
    assert said(result(BMI, *facts)) == ("met", "in-range")


def test_who_is_too_young_for_the_equation_is_told() -> None:
    assert "CKD-EPI 2021 holds from 18 years on" in result(EGFR, person("2010-01-01"), lab("creatinine", "0.6 mg/dL", DAY)).notes


def test_a_result_without_a_time_stands_beside_none() -> None:
    assert not together(ecg(on=None), rate("75 /min")) and not together(ecg(), rate("75 /min", None))
    assert together(ecg(), rate("75 /min"))


FORMULAS_PAGE = (ROOT / "docs" / "reference" / "formulas.md").read_text("utf-8")


@pytest.mark.parametrize("criterion", re.findall(r"```yaml\n(.*?)```", FORMULAS_PAGE, re.S))
def test_what_the_page_of_formulas_shows_can_be_loaded_and_lacks_its_results(criterion: str) -> None:
    assert result(criterion).verdict.value == "unknown"


# A criterion and the spans in which its inputs are drawn, each with its unit.
OPEN: dict[str, tuple[str, tuple[tuple[str, int, int, str], ...]]] = {
    "ckd-epi-2021": ("at-least: '60 mL/min/{1.73_m2}'", (("creatinine", 50, 250, "mg/dL"),)),
    "bmi": ("at-most: 30 kg/m2", (("weight", 6000, 14000, "kg"), ("height", 15000, 20000, "cm"))),
    "bsa-mosteller": ("at-least: 1.9 m2", (("weight", 6000, 14000, "kg"), ("height", 15000, 20000, "cm"))),
    "qtcf": ("at-most: 450 ms", (("qt_interval", 35000, 50000, "ms"), ("heart_rate", 5000, 12000, "/min"))),
    "corrected-calcium": ("at-most: 10.5 mg/dL", (("calcium_total", 700, 1300, "mg/dL"), ("albumin_serum", 1500, 5000, "g/L"))),
    "ast-alt-ratio": ("at-most: '2'", (("ast", 2000, 20000, "U/L"), ("alt", 2000, 20000, "U/L"))),
    "urine-protein-creatinine-ratio": ("at-most: 500 mg/g", (("urine_protein", 1000, 90000, "mg/L"), ("urine_creatinine", 5000, 20000, "mg/dL"))),
}  # fmt: skip


@pytest.mark.parametrize("name", OPEN)
@given(data=st.data())
def test_knowing_the_inputs_of_a_derived_value_flips_no_verdict(name: str, data: st.DataObject) -> None:
    """Inputs known as bounds or ranges, a birth year, no sex; then the same chart with each of them known."""
    limit, spans = OPEN[name]
    vague, known = [], []
    for concept, lowest, highest, unit in spans:
        low, inside, high = sorted(data.draw(st.tuples(*(st.integers(lowest, highest) for _ in range(3)))))
        sent = data.draw(st.sampled_from([f"{low / 100}-{high / 100}", f"<={high / 100}", f">={low / 100}"]))
        vague.append(lab(concept, f"{sent} {unit}", DAY))
        known.append(lab(concept, f"{inside / 100} {unit}", DAY))
    year, sex = data.draw(st.integers(1930, 2006)), data.draw(st.sampled_from(["male", "female"]))
    before = result(formula(name, limit), person(f"{year}", gender="unknown"), *vague).verdict.value
    after = result(
        formula(name, limit), person(f"{year}-{data.draw(st.integers(1, 12)):02}-15", gender=sex), *known
    ).verdict.value
    assert before in ("unknown", after)


LOST = (*served("Observation", note="partial: page 2 lost"), *[entry for entry in EVERYTHING if entry.type != "Observation"])


@pytest.mark.parametrize("pick", ["any", "all", "latest"])
@pytest.mark.parametrize("weight", ["70 kg", "170 kg"])
def test_a_lost_page_may_hold_a_nearer_input_so_no_derived_value_stands_alone(pick: str, weight: str) -> None:
    criterion = BMI.replace("at-most", f"pick: {pick}, at-most")
    facts = (lab("weight", weight, DAY), TALL)
    assert result(criterion, *facts, EVERYTHING).verdict.value != "unknown"
    assert said(result(criterion, *facts, LOST)) == ("unknown", "incomplete")


@pytest.mark.parametrize("pick", ["any", "all", "latest"])
def test_days_to_come_may_bring_a_nearer_input(pick: str) -> None:
    criterion = BMI.replace("at-most", f"pick: {pick}, window: {{milestone: leukapheresis, before: 60 d}}, at-most")
    facts = (lab("weight", "70 kg", DAY), lab("height", "180 cm", "2024-03-01"))
    assert said(result(criterion, *facts, events={"leukapheresis": "2025-06-10"})) == ("unknown", "pending-event")
    assert said(result(criterion, *facts, events={"leukapheresis": "2025-06-01"})) == ("met", "in-range")


def test_a_lost_page_may_hold_the_count_that_stands_in_place_of_the_derived_one() -> None:
    criterion = "value: {concepts: [anc], or-derive: {formula: anc-from-counts}, at-least: 1.5 10*9/L, pick: any}"
    assert said(result(criterion, SEGMENTS, BANDS, EVERYTHING)) == ("met", "derived")
    assert said(result(criterion, SEGMENTS, BANDS, LOST)) == ("unknown", "incomplete")
    assert said(result(criterion, lab("anc", "2 10*9/L", DAY), LOST)) == ("met", "in-range")
