"""Formulas with powers, roots and ratios: published values, what a protocol gets from them, and what holds for all inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, strategies as st

from fhir_elig import derive, formulas
from fhir_elig.criteria.formulary import FORMULAS
from fhir_elig.errors import AuthoringError
from fhir_elig.quantity import Interval, point
from tests.spec.table import Row, check, lab, person, protocol, result
from tests.spec.words import Page

PAGE = Page(
    "Formulas",
    """
What a protocol gets from a formula: filtration rate, body size, corrected QT and calcium, ratios. The inputs are results of
the chart. An input that is a span gives a value that is a span, and a limit inside it leaves the criterion unknown.
""",
)

DAY = "2025-05-28"
F = Fraction


def p(text: str) -> Interval:
    return point(F(text))


BOTH = ("female", "male")

# Values as they stand in print or come from the papers' own equations, to the digits that are printed: formula, value, digits, source
PUBLISHED: list[tuple[str, Interval, str, str]] = [
    ("CKD-EPI 2021, man of 50, 1.0 mg/dL", formulas.ckd_epi_2021(p("1.0"), p("50"), ["male"]), "92", "National Kidney Foundation's calculator"),
    ("CKD-EPI 2021, woman of 50, 1.0 mg/dL", formulas.ckd_epi_2021(p("1.0"), p("50"), ["female"]), "69", "National Kidney Foundation's calculator"),
    ("CKD-EPI 2021, woman of 50, 0.8 mg/dL", formulas.ckd_epi_2021(p("0.8"), p("50"), ["female"]), "90", "equation, by hand"),
    ("CKD-EPI 2021, man of 80, 2.5 mg/dL", formulas.ckd_epi_2021(p("2.5"), p("80"), ["male"]), "25", "equation, by hand"),
    ("body mass index, 70 kg and 175 cm", formulas.body_mass_index(p("70"), p("175")), "22.86", "exact"),
    ("Mosteller, 70 kg and 170 cm", formulas.bsa_mosteller(p("70"), p("170")), "1.82", "exact root"),
    ("Du Bois, 70 kg and 170 cm", formulas.bsa_du_bois(p("70"), p("170")), "1.81", "equation"),
    ("Fridericia, 400 ms at 75/min", formulas.qtc_fridericia(p("400"), p("75")), "431", "equation"),
    ("Bazett, 400 ms at 75/min", formulas.qtc_bazett(p("400"), p("75")), "447", "equation"),
    ("Fridericia, 400 ms at 60/min", formulas.qtc_fridericia(p("400"), p("60")), "400", "RR of 1 s changes nothing"),
    ("corrected calcium, 8.0 mg/dL and 20 g/L", formulas.corrected_calcium(p("8.0"), p("20")), "9.6", "exact"),
    ("corrected calcium, 2.00 mmol/L and 20 g/L", formulas.corrected_calcium_si(point(F(2) * F(20039, 5000)), p("20")).scaled(F(5000, 20039)), "2.40", "exact"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "printed", "source"), PUBLISHED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_formula_gives_the_printed_value(name: str, value: Interval, printed: str, source: str) -> None:
    digits = len(printed.partition(".")[2])
    assert value.low is not None and value.high is not None
    assert f"{float(value.low):.{digits}f}" == printed == f"{float(value.high):.{digits}f}"
    assert value.high - value.low <= value.low / 10**40


def near(one: float, two: float) -> bool:
    return math.isclose(one, two, rel_tol=1e-12)


numbers = st.fractions(min_value=F(1, 100), max_value=1000, max_denominator=1000)


@given(numbers, st.sampled_from([F(1, 2), F(1, 3), F(425, 1000), F(-12, 10), F(-302, 1000), F(5), F(-2)]))
def test_a_power_is_enclosed_as_tightly_as_is_said(base: Fraction, exponent: Fraction) -> None:
    low, high = formulas.power(base, exponent)
    assert low <= high and high - low <= low / 10**45
    assert near(float(low), float(base) ** float(exponent))
    # In exact numbers: the bounds raised back embrace the base (for a falling power the other way round).
    p, q = exponent.numerator, exponent.denominator
    if q <= 3:
        assert low**q <= base**p <= high**q


@given(st.fractions(min_value=F(1, 50), max_value=50, max_denominator=50), st.sampled_from([2, 3]))
def test_a_root_that_is_a_fraction_is_exact(root: Fraction, degree: int) -> None:
    assert formulas.power(root**degree, F(1, degree)) == (root, root)


Compute = Callable[..., Interval]
SPANS: dict[str, tuple[Compute, tuple[tuple[str, str], ...]]] = {
    "ckd-epi-2021": (lambda c, a: formulas.ckd_epi_2021(c, a, BOTH), (("0.2", "8"), ("18", "90"))),
    "bmi": (formulas.body_mass_index, (("30", "200"), ("120", "210"))),
    "bsa-mosteller": (formulas.bsa_mosteller, (("30", "200"), ("120", "210"))),
    "bsa-du-bois": (formulas.bsa_du_bois, (("30", "200"), ("120", "210"))),
    "qtcf": (formulas.qtc_fridericia, (("300", "500"), ("40", "150"))),
    "qtcb": (formulas.qtc_bazett, (("300", "500"), ("40", "150"))),
    "corrected-calcium": (formulas.corrected_calcium, (("5", "15"), ("10", "55"))),
    "corrected-calcium-si": (formulas.corrected_calcium_si, (("5", "15"), ("10", "55"))),
    "ratio": (derive.divide, (("1", "90"), ("2", "90"))),
}


def within(low: str, high: str) -> st.SearchStrategy[Fraction]:
    return st.fractions(min_value=F(low), max_value=F(high), max_denominator=100)


@pytest.mark.parametrize("name", SPANS)
@given(data=st.data())
def test_whatever_the_inputs_are_within_their_intervals_the_value_lies_in_the_result(name: str, data: st.DataObject) -> None:
    compute, spans = SPANS[name]
    whole, chosen = [], []
    for span in spans:
        low, inside, high = sorted(data.draw(st.tuples(*(within(*span) for _ in range(3)))))
        whole.append(Interval(low, high))
        chosen.append(point(inside))
    wide, narrow = compute(*whole), compute(*chosen)
    assert wide.low is not None and wide.high is not None and narrow.low is not None and narrow.high is not None
    assert wide.low <= narrow.low <= narrow.high <= wide.high


@pytest.mark.parametrize("name", SPANS)
def test_an_input_with_an_open_end_leaves_the_result_open(name: str) -> None:
    compute, spans = SPANS[name]
    middle = [(F(low) + F(high)) / 2 for low, high in spans]
    for index in range(len(spans)):
        for end in (Interval(middle[index], None), Interval(F(0), middle[index], True, False), Interval(None, middle[index])):
            inputs = [end if number == index else point(value) for number, value in enumerate(middle)]
            wide, narrow = compute(*inputs), compute(*map(point, middle))
            assert wide.low is None or (narrow.low is not None and wide.low <= narrow.low)
            assert wide.high is None or (narrow.high is not None and wide.high >= narrow.high)


def test_zero_stays_zero() -> None:
    assert formulas.raised(Interval(F(0), F(0)), F(1, 2)) == point(0)
    assert formulas.raised(Interval(None, F(4), high_open=True), F(1, 2)) == Interval(F(0), F(2), False, True)


# What a protocol gets -----------------------------------------------------------------------------------------------------

MAN = person("1975-01-01", gender="male")
NOBODY_KNOWS = person("1975-01-01", "male", birth_sex="unknown")
KG, CM = lab("weight", "72 kg", DAY), lab("height", "180 cm", DAY)
QT, RATE = lab("qt_interval", "400 ms", DAY), lab("heart_rate", "75 /min", DAY)
CA, ALB = lab("calcium_total", "8.0 mg/dL", DAY), lab("albumin_serum", "20 g/L", DAY)


def derived(formula: str, limit: str, inputs: str = "") -> str:
    more = f", inputs: {{{inputs}}}" if inputs else ""
    return f"value: {{derive: {{formula: {formula}{more}}}, {limit}}}"


EGFR = derived("ckd-epi-2021", "at-least: '60 mL/min/{1.73_m2}'")
RATIO = derived("ratio", "at-most: '2'", "numerator: {concepts: [ast]}, denominator: {concepts: [alt]}")
FAR = derived("corrected-calcium", "at-most: 10.5 mg/dL", "albumin: {concepts: [albumin_serum], within: 7 d}")

ROWS = [
    Row("a filtration rate above its limit", (MAN, lab("creatinine", "1.0 mg/dL", DAY)), EGFR, "met", "in-range"),
    Row("the same creatinine in SI units", (MAN, lab("creatinine_molar", "88.4 umol/L", DAY)), EGFR, "met", "in-range"),
    Row("a filtration rate below its limit", (MAN, lab("creatinine", "2.0 mg/dL", DAY)), EGFR, "not-met", "out-of-range"),
    Row("no sex: both are computed, and they agree", (NOBODY_KNOWS, lab("creatinine", "0.8 mg/dL", DAY)), EGFR, "met", "in-range"),
    Row("no sex: both are computed, and they differ", (NOBODY_KNOWS, lab("creatinine", "1.3 mg/dL", DAY)), EGFR, "unknown", "comparator"),
    Row("a creatinine below what is measured: the rate is above that of the bound", (MAN, lab("creatinine", "<0.5 mg/dL", DAY)), EGFR, "met", "in-range"),
    Row("a bound from which it may be either", (MAN, lab("creatinine", "<5 mg/dL", DAY)), EGFR, "unknown", "comparator"),
    Row("no date of birth", (person(None, gender="male"), lab("creatinine", "1.0 mg/dL", DAY)), EGFR, "unknown", "not-found"),
    Row("no creatinine", (MAN,), EGFR, "unknown", "not-found"),
    Row("a creatinine without a unit", (MAN, lab("creatinine", "1.0", DAY)), EGFR, "unknown", "no-unit"),
    Row("a body mass index", (KG, CM), derived("bmi", "at-least: 18.5 kg/m2, at-most: 30 kg/m2"), "met", "in-range"),
    Row("exactly at the limit", (lab("weight", "81 kg", DAY), CM), derived("bmi", "at-least: 25 kg/m2"), "met", "in-range"),
    Row("a height of years ago", (KG, lab("height", "180 cm", "2015-03-01")), derived("bmi", "at-most: 30 kg/m2"), "met", "in-range"),
    Row("no height", (KG,), derived("bmi", "at-most: 30 kg/m2"), "unknown", "not-found"),
    Row("a surface whose root is a fraction, exactly at its limit", (lab("weight", "80 kg", DAY), CM), derived("bsa-mosteller", "at-least: 2 m2"), "met", "in-range"),
    Row("the same, just above a strict limit", (lab("weight", "80 kg", DAY), CM), derived("bsa-mosteller", "more-than: 2 m2"), "not-met", "out-of-range"),
    Row("a surface by Du Bois", (KG, CM), derived("bsa-du-bois", "at-least: 1.5 m2"), "met", "in-range"),
    Row("QT corrected by Fridericia", (QT, RATE), derived("qtcf", "at-most: 450 ms"), "met", "in-range"),
    Row("the same QT corrected by Bazett", (QT, RATE), derived("qtcb", "at-most: 445 ms"), "not-met", "out-of-range"),
    Row("QT in seconds", (lab("qt_interval", "0.400 s", DAY), RATE), derived("qtcf", "at-most: 450 ms"), "met", "in-range"),
    Row("a heart rate of another day", (QT, lab("heart_rate", "75 /min", "2025-05-27")), derived("qtcf", "at-most: 450 ms"), "unknown", "too-old"),
    Row("calcium corrected for a low albumin", (CA, ALB), derived("corrected-calcium", "at-least: 8.5 mg/dL"), "met", "in-range"),
    Row("the same in SI units", (lab("calcium_total", "2.00 mmol/L", DAY), ALB), derived("corrected-calcium-si", "at-least: 2.2 mmol/L"), "met", "in-range"),
    Row("an albumin of another day", (CA, lab("albumin_serum", "20 g/L", "2025-05-25")), derived("corrected-calcium", "at-most: 10.5 mg/dL"), "unknown", "too-old"),
    Row("an albumin within the reach that the protocol gives", (CA, lab("albumin_serum", "20 g/L", "2025-05-25")), FAR, "met", "in-range"),
    Row("a ratio", (lab("ast", "80 U/L", DAY), lab("alt", "40 U/L", DAY)), RATIO, "met", "in-range"),
    Row("a ratio above its limit", (lab("ast", "81 U/L", DAY), lab("alt", "40 U/L", DAY)), RATIO, "not-met", "out-of-range"),
    Row("a ratio with a side below what can be counted", (lab("ast", "80 U/L", DAY), lab("alt", "<50 U/L", DAY)), RATIO, "unknown", "comparator"),
    Row("a ratio whose other side was taken on another day", (lab("ast", "80 U/L", DAY), lab("alt", "40 U/L", "2025-05-27")), RATIO, "unknown", "too-old"),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_formula(row: Row) -> None:
    check(row)


def test_the_inputs_and_the_value_are_shown() -> None:
    found = result(EGFR, MAN, lab("creatinine", "1.0 mg/dL", DAY))
    assert found.evidence[0].compared == "91.69 mL/min/{1.73_m2}"
    assert found.evidence[0].note == "CKD-EPI 2021: age 50 a, male"
    found = result(derived("qtcf", "at-most: 450 ms"), QT, RATE)
    assert [evidence.reference for evidence in found.evidence] == [QT.reference, RATE.reference]
    assert found.near_limit


WRONG: dict[str, tuple[str, str]] = {
    "a ratio without its sides": (derived("ratio", "at-most: '2'"), "FE0204"),
    "a ratio of what is counted differently": (
        derived("ratio", "at-most: '2'", "numerator: {concepts: [ast]}, denominator: {concepts: [platelets]}"), "FE0206",
    ),
    "a formula that there is not": (derived("egfr", "at-least: 60 mL/min"), "FE0209"),
}  # fmt: skip


@pytest.mark.parametrize(("criterion", "code"), WRONG.values(), ids=WRONG)
def test_a_formula_that_cannot_be_used_is_refused_at_load(criterion: str, code: str) -> None:
    with pytest.raises(AuthoringError) as caught:
        protocol(criterion)
    assert code in {finding.code for finding in caught.value.findings}


def test_each_formula_names_its_source() -> None:
    texts: dict[str, Any] = {
        name: getattr(formulas, name).__doc__ for name in vars(formulas) if name.startswith(("ckd", "b", "qtc", "corr"))
    }
    assert len(texts) >= 8 and all("Source: " in text for text in texts.values())
    assert set(SPANS) <= set(FORMULAS)
