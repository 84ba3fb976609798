"""Doses: a daily dose only where it is written so that it can be computed, and computed exactly."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, strategies as st

from fhir_elig.adapters.dosage import doses, per_day
from fhir_elig.record import Dose

UCUM = "http://unitsofmeasure.org"


def dosage(value: Any = 10, unit: str = "mg", code: str = "mg", **over: Any) -> dict[str, Any]:
    return {"doseAndRate": [{"doseQuantity": {"value": value, "unit": unit, "system": UCUM, "code": code}}], **over}


def every(period: Any, unit: str, times: Any = 1, **more: Any) -> dict[str, Any]:
    return {"timing": {"repeat": {"frequency": times, "period": period, "periodUnit": unit, **more}}}


def timed(code: str, **repeat: Any) -> dict[str, Any]:
    return {"timing": {"code": {"coding": [{"code": code}]}, **({"repeat": repeat} if repeat else {})}}


@pytest.mark.parametrize(
    ("sent", "daily"),
    [
        (dosage(30, **every(2, "d")), "15"),
        (dosage(Decimal("7.50"), **every(1, "d", 2)), "15"),
        (dosage(Decimal("2.5"), **every(1, "d")), "2.5"),
        (dosage(14, **every(1, "wk")), "2"),
        (dosage(14, **every(1, "wk", dayOfWeek=["mon"])), "2"),
        (dosage(10, **every(8, "h")), "30"),
        (dosage(10, **every(36, "h")), None),
        (dosage(9, **every(36, "h")), "6"),
        (dosage(10, **every(3, "d")), None),
        (dosage(10, timing={"repeat": {"period": 1, "periodUnit": "d"}}), "10"),
        (dosage(10, **timed("BID")), "20"),
        (dosage(10, **timed("QOD")), "5"),
        (dosage(14, **timed("WK")), "2"),
        (dosage(10, **timed("BID", frequency=2, period=1, periodUnit="d")), "20"),
        (dosage(10, **timed("BID", boundsPeriod={"end": "2025-01-01"})), "20"),
        (dosage(10, **timed("BID", frequency=3, period=1, periodUnit="d")), None),
        (dosage(10, **timed("x", frequency=3, period=1, periodUnit="d")), "30"),
        (dosage(10, **timed("x")), None),
        (dosage(10, **timed("BID", timeOfDay=["08:00:00"])), None),
        (dosage(10, timing={"code": {"coding": [{"code": "BID"}, {"code": "TID"}]}}), None),
        (dosage(10, timing={"code": {"coding": [{"code": "BID"}]}, "modifierExtension": [{"url": "x"}]}), None),
        (dosage(10, **every(1, "d", frequencyMax=3)), None),
        (dosage(10, **every(1, "d", periodMax=3)), None),
        (dosage(10, **every(1, "d", dayOfWeek=["mon"])), None),
        (dosage(10, **every(1, "mo")), None),
        (dosage(10, **every(1, "d", True)), None),
        (dosage(10, **every(1, "d", 0)), None),
        (dosage(10, **every(0, "d")), None),
        (dosage(10, **every(Decimal("1E-99"), "d")), None),
        (dosage(10), None),
        (dosage(10, asNeededBoolean=True, **every(1, "d")), None),
        (dosage(10, asNeededCodeableConcept={"text": "pain"}, **every(1, "d")), None),
        (dosage(10, asNeeded=True, **every(1, "d")), None),
        (dosage(10, asNeededFor=[{"text": "pain"}], **every(1, "d")), None),
        (dosage(10, asNeededBoolean=False, **every(1, "d")), "10"),
    ],
)
def test_a_daily_dose_is_dose_times_intakes_by_days(sent: dict[str, Any], daily: str | None) -> None:
    (found,) = doses([sent])
    assert (None if found.per_day is None else str(found.per_day)) == daily
    assert found.numerator is not None and found.unit == "mg"


def test_the_parts_of_a_dose_are_kept_where_the_day_is_not_exact() -> None:
    assert doses([dosage(10, text="T", **every(3, "d", 2))]) == (Dose(None, 10, 2, 3, "mg", "T"),)
    assert doses([dosage(10, **every(36, "h"))]) == (Dose(None, 10, 24, 36, "mg"),)
    (needed,) = doses([dosage(10, asNeededBoolean=True, **every(1, "d"))])
    assert needed.as_needed and needed.times == 1


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"text": "one daily"}, Dose(text="one daily")),
        ({"patientInstruction": "one daily", "asNeededBoolean": True}, Dose(text="one daily", as_needed=True)),
        ({"doseAndRate": [{"doseRange": {"low": {"value": 1}}}]}, Dose()),
        ({"doseAndRate": []}, Dose()),
        ({"doseAndRate": [{"doseQuantity": {"value": 1}}, {"doseQuantity": {"value": 2}}]}, Dose()),
        (dosage("10"), Dose()),
        ({"doseAndRate": [{"doseQuantity": 5}]}, Dose()),
        ({"doseAndRate": [{"doseQuantity": {"unit": "mg"}}]}, Dose()),
        ({"doseAndRate": [{"doseQuantity": {"value": 5, "unit": "mg", "comparator": "<"}}]}, Dose()),
        ({"doseAndRate": [{"doseQuantity": {"value": 5}}]}, Dose(text="5")),
        (dosage(5, unit="g", code="mg"), Dose(text="5 g")),
        (dosage(5, unit="g", code="mg", text="T"), Dose(text="T")),
    ],
)
def test_what_is_not_one_amount_with_one_unit_is_text(sent: dict[str, Any], expected: Dose) -> None:
    assert doses([sent]) == (expected,)


@pytest.mark.parametrize(
    ("unit", "code", "system", "expected"),
    [
        ("milligrams", "mg", UCUM, "mg"),
        ("", "mg", UCUM, "mg"),
        ("mcg", "ug", UCUM, "ug"),
        ("mg", "MG", "http://local.example", "mg"),
        ("tablet", "", "", "tablet"),
        ("", "TAB", "http://local.example", "TAB"),
    ],
)
def test_a_unit_is_the_ucum_code_else_the_text(unit: str, code: str, system: str, expected: str) -> None:
    amount = {"value": 5, "unit": unit, "code": code, "system": system}
    assert doses([{"doseAndRate": [{"doseQuantity": amount}]}])[0].unit == expected


def test_several_instructions_are_no_daily_dose() -> None:
    taper = doses([dosage(10, **every(1, "d")), dosage(5, **every(1, "d"))])
    assert [(dose.per_day, dose.numerator) for dose in taper] == [(None, 10), (None, 5)]
    assert doses([]) == ()


@given(st.decimals(-1000, 1000, places=3), st.integers(1, 24), st.integers(1, 60))
def test_a_daily_dose_is_exact_or_none(amount: Decimal, times: int, period: int) -> None:
    exact = Fraction(amount) * times / period
    found = per_day(amount, times, period)
    if found is None:
        rest = exact.denominator
        for prime in (2, 5):
            while rest % prime == 0:
                rest //= prime
        assert rest > 1
    else:
        assert Fraction(found) == exact


@pytest.mark.parametrize("amount", [Decimal("1E+99"), 10**60])
def test_a_number_out_of_bounds_gives_no_daily_dose(amount: Any) -> None:
    assert per_day(amount, 1, 1) is None
    assert per_day(1, 1, 0) is None
