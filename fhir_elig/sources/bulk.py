"""A bulk export from a FHIR server into a folder (FHIR Bulk Data Access 2.0 to 4.0.0-ballot): NDJSON files and a manifest.

Kick-off, polling, download, and the server told that it may forget the export. The manifest that is written names the files as
they lie there, with the counts that the server stated, so that whoever reads the folder finds what did not come.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from urllib.parse import urlencode, urljoin

import msgspec

from fhir_elig.errors import DeadlineError, FhirEligError, SourceError
from fhir_elig.sources.access import Access
from fhir_elig.sources.addresses import LinkError, parse_base
from fhir_elig.sources.bulk_files import MANIFEST, Files, write_owned
from fhir_elig.sources.bulk_requests import FHIR, FIRST_WAIT, Expired, Sender, is_of
from fhir_elig.sources.bulk_status import Status, read_status
from fhir_elig.sources.credentials import safe_to_send
from fhir_elig.sources.replies import Reply

__all__ = ["MANIFEST", "PENDING", "Asked", "BulkClient", "write_owned"]

PENDING = "pending.json"  # in the folder of an export that is not done: where its status is told
_LONGEST_WAIT = 60.0  # seconds between polls where the server does not say
_PAGES = 1000  # of a manifest
_NOT_THIS_WAY = frozenset({400, 404, 405, 415, 501})
_BUSY = frozenset({202, 429, 502, 503, 504})  # the export goes on, or a gateway before it does not answer

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


class Begun(msgspec.Struct, frozen=True):
    """An export that a server has begun: what was asked, as the address of a GET, and where its status is told."""

    request: str
    place: str


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
        if access.credentials.secret:
            safe_to_send(self._base, allow_http=False)
        self._talk = talk
        self._sender = Sender(access, self._base, timeout, clock, sleep, wall)

    def export(self, asked: Asked, folder: Path) -> Status:
        """Fetch an export into a folder; once more, if it expires meanwhile. Raises SourceError.

        Files are `TYPE.NUMBER.ndjson`; deletions `deleted.NUMBER.ndjson.removed` and messages `errors.NUMBER.ndjson.told`, which
        are no data to read; the manifest `manifest.json`. An export that was not done in time, or to which the
        connection was lost, stays with the server: the same asked again with the same folder goes on with it.
        """
        for last in (False, True):
            begun = self._pending(asked, folder) or self._kick_off(asked)
            for left in folder.iterdir():
                left.unlink()
            write_owned(folder / PENDING, msgspec.json.encode(begun))
            try:
                status = self._manifest(begun.place)
                _check_patients(asked, status)
                files = Files(self._sender, self._base, self._hosts, self._talk, partial(self._manifest, begun.place))
                files.fetch(status, asked.types, folder, begun.request)
            except Expired:
                self._forget(begun, folder)
                if last:
                    raise
                self._talk("the export, or a file of it, has expired: it is started again")
            except BaseException as error:
                if not _may_go_on(error):
                    self._forget(begun, folder)
                raise
            else:
                self._forget(begun, folder)
                return status
        raise AssertionError

    # Kick-off and polling ------------------------------------------------------------------------------------------------

    def _pending(self, asked: Asked, folder: Path) -> Begun | None:
        """An export of the same that was begun, and not done in time."""
        try:
            begun = msgspec.json.decode((folder / PENDING).read_bytes(), type=Begun)
        except (OSError, msgspec.MsgspecError):
            return None
        same = begun.request in {self._get(level, asked) for level in asked.levels} and is_of(self._base, begun.place)
        if same:
            self._talk("going on with the export that was begun")
        return begun if same else None

    def _get(self, level: str, asked: Asked) -> str:
        return f"{self._base}/{level}?{urlencode(asked.pairs())}"

    def _kick_off(self, asked: Asked) -> Begun:
        """GET first; POST where the server has no other way."""
        refusal: FhirEligError | None = None
        for level in asked.levels:
            address, get = f"{self._base}/{level}", self._get(level, asked)
            for method, url, body in (("GET", get, None), ("POST", address, json.dumps(asked.parameters()))):
                headers = {"Prefer": "respond-async", **({"Content-Type": FHIR} if body else {})}
                reply = self._sender.send(method, url, headers, body)
                if reply.status == 202:
                    return Begun(get, self._status_address(reply, url))
                refusal = self._sender.error(reply)
                if reply.status not in _NOT_THIS_WAY:
                    raise refusal
        assert refusal is not None
        raise refusal

    def _status_address(self, reply: Reply, page: str) -> str:
        place = urljoin(page, reply.headers.get("content-location", "").strip() or "?")
        if not is_of(self._base, place):
            raise LinkError("the export's status is not told by the server itself", fix="ask the server's vendor")
        return place

    def _manifest(self, place: str) -> Status:
        """Waits until the export is done; all pages of its manifest as one. Raises DeadlineError."""
        status = read_status(self._poll(place).body)
        seen = {place}
        while status.following:
            following = urljoin(place, status.following)
            if following in seen or len(seen) >= _PAGES or not is_of(self._base, following):
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
        usual, told = FIRST_WAIT, ""
        while True:
            reply = self._sender.send("GET", place, {"Accept": "application/json"})
            if reply.status == 200:
                return reply
            if reply.status in (404, 410):
                raise Expired(f"HTTP {reply.status} for the status of the export", fix="start the export again")
            if reply.status not in _BUSY:
                raise self._sender.error(reply)
            progress = _plain(reply.headers.get("x-progress", ""))
            if progress and progress != told:
                self._talk(f"export: {progress}")
            told = progress
            usual = min(_LONGEST_WAIT, usual * (1.5 if reply.status == 202 else 2))
            self._sender.wait(self._sender.told(reply) or usual)

    def _forget(self, begun: Begun, folder: Path) -> None:
        """The server may remove the export; that it cannot, or has done so, is no trouble of ours."""
        (folder / PENDING).unlink(missing_ok=True)
        try:
            self._sender.send("DELETE", begun.place, {}, tries=1)
        except FhirEligError:
            return


def _may_go_on(error: BaseException) -> bool:
    """Whether the export still goes on at the server: time was short, or the connection was lost."""
    return isinstance(error, DeadlineError) or (isinstance(error, SourceError) and error.code == "FE0401")


def _check_patients(asked: Asked, status: Status) -> None:
    """Raises SourceError if all was asked for and no Patient is listed: then nobody could be assessed by the rest."""
    if not asked.since and not any(file.type == "Patient" for file in status.output):
        fix = "is anybody in the group? may the client read Patient? Without a limit of type the server may export more"
        raise SourceError("the export holds no Patient", code="FE0412", fix=fix)


def _plain(text: str) -> str:
    """A server's own words, fit for a terminal."""
    return "".join(char for char in text[:100] if char.isprintable()).strip()
