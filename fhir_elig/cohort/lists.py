"""The persons behind the numbers of a funnel: the first of each list for the page, and all of them as one file beside it."""

from __future__ import annotations

import os
from pathlib import Path

from fhir_elig.cohort.folder import writing
from fhir_elig.cohort.funnel import shape
from fhir_elig.cohort.matrix import Matrix, Used
from fhir_elig.cohort.worklist import WORK, prepare
from fhir_elig.outputs.funnel_page import Cell, Listed
from fhir_elig.outputs.matrix_row import WHOLE

SHOWN = 200  # persons of a list that stand in the page itself

# Every list of one protocol as rows: view, criterion, band, patient.
_LISTS = f"""
    CREATE OR REPLACE TEMP TABLE one AS
    WITH judged AS (
        SELECT patient, criterion, verdict, place, depth FROM matrix JOIN shape USING (criterion) WHERE protocol = $protocol),
    ended AS (SELECT patient, min(place) AS last FROM judged WHERE verdict = 'not-met' AND depth = 0 GROUP BY patient),
    work AS ({WORK})
    SELECT $protocol AS protocol, 'status' AS view, '' AS criterion, reason AS band, patient FROM matrix
    WHERE protocol = $protocol AND criterion = $whole
    UNION ALL
    SELECT $protocol, 'sequence', criterion, verdict, patient FROM judged LEFT JOIN ended USING (patient)
    WHERE depth = 0 AND (last IS NULL OR place <= last)
    UNION ALL
    SELECT $protocol, 'alone', criterion, verdict, patient FROM judged
    UNION ALL
    SELECT DISTINCT $protocol, 'open', test, '', patient FROM work
    UNION ALL
    SELECT DISTINCT $protocol, 'unlocks', test, '', patient FROM work WHERE unlocked"""  # noqa: S608  text of this program
_FIRST = """
    SELECT view, criterion, band, list(patient ORDER BY patient) FILTER (place <= $shown), count(*)
    FROM (SELECT *, row_number() OVER (PARTITION BY view, criterion, band ORDER BY patient) AS place FROM one)
    GROUP BY ALL ORDER BY ALL"""


def lists(matrix: Matrix, used: Used) -> dict[Cell, Listed]:
    """By cell of the page, the first persons and how many there are."""
    _gather(matrix, used)
    rows = matrix.ask(_FIRST, {"shown": SHOWN})
    return {(used.id, view, criterion, band): Listed(tuple(people), total) for view, criterion, band, people, total in rows}


def write_lists(matrix: Matrix, protocols: tuple[Used, ...], file: Path) -> None:
    """All lists as CSV, for the owner's eyes only. Raises FhirEligError (FE0701)."""
    for number, used in enumerate(protocols):
        _gather(matrix, used)
        insert = "INSERT INTO every SELECT * FROM one" if number else "CREATE OR REPLACE TEMP TABLE every AS SELECT * FROM one"
        matrix.ask(insert)
    outer = os.umask(0o077)  # DuckDB makes the file
    try:
        with writing(file):
            file.unlink(missing_ok=True)
            matrix.base.sql("SELECT * FROM every ORDER BY ALL").write_csv(str(file), header=True)
    finally:
        os.umask(outer)


def _gather(matrix: Matrix, used: Used) -> None:
    shape(matrix, used)
    prepare(matrix, used)
    matrix.ask(_LISTS, {"protocol": used.id, "whole": WHOLE})
