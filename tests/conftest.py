"""What holds for the whole suite: no test is skipped on continuous integration, no log line, no exception and nothing that a
command says on stderr tells of a patient or a token, and the shipped mappings are read once."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from fhir_elig import concepts, errors, places
from tests.canaries import PATIENT, found_in

# The same examples in each run; `--hypothesis-profile=random` looks for new ones.
settings.register_profile("fhir-elig", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile("fhir-elig")

_load = concepts.load_concepts
_shipped = cache(_load)


@wraps(_load)
def _load_once(folder: Path) -> concepts.Concepts:
    return (_shipped if folder == places.find("mappings") else _load)(folder)


# Commands in the process of the tests take the shipped mappings from here: reading them is half of what a small command costs.
# They are frozen, as a run needs them that shares them among all its patients. This stands before any module takes the name.
concepts.load_concepts = _load_once

from fhir_elig import cli  # noqa: E402  after that


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that skips itself because a tool is missing has failed where every tool must be there."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped, and nothing may be skipped here ({reason})"
    return report


class Canaries(logging.Handler):
    """Listens to every logger, at every level, and keeps what must not be told."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        self.heard += [f"{record.name} {record.levelname}: {canary}" for canary in found_in(text)]


raised: list[str] = []  # what exceptions and commands of a test told
_plain = errors.FhirEligError.__init__


@wraps(_plain)
def _listened(self: errors.FhirEligError, *told: Any, **more: Any) -> None:
    """Keeps what an exception of the package tells and must not."""
    _plain(self, *told, **more)
    raised.extend(f"{type(self).__name__}: {canary}" for canary in found_in(f"{self} {self!r} {vars(self)}"))


errors.FhirEligError.__init__ = _listened  # type: ignore[method-assign]


class Ear:
    """A stream that keeps what is written to it and must not be."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> Any:
        raised.extend(f"stderr: {canary}" for canary in found_in(text) if canary != PATIENT)  # who was not assessed is told
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


_run = cli.run


@wraps(_run)
def _run_listened(arguments: Sequence[str] | None = None) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", Ear(sys.stderr))
        return _run(arguments)


# Tests take the command from here, as they take the mappings: this stands before any module takes the name.
cli.run = _run_listened


@pytest.fixture(autouse=True)
def _no_patient_and_no_token_in_a_log_an_exception_or_on_stderr(request: pytest.FixtureRequest) -> Iterator[None]:
    listener, root = Canaries(), logging.getLogger()
    level = root.level
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    raised.clear()
    try:
        yield
    finally:
        root.removeHandler(listener)
        root.setLevel(level)
    assert not listener.heard, f"{request.node.nodeid}: a log line tells {listener.heard[:5]}"
    assert not raised, f"{request.node.nodeid}: an exception, or stderr, tells {raised[:5]}"
