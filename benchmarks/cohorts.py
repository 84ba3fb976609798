"""An invented hospital, made from a seed: NDJSON as a bulk export writes it, a file or more for each resource type.

    python -m benchmarks.cohorts OUT [--patients N] [--shape hospital|slim] [--seed N] [--jobs N] [--gzip]

Patients differ in size as those of a hospital do: many have a handful of results, a few have hundreds (log-normal). The
resources of a patient lie in the files of their types, among those of a thousand others and in no order. About four in ten
results have a code that the first protocol reads. In the shape `slim` a patient has seven resources without displays.
"""

from __future__ import annotations

import argparse
import gzip
import math
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path

import msgspec

from benchmarks import charts

PART = 1000  # patients whose resources are written together
# type: the middle of the number of resources a patient has, and its spread (standard deviation of the logarithm)
HOSPITAL = {
    "Observation": (22.0, 1.0), "Condition": (4.0, 0.7), "MedicationRequest": (4.0, 0.8), "Encounter": (5.0, 0.8),
    "Procedure": (2.0, 0.8),
}  # fmt: skip
MOST = 400
SLIM = {"Observation": 5, "Condition": 1, "Patient": 1}


class Plan(msgspec.Struct, frozen=True):
    """What is to be made. Patients are numbered from 0; `seed` moves the whole cohort to other draws."""

    folder: str
    patients: int
    shape: str = "hospital"
    seed: int = 1
    gzip: bool = False


def counts(draw: random.Random, shape: str) -> Mapping[str, int]:
    """How many resources of each type a patient has."""
    if shape == "slim":
        return SLIM
    drawn = {kind: min(MOST, round(draw.lognormvariate(math.log(middle), spread))) for kind, (middle, spread) in HOSPITAL.items()}
    return {**drawn, "Patient": 1}


def patient(plan: Plan, number: int) -> Iterator[tuple[str, bytes]]:
    """The resources of one patient: type and line."""
    own = plan.seed * 10_000_000 + number
    draw = random.Random(own)  # noqa: S311  not for secrets
    chart = charts.chart(own, counts(draw, plan.shape))
    born = charts.AS_OF - timedelta(days=draw.randint(10 * 365, 85 * 365))
    for resource in charts.without_extras(chart) if plan.shape == "slim" else chart:
        if resource["resourceType"] == "Patient":
            resource["birthDate"] = born.isoformat()
        yield resource["resourceType"], msgspec.json.encode(resource)


def write_part(plan: Plan, part: int) -> int:
    """Write the files of a thousand patients. Returns the number of resources."""
    draw = random.Random(plan.seed * 1_000_003 + part)  # noqa: S311
    lines: dict[str, list[bytes]] = defaultdict(list)
    for number in range(part * PART, min(plan.patients, (part + 1) * PART)):
        for kind, line in patient(plan, number):
            lines[kind].append(line)
    for kind, found in lines.items():
        draw.shuffle(found)
        data = b"\n".join(found) + b"\n"
        name = Path(plan.folder) / f"{kind}.{part:04}.ndjson{'.gz' if plan.gzip else ''}"
        name.write_bytes(gzip.compress(data, 6, mtime=0) if plan.gzip else data)
    return sum(map(len, lines.values()))


def make(plan: Plan, jobs: int = 2) -> int:
    """Write the whole cohort. Returns the number of resources."""
    Path(plan.folder).mkdir(parents=True)
    parts = range(math.ceil(plan.patients / PART))
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        return sum(pool.map(write_part, [plan] * len(parts), parts))


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cohorts", description="make an invented hospital")
    parser.add_argument("out")
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--shape", choices=("hospital", "slim"), default="hospital")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--gzip", action="store_true")
    options = parser.parse_args(arguments)
    plan = Plan(options.out, options.patients, options.shape, options.seed, options.gzip)
    print(f"{make(plan, options.jobs)} resources of {plan.patients} patients in {plan.folder}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
