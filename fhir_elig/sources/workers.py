"""Several patients at once from one server: threads that fetch ahead of whoever reads the charts, in the order of the asking."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from types import TracebackType

from fhir_elig.sources import Chart

Fetch = Callable[[str], Chart]

_AHEAD = 2  # patients a worker: while one chart is waited for, the workers go on with the next


class Workers:
    """One thread for each way to fetch; with a single one no thread, and nothing is fetched before it is asked for.

    At most `ahead` patients may be started and not yet taken, which bounds the charts in memory. The threads are daemons: what
    is left early (an error, Ctrl-C) waits for no answer that is still to come.

        with Workers([source.fetch for source in sources]) as workers:
            take = workers.start("p1")
            chart = take()
    """

    def __init__(self, fetchers: Sequence[Fetch]) -> None:
        self._fetchers = fetchers
        self._tasks: SimpleQueue[tuple[str, Future[Chart]] | None] = SimpleQueue()
        self.threads: list[threading.Thread] = []
        self.ahead = _AHEAD * len(fetchers) if len(fetchers) > 1 else 1

    def __enter__(self) -> Workers:
        if len(self._fetchers) > 1:
            self.threads = [threading.Thread(target=self._work, args=(fetch,), daemon=True) for fetch in self._fetchers]
        for thread in self.threads:
            thread.start()
        return self

    def start(self, patient: str) -> Callable[[], Chart]:
        """Begins with a patient. The chart is had by calling what is given, which raises what the fetching raised."""
        if not self.threads:
            return partial(self._fetchers[0], patient)
        future: Future[Chart] = Future()
        self._tasks.put((patient, future))
        return future.result

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        while not self._tasks.empty():
            self._tasks.get()
        for _ in self.threads:
            self._tasks.put(None)
        if error is None:
            for thread in self.threads:
                thread.join()

    def _work(self, fetch: Fetch) -> None:
        while (task := self._tasks.get()) is not None:
            patient, future = task
            try:
                future.set_result(fetch(patient))
            except BaseException as error:
                future.set_exception(error)
            del task, future  # a thread that waits for work holds no chart
