"""Hints that a condition was there without a record of it: drugs given for it, results that are not negative."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fhir_elig.concepts import Match
from fhir_elig.criteria.answers import interpreted, qualitative
from fhir_elig.criteria.context import Context, Frame
from fhir_elig.criteria.outcome import Outcome, flaw_reason, unknown
from fhir_elig.criteria.overlap import in_window
from fhir_elig.criteria.select import RESTRICTED_ABSENCE
from fhir_elig.record import Counts, Medication, Result
from fhir_elig.verdict import Evidence, Reason
from fhir_elig.windows import Place


def hinted(medications: Sequence[str], results: tuple[str, ...], frame: Frame | None, context: Context) -> Outcome | None:
    """What makes a person be asked; a drug in the window that nobody can tell leaves it open too. None if there is neither."""
    given = list(_given(medications, frame, context)) if medications else []
    evidence = [_drug(m, "hint") for m, match in given if match is Match.YES]
    evidence += [_result(r) for r in context.facts.of(results) if _speaks(r, frame, context)]
    if evidence:
        return unknown(Reason.NEEDS_PERSON, evidence=tuple(evidence))
    unmapped = tuple(_drug(m, "its drug cannot be told") for m, _ in given)
    return unknown(Reason.UNMAPPED, evidence=unmapped) if unmapped else None


def _given(names: Sequence[str], frame: Frame | None, context: Context) -> Iterator[tuple[Medication, Match]]:
    for medication, match in context.facts.matching(context.record.medications, frozenset(names), context.concepts):
        if medication.counts in (Counts.YES, Counts.SHOWN) and in_window(medication, frame, context):
            yield medication, match


def _speaks(result: Result, frame: Frame | None, context: Context) -> bool:
    """A result in the window that does not say negative; a preliminary one is no proof, and makes a person look.

    One that is kept back, or that a flaw turns into something else, may say anything.
    """
    inside = frame is None or context.place(result.time, frame) in (Place.INSIDE, Place.PARTLY)
    if not inside or result.counts not in (Counts.YES, Counts.NOT_FINAL):
        return False
    if flaw_reason(result) is not None or result.absent in RESTRICTED_ABSENCE:
        return True
    if result.absent or (result.value is None and not result.interpretation):
        return False
    said = {qualitative(result, context)} if result.value is not None else set()
    return (said | interpreted(result, context)) != {"negative"}


def _drug(medication: Medication, note: str) -> Evidence:
    start = medication.start.text if medication.start else ""
    received = medication.text or ", ".join(medication.codes)
    return Evidence(medication.reference, medication.version, received, "", "", start, note)


def _result(result: Result) -> Evidence:
    received = "" if result.value is None else str(result.value)
    return Evidence(
        result.reference, result.version, received, "not negative", "", result.time.text if result.time else "", "hint"
    )
