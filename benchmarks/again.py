"""A hospital screened again: over the facts that a run kept, and after a day on which few charts changed.

    python -m benchmarks.again [--patients N] [--data FOLDER] [--write]

Makes an invented hospital (see cohorts.py), kept in `--data` for the next time. `--write` writes the section of
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks import charts, pages, ratios
from benchmarks.measure import ROOT, Cost, cost, python, size

TITLE = "A hospital screened again"
RESULTS = ("assessments.ndjson", "matrix.parquet", "errors.ndjson", "quarantine.ndjson")
ONE_IN = 100  # patients have a new result


class Line(NamedTuple):
    """One command: what it did, what it cost, whether its results are those of a run over all charts."""

    what: str
    spent: Cost
    equal: str


def later(folder: Path, out: Path) -> Path:
    """The same hospital a day later: one patient in a hundred has one more hemoglobin."""
    shutil.copytree(folder, out)
    for path in sorted(out.glob("Patient.*.ndjson")):
        patients = [msgspec.json.decode(line)["id"] for line in path.read_bytes().splitlines()][::ONE_IN]
        lines = b"".join(msgspec.json.encode(_result(patient)) + b"\n" for patient in patients)
        (out / path.name.replace("Patient", "Observation.later")).write_bytes(lines)
    return out


def _result(patient: str) -> dict[str, object]:
    return {
        "resourceType": "Observation", "id": f"later-{patient}", "status": "final",
        "subject": {"reference": f"Patient/{patient}"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}, "effectiveDateTime": charts.AS_OF.isoformat(),
        "valueQuantity": {"value": 101, "unit": "g/L", "system": "http://unitsofmeasure.org", "code": "g/L"},
    }  # fmt: skip


def measure(folder: Path, work: Path) -> tuple[list[Line], float]:
    """The commands, and the size of the facts as a part of that of the charts."""
    first, again = work / "first", work / "again"
    lines = [Line("`cohort run` over the charts", ratios.run(folder, first), "")]
    lines.append(Line("`cohort facts`", cost(python("-m", "fhir_elig", "cohort", "facts", str(first))), ""))
    facts = first / "facts"
    lines.append(Line("`cohort run` over the facts", ratios.run(facts, again), _equal(again, first)))
    data = later(folder, work / "later")
    whole = Line("`cohort run` over all charts of the next day", ratios.run(data, work / "full"), "")
    short = ratios.run(data, again, "--after", str(first))
    lines += [whole, Line("`cohort run --after` the first, one chart in a hundred changed", short, _equal(again, work / "full"))]
    return lines, (facts / "facts.parquet").stat().st_size / 1e6 / size(folder)


def _equal(one: Path, other: Path) -> str:
    same = all((one / name).read_bytes() == (other / name).read_bytes() for name in RESULTS)
    return "equal" if same else "DIFFERENT"


def section(lines: Sequence[Line], part: float, folder: Path, patients: int, command: str, load: float) -> str:
    rows = ["| command | CPU a patient | CPU against the first | peak memory | results |", "|---|---|---|---|---|"]
    for line in lines:
        each, ratio = 1000 * line.spent.cpu / patients, line.spent.cpu / lines[0].spent.cpu
        rows.append(f"| {line.what} | {each:.2f} ms | {ratio:.2f} | {line.spent.peak:.0f} MB | {line.equal} |")
    told = {"machine": pages.machine("msgspec", "pyarrow"), "day": pages.today(), "load": load, "patients": patients}
    text = PREAMBLE.format(**told, size=size(folder), command=command, part=1000 * part)
    return text + "\n\n" + "\n".join(rows)


PREAMBLE = """\
- Machine: {machine}. Measured on {day}; load average before the run: {load:.1f}.
- Data: an invented hospital of {patients} patients made by `benchmarks/cohorts.py`, {size:.0f} MB of NDJSON.
  The facts are {part:.1f} thousandths of that.
- Protocol: `relma-cel-ssc` with all its criteria and evidence, one process.
- Command: `{command}`

CPU time is of a whole command, loading the protocol and the mappings included. Equal means
byte by byte: assessments, matrix, errors and quarantine."""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.again", description="measure what a second screening costs")
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--data", type=Path, default=ROOT / ".bench")
    parser.add_argument("--write", action="store_true", help="write the section of docs/benchmarks.md")
    options = parser.parse_args(arguments)
    load = pages.load()
    options.data.mkdir(exist_ok=True)
    folder = ratios.cohort(options.data, options.patients)
    with tempfile.TemporaryDirectory(dir=options.data) as work:
        lines, part = measure(folder, Path(work))
    command = f"python -m benchmarks.again --patients {options.patients} --write"
    text = section(lines, part, folder, options.patients, command, load)
    print(text)  # noqa: T201
    if options.write:
        pages.write_section(TITLE, text)


if __name__ == "__main__":
    main(sys.argv[1:])
