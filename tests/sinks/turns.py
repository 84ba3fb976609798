"""Several writers and a person at one store, one request at a time, in an order that a test draws."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fhir_elig.sources.channel import Channel
from fhir_elig.sources.replies import Reply, Trouble
from fhir_elig.sources.transport import Transport
from tests.sinks.stores import Memory

Step = Callable[[], None]


class Turns:
    """Lets one of several threads go on, each to its next request and no further. `order` picks among those that are not through;
    where it ends the first of them goes on."""

    def __init__(self, order: Sequence[int]) -> None:
        self._order = list(order)
        self._arrived = threading.Semaphore(0)

    def run(self, works: Sequence[Callable[[Step], Any]]) -> list[Any]:
        """What each work gave. A work calls its step before each thing that others can see."""
        go = [threading.Semaphore(0) for _ in works]
        results: list[Any] = [None] * len(works)
        waiting = list(range(len(works)))

        def live(number: int) -> None:
            def step() -> None:
                self._arrived.release()
                go[number].acquire()

            try:
                results[number] = works[number](step)
            except Exception as error:  # handed to the test, which looks at it as at any other result
                results[number] = error
            finally:
                waiting.remove(number)
                self._arrived.release()

        threads = [threading.Thread(target=live, args=(number,), daemon=True) for number in range(len(works))]
        for thread in threads:
            thread.start()
            self._arrived.acquire()  # it stands before its first request, or is through
        while waiting:
            pick = self._order.pop(0) if self._order else 0
            go[waiting[pick % len(waiting)]].release()
            self._arrived.acquire()
        for thread in threads:
            thread.join()
        return results


class InMemory(Channel):
    """A transport's channel that leads to a store in memory, after a step of its turn."""

    def __init__(self, memory: Memory, step: Step, who: str) -> None:
        self._memory, self._step, self._who = memory, step, who

    def send(
        self, method: str, address: str, body: str | bytes | None, headers: Mapping[str, str], deadline: float
    ) -> Reply | Trouble:
        self._step()
        self._memory.author = self._who
        path = address.split("/fhir/", 1)[1]
        text = body.decode() if isinstance(body, bytes) else body or ""
        status, said, content = self._memory.answer(method, path, text, {name.lower(): value for name, value in headers.items()})
        data = content.encode() if isinstance(content, str) else content
        return Reply(status, {name.lower(): value for name, value in said.items()}, data)


class InTurn(Channel):
    """A transport's own channel, after a step of its turn."""

    def __init__(self, real: Channel, step: Step) -> None:
        self._real, self._step = real, step

    def send(
        self, method: str, address: str, body: str | bytes | None, headers: Mapping[str, str], deadline: float
    ) -> Reply | Trouble:
        self._step()
        return self._real.send(method, address, body, headers, deadline)


def in_turn(transport: Transport, step: Step) -> Transport:
    transport._channel = InTurn(transport._channel, step)
    return transport
