"""A bulk export from a FHIR server into a folder (FHIR Bulk Data Access 2.0 to 4.0.0-ballot): NDJSON files and a manifest.

Kick-off, polling, download, and the server told that it may forget the export. The manifest that is written names the files as
they lie there, with the counts that the server stated, so that whoever reads the folder finds what did not come.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec

from fhir_elig.errors import DeadlineError, FhirEligError, SourceError
from fhir_elig.sources.access import Access
from fhir_elig.sources.addresses import Base, LinkError, parse_base
from fhir_elig.sources.bulk_download import Download
from fhir_elig.sources.bulk_status import File, Status, read_status
from fhir_elig.sources.channel import Channel
from fhir_elig.sources.credentials import safe_to_send
from fhir_elig.sources.replies import Limits, Reply, Trouble, judge, seconds_to_wait

MANIFEST = "manifest.json"
_FHIR = "application/fhir+json"
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0  # seconds between polls where the server does not say
_RENEWALS = 2
_PAGES = 1000  # of a manifest
_EXPIRED = frozenset({403, 404, 410})
_NOT_THIS_WAY = frozenset({400, 404, 405, 415, 501})

Talk = Callable[[str], None]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: the members of a group, else all patients; `types`; what changed `since` an instant."""

    types: tuple[str, ...]
    group: str = ""
    since: str = ""

    @property
    def levels(self) -> tuple[str, ...]:
        """Operations in the order in which they are tried."""
        return (f"Group/{self.group}/$export",) if self.group else ("Patient/$export", "$export")

    def pairs(self) -> list[tuple[str, str]]:
        return [("_type", ",".join(self.types)), *([("_since", self.since)] if self.since else [])]

    def parameters(self) -> dict[str, object]:
        """The same as a resource; since 4.0 each type is a parameter of its own, which earlier servers take too."""
        found: list[dict[str, str]] = [{"name": "_type", "valueString": kind} for kind in self.types]
        found += [{"name": "_since", "valueInstant": self.since}] if self.since else []
        return {"resourceType": "Parameters", "parameter": found}


class Expired(SourceError):
    """A file of the export is not there any more, or the link to it no longer holds."""

    default_code = "FE0415"


