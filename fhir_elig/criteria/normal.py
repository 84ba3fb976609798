"""The limits of normal of a result, and the chain of sources that they come from (verdicts, section 8).

The result's own reference range -> the site's table -> the analyte's interval of believed limits. That one interval both
bounds what is believed and stands in where no limit is known, so that learning a limit never flips a verdict.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import msgspec

from fhir_elig import times, units
from fhir_elig.criteria.candidates import Candidate
from fhir_elig.criteria.context import Context
from fhir_elig.criteria.patient import sexes_for_ranges
from fhir_elig.quantity import Analyte, Interval, Quantity, Range, compare, fraction
from fhir_elig.record import ReferenceRange, Value
from fhir_elig.verdict import MET, NOT_MET, SetAside


class Normal(msgspec.Struct, frozen=True):
    """The limit of normal as an interval of what it may be, and where it comes from."""

    interval: Interval
    note: str
    known: bool
    set_aside: tuple[SetAside, ...] = ()


def limit_of_normal(which: str, candidate: Candidate, analyte: Analyte, context: Context) -> Normal | None:
    """The upper (ULN) or lower (LLN) limit of normal of a result; None if nothing at all is known."""
    own = list(_own_limits(which, candidate, analyte, context))
    believable = [(end, whom) for end, whom in own if analyte.believed is None or which == "LLN" or end in analyte.believed]
    aside = (
        (SetAside(candidate.result.reference, f"its {which} lies outside what is believed"),)
        if len(believable) < len(own)
        else ()
    )
    ends = [end for end, _ in believable]
    if frozenset[str]().union(*(whom for _, whom in believable)) >= sexes_for_ranges(context):
        note = "" if context.quiet else f"{which} {_limits_text(ends, analyte)} from referenceRange"
        return Normal(_span(ends), note, True, aside)
    rest = _without_range(which, analyte, context)
    if rest is None or not ends:
        return None if rest is None else msgspec.structs.replace(rest, set_aside=aside)
    # A range that may be the patient's stands beside what holds without it, so that learning more never flips a verdict.
    held = [end for end in (rest.interval.low, rest.interval.high) if end is not None]
    return Normal(_span([*ends, *held]), f"a range that may not fit; {rest.note}", False, aside)


def _without_range(which: str, analyte: Analyte, context: Context) -> Normal | None:
    """The limit of normal where the result has none: the site's, else what is believed."""
    site = _site_limits(which, analyte, context)
    if site is not None:
        ends = [end for end in (site.low, site.high) if end is not None]
        return Normal(site, "" if context.quiet else f"{which} {_limits_text(ends, analyte)} from the site's table", True)
    if which == "ULN" and analyte.believed is not None:
        return Normal(analyte.believed, "no reference range; decided only if every believable limit agrees", False)
    return None


def _limits_text(ends: Iterable[Fraction], analyte: Analyte) -> str:
    return " or ".join(units.display(end, analyte.canonical) for end in sorted(set(ends)))


def _span(ends: list[Fraction]) -> Interval:
    return Interval(min(ends), max(ends))


def _own_limits(
    which: str, candidate: Candidate, analyte: Analyte, context: Context
) -> Iterable[tuple[Fraction, frozenset[str]]]:
    """The limits of the result's own ranges that may be the patient's, each with the possible sexes for which it surely is."""
    result, sexes = candidate.result, sexes_for_ranges(context)
    value = _lender(result.value)
    for entry in result.ranges:
        side = entry.high if which == "ULN" else entry.low
        whom = sexes & {entry.sex} if entry.sex else sexes
        fits = _fits(entry, candidate, context)
        if side is None or side.value is None or not whom or fits is False or entry.kind != "normal":
            continue
        if not (side.unit or side.code) and value is not None:
            side = msgspec.structs.replace(side, unit=value.unit, code=value.code, system=value.system)
        end = units.amount_of(side, analyte)
        if end is not None:
            yield end, whom if fits else frozenset()


def _lender(value: Value | None) -> Quantity | None:
    """The quantity whose unit holds for limits without one; the two ends of a range must name the same."""
    if isinstance(value, Range):
        sides = [side for side in (value.low, value.high) if side is not None]
        return sides[0] if len({(side.unit, side.code, side.system) for side in sides}) == 1 else None
    return value if isinstance(value, Quantity) else None


def _fits(entry: ReferenceRange, candidate: Candidate, context: Context) -> bool | None:
    """Whether a range is for such a patient, whatever the sex; None if that cannot be told."""
    aged = entry.low_age is not None or entry.high_age is not None
    fits = _fits_age(entry, candidate, context) if aged else True
    return None if fits and entry.fits_unknown else fits


def _fits_age(entry: ReferenceRange, candidate: Candidate, context: Context) -> bool | None:
    person, when = context.record.person, candidate.time
    if person is None or person.born is None or when is None:
        return None
    low = None if entry.low_age is None else fraction(entry.low_age)
    high = None if entry.high_age is None else fraction(entry.high_age)
    age = Interval(
        Fraction(times.completed_years(person.born.last, when.first)),
        Fraction(times.completed_years(person.born.first, when.last)),
    )
    verdict = compare(age, Interval(low, high))
    return {MET: True, NOT_MET: False}.get(verdict)


def _site_limits(which: str, analyte: Analyte, context: Context) -> Interval | None:
    """The site's own limits for patients who may be of several sexes: the span of all that fit."""
    if which != "ULN":
        return None
    sexes = sexes_for_ranges(context)
    rows = context.run.upper_limits.get(analyte.name, ())
    fitting = [limit for sex, limit in rows if not sex or sex in sexes]
    missing = [sex for sex in sexes if not any(row_sex in ("", sex) for row_sex, _ in rows)]
    if not fitting or missing:
        return None
    ends = [end for interval in fitting for end in (interval.low, interval.high) if end is not None]
    return _span(ends)
