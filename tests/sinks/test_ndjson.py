"""Recommendations as files: one file a type, the same resources as a store gets, for the owner only, a second run adds nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_elig.cli import run
from fhir_elig.errors import FhirEligError
from fhir_elig.outputs.checks import check
from fhir_elig.sinks import Outcome
from fhir_elig.sinks.delivery import delivery
from fhir_elig.sinks.ndjson import Folder, files_plan
from fhir_elig.sinks.plan import Rules
from fhir_elig.verdict import Status
from tests.sinks.test_fhir_store import ASSESSMENT, RECORDED

RULES = Rules(study="ResearchStudy/77")
SITE = "study: {relma-cel-ssc: ResearchStudy/77}\nwrite: {folder: handed}\n"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.ndjson"))}


def lines(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{kind}.ndjson").read_text("utf-8").splitlines()]


def write(folder: Path, status: Status, as_of: str = "2025-06-01", recorded: str = RECORDED) -> Outcome:
    box = Folder(folder, RULES)
    one = msgspec.structs.replace(ASSESSMENT, status=status, as_of=as_of)
    try:
        found = box.deliver(delivery(one, files_plan("R4", RULES), recorded))
        box.save()
    finally:
        box.close()
    return found.outcome


def test_the_command_writes_one_file_a_type_and_a_second_run_changes_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("site.yaml").write_text(SITE, encoding="utf-8")
    Path("p1.json").write_text(json.dumps({"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01"}), encoding="utf-8")
    screen = ["screen", "--protocol", "relma-cel-ssc", "--as-of", "2025-06-01", "--data", "p1.json", "--site", "site.yaml"]
    assert run([*screen, "--write", "--dry-run"]) == 0
    assert not Path("handed").exists()
    assert run([*screen, "--write"]) == 0
    assert "write created     Patient/p1 ResearchSubject/" in capsys.readouterr().err
    first = files(Path("handed"))
    assert [name.removesuffix(".ndjson") for name in first] == ["Device", "GuidanceResponse", "Provenance", "ResearchSubject"]
    assert all(check(one, "R4") == [] for name in first for one in lines(Path("handed"), name.removesuffix(".ndjson")))
    assert {path.stat().st_mode & 0o77 for path in (Path("handed"), *Path("handed").iterdir())} == {0}
    assert run([*screen, "--write"]) == 0
    assert "write unchanged" in capsys.readouterr().err and files(Path("handed")) == first


def test_a_record_follows_its_patient_and_none_is_made_for_who_is_excluded(tmp_path: Path) -> None:
    assert write(tmp_path, Status.INELIGIBLE) is Outcome.NOT_CREATED
    assert files(tmp_path) == {}
    assert write(tmp_path, Status.CANDIDATE) is Outcome.CREATED
    assert write(tmp_path, Status.INELIGIBLE, "2025-06-02") is Outcome.UPDATED
    assert [one["status"] for one in lines(tmp_path, "ResearchSubject")] == ["ineligible"]
    assert len(lines(tmp_path, "GuidanceResponse")) == len(lines(tmp_path, "Provenance")) == 2


def test_what_a_person_set_in_a_file_stays(tmp_path: Path) -> None:
    write(tmp_path, Status.CANDIDATE)
    path = tmp_path / "ResearchSubject.ndjson"
    path.write_text(path.read_text("utf-8").replace('"status":"candidate"', '"status":"on-study"'), "utf-8")
    kept = path.read_bytes()
    assert write(tmp_path, Status.INELIGIBLE, "2025-06-02") is Outcome.LEFT and path.read_bytes() == kept


def test_a_folder_that_another_run_holds_or_that_holds_something_else_is_left(tmp_path: Path) -> None:
    first = Folder(tmp_path, RULES)
    with pytest.raises(FhirEligError, match="another run"):
        Folder(tmp_path, RULES)
    first.close()
    (tmp_path / "ResearchSubject.ndjson").write_text('{"resourceType": "Patient", "id": "x"}\n', encoding="utf-8")
    before = files(tmp_path)
    with pytest.raises(FhirEligError, match="not NDJSON of ResearchSubject"):
        write(tmp_path, Status.CANDIDATE)
    (tmp_path / "in-the-way").write_text("", encoding="utf-8")
    with pytest.raises(FhirEligError) as caught:
        Folder(tmp_path / "in-the-way", RULES)
    assert caught.value.code == "FE0701" and files(tmp_path) == before
