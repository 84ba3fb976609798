"""A thousand patients from a real FHIR server, with one connection and with several, held against the same charts from files.

    python -m benchmarks.live [--patients N] [--few N] [--workers N] [--write]

Makes an invented cohort (see cohorts.py, shape `slim`), loads it into the FHIR server sekmet on this machine, and screens it
there. Every verdict must be that of the files. `--write` writes the section of
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import charts, cohorts, pages
from benchmarks.measure import Cost, cost, python
from tests.sources import sekmet

TITLE = "A live server"
PROTOCOL = "relma-cel-ssc"
Verdicts = dict[str, list[tuple[str, str, str]]]


class Line(NamedTuple):
    patients: int
    connections: int
    cost: Cost
    same: int
    other: int


def resources(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("*.ndjson")) for line in path.read_text().splitlines()]


def screened(work: Path, *source: str) -> tuple[Cost, Verdicts]:
    """What a screening cost, and the verdict and reason of every criterion, by patient."""
    out = work / "out.ndjson"
    command = ["-m", "fhir_elig", "screen", "--protocol", PROTOCOL, *source, "--as-of", charts.AS_OF.isoformat()]
    spent = cost(python(*command, "--complete", "all", "--format", "ndjson", "--out", str(out)))
    found = map(json.loads, out.read_text().splitlines())
    return spent, {one["patient"]: [verdict for part in one["criteria"] for verdict in verdicts(part)] for one in found}


def verdicts(criterion: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    yield criterion["id"], criterion["verdict"], criterion["reason"]
    for part in criterion.get("criteria", ()):
        yield from verdicts(part)


def measure(work: Path, many: int, few: int, workers: int) -> list[Line]:
    """The lines of the table: few patients with one connection and with all, and many with all."""
    folder = work / "cohort"
    cohorts.make(cohorts.Plan(str(folder), many, "slim"))
    rows = resources(folder)
    names = sorted(row["id"] for row in rows if row["resourceType"] == "Patient")
    _, expected = screened(work, "--data", str(folder))
    (work / "sekmet").mkdir()
    with sekmet.running(work / "sekmet") as base:
        sekmet.load(base, rows)
        del rows
        return [
            against(work, base, names[:number], connections, expected)
            for number, connections in ((few, 1), (few, workers), (many, workers))
        ]


def against(work: Path, base: str, names: Sequence[str], connections: int, expected: Verdicts) -> Line:
    (work / "ids").write_text("\n".join(names))
    site = work / "site.yaml"
    site.write_text(f'site: bench\nserver: {{base: "{base}", limits: {{connections: {connections}}}}}\n')
    spent, found = screened(work, "--server", base, "--patients", str(work / "ids"), "--site", str(site))
    pairs = [pair for name in names for pair in zip(found[f"Patient/{name}"], expected[f"Patient/{name}"], strict=True)]
    same = sum(one == two for one, two in pairs)
    return Line(len(names), connections, spent, same, len(pairs) - same)


def section(lines: Sequence[Line], load: float, command: str) -> str:
    rows = ["| patients | connections | wall | patients a second | CPU | peak memory | verdicts equal | other |"]
    rows.append("|---|---|---|---|---|---|---|---|")
    for line in lines:
        wall, cpu, peak = line.cost
        spent = f"{wall:.1f} s | {line.patients / wall:.1f} | {cpu:.1f} s | {peak:.0f} MB"
        rows.append(f"| {line.patients} | {line.connections} | {spent} | {line.same} | {line.other} |")
    told = {"machine": pages.machine("requests", "sekmet-fhir"), "day": pages.today(), "load": load, "command": command}
    return PREAMBLE.format(**told) + "\n\n" + "\n".join(rows)


PREAMBLE = """\
- Machine: {machine}. Measured on {day}; load average before the run: {load:.1f}.
- Data: invented patients of seven resources each (`benchmarks/cohorts.py`, shape `slim`), loaded into the FHIR server sekmet
  (SQLite) on the same machine; the same files are screened for comparison.
- Protocol: `relma-cel-ssc`; every type declared complete. Whole commands, from their start to the last byte written.
- Command: `{command}`

Server and client share the processors, and the server answers one request after the other: what more connections bring there
is little, and says nothing of a server with a longer way to it. CPU and memory are the client's. `other`
must be 0."""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description="screen many patients at a real server")
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--write", action="store_true", help="write the section of docs/benchmarks.md")
    options = parser.parse_args(arguments)
    load = pages.load()
    with tempfile.TemporaryDirectory() as work:
        lines = measure(Path(work), options.patients, options.few, options.workers)
    command = f"python -m benchmarks.live --patients {options.patients} --few {options.few} --workers {options.workers} --write"
    text = section(lines, load, command)
    print(text)  # noqa: T201
    if options.write:
        pages.write_section(TITLE, text)


if __name__ == "__main__":
    main(sys.argv[1:])
