"""An assessment as rows of the verdict matrix: one for the whole, one for each criterion at any depth.

The columns are those of `matrix.parquet` (docs/reference/run-folder.md). Numbers here are for display and for distances to a
limit; no verdict is ever computed from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from fhir_elig.verdict import Assessment, CriterionResult, Evidence

WHOLE = ""  # the criterion of the row that holds a patient's whole verdict; its reason is the status

_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_COMPARED = re.compile(rf"(?:(<=?|>=?) )?({_NUMBER})(?: to ({_NUMBER}))?(?: (10\*\S+|[^\s0-9<>]\S*))?")


class Row(msgspec.Struct, frozen=True, gc=False):
    """One row, its fields in the order of the columns.

    `value` is the value as compared, `value_low` and `value_high` its interval (equal for a point; None for an infinite end, and
    where nothing was compared with a limit), in `unit`, which is the unit of `limit`.
    """

    protocol: str
    patient: str
    criterion: str
    verdict: str
    reason: str
    value: float | None = None
    value_low: float | None = None
    value_high: float | None = None
    unit: str | None = None
    limit: str = ""
    reference: str = ""
    time: str = ""


class Measure(msgspec.Struct, frozen=True, gc=False):
    """A compared value in numbers."""

    low: float | None
    high: float | None
    unit: str

    @property
    def point(self) -> float | None:
        return self.low if self.low == self.high else None


def rows(assessment: Assessment) -> Iterator[Row]:
    """The whole first, then each criterion in the order of the protocol, parents before their parts."""
    protocol, patient = assessment.protocol.id, assessment.patient
    yield Row(protocol, patient, WHOLE, assessment.verdict.value, assessment.status.value)
    for result in assessment.walk():
        yield _row(protocol, patient, result)


def _row(protocol: str, patient: str, result: CriterionResult) -> Row:
    verdict, reason = result.verdict.value, result.reason.value
    shown = _shown(result)
    if shown is None:
        return Row(protocol, patient, result.id, verdict, reason)
    number = measure(shown.compared) if shown.limit else None
    if number is None:
        limit, reference, time = shown.limit, shown.reference, shown.time
        return Row(protocol, patient, result.id, verdict, reason, limit=limit, reference=reference, time=time)
    return Row(
        protocol, patient, result.id, verdict, reason, number.point, number.low, number.high, number.unit,
        shown.limit, shown.reference, shown.time,
    )  # fmt: skip


def _shown(result: CriterionResult) -> Evidence | None:
    """The evidence that was held against a limit, else the first."""
    evidence = result.evidence
    if not evidence:
        return None
    return next((one for one in evidence if one.limit and one.compared), evidence[0])


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
