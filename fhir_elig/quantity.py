"""Exact numbers, intervals and comparators; what a chart's quantity means in an analyte's canonical unit.

No binary floating point: numbers are decimals as sent, converted by rational factors. A value is an interval
(`Interval`); a plain number is a point. The unit tables come from mappings/units and mappings/concepts/labs.csv
(`concepts` reads them); `Analyte` and `Scale` are their compiled form.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

import msgspec

from fhir_elig.verdict import MET, NOT_MET, UNKNOWN, Reason, Verdict

Number = Decimal | int

MAX_DIGITS = 40
MAX_EXPONENT = 30
_ZERO = Fraction(0)


def _order(one: Fraction, two: Fraction) -> int:
    """Below 0, 0 or above 0 as the first is less than, equal to or more than the second; in whole numbers, which is quick."""
    (above, below), (other_above, other_below) = one.as_integer_ratio(), two.as_integer_ratio()
    return above * other_below - other_above * below


class Interval(msgspec.Struct, frozen=True, gc=False):
    """A set of possible values from `low` to `high`; None is an infinite end; an end is closed unless marked open."""

    low: Fraction | None = None
    high: Fraction | None = None
    low_open: bool = False
    high_open: bool = False

    @property
    def is_point(self) -> bool:
        return self.low is not None and (self.low is self.high or self.low == self.high)

    def __contains__(self, value: Fraction) -> bool:
        if self.low is not None:
            above = _order(value, self.low)
            if above < 0 or (above == 0 and self.low_open):
                return False
        if self.high is None:
            return True
        above = _order(value, self.high)
        return above < 0 or (above == 0 and not self.high_open)

    def scaled(self, factor: Fraction, offset: Fraction = _ZERO) -> Interval:
        """Multiplied by a positive factor and moved by an offset."""
        if factor == 1 and offset == 0:
            return self
        low = None if self.low is None else self.low * factor + offset
        high = low if self.high is self.low else None if self.high is None else self.high * factor + offset
        return Interval(low, high, self.low_open, self.high_open)

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that holds both."""
        low, low_open = _lower((self.low, self.low_open), (other.low, other.low_open))
        high, high_open = _upper((self.high, self.high_open), (other.high, other.high_open))
        return Interval(low, high, low_open, high_open)


End = tuple[Fraction | None, bool]


def _lower(one: End, two: End) -> End:
    if one[0] is None or two[0] is None:
        return None, False
    return min(one, two, key=lambda end: (end[0], end[1]))


def _upper(one: End, two: End) -> End:
    if one[0] is None or two[0] is None:
        return None, False
    return max(one, two, key=lambda end: (end[0], not end[1]))


def point(value: Fraction | int) -> Interval:
    exact = value if isinstance(value, Fraction) else Fraction(value)
    return Interval(exact, exact)


def fraction(number: Number) -> Fraction | None:
    """The number as a fraction; None if it is not finite or outside the bounds (40 digits, exponents -30 to 30)."""
    if isinstance(number, int):
        return Fraction(number) if number.bit_length() <= 140 else None
    if not number.is_finite():
        return None
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or len(digits) > MAX_DIGITS or not -MAX_EXPONENT - MAX_DIGITS <= exponent <= MAX_EXPONENT:
        return None
    return Fraction(*number.as_integer_ratio())


_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")


def parse_number(text: str) -> Fraction | None:
    """A decimal as text, bounded before any arithmetic; None if it is none."""
    if len(text) > 64 or not _NUMBER.fullmatch(text):
        return None
    return fraction(Decimal(text))


def compare(value: Interval, limit: Interval) -> Verdict:
    """`met` if all of the value lies within the limit, `not-met` if none of it does, else `unknown`.

    >>> compare(point(90), Interval(low=Fraction(90)))
    <Verdict.MET: 'met'>
    """
    if _inside(value, limit):
        return MET
    return NOT_MET if _apart(value, limit) else UNKNOWN


def _inside(value: Interval, limit: Interval) -> bool:
    if limit.low is not None:
        if value.low is None:
            return False
        order = _order(value.low, limit.low)
        if order < 0 or (order == 0 and limit.low_open and not value.low_open):
            return False
    if limit.high is None:
        return True
    if value.high is None:
        return False
    order = _order(value.high, limit.high)
    return order < 0 or (order == 0 and (value.high_open or not limit.high_open))


def _apart(value: Interval, limit: Interval) -> bool:
    if limit.low is not None and value.high is not None:
        order = _order(value.high, limit.low)
        if order < 0 or (order == 0 and (value.high_open or limit.low_open)):
            return True
    if limit.high is None or value.low is None:
        return False
    order = _order(value.low, limit.high)
    return order > 0 or (order == 0 and (value.low_open or limit.high_open))


class Quantity(msgspec.Struct, frozen=True, gc=False):
    """A FHIR Quantity as sent: `value` keeps its digits; `code` is the unit's code, `system` its system."""

    value: Number | None
    comparator: str = ""
    unit: str = ""
    code: str = ""
    system: str = ""

    def __str__(self) -> str:
        unit = self.unit or self.code
        return f"{self.comparator}{self.value}{' ' if unit else ''}{unit}"


class Range(msgspec.Struct, frozen=True, gc=False):
    """A FHIR Range, or `a-b` in text; a missing side is an open end."""

    low: Quantity | None
    high: Quantity | None

    def __str__(self) -> str:
        unit = next((str(side.unit or side.code) for side in (self.low, self.high) if side and (side.unit or side.code)), "")
        low, high = (str(side.value) if side else "" for side in (self.low, self.high))
        return f"{low}-{high}{' ' if unit else ''}{unit}"


class Scale(msgspec.Struct, frozen=True, gc=False):
    """How one unit becomes an analyte's canonical unit: canonical = value x factor + offset."""

    factor: Fraction
    offset: Fraction = Fraction(0)

    def of(self, value: Fraction) -> Fraction:
        scaled = value if self.factor == 1 else value * self.factor
        return scaled + self.offset if self.offset else scaled


class Analyte(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What is measured: its canonical unit, the values that are plausible, the upper limits that are believed.

    `aliases` maps a unit's normal form (see `normal_form`) to its scale; `folded` is the same with case folded, for
    spellings where case means nothing; `refused` (and its folded form) holds spellings that this analyte never takes.
    `annotations` are the UCUM annotations that change nothing here. `molar` is the canonical value of 1 mmol/L, if the
    analyte has one.
    """

    name: str
    canonical: str
    plausible: tuple[Interval, ...] = ()
    believed: Interval | None = None
    usual: Interval | None = None
    whole: bool = False
    unitless: bool = False
    non_negative: bool = True
    molar: Fraction | None = None
    ucum: bool = True
    aliases: dict[str, Scale] = {}
    folded: dict[str, Scale] = {}
    refused: frozenset[str] = frozenset()
    refused_folded: frozenset[str] = frozenset()
    annotations: frozenset[str] = frozenset()


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a chart's value means in canonical units: an interval, or the reason why it cannot be read."""

    interval: Interval | None = None
    reason: Reason | None = None
    scale: Scale | None = None
