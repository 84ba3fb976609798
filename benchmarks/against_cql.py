"""The criteria of `cql/three.cql` for the same patients: what cql-execution makes of them, and what this package does.

Its engine is installed by `npm ci` in benchmarks/cql. `three.elm.json` is `three.cql` as the CQL-to-ELM translator 5.3.0 gives it
(FHIR 4.0.1), without locators, annotations and an include that nothing uses.
"""

from __future__ import annotations

import subprocess
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks import charts
from benchmarks.measure import ROOT, Cost, cost, python

HERE = ROOT / "benchmarks" / "cql"
VERDICTS = {True: "met", False: "not-met", None: "unknown"}
Verdicts = dict[tuple[str, str], str]


class Comparison(NamedTuple):
    """Costs of both, the number of verdicts that were compared, and of those that differ."""

    ours: Cost
    theirs: Cost
    compared: int
    different: int


def bundles(folder: Path, out: Path) -> None:
    """The patients of an NDJSON folder as Bundles, one a line, since cql-execution reads no other form."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for path in sorted(folder.glob("*.ndjson")):
        for line in path.read_bytes().splitlines():
            resource = msgspec.json.decode(line)
            found[resource.get("subject", {}).get("reference", f"Patient/{resource['id']}")].append(line)
    with out.open("wb") as stream:
        for patient in sorted(found):
            entries = b",".join(b'{"resource":%s}' % line for line in found[patient])
            stream.write(b'{"resourceType":"Bundle","type":"collection","entry":[%s]}\n' % entries)


def compare(folder: Path, work: Path) -> Comparison:
    """Both engines over one cohort. Raises CalledProcessError where one of them fails."""
    as_of = charts.AS_OF.isoformat()
    subprocess.run(["npm", "ci", "--silent"], cwd=HERE, check=True)  # noqa: S607  found on the path
    bundles(folder, work / "bundles.ndjson")
    theirs = cost(["node", str(HERE / "run.js"), str(work / "bundles.ndjson"), as_of], out=work / "cql.ndjson")
    command = ["-m", "fhir_elig", "cohort", "run", "--protocol", str(HERE / "three.yaml"), "--data", str(folder)]
    ours = cost(python(*command, "--out", str(work / "three"), "--as-of", as_of, "--complete", "all", "--jobs", "1"))
    expected, found = _theirs(work / "cql.ndjson"), _ours(work / "three" / "assessments.ndjson")
    pairs = expected.keys() | found.keys()
    return Comparison(ours, theirs, len(pairs), sum(expected.get(pair) != found.get(pair) for pair in pairs))


def _theirs(path: Path) -> Verdicts:
    rows = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    return {(row["patient"], name): VERDICTS[told] for row in rows for name, told in row.items() if name != "patient"}


def _ours(path: Path) -> Verdicts:
    rows = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    return {(row["patient"].removeprefix("Patient/"), each["id"]): each["verdict"] for row in rows for each in row["criteria"]}
