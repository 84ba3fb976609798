"""Reference ranges of a result: their limits, and whom they fit.

A range that cannot be read, or that says of itself something that is not understood, is kept and marked `fits_unknown`: to
drop it would let another limit take its place.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from fhir_elig.adapters.moments import calendar_unit
from fhir_elig.adapters.shapes import Context, Resource, ShapeError, items, number, plain_codes, quantity, string
from fhir_elig.quantity import Number, Quantity
from fhir_elig.record import ReferenceRange

_SEXES = {
    ("http://hl7.org/fhir/administrative-gender", "male"): "male",
    ("http://hl7.org/fhir/administrative-gender", "female"): "female",
    ("http://snomed.info/sct", "248153007"): "male",
    ("http://snomed.info/sct", "248152002"): "female",
    ("http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender", "M"): "male",
    ("http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender", "F"): "female",
    ("http://hl7.org/fhir/v3/AdministrativeGender", "M"): "male",
    ("http://hl7.org/fhir/v3/AdministrativeGender", "F"): "female",
}
_WHOM = frozenset({"appliesTo", "age", "type", "modifierExtension"})
_UNREADABLE = ReferenceRange(fits_unknown=True, text="cannot be read")

_FIGURE = r"([0-9]{1,20}(?:\.[0-9]{1,20})?)"
_UNIT = r"(?: ?([^0-9\s<>=.,;:-][^<>=,;:]{0,30}))?"
_BETWEEN = re.compile(rf"{_FIGURE} ?(?:-|–|to) ?{_FIGURE}{_UNIT}")
_BELOW = re.compile(rf"(?:<=?|≤|up to) ?{_FIGURE}{_UNIT}", re.IGNORECASE)
_AROUND = (("(", ")"), ("[", "]"))  # what laboratories write around a whole range
_ABOVE = re.compile(rf"(?:>=?|≥) ?{_FIGURE}{_UNIT}")


def reference_ranges(value: Any, context: Context) -> tuple[ReferenceRange, ...]:
    """All ranges of a result, as sent; one that is broken costs only itself."""
    try:
        return tuple([_guarded(one, context) for one in items(value)])
    except ShapeError:
        return (_UNREADABLE,)


def _guarded(value: Any, context: Context) -> ReferenceRange:
    try:
        return _range(value, context)
    except (ValueError, TypeError, AttributeError):
        return _UNREADABLE


def _range(value: Resource, context: Context) -> ReferenceRange:
    get = value.get
    low, high, text = get("low"), get("high"), string(get("text"))
    lowest, highest = None if low is None else quantity(low), None if high is None else quantity(high)
    if low is None and high is None and text:
        lowest, highest = read_limits(text, context.settings.decimal_comma)
    if _WHOM.isdisjoint(value):
        return ReferenceRange(lowest, highest, text=text)
    applies, ages, kind = get("appliesTo"), get("age"), get("type")
    sex, sex_known = _sex(applies)
    youngest, oldest, age_known = _ages(ages) if ages is not None else (None, None, True)
    understood = sex_known and age_known and not value.get("modifierExtension")
    return ReferenceRange(lowest, highest, _kind(kind), sex, youngest, oldest, text, not understood)


def read_limits(text: str, decimal_comma: bool) -> tuple[Quantity | None, Quantity | None]:
    """The limits that the whole of a text states: `0-40`, `(0-40)`, `<41`, `up to 40 U/L`; none if it says anything else.

    >>> read_limits("0-40 U/L", False)[1]
    Quantity(value=Decimal('40'), comparator='', unit='U/L', code='', system='')
    """
    plain = " ".join(text.split()) if len(text) <= 80 else ""
    if (plain[:1], plain[-1:]) in _AROUND:
        plain = plain[1:-1].strip()
    if "," in plain:
        plain = plain.replace(",", ".") if decimal_comma and "." not in plain else ""
    match = _BETWEEN.fullmatch(plain)
    if match:
        low, high = _limit(match[1], match[3]), _limit(match[2], match[3])
        return (low, high) if Decimal(match[1]) <= Decimal(match[2]) else (None, None)
    match = _BELOW.fullmatch(plain)
    if match:
        return None, _limit(match[1], match[2])
    match = _ABOVE.fullmatch(plain)
    return (_limit(match[1], match[2]), None) if match else (None, None)


def _limit(figure: str, unit: str | None) -> Quantity:
    return Quantity(Decimal(figure), unit=(unit or "").strip())


def _kind(value: Any) -> str:
    """`normal`, or the code or text of another kind (critical, therapeutic, ...)."""
    if value is None:
        return "normal"
    codes = plain_codes(value)
    named = codes or (string(value.get("text")).strip().casefold(),)
    return "normal" if named == ("normal",) else next((name for name in named if name != "normal"), "") or "unreadable"


def _sex(value: Any) -> tuple[str, bool]:
    """The sex that all of `appliesTo` names, and whether nothing else is said there."""
    groups = list(items(value))
    if not groups:
        return "", True
    found = {_sex_of(group) for group in groups}
    return (found.pop(), True) if len(found) == 1 and "" not in found else ("", False)


def _sex_of(group: Any) -> str:
    named = {_SEXES.get((coding.get("system"), coding.get("code")), "") for coding in items(group.get("coding"))}
    return named.pop() if len(named) == 1 else ""


def _ages(value: Any) -> tuple[Number | None, Number | None, bool]:
    """Completed years from and to, and whether they are exact. If not, they are the widest that the range could mean."""
    low, low_exact = _years(value.get("low"), 366)
    high, high_exact = _years(value.get("high"), 365)
    return low, high, low_exact and high_exact and (low is not None or high is not None)


def _years(value: Any, days_a_year: int) -> tuple[Number | None, bool]:
    if value is None:
        return None, True
    unit, size = calendar_unit(value), number(value.get("value"))
    if value.get("comparator") or not 0 <= size <= 100_000:
        return None, False
    if unit == "a":
        return size, True
    if unit == "mo":
        return int(size // 12), size % 12 == 0
    if unit in ("wk", "d"):
        return int(size * (7 if unit == "wk" else 1) // days_a_year), False
    return None, False
