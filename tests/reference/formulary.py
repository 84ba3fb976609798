"""The formulas of the reference: from which results, how near they must lie, and the formula itself with plain numbers.

A root is never drawn: a formula with one gives a power of its value, which is compared with that power of the limit. Only where an
exponent is no root (CKD-EPI, Du Bois) are decimals of a hundred digits used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction as F


@dataclass(frozen=True)
class About:
    """Completed years, and whether a woman."""

    age: int
    woman: bool


Compute = Callable[[Sequence[F], About], F]
SAME = "same-time"


@dataclass(frozen=True)
class Formula:
    """`rises` tells for each input, in order, whether the value rises with it; `power` to which power of the value it computes."""

    analyte: str
    first: str
    beside: tuple[str, ...]
    rises: tuple[bool, ...]
    compute: Compute
    within: str = ""
    power: int = 1
    person: bool = False
    adults: bool = False
    floor: F | None = F(0)
    paired: bool = False  # counts only where the other inputs are there
    whole: F | None = None  # what the other inputs are shares of


def _power(base: F, exponent: str) -> F:
    with localcontext() as context:
        context.prec = 100
        number = Decimal(base.numerator) / Decimal(base.denominator)
        return F(number ** Decimal(exponent))


def _ckd_epi(values: Sequence[F], about: About) -> F:
    kappa = F(7, 10) if about.woman else F(9, 10)
    share = values[0] / kappa
    below = "-0.241" if about.woman else "-0.302"
    woman = F(1012, 1000) if about.woman else F(1)
    return 142 * _power(share, below if share < 1 else "-1.2") * F(9938, 10000) ** about.age * woman


def _cockcroft(kilograms: F, milligrams: F, about: About) -> F:
    return (140 - about.age) * kilograms / (72 * milligrams) * (F(85, 100) if about.woman else 1)


def _calcium(values: Sequence[F], about: About) -> F:
    return values[0] + F(8, 10) * (4 - values[1] / 10)


def _calcium_si(values: Sequence[F], about: About) -> F:
    return values[0] + F(2, 100) * (40 - values[1]) * F("4.0078")


def _over(values: Sequence[F], about: About) -> F:
    return values[0] / values[1]


def _share(values: Sequence[F], about: About) -> F:
    return values[0] * values[1] / 100


FORMULAS = {
    "cockcroft-gault": Formula(
        "clearance", "creatinine", ("weight",), (False, True), lambda v, who: _cockcroft(v[1], v[0], who), person=True
    ),
    "ckd-epi-2021": Formula("egfr", "creatinine", (), (False,), _ckd_epi, person=True, adults=True),
    "bmi": Formula("bmi", "weight", ("height",), (True, False), lambda v, _: v[0] / (v[1] / 100) ** 2),
    "bsa-mosteller": Formula("bsa", "weight", ("height",), (True, True), lambda v, _: v[0] * v[1] / 3600, power=2),
    "bsa-du-bois": Formula(
        "bsa", "weight", ("height",), (True, True),
        lambda v, _: F("0.007184") * (_power(v[0], "0.425") if v[0] else F(0)) * (_power(v[1], "0.725") if v[1] else F(0)),
    ),
    "qtcf": Formula("qtcf", "qt", ("rate",), (True, True), lambda v, _: v[0] ** 3 * v[1] / 60, SAME, power=3),
    "qtcb": Formula("qtcb", "qt", ("rate",), (True, True), lambda v, _: v[0] ** 2 * v[1] / 60, SAME, power=2),
    "corrected-calcium": Formula("calcium", "calcium", ("albumin",), (True, False), _calcium, "0 d", floor=None),
    "corrected-calcium-si": Formula("calcium", "calcium", ("albumin",), (True, False), _calcium_si, "0 d", floor=None),
    "ast-alt-ratio": Formula("ratio", "ast", ("alt",), (True, False), _over, SAME),
    "neutrophil-lymphocyte-ratio": Formula("ratio", "anc", ("alc",), (True, False), _over, SAME),
    "anc-from-differential": Formula(
        "anc", "leukocytes", ("neutrophils_percent",), (True, True), _share, SAME, paired=True, whole=F(100)
    ),
    "alc-from-differential": Formula(
        "alc", "leukocytes", ("lymphocytes_percent",), (True, True), _share, SAME, paired=True, whole=F(100)
    ),
}  # fmt: skip

CONCEPT = {"qt": "qt_interval", "rate": "heart_rate", "calcium": "calcium_total", "albumin": "albumin_serum"}


def concepts_of(name: str) -> tuple[str, ...]:
    """The concepts that it reads, the first one first."""
    formula = FORMULAS[name]
    return tuple(CONCEPT.get(one, one) for one in (formula.first, *formula.beside))
