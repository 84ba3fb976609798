"""Numbers of the reference: fractions, intervals with open or closed ends, and a short table of units."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction as F

from tests.reference.said import MET, NOT_MET, UNKNOWN


@dataclass(frozen=True)
class Between:
    """A set of numbers; None is an infinite end."""

    low: F | None
    high: F | None
    low_open: bool = False
    high_open: bool = False

    def times(self, factor: F) -> Between:
        ends = [None if end is None else end * factor for end in (self.low, self.high)]
        return Between(ends[0], ends[1], self.low_open, self.high_open)


def exactly(number: F) -> Between:
    return Between(number, number)


def _above(low: F | None, low_open: bool, other: F | None, other_open: bool) -> bool:
    """Whether everything from `low` on lies in what begins at `other`."""
    if other is None:
        return True
    return low is not None and (low > other or (low == other and (low_open or not other_open)))


def inside(value: Between, limit: Between) -> bool:
    upper = None if value.high is None else -value.high
    upper_limit = None if limit.high is None else -limit.high
    return _above(value.low, value.low_open, limit.low, limit.low_open) and _above(
        upper, value.high_open, upper_limit, limit.high_open
    )


def apart(value: Between, limit: Between) -> bool:
    return _below(value, limit) or _below(limit, value)


def _below(one: Between, other: Between) -> bool:
    if one.high is None or other.low is None:
        return False
    return one.high < other.low or (one.high == other.low and (one.high_open or other.low_open))


def compare(value: Between, limit: Between) -> str:
    return MET if inside(value, limit) else NOT_MET if apart(value, limit) else UNKNOWN


@dataclass(frozen=True)
class Analyte:
    """Units with their factors to the first one; plausible stretches; upper limits that are believed."""

    units: dict[str, F]
    plausible: tuple[tuple[F, F], ...]
    believed: tuple[F, F] | None = None
    unitless: bool = False
    whole: bool = False

    def believes(self, number: F) -> bool:
        return (not self.plausible or any(low <= number <= high for low, high in self.plausible)) and (
            not self.whole or number.denominator == 1
        )


def _range(*pairs: str) -> tuple[tuple[F, F], ...]:
    return tuple((F(low), F(high)) for low, _, high in (pair.partition("..") for pair in pairs))


_COUNT = {"10*9/L": F(1), "K/uL": F(1), "/uL": F(1, 1000)}
_MASS = {"g/L": F(1), "g/dL": F(10), "mmol/L": F(32229, 2000)}
_ENZYME = {"U/L": F(1), "IU/L": F(1), "ukat/L": F(60)}
_SHARE = {"%": F(1), "1": F(100)}

ANALYTES = {
    "hemoglobin": Analyte(_MASS, _range("20..260"), (F(120), F(200))),
    "platelets": Analyte(_COUNT, _range("1..3000"), (F(250), F(600))),
    "anc": Analyte(_COUNT, _range("0..0", "0.01..100"), (F(4), F(12))),
    "wbc": Analyte(_COUNT, _range("0..0", "0.01..500"), (F(7), F(15))),
    "alt": Analyte(_ENZYME, _range("1..30000"), (F(15), F(120))),
    "inr": Analyte({"1": F(1), "{INR}": F(1)}, _range("0.5..20"), (F(9, 10), F(3, 2)), unitless=True),
    "lvef": Analyte(_SHARE, _range("5..90")),
    "percent": Analyte(_SHARE, _range("0..100")),
    "creatinine": Analyte({"mg/dL": F(1), "umol/L": F(707, 62500)}, _range("0.2..25"), (F(6, 10), F(2))),
    "weight": Analyte({"kg": F(1), "g": F(1, 1000), "[lb_av]": F("0.45359237")}, _range("20..400")),
    "clearance": Analyte({"mL/min": F(1)}, _range("1..500")),
    "hcg": Analyte({"[IU]/L": F(1), "m[IU]/mL": F(1)}, _range("0..1000000"), (F(1), F(15))),
    "mrss": Analyte({"1": F(1), "{score}": F(1)}, _range("0..51"), unitless=True, whole=True),
    "height": Analyte({"cm": F(1), "m": F(100), "[in_i]": F("2.54")}, _range("80..250")),
    "egfr": Analyte({"mL/min/{1.73_m2}": F(1)}, _range("1..250")),
    "bmi": Analyte({"kg/m2": F(1)}, _range("8..150")),
    "bsa": Analyte({"m2": F(1)}, _range("0.3..4")),
    "qt": Analyte({"ms": F(1), "s": F(1000)}, _range("150..900")),
    "qtcf": Analyte({"ms": F(1)}, _range("200..900")),
    "qtcb": Analyte({"ms": F(1)}, _range("200..1000")),
    "rate": Analyte({"/min": F(1)}, _range("10..350")),
    "calcium": Analyte({"mg/dL": F(1), "mmol/L": F("4.0078")}, _range("3..30")),
    "albumin": Analyte({"g/L": F(1), "g/dL": F(10)}, _range("5..90")),
    "ast": Analyte(_ENZYME, _range("1..30000"), (F(15), F(100))),
    "alc": Analyte(_COUNT, _range("0..0", "0.01..300"), (F(2), F(8))),
    "ratio": Analyte({"1": F(1)}, (), unitless=True),
    "fvc": Analyte({"L": F(1), "mL": F(1, 1000)}, _range("0.3..9")),
}  # fmt: skip

CONCEPTS = {
    "hemoglobin": "hemoglobin", "platelets": "platelets", "anc": "anc", "leukocytes": "wbc", "alt": "alt", "inr": "inr",
    "lvef": "lvef", "neutrophils_percent": "percent", "creatinine": "creatinine", "weight": "weight",
    "height": "height", "qt_interval": "qt", "heart_rate": "rate", "calcium_total": "calcium", "albumin_serum": "albumin",
    "ast": "ast", "alc": "alc", "lymphocytes_percent": "percent", "hcg_serum_quant": "hcg", "mrss": "mrss", "fvc": "fvc", "fvc_pre_bronchodilator": "fvc",
}  # fmt: skip
