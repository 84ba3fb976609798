"""What a criterion finds among the results: candidates, and what was set aside and why."""

from __future__ import annotations

import msgspec

from fhir_elig.quantity import Reading
from fhir_elig.record import Result
from fhir_elig.times import When
from fhir_elig.verdict import Evidence, Reason, SetAside


class Candidate(msgspec.Struct, kw_only=True, gc=False):
    """One result (or a value derived from several) that a criterion may take."""

    result: Result
    time: When | None
    reading: Reading
    evidence: tuple[Evidence, ...]
    sure: bool = True  # surely there, and surely inside the window
    notes: tuple[str, ...] = ()
    derived: bool = False
    doubt: Reason = Reason.COMPARATOR  # why the verdict is unknown where the value lies on both sides of a limit


class Found(msgspec.Struct, kw_only=True):
    """All results for a criterion, sorted: candidates, and what was set aside and why."""

    candidates: list[Candidate]
    aside: list[SetAside]
    too_old: list[Result]
    not_final: list[Result]
