"""What a command costs: seconds of wall and CPU time, peak memory; of it and of all that it started and waited for.

The package's modules are compiled before the first command, as an installation has them, and compiled files may be written.
"""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Cost(NamedTuple):
    """Seconds of wall time, seconds of CPU time, peak memory of the largest process in MB."""

    wall: float
    cpu: float
    peak: float


def cost(command: Sequence[str], out: Path | None = None) -> Cost:
    """Run a command; its stdout goes to `out`. Raises CalledProcessError with the end of its stderr."""
    environment = _installed()
    with (out or Path(os.devnull)).open("wb") as stdout:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, cwd=ROOT, env=environment)  # noqa: S603  our own commands
        said = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said[-2000:])
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


@lru_cache(maxsize=1)
def _installed() -> dict[str, str]:
    """The environment of commands, after all modules were compiled that they may import from this folder."""
    for package in ("fhir_elig", "benchmarks"):
        compileall.compile_dir(ROOT / package, quiet=1)
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def python(*arguments: str) -> list[str]:
    """The command of this interpreter with the arguments."""
    return [sys.executable, *arguments]


def size(folder: Path) -> float:
    """Of all files of a folder, in MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
