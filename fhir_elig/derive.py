"""Formulas for what a chart does not hold, over exact intervals: every value that the inputs allow lies in the result.

Each formula is monotone in each input, so its bounds are taken at the inputs' ends. Sources stand in the docstrings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from fhir_elig.quantity import Interval, point

HUNDRED = Fraction(100)


def add(one: Interval, two: Interval) -> Interval:
    """The sum of two intervals."""
    low = None if one.low is None or two.low is None else one.low + two.low
    high = None if one.high is None or two.high is None else one.high + two.high
    return Interval(low, high, one.low_open or two.low_open, one.high_open or two.high_open)


def multiply(one: Interval, two: Interval) -> Interval:
    """The product of two intervals of values that are not negative."""
    if _known(one) and _known(two) and one.low is not None and two.low is not None:
        return point(one.low * two.low)
    first, second = _floor(one), _floor(two)
    closed_zero = any(end == 0 and not is_open for end, is_open in (first, second))
    if point(0) in (one, two):
        return point(0)
    high = None if one.high is None or two.high is None else one.high * two.high
    low_open = (first[1] or second[1]) and not closed_zero
    return Interval(first[0] * second[0], high, low_open, one.high_open or two.high_open)


def _known(value: Interval) -> bool:
    """Whether it is one value above 0: of two such the product and the quotient are points too."""
    return value.is_point and value.low is not None and value.low.numerator > 0 and not (value.low_open or value.high_open)


def _floor(value: Interval) -> tuple[Fraction, bool]:
    """The lower end of values that are not negative."""
    return (Fraction(0), False) if value.low is None or value.low < 0 else (value.low, value.low_open)


def divide(one: Interval, two: Interval) -> Interval:
    """The quotient of an interval of values that are not negative and one of positive values.

    Nothing is known of a quotient by zero: it may be any value that is not negative.
    """
    if _known(one) and _known(two) and one.low is not None and two.low is not None:
        return point(one.low / two.low)
    if two.high is not None and two.high <= 0:
        return Interval(Fraction(0), None)
    if one == point(0):
        return one
    numerator = one.low if one.low is not None and one.low > 0 else Fraction(0)
    low = Fraction(0) if two.high is None else numerator / two.high
    unbounded = one.high is None or two.low is None or two.low <= 0
    high = None if unbounded or one.high is None or two.low is None else one.high / two.low
    return Interval(low, high, one.low_open or (two.high_open and numerator > 0), one.high_open or two.low_open)


def cockcroft_gault(age: Interval, weight: Interval, creatinine: Interval, sexes: Iterable[str]) -> Interval:
    """Creatinine clearance in mL/min from age in completed years, weight in kg and serum creatinine in mg/dL.

    (140 - age) x kg / (72 x mg/dL), times 0.85 for women; over both sexes where either is possible.
    Source: Cockcroft DW, Gault MH. Nephron 1976;16:31-41.
    """
    years = Interval(_minus(140, age.high), _minus(140, age.low), age.high_open, age.low_open)
    clearance = divide(multiply(years, weight), creatinine.scaled(Fraction(72)))
    both = [clearance.scaled(Fraction(85, 100)) if sex == "female" else clearance for sex in sorted(sexes)]
    return both[0] if len(both) == 1 else both[0].hull(both[1])


def _minus(number: int, value: Fraction | None) -> Fraction | None:
    return None if value is None else number - value


def ideal_weight(height: Interval, sexes: Iterable[str]) -> Interval:
    """Ideal body weight in kg from height in cm: 50 (women 45.5) + 2.3 for each inch over 60.

    Source: Devine BJ. Drug Intell Clin Pharm 1974;8:650-655.
    """
    over = height.scaled(Fraction(50, 127), Fraction(-60)).scaled(Fraction(23, 10))
    both = [over.scaled(Fraction(1), Fraction(91, 2) if sex == "female" else Fraction(50)) for sex in sorted(sexes)]
    return both[0] if len(both) == 1 else both[0].hull(both[1])


def adjusted_weight(actual: Interval, ideal: Interval) -> Interval:
    """Adjusted body weight in kg: ideal + 0.4 x (actual - ideal) where the actual weight is the higher one, else actual.

    Source: Winter MA et al. Pharmacotherapy 2012;32:604-612.
    """

    def one(a: Fraction, i: Fraction) -> Fraction:
        return i + Fraction(2, 5) * (a - i) if a > i else a

    if actual.low is None or actual.high is None or ideal.low is None or ideal.high is None:
        return Interval(Fraction(0), None)
    return Interval(one(actual.low, ideal.low), one(actual.high, ideal.high))


def share_of_count(count: Interval, *percents: Interval) -> Interval:
    """A differential count: leukocytes times the sum of the percentages (0 to 100), in the unit of the leukocytes."""
    total = percents[0]
    for percent in percents[1:]:
        total = add(total, percent)
    capped = total if total.high is not None and total.high <= HUNDRED else Interval(total.low, HUNDRED, total.low_open)
    return multiply(count, capped).scaled(Fraction(1, 100))


def change(old: Interval, new: Interval, *, relative: bool, decrease: bool) -> Interval:
    """How much a value rose (or fell): in its own unit, or relative to the old one in %.

    Relative change is (new - old) / old x 100; a fall is the same with the sign turned.
    """
    if relative:
        ratio = divide(new, old)
        rise = ratio.scaled(HUNDRED, -HUNDRED)
    else:
        rise = add(new, _negative(old))
    return _negative(rise) if decrease else rise


def _negative(value: Interval) -> Interval:
    return Interval(
        None if value.high is None else -value.high, None if value.low is None else -value.low, value.high_open, value.low_open
    )


def prednisone_equivalent(milligrams: Fraction, equal_to_five: Sequence[Fraction]) -> Interval:
    """The prednisone dose in mg that a steroid's dose stands for; several published equivalents give an interval.

    `equal_to_five` holds the milligrams that equal 5 mg of prednisone.
    """
    doses = [milligrams * 5 / equal for equal in equal_to_five]
    return Interval(min(doses), max(doses))


def score(
    weights: Mapping[str, int], groups: Iterable[Sequence[str]], present: Iterable[str], absent: Iterable[str]
) -> frozenset[int]:
    """All points that a score may have: of a group the highest present item counts once; items not known may or may not be there.

    Points may be negative. One way in which the open items turn out gives each of them, and no way gives another.
    """
    yes, no = set(present), set(absent)
    grouped = [list(group) for group in groups]
    together = {item for group in grouped for item in group}
    alone = [[item] for item in weights if item not in together]
    totals = {0}
    for group in (*grouped, *alone):
        sure = [weights[item] for item in group if item in yes]
        may_be = [weights[item] for item in group if item not in yes and item not in no]
        ways = {max(sure, default=0), *(max([*sure, more]) for more in may_be)}
        totals = {total + way for total in totals for way in ways}
    return frozenset(totals)
