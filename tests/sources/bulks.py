"""A server of bulk exports that answers as a test says, and a client whose clock moves only when told to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fhir_elig.sources.access import Access
from fhir_elig.sources.bulk import Asked, BulkClient
from fhir_elig.sources.credentials import Bearer
from tests.sources.fakes import Answer, Clock, Loopback

TIME = "2025-06-01T08:00:00Z"
PATIENT = '{"resourceType":"Patient","id":"p1"}\n'
ASKED = Asked(types=("Observation", "Patient"))


def client(server: Loopback, clock: Clock | None = None, **options: Any) -> BulkClient:
    clock = clock or Clock()
    way = Access(server.base, Bearer(options.pop("token", "secret")))
    return BulkClient(way, **{"timeout": 600, "clock": clock, "sleep": clock.sleep, "wall": lambda: 0.0, **options})


def manifest(*urls: str, **more: Any) -> dict[str, Any]:
    output = [{"type": "Patient", "url": url, "count": 1} for url in urls]
    return {"transactionTime": TIME, "request": "x", "requiresAccessToken": True, "output": output, "error": [], **more}


def answering(server: Loopback, *, done: Callable[[], Answer] | None = None, files: dict[str, Any] | None = None) -> None:
    """Kick-off by GET, done at once; `files` are answers by path."""
    server.answer = lambda method, path, body: exporting(server, method, path, done, files or {"/fhir/f1": (200, {}, PATIENT)})


def exporting(server: Loopback, method: str, path: str, done: Callable[[], Answer] | None, files: dict[str, Any]) -> Any:
    if method == "DELETE":
        return 404, {}, ""
    if "$export" in path:
        return 202, {"Content-Location": f"{server.base}/status"}, ""
    if path == "/fhir/status":
        return done() if done else (200, {}, json.dumps(manifest(f"{server.base}/f1")))
    found = files.get(path, (404, {}, ""))
    return found() if callable(found) else found
