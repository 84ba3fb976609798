"""The funnel: attrition in the order of the protocol and each criterion alone, near misses, the work-list of what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fhir_elig.cohort.matrix import Matrix, Used, tops
from fhir_elig.cohort.near import misses
from fhir_elig.cohort.tree import Part
from fhir_elig.cohort.worklist import worklist
from fhir_elig.errors import DataError
from fhir_elig.outputs.funnel_table import BANDS, Band, Funnel, Step
from fhir_elig.outputs.matrix_row import WHOLE
from fhir_elig.verdict import ALIVE, Status

Counts = dict[str, dict[str, int]]  # by criterion, by verdict

_STATUSES = "SELECT reason, count(*) FROM matrix WHERE protocol = $protocol AND criterion = $whole GROUP BY ALL"
_ALONE = """
    SELECT criterion, verdict, count(*) FROM matrix JOIN shape USING (criterion)
    WHERE protocol = $protocol GROUP BY ALL"""
# Somebody is counted up to the first criterion that is not met, that one included.
_SEQUENCE = """
    WITH judged AS (
        SELECT patient, criterion, verdict, place FROM matrix JOIN shape USING (criterion)
        WHERE protocol = $protocol AND depth = 0),
    ended AS (SELECT patient, min(place) AS last FROM judged WHERE verdict = 'not-met' GROUP BY patient)
    SELECT criterion, verdict, count(*) FROM judged LEFT JOIN ended USING (patient)
    WHERE last IS NULL OR place <= last GROUP BY ALL"""


def funnel(matrix: Matrix, used: Used) -> Funnel:
    """The funnel of one protocol, every count shown. Raises DataError where rows are missing or doubled."""
    steps = list(_shape(used))
    shape(matrix, used)
    given = {"protocol": used.id}
    statuses = dict(matrix.ask(_STATUSES, {**given, "whole": WHOLE}))
    assessed = sum(statuses.values())
    alone, sequence = (_by_criterion(matrix.ask(sql, given)) for sql in (_ALONE, _SEQUENCE))
    _check(matrix, used, alone, assessed)
    counts = matrix.manifest.counts
    found = misses(matrix, used)
    near: dict[str, int | None] = {}
    for miss in found:
        near[miss.criterion] = (near.get(miss.criterion) or 0) + 1
    return Funnel(
        protocol=used.id,
        version=used.version,
        title=used.title,
        as_of=matrix.manifest.as_of,
        patients=counts.patients if counts else assessed,
        assessed=assessed,
        not_assessed=(counts.patients if counts else assessed) - assessed,
        statuses={status.value: statuses.get(status.value, 0) for status in reversed(Status)},
        steps=tuple(_step(step, sequence, alone) for step in steps if step[0] != ALIVE or ALIVE in alone),
        near=dict(sorted(near.items(), key=lambda entry: (-(entry[1] or 0), entry[0]))),
        misses=tuple(found),
        missing=tuple(worklist(matrix, used)),
    )


def shape(matrix: Matrix, used: Used) -> None:
    """The table `shape`: the criteria of a protocol with their place and depth."""
    held = [(place, name, depth) for place, (name, _, depth) in enumerate(_shape(used))]
    matrix.table("shape", "place INTEGER, criterion VARCHAR, depth INTEGER", held)


def _shape(used: Used) -> Iterator[tuple[str, str, int]]:
    """Every criterion with its text and depth, in the protocol's order."""
    tops(used)
    yield ALIVE, "the patient is alive", 0
    for part in used.tree.tops:
        yield from _deep(part, 0)


def _deep(part: Part, depth: int) -> Iterator[tuple[str, str, int]]:
    yield part.id, part.text, depth
    for child in part.named():
        yield from _deep(child, depth + 1)


def _by_criterion(rows: Sequence[tuple[str, str, int]]) -> Counts:
    found: Counts = {}
    for criterion, verdict, count in rows:
        found.setdefault(criterion, {})[verdict] = count
    return found


def _check(matrix: Matrix, used: Used, alone: Counts, assessed: int) -> None:
    """Persons in = persons counted, at the top; and the implicit `alive` is met by all of whom nothing else is said."""
    for name in tops(used):
        count = sum(alone.get(name, {}).values())
        if name == ALIVE and count and count <= assessed:
            alone[ALIVE]["met"] = alone[ALIVE].get("met", 0) + assessed - count
        elif count != assessed and name != ALIVE:
            why = f"{name} has verdicts of {count} persons, and {assessed} were assessed"
            raise DataError(why, where=str(matrix.run), fix="run again into a new folder")


def _step(step: tuple[str, str, int], sequence: Counts, alone: Counts) -> Step:
    name, text, depth = step
    passed = dict(sequence.get(name, {}))
    if name == ALIVE:
        passed = dict(alone[ALIVE])  # the first in the sequence: nobody was ruled out before
    return Step(
        criterion=name,
        text=text,
        depth=depth,
        sequence=_band(passed) if depth == 0 else None,
        alone=_band(alone.get(name, {})),
    )


def _band(counts: dict[str, int]) -> Band:
    return Band(*(counts.get(verdict, 0) for verdict in BANDS))
