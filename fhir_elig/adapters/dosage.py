"""Dosage: how much a day, by which route, over which days, as far as it is written in a form that can be computed."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

import msgspec

from fhir_elig.adapters.moments import after_days, day_count, events
from fhir_elig.adapters.shapes import Context, Resource, flag, items, named, number, plain_codes, quantity, recall, string, when
from fhir_elig.quantity import Number, Quantity, fraction
from fhir_elig.record import Dose
from fhir_elig.times import When

_UCUM = "http://unitsofmeasure.org"
# HL7 GTSAbbreviation codes that mean one exact rhythm: times, in how many days.
_RHYTHMS = {
    "QD": (1, 1), "BID": (2, 1), "TID": (3, 1), "QID": (4, 1), "QOD": (1, 2), "WK": (1, 7), "AM": (1, 1), "PM": (1, 1),
    "BED": (1, 1), "Q1H": (24, 1), "Q2H": (12, 1), "Q3H": (8, 1), "Q4H": (6, 1), "Q6H": (4, 1), "Q8H": (3, 1),
}  # fmt: skip
_SAME_UNIT = {
    "mg": frozenset({"mg", "mgs", "milligram", "milligrams"}),
    "g": frozenset({"g", "gm", "gram", "grams"}),
    "ug": frozenset({"ug", "mcg", "µg", "μg", "microgram", "micrograms"}),
    "mL": frozenset({"ml", "milliliter", "milliliters", "millilitre", "millilitres"}),
}
_IRREGULAR = frozenset({"frequencyMax", "periodMax", "timeOfDay", "when", "offset"})

Rhythm = tuple[Number, Number]


class Bounds(msgspec.Struct, frozen=True):
    """The days over which a dosage runs; `vague` if an end that is written cannot be read."""

    start: When | None = None
    end: When | None = None
    vague: bool = False


class Instructions(msgspec.Struct, frozen=True):
    """What the dosages of one record say, apart from the days; `modified` if there is a modifier that nobody understands."""

    doses: tuple[Dose, ...] = ()
    routes: tuple[str, ...] = ()
    route_text: str = ""
    modified: bool = False


def instructions(dosages: list[Any], shown: str, context: Context) -> Instructions:
    """Of a record's dosages, or of the text that it shows in their place; read once where several records hold one list."""
    if not dosages:
        return Instructions(doses=(Dose(text=shown),)) if shown else Instructions()
    return recall(_instructions, dosages, context)


def _instructions(dosages: list[Any], context: Context) -> Instructions:
    codes, text = routes(dosages, context)
    modified = any(dosage.get("modifierExtension") for dosage in dosages)
    return Instructions(doses(dosages), codes, text, modified)


def doses(dosages: list[Any]) -> tuple[Dose, ...]:
    """One dose an instruction. Several instructions may be a taper or a choice: then none of them is a daily dose."""
    found = tuple(_dose(dosage) for dosage in dosages)
    if len(found) > 1:
        return tuple(msgspec.structs.replace(dose, per_day=None) for dose in found)
    return found


def _dose(dosage: Resource) -> Dose:
    text = string(dosage.get("text")) or string(dosage.get("patientInstruction"))
    amount = _amount(dosage)
    rhythm = _rhythm(dosage.get("timing"))
    needed = _as_needed(dosage)
    if amount is None or amount.value is None:
        return Dose(text=text, as_needed=needed)
    unit = _unit(amount)
    if not unit:
        return Dose(text=text or str(amount), as_needed=needed)
    if rhythm is None:
        return Dose(numerator=amount.value, unit=unit, text=text, as_needed=needed)
    times, period = rhythm
    daily = None if needed else per_day(amount.value, times, period)
    return Dose(daily, amount.value, times, period, unit, text, needed)


def _as_needed(dosage: Resource) -> bool:
    """R4 asNeeded[x], R5 asNeeded and asNeededFor."""
    said = [dosage.get(name) for name in ("asNeededBoolean", "asNeeded")]
    return any(flag(value) for value in said) or bool(dosage.get("asNeededCodeableConcept") or dosage.get("asNeededFor"))


def _amount(dosage: Resource) -> Quantity | None:
    """The one dose of an intake; None if there is none, a range, or several. An administration states it as `dose`."""
    given = dosage.get("dose")
    if given is None:
        rates = list(items(dosage.get("doseAndRate")))
        given = rates[0].get("doseQuantity") if len(rates) == 1 else None
    try:
        amount = quantity(given) if given is not None else None
    except (ValueError, AttributeError):
        return None
    return None if amount is None or amount.comparator else amount


def _unit(amount: Quantity) -> str:
    """The unit's UCUM code, else its text; empty if there is none or the two do not fit together."""
    if amount.system != _UCUM or not amount.code:
        return amount.unit or amount.code
    if amount.unit and amount.unit != amount.code and amount.unit.strip().casefold() not in _SAME_UNIT.get(amount.code, ()):
        return ""
    return amount.code


