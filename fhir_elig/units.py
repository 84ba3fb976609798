"""What a chart's quantity means in an analyte's canonical unit: read a unit only when its meaning is certain.

The order is that of the documentation's page on units: the UCUM code, else the unit as text; the analyte's own table;
what the analyte refuses; UCUM within bounds; dimension; the plausible range. Nothing here raises on what a chart says: the
answer is an interval, or the reason why there is none. `load_analytes` reads the tables of mappings/units.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import lru_cache

from fhir_elig import ucum
from fhir_elig.quantity import Analyte, Interval, Quantity, Range, Reading, Scale, fraction, point
from fhir_elig.unit_tables import MAX_LENGTH, load_analytes, normal_form
from fhir_elig.unit_text import display, read_text
from fhir_elig.verdict import Reason

__all__ = ["amount_of", "display", "load_analytes", "normal_form", "parse_amount", "read_quantity", "read_text", "unit_of"]

UCUM_SYSTEMS = frozenset(
    {
        "http://unitsofmeasure.org",
        "http://unitsofmeasure.org/",
        "https://unitsofmeasure.org",
        "https://unitsofmeasure.org/",
        "urn:oid:2.16.840.1.113883.6.8",
    }
)


_WORTH_REMEMBERING = 256  # characters of a quantity


class Miss(Enum):
    """Why a unit's text has no scale."""

    REFUSED = "refused"  # it means something, and that is not this analyte's
    NOT_UNDERSTOOD = "not understood"


def read_quantity(quantity: Quantity | Range, analyte: Analyte) -> Reading:
    """The value in the analyte's canonical unit as an interval, or the reason why it cannot be read; never raises."""
    if isinstance(quantity, Range):
        return _read_range(quantity, analyte)
    value = quantity.value
    usual = value.is_finite() if isinstance(value, Decimal) else value is not None and value.bit_length() < 64
    digits = str(value) if usual else ""  # tells `7.50` from `7.5`: a number of too many digits is not read
    length = len(digits) + len(quantity.comparator) + len(quantity.unit) + len(quantity.code) + len(quantity.system)
    return (_remembered if usual and length <= _WORTH_REMEMBERING else _read)(quantity, digits, analyte)


def _read(quantity: Quantity, digits: str, analyte: Analyte) -> Reading:
    value = None if quantity.value is None else fraction(quantity.value)
    if value is None:
        return Reading(reason=Reason.NOT_NUMERIC)
    sent = _as_interval(value, quantity.comparator)
    if sent is None:
        return Reading(reason=Reason.COMPARATOR)
    scale = unit_of(quantity, analyte)
    if isinstance(scale, Reason):
        return Reading(reason=scale)
    return _checked(sent.scaled(scale.factor, scale.offset), scale, analyte)


_remembered = lru_cache(maxsize=4096)(_read)


def amount_of(quantity: Quantity, analyte: Analyte) -> Fraction | None:
    """The number alone in the analyte's canonical unit, plausible or not; None where it cannot be read."""
    value = None if quantity.value is None else fraction(quantity.value)
    scale = unit_of(quantity, analyte)
    return None if value is None or isinstance(scale, Reason) else scale.of(value)


def unit_of(quantity: Quantity, analyte: Analyte) -> Scale | Reason:
    """How the quantity's unit becomes the canonical one, or why that is not certain.

    The code counts where the system is UCUM, else the unit's text. A text beside the code must not mean something else; a
    text that means nothing (`see comment`) is no contradiction.
    """
    code, text = quantity.code.strip(), quantity.unit.strip()
    coded = bool(code) and quantity.system in UCUM_SYSTEMS
    if not coded and not text:
        return _without_unit(analyte, foreign=bool(code))
    if not coded or not text or text == code:
        scale = _look_up(code if coded else text, analyte, coded)
        return Reason.UNIT_UNKNOWN if isinstance(scale, Miss) else scale
    return _both(_look_up(code, analyte, True), _look_up(text, analyte, False))


def _without_unit(analyte: Analyte, foreign: bool) -> Scale | Reason:
    """Only a quantity that has no unit may come without; a code of another system may be one, so it is not skipped."""
    if not analyte.unitless:
        return Reason.NO_UNIT
    return Reason.UNIT_UNKNOWN if foreign else Scale(Fraction(1))


def _both(by_code: Scale | Miss, by_text: Scale | Miss) -> Scale | Reason:
    if by_code == by_text:
        return by_code if isinstance(by_code, Scale) else Reason.UNIT_UNKNOWN
    if Miss.NOT_UNDERSTOOD in (by_code, by_text):
        return by_code if isinstance(by_code, Scale) else Reason.UNIT_UNKNOWN
    return Reason.UNIT_CONFLICT


