"""Three FHIRPath expressions over Bundles, one a line, by fhirpathpy:  python -m benchmarks.against_fhirpath BUNDLES.ndjson

They find what the three criteria of `cql/three.yaml` look at: the birth date, and the dates and values of two analytes. FHIRPath
has no units, windows or verdicts, so nothing is compared but the cost of finding. Prints the number of values found.
"""

from __future__ import annotations

import sys
from pathlib import Path

import fhirpathpy
import msgspec

RESULTS = (
    "Bundle.entry.resource.where(resourceType = 'Observation'"
    " and (status = 'final' or status = 'amended' or status = 'corrected')"
    " and code.coding.where(system = 'http://loinc.org' and code = '{loinc}').exists())"
    ".select(effectiveDateTime | value.value)"
)
EXPRESSIONS = (
    "Bundle.entry.resource.where(resourceType = 'Patient').birthDate",
    RESULTS.format(loinc="718-7"),
    RESULTS.format(loinc="777-3"),
)


def count(path: Path) -> int:
    compiled = [fhirpathpy.compile(expression) for expression in EXPRESSIONS]
    found = 0
    with path.open("rb") as lines:
        for line in lines:
            bundle = msgspec.json.decode(line)
            found += sum(len(each(bundle, None)) for each in compiled)
    return found


if __name__ == "__main__":
    print(count(Path(sys.argv[1])))  # noqa: T201
