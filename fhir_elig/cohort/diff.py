"""Two runs compared: who is new, who left, who changed, and by which criterion and resource."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_elig.cohort.matrix import Matrix, Used
from fhir_elig.errors import UsageError
from fhir_elig.outputs.diff_table import ChangedCriterion, ChangedPerson, Diff
from fhir_elig.outputs.matrix_row import WHOLE

_SAVE = """
    CREATE OR REPLACE TEMP TABLE {side} AS
    SELECT criterion, patient, verdict, reason, value, unit, reference FROM read_parquet($file) WHERE protocol = $protocol"""
_ONLY = """
    SELECT {side}.patient FROM {side} ANTI JOIN {other} USING (patient, criterion) WHERE criterion = $whole ORDER BY ALL"""
# Those whose status is another one, then each criterion with another verdict or reason of theirs, leaves of the tree first.
_CHANGED = """
    WITH moved AS (
        SELECT patient, older.verdict AS was, newer.verdict AS becomes, older.reason AS old_status, newer.reason AS new_status
        FROM older JOIN newer USING (patient, criterion)
        WHERE criterion = $whole AND (older.verdict <> newer.verdict OR older.reason <> newer.reason))
    SELECT moved.patient, old_status, new_status, criterion, older.verdict, newer.verdict, older.reason, newer.reason,
        older.value, newer.value, coalesce(newer.unit, older.unit, ''), coalesce(older.reference, ''),
        coalesce(newer.reference, '')
    FROM moved LEFT JOIN (
        (SELECT * FROM older WHERE criterion <> $whole) AS older
        FULL JOIN (SELECT * FROM newer WHERE criterion <> $whole) AS newer USING (patient, criterion)
    ) ON patient = moved.patient AND older.verdict IS DISTINCT FROM newer.verdict
    ORDER BY moved.patient, criterion"""


def diff(old: Matrix, new: Matrix, older: Used, newer: Used) -> Diff:
    """One protocol in two runs. Persons are known by their reference, so both runs must be of one source."""
    for matrix, used, side in ((old, older, "older"), (new, newer, "newer")):
        new.ask(_SAVE.format(side=side), {"file": str(matrix.file), "protocol": used.id})
    whole = {"whole": WHOLE}
    left = new.ask(_ONLY.format(side="older", other="newer"), whole)
    came = new.ask(_ONLY.format(side="newer", other="older"), whole)
    return Diff(
        protocol=newer.id,
        old_version=older.version,
        new_version=newer.version,
        same_protocol=older.sha256 == newer.sha256,
        old_as_of=old.manifest.as_of,
        new_as_of=new.manifest.as_of,
        new=tuple(patient for (patient,) in came),
        left=tuple(patient for (patient,) in left),
        changed=tuple(_people(new.ask(_CHANGED, whole), _parents(newer) | _parents(older))),
    )


def _parents(used: Used) -> set[str]:
    """Criteria that are made of others: their change is told by those below."""
    return {part.id for part in used.tree.criteria().values() if part.named()}


def _people(rows: list[tuple[Any, ...]], parents: set[str]) -> Iterator[ChangedPerson]:
    held: dict[tuple[str, str, str], list[ChangedCriterion]] = {}
    for patient, was, becomes, *told in rows:
        criteria = held.setdefault((patient, was, becomes), [])
        if told[0] is not None:
            criteria.append(ChangedCriterion(*told))
    for (patient, was, becomes), criteria in held.items():
        leaves = [one for one in criteria if one.criterion not in parents]
        yield ChangedPerson(patient, was, becomes, tuple(leaves or criteria))


def common(old: Matrix, new: Matrix, protocol: str) -> list[tuple[Used, Used]]:
    """The protocols of both runs, or the one named. Raises UsageError if there is none."""
    known = {used.id: used for used in old.protocols([protocol] if protocol else ())}
    both = [(known[used.id], used) for used in new.protocols([protocol] if protocol else ()) if used.id in known]
    if not both:
        raise UsageError("the runs have no protocol in common", where=str(new.run), fix="compare runs of one protocol")
    return both