def _look_up(text: str, analyte: Analyte, coded: bool) -> Scale | Miss:
    """The analyte's own table (case counts in a code), what it refuses, then UCUM."""
    if len(text) > MAX_LENGTH:
        return Miss.NOT_UNDERSTOOD
    form = _form(text)
    if form in analyte.refused:
        return Miss.REFUSED
    if form in analyte.aliases:
        return analyte.aliases[form]
    if not coded:
        folded = form.lower()
        if folded in analyte.folded:
            return analyte.folded[folded]
        if folded in analyte.refused_folded:
            return Miss.REFUSED
    return _by_ucum(form, analyte)


@lru_cache(maxsize=4096)
def _form(text: str) -> str:
    return normal_form(text)


def _by_ucum(form: str, analyte: Analyte) -> Scale | Miss:
    meaning, canonical = ucum.read(form), ucum.read(analyte.canonical)
    if meaning is None or canonical is None:
        return Miss.NOT_UNDERSTOOD
    harmless = {note.lower() for note in meaning.annotations} <= analyte.annotations
    if meaning.foreign or not analyte.ucum or not harmless:
        return Miss.REFUSED
    if meaning.dimension == canonical.dimension:
        return Scale(meaning.factor / canonical.factor)
    return _molar(meaning, analyte)


def _molar(meaning: ucum.Meaning, analyte: Analyte) -> Scale | Miss:
    """By the analyte's own molar mass; an annotation may change what is counted (`mmol/L{tetramer}`), so none is taken."""
    mole = ucum.read("mmol/L")
    if mole is None or analyte.molar is None or meaning.annotations or meaning.dimension != mole.dimension:
        return Miss.REFUSED
    return Scale(meaning.factor / mole.factor * analyte.molar)


def _as_interval(value: Fraction, comparator: str) -> Interval | None:
    match comparator:
        case "":
            return Interval(value, value)
        case "<":
            return Interval(high=value, high_open=True)
        case "<=":
            return Interval(high=value)
        case ">":
            return Interval(low=value, low_open=True)
        case ">=":
            return Interval(low=value)
    return None


def _read_range(sent: Range, analyte: Analyte) -> Reading:
    """A closed interval, each side by its own unit; a missing side is an open end."""
    sides = [_end(side, analyte) for side in (sent.low, sent.high) if side is not None]
    failed = next((side for side in sides if side.reason), None)
    if failed or not sides:
        return failed or Reading(reason=Reason.NOT_NUMERIC)
    ends = [side.interval.low for side in sides if side.interval]
    interval = Interval(None if sent.low is None else ends[0], None if sent.high is None else ends[-1])
    if interval.low is not None and interval.high is not None and interval.low > interval.high:
        return Reading(reason=Reason.NOT_NUMERIC)
    scales = {(side.scale.factor, side.scale.offset) for side in sides if side.scale}
    return _checked(interval, sides[0].scale if len(scales) == 1 else None, analyte)


def _end(side: Quantity, analyte: Analyte) -> Reading:
    """One side of a range as a point in the canonical unit; a comparator has no place there."""
    value = None if side.value is None else fraction(side.value)
    if value is None or side.comparator:
        return Reading(reason=Reason.NOT_NUMERIC if value is None else Reason.COMPARATOR)
    scale = unit_of(side, analyte)
    if isinstance(scale, Reason):
        return Reading(reason=scale)
    return Reading(interval=point(scale.of(value)), scale=scale)


def _checked(interval: Interval, scale: Scale | None, analyte: Analyte) -> Reading:
    """Finite ends must be plausible; then a quantity that cannot be negative starts at 0 where it has no lower end."""
    ends = [end for end in (interval.low, interval.high) if end is not None]
    if not all(_plausible(end, analyte) for end in ends):
        return Reading(reason=Reason.IMPLAUSIBLE)
    if interval.low is None and analyte.non_negative:
        if interval.high == 0 and interval.high_open:
            return Reading(reason=Reason.IMPLAUSIBLE)
        interval = Interval(Fraction(0), interval.high, False, interval.high_open)
    return Reading(interval=interval, scale=scale)


def _plausible(end: Fraction, analyte: Analyte) -> bool:
    if analyte.whole and end.denominator != 1:
        return False
    return not analyte.plausible or any(end in interval for interval in analyte.plausible)


def parse_amount(text: str, analyte: Analyte) -> Fraction | Reason:
    """A limit as protocol authors write it (`90 g/L`, `1000 /uL`), in the canonical unit; its range is not checked.

    Reasons: not-numeric, no-unit, unit-unknown. The unit is read as text: case counts only where the table marks it.
    """
    figures, _, rest = text.strip().partition(" ")
    unity = rest.strip() == "1"  # in a chart's text `1 1` may be 1.1; an author who writes `0.55 1` means a share
    sent = read_text(figures if unity else text)
    if not isinstance(sent, Quantity) or sent.comparator or sent.value is None or (unity and sent.unit):
        return Reason.NOT_NUMERIC
    scale = unit_of(Quantity(sent.value, unit="1") if unity else sent, analyte)
    if isinstance(scale, Reason):
        return scale
    return scale.of(Fraction(sent.value))
