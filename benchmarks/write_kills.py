"""Writers that are killed at random requests, each finished by a second run: what is lost, doubled or left open.

    python -m benchmarks.write_kills [--kills N] [--patients N] [--seed N]

Each attempt is the real command against a store on loopback, which ends it by SIGKILL at a request drawn at random, looks
included; half of the requests are still carried out. Exit code 1 if anything was lost, doubled or left open.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fhir_elig.cli import run
from tests.sinks.killing import killing


def attempt(draw: random.Random, patients: int) -> tuple[bool, list[str]]:
    """Whether the command was killed, and what the run after it left wrong."""
    with tempfile.TemporaryDirectory() as folder, killing(Path(folder), patients) as one:
        killed = one.killed(draw.randint(1, 6 + 14 * patients), applied=draw.random() < 0.5, looks=True)
        status = run(one.command())
        return killed, [*([f"exit code {status}"] if status else []), *one.faults()]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.write_kills", description="kill writers at random requests")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--patients", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    draw = random.Random(options.seed)  # noqa: S311  not for secrets
    killed, wrong = 0, []
    while killed < options.kills:
        done, faults = attempt(draw, options.patients)
        killed += done
        wrong += [f"after kill {killed}: {fault}" for fault in faults]
    print("\n".join([f"{killed} writers killed, {len(wrong)} faults", *wrong]), file=sys.stderr)  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
