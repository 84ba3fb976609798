"""How far back a wash-out reaches: the days of its window, or a number of half-lives of the drug, the longer or the shorter."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from fractions import Fraction
from math import ceil, floor

import msgspec

from fhir_elig.criteria.context import Context, Frame
from fhir_elig.record import Medication
from fhir_elig.times import FIRST_DAY, Span, Unit

Pair = tuple[int, int]
Hours = tuple[Fraction, Fraction]


class Whichever(StrEnum):
    """Which of the two reaches further back: it is the longer, or the shorter, that counts."""

    LONGER = "longer"
    SHORTER = "shorter"


class Reach(msgspec.Struct, frozen=True):
    """A window, and with `half_lives` one that also hangs on the drug."""

    frame: Frame
    half_lives: int | None = None
    which: Whichever = Whichever.LONGER

    def days(self, medication: Medication, concept: str, context: Context) -> tuple[Pair, Pair]:
        """First and last day that are surely in it, and those that may be (see `Bounds.days`), if it is that drug."""
        (low_late, high_early), (low_early, high_late) = self.frame.bounds.days(context.run.time_zone)
        if self.half_lives is None:
            return (low_late, high_early), (low_early, high_late)
        sure, most = self._back(half_life(medication, concept, context))
        if self.which is Whichever.LONGER:
            return (min(low_late, sure), high_early), (min(low_early, most), high_late)
        return (max(low_late, sure), high_early), (max(low_early, most), high_late)

    def _back(self, hours: Hours | None) -> Pair:
        """The days to which the half-lives surely reach back, and may reach back; without a half-life, none and any."""
        goal = self.frame.high
        if hours is None or self.half_lives is None:
            return goal.last + 1, FIRST_DAY
        least, most = (hours[side] * self.half_lives / 24 for side in (0, 1))
        return goal.last - floor(least), max(goal.first - ceil(most), FIRST_DAY)

    def last_days(self, day: int, medication: Medication, concept: str, context: Context) -> Iterator[int]:
        """The days of `as_of` up to which that day may lie in a window that moves with it."""
        if self.frame.before is not None:
            yield self.frame.before.shift(day, 1)
        hours = half_life(medication, concept, context) if self.half_lives is not None else None
        for length in hours or ():
            days = length * (self.half_lives or 0) / 24
            yield from (day + floor(days), day + ceil(days))

    def watched(self, concepts: tuple[str, ...], context: Context) -> Frame:
        """The window in which contact must be shown: as far back as a known half-life of these drugs reaches."""
        if self.half_lives is None or self.which is Whichever.SHORTER:
            return self.frame
        known = context.concepts.half_lives
        hours = [max(known[code]) for name in concepts for code in context.concepts.by_name[name].codes if code in known]
        goal, back = self.frame.high, ceil(max(hours, default=Fraction(0)) * self.half_lives / 24)
        (low_late, _), (low_early, _) = self.frame.bounds.days(context.run.time_zone)
        early, late = min(low_early, goal.first - back), min(low_late, goal.last - back)
        bounds = msgspec.structs.replace(self.frame.bounds, exact_low=False, low_early=early, low_late=late)
        before = Span(goal.first - early, Unit.DAY)
        return msgspec.structs.replace(self.frame, bounds=bounds, before=before)


def half_life(medication: Medication, concept: str, context: Context) -> Hours | None:
    """The shortest and the longest half-life of the drug in hours, over all of its codes; None if none is known.

    A record that does not tell the drug is read as the one of `concept`, if that is a single substance: all of its codes
    have one half-life. A class of drugs has many, and one that is not listed may have another.
    """
    known = context.concepts.half_lives
    hours = [value for code in medication.codes if code in known for value in known[code]]
    if hours:
        return min(hours), max(hours)
    asked = {known.get(code) for code in context.concepts.by_name[concept].codes}
    of_all = next(iter(asked)) if len(asked) == 1 else None
    return (min(of_all), max(of_all)) if of_all else None