def _rhythm(timing: Any) -> Rhythm | None:
    """(times, in how many days), if it is exact; None if it is not, or repeat and code say different things."""
    if timing is None or timing.get("modifierExtension"):
        return None
    named_rhythms = {_RHYTHMS.get(code) for code in plain_codes(timing.get("code"))}
    repeat = timing.get("repeat")
    written = _repeat(repeat) if repeat and repeat.get("period") is not None else None
    if repeat and (repeat.get("period") is not None or not _IRREGULAR.isdisjoint(repeat)) and written is None:
        return None
    if not named_rhythms:
        return written
    coded = named_rhythms.pop() if len(named_rhythms) == 1 else None
    if written is None or coded is None:
        return written or coded
    return written if Fraction(written[0]) / Fraction(written[1]) == Fraction(*coded) else None


def _repeat(repeat: Resource) -> Rhythm | None:
    if not _IRREGULAR.isdisjoint(repeat):
        return None
    times, period, unit = repeat.get("frequency", 1), number(repeat["period"]), repeat.get("periodUnit")
    if type(times) is not int or not 0 < times <= 1000 or not 0 < period <= 10_000 or fraction(period) is None:
        return None
    if "dayOfWeek" in repeat and unit != "wk":
        return None
    if unit == "d":
        return times, period
    if unit == "wk":
        return times, period * 7
    if unit == "h":
        a_day = Fraction(times * 24) / Fraction(period)
        return (int(a_day), 1) if a_day.denominator == 1 else (times * 24, period)
    return None


@lru_cache(maxsize=4096)
def per_day(amount: Number, times: Number, period: Number) -> Decimal | None:
    """The daily dose as an exact decimal; None if it has no end, such as a third.

    >>> per_day(30, 1, 2)
    Decimal('15')
    """
    whole, share = fraction(amount), fraction(period)
    if whole is None or not share:
        return None
    daily = whole * Fraction(times) / share
    rest, places = daily.denominator, 0
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest, count = rest // prime, count + 1
        places = max(places, count)
    if rest != 1:
        return None
    digits = abs(daily.numerator) * 10**places // daily.denominator
    return Decimal((int(daily < 0), tuple(int(digit) for digit in str(digits)), -places))


def routes(dosages: list[Any], context: Context) -> tuple[tuple[str, ...], str]:
    """Code keys of all routes, and their texts."""
    codes: list[str] = []
    texts: list[str] = []
    for dosage in dosages:
        for route in items(dosage.get("route")):
            found, text = named(route, context)
            codes += found
            texts += [text] if text else []
    return tuple(dict.fromkeys(codes)), "; ".join(dict.fromkeys(texts))


def once(dosages: list[Any]) -> bool:
    """Whether every instruction is for one single intake."""
    return bool(dosages) and all(_once(dosage.get("timing")) for dosage in dosages)


def _once(timing: Any) -> bool:
    if timing is None:
        return False
    repeat = timing.get("repeat")
    if repeat:
        return repeat.get("count") == 1 and type(repeat.get("count")) is int and repeat.get("countMax") in (None, 1)
    return len(list(items(timing.get("event")))) == 1


def bounds(dosages: list[Any], start: When | None, context: Context) -> Bounds:
    """From the first start to the last end of all instructions; without an end if any of them has none."""
    found = [_bound(dosage.get("timing") or {}, start, context) for dosage in dosages]
    starts = [bound.start for bound in found if bound.start is not None]
    ends = [bound.end for bound in found if bound.end is not None]
    if not found or len(starts) < len(found):
        starts = []
    whole = min(starts, key=lambda time: time.start) if starts else None
    if len(ends) < len(found) or not ends:
        return Bounds(whole, None, any(bound.vague for bound in found))
    return Bounds(whole, max(ends, key=lambda time: time.end), any(bound.vague for bound in found))


def _bound(timing: Resource, start: When | None, context: Context) -> Bounds:
    repeat = timing.get("repeat") or {}
    period = repeat.get("boundsPeriod")
    if period:
        first, last = when(period.get("start"), context), when(period.get("end"), context)
        return Bounds(first or start, last, "end" in period and last is None)
    written = repeat.get("boundsDuration") or repeat.get("boundsRange")
    if written:
        days = _days(written) if start is not None else None
        return Bounds(start, after_days(start, *days, context) if start and days else None, days is None)
    times = events(timing, context)
    if times:
        return Bounds(times[0], times[-1], len(times) > 1)
    return Bounds(start, None)


def _days(written: Resource) -> tuple[int, int] | None:
    """Fewest and most days of a Duration, or of a Range of durations (a missing side of which leaves it open)."""
    if "low" not in written and "high" not in written:
        return day_count(written)
    low, high = (day_count(written[side]) if written.get(side) else None for side in ("low", "high"))
    return (low[0], high[1]) if low and high else (1, high[1]) if high else None
