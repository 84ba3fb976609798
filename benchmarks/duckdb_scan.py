"""The bar: DuckDB reads the same files and the same columns, and does nothing with them.

    python -m benchmarks.duckdb_scan FOLDER

For each resource type one scan of its files by `read_json` with the columns that screening reads, each column counted so that
it is really parsed.
"""

from __future__ import annotations

import sys
from pathlib import Path

CODING = "STRUCT(system VARCHAR, code VARCHAR)[]"
CONCEPT = f"STRUCT(coding {CODING}, text VARCHAR)"
REFERENCE = "STRUCT(reference VARCHAR)"
QUANTITY = "STRUCT(value DOUBLE, comparator VARCHAR, unit VARCHAR, system VARCHAR, code VARCHAR)"
PERIOD = 'STRUCT("start" VARCHAR, "end" VARCHAR)'
META = "STRUCT(versionId VARCHAR, lastUpdated VARCHAR)"
COMMON = {"id": "VARCHAR", "meta": META, "status": "VARCHAR", "subject": REFERENCE, "code": CONCEPT}
COLUMNS: dict[str, dict[str, str]] = {
    "Patient": {"id": "VARCHAR", "meta": META, "gender": "VARCHAR", "birthDate": "VARCHAR"},
    "Observation": {
        **COMMON, "effectiveDateTime": "VARCHAR", "issued": "VARCHAR", "valueQuantity": QUANTITY, "valueString": "VARCHAR",
        "valueCodeableConcept": CONCEPT, "component": f"STRUCT(code {CONCEPT}, valueQuantity {QUANTITY})[]",
        "referenceRange": f"STRUCT(low {QUANTITY}, high {QUANTITY}, type {CONCEPT}, text VARCHAR)[]",
    },
    "Condition": {
        **COMMON, "clinicalStatus": CONCEPT, "verificationStatus": CONCEPT, "onsetDateTime": "VARCHAR", "recordedDate": "VARCHAR",
    },
    "MedicationRequest": {
        **COMMON, "intent": "VARCHAR", "medicationCodeableConcept": CONCEPT, "authoredOn": "VARCHAR", "dosageInstruction": "JSON",
        "dispenseRequest": f"STRUCT(validityPeriod {PERIOD})",
    },
    "Encounter": {**COMMON, "period": PERIOD},
    "Procedure": {**COMMON, "performedPeriod": PERIOD},
}  # fmt: skip


def scan(folder: Path) -> int:
    """Read everything. Returns the number of resources."""
    import duckdb

    connection = duckdb.connect()
    total = 0
    for kind, columns in COLUMNS.items():
        files = [str(path) for path in sorted(folder.glob(f"{kind}.*"))]
        if not files:
            continue
        counts = ", ".join(f'count("{name}")' for name in columns)
        rows = connection.execute(
            f"SELECT count(*), {counts} FROM read_json(?, format = 'newline_delimited', columns = ?)",  # noqa: S608  our names
            [files, columns],
        ).fetchone()
        total += rows[0] if rows else 0
    return total


if __name__ == "__main__":
    print(scan(Path(sys.argv[1])))  # noqa: T201
