"""One request to one server and its whole answer: nothing redirected, bytes bounded, a deadline kept, nothing retried.

Own retry and redirect handling of requests is off. Errors and logs hold types, statuses, sizes and codes only: an address
may name a patient.
"""

from __future__ import annotations

import http.client
import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec
import requests
import urllib3

from fhir_elig.errors import FhirEligError, SourceError, UsageError
from fhir_elig.sources.bodies import Garbled, TooLarge, decode
from fhir_elig.sources.replies import Limits, Reply, Trouble
from fhir_elig.sources.sockets import DeadlineAdapter

_BLOCK = 1 << 16

Clock = Callable[[], float]
Place = Callable[[Reply], BinaryIO | None]


class Connection(msgspec.Struct, frozen=True):
    """How a server is reached: files of CA certificates and of our own certificate with its key, and a proxy's address.

    What is not named comes from the environment (REQUESTS_CA_BUNDLE, the proxy variables).
    """

    ca: str = ""
    certificate: str = ""
    key: str = ""
    proxy: str = ""


class Channel:
    """Sends to one server, one request at a time. `base` names the server whose proxy settings count."""

    def __init__(self, base: str, clock: Clock, limits: Limits, connection: Connection | None = None) -> None:
        self._clock, self._limits = clock, limits
        self._deadline = float("inf")
        connection = connection or Connection()
        self._session = requests.Session()
        self._session.trust_env = False  # never a netrc entry in place of the token
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, DeadlineAdapter(self.left))
        proxy = connection.proxy
        self._proxies = {"http": proxy, "https": proxy} if proxy else dict(requests.utils.get_environ_proxies(base))
        bundle = connection.ca or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        self._verify: bool | str = bundle or True
        if connection.certificate:
            self._session.cert = (connection.certificate, connection.key or connection.certificate)
        for path in (connection.ca, connection.certificate, connection.key):
            if path and not Path(path).exists():
                raise UsageError("the file of a certificate is not there", code="FE0214", where=path, fix="check the path")

    def left(self) -> float:
        """Seconds until the deadline of the request that is under way."""
        return self._deadline - self._clock()

    def send(
        self, method: str, address: str, body: str | bytes | None, headers: Mapping[str, str], deadline: float
    ) -> Reply | Trouble:
        """The answer, whatever its status, or why there is none. The address was checked by the caller."""
        return self._exchange(method, address, body, headers, deadline, lambda one: _read(one, self._limits.page_bytes))

    def fetch(self, address: str, headers: Mapping[str, str], deadline: float, place: Place) -> Reply | Trouble:
        """Like `send`, of a file without bound: the bytes of an answer 200 or 206 go where `place` says, not into the reply.

        `place` is asked when the headers are there; where it gives None the answer is not used.
        """

        def receive(response: requests.Response) -> Reply:
            if response.status_code not in (200, 206):
                return _read(response, self._limits.page_bytes)
            reply = Reply(response.status_code, _headers(response), b"")
            stream = place(reply)
            if stream is None:
                raise Garbled("the server sent another part of the file than the one that was asked for")
            for chunk in response.raw.stream(_BLOCK, decode_content=True):
                _write(stream, chunk)
            return reply

        return self._exchange("GET", address, None, headers, deadline, receive)

    def _exchange(
        self,
        method: str,
        address: str,
        body: str | bytes | None,
        headers: Mapping[str, str],
        deadline: float,
        receive: Callable[[requests.Response], Reply],
    ) -> Reply | Trouble:
        self._deadline = deadline
        left = self.left()
        try:
            with _QUIET:
                prepared = requests.Request(method, address, headers=headers, data=body).prepare()
                prepared.url = address  # as it was checked, and a cursor as it was given
                with self._session.send(
                    prepared,
                    stream=True,
                    allow_redirects=False,
                    timeout=(left, left),
                    proxies=self._proxies,
                    verify=self._verify,
                    cert=self._session.cert,
                ) as response:
                    return receive(response)
        except requests.exceptions.SSLError:
            return _lost("the server's certificate cannot be verified", 1, "name the CA bundle in REQUESTS_CA_BUNDLE")
        except TooLarge as error:
            return Trouble(error.with_traceback(None), 1)
        except Garbled as error:
            return Trouble(error.with_traceback(None), 2)
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError):
            return _lost(
                "no connection, or it was lost before the whole answer came", self._limits.tries, "check address and network"
            )


def _read(response: requests.Response, limit: int) -> Reply:
    headers = _headers(response)
    chunks = response.raw.stream(_BLOCK, decode_content=False)
    return Reply(response.status_code, headers, decode(chunks, headers.get("content-encoding", ""), limit))


def _write(stream: BinaryIO, chunk: bytes) -> None:
    """Raises FhirEligError (FE0701) where the disk, and not the network, is at fault."""
    try:
        stream.write(chunk)
    except OSError as error:
        why = (error.strerror or "the file cannot be written").lower()
        raise FhirEligError(why, code="FE0701", where="export", fix="free space on the disk") from None


def _headers(response: requests.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _lost(why: str, tries: int, fix: str) -> Trouble:
    return Trouble(SourceError(why, code="FE0401", fix=fix), tries)


class _Quiet(logging.Filter):
    """Keeps urllib3's own log lines, which name whole addresses, out of the log while a channel sends."""

    def __init__(self) -> None:
        super().__init__()
        self._here = threading.local()
        for name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.response", "urllib3.util.retry"):
            logging.getLogger(name).addFilter(self)

    def __enter__(self) -> None:
        self._here.sending = True

    def __exit__(self, *_: object) -> None:
        self._here.sending = False

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(self._here, "sending", False)


_QUIET = _Quiet()
