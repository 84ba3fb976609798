"""`screen --write`: off by default, the plan first, nothing sent by a dry run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import responses

from fhir_elig.cli import run
from fhir_elig.sinks.outbox import Outbox
from tests.sinks.stores import Memory, statement
from tests.sources.fakes import BASE

SCREEN = ("screen", "--protocol", "relma-cel-ssc", "--as-of", "2025-06-01", "--server", BASE, "--patient", "p1")
SITE = "study: {relma-cel-ssc: ResearchStudy/77}\nwrite: {outbox: outbox.sqlite}\n"


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    monkeypatch.delenv("FHIR_ELIG_OUTBOX", raising=False)
    (tmp_path / "site.yaml").write_text(SITE, encoding="utf-8")
    (tmp_path / "other.yaml").write_text(SITE.replace("outbox.sqlite", "x, store: 'https://else.example/fhir'"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    held = Memory()
    patient: dict[str, Any] = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01"}
    held.held = {"Patient/p1": patient, "ResearchStudy/77": {"resourceType": "ResearchStudy", "id": "77"}}
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method in ("GET", "POST", "PUT"):
            mock.add_callback(method, re.compile(".*"), callback=held)
        yield held


def test_screening_writes_nothing_unless_it_is_asked_to(memory: Memory) -> None:
    assert run([*SCREEN, "--site", "site.yaml"]) == 0
    assert memory.writes() == []


def test_a_dry_run_shows_the_plan_and_sends_nothing(memory: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SCREEN, "--site", "site.yaml", "--write", "--dry-run"]) == 0
    said = capsys.readouterr()
    assert "plan: write at" in said.err and "nothing was sent" in said.err
    assert json.loads(said.out)["patient"] == "Patient/p1"
    assert memory.writes() == []


def test_what_is_written_is_told_and_a_second_run_changes_nothing(memory: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SCREEN, "--site", "site.yaml", "--write"]) == 0
    assert "write created     Patient/p1 ResearchSubject/" in capsys.readouterr().err
    written = len(memory.writes())
    assert run([*SCREEN, "--site", "site.yaml", "--write"]) == 0
    assert "write unchanged" in capsys.readouterr().err
    assert len(memory.writes()) == written
    assert {path.stat().st_mode & 0o77 for path in Path().glob("outbox.sqlite*")} == {0}


@pytest.mark.parametrize("lacks", ["the type", "the study"])
def test_what_forbids_writing_is_told_before_a_chart_is_read(
    memory: Memory, lacks: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if lacks == "the type":
        memory.declared = statement()
        memory.declared["rest"][0]["resource"].pop(0)
    else:
        del memory.held["ResearchStudy/77"]
    assert run([*SCREEN, "--site", "site.yaml", "--write"]) == 14
    said = capsys.readouterr()
    assert "FE0504" in said.err and said.out == ""
    assert not [path for _, path, _ in memory.asked if path.startswith(("Patient", "Observation"))]
    assert not Path("outbox.sqlite").exists()


def test_a_record_that_another_run_holds_is_told_before_a_chart_is_read(memory: Memory) -> None:
    other = Outbox(Path("outbox.sqlite"))
    assert run([*SCREEN, "--site", "site.yaml", "--write"]) == 1
    other.close()
    assert {path.split("/")[0] for _, path, _ in memory.asked} == {"metadata", "ResearchStudy"}


def test_a_conflict_has_its_exit_code(memory: Memory) -> None:
    memory.before = lambda method, path: (412, {}, "{}") if path.startswith("ResearchSubject") else None
    assert run([*SCREEN, "--site", "site.yaml", "--write"]) == 15


@pytest.mark.parametrize(
    "more", [("--dry-run",), ("--write",), ("--write", "--site", "other.yaml")], ids=["alone", "no study", "another store"]
)
def test_what_cannot_be_meant_is_a_usage_error(memory: Memory, more: tuple[str, ...]) -> None:
    assert run([*SCREEN, *more]) == 2
    assert memory.asked == [], "it is told before anybody is screened"


def test_files_cannot_be_written_back(tmp_path: Path) -> None:
    assert run(["screen", "--protocol", "relma-cel-ssc", "--data", str(tmp_path), "--write"]) == 2
