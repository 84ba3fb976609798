"""What an assessment comes to in a line: the reason for its status, what rules the patient out, what to settle first."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fhir_elig.outputs.words import REASONS, STATUSES, codes_text, patient_name, safe_text, settle_kind
from fhir_elig.verdict import ALIVE, MET, NOT_APPLICABLE, NOT_MET, UNKNOWN, Assessment, CriterionResult, Reason, Status

NOT_ASSESSED = "not assessed"
_MEASURED = frozenset((Reason.IN_RANGE, Reason.OUT_OF_RANGE, Reason.DERIVED))


class Failure(msgspec.Struct, frozen=True):
    """A patient who could not be assessed, and why (an error's code and message; no patient data)."""

    patient: str
    why: str


class Row(msgspec.Struct, frozen=True):
    """One patient in a table. The four counts are of leaf criteria; None where the patient was not assessed."""

    patient: str
    status: str
    met: int | None
    not_met: int | None
    unknown: int | None
    not_applicable: int | None
    first: str

    @property
    def counts(self) -> tuple[int | None, int | None, int | None, int | None]:
        return self.met, self.not_met, self.unknown, self.not_applicable


def table_rows(assessments: Sequence[Assessment], failures: Sequence[Failure] = ()) -> list[Row]:
    """One row a patient: the assessed in the order given, then those who could not be assessed."""
    rows = []
    for assessment in assessments:
        counts = assessment.counts()
        rows.append(
            Row(
                patient_name(assessment.patient),
                assessment.status.value,
                counts[MET],
                counts[NOT_MET],
                counts[UNKNOWN],
                counts[NOT_APPLICABLE],
                first_to_settle(assessment),
            )
        )
    return rows + [
        Row(patient_name(each.patient), NOT_ASSESSED, None, None, None, None, safe_text(each.why)) for each in failures
    ]


def status_counts(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """How many rows have each status, best first, those that occur; they add up to the rows."""
    order = [
        Status.ELIGIBLE.value,
        Status.CANDIDATE.value,
        Status.POTENTIAL_CANDIDATE.value,
        Status.INELIGIBLE.value,
        NOT_ASSESSED,
    ]
    tally = [(status, sum(row.status == status for row in rows)) for status in order]
    return [(status, count) for status, count in tally if count]


def ruling_out(assessment: Assessment) -> list[CriterionResult]:
    """For each top-level criterion that is not met, the one below it that decides."""
    return [decider(result) for result in assessment.criteria if result.verdict is NOT_MET]


def decider(result: CriterionResult) -> CriterionResult:
    """The first leaf (or part without a decisive one) that decides a verdict: of the same verdict, or turned round by a `not`."""
    while result.criteria:
        same = [child for child in result.criteria if child.verdict is result.verdict]
        turned = [child for child in result.criteria if child.verdict is not NOT_APPLICABLE and child.reason is result.reason]
        if not same and not turned:
            break
        result = (same or turned)[0]
    return result


def still_open(assessment: Assessment) -> list[CriterionResult]:
    """The decisive unknown criteria, most decisive first."""
    found = (assessment.find(criterion) for criterion in assessment.decisive)
    return [result for result in found if result is not None]


def own_reason(result: CriterionResult) -> bool:
    """Whether the reason says something of its own, and does not repeat that of a part."""
    return not any(child.reason is result.reason for child in result.criteria)


def first_to_settle(assessment: Assessment) -> str:
    """What rules the patient out, or else the most decisive open criterion, in a few words."""
    against = ruling_out(assessment)
    if against:
        more = f"; {len(against) - 1} more not met" if len(against) > 1 else ""
        return outcome_text(against[0]) + ("; a repeat could change it" if against[0].recoverable else "") + more
    waiting = still_open(assessment)
    return outcome_text(waiting[0]) if waiting else "nothing"


def outcome_text(result: CriterionResult) -> str:
    """A criterion in a few words: `platelets 62 10*9/L (limit >= 75 10*9/L)`, `lvef: no record found (90 d before screening)`."""
    limited = next((each for each in result.evidence if each.limit and (each.compared or each.received)), None)
    lead = f"{result.id} (excluded)" if result.exclusion else result.id
    if limited and result.reason in _MEASURED:
        return safe_text(f"{lead} {limited.compared or limited.received} (limit {limited.limit})")
    return safe_text(f"{lead}: {REASONS[result.reason].short}" + (f" ({detail})" if (detail := _detail(result)) else ""))


def _detail(result: CriterionResult) -> str:
    """The value that matters, as received, or what its code means; else the window in which a record is missing."""
    if settle_kind(result) == "decision":
        return ""
    first = next((each for each in result.evidence if each.received or each.compared), None)
    if first is None:
        return result.settled_by.window if result.settled_by else ""
    if first.received.startswith("http") and "|" in first.received:
        return first.compared or codes_text([first.received])
    return first.received or first.compared


def status_reason(assessment: Assessment) -> str:
    """The reason for the status in one sentence, with what is open and who can settle it."""
    if assessment.status is Status.INELIGIBLE:
        names = ", ".join(result.id for result in ruling_out(assessment))
        repeat = "; a repeat could change every one of them" if assessment.recoverable else ""
        return f"not met: {names}{repeat}" if names else STATUSES[assessment.status]
    leaves = [leaf for result in assessment.criteria if result.id != ALIVE for leaf in result.leaves() if leaf.verdict is UNKNOWN]
    if assessment.status is Status.ELIGIBLE or not leaves:
        return STATUSES[assessment.status] + (f"; {len(leaves)} unknown that no longer matter" if leaves else "")
    data = sum(settle_kind(leaf) == "record" for leaf in leaves)
    return f"nothing rules the patient out; {len(leaves)} unknown, of which data could settle {data or 'none'}"
