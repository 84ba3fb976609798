"""The watch over the log lines and the exceptions of all tests is awake."""

from __future__ import annotations

import logging
import sys

import pytest

from fhir_elig.cli import run
from fhir_elig.errors import DataError, SourceError
from tests.canaries import NAMES, SECRETS
from tests.conftest import Canaries, raised
from tests.sources import hostile, reads


def test_what_the_hostile_server_and_the_transport_are_marked_with_is_watched() -> None:
    assert {*hostile.CANARIES, reads.SECRET} <= {*NAMES, *SECRETS}


@pytest.mark.parametrize("name", ["fhir_elig", "urllib3.connectionpool", "anything"])
def test_a_canary_in_a_line_of_any_logger_is_heard(name: str) -> None:
    listener = Canaries()
    try:
        raise ValueError(NAMES[0])
    except ValueError:
        record = logging.LogRecord(name, logging.DEBUG, __file__, 1, "GET %s", (SECRETS[0],), None)
        listener.handle(record)
        listener.handle(logging.LogRecord(name, logging.ERROR, __file__, 1, "failed", (), sys.exc_info()))
    assert listener.heard == [f"{name} DEBUG: {SECRETS[0]}", f"{name} ERROR: {NAMES[0]}"]
    listener.handle(logging.LogRecord(name, logging.DEBUG, __file__, 1, "GET: status 200, 12 bytes", (), None))
    assert len(listener.heard) == 2


def test_a_canary_in_an_exception_is_heard_wherever_it_stands() -> None:
    DataError(f"no {NAMES[0]}")
    SourceError("refused", where=f"/Patient?name={NAMES[1]}")
    found, raised[:] = list(raised), []
    assert found == [f"DataError: {NAMES[0]}", f"SourceError: {NAMES[1]}"]


def test_a_canary_that_a_command_says_is_heard() -> None:
    assert run(["screen", "--protocol", SECRETS[0]]) == 2
    found, raised[:] = list(raised), []
    assert f"stderr: {SECRETS[0]}" in found
