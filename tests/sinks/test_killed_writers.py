"""The real command is killed while it writes; the next run finishes what it began: nothing lost, nothing doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_elig.cli import run
from tests.sinks.killing import killing

# The writes of one patient are Device, ResearchSubject, GuidanceResponse, Provenance, in this order.
POINTS = {
    "the subject was stored and nobody was told": (2, True),
    "the subject never arrived": (2, False),
    "the guidance was stored and nobody was told": (3, True),
}


@pytest.mark.parametrize(("at", "applied"), POINTS.values(), ids=POINTS)
def test_a_writer_that_was_killed_is_finished_by_the_next_run(
    at: int, applied: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("FHIR_ELIG_OUTBOX", "FHIR_ELIG_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with killing(tmp_path) as one:
        assert one.killed(at, applied=applied)
        assert len(one.memory.writes()) == at - (not applied)
        assert one.faults(), "the kill came too late to prove anything"
        assert run(one.command()) == 0, capsys.readouterr().err
        assert one.faults() == []
        stands = dict(one.memory.held)
        assert run(one.command()) == 0 and one.memory.held == stands