class BulkClient:
    """Exports of one server. `hosts` are further addresses from which its files may come; `timeout` is in seconds, for all."""

    def __init__(
        self,
        access: Access,
        *,
        timeout: float,
        hosts: Iterable[str] = (),
        talk: Talk = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._base = parse_base(access.base, access.aliases)
        self._hosts = tuple(parse_base(host) for host in hosts)
        self._credentials = access.credentials
        if self._credentials.secret:
            safe_to_send(self._base, allow_http=False)
        self._limits, self._talk = access.limits, talk
        self._clock, self._sleep, self._wall = clock, sleep, wall
        self._channel = Channel(str(self._base), clock, access.limits, access.connection)
        self._deadline = clock() + timeout

    def export(self, asked: Asked, folder: Path) -> Status:
        """Fetch an export into a folder that is empty; once more, if its files expire meanwhile. Raises SourceError.

        Files are `TYPE.NUMBER.ndjson`, deletions `deleted.NUMBER.ndjson.removed` (no data to read), the manifest `manifest.json`.
        """
        for last in (False, True):
            for left in folder.iterdir():
                left.unlink()
            request, place = self._kick_off(asked)
            try:
                status = self._manifest(place)
                self._download(status, folder, request)
                return status
            except Expired:
                if last:
                    raise
                self._talk("a file of the export has expired: the export is started again")
            finally:
                self._forget(place)
        raise AssertionError

    # Kick-off and polling ------------------------------------------------------------------------------------------------

    def _kick_off(self, asked: Asked) -> tuple[str, str]:
        """The address of the request, and where its status is told. GET first; POST where the server has no other way."""
        refusal: FhirEligError | None = None
        for level in asked.levels:
            address = f"{self._base}/{level}"
            get = f"{address}?{urlencode(asked.pairs())}"
            for method, url, body in (("GET", get, None), ("POST", address, json.dumps(asked.parameters()))):
                headers = {"Prefer": "respond-async", **({"Content-Type": _FHIR} if body else {})}
                reply = self._send(method, url, headers, body)
                if reply.status == 202:
                    return get, self._status_address(reply, url)
                refusal = self._error(reply)
                if reply.status not in _NOT_THIS_WAY:
                    raise refusal
        assert refusal is not None
        raise refusal

    def _status_address(self, reply: Reply, page: str) -> str:
        place = urljoin(page, reply.headers.get("content-location", "").strip() or "?")
        if not _is_of(self._base, place):
            raise LinkError("the export's status is not told by the server itself", fix="ask the server's vendor")
        return place

    def _manifest(self, place: str) -> Status:
        """Waits until the export is done; all pages of its manifest as one. Raises DeadlineError."""
        status = read_status(self._poll(place).body)
        seen = {place}
        while status.following:
            following = urljoin(place, status.following)
            if following in seen or len(seen) >= _PAGES or not _is_of(self._base, following):
                raise LinkError("the pages of the export's manifest lead in a circle, or away", fix="ask the server's vendor")
            seen.add(following)
            more = read_status(self._poll(following).body)
            status = msgspec.structs.replace(
                status,
                output=status.output + more.output,
                errors=status.errors + more.errors,
                deleted=status.deleted + more.deleted,
                following=more.following,
            )
        return status

    def _poll(self, place: str) -> Reply:
        usual, told = _FIRST_WAIT, ""
        while True:
            reply = self._send("GET", place, {"Accept": "application/json"})
            if reply.status == 200:
                return reply
            if reply.status not in (202, 429):
                raise self._error(reply)
            progress = _plain(reply.headers.get("x-progress", ""))
            if progress and progress != told:
                self._talk(f"export: {progress}")
            told = progress
            usual = min(_LONGEST_WAIT, usual * (2 if reply.status == 429 else 1.5))
            self._wait(seconds_to_wait(reply, self._wall()) or usual)

    def _forget(self, place: str) -> None:
        """The server may remove the export; that it cannot, or has done so, is no trouble of ours."""
        try:
            self._send("DELETE", place, {}, tries=1)
        except FhirEligError:
            return

    # Files ---------------------------------------------------------------------------------------------------------------

    def _download(self, status: Status, folder: Path, request: str) -> None:
        numbers: dict[str, int] = {}
        output: list[dict[str, object]] = []
        for file in status.output:
            numbers[file.type] = numbers.get(file.type, 0) + 1
            name = f"{file.type}.{numbers[file.type]}.ndjson"
            self._fetch(file, status, folder / name)
            output.append({"type": file.type, "url": name, **({} if file.count is None else {"count": file.count})})
        removed = []
        for number, file in enumerate(status.deleted, 1):
            removed.append(f"deleted.{number}.ndjson.removed")
            self._fetch(file, status, folder / removed[-1])
        told = {
            "transactionTime": status.time,
            "request": request,
            "requiresAccessToken": False,
            "output": output,
            "error": [{"type": "OperationOutcome", "url": ""} for _ in status.errors],
            "deleted": [{"type": "Bundle", "url": name} for name in removed],
        }
        write_owned(folder / MANIFEST, json.dumps(told, indent=1).encode() + b"\n")

    def _fetch(self, file: File, status: Status, path: Path) -> None:
        address, own = self._file_address(file.url)
        with_token = status.needs_token is True or (status.needs_token is None and own)
        download = Download(self._channel, address, path)
        outcome = self._until(lambda headers: download.attempt(headers, self._deadline), with_token=with_token)
        if outcome is not None:
            if outcome.status in _EXPIRED:
                raise Expired(f"HTTP {outcome.status} for a file of the export", fix="start the export again")
            raise self._error(outcome)
        self._talk(f"export: {path.name}")

    def _file_address(self, url: str) -> tuple[str, bool]:
        """The address of a file, and whether it is the server's own. Raises LinkError."""
        address = urljoin(f"{self._base}/", url)
        own = _is_of(self._base, address)
        if not own and not any(_is_of(host, address) for host in self._hosts):
            raise LinkError("a file of the export lies at another host", fix="list it in the site file: server > file_hosts")
        return address, own

    # Requests ------------------------------------------------------------------------------------------------------------

    def _send(self, method: str, address: str, headers: Mapping[str, str], body: str | None = None, tries: int = 0) -> Reply:
        sent = {"Accept": _FHIR, "Accept-Encoding": "gzip", **headers}
        reply = self._until(
            lambda token: self._channel.send(method, address, body, {**sent, **token}, self._deadline), tries=tries
        )
        assert reply is not None
        return reply

    def _until(
        self, attempt: Callable[[dict[str, str]], Reply | Trouble | None], *, with_token: bool = True, tries: int = 0
    ) -> Reply | None:
        """Attempts until there is an answer that is not of the moment (5xx, a lost connection, a token that ran out)."""
        most, done, renewals = tries or self._limits.tries, 0, 0
        while True:
            token = self._credentials.token(self._deadline) if with_token else None
            headers = {"User-Agent": "fhir-elig", **({"Authorization": f"Bearer {token}"} if token else {})}
            result = attempt(headers)
            if result is None:
                return None
            done += 1
            if isinstance(result, Reply):
                if result.status == 401 and token and renewals < _RENEWALS:
                    renewals += 1
                    if self._credentials.renew(token, self._deadline):
                        continue
                if result.status not in (408, 500, 502, 503, 504) or done >= most:
                    return result
                wait = seconds_to_wait(result, self._wall())
            elif done >= min(most, result.tries):
                raise result.error
            else:
                wait = 0.0
            self._wait(wait or random.uniform(0, _FIRST_WAIT * 2**done))  # noqa: S311 - spreads waits, keeps no secret

    def _wait(self, seconds: float) -> None:
        if self._clock() + seconds >= self._deadline:
            raise DeadlineError("the export is not done in time", fix="raise --export-timeout, or try again later")
        self._sleep(seconds)

    def _error(self, reply: Reply) -> FhirEligError:
        if reply.status == 200:
            return SourceError("the server answered at once, not with an export", code="FE0412", fix="does it offer Bulk Data?")
        found = judge(reply, "", Limits(), self._wall())
        assert isinstance(found, Trouble)
        return found.error


def _is_of(base: Base, address: str) -> bool:
    """Whether an address has the scheme, host and port of a server, names no user, and hides nothing."""
    if re.search(r"[\x00-\x20\x7f-\U0010ffff\\]", address):
        return False
    try:
        parts = urlsplit(address)
        return "@" not in parts.netloc and base.is_origin_of(parts)
    except ValueError:
        return False


def _plain(text: str) -> str:
    """A server's own words, fit for a terminal."""
    return "".join(char for char in text[:100] if char.isprintable()).strip()


def write_owned(path: Path, data: bytes) -> None:
    """Raises OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(data)
