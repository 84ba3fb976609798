"""Limits of a value: amounts in units, or multiples of the limits of normal with their chain of sources.

The chain (verdicts, section 8): the result's own reference range -> the site's table -> the analyte's interval of believed
limits. That one interval both bounds what is believed and stands in where no limit is known, so that learning a limit never
flips a verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

import msgspec

from fhir_elig import units
from fhir_elig.criteria.base import Binder, Model, Path
from fhir_elig.criteria.candidates import Candidate
from fhir_elig.criteria.context import Context
from fhir_elig.criteria.normal import Normal, limit_of_normal
from fhir_elig.criteria.outcome import Outcome, reason_of
from fhir_elig.quantity import Analyte, Interval, compare, parse_number
from fhir_elig.verdict import MET, NOT_MET, UNKNOWN, Reason, SetAside, Verdict, agree, all_of

MULTIPLE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?[x×] ?(ULN|LLN)")
_UNSEEN = Fraction(1, 10**30)  # the relative width of a value that was computed with a power or a root
# The keys of a value's limits: whether it bounds from above, whether it is strict, how it is written.
SIDES = {
    "at_least": (False, False, ">="),
    "more_than": (False, True, ">"),
    "at_most": (True, False, "<="),
    "less_than": (True, True, "<"),
}


class Limit(msgspec.Struct, frozen=True):
    """One limit: `amount` in canonical units, `text` in words; or `multiple` of a limit of normal (`of`: ULN or LLN)."""

    upper: bool
    strict: bool
    sign: str
    amount: Fraction | None = None
    multiple: Fraction | None = None
    of: str = ""
    text: str = ""

    def interval(self, end: Fraction) -> Interval:
        return Interval(high=end, high_open=self.strict) if self.upper else Interval(low=end, low_open=self.strict)


class Limits(msgspec.Struct, frozen=True):
    """The limits of one criterion, all of which must hold, for one analyte."""

    analyte: Analyte | None
    limits: tuple[Limit, ...]

    @classmethod
    def bind(cls, value: Model, analyte: Analyte | None, binder: Binder, path: Path) -> Limits:
        """Parse the limits of a criterion; findings for amounts that mean nothing or contradict each other."""
        found = []
        for key in SIDES:
            text = getattr(value, key)
            if text is not None and analyte is not None:
                limit = _parse(text, key, analyte, binder, (*path, key.replace("_", "-")))
                if limit is not None:
                    found.append(limit)
        _check_order(found, binder, path)
        return cls(analyte, tuple(found))


def _parse(text: str, key: str, analyte: Analyte, binder: Binder, path: Path) -> Limit | None:
    upper, strict, sign = SIDES[key]
    multiple = MULTIPLE.fullmatch(text)
    if multiple is not None:
        factor = parse_number(multiple[1])
        written = f"{sign} {_plain(factor or Fraction(1))} x {multiple[2]}"
        return Limit(upper, strict, sign, multiple=factor, of=multiple[2], text=written)
    amount = units.parse_amount(text, analyte)
    if isinstance(amount, Fraction):
        if analyte.plausible and not any(amount in interval for interval in analyte.plausible):
            binder.finding(
                path, "FE0210", f'"{text}" lies outside what is plausible for {analyte.name}', "check the number and its unit"
            )
        return Limit(upper, strict, sign, amount=amount, text=f"{sign} {units.display(amount, analyte.canonical)}")
    bare = parse_number(text) is not None
    code, why = ("FE0207", "names no unit") if bare else ("FE0206", f"is no amount of {analyte.name}")
    binder.finding(
        path,
        code,
        f'"{text}" {why}; {analyte.name} is met in {analyte.canonical} and others',
        f"write  {text.split()[0]} {analyte.canonical}",
    )
    return None


def _check_order(limits: list[Limit], binder: Binder, path: Path) -> None:
    low = [x.amount for x in limits if not x.upper and x.amount is not None]
    high = [x.amount for x in limits if x.upper and x.amount is not None]
    strict = any(x.strict for x in limits)
    if low and high and (max(low) > min(high) or (strict and max(low) == min(high))):
        binder.finding(
            path, "FE0210", "the lower limit lies above the upper one: nobody can meet it", "swap or correct the limits"
        )


class Judged(NamedTuple):
    """One value against one limit: the limit in words, whether the value is near it, what else is said of it."""

    verdict: Verdict
    doubt: Reason  # why it is unknown, if it is
    limit: str
    near: bool = False
    remarks: tuple[str, ...] = ()
    set_aside: tuple[SetAside, ...] = ()


def judge(candidate: Candidate, limits: Limits, context: Context) -> Outcome:
    """One value against all limits: verdict, evidence with the limit."""
    value = candidate.reading.interval
    analyte = limits.analyte
    assert value is not None and analyte is not None  # what cannot be read is told before
    parts = [_judge_one(value, limit, candidate, analyte, context) for limit in limits.limits]
    verdict = all_of([part.verdict for part in parts])
    doubt = next(part.doubt for part in parts if part.verdict is verdict)
    outcome = Outcome(verdict=verdict, reason=reason_of(verdict, doubt))
    if context.quiet:
        return outcome
    first, *rest = candidate.evidence
    shown = msgspec.structs.replace(
        first,
        compared=show(value, analyte.canonical, limits.limits),
        limit=" and ".join([part.limit for part in parts]),
        note="; ".join([note for note in (first.note, *(n for part in parts for n in part.remarks)) if note]),
    )
    outcome.evidence = (shown, *rest)
    outcome.near_limit = any(part.near for part in parts)
    outcome.set_aside = tuple(s for part in parts for s in part.set_aside)
    return outcome


def _judge_one(value: Interval, limit: Limit, candidate: Candidate, analyte: Analyte, context: Context) -> Judged:
    if limit.amount is not None:
        verdict = compare(value, limit.interval(limit.amount))
        return Judged(verdict, candidate.doubt, limit.text, near(value, limit.amount))
    factor = limit.multiple or Fraction(1)
    normal = limit_of_normal(limit.of, candidate, analyte, context)
    if normal is None:
        return Judged(UNKNOWN, Reason.NO_REFERENCE_RANGE, limit.text, remarks=("no reference range",))
    ends = [end * factor for end in (normal.interval.low, normal.interval.high) if end is not None]
    verdict = agree([compare(value, limit.interval(end)) for end in ends]) or UNKNOWN
    if context.quiet:
        return Judged(verdict, Reason.NO_REFERENCE_RANGE, limit.text)
    known_point = len(set(ends)) == 1
    reason = Reason.COMPARATOR if known_point else Reason.CONFLICTING if normal.known else Reason.NO_REFERENCE_RANGE
    text = f"{limit.sign} {units.display(ends[0], analyte.canonical)}" if known_point else limit.text
    remarks = (normal.note, *_likely(value, limit, factor, analyte, verdict, normal))
    is_near = known_point and near(value, ends[0])
    return Judged(verdict, reason, text, is_near, remarks, normal.set_aside)


def _likely(
    value: Interval, limit: Limit, factor: Fraction, analyte: Analyte, verdict: Verdict, normal: Normal
) -> tuple[str, ...]:
    if verdict is not UNKNOWN or normal.known or analyte.usual is None:
        return ()
    usual = [compare(value, limit.interval(end * factor)) for end in (analyte.usual.low, analyte.usual.high) if end is not None]
    guess = agree(usual)
    return (f"likely {guess.value} by usual limits; decides nothing",) if guess in (MET, NOT_MET) else ()


def near(value: Interval, limit: Fraction) -> bool:
    """Within 5 % of the limit; for a value that is known, be it enclosed between two bounds that nobody could tell apart."""
    if value.low is None or value.high is None:
        return False
    if value.low is not value.high and value.high - value.low > abs(value.low) * _UNSEEN:
        return False
    (above, below), (limit_above, limit_below) = value.low.as_integer_ratio(), limit.as_integer_ratio()
    return 20 * abs(above * limit_below - limit_above * below) <= abs(limit_above) * below


def _plain(factor: Fraction) -> str:
    return units.display(factor, "").strip()


def show(value: Interval, unit: str, limits: Iterable[Limit] = ()) -> str:
    """A value in canonical units, as people read it; never rounded across a limit."""
    limit = next((x.amount for x in limits if x.amount is not None), None)
    if value.is_point and value.low is not None:
        return units.display(value.low, unit, limit)
    low = None if value.low is None else units.display(value.low, "", limit).strip()
    high = None if value.high is None else units.display(value.high, "", limit).strip()
    if low is None or (value.low == 0 and value.high_open):
        return f"{'<' if value.high_open else '<='} {high} {unit}".strip()
    if high is None:
        return f"{'>' if value.low_open else '>='} {low} {unit}".strip()
    return f"{low} {unit}".strip() if low == high else f"{low} to {high} {unit}".strip()
