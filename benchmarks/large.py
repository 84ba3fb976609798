"""Cohorts of any size through one run: time, peak memory of a process, the most that lay on the disk.

    python -m benchmarks.large SHAPE:PATIENTS... [--jobs N] [--data FOLDER] [--write]

Shapes are those of cohorts.py: `hospital`, and `slim` with seven resources a patient. Each cohort is made, screened and removed.
`--write` puts its line into the section of docs/benchmarks.md; lines of other cohorts stay.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import charts, cohorts, pages
from benchmarks.measure import ROOT, Cost, cost, python, size

TITLE = "Large cohorts"
OFTEN = 2.0  # seconds between two looks at the disk


class Run(NamedTuple):
    """What one run took; sizes in MB, `disk` the most that lay in the run's folder at a time."""

    shape: str
    patients: int
    jobs: int
    resources: int
    input: float
    results: float
    disk: float
    cost: Cost

    def line(self) -> str:
        """Its line of the table."""
        wall, cpu, peak = self.cost
        cells = [
            f"{self.patients:,} {self.shape}", f"{self.resources:,}", f"{self.jobs}", f"{wall:,.0f} s", f"{cpu:,.0f} s",
            f"{1000 * cpu / self.patients:.2f} ms", f"{peak:.0f} MB", f"{self.input:,.0f} MB", f"{self.results:,.0f} MB",
            f"{self.disk:,.0f} MB",
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"


class Disk(threading.Thread):
    """Looks at a folder while a run fills it; `most` is the largest size that was seen, in MB."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder, self._over, self.most = folder, threading.Event(), 0.0

    def run(self) -> None:
        while not self._over.wait(OFTEN):
            try:
                self.most = max(self.most, size(self._folder))
            except OSError:  # a file went while it was looked at
                continue

    def end(self) -> float:
        self._over.set()
        self.join()
        return max(self.most, size(self._folder))


def measure(shape: str, patients: int, jobs: int, work: Path) -> Run:
    """Make the cohort, screen it with the first protocol, remove both."""
    data, out = work / "data", work / "run"
    resources = cohorts.make(cohorts.Plan(str(data), patients, shape), jobs=1)
    disk = Disk(out)
    disk.start()
    command = ["-m", "fhir_elig", "cohort", "run", "--protocol", "relma-cel-ssc", "--data", str(data), "--out", str(out)]
    spent = cost(python(*command, "--as-of", charts.AS_OF.isoformat(), "--complete", "all", "--jobs", str(jobs)))
    found = Run(shape, patients, jobs, resources, size(data), size(out), disk.end(), spent)
    shutil.rmtree(data)
    shutil.rmtree(out)
    return found


HEAD = (
    "| patients | resources | processes | wall | CPU | CPU a patient | peak memory | input | results | disk |",
    "|---|---|---|---|---|---|---|---|---|---|",
)
PREAMBLE = """\
- Machine: {machine}. Measured on {day}, beside other work: the wall times compare with nothing.
- Data: invented cohorts made by `benchmarks/cohorts.py`; `slim` is seven resources a patient (five Observations, a Condition,
  the Patient) without displays, `hospital` what a hospital holds (log-normal, about sixty a patient).
- Protocol: `relma-cel-ssc` with all its criteria and evidence.
- Command: `python -m benchmarks.large SHAPE:PATIENTS --write`

CPU time is of all processes together, from the start of the command to the last file written; peak memory is that of the largest
process; `disk` is the most that lay in the folder of the run at a time, the input not counted.

A run of 1,000,000 slim patients (7,000,000 resources, 6,241 MB), with one process, lost its machine after some 700,000 of them.
`cohort resume` assessed the others and wrote the files: 1,000,000 assessed, none failed, 14,610 MB of assessments and 72 MB of
matrix. It took 1,589 s of CPU and 150 MB, nearly all of it in the process that writes the matrix. That process has since written
fewer and larger row groups, and holds 116 MB at 40,000 patients as at 100,000."""


def section(found: Sequence[Run]) -> str:
    """The section, with the lines of cohorts that were measured before and not now."""
    new = {run.line().split(" | ")[0]: run.line() for run in found}
    old = pages.PAGE.read_text(encoding="utf-8").partition(f"\n## {TITLE}\n")[2].partition("\n## ")[0].splitlines()
    lines = {line.split(" | ")[0]: line for line in old if line.startswith("| ") and line not in HEAD} | new
    rows = sorted(lines.values(), key=lambda line: (line.split()[2], int(line.split()[1].replace(",", ""))))
    return "\n".join((PREAMBLE.format(machine=pages.machine("msgspec", "pyarrow"), day=pages.today()), "", *HEAD, *rows))


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description="screen large cohorts")
    parser.add_argument("cohorts", nargs="+", metavar="SHAPE:PATIENTS")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--data", type=Path, default=ROOT / ".bench")
    parser.add_argument("--write", action="store_true", help="write the section of docs/benchmarks.md")
    options = parser.parse_args(arguments)
    options.data.mkdir(exist_ok=True)
    for one in options.cohorts:
        shape, _, patients = one.partition(":")
        with tempfile.TemporaryDirectory(dir=options.data) as work:
            found = measure(shape, int(patients), options.jobs, Path(work))
        print(found.line())  # noqa: T201
        if options.write:
            pages.write_section(TITLE, section([found]))


if __name__ == "__main__":
    main(sys.argv[1:])
