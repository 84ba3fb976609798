"""Runs that are killed at random moments, resumed, and held byte for byte against a run that nothing disturbed.

    python -m benchmarks.kills [--kills N] [--patients N] [--seed N] [--write]

A third of the kills each goes to `cohort run`, to `cohort run --facts` and to `cohort facts` of a run that is done. Each attempt
is one command with its processes, ended by SIGKILL after a time drawn at random: the whole process group, or, one time in four,
the leading process alone. Half of the attempts work with two processes. A run that is through in spite of it is compared with the
undisturbed one, file by file, and the next begins. `--write` writes the section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks import charts, cohorts, pages
from benchmarks.measure import ROOT

TITLE = "Runs that are killed"
# Pieces and shards of a few patients, so that a small cohort has as many steps as a large one.
_SMALL = """
import sys
from fhir_elig.cohort import pieces
pieces.SMALLEST_STRETCH = pieces.SHARD_BYTES = 200_000
from fhir_elig.cli import run
if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
"""
COMMANDS = ("cohort run", "cohort run --facts", "cohort facts")
STEPS = ("before the manifest", "reading", "counting", "assessing", "writing", "after the end")


def step_of(out: Path) -> str:
    """How far a run has come, by what it left."""
    if not (out / "manifest.json").exists() or not (out / "checkpoint.sqlite").exists():
        return STEPS[0]
    with contextlib.closing(sqlite3.connect(out / "checkpoint.sqlite")) as store, contextlib.suppress(sqlite3.Error):
        if store.execute("SELECT count(*) FROM pieces WHERE spills IS NULL").fetchone()[0]:
            return STEPS[1]
        if store.execute("SELECT count(*) FROM shards WHERE patients IS NULL").fetchone()[0]:
            return STEPS[2]
        total, done = store.execute("SELECT count(*), total(done) FROM shards").fetchone()
        if total and done < total:
            return STEPS[3]
        return STEPS[4] if total and (out / "work").exists() else STEPS[5] if total else STEPS[1]
    return STEPS[1]


class Runs:
    """Runs over one cohort, by one of COMMANDS; `whole` are the files of one that nothing disturbed."""

    def __init__(self, command: str, data: Path, work: Path, seed: int) -> None:
        self.command, self.data, self.work = command, data, work
        self.draw = random.Random(seed)  # noqa: S311  not for secrets
        self.kills: Counter[str] = Counter()
        self.finished = 0
        self.differing: list[str] = []
        work.mkdir()
        if self.apart:
            self._process(work / "charts", 1).wait()
        began = time.monotonic()
        self._start(work / "whole")
        self._process(work / "whole", 1).wait()
        self.seconds = time.monotonic() - began
        self.whole = self._files(work / "whole")

    @property
    def apart(self) -> bool:
        """Whether facts are kept of a run that is done."""
        return self.command == "cohort facts"

    def until(self, kills: int) -> None:
        """Run after run, until so many attempts were killed; the last run is brought to its end."""
        while self.kills.total() < kills:
            out = self.work / "run"
            self._start(out)
            while self.kills.total() < kills and not self._killed(out):
                pass
            if self._process(out, 1).wait():
                raise SystemExit(f"the run could not be resumed: {out}")
            self._compare(out)
            shutil.rmtree(out)

    def _start(self, out: Path) -> None:
        if self.apart:
            shutil.copytree(self.work / "charts", out)

    def _killed(self, out: Path) -> bool:
        """One attempt. Whether it came to its end before it was killed."""
        process = self._process(out, self.draw.choice((1, 2)))
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(self.draw.uniform(0.05, 1.3) * self.seconds) == 0
        if self.draw.random() < 0.25:
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.kills[step_of(out / "facts" if self.apart else out)] += 1
        return False

    def _process(self, out: Path, jobs: int) -> subprocess.Popen[bytes]:
        words = ["facts" if self.apart else "resume", str(out)]
        if not (out / "manifest.json").exists():
            day = charts.AS_OF.isoformat()
            words = ["run", "--protocol", "relma-cel-ssc", "--data", str(self.data), "--out", str(out), "--as-of", day]
            words += ["--complete", "all", *(["--facts"] if self.command.endswith("--facts") else [])]
        command = [sys.executable, "-c", _SMALL, "cohort", *words, "--jobs", str(jobs)]
        return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True)  # noqa: S603

    @staticmethod
    def _files(out: Path) -> dict[str, bytes]:
        """All files of a run; of a checkpoint, which keeps how the run went, only that it is there."""
        return {
            str(path.relative_to(out)): b"" if path.name.startswith("checkpoint") else path.read_bytes()
            for path in sorted(out.rglob("*"))
            if path.is_file()
        }

    def _compare(self, out: Path) -> None:
        self.finished += 1
        found = self._files(out)
        names = sorted(found.keys() | self.whole.keys())
        differing = [name for name in names if found.get(name) != self.whole.get(name)]
        self.differing += [f"{self.command}, run {self.finished}: {name}" for name in differing]


PREAMBLE = """\
- Machine: {machine}. Measured on {day}.
- Data: an invented hospital of {patients} patients made by `benchmarks/cohorts.py`, in pieces and shards of at most 200 kB.
- Command: `{command}`

{kills} attempts were ended by SIGKILL, in {runs} runs. Every run was resumed until it came to its end, and its files were
compared byte for byte with those of a run that nothing disturbed: {found}."""


def section(found: Sequence[Runs], patients: int, command: str) -> str:
    differing = [name for runs in found for name in runs.differing]
    said = ", ".join(differing) or "all files of all runs are equal, and none is missing or left over"
    told = {"machine": pages.machine("msgspec", "pyarrow"), "day": pages.today(), "patients": patients, "command": command}
    kills, finished = sum(runs.kills.total() for runs in found), sum(runs.finished for runs in found)
    text = PREAMBLE.format(**told, kills=kills, runs=finished, found=said)
    rows = [
        f"| killed while it was | {' | '.join(f'`{runs.command}`' for runs in found)} |",
        "|---" * (len(found) + 1) + "|",
        *(f"| {step} | {' | '.join(str(runs.kills[step]) for runs in found)} |" for step in STEPS),
    ]
    return text + "\n\n" + "\n".join(rows)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description="kill runs at random moments")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write the section of docs/benchmarks.md")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as work:
        data = Path(work) / "data"
        cohorts.make(cohorts.Plan(str(data), options.patients, seed=options.seed), jobs=1)
        found = [Runs(name, data, Path(work) / name, options.seed) for name in COMMANDS]
        for runs in found:
            runs.until(-(-options.kills // len(found)))
    command = f"python -m benchmarks.kills --kills {options.kills} --patients {options.patients} --seed {options.seed} --write"
    text = section(found, options.patients, command)
    print(text)  # noqa: T201
    if options.write:
        pages.write_section(TITLE, text)
    return 1 if any(runs.differing for runs in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
