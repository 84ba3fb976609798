"""A FHIR server on real sockets that holds one golden patient and plays a fault by name; and the command line that meets it.

`Ward` answers honestly (paging, POST _search, totals, self links) unless its `fault` says something else. `screened` runs the
real `fhir-elig screen` against it, with waits that are skipped and counted, and tells all that came of it.
"""

from __future__ import annotations

import copy
import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from fhir_elig.cli import pipeline, run
from fhir_elig.sources import access
from fhir_elig.sources.transport import Transport
from tests.golden import cases
from tests.golden.cases import OnServer
from tests.sources.fakes import FHIR, Answer, Loopback, capability, ok, outcome, searchset, serving

TOKEN = "canary-token-8a61"
PATIENT = "canary-p1"
CANARIES = (PATIENT, TOKEN, "Canaryname", "1979-11-23", "MRN-Canary-0815")
TIMEOUT = 20.0
MOST_REQUESTS = 200
_PAGE = 4
_BY_CODE = ("patient", "code", "date", "category")
_BY_PATIENT = (
    "Condition Procedure MedicationRequest MedicationDispense MedicationAdministration Encounter Consent QuestionnaireResponse"
).split()
DECLARED = capability(Patient=["_id"], Observation=_BY_CODE, **{kind: ["patient"] for kind in _BY_PATIENT})

Raw = Sequence[bytes]
Resource = dict[str, Any]


class Ask(NamedTuple):
    """One request. `kind` is the type that is read or searched; `page` counts from 1, 0 where nothing is searched."""

    method: str
    path: str
    params: dict[str, str]
    kind: str
    page: int
    times: int  # how often exactly this was asked before

    def is_(self, place: str) -> bool:
        """`metadata`, `Patient`, `Condition`, or a page of the Observations as `Observation 2`."""
        return place == (self.kind if self.kind != "Observation" else f"Observation {self.page}")


Play = Callable[["Ward", Ask, Answer], Answer | Raw]


