"""The one way to a FHIR server: addresses checked, nothing redirected, answers bounded and judged, waits within a deadline.

Own retry and redirect handling of requests is off. Waits between tries have full jitter ("Exponential Backoff And Jitter",
AWS Architecture Blog, 2015). Errors and logs hold types, statuses, sizes and codes only: an address may name a patient.
"""

from __future__ import annotations

import http.client
import logging
import os
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

import requests
import urllib3

from fhir_elig.errors import DeadlineError, SourceError, UsageError
from fhir_elig.sources.addresses import parse_base
from fhir_elig.sources.bodies import Garbled, TooLarge, decode
from fhir_elig.sources.replies import Limits, Page, Reply, Trouble, judge
from fhir_elig.sources.sockets import DeadlineAdapter

_LOG = logging.getLogger("fhir_elig")
_TOKEN = re.compile(r"[!-~]+")
_FIRST_WAIT = 0.5  # seconds; doubles with each try
_BLOCK = 1 << 16

Clock = Callable[[], float]
Sleep = Callable[[float], None]
Params = Sequence[tuple[str, str]]


class Pause:
    """Until when a server asked to be left alone, on the monotonic clock; transports of one server share one."""

    def __init__(self) -> None:
        self.until = float("-inf")


class Transport:
    """Sends reads and searches to one server and gives pages. One per thread; several share a `Pause`.

    `timeout` is the total seconds of one deadline. Raises UsageError for a base that cannot be used, and for a token that
    would travel over plain http to another machine unless `allow_http` is set.
    """

    def __init__(
        self,
        base: str,
        token: str | None = None,
        timeout: float = 60.0,
        *,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
        rng: random.Random | None = None,
        wall: Clock = time.time,
        limits: Limits | None = None,
        pause: Pause | None = None,
        allow_http: bool = False,
    ) -> None:
        self.base = parse_base(base)
        self.limits = limits or Limits()
        self.clock, self.sleep = clock, sleep
        self._timeout, self._wall = timeout, wall
        self._rng = rng or random.Random()  # noqa: S311 - spreads waits, keeps no secret
        self._pause = pause or Pause()
        self._deadline = float("inf")
        self._warned = False
        self._headers = {"Accept": "application/fhir+json", "Accept-Encoding": "gzip", "User-Agent": "fhir-elig"}
        if token:
            self._headers["Authorization"] = (
                f"Bearer {_checked(token, self.base.scheme == 'https' or self.base.loopback or allow_http)}"
            )
        self._session, self._proxies, self._verify = _session(str(self.base), self._left)

    def deadline(self) -> float:
        """The moment, on the monotonic clock, at which one patient's time is used up if it starts now."""
        return self.clock() + self._timeout

    def get(self, url: str, deadline: float, page: str = "", *, strict: bool = False) -> Page:
        """Reads an address: relative to the base, or a link that stands on `page`.

        Raises LinkError (nothing was sent), AuthorisationError, DeadlineError, StatusError and other SourceErrors.
        """
        address = self.base.inside(url, page or f"{self.base}/")
        return self._exchange("GET", address, None, deadline, address, strict)

    def post_search(self, resource_type: str, params: Params, deadline: float, *, strict: bool = False) -> Page:
        """Searches by `POST [type]/_search`, parameters in the body only. Relative links of the answer stand on `[type]`."""
        page = self.base.inside(resource_type, f"{self.base}/")
        return self._exchange("POST", f"{page}/_search", urlencode(params), deadline, page, strict)

    def _exchange(self, method: str, address: str, body: str | None, deadline: float, page: str, strict: bool) -> Page:
        headers = dict(self._headers)
        if strict:
            headers["Prefer"] = "handling=strict"
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        tries = 0
        while True:
            self._wait(self._pause.until - self.clock(), deadline)
            outcome = self._attempt(method, address, body, headers, page, deadline)
            if isinstance(outcome, Page):
                return outcome
            tries += 1
            if outcome.wait:
                self._pause.until = max(self._pause.until, self.clock() + outcome.wait)
            if tries >= outcome.tries:
                raise outcome.error
            self._wait(self._rng.uniform(0, _FIRST_WAIT * 2 ** (tries - 1)), deadline)

    def _wait(self, seconds: float, deadline: float) -> None:
        left = deadline - self.clock()
        if left <= 0 or seconds >= left:
            asked = (
                f"a pause of {seconds:.0f} s is needed and {max(left, 0):.0f} s are left" if seconds > 0 else "no time is left"
            )
            raise DeadlineError(asked, fix="raise --timeout, or try again later")
        if seconds > 0:
            self.sleep(seconds)

    def _attempt(
        self, method: str, address: str, body: str | None, headers: dict[str, str], page: str, deadline: float
    ) -> Page | Trouble:
        started = self.clock()
        self._deadline = deadline
        result = self._send(method, address, body, headers)
        seconds = self.clock() - started
        if isinstance(result, Reply):
            _LOG.debug("%s: status %d, %d bytes, %.3f s", method, result.status, len(result.body), seconds)
            outcome = judge(result, page, self.limits, self._wall())
            if isinstance(outcome, Page) and outcome.odd_type and not self._warned:
                self._warned = True
                _LOG.warning("the server labels its FHIR JSON with another content type")
            return outcome
        _LOG.debug("%s: %s, %.3f s", method, result.error.code, seconds)
        if self._left() <= 0:
            raise DeadlineError("the answer did not arrive in time", fix="raise --timeout, or try again later")
        return result

    def _send(self, method: str, address: str, body: str | None, headers: dict[str, str]) -> Reply | Trouble:
        left = self._left()
        try:
            with _QUIET:
                prepared = requests.Request(method, address, headers=headers, data=body).prepare()
                prepared.url = address  # as it was checked, and a cursor as it was given
                with self._session.send(
                    prepared, stream=True, allow_redirects=False, timeout=(left, left), proxies=self._proxies, verify=self._verify
                ) as response:
                    return _read(response, self.limits.page_bytes)
        except requests.exceptions.SSLError:
            return _lost("the server's certificate cannot be verified", 1, "name the CA bundle in REQUESTS_CA_BUNDLE")
        except TooLarge as error:
            return Trouble(error.with_traceback(None), 1)
        except Garbled as error:
            return Trouble(error.with_traceback(None), 2)
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError):
            return _lost(
                "no connection, or it was lost before the whole answer came", self.limits.tries, "check address and network"
            )

    def _left(self) -> float:
        return self._deadline - self.clock()


def _read(response: requests.Response, limit: int) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    chunks = response.raw.stream(_BLOCK, decode_content=False)
    return Reply(response.status_code, headers, decode(chunks, headers.get("content-encoding", ""), limit))


def _lost(why: str, tries: int, fix: str) -> Trouble:
    return Trouble(SourceError(why, code="FE0401", fix=fix), tries)


def _checked(token: str, safe: bool) -> str:
    if not _TOKEN.fullmatch(token):
        raise UsageError("the token holds white space or control characters", where="FHIR_ELIG_TOKEN", fix="give the token alone")
    if not safe:
        raise UsageError("a token would travel unencrypted", where="--server", fix="name the server by its https address")
    return token


def _session(base: str, left: Clock) -> tuple[requests.Session, dict[str, str], bool | str]:
    """A session that takes proxies and CA bundle from the environment, and never a netrc entry in place of the token."""
    session = requests.Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, DeadlineAdapter(left))
    proxies = dict(requests.utils.get_environ_proxies(base))
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return session, proxies, bundle or True


class _Quiet(logging.Filter):
    """Keeps urllib3's own log lines, which name whole addresses, out of the log while this transport sends."""

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
