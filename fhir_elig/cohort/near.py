"""Near misses: persons whom one criterion alone rules out, and how far the value lies from the limit.

Somebody is a near miss of X if exactly one criterion at the top is not met, and X is the only criterion without parts in it that
is not met (or it is X itself). Distances are for people's eyes; no verdict is computed from them.
"""

from __future__ import annotations

from fhir_elig.cohort.matrix import Matrix, Used
from fhir_elig.cohort.tree import shown
from fhir_elig.outputs.funnel_table import Miss
from fhir_elig.verdict import ALIVE

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
# The limits of a row, as its words have them: a value below the lower one or above the upper one is that far away.
_MISSES = """
    WITH against AS (
        SELECT patient, family.top, criterion, family.leaf FROM matrix JOIN family USING (criterion)
        WHERE protocol = $protocol AND verdict = 'not-met'),
    one AS (
        SELECT patient, any_value(top) AS top FROM against WHERE criterion = top
        GROUP BY patient HAVING count(*) = 1),
    deep AS (
        SELECT patient,
            CASE WHEN count(*) FILTER (leaf) = 1 THEN any_value(criterion) FILTER (leaf) ELSE any_value(top) END AS criterion
        FROM against JOIN one USING (patient, top) GROUP BY patient),
    told AS (
        SELECT patient, criterion, value, unit, "limit", reference, time,
            coalesce(value_low, value) AS low, coalesce(value_high, value) AS high,
            try_cast(regexp_extract("limit", $lower, 1) AS DOUBLE) AS floor,
            try_cast(regexp_extract("limit", $upper, 1) AS DOUBLE) AS ceiling
        FROM matrix JOIN deep USING (patient, criterion) WHERE protocol = $protocol),
    far AS (
        SELECT *, CASE WHEN floor > high THEN floor - coalesce(value, high) WHEN ceiling < low THEN coalesce(value, low) - ceiling
            WHEN value = floor OR value = ceiling THEN 0  -- a strict limit
            ELSE least(low - floor, ceiling - high) END AS distance,  -- inside the limits of an exclusion
            CASE WHEN ceiling IS NULL OR floor >= high THEN floor ELSE ceiling END AS bound FROM told)
    SELECT patient, criterion, value, coalesce(unit, ''), "limit", distance, distance / nullif(abs(bound), 0) AS relative,
        reference, time FROM far
    ORDER BY relative NULLS LAST, distance NULLS LAST, patient, criterion"""


def misses(matrix: Matrix, used: Used) -> list[Miss]:
    """Every near miss, the nearest first; those without a number come last."""
    matrix.table("family", "criterion VARCHAR, top VARCHAR, leaf BOOLEAN", family(used))
    given = {"protocol": used.id, "lower": f">=? ?{_NUMBER}", "upper": f"<=? ?{_NUMBER}"}
    return [Miss(**dict(zip(Miss.__struct_fields__, row, strict=True))) for row in matrix.ask(_MISSES, given)]


def family(used: Used) -> list[tuple[str, str, bool]]:
    """Each criterion with the one at the top that it belongs to, and whether it has no parts of its own."""
    found = [(part.id, top.id, not part.named()) for top in used.tree.tops for part in shown(top)]
    return [(ALIVE, ALIVE, True), *found]
