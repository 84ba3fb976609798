"""One cohort on Spark and by the local engine: what each costs on this machine, and whether the rows are the same.

    python -m benchmarks.on_spark [--patients N] [--data FOLDER] [--write]

Spark is pysail, a Spark Connect server without a JVM, and classic PySpark wherever Java and a folder `.tools/spark-VERSION`
(made by `make classic`) are there. `--write` writes the section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import charts, pages
from benchmarks.measure import ROOT, Cost, cost, python, size
from benchmarks.ratios import PROTOCOL, cohort, run
from fhir_elig.cohort.folder import RunFolder
from fhir_elig.cohort.settings import RunOptions

TITLE = "Spark against the local engine"


class Line(NamedTuple):
    """What ran, what it cost, and whether its rows are those of the first line."""

    what: str
    spent: Cost
    rows: str


def measure(data: Path, work: Path) -> Iterator[Line]:
    from tests.cohort.hospitals import differing

    def rows(name: str) -> str:
        names = differing(work / name, work / "1")
        return f"DIFFER: {', '.join(names)}" if names else "equal"

    yield Line("local, `--jobs 1`", run(data, work / "1", "--jobs", "1"), "")
    yield Line("local, `--jobs 2`", run(data, work / "2", "--jobs", "2"), rows("2"))
    for name, command in _sessions():
        yield Line(name, cost([*command, str(data), str(work / name)]), rows(name))


def _sessions() -> Iterator[tuple[str, list[str]]]:
    """Name and command, but for the data and the folder of the results."""
    from importlib.metadata import version

    yield f"pysail {version('pysail')}", python("-m", "benchmarks.on_spark", "--session", "pysail")
    for folder in sorted((ROOT / ".tools").glob("spark-*")) if shutil.which("java") else ():
        there = ["env", f"PYTHONPATH={folder}", f"PYSPARK_PYTHON={sys.executable}"]
        name = f"classic PySpark {folder.name.removeprefix('spark-')}"
        yield name, [*there, *python("-m", "benchmarks.on_spark", "--session", "classic")]


def on_session(kind: str, data: Path, out: Path) -> None:
    """The run of one session, its start and its end included."""
    options = RunOptions(protocols=(PROTOCOL,), data=f"file://{data}", as_of=charts.AS_OF.isoformat(), complete="all")
    {"pysail": _on_pysail, "classic": _on_classic}[kind](options, out)


def _on_pysail(options: RunOptions, out: Path) -> None:
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    session = SparkSession.builder.remote(f"sc://127.0.0.1:{server.listening_address[1]}").create()
    with tempfile.TemporaryDirectory(dir=out.parent) as work:  # pysail does not keep what it is told to persist
        _write(session, options, out, work)
    session.stop()
    server.stop()


def _on_classic(options: RunOptions, out: Path) -> None:
    from benchmarks.spark_classic import start

    session = start()
    java = session.sparkContext._gateway.proc
    _write(session, options, out, "")
    session.stop()
    java.stdin.close()
    java.wait()  # so that its CPU time counts


def _write(session: Any, options: RunOptions, out: Path, work: str) -> None:
    from fhir_elig.cohort.spark import screen
    from fhir_elig.cohort.spark.output import write_folder

    folder = RunFolder(out)
    folder.create()
    write_folder(screen(session, options, work), folder)


def section(lines: Sequence[Line], data: Path, patients: int, command: str, load: float) -> str:
    first = lines[0].spent
    rows = ["| engine | wall | CPU | CPU against local | rows |", "|---|---|---|---|---|"]
    for what, spent, same in lines:
        rows.append(f"| {what} | {spent.wall:.1f} s | {spent.cpu:.1f} s | {spent.cpu / first.cpu:.2f} | {same} |")
    told = {"machine": pages.machine("msgspec", "pyarrow", "pandas"), "day": pages.today(), "load": load}
    return PREAMBLE.format(**told, patients=patients, size=size(data), command=command) + "\n\n" + "\n".join(rows)


PREAMBLE = """\
- Machine: {machine}. Measured on {day}; load average before the run: {load:.1f}.
- Data: an invented hospital of {patients} patients made by `benchmarks/cohorts.py`, {size:.0f} MB of NDJSON.
- Protocol: `relma-cel-ssc` with all its criteria and evidence.
- Command: `{command}`

Whole processes, from their start to the last file written, the start of the Spark session (and of its JVM) included; each
session has both cores. Rows are those of assessments, matrix, errors and quarantine, held against the first line. On one
machine Spark only costs; what it is for is data that do not lie on one."""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.on_spark", description="hold Spark against the local engine")
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--data", type=Path, default=ROOT / ".bench")
    parser.add_argument("--write", action="store_true", help="write the section of docs/benchmarks.md")
    parser.add_argument("--session", choices=("pysail", "classic"), help="only run this one: INPUT OUT")
    parser.add_argument("places", type=Path, nargs="*")
    options = parser.parse_args(arguments)
    if options.session:
        on_session(options.session, *options.places)
        return
    load = pages.load()
    options.data.mkdir(exist_ok=True)
    data = cohort(options.data, options.patients).absolute()
    with tempfile.TemporaryDirectory(dir=options.data.absolute()) as work:
        lines = list(measure(data, Path(work)))
    text = section(lines, data, options.patients, f"python -m benchmarks.on_spark --patients {options.patients} --write", load)
    print(text)  # noqa: T201
    if options.write:
        pages.write_section(TITLE, text)


if __name__ == "__main__":
    main(sys.argv[1:])
