"""Fetches invented charts from a server in memory, and tells what came."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import responses

from fhir_elig.record import Need
from fhir_elig.sources import Chart
from fhir_elig.sources.replies import Limits
from fhir_elig.sources.rest import RestSource
from tests.sources.fakes import (
    BASE,
    LOINC,
    Answer,
    Clock,
    Fake,
    observation,
    ok,
    transport,
)

HB, PLT, ALT = (f"{LOINC}|{code}" for code in ("718-7", "777-3", "1742-6"))
LABS = Need("Observation", frozenset({HB, PLT}))
PROCEDURES = Need("Procedure")
P1 = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-02"}
CHART = [P1, *(observation(f"o{number}") for number in range(5)), observation("x1", code="9-9")]
OTHERS = [{"resourceType": "Patient", "id": "p2"}, observation("o77", "p2")]


def procedure(name: str, patient: str = "p1") -> dict[str, Any]:
    return {"resourceType": "Procedure", "id": name, "status": "completed", "subject": {"reference": f"Patient/{patient}"}}


@contextmanager
def network(fake: Fake) -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method in ("GET", "POST"):
            mock.add_callback(method, re.compile(re.escape(BASE)), fake)
        yield mock


def source(*needs: Need, clock: Clock | None = None, limits: Limits | None = None, **options: Any) -> RestSource:
    options.setdefault("count", None)
    return RestSource(BASE, needs=needs or (LABS,), transport=transport(clock=clock, limits=limits or Limits()), **options)


def fetch(fake: Fake, *needs: Need, patient: str = "p1", **options: Any) -> Chart:
    with network(fake):
        return source(*needs, **options).fetch(patient)


def ids(chart: Chart, kind: str = "Observation") -> list[str]:
    return sorted(str(one["id"]) for one in chart.resources if one["resourceType"] == kind)


def line(chart: Chart, kind: str = "Observation") -> str:
    """`complete`, or the note."""
    found = [entry for entry in chart.retrieved if entry.type == kind]
    assert len(found) == 1
    assert found[0].complete is not bool(found[0].note)
    return found[0].note or "complete"


CLEAN = ["o0", "o1", "o2", "o3", "o4"]


def orders(*drugs: str) -> list[dict[str, Any]]:
    return [
        {
            "resourceType": "MedicationRequest",
            "id": f"r{drug}",
            "subject": {"reference": "Patient/p1"},
            "medicationReference": {"reference": f"Medication/{drug}"},
        }
        for drug in drugs
    ]


def observations(fake: Fake, answer: Any) -> Fake:
    """The fake, with another answer to searches of Observation (a document, an answer, or a function of path and body)."""

    def override(method: str, path: str, body: str) -> Answer | None:
        if not path.startswith("/Observation"):
            return None
        given_answer = answer(path, body) if callable(answer) else answer
        return ok(given_answer) if isinstance(given_answer, dict) else given_answer

    fake.override = override
    return fake


def paged(*pages: Any, first: str = "/Observation") -> Any:
    """Answers page by page: the first search, then whatever link was followed."""
    left = list(pages)

    def answer(path: str, body: str) -> Any:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer
