"""How far a run is, on stderr: share, rate and time left. Counts and times only, nothing of a patient."""

from __future__ import annotations

import sys
import time

_OFTEN, _SELDOM = 0.5, 60.0  # seconds between two lines, on a terminal and in a log


class Progress:
    """One step of a run; `advance` after each piece of it. Without a terminal a line is written once a minute.

    `before` was done by an earlier process: it counts for the share, not for the rate.
    """

    def __init__(self, step: str, whole: int, unit: str, before: int = 0) -> None:
        self._step, self._whole, self._unit, self._before = step, max(whole, 1), unit, before
        self._done = 0
        self._began = self._told = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def advance(self, by: int) -> None:
        self._done += by
        now = time.monotonic()
        if now - self._told >= (_OFTEN if self._terminal else _SELDOM):
            self._told = now
            self._tell(now - self._began)

    def finish(self) -> None:
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _tell(self, seconds: float) -> None:
        text = line(self._step, self._done, self._whole, self._unit, seconds, self._before)
        sys.stderr.write(f"\r{text}\x1b[K" if self._terminal else f"{text}\n")
        sys.stderr.flush()


def line(step: str, done: int, whole: int, unit: str, seconds: float, before: int = 0) -> str:
    """What is told after so many seconds, of what was done in them and of what had been done before.

    >>> line("reading", 50_000_000, 200_000_000, "MB", 2.0)
    'reading 25 %, 25.0 MB/s, 6 s left'
    >>> line("assessing", 100, 1000, "patients", 1.0, before=700)
    'assessing 80 %, 100.0 patients/s, 2 s left'
    """
    amount = done / 1e6 if unit == "MB" else done
    rate = amount / seconds if seconds > 0 else 0.0
    left = f", {_span(seconds * (whole - before - done) / done)} left" if done else ""
    return f"{step} {min(100, 100 * (before + done) // whole)} %, {rate:.1f} {unit}/s{left}"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
