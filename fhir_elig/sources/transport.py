"""The one way to a FHIR server: addresses checked, answers judged, what failed tried again, waits within a deadline.

Waits between tries have full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015). A token that is refused is
renewed, twice at most for a request. Errors and logs hold types, statuses, sizes and codes only: an address may name a patient.
"""

from __future__ import annotations

import copy
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import urlencode

from fhir_elig.errors import AuthorisationError, DeadlineError, SourceError
from fhir_elig.sources.addresses import parse_base
from fhir_elig.sources.channel import Channel, Connection
from fhir_elig.sources.credentials import Bearer, Credentials, safe_to_send
from fhir_elig.sources.replies import Limits, Page, Reply, Trouble, judge, seconds_to_wait

_LOG = logging.getLogger("fhir_elig")
_FIRST_WAIT = 0.5  # seconds; doubles with each try
_RENEWALS = 2  # of a token that is refused again and again: a proxy may strip it


class UnansweredError(SourceError):
    """Something was sent to be written and no whole answer came: whether it was done is not known."""

    default_code = "FE0502"


Clock = Callable[[], float]
Sleep = Callable[[float], None]
Params = Sequence[tuple[str, str]]


class Pause:
    """Until when a server asked to be left alone, on the monotonic clock; transports of one server share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.until = float("-inf")

    def extend(self, until: float) -> None:
        """Nothing is sent before that moment; a pause is never cut short."""
        with self._lock:
            self.until = max(self.until, until)


class Transport:
    """Sends reads and searches to one server and gives pages. One per thread; several share a `Pause`.

    `timeout` is the total seconds of one deadline; `credentials` may renew their token, a `token` is as it is. Raises
    UsageError for a base that cannot be used, and for a token that would travel over plain http to another machine unless
    `allow_http` is set.
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
        credentials: Credentials | None = None,
        connection: Connection | None = None,
        aliases: Iterable[str] = (),
    ) -> None:
        self.base = parse_base(base, aliases)
        self.limits = limits or Limits()
        self.clock, self.sleep = clock, sleep
        self._timeout, self._wall = timeout, wall
        self._rng = rng or random.Random()  # noqa: S311 - spreads waits, keeps no secret
        self._pause = pause or Pause()
        self._warned = False
        self._headers = {"Accept": "application/fhir+json", "Accept-Encoding": "gzip", "User-Agent": "fhir-elig"}
        self.credentials = credentials or Bearer(token)
        if self.credentials.secret:
            safe_to_send(self.base, allow_http)
        self._connection = connection
        self._channel = Channel(str(self.base), clock, self.limits, connection)

    def sibling(self) -> Transport:
        """Another transport to the same server, for another thread: pause and credentials are shared, the connection is not."""
        twin = copy.copy(self)
        twin._channel = Channel(str(self.base), self.clock, self.limits, self._connection)
        return twin

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

    def write(self, method: str, url: str, body: bytes, conditions: Mapping[str, str], deadline: float) -> Reply:
        """Sends a resource (JSON) by PUT or POST, once: the answer, whatever its status.

        Nothing is sent twice, but for a token that was refused (401: nothing was done) and is renewed once. `conditions` are
        headers. Raises LinkError, AuthorisationError and DeadlineError when nothing was sent; UnansweredError when it was sent
        and no whole answer came, so that only a look at the server can tell.
        """
        address = self.base.inside(url, f"{self.base}/")
        headers = {**self._headers, "Content-Type": "application/fhir+json", **conditions}
        reply, token = self._sent(method, address, body, headers, deadline)
        if reply.status == 401 and token and self.credentials.renew(token, deadline):
            reply, _ = self._sent(method, address, body, headers, deadline)
        return reply

    def _sent(self, method: str, address: str, body: bytes, headers: dict[str, str], deadline: float) -> tuple[Reply, str | None]:
        """One request that writes; its answer and the token that it bore."""
        self._wait_for_pause(deadline)
        token = self.credentials.token(deadline)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        result = self._channel.send(method, address, body, headers, deadline)
        if isinstance(result, Trouble):
            _LOG.debug("%s: %s", method, result.error.code)
            raise UnansweredError(str(result.error), fix="run again: it looks first, and then finishes")
        _LOG.debug("%s: status %d, %d bytes", method, result.status, len(result.body))
        wait = seconds_to_wait(result, self._wall())
        if wait:
            self._pause.extend(self.clock() + wait)
        return result, token

    def _exchange(self, method: str, address: str, body: str | None, deadline: float, page: str, strict: bool) -> Page:
        headers = dict(self._headers)
        if strict:
            headers["Prefer"] = "handling=strict"
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        tries = renewals = 0
        while True:
            self._wait_for_pause(deadline)
            token = self.credentials.token(deadline)
            if token:
                headers["Authorization"] = f"Bearer {token}"
            outcome = self._attempt(method, address, body, headers, page, deadline)
            if isinstance(outcome, Page):
                return outcome
            if isinstance(outcome.error, AuthorisationError) and token and renewals < _RENEWALS:
                renewals += 1
                if self.credentials.renew(token, deadline):
                    continue
            tries += 1
            if outcome.wait:
                self._pause.extend(self.clock() + outcome.wait)
            if tries >= outcome.tries:
                raise outcome.error
            self._wait(self._rng.uniform(0, _FIRST_WAIT * 2 ** (tries - 1)), deadline)

    def _wait_for_pause(self, deadline: float) -> None:
        """Waits until the pause is over, also if another worker's answer prolonged it in the meantime."""
        until = float("nan")
        while until != self._pause.until:
            until = self._pause.until
            self._wait(until - self.clock(), deadline)

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
        result = self._channel.send(method, address, body, headers, deadline)
        seconds = self.clock() - started
        if isinstance(result, Reply):
            _LOG.debug("%s: status %d, %d bytes, %.3f s", method, result.status, len(result.body), seconds)
            outcome = judge(result, page, self.limits, self._wall())
            if isinstance(outcome, Page) and outcome.odd_type and not self._warned:
                self._warned = True
                _LOG.warning("the server labels its FHIR JSON with another content type")
            return outcome
        _LOG.debug("%s: %s, %.3f s", method, result.error.code, seconds)
        if deadline <= self.clock():
            raise DeadlineError("the answer did not arrive in time", fix="raise --timeout, or try again later")
        return result
