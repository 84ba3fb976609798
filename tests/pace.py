"""Bounds on effort that hold on any machine: in loops of a fixed piece of work, measured in the same process."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction


def loop() -> Fraction:
    """The piece of work: about 10 ms of CPU time on the machine that the bounds were written on."""
    return sum((Fraction(n, 7) * Fraction(3, n + 1) for n in range(1, 1_200)), Fraction(0)).limit_denominator(10**6)


def spent(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def at_most(loops: int, work: Callable[[], object]) -> None:
    """The work costs at most that many loops; of three tries the best counts, so that a pause of the machine is no failure."""
    best = min(spent(work) for _ in range(3))
    assert best <= loops * max(spent(loop) for _ in range(3)), f"{best:.3f} s of CPU time"
