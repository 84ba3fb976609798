"""Laws of units: one canonical value whatever the unit, no exception, no unbounded work, no sign of a limit crossed."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from hypothesis import example, given, settings, strategies as st

from fhir_elig import ucum
from fhir_elig.quantity import Analyte, Interval, Quantity, Range, Reading, Scale
from fhir_elig.units import display, load_analytes, normal_form, parse_amount, read_quantity, read_text, unit_of
from fhir_elig.verdict import Reason
from tests import pace

ANALYTES = load_analytes(Path(__file__).parents[2] / "mappings" / "units")
UCUM = "http://unitsofmeasure.org"
PIECES = "g m L l dL uL mL mol mmol U IU [IU] {cells} {1.73_m2} {x} 10* 10^ 9 3 103 24 / . ( ) % K G ⁹ µ × ° e E - + 1 s min K/uL mg/dL".split()

ucum.read("mg/dL")  # the registry is built once, outside of what is timed

analytes = st.sampled_from(sorted(ANALYTES)).map(ANALYTES.__getitem__)
numbers = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-1000, max_value=100_000)
units = st.one_of(st.text(max_size=80), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
values = st.one_of(st.none(), st.decimals(), st.integers(), numbers)
quantities = st.builds(
    Quantity, values, comparator=st.sampled_from(["", "<", "<=", ">", ">=", "ad", "x"]), unit=units, code=units,
    system=st.sampled_from(["", UCUM, "http://snomed.info/sct"]),
)  # fmt: skip


@st.composite
def two_units(draw: st.DrawFn) -> tuple[Analyte, str, str]:
    analyte = draw(analytes)
    forms = st.sampled_from(sorted(analyte.aliases))
    return analyte, draw(forms), draw(forms)


@given(two_units(), st.fractions(min_value=0, max_value=1000))
def test_one_value_in_any_two_units_is_one_canonical_value(pair: tuple[Analyte, str, str], value: Fraction) -> None:
    analyte, one, two = pair
    first, second = (unit_of(Quantity(Decimal(1), code=unit, system=UCUM), analyte) for unit in (one, two))
    assert isinstance(first, Scale) and isinstance(second, Scale)
    canonical = value * first.factor + first.offset
    back = (canonical - second.offset) / second.factor
    assert back * second.factor + second.offset == canonical


@given(two_units(), numbers)
def test_code_and_text_of_one_unit_never_conflict(pair: tuple[Analyte, str, str], value: Decimal) -> None:
    analyte, one, two = pair
    by_code, by_text = unit_of(Quantity(value, code=one, system=UCUM), analyte), unit_of(Quantity(value, unit=two), analyte)
    both = unit_of(Quantity(value, code=one, unit=two, system=UCUM), analyte)
    assert both == (by_code if by_code == by_text else Reason.UNIT_CONFLICT)


@given(quantities, analytes)
@settings(max_examples=400)
def test_reading_never_raises_and_gives_an_interval_or_a_reason(quantity: Quantity, analyte: Analyte) -> None:
    reading = read_quantity(quantity, analyte)
    assert (reading.interval is None) != (reading.reason is None)


@given(quantities, quantities, analytes)
def test_reading_a_range_gives_an_interval_in_order_or_a_reason(low: Quantity, high: Quantity, analyte: Analyte) -> None:
    reading = read_quantity(Range(low, high), analyte)
    assert (reading.interval is None) != (reading.reason is None)
    assert reading.interval is None or reading.interval.low <= reading.interval.high


@given(numbers, analytes, st.sampled_from(["<", "<=", ">", ">="]))
def test_an_interval_of_a_comparator_holds_only_what_the_analyte_can_be(
    value: Decimal, analyte: Analyte, comparator: str
) -> None:
    reading = read_quantity(Quantity(value, comparator=comparator, code=analyte.canonical, system=UCUM), analyte)
    if reading.interval is not None:
        assert reading == Reading(interval=reading.interval, scale=Scale(Fraction(1)))
        end = reading.interval.high if comparator.startswith("<") else reading.interval.low
        assert end == Fraction(value)
        assert not analyte.non_negative or Fraction(-1) not in reading.interval


@given(units)
@example("10*30" * 12)
@example("((((")
def test_a_unit_costs_next_to_nothing(text: str) -> None:
    def read() -> None:
        for analyte in (ANALYTES["hemoglobin"], ANALYTES["egfr"], ANALYTES["inr"]):
            unit_of(Quantity(Decimal(1), unit=text, code=text, system=UCUM), analyte)

    pace.at_most(10, read)


@given(units)
def test_the_normal_form_is_its_own_normal_form_but_for_full_stops(text: str) -> None:
    form = normal_form(text)
    assert normal_form(form).rstrip(".") == form.rstrip(".")
    assert len(text) > 64 or not any(letter.isspace() for letter in form)


@given(st.text(max_size=200), st.booleans(), analytes)
def test_text_never_raises(text: str, comma: bool, analyte: Analyte) -> None:
    told = read_text(text, comma)
    assert told is None or read_quantity(told, analyte) is not None
    assert isinstance(parse_amount(text, analyte), Fraction | Reason)


@given(numbers, st.sampled_from(["", "<", "<=", ">", ">="]), st.sampled_from(["", "%", "g/dL", "10*3/uL", "mL/min/1.73 m2"]))
def test_a_quantity_survives_its_own_print(value: Decimal, comparator: str, unit: str) -> None:
    quantity = Quantity(value, comparator=comparator, unit=unit)
    assert read_text(str(quantity)) == quantity


@given(st.fractions(), st.fractions())
def test_what_is_shown_lies_on_the_true_side_of_the_limit(value: Fraction, limit: Fraction) -> None:
    shown = Fraction(display(value, "", limit))
    assert value == limit or ((shown > limit) - (shown < limit) == (value > limit) - (value < limit))


@given(st.fractions(min_value=Fraction(1, 10**6)))
def test_what_is_shown_is_right_to_four_digits(value: Fraction) -> None:
    assert abs(Fraction(display(value, "")) - value) <= value / 2000


@given(st.fractions(), st.fractions(min_value=0), st.booleans(), st.booleans())
def test_scaling_keeps_an_interval_and_its_openness(low: Fraction, width: Fraction, left: bool, right: bool) -> None:
    moved = Interval(low, low + width, left, right).scaled(Fraction(5, 9), Fraction(-160, 9))
    assert (moved.low_open, moved.high_open) == (left, right)
    assert moved.high - moved.low == width * Fraction(5, 9)
