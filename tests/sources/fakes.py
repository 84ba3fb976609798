"""Servers that misbehave on purpose, and a clock that only moves when it is told to. All on loopback or in memory."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from requests import PreparedRequest

from fhir_elig.sources.replies import Limits
from fhir_elig.sources.transport import Transport

BASE = "https://ehr.example.org/fhir"
LOINC = "http://loinc.org"
FHIR = {"Content-Type": "application/fhir+json"}

Answer = tuple[int, dict[str, str], str | bytes]


class Clock:
    """Seconds that pass only by `sleep`; `slept` lists the pauses."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def transport(base: str = BASE, token: str | None = None, clock: Clock | None = None, **options: Any) -> Transport:
    clock = clock or Clock()
    options.setdefault("limits", Limits())
    return Transport(base, token, clock=clock, sleep=clock.sleep, rng=Random(7), wall=lambda: 0.0, **options)


def ok(document: Any) -> Answer:
    return 200, FHIR, json.dumps(document)


def observation(name: str, patient: str = "p1", code: str = "718-7", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2025-05-01",
        **more,
    }


def searchset(
    resources: Sequence[Any], following: str | None = None, self_link: str | None = None, **more: Any
) -> dict[str, Any]:
    links = [{"relation": name, "url": url} for name, url in (("self", self_link), ("next", following)) if url is not None]
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries, **more}


def outcome(severity: str = "error", code: str = "processing", number: str = "", text: str = "") -> dict[str, Any]:
    issue: dict[str, Any] = {"severity": severity, "code": code}
    if number:
        issue["details"] = {"coding": [{"code": number}]}
    if text:
        issue["diagnostics"] = text
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def capability(**types: Sequence[str]) -> dict[str, Any]:
    listed = [
        {
            "type": name,
            "interaction": [{"code": "read"}, {"code": "search-type"}],
            "searchParam": [{"name": parameter} for parameter in parameters],
        }
        for name, parameters in types.items()
    ]
    return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server", "resource": listed}]}


DECLARED = capability(
    Patient=["_id"],
    Observation=["patient", "code", "date", "category", "status"],
    Condition=["patient"],
    Procedure=["patient", "date"],
    MedicationRequest=["patient", "status"],
    Medication=["_id"],
    Group=["_id"],
)


class Fake:
    """A FHIR server in memory, as the callback of `responses`: reads, searches by patient and code, pages by `cursor`.

    `override(method, path and query, body)` may answer instead; it sees every request.
    """

    def __init__(self, resources: Sequence[dict[str, Any]], page: int = 2, declared: dict[str, Any] = DECLARED) -> None:
        self.resources = list(resources)
        self.page = page
        self.declared = declared
        self.asked: list[tuple[str, str, str]] = []
        self.override: Callable[[str, str, str], Answer | None] = lambda method, path, body: None

    def __call__(self, request: PreparedRequest) -> Answer:
        body = request.body.decode() if isinstance(request.body, bytes) else request.body or ""
        path = str(request.url).removeprefix(BASE)
        self.asked.append((str(request.method), path, body))
        return self.override(str(request.method), path, body) or self.answer(path, body)

    def answer(self, path: str, body: str = "") -> Answer:
        parts = urlsplit(path)
        name = parts.path.strip("/").removesuffix("/_search")
        if name == "metadata":
            return ok(self.declared)
        if "/" in name:
            found = [one for one in self.resources if f"{one['resourceType']}/{one['id']}" == name]
            return ok(found[-1]) if found else (404, FHIR, json.dumps(outcome(code="not-found", text=f"{name} is not known")))
        return ok(self.search(name, dict(parse_qsl(body or parts.query))))

    def search(self, kind: str, params: dict[str, str]) -> dict[str, Any]:
        found = [one for one in self.resources if one["resourceType"] == kind and self._matches(one, params)]
        start = int(params.get("cursor", "0"))
        shown = {name: value for name, value in params.items() if name != "cursor"}
        after = start + self.page
        following = f"{BASE}/{kind}?{urlencode({**shown, 'cursor': after})}" if after < len(found) else None
        return searchset(found[start:after], following, f"{BASE}/{kind}?{urlencode(shown)}", total=len(found))

    @staticmethod
    def _matches(resource: dict[str, Any], params: dict[str, str]) -> bool:
        if "patient" in params and resource["subject"]["reference"] != f"Patient/{params['patient']}":
            return False
        codes = [f"{coding['system']}|{coding['code']}" for coding in resource.get("code", {}).get("coding", [])]
        return "code" not in params or bool(set(codes) & set(params["code"].split(",")))


class Loopback:
    """A real server on loopback. `answer(method, path, body)` gives the answer, or bytes that are sent as they are."""

    def __init__(self) -> None:
        self.answer: Callable[[str, str, str], Answer | Sequence[bytes]] = lambda method, path, body: (404, {}, "")
        self.pause = 0.0  # seconds between two pieces of raw bytes
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.now = threading.local()  # `headers` of the request that is being answered
        self.base = ""
        self.over = threading.Event()


@contextmanager
def serving() -> Iterator[Loopback]:
    """A server on a free port; stopped at the end."""
    server = Loopback()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # headers and body in one packet: no delayed acknowledgement in between

        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length", "0"))
            body = self.rfile.read(size).decode()
            server.now.headers = {name.lower(): value for name, value in self.headers.items()}
            server.requests.append((self.command, self.path, server.now.headers))
            answer = server.answer(self.command, self.path, body)
            if isinstance(answer, tuple):
                status, headers, content = answer
                (self.send_response_only if "Date" in headers else self.send_response)(status)
                data = content.encode() if isinstance(content, str) else content
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
                return
            self.close_connection = True
            try:
                for piece in answer:
                    self.wfile.write(piece)
                    self.wfile.flush()
                    if server.pause and server.over.wait(server.pause):
                        return
            except OSError:
                pass

        do_POST = do_PUT = do_DELETE = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that has had enough hangs up: no more is said of it than of any other end."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    http = Server(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.base = f"http://127.0.0.1:{http.server_address[1]}/fhir"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        http.shutdown()
        thread.join()
        http.server_close()
