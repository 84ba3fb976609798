"""`cohort run --after RUN`: only charts that changed are assessed, and the results are those of a run that assessed all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_elig.cli import run
from fhir_elig.cohort import pieces, worker
from fhir_elig.cohort.earlier import digest_of
from fhir_elig.cohort.folder import RESULTS
from fhir_elig.sources import Chart
from tests.cohort.exports import COMMON, Resource, by_type, people, replaced, write
from tests.cohort.test_resume import stopped_at

pytestmark = pytest.mark.usefixtures("loaded_once")
WORDS = (*COMMON, "--complete", "all")


def of_patient(resources: list[Resource], patient: str) -> list[Resource]:
    return [one for one in resources if patient in (one["id"], one.get("subject", {}).get("reference", "").partition("/")[2])]


def changed(resources: list[Resource]) -> list[Resource]:
    """p1 has another hemoglobin, p2 has left, p6 is new; the rest comes in another order."""
    left = of_patient(resources, "p2")
    kept = [dict(one) for one in reversed(resources) if one not in left]
    result = next(one for one in of_patient(kept, "p1") if one["resourceType"] == "Observation" and "valueQuantity" in one)
    kept.append({**result, "id": "of-today", "effectiveDateTime": "2025-05-31"})
    return kept


@pytest.fixture(scope="module")
def resources() -> list[Resource]:
    return people(7, 20)


@pytest.fixture(scope="module")
def earlier(resources: list[Resource], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("earlier")
    new = of_patient(resources, "p6")
    write(folder / "data", by_type([one for one in resources if one not in new]))
    assert begin(folder / "data", folder / "run") == 0
    return folder / "run"


def begin(data: Path, out: Path, *words: str, common: tuple[str, ...] = WORDS) -> int:
    return run(["cohort", "run", *common, "--data", str(data), "--out", str(out), *words])


def files(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in RESULTS}


@pytest.fixture
def assessed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who was assessed, in the order of it."""
    found: list[str] = []
    whole: Callable[..., Any] = worker.assess

    def assess(protocol: Any, record: Any, asked: Any) -> Any:
        found.append(record.patient)
        return whole(protocol, record, asked)

    monkeypatch.setattr(worker, "assess", assess)
    return found


def test_only_those_whose_chart_changed_are_assessed_and_every_row_is_that_of_a_full_run(
    resources: list[Resource], earlier: Path, assessed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(pieces, "SHARD_BYTES", 20_000)
    data = write(tmp_path / "data", by_type(changed(resources)))
    assert begin(data, tmp_path / "short", "--after", str(earlier)) == 0
    assert f"unchanged since {earlier}, taken over: 4\n" in capsys.readouterr().err
    assert sorted(assessed) == ["p1", "p6"]
    assert begin(data, tmp_path / "full") == 0
    assert files(tmp_path / "short") == files(tmp_path / "full")
    assert begin(data, tmp_path / "next", "--after", str(tmp_path / "short")) == 0
    assert "taken over: 6\n" in capsys.readouterr().err
    assert files(tmp_path / "next") == files(tmp_path / "full")
    assert run(["cohort", "diff", str(earlier), str(tmp_path / "short"), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"p2", "p6"} <= {patient.removeprefix("Patient/") for patient in _patients(told)} <= {"p1", "p2", "p6"}


def _patients(told: Any) -> set[str]:
    """Every patient that a document names."""
    if isinstance(told, str):
        return {told} if told.startswith("Patient/") else set()
    parts = told.values() if isinstance(told, dict) else told if isinstance(told, list) else ()
    return {name for part in parts for name in _patients(part)}


def test_what_concerns_everybody_lets_everybody_be_assessed(
    resources: list[Resource], earlier: Path, tmp_path: Path, assessed: list[str]
) -> None:
    """A line that may be anybody's."""
    lines = by_type(resources)
    lines["Observation"].append("broken")
    data = write(tmp_path / "data", lines)
    assert begin(data, tmp_path / "short", "--after", str(earlier)) == 1
    assert len(assessed) == 7
    assert begin(data, tmp_path / "full") == 1
    assert files(tmp_path / "short") == files(tmp_path / "full")


def test_on_another_day_everybody_is_assessed(
    earlier: Path, assessed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = (*COMMON[:-1], "2025-06-20", "--complete", "all")
    assert begin(earlier.parent / "data", tmp_path / "run", "--after", str(earlier), common=later) == 0
    assert "taken over: 0 not the same as there: as_of" in capsys.readouterr().err
    assert len(assessed) == 6


def test_who_could_not_be_assessed_and_what_was_wrong_is_told_again(tmp_path: Path) -> None:
    replaced(tmp_path / "data")
    whole = begin(tmp_path / "data", tmp_path / "first")
    assert begin(tmp_path / "data", tmp_path / "again", "--after", str(tmp_path / "first")) == whole == 16
    assert files(tmp_path / "again") == files(tmp_path / "first")


def test_a_run_that_takes_over_goes_on_where_it_was_stopped(earlier: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with stopped_at(4, KeyboardInterrupt):
        assert begin(earlier.parent / "data", out, "--after", str(earlier)) == 130
    assert run(["cohort", "resume", str(out)]) == 0
    assert files(out) == files(earlier)


def test_of_a_run_that_has_not_ended_nothing_is_taken_over(
    earlier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(earlier, tmp_path / "open")
    (tmp_path / "open" / "work").mkdir()
    assert begin(earlier.parent / "data", tmp_path / "run", "--after", str(tmp_path / "open")) == 0
    assert "taken over: 0 that run has not ended" in capsys.readouterr().err
    assert files(tmp_path / "run") == files(earlier)


def test_a_folder_of_something_else_is_no_earlier_run(earlier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = earlier.parent / "data"
    assert begin(data, tmp_path / "run", "--after", str(data)) == 2
    assert "this is no folder of a run" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_over_facts_takes_nothing_over(earlier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(earlier, tmp_path / "kept")
    assert run(["cohort", "facts", str(tmp_path / "kept")]) == 0
    assert begin(tmp_path / "kept" / "facts", tmp_path / "run", "--after", str(earlier)) == 2
    assert "is seen in charts, not in facts" in capsys.readouterr().err


def test_the_digest_of_a_chart_sees_values_and_not_their_order() -> None:
    one: Resource = {"resourceType": "Observation", "id": "a", "valueQuantity": {"value": Decimal("7.50")}}
    other: Resource = {"resourceType": "Patient", "id": "p"}

    def digest(*resources: Resource, lines: int = 0, **changes: Any) -> bytes:
        texts = [msgspec.json.Encoder(decimal_format="number").encode(resource) for resource in resources[:lines]]
        return digest_of(Chart(patient="p", resources=list(resources), **changes), texts)

    plain = digest(one, other)
    assert digest(one, other, lines=1) == digest(one, other, lines=2) == plain
    assert digest(other, one) == plain
    for value in (Decimal("7.5"), "7.50", 7):
        assert digest({**one, "valueQuantity": {"value": value}}, other) != plain
    assert digest(one) != digest(one, one)
    assert digest(one, other, errors=("FE0302",)) != plain
    assert digest(one, other, broken=True) != plain
