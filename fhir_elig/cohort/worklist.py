"""The work-list: which test, record or question is open for how many persons, and how many of them it would unlock.

A criterion without parts is open for somebody whose whole is unknown, if it is unknown and so is every criterion above it. Those
that read the same concepts are one test. A test unlocks somebody for whom nothing else that data could settle is open: what is
left then are people's answers and dates to come.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_elig.cohort.matrix import Matrix, Used
from fhir_elig.cohort.tree import Part
from fhir_elig.outputs.funnel_table import Missing
from fhir_elig.outputs.matrix_row import WHOLE
from fhir_elig.verdict import Reason

PEOPLE = (Reason.NEEDS_PERSON.value, Reason.PENDING_EVENT.value)

# Every open criterion without parts of every person, as a test, and whether that test unlocks the person.
WORK = """
    WITH undecided AS (
        SELECT patient FROM matrix WHERE protocol = $protocol AND criterion = $whole AND verdict = 'unknown'),
    settled AS (  -- criteria inside a part that is not unknown
        SELECT patient, below.criterion FROM matrix JOIN below ON matrix.criterion = below.above
        WHERE protocol = $protocol AND verdict <> 'unknown'),
    open AS (
        SELECT patient, criterion, test, reason NOT IN (SELECT reason FROM people) AS data
        FROM matrix JOIN tests USING (criterion) JOIN undecided USING (patient)
        ANTI JOIN settled USING (patient, criterion)
        WHERE protocol = $protocol AND verdict = 'unknown'),
    alone AS (
        SELECT patient, any_value(test) AS test FROM open WHERE data GROUP BY patient HAVING count(DISTINCT test) = 1)
    SELECT patient, test, data AND alone.test IS NOT NULL AS unlocked FROM open LEFT JOIN alone USING (patient, test)"""
_COUNTED = f"""
    SELECT test, count(DISTINCT patient) FILTER (unlocked), count(DISTINCT patient)
    FROM ({WORK}) GROUP BY test"""  # noqa: S608  text of this program


def worklist(matrix: Matrix, used: Used) -> list[Missing]:
    """What is open, by the persons whom it unlocks, then by those for whom it is open."""
    tests = prepare(matrix, used)
    found = matrix.ask(_COUNTED, {"protocol": used.id, "whole": WHOLE})
    work = [Missing(test=test, criteria=tests[test], unlocks=unlocks, open=count) for test, unlocks, count in found]
    return sorted(work, key=lambda one: (-(one.unlocks or 0), -(one.open or 0), one.test))


def prepare(matrix: Matrix, used: Used) -> dict[str, tuple[str, ...]]:
    """The tables that `WORK` reads; gives the criteria of each test."""
    tests = _tests(used)
    matrix.table("tests", "criterion VARCHAR, test VARCHAR", [(name, test) for test, names in tests.items() for name in names])
    matrix.table("below", "above VARCHAR, criterion VARCHAR", list(_below(used)))
    matrix.table("people", "reason VARCHAR", [(reason,) for reason in PEOPLE])
    return tests


def _tests(used: Used) -> dict[str, tuple[str, ...]]:
    """Criteria without parts, by what they read: the names of the concepts, or the criterion itself where it reads none."""
    found: dict[str, tuple[str, ...]] = {}
    for part in used.tree.criteria().values():
        if not part.named():
            test = ", ".join(part.concepts()) or part.id
            found[test] = (*found.get(test, ()), part.id)
    return found


def _below(used: Used) -> Iterator[tuple[str, str]]:
    """Each criterion with those above it."""
    for top in used.tree.tops:
        yield from _pairs(top, ())


def _pairs(part: Part, above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    yield from ((name, part.id) for name in above)
    for child in part.named():
        yield from _pairs(child, (*above, part.id))
