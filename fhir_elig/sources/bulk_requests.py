"""Requests of one bulk export: repeated while a fault is of the moment, slowed down as the server asks, ended at a deadline."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from fhir_elig.errors import DeadlineError, FhirEligError, SourceError
from fhir_elig.sources.access import Access
from fhir_elig.sources.addresses import Base
from fhir_elig.sources.bulk_download import Download
from fhir_elig.sources.channel import Channel
from fhir_elig.sources.replies import Limits, Reply, Trouble, judge, seconds_to_wait

FHIR = "application/fhir+json"
FIRST_WAIT = 1.0  # seconds
_RENEWALS = 2
_OF_THE_MOMENT = frozenset({408, 429, 500, 502, 503, 504})

Clock = Callable[[], float]


class Expired(SourceError):
    """An export or a file of it is not there any more, or the link to it no longer holds."""

    default_code = "FE0415"


class Sender:
    """Sends for one export, until `timeout` seconds from now."""

    def __init__(
        self,
        access: Access,
        base: Base,
        timeout: float,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        wall: Clock = time.time,
    ) -> None:
        self._credentials, self._tries = access.credentials, access.limits.tries
        self._clock, self._sleep, self._wall = clock, sleep, wall
        self._channel = Channel(str(base), clock, access.limits, access.connection)
        self._deadline = clock() + timeout

    def send(self, method: str, address: str, headers: Mapping[str, str], body: str | None = None, tries: int = 0) -> Reply:
        """The answer, whatever its status. Raises SourceError, DeadlineError."""
        sent = {"Accept": FHIR, "Accept-Encoding": "gzip", **headers}
        reply = self._until(
            lambda token: self._channel.send(method, address, body, {**sent, **token}, self._deadline), tries=tries
        )
        assert reply is not None
        return reply

    def fetch(self, address: str, path: Path, *, with_token: bool) -> Reply | None:
        """A file onto the disk; None, or the answer that is no file. Raises SourceError, DeadlineError."""
        download = Download(self._channel, address, path)
        return self._until(lambda headers: download.attempt(headers, self._deadline), with_token=with_token)

    def _until(
        self, attempt: Callable[[dict[str, str]], Reply | Trouble | None], *, with_token: bool = True, tries: int = 0
    ) -> Reply | None:
        """Attempts until there is an answer that is not of the moment (busy, 5xx, a lost connection, a token that ran out).

        A server that says how long to wait is asked again until the deadline, and not only `tries` times.
        """
        most, done, renewals = tries or self._tries, 0, 0
        while True:
            token = self._credentials.token(self._deadline) if with_token else None
            headers = {"User-Agent": "fhir-elig", **({"Authorization": f"Bearer {token}"} if token else {})}
            result = attempt(headers)
            if result is None:
                return None
            wait = 0.0
            if isinstance(result, Reply):
                if result.status == 401 and token and renewals < _RENEWALS:
                    renewals += 1
                    if self._credentials.renew(token, self._deadline):
                        continue
                wait = self.told(result)
                done += not (wait and result.status in (429, 503) and not tries)
                if result.status not in _OF_THE_MOMENT or done >= most:
                    return result
            else:
                done += 1
                if done >= min(most, result.tries):
                    raise result.error
            self.wait(wait or random.uniform(0, FIRST_WAIT * 2**done))  # noqa: S311 - spreads waits, keeps no secret

    def told(self, reply: Reply) -> float:
        """Seconds for which the server asks to wait, 0 if it does not."""
        return seconds_to_wait(reply, self._wall())

    def wait(self, seconds: float) -> None:
        """Raises DeadlineError if that would pass it."""
        if self._clock() + seconds >= self._deadline:
            fix = "repeat the same command, which goes on with this export; or raise --export-timeout"
            raise DeadlineError("the export is not done in time", fix=fix)
        self._sleep(seconds)

    def error(self, reply: Reply) -> FhirEligError:
        """The error for an answer that is not what was asked for."""
        if reply.status == 200:
            return SourceError("the server answered at once, not with an export", code="FE0412", fix="does it offer Bulk Data?")
        found = judge(reply, "", Limits(), self._wall())
        assert isinstance(found, Trouble)
        return found.error


def is_of(base: Base, address: str) -> bool:
    """Whether an address has the scheme, host and port of a server, names no user, and hides nothing."""
    if re.search(r"[\x00-\x20\x7f-\U0010ffff\\]", address):
        return False
    try:
        parts = urlsplit(address)
        return "@" not in parts.netloc and base.is_origin_of(parts)
    except ValueError:
        return False