class Ward:
    """The honest server, its fault, and the second server that must never hear of anything."""

    def __init__(self, server: Loopback, stranger: Loopback, resources: Sequence[Resource]) -> None:
        self.server, self.stranger, self.resources = server, stranger, resources
        self.base = server.base
        self.declared: Resource = DECLARED
        self.fault: Play = lambda ward, ask, answer: answer
        self._cursors: dict[str, tuple[str, dict[str, str], int]] = {}
        self._times: dict[tuple[str, ...], int] = {}
        server.answer = self.answer

    def answer(self, method: str, path: str, body: str) -> Answer | Raw:
        parts = urlsplit(path)
        name = parts.path.removeprefix("/fhir").strip("/").removesuffix("/_search")
        kind, _, one = name.partition("/")
        params = dict(parse_qsl(body or parts.query))
        key = method, path, body
        times = self._times[key] = self._times.get(key, 0) + 1
        if name == "metadata" or one:
            return self.fault(self, Ask(method, path, params, kind, 0, times - 1), self.read(kind, one))
        kind, params, start = self._cursors.get(params.get("cursor", ""), (kind, params, 0))
        ask = Ask(method, path, params, kind, start // _PAGE + 1, times - 1)
        return self.fault(self, ask, ok(self.search(kind, params, start)))

    def read(self, kind: str, name: str) -> Answer:
        if kind == "metadata":
            return ok(self.declared)
        found = [one for one in self.resources if (one["resourceType"], one["id"]) == (kind, name)]
        return ok(found[0]) if found else (404, FHIR, json.dumps(outcome(code="not-found")))

    def search(self, kind: str, params: dict[str, str], start: int) -> Resource:
        found = [one for one in self.resources if one["resourceType"] == kind and matches(one, params)]
        shown = f"{self.base}/{kind}?{urlencode(params)}"
        following = None
        if start + _PAGE < len(found):
            cursor = f"c{len(self._cursors)}"
            self._cursors[cursor] = (kind, params, start + _PAGE)
            following = f"{self.base}/{kind}?cursor={cursor}"
        return searchset(found[start : start + _PAGE], following, shown)


def matches(resource: Resource, params: dict[str, str]) -> bool:
    about = resource.get("subject") or resource.get("patient") or {}
    if "patient" in params and about.get("reference") != f"Patient/{params['patient'].removeprefix('Patient/')}":
        return False
    codes = {f"{coding.get('system')}|{coding.get('code')}" for coding in resource.get("code", {}).get("coding", [])}
    return "code" not in params or bool(codes & set(params["code"].split(",")))


@cache
def golden() -> tuple[OnServer, tuple[Resource, ...]]:
    """A chart with many determined verdicts, the patient under a name that must not be seen anywhere, and beside it another
    patient's results, which are never to be used."""
    case = next(one for one in cases.find() if one.name == "consent-resource-permit")
    held = OnServer(case, "canary-")
    resources = held.resources()
    assert held.patient == PATIENT
    person = next(one for one in resources if one["resourceType"] == "Patient")
    bilirubin = next(one for one in resources if one["resourceType"] == "Observation" and coded(one, "1975-2"))
    bilirubin["valueQuantity"] |= {"value": bilirubin["valueQuantity"]["value"] * 10}  # one criterion is not met
    person |= {"name": [{"family": CANARIES[2]}], "identifier": [{"value": CANARIES[4]}], "birthDate": CANARIES[3]}
    return held, (*resources, *strangers(resources))


def strangers(resources: Sequence[Resource]) -> list[Resource]:
    """The same results of somebody else, with values that would turn verdicts over."""
    copies = []
    for one in resources:
        if one["resourceType"] == "Observation" and "valueQuantity" in one:
            other = copy.deepcopy(one)
            other |= {"id": f"other-{one['id']}", "subject": {"reference": "Patient/other"}}
            factor = 0.01 if coded(one, "1975-2") else 1000
            other["valueQuantity"] |= {"value": one["valueQuantity"]["value"] * factor}
            copies.append(other)
    return copies


def coded(resource: Resource, code: str) -> bool:
    return any(coding["code"] == code for coding in resource["code"]["coding"])


@contextmanager
def ward() -> Iterator[Ward]:
    with serving() as server, serving() as stranger:
        yield Ward(server, stranger, golden()[1])


class Skipping:
    """The real clock, and waits that pass at once: what was waited is added to the time."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.skipped

    def sleep(self, seconds: float) -> None:
        self.skipped += seconds


class Outcome(NamedTuple):
    """What a run came to. `talk` is stderr and the whole log at DEBUG level."""

    exit_code: int
    verdicts: dict[str, str]
    unread: dict[str, str]  # types that were not complete, and why
    talk: str
    seconds: float


class Command:
    """Runs `fhir-elig screen` for the golden patient."""

    def __init__(self, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
        self._patch, self._capsys, self._caplog = patch, capsys, caplog
        patch.setenv("FHIR_ELIG_TOKEN", TOKEN)

    def screen(self, place: Ward, *more: str, timeout: float = TIMEOUT, limits: Any = None) -> Outcome:
        clock = Skipping()
        options = {} if limits is None else {"limits": limits}
        made = partial(Transport, clock=clock, sleep=clock.sleep, rng=random.Random(7))
        self._patch.setattr(access, "Transport", lambda *args, **named: made(*args, **{**named, **options}))
        case = golden()[0].case
        arguments = ["screen", "--protocol", cases.PROTOCOL, "--server", place.base, "--as-of", case.expected["as-of"]]
        arguments += ["--patient", PATIENT, "--format", "ndjson", "--timeout", str(timeout), *more]
        self._caplog.clear()
        started = clock()
        with self._caplog.at_level(logging.DEBUG):
            code = run(arguments)
        seconds = clock() - started
        said = self._capsys.readouterr()
        lines = [json.loads(line) for line in said.out.splitlines()]
        verdicts = {name: verdict for line in lines for name, verdict in walk(line.get("criteria", []))}
        unread = {one["type"]: one["note"] for line in lines for one in line.get("retrieved", []) if not one["complete"]}
        return Outcome(code, verdicts, unread, said.err + self._caplog.text, seconds)


def walk(criteria: Sequence[Resource]) -> Iterator[tuple[str, str]]:
    for one in criteria:
        yield one["id"], one["verdict"]
        yield from walk(one.get("criteria", []))


def loaded_once(patch: pytest.MonkeyPatch) -> None:
    """Concepts and protocol are read once for all runs of a module."""
    cases.share_what_is_loaded(patch)
    assert pipeline.load_protocol is not None


def site_file(folder: Path, text: str) -> tuple[str, str]:
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return "--site", str(path)
