"""An assessment as rows of the verdict matrix: one for the whole, one for each criterion at any depth.

The columns are those of `matrix.parquet` (docs/reference/run-folder.md). `value` is for display and for distances to a limit.
`value_low` and `value_high` are bounds that surely hold what was compared, so that another limit can be held against them: equal
where the value is known exactly, apart where it is an interval, where several results had to agree, or where it is shown rounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

import msgspec

from fhir_elig import units
from fhir_elig.criteria.limits import Limits, show
from fhir_elig.criteria.node import Node
from fhir_elig.criteria.observation import Value
from fhir_elig.outputs.matrix_row import WHOLE, Row
from fhir_elig.protocol import Protocol
from fhir_elig.unit_text import read_text
from fhir_elig.verdict import Assessment, CriterionResult

SHORT = 3  # a number of so few digits is shown as it is: one that is rounded has more

_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_COMPARED = re.compile(rf"(?:(<=?|>=?) )?({_NUMBER})(?: to ({_NUMBER}))?(?: (10\*\S+|[^\s0-9<>]\S*))?")


class Measure(msgspec.Struct, frozen=True, gc=False):
    """A compared value in numbers."""

    low: float | None
    high: float | None
    unit: str

    @property
    def point(self) -> float | None:
        return self.low if self.low == self.high else None


class Ruler:
    """Reads the numbers of one criterion's evidence, each text once; `limits` are those of its value, if it has one."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits
        self.bounds = lru_cache(maxsize=1024)(self._bounds)

    def _bounds(self, received: str, compared: str) -> tuple[float | None, float | None] | None:
        """Bounds of the value that stands in the evidence; None if it is no number."""
        found = _COMPARED.fullmatch(compared)
        if found is None:
            return None
        exact = self._read_again(received, compared)
        if exact is not None:
            return exact
        sign, low, high = found[1] or "", found[2], found[3] or found[2]
        return None if sign.startswith("<") else _around(low)[0], None if sign.startswith(">") else _around(high)[1]

    def _read_again(self, received: str, compared: str) -> tuple[float | None, float | None] | None:
        """The exact value, read once more from what was sent, if it is shown as the evidence shows it."""
        sent, limits = read_text(received), self.limits
        if limits is None or limits.analyte is None or sent is None:
            return None
        value = units.read_quantity(sent, limits.analyte).interval
        if value is None or show(value, limits.analyte.canonical, limits.limits) != compared:
            return None
        return None if value.low is None else _doubles(value.low)[0], None if value.high is None else _doubles(value.high)[1]


_PLAIN = Ruler()


def rulers(protocol: Protocol) -> dict[str, Ruler]:
    """By criterion, for `rows`: how the numbers of its evidence are read, from the first value that it reads itself."""
    values = ((node.id or "", next(_values(node), None)) for node in protocol.criteria())
    return {name: Ruler(value.limits) for name, value in values if value is not None}


def _values(node: Node) -> Iterator[Value]:
    if isinstance(node.kind, Value) and node.kind.answer is None:
        yield node.kind
    for _, child in node.inner():
        if not isinstance(child, str) and not child.id:
            yield from _values(child)


def rows(assessment: Assessment, by_criterion: Mapping[str, Ruler]) -> Iterator[Row]:
    """The whole first, then each criterion in the order of the protocol, parents before their parts.

    `by_criterion` is what `rulers` gave for the protocol of the assessment.
    """
    protocol, patient = assessment.protocol.id, assessment.patient
    yield Row(protocol, patient, WHOLE, assessment.verdict.value, assessment.status.value)
    for result in assessment.walk():
        if result.id:
            yield _row(protocol, patient, result, by_criterion.get(result.id, _PLAIN))


def _row(protocol: str, patient: str, result: CriterionResult, ruler: Ruler) -> Row:
    verdict, reason = result.verdict.value, result.reason.value
    compared = [one for one in result.evidence if one.limit and one.compared]
    shown = compared[0] if compared else result.evidence[0] if result.evidence else None
    if shown is None:
        return Row(protocol, patient, result.id, verdict, reason)
    number = measure(shown.compared) if shown.limit else None
    if number is None:
        limit, reference, time = shown.limit, shown.reference, shown.time
        return Row(protocol, patient, result.id, verdict, reason, limit=limit, reference=reference, time=time)
    low, high = _hull([ruler.bounds(one.received, one.compared) for one in compared])
    return Row(
        protocol, patient, result.id, verdict, reason, number.point, low, high, number.unit,
        shown.limit, shown.reference, shown.time,
    )  # fmt: skip


def _hull(found: Sequence[tuple[float | None, float | None] | None]) -> tuple[float | None, float | None]:
    """Bounds that hold the values of all results: a verdict that all of them gave stands, or falls, with each."""
    ends = [pair or (None, None) for pair in found]
    lows, highs = ([low for low, _ in ends], [high for _, high in ends])
    low = None if None in lows else min(end for end in lows if end is not None)
    return low, None if None in highs else max(end for end in highs if end is not None)


def _around(shown: str) -> tuple[float, float]:
    """Bounds of a number that is shown: itself if it has few digits, else half a step of its last digit on either side."""
    number = Fraction(shown)
    if len(shown.replace("-", "").replace(".", "").lstrip("0")) <= SHORT:
        return _doubles(number)
    half = Fraction(1, 2 * 10 ** len(shown.partition(".")[2]))
    return _doubles(number - half)[0], _doubles(number + half)[1]


def _doubles(value: Fraction) -> tuple[float, float]:
    """The nearest double twice, if its shortest decimal is the value; else the doubles around it."""
    near = float(value)
    return (near, near) if Fraction(repr(near)) == value else (math.nextafter(near, -math.inf), math.nextafter(near, math.inf))


@lru_cache(maxsize=8192)
def measure(compared: str) -> Measure | None:
    """The numbers of a compared value as evidence writes it; None if it is none.

    >>> measure("50 to 55 %")
    Measure(low=50.0, high=55.0, unit='%')
    """
    found = _COMPARED.fullmatch(compared)
    if found is None:
        return None
    sign, first, second, unit = found.groups()
    low, high = float(first), float(second or first)
    return Measure(None if sign and sign[0] == "<" else low, None if sign and sign[0] == ">" else high, unit or "")
