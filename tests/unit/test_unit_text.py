"""Quantities in text: what is one number with a unit and what is not; and numbers shown on the limit's true side."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from fhir_elig.quantity import Quantity, Range
from fhir_elig.units import display, read_text
from tests import pace


def one(value: str, comparator: str = "", unit: str = "") -> Quantity:
    return Quantity(Decimal(value), comparator=comparator, unit=unit)


@pytest.mark.parametrize(("text", "expected"), [
    ("7.50", one("7.50")),
    (" 45 ", one("45")),
    ("-3", one("-3")),
    ("+3", one("3")),
    (".5", one("0.5")),
    ("GT 45", one("45", ">")),
    ("lt5", one("5", "<")),
    ("LE 5 %", one("5", "<=", "%")),
    ("GE 5", one("5", ">=")),
    ("<5.0 mIU/mL", one("5.0", "<", "mIU/mL")),
    (">= 1000 /uL", one("1000", ">=", "/uL")),
    ("≤5", one("5", "<=")),
    ("≥ 5", one("5", ">=")),
    ("> 5", one("5", ">")),
    ("55%", one("55", unit="%")),
    ("75 10*3/uL", one("75", unit="10*3/uL")),
    ("75 10E3/uL", one("75", unit="10E3/uL")),
    ("75 10³/µL", one("75", unit="10³/µL")),
    ("75 1000/mm3", one("75", unit="1000/mm3")),
    ("7.5x10E9/L", one("7.5", unit="x10E9/L")),
    ("62 mL/min/1.73 m2", one("62", unit="mL/min/1.73 m2")),
])  # fmt: skip
def test_one_number_with_comparator_and_unit_is_a_quantity(text: str, expected: Quantity) -> None:
    assert read_text(text) == expected


@pytest.mark.parametrize(("text", "low", "high", "unit"), [
    ("0-40", "0", "40", ""), ("50-55 %", "50", "55", "%"), ("2.0 - 3.0", "2.0", "3.0", ""), ("5–6 g/dL", "5", "6", "g/dL"), ("4 to 5", "4", "5", ""),
    ("3-1", "3", "1", ""),
])  # fmt: skip
def test_two_numbers_are_a_range(text: str, low: str, high: str, unit: str) -> None:
    assert read_text(text) == Range(one(low, unit=unit), one(high, unit=unit))


@pytest.mark.parametrize("text", [
    "", "   ", "not negative", "see comment", "negative control 5", "~5", "ca. 5", "2024-05-28", "1-2-3", "5.", "1.2.3", "1,234", "7,5", "1 100 /uL", "1 000",
    "1 1", "5 5", "5 -", "5 <", "< 5-10", "<", "GT", "%", "g/dL", "5, 6", "10:15", "3+", "NaN", "٣", "5" * 41, "5" * 200,
])  # fmt: skip
def test_any_other_text_is_no_quantity(text: str) -> None:
    found = read_text(text)
    assert found is None


def test_a_decimal_comma_is_read_only_where_the_site_says_so() -> None:
    assert read_text("7,5 g/dL") is None
    assert read_text("7,5 g/dL", decimal_comma=True) == one("7.5", unit="g/dL")
    assert read_text("0,5-1,2", decimal_comma=True) == Range(one("0.5"), one("1.2"))


def test_a_point_that_may_part_thousands_is_not_read_beside_decimal_commas() -> None:
    assert read_text("1.234", decimal_comma=True) is None
    assert read_text("7.5", decimal_comma=True) == one("7.5")
    assert read_text("0.123", decimal_comma=True) == one("0.123")


@pytest.mark.parametrize("text", ["<" * 128, "1" * 128, "1-" * 64, "5 " + "(" * 120, " " * 100_000, "1." * 60, "to" * 60])
def test_a_hostile_text_costs_next_to_nothing(text: str) -> None:
    pace.at_most(5, lambda: read_text(text))


@pytest.mark.parametrize(("value", "unit", "limit", "shown"), [
    ("90", "g/L", "90", "90 g/L"),
    ("102", "g/L", "90", "102 g/L"),
    ("89.9994825", "g/L", "90", "89.999 g/L"),
    ("90.015597", "g/L", "90", "90.015597 g/L"),
    ("49.97263513", "mL/min", "50", "49.97 mL/min"),
    ("1.99958166", "mg/dL", "2", "1.9996 mg/dL"),
    ("0.0584673", "mg/dL", None, "0.0584673 mg/dL"),
    ("250000", "10*9/L", None, "250000 10*9/L"),
    ("1234567.8912", "", None, "1234568"),
    ("1.35", "1", "1.5", "1.35"),
    ("-17.77777777777", "Cel", None, "-17.78 Cel"),
    ("0", "%", "5", "0 %"),
    ("2/3", "L", None, "0.6667 L"),
    ("2/3", "L", "2/3", "0.6667 L"),
    ("1/30000", "L", None, "0.00003333 L"),
])  # fmt: skip
def test_a_value_is_shown_exactly_or_with_enough_digits(value: str, unit: str, limit: str | None, shown: str) -> None:
    assert display(Fraction(value), unit, None if limit is None else Fraction(limit)) == shown


def test_a_value_next_to_the_limit_is_cut_towards_its_own_side() -> None:
    near = Fraction(1, 10**30)
    assert Decimal(display(50 + near, "", Fraction(50))) > 50
    assert Decimal(display(50 - near, "", Fraction(50))) < 50
