"""Quantities as people print them: text to a quantity, and an exact number to text that never crosses a limit."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from fhir_elig.quantity import Quantity, Range

MAX_TEXT = 128
EXACT_DIGITS = 8
DIGITS = 4
MORE_DIGITS = 12

_COMPARATORS = {"LT": "<", "LE": "<=", "GT": ">", "GE": ">=", "≤": "<=", "≥": ">="}
_FIGURES = r"[0-9]{1,40}(?:[.,][0-9]{1,40})?|\.[0-9]{1,40}"
_POINT = re.compile(rf"(<=|>=|<|>|≤|≥|[LG][TE])?\s*([+-]?(?:{_FIGURES}))(.*)", re.IGNORECASE | re.DOTALL)
_RANGE = re.compile(rf"({_FIGURES})\s*(?:-|–|to)\s*({_FIGURES})(.*)", re.IGNORECASE | re.DOTALL)

# A unit that starts with a figure must be a power of ten or 1000, and stand apart: `1 100 /uL` may be 1100 per uL.
_FIGURE_UNIT = re.compile(r"\s+(?:10(?:[*^(]|[eE][0-9]|[⁰¹²³⁴⁵⁶⁷⁸⁹])|1000\s*/)")
_NO_UNIT_START = tuple("0123456789+-–<>=≤≥.,;:")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")


def read_text(text: str, decimal_comma: bool = False) -> Quantity | Range | None:
    """The whole text as one number with an optional comparator, or as `a-b`, with an optional unit; else None.

    A decimal comma is read only if the site says so; then `1.234` may be a thousand, and is not read.

    >>> str(read_text("GT 45 mL/min"))
    '>45 mL/min'
    """
    text = text.strip() if len(text) <= MAX_TEXT else ""
    found = _RANGE.fullmatch(text)
    if found:
        low, high = (_number(found[i], decimal_comma) for i in (1, 2))
        unit = _unit(found[3])
        if low is not None and high is not None and unit is not None:
            return Range(Quantity(low, unit=unit), Quantity(high, unit=unit))
    found = _POINT.fullmatch(text)
    value = None if found is None else _number(found[2], decimal_comma)
    unit = None if found is None else _unit(found[3])
    if found is None or value is None or unit is None:
        return None
    return Quantity(value, comparator=_comparator(found[1] or ""), unit=unit)


def _comparator(sign: str) -> str:
    return _COMPARATORS.get(sign.upper(), sign)


def _number(figures: str, decimal_comma: bool) -> Decimal | None:
    if decimal_comma:
        return None if _THOUSANDS.fullmatch(figures) else _decimal_number(figures.replace(",", "."))
    return _decimal_number(figures)


def _decimal_number(figures: str) -> Decimal | None:
    """Figures with an optional decimal point, digits kept; None if a comma is among them."""
    return None if "," in figures else Decimal(figures)


def _unit(rest: str) -> str | None:
    """What stands after the number, if it can be a unit: `` for nothing, None for more figures or signs."""
    unit = rest.strip()
    if unit.startswith(_NO_UNIT_START) and not _FIGURE_UNIT.match(rest):
        return None
    return unit


@lru_cache(maxsize=8192)
def display(value: Fraction, unit: str, limit: Fraction | None = None) -> str:
    """The value in decimal with its unit: exact if short, else at least 4 significant digits, on the limit's true side.

    >>> display(Fraction("89.9994825"), "g/L", Fraction(90))
    '89.999 g/L'
    """
    text = _exact(value) or _rounded(value, limit)
    return text if unit in ("", "1") else f"{text} {unit}"


def _exact(value: Fraction) -> str:
    """The exact decimal, if the value is whole or has at most 8 significant digits; else an empty text."""
    places = next((n for n in range(EXACT_DIGITS + 7) if (value * 10**n).denominator == 1), None)
    if places is None:
        return ""
    digits = str(abs(int(value * 10**places)))
    return _decimal(value, places) if places == 0 or len(digits) <= EXACT_DIGITS else ""


def _rounded(value: Fraction, limit: Fraction | None) -> str:
    places = _places(value)
    if limit is None or value == limit:
        return _decimal(value, places)
    for more in range(places, places + MORE_DIGITS):
        if _side(round(value, more), limit) == _side(value, limit):
            return _decimal(value, more)
    step = Fraction(1, 10 ** (places + MORE_DIGITS))
    away = -(-value // step) if value > limit else value // step
    return _decimal(away * step, places + MORE_DIGITS)


def _places(value: Fraction) -> int:
    """Decimal places that give 4 significant digits; none below 0, so whole digits are never lost."""
    places, size = 0, abs(value)
    while places < 40 and size * 10**places < 10 ** (DIGITS - 1):
        places += 1
    return places


def _side(value: Fraction, limit: Fraction) -> int:
    return (value > limit) - (value < limit)


def _decimal(value: Fraction, places: int) -> str:
    scaled = round(value * 10**places)
    digits = str(abs(scaled)).rjust(places + 1, "0")
    sign = "-" if scaled < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else sign + digits
