"""How long one patient takes, from the bytes of a Bundle to the assessment, in a process that is warm.

    python -m benchmarks.one_patient [--charts N] [--seed N] [--write]

Each chart is read and assessed once, and is never seen again, so that nothing is at hand but what any patient would find.
`--write` writes docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import count, islice

from benchmarks import charts, pages
from fhir_elig import adapters, places
from fhir_elig.assessment import assess
from fhir_elig.cli.pipeline import known_codes
from fhir_elig.concepts import load_concepts
from fhir_elig.criteria.context import Run
from fhir_elig.protocol import Protocol, load_protocol
from fhir_elig.record import Record
from fhir_elig.sources import Chart
from fhir_elig.sources.files import read_bytes
from fhir_elig.sources.skip import Skip
from fhir_elig.times import parse_when
from fhir_elig.verdict import Assessment

STAGES = ("parse", "adapters", "assess", "release", "total")
WARM_UP = 50  # charts that are not counted
Clock = Callable[[], float]
Times = dict[str, list[float]]


class Bench:
    """The protocol and the settings, loaded once, as a service or a run over many patients has them."""

    def __init__(self) -> None:
        concepts = load_concepts(places.mapping_root())
        self.protocol: Protocol = load_protocol(places.mapping_root() / "protocols" / "relma-cel-ssc.yaml", concepts)
        as_of = parse_when(charts.AS_OF.isoformat())
        assert as_of is not None
        self.run = Run(as_of=as_of)
        matters = known_codes(concepts)
        self.memory = adapters.Memory(adapters.Settings(matters=matters))
        self.slim = Skip(matters)

    def parse(self, data: bytes) -> Chart:
        (chart,) = read_bytes(data, complete="all", slim=self.slim)
        return chart

    def read(self, chart: Chart) -> Record:
        return adapters.read(
            chart.resources,
            patient=chart.patient,
            memory=self.memory,
            retrieved=chart.retrieved,
            refused=chart.refused,
            base=chart.base,
            identity=chart.identity,
            errors=chart.errors,
        )

    def assess(self, record: Record) -> Assessment:
        return assess(self.protocol, record, self.run)


def measure(bench: Bench, seeds: Iterable[int], sparse: bool, clock: Clock) -> tuple[Times, int]:
    """Seconds of each stage, one figure a chart, and the mean size of a chart in bytes. Each is made when its turn has come."""
    times: Times = {stage: [] for stage in STAGES}
    size = 0
    for number, seed in enumerate(seeds):
        data = charts.bundle(seed, sparse=sparse)
        size += len(data)
        marks = [clock()]
        chart = bench.parse(data)
        marks.append(clock())
        record = bench.read(chart)
        marks.append(clock())
        assessment = bench.assess(record)
        marks.append(clock())
        del chart, record, assessment
        marks.append(clock())
        if number >= WARM_UP:
            spans = [later - earlier for earlier, later in zip(marks, marks[1:], strict=False)]
            for stage, seconds in zip(STAGES, [*spans, marks[-1] - marks[0]], strict=True):
                times[stage].append(seconds)
    return times, size // (number + 1)


def quantile(seconds: Sequence[float], share: float) -> float:
    """In milliseconds: the smallest figure that at least this share of all reach or stay below."""
    ranked = sorted(seconds)
    return 1000 * ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def table(wall: Times, cpu: Times) -> str:
    rows = ["| stage | p50 | p99 | fastest | p50, CPU | p99, CPU |", "|---|---|---|---|---|---|"]
    for stage in STAGES:
        figures = [quantile(wall[stage], 0.5), quantile(wall[stage], 0.99), quantile(wall[stage], 0.0)]
        figures += [quantile(cpu[stage], 0.5), quantile(cpu[stage], 0.99)]
        rows.append(f"| {stage} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |")
    return "\n".join(rows)


def section(tables: Sequence[tuple[str, str]], load: float, command: str, runs: int) -> str:
    counts = ", ".join(f"{number} {kind}" for kind, number in charts.COUNTS.items())
    told = {"machine": pages.machine("msgspec", "pydantic"), "day": pages.today(), "load": load, "command": command}
    parts = [PREAMBLE.format(**told, counts=counts, runs=runs).rstrip()]
    for title, text in tables:
        parts.append(f"### {title}\n\n{text}")
    return "\n\n".join(parts) + "\n"


TITLE = "One patient, from bytes to assessment"
PREAMBLE = """\
- Machine: {machine}. Measured on {day}; load average before the run: {load:.1f}.
- Data: invented charts of 250 resources ({counts}), made by `benchmarks/charts.py` from a seed, as compact Bundles in memory.
  About four in ten Observations have a code that the mappings know.
- Protocol: `relma-cel-ssc`. All types are declared complete, so that nothing ends early.
- Warm: protocol and mappings are loaded, and fifty other charts were read before; {runs} measurements a table, each of a chart
  that was never seen before; nothing is kept from one patient to the next but what the package itself remembers (dates, codes,
  references as text, elements such as codes and ranges with what was read of them).
- Command: `{command}`

`parse` is from bytes to a chart of dicts whose JSON was checked strictly (of Observations that nobody asks for, their head),
`adapters` from there to the record, `assess` from there to the assessment with its evidence; `release` is the end of all their
objects. Milliseconds of wall time, and of CPU time where it says so. p99 holds pauses of the garbage collector, and whatever
else ran on the machine; the fastest figure is free of both. Other work ran on the machine where the load average is not near
0: then only the fastest figures compare.

The goal is a total p50 below 2 ms and a p99 below 5 ms. It is reached where the rows `total` say so, and nowhere else.
"""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.one_patient", description="time one patient of 250 resources")
    parser.add_argument("--charts", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args(arguments)
    load = pages.load()
    bench = Bench()
    gc.collect()
    gc.freeze()  # what was loaded stays; the collector need not look at it for each patient
    tables = []
    for title, sparse in (("As servers send it", False), ("Sparse: no displays, identifiers, performers", True)):
        seeds = (count(options.seed + offset, 2) for offset in (0, 1))  # no chart is in both
        (wall, size), (cpu, _) = (
            measure(bench, islice(seed, WARM_UP + options.charts), sparse, clock)
            for seed, clock in zip(seeds, (time.perf_counter, time.process_time), strict=True)
        )
        tables.append((f"{title} ({size // 1000} kB a chart)", table(wall, cpu)))
        print(f"{tables[-1][0]}\n{tables[-1][1]}\n")  # noqa: T201
    if options.write:
        command = f"python -m benchmarks.one_patient --charts {options.charts} --seed {options.seed} --write"
        pages.write_section(TITLE, section(tables, load, command, options.charts))


if __name__ == "__main__":
    main(sys.argv[1:])
