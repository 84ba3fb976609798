"""A whole hospital, as ratios between two commands on the same files, measured in one run.

    python -m benchmarks.ratios [--patients N] [--few N] [--data FOLDER] [--write]

Makes an invented hospital of N patients and one of a few (see cohorts.py), kept in `--data` for the next time. Each ratio is of
two commands that run one after the other on this machine. `--write` writes the section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import against_cql, charts, cohorts, pages
from benchmarks.measure import ROOT, Cost, cost, python, size

TITLE = "A whole hospital, as ratios"
PROTOCOL = "relma-cel-ssc"


class Ratio(NamedTuple):
    """One line of the table: what is held against what, both figures in words, the ratio and what it should be."""

    what: str
    ours: str
    other: str
    ratio: float
    bar: str


def cohort(data: Path, patients: int) -> Path:
    """The folder of a cohort, made if it is not there."""
    folder = data / f"hospital-{patients}"
    if not folder.exists():
        cohorts.make(cohorts.Plan(str(folder), patients))
    return folder


def run(folder: Path, out: Path, *more: str) -> Cost:
    """One cohort run with the first protocol. The folder `out` is made anew."""
    shutil.rmtree(out, ignore_errors=True)
    command = ["-m", "fhir_elig", "cohort", "run", "--protocol", PROTOCOL, "--data", str(folder), "--out", str(out)]
    return cost(python(*command, "--as-of", charts.AS_OF.isoformat(), "--complete", "all", *more))


def measure(data: Path, work: Path, many: int, few: int) -> list[Ratio]:
    big, small = cohort(data, many), cohort(data, few)
    scan = cost(python("-m", "benchmarks.duckdb_scan", str(big)))
    one, two = run(big, work / "one", "--jobs", "1"), run(big, work / "two", "--jobs", "2")
    little = run(small, work / "little", "--jobs", "1")
    cql = against_cql.compare(small, work)
    path = cost(python("-m", "benchmarks.against_fhirpath", str(work / "bundles.ndjson")))
    same = (work / "one" / "assessments.ndjson").read_bytes() == (work / "two" / "assessments.ndjson").read_bytes()
    differing = f"{cql.different} of {cql.compared} verdicts differ"
    results = "results equal" if same else "results DIFFER"
    return [
        Ratio(f"CPU, {many} patients: us against DuckDB's read_json", _cpu(one), _cpu(scan), one.cpu / scan.cpu, "at most 2"),
        Ratio("peak memory of a process: us against 150 MB", f"{one.peak:.0f} MB", "150 MB", one.peak / 150, "at most 1"),
        Ratio(f"CPU a patient: {many} against {few} patients", *_each(one.cpu / many, little.cpu / few), "at most 1.1"),
        Ratio(f"wall time: one process against two; {results}", _wall(one), _wall(two), one.wall / two.wall, "at least 1.7"),
        Ratio(f"CPU, three criteria: cql-execution against us; {differing}", *_against(cql.ours, cql.theirs), "at least 25"),
        Ratio("CPU: fhirpathpy, which only finds the values, against us", *_against(cql.ours, path), ""),
    ]


def _against(ours: Cost, theirs: Cost) -> tuple[str, str, float]:
    return _cpu(ours), _cpu(theirs), theirs.cpu / ours.cpu


def _wall(spent: Cost) -> str:
    return f"{spent.wall:.1f} s"


def _cpu(spent: Cost) -> str:
    return f"{spent.cpu:.1f} s"


def _each(many: float, few: float) -> tuple[str, str, float]:
    return f"{1000 * many:.2f} ms", f"{1000 * few:.2f} ms", many / few


def section(found: Sequence[Ratio], big: Path, many: int, few: int, command: str, load: float) -> str:
    rows = ["| what | fhir_elig | the other | ratio | bar |", "|---|---|---|---|---|"]
    rows += [f"| {one.what} | {one.ours} | {one.other} | {one.ratio:.2f} | {one.bar} |" for one in found]
    told = {"machine": pages.machine("msgspec", "duckdb", "pyarrow", "fhirpathpy"), "day": pages.today(), "load": load}
    return PREAMBLE.format(**told, many=many, few=few, size=size(big), command=command) + "\n\n" + "\n".join(rows)


PREAMBLE = """\
- Machine: {machine}. Measured on {day}; load average before the run: {load:.1f}.
- Data: invented hospitals of {many} and {few} patients made by `benchmarks/cohorts.py`; the larger has {size:.0f} MB.
- Protocol: `relma-cel-ssc` with all its criteria and evidence; for cql-execution the three criteria of `benchmarks/cql`.
- Command: `{command}`

CPU time is of a whole command with all its processes, from its start to the last file written. DuckDB reads the same files and
the columns that screening reads, counts them and keeps nothing. A bar is what the project means to reach, not what it reached."""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ratios", description="measure a whole hospital, as ratios")
    parser.add_argument("--patients", type=int, default=20_000)
    parser.add_argument("--few", type=int, default=1000)
    parser.add_argument("--data", type=Path, default=ROOT / ".bench")
    parser.add_argument("--write", action="store_true", help="write the section of docs/benchmarks.md")
    options = parser.parse_args(arguments)
    load = pages.load()
    options.data.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.data) as work:
        found = measure(options.data, Path(work), options.patients, options.few)
    command = f"python -m benchmarks.ratios --patients {options.patients} --few {options.few} --write"
    text = section(found, cohort(options.data, options.patients), options.patients, options.few, command, load)
    print(text)  # noqa: T201
    if options.write:
        pages.write_section(TITLE, text)


if __name__ == "__main__":
    main(sys.argv[1:])
