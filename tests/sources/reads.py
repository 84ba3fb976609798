"""Reads Patient/p1 from a server that gives one answer after the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
import responses

from fhir_elig.errors import SourceError
from fhir_elig.sources.replies import Page
from tests.sources.fakes import BASE, Answer, Clock, Loopback, transport

GOOD = json.dumps({"resourceType": "Patient", "id": "p1"})
SECRET = "canary-4711"


def answers(*sequence: Answer | Exception) -> responses.RequestsMock:
    """A server that gives these answers to reads of Patient/p1, one after the other; the last one for ever."""
    mock = responses.RequestsMock(assert_all_requests_are_fired=False)
    for answer in sequence:
        if isinstance(answer, Exception):
            mock.get(f"{BASE}/Patient/p1", body=answer)
        else:
            mock.get(f"{BASE}/Patient/p1", status=answer[0], headers=answer[1], body=answer[2])
    return mock


def read(
    sequence: Sequence[Answer | Exception], clock: Clock | None = None, seconds: float = 60.0, **options: Any
) -> tuple[Page, int]:
    """The page, and how many requests it took."""
    sender = transport(clock=clock, **options)
    with answers(*sequence) as mock:
        return sender.get("Patient/p1", sender.clock() + seconds), len(mock.calls)


def failing(sequence: Sequence[Answer | Exception], clock: Clock | None = None, seconds: float = 60.0) -> tuple[SourceError, int]:
    """The error, and how many requests it took."""
    sender = transport(clock=clock)
    with answers(*sequence) as mock:
        with pytest.raises(SourceError) as caught:
            sender.get("Patient/p1", sender.clock() + seconds)
        return caught.value, len(mock.calls)


def loop(server: Loopback, content: Answer | Sequence[bytes], **options: Any) -> Page:
    server.answer = lambda method, path, body: content
    sender = transport(server.base, **options)
    return sender.get("Patient/p1", sender.deadline())
