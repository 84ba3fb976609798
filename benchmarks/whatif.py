"""What-if over a large matrix: the whole command, from its start to the table on stdout.

    python -m benchmarks.whatif [--rows N] [--patients N] [--write]

A cohort of 1,000 patients is screened once, and its matrix repeated with other patients' names until it has so many rows, and
once more until it has so many patients. `--write` writes the section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import charts, cohorts, pages
from benchmarks.measure import ROOT, Cost, cost, python

TITLE = "What if"
BASE = 1000  # patients that are screened
GROUP = 16_384  # rows of a row group, about as many as a run writes
CHANGES = {"drop a criterion": ("--drop", "hemoglobin"), "move a limit": ("--limit", "hemoglobin=80 g/L")}
_TIMES = 3


class Asked(NamedTuple):
    """One question to a matrix of so many rows; the cost is that of the fastest of three commands."""

    rows: int
    patients: int
    change: str
    cost: Cost


def base_run(work: Path) -> Path:
    """The folder of a run over the cohort that is repeated."""
    cohorts.make(cohorts.Plan(str(work / "data"), BASE), jobs=1)
    command = ["-m", "fhir_elig", "cohort", "run", "--protocol", "relma-cel-ssc", "--data", str(work / "data")]
    cost(python(*command, "--out", str(work / "base"), "--as-of", charts.AS_OF.isoformat(), "--complete", "all"))
    return work / "base"


def repeated(run: Path, folder: Path, times: int) -> int:
    """Write a run's folder with its matrix so many times over. Returns the number of rows."""
    import pyarrow
    import pyarrow.parquet

    folder.mkdir()
    table = pyarrow.parquet.read_table(run / "matrix.parquet")
    place = table.schema.get_field_index("patient")
    names = [name.removeprefix("Patient/") for name in table["patient"].to_pylist()]
    with pyarrow.parquet.ParquetWriter(folder / "matrix.parquet", table.schema, compression="zstd") as writer:
        for copy in range(times):
            other = pyarrow.array([f"Patient/{copy:05}-{name}" for name in names])
            writer.write_table(table.set_column(place, table.schema.field(place), other), GROUP)
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    manifest["counts"] = {**manifest["counts"], "patients": BASE * times, "assessed": BASE * times}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return len(names) * times


def ask(folder: Path, rows: int, patients: int) -> list[Asked]:
    """Each change as a command of its own."""
    found = []
    for name, options in CHANGES.items():
        spent = [cost(python("-m", "fhir_elig", "cohort", "what-if", str(folder), *options)) for _ in range(_TIMES)]
        found.append(Asked(rows, patients, name, min(spent)))
    return found


def measure(work: Path, rows: int, patients: int) -> list[Asked]:
    run = base_run(work)
    each = repeated(run, work / "one", 1)
    found = []
    for name, times in (("rows", math.ceil(rows / each)), ("patients", math.ceil(patients / BASE))):
        total = repeated(run, work / name, times)
        found += ask(work / name, total, BASE * times)
    return found


PREAMBLE = """\
- Machine: {machine}. Measured on {day}; load average before the run: {load:.1f}.
- Data: the matrix of an invented hospital of 1,000 patients (`relma-cel-ssc`), repeated under other names.
- Command: `{command}`

Time of a whole command, the start of Python and the reading of the mappings included; the fastest of three."""


def section(found: Sequence[Asked], command: str, load: float) -> str:
    rows = ["| rows of the matrix | patients | change | wall | CPU | peak memory |", "|---|---|---|---|---|---|"]
    for rows_, patients, change, (wall, cpu, peak) in found:
        rows.append(f"| {rows_:,} | {patients:,} | {change} | {wall:.1f} s | {cpu:.1f} s | {peak:.0f} MB |")
    told = {"machine": pages.machine("duckdb", "pyarrow"), "day": pages.today(), "load": load, "command": command}
    return PREAMBLE.format(**told) + "\n\n" + "\n".join(rows)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.whatif", description="measure what-if over a large matrix")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--patients", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true", help="write the section of docs/benchmarks.md")
    options = parser.parse_args(arguments)
    load = pages.load()
    (ROOT / ".bench").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".bench") as work:
        found = measure(Path(work), options.rows, options.patients)
    command = f"python -m benchmarks.whatif --rows {options.rows} --patients {options.patients} --write"
    text = section(found, command, load)
    print(text)  # noqa: T201
    if options.write:
        pages.write_section(TITLE, text)


if __name__ == "__main__":
    main(sys.argv[1:])
