"""A FHIR store in memory that can be told to misbehave, as the callback of `responses`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests import PreparedRequest

from tests.sources.fakes import BASE, FHIR, Answer, ok, outcome, searchset

PARAMETERS = {
    "ResearchSubject": ["patient", "study"],
    "Provenance": ["target"],
    "GuidanceResponse": ["identifier"],
    "Device": ["identifier"],
    "ServiceRequest": ["identifier"],
    "List": ["identifier"],
}


def statement(**flags: bool) -> dict[str, Any]:
    """A store that takes the full set; `flags` are updateCreate and conditionalCreate."""
    every = ["read", "search-type", "create", "update"]
    listed = [
        {
            "type": name,
            "interaction": [{"code": code} for code in every],
            "searchParam": [{"name": one} for one in parameters],
            **flags,
        }
        for name, parameters in PARAMETERS.items()
    ]
    return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server", "resource": listed}]}


class Memory:
    """Resources by type and id, each with a version that counts up. `before` sees each write and may answer in its place;
    `lose` drops the answer of a write that was done; while `unreadable` holds no look is answered; `asked` lists what came.
    `after` may answer in place of a write that was done; without `versions` nothing has one. `history` holds each version that was ever written, with its author."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.before: Callable[[str, str], Answer | None] = lambda method, path: None
        self.lose: Callable[[str, str], bool] = lambda method, path: False
        self.unreadable: Callable[[], bool] = lambda: False
        self.after: Callable[[str, str, Answer], Answer] = lambda method, path, answer: answer
        self.versions = True
        self.filters = True
        self.author = "somebody"
        self.persons: tuple[str, dict[str, Any]] | None = None
        self.history: dict[str, tuple[str, dict[str, Any]]] = {}
        self.declared = statement(updateCreate=True)

    def writes(self) -> list[tuple[str, str, str]]:
        return [one for one in self.asked if one[0] != "GET" and not one[1].endswith("_search")]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [one for name, one in self.held.items() if name.startswith(f"{kind}/")]

    def person(self, name: str, **changes: Any) -> None:
        """What a person does to a resource."""
        old = self.held[name]
        version = str(int(old["meta"]["versionId"]) + 1)
        self._keep(name, {**old, **changes, "meta": {**old["meta"], "versionId": version}}, "person")

    def _keep(self, name: str, resource: dict[str, Any], author: str) -> None:
        self.held[name] = resource
        self.history[f"{name}/_history/{resource['meta']['versionId']}"] = (author, resource)

    def __call__(self, request: PreparedRequest) -> Answer:
        method, path = str(request.method), str(request.url).removeprefix(f"{BASE}/")
        body = request.body.decode() if isinstance(request.body, bytes) else request.body or ""
        return self.answer(method, path, body, {name.lower(): value for name, value in request.headers.items()})

    def answer(self, method: str, path: str, body: str, condition: Mapping[str, str]) -> Answer:
        """To a request below the base; `condition` are its headers, names in lower case."""
        self.asked.append((method, path, condition.get("if-match", condition.get("if-none-match", ""))))
        if method == "GET" or path.endswith("_search"):
            if self.unreadable():
                return 503, FHIR, json.dumps(outcome())
            return self._read(path, body)
        early = self.before(method, path)
        if early is not None:
            return early
        answer = self._write(method, path, json.loads(body), condition)
        if self.lose(method, path):
            raise requests.ConnectionError
        return self.after(method, path, answer)

    def _read(self, path: str, body: str) -> Answer:
        parts = urlsplit(path)
        if path == "metadata":
            return ok(self.declared)
        if "/" in parts.path and not parts.path.endswith("_search"):
            found = self.held.get(parts.path)
            return ok(found) if found else (404, FHIR, json.dumps(outcome(code="not-found")))
        kind, wanted = parts.path.split("/")[0], dict(parse_qsl(body or parts.query))
        return ok(searchset([one for one in self.of(kind) if not self.filters or _fits(one, wanted)]))

    def _write(self, method: str, path: str, resource: dict[str, Any], condition: Mapping[str, str]) -> Answer:
        if method == "POST":
            wanted = dict(parse_qsl(condition.get("if-none-exist", "")))
            hits = [one for one in self.of(path) if wanted and _fits(one, wanted)]
            if hits:
                return 200, FHIR, json.dumps(hits[0])
            path = f"{path}/made-{len(self.held)}"
        old = self.held.get(path)
        if old and condition.get("if-none-match") == "*":
            return 412, FHIR, json.dumps(outcome())
        if "if-match" in condition and (not old or condition["if-match"] != f'W/"{old["meta"]["versionId"]}"'):
            return 412, FHIR, json.dumps(outcome())
        version = str(int(old["meta"].get("versionId", 0)) + 1) if old else "1"
        if not self.versions:
            self.held[path] = {**resource, "id": path.split("/")[1]}
            return (200 if old else 201), {**FHIR, "Location": f"{BASE}/{path}"}, json.dumps(self.held[path])
        made = {**resource, "id": path.split("/")[1], "meta": {**resource.get("meta", {}), "versionId": version}}
        self._keep(path, made, self.author)
        place = {"ETag": f'W/"{version}"', "Location": f"{BASE}/{path}/_history/{version}"}
        return (200 if old else 201), {**FHIR, **place}, json.dumps(made)


def _fits(one: dict[str, Any], wanted: dict[str, str]) -> bool:
    whose = one.get("individual", one.get("subject", {})).get("reference")
    identifiers = one.get("identifier", [])
    every = identifiers if isinstance(identifiers, list) else [identifiers]
    has = {
        "patient": [whose],
        "study": [one.get("study", {}).get("reference")],
        "identifier": [f"{i['system']}|{i['value']}" for i in every],
        "target": [t["reference"].split("/_history/")[0] for t in one.get("target", [])],
    }
    return all(value in has[name] for name, value in wanted.items())
