"""The files of a bulk export, fetched into a folder with a manifest of what lies there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from fhir_elig.errors import DeadlineError, FhirEligError, SourceError
from fhir_elig.sources import strict_json
from fhir_elig.sources.addresses import Base, LinkError
from fhir_elig.sources.bulk_requests import Expired, Sender, is_of
from fhir_elig.sources.bulk_status import File, Status

MANIFEST = "manifest.json"
_EXPIRED = frozenset({403, 404, 410})
_HARMLESS = frozenset({"information", "success"})  # severities of an issue by which nothing is missing


class Files:
    """What one export gives. `poll` asks the server for the manifest again, whose links may be new."""

    def __init__(
        self, sender: Sender, base: Base, hosts: Sequence[Base], talk: Callable[[str], None], poll: Callable[[], Status]
    ) -> None:
        self._sender, self._base, self._hosts = sender, base, hosts
        self._talk, self._poll = talk, poll

    def fetch(self, status: Status, types: Sequence[str], folder: Path, request: str) -> None:
        """Everything that was asked for. Raises SourceError, LinkError, Expired, DeadlineError, OSError."""
        numbers: dict[str, int] = {}
        output: list[dict[str, object]] = []
        for number, file in enumerate(status.output):
            if file.type not in types:
                self._talk(f"export: {file.type} was not asked for and is left")
                continue
            numbers[file.type] = numbers.get(file.type, 0) + 1
            name = f"{file.type}.{numbers[file.type]}.ndjson"
            status = self._fetch(status, "output", number, folder / name)
            output.append({"type": file.type, "url": name, **({} if file.count is None else {"count": file.count})})
        removed = [f"deleted.{number}.ndjson.removed" for number, _ in enumerate(status.deleted, 1)]
        for number, name in enumerate(removed):
            status = self._fetch(status, "deleted", number, folder / name)
        errors = [name for number, _ in enumerate(status.errors) if (name := self._message(status, number, folder))]
        told = {
            "transactionTime": status.time,
            "request": request,
            "requiresAccessToken": False,
            "output": output,
            "error": [{"type": "OperationOutcome", "url": name} for name in errors],
            "deleted": [{"type": "Bundle", "url": name} for name in removed],
        }
        write_owned(folder / MANIFEST, json.dumps(told, indent=1).encode() + b"\n")

    def _message(self, status: Status, number: int, folder: Path) -> str:
        """Keeps a file of messages; its name if it tells of anything that can be missing, or cannot be read."""
        name = f"errors.{number + 1}.ndjson.told"
        try:
            self._fetch(status, "errors", number, folder / name)
        except DeadlineError:
            raise
        except SourceError as error:
            self._talk(f"export: {name}: {error}")
            return name
        return "" if _is_harmless(folder / name) else name

    def _fetch(self, status: Status, member: str, number: int, path: Path) -> Status:
        """One file; gives the manifest whose links hold now. Raises Expired where new links do not help."""
        for again in (False, True):
            file: File = getattr(status, member)[number]
            refused = self._sender.fetch(self._address(file.url), path, with_token=status.needs_token)
            if refused is None:
                self._talk(f"export: {path.name}")
                return status
            if refused.status not in _EXPIRED:
                raise self._sender.error(refused)
            fresh = status if again else self._poll()
            if not _alike(fresh, status) or getattr(fresh, member)[number].url == file.url:
                raise Expired(f"HTTP {refused.status} for a file of the export", fix="start the export again")
            status = fresh
        raise AssertionError

    def _address(self, url: str) -> str:
        """The address of a file. Raises LinkError."""
        address = urljoin(f"{self._base}/", url)
        if not any(is_of(host, address) for host in (self._base, *self._hosts)):
            raise LinkError("a file of the export lies at another host", fix="list it in the site file: server > file_hosts")
        return address


def _alike(one: Status, other: Status) -> bool:
    """Whether two manifests list the same files in the same order, whatever the links."""

    def shape(status: Status) -> list[list[tuple[str, int | None]]]:
        return [[(file.type, file.count) for file in files] for files in (status.output, status.deleted, status.errors)]

    return one.time == other.time and shape(one) == shape(other)


def _is_harmless(path: Path) -> bool:
    """Whether every line is an OperationOutcome that only informs."""
    with path.open("rb") as stream:
        return all(_informs(line) for line in stream if line.strip())


def _informs(line: bytes) -> bool:
    try:
        document: Any = strict_json.parse(line).document
    except FhirEligError:
        return False
    if not isinstance(document, dict) or document.get("resourceType") != "OperationOutcome":
        return False
    issues = document.get("issue")
    return isinstance(issues, list) and all(isinstance(one, dict) and one.get("severity") in _HARMLESS for one in issues)


def write_owned(path: Path, data: bytes) -> None:
    """Raises OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(data)
