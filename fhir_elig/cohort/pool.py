"""The processes of a run: each gets one piece of work at a time through a pipe, and ends when the pipe does.

So no process outlives a run that was killed by more than the piece it is at. Ctrl-C reaches the leading process only.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from fhir_elig.cli.pipeline import Screening
from fhir_elig.cohort.answers import answer, attempt
from fhir_elig.cohort.settings import RunOptions
from fhir_elig.cohort.worker import Worker


class Pool:
    """`jobs` processes, or this one if that is 1. `each` gives results as they come, in any order."""

    def __init__(self, jobs: int, options: RunOptions, work: Path, shards: int, grounds: tuple[Screening, ...]) -> None:
        self._own = Worker(options, work, shards, grounds) if jobs == 1 else None
        self._others: dict[Connection, BaseProcess] = {}
        context = multiprocessing.get_context("spawn")
        for _ in range(jobs if jobs > 1 else 0):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, options, work, shards), daemon=True)
            process.start()
            there.close()
            self._others[here] = process

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for connection, process in self._others.items():
            connection.close()
            process.terminate()
            process.join()

    def tell(self, method: str, *arguments: Any) -> None:
        """Every process does this; nothing comes back."""
        if self._own is not None:
            getattr(self._own, method)(*arguments)
        for connection in self._others:
            connection.send((method, arguments))
        for connection in self._others:
            answer(connection)

    def each(self, method: str, tasks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """The results of a method of the Worker for each task. Raises what went wrong in a process as FhirEligError."""
        if self._own is not None:
            for arguments in tasks:
                yield getattr(self._own, method)(*arguments)
            return
        waiting = iter(tasks)
        busy: set[Connection] = set()
        for connection in self._others:
            self._next(connection, method, waiting, busy)
        while busy:
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                busy.discard(ready)
                result = answer(ready)
                self._next(ready, method, waiting, busy)
                yield result

    @staticmethod
    def _next(connection: Connection, method: str, waiting: Iterator[tuple[Any, ...]], busy: set[Connection]) -> None:
        arguments = next(waiting, None)
        if arguments is not None:
            connection.send((method, arguments))
            busy.add(connection)


def _serve(connection: Connection, options: RunOptions, work: Path, shards: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker = Worker(options, work, shards)
    with contextlib.suppress(EOFError, ConnectionError):  # the leading process is gone
        while True:
            method, arguments = connection.recv()
            connection.send(attempt(method, getattr(worker, method), *arguments))
