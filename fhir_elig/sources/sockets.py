"""Sockets that keep a total deadline: the time left is set anew before every read, so that dripping bytes cannot outlast it.

A timeout of requests or urllib3 bounds one read of a socket, not the answer. Here each read of status line, headers and body
asks how much of the total is left.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_INTERIM = 10  # answers before the true one

Left = Callable[[], float]


class TimedReader(io.RawIOBase):
    """A raw reader over a socket; `left` gives the seconds that remain. Raises TimeoutError when there are none."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, left: Left) -> None:
        self._raw = raw
        self._socket = sock
        self._left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        seconds = self._left()
        if seconds <= 0:
            raise TimeoutError("the deadline is used up")
        self._socket.settimeout(seconds)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class DeadlineAdapter(HTTPAdapter):
    """The transport adapter of requests, without retries, whose connections read through `TimedReader`."""

    def __init__(self, left: Left) -> None:
        self._pools = _pools(left)
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(left: Left) -> dict[str, type[HTTPConnectionPool]]:
    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
            super().__init__(sock, *args, **options)
            self.fp: Any = io.BufferedReader(TimedReader(self.fp.detach(), sock, left))

        def begin(self) -> None:
            """Reads the head of the answer; interim answers before it (RFC 9110, 15.2) are skipped, where http.client
            skips 100 only and would leave the true answer in the connection, to be taken for that of the next request."""
            super().begin()
            for _ in range(_INTERIM):
                if not 101 < self.status < 200:
                    return
                self.headers = self.msg = None  # type: ignore[assignment]
                super().begin()
            raise http.client.HTTPException("interim answers without end")

    class Plain(HTTPConnection):
        response_class = Response

    class Secure(HTTPSConnection):
        response_class = Response

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
