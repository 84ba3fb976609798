"""FHIR dates and times as intervals, and spans such as `28 d`.

A `When` is as wide as what was written: `2024-05` is the whole month. It holds calendar days (in the site's time zone) for
windows counted in days, and instants (microseconds since 1970-01-01T00:00Z) for windows counted in hours. Nothing here
reads a clock.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

FIRST_DAY, LAST_DAY = date.min.toordinal(), date.max.toordinal()
_EPOCH = date(1970, 1, 1).toordinal()
_SECOND, _DAY = 1_000_000, 86_400 * 1_000_000
BEGIN, END = (FIRST_DAY - _EPOCH - 2) * _DAY, (LAST_DAY - _EPOCH + 3) * _DAY

# FHIR R4 dateTime, and what servers send beside it: no seconds, no zone.
_DATETIME = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?"
)

# The dateTime that nearly every record has: to the second or finer, with its offset. Group 1 is the fraction.
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.([0-9]{1,6}))?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
)
_ZERO, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class When(msgspec.Struct, frozen=True, gc=False):
    """A time as an interval: calendar days `first` to `last`, instants from `start` up to but without `end`."""

    first: int
    last: int
    start: int
    end: int
    text: str = ""

    def before(self, other: When) -> bool:
        """Whether every moment of this lies before every moment of the other."""
        return self.end <= other.start

    def overlaps(self, other: When) -> bool:
        return self.start < other.end and other.start < self.end

    @property
    def until_instant(self) -> int:
        """The last instant that it may be. A time written to the second is that instant: 48 hours to the second are 48 hours."""
        return self.start if self.end - self.start <= _SECOND else self.end - 1

    @property
    def one_day(self) -> bool:
        return self.first == self.last

    def hull(self, other: When) -> When:
        """The span from the start of the earlier to the end of the later."""
        text = f"{self.text}/{other.text}" if self.text != other.text else self.text
        return When(
            min(self.first, other.first), max(self.last, other.last), min(self.start, other.start), max(self.end, other.end), text
        )

    def until(self) -> When:
        """Everything up to and including this time: what a record without its own time allows."""
        return When(FIRST_DAY, self.last, BEGIN, self.end, f"up to {self.text}")


ALWAYS = When(FIRST_DAY, LAST_DAY, BEGIN, END, "")


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo | None:
    """The IANA time zone of that name, or None."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@lru_cache(maxsize=8192)
def parse_when(text: str, time_zone: str = "UTC") -> When | None:
    """A FHIR date, dateTime or instant as an interval; None if it is none, or no such day exists.

    A date, or a time without a zone, is read in `time_zone` (an IANA name).
    """
    found = _INSTANT.fullmatch(text)
    if found is not None:
        try:
            return _instant(datetime.fromisoformat(text), found[1], time_zone, text)
        except (ValueError, OverflowError):
            pass  # a leap second, or no such day
    match = _DATETIME.fullmatch(text.strip()) if len(text) <= 64 else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        if hour is None:
            first = date(int(year), int(month or 1), int(day or 1))
            last = first if day else date(int(year), int(month or 12), monthrange(int(year), int(month or 12))[1])
            return days(first.toordinal(), last.toordinal(), time_zone, text.strip())
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), min(int(second or 0), 59), tzinfo=UTC)
        part = int(fraction.ljust(6, "0")[:6]) if fraction else 0
        start, latest = (instant + part for instant in _instants(local, offset, time_zone))
    except (ValueError, OverflowError):
        return None
    if second is not None and int(second) > 60:
        return None
    end = latest + _width(second, fraction)
    day = day_of(start, time_zone)
    last_day = day if end <= day_start(day + 1, time_zone) else day_of(end - 1, time_zone)
    return When(day, last_day, start, end, text.strip())


def _instant(moment: datetime, fraction: str | None, time_zone: str, text: str) -> When:
    """What `parse_when` gives for a time with its offset, at a third of the cost: no day begins within a second."""
    start = (moment - _ZERO) // _MICROSECOND
    day = day_of(start, time_zone)
    return When(day, day, start, start + (_SECOND if fraction is None else 10 ** (6 - len(fraction))), text)


def _width(second: str | None, fraction: str | None) -> int:
    """How long the last digit that was written lasts, in microseconds."""
    if second is None:
        return 60 * _SECOND
    return 10 ** max(0, 6 - len(fraction)) if fraction else _SECOND


def _instants(local: datetime, offset: str | None, time_zone: str) -> tuple[int, int]:
    """The first and the last instant that a written time may be, in microseconds since the epoch.

    They differ for an hour that comes twice or never, as the clocks change. Raises ValueError for an offset that does not exist.
    """
    if offset is None:
        one, other = (_micros(local.replace(tzinfo=zone(time_zone), fold=fold)) for fold in (0, 1))
        return min(one, other), max(one, other)
    shift = 0
    if offset != "Z":
        hours, minutes = int(offset[1:3]), int(offset[4:6])
        if hours > 14 or minutes > 59:
            raise ValueError(offset)
        shift = (hours * 60 + minutes) * 60 * (1 if offset[0] == "+" else -1)
    instant = _since_epoch(local) - shift * _SECOND
    return instant, instant


def _micros(aware: datetime) -> int:
    return _since_epoch(aware.replace(tzinfo=None) - (aware.utcoffset() or timedelta()))


def _since_epoch(utc: datetime) -> int:
    return (utc.toordinal() - _EPOCH) * _DAY + ((utc.hour * 60 + utc.minute) * 60 + utc.second) * _SECOND + utc.microsecond


@lru_cache(maxsize=16_384)
def day_start(ordinal: int, time_zone: str) -> int:
    """The instant at which that calendar day begins in the zone."""
    if not FIRST_DAY < ordinal < LAST_DAY:
        return (ordinal - _EPOCH) * _DAY
    midnight = datetime.combine(date.fromordinal(ordinal), datetime.min.time(), tzinfo=zone(time_zone))
    return _micros(midnight)


def day_of(instant: int, time_zone: str) -> int:
    """The calendar day, as a proleptic ordinal, on which the instant falls in the zone."""
    guess = instant // _DAY + _EPOCH
    if not FIRST_DAY < guess < LAST_DAY:
        guess = min(max(guess, FIRST_DAY), LAST_DAY)
    for candidate in (guess + 1, guess, guess - 1):
        if day_start(candidate, time_zone) <= instant and FIRST_DAY <= candidate <= LAST_DAY:
            return candidate
    return guess


@lru_cache(maxsize=4096)
def days(first: int, last: int, time_zone: str = "UTC", text: str = "") -> When:
    """The calendar days from `first` to `last`, both included, in the zone."""
    end = day_start(last + 1, time_zone) if last < LAST_DAY else END
    span = iso(first) if first == last else f"{iso(first)}/{iso(last)}"
    return When(first, last, day_start(first, time_zone), end, text or span)


def iso(ordinal: int) -> str:
    return date.fromordinal(min(max(ordinal, FIRST_DAY), LAST_DAY)).isoformat()


class Unit(Enum):
    """Units of a span, by their UCUM codes."""

    HOUR = "h"
    DAY = "d"
    WEEK = "wk"
    MONTH = "mo"
    YEAR = "a"


_HOUR, _DAYS, _WEEK, _MONTH, _YEAR = Unit  # in Python 3.11 a member is found more slowly in its class
_SPAN = re.compile(r"([0-9]{1,5})\s*(h|d|wk|mo|a)")


class Span(msgspec.Struct, frozen=True):
    """A length of time as a protocol writes it: `48 h`, `28 d`, `2 wk`, `6 mo`, `18 a`."""

    count: int
    unit: Unit

    def __str__(self) -> str:
        return f"{self.count} {self.unit.value}"

    @property
    def exact(self) -> bool:
        """Whether it is counted in instants instead of calendar days."""
        return self.unit is _HOUR

    def shift(self, ordinal: int, sign: int) -> int:
        """The calendar day this span after (sign 1) or before (sign -1) a day; months are clipped at the month's end."""
        unit, count = self.unit, self.count
        if unit is _MONTH or unit is _YEAR:
            return add_months(ordinal, sign * (count if unit is _MONTH else 12 * count))
        length = count if unit is _DAYS else 7 * count if unit is _WEEK else -(-count // 24)
        return min(max(ordinal + sign * length, FIRST_DAY), LAST_DAY)

    def micros(self) -> int:
        return self.count * 3600 * _SECOND


@lru_cache(maxsize=1024)
def parse_span(text: str) -> Span | None:
    match = _SPAN.fullmatch(text.strip())
    return Span(int(match[1]), Unit(match[2])) if match else None


@lru_cache(maxsize=8192)
def add_months(ordinal: int, months: int) -> int:
    """Calendar months later (or earlier), clipped at the month's end: 31 January + 1 month is 28 or 29 February."""
    day = date.fromordinal(ordinal)
    index = day.year * 12 + day.month - 1 + months
    year, month = index // 12, index % 12 + 1
    if year < 1:
        return FIRST_DAY
    if year > 9999:
        return LAST_DAY
    return date(year, month, min(day.day, monthrange(year, month)[1])).toordinal()


def completed_years(birth: int, on: int) -> int:
    """Age in completed years on a day. Born on 29 February: the birthday is 1 March in other years."""
    born, day = date.fromordinal(birth), date.fromordinal(on)
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def birthday(birth: int, years: int) -> int:
    """The day on which that age is reached."""
    born = date.fromordinal(birth)
    year = born.year + years
    if year > 9999:
        return LAST_DAY
    if (born.month, born.day) == (2, 29) and monthrange(year, 2)[1] == 28:
        return date(year, 3, 1).toordinal()
    return date(year, born.month, born.day).toordinal()
