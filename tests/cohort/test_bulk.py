"""`cohort run --bulk` against a FHIR server that this project did not write: export, run, increment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from benchmarks.charts import chart
from fhir_elig.cli import run
from tests.sources.sekmet import load, running

COMMON = ("--protocol", "relma-cel-ssc", "--as-of", "2025-06-01")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("sekmet")) as base:
        load(base, [resource for seed in range(2) for resource in chart(seed)])
        yield base


def statuses(path: Path) -> dict[str, str]:
    return {one["patient"]: one["status"] for one in map(json.loads, path.read_text().splitlines())}


def test_an_export_is_fetched_screened_and_brought_up_to_date(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(["cohort", "run", *COMMON, "--bulk", server, "--out", str(first)]) == 0
    manifest = json.loads((first / "export" / "manifest.json").read_text())
    assert {path.stat().st_mode & 0o777 for path in (first / "export").iterdir()} == {0o600}
    assert (first / "export").stat().st_mode & 0o777 == 0o700
    stated = {one["type"]: one["count"] for one in manifest["output"]}
    assert stated["Patient"] == 2
    assert stated["Observation"] == sum(
        resource["resourceType"] == "Observation" for seed in range(2) for resource in chart(seed)
    )
    before = [json.loads(line) for line in (first / "assessments.ndjson").read_text().splitlines()]
    assert {"type": "Observation", "complete": True, "note": ""} in before[0]["retrieved"]

    died = {
        "resourceType": "Patient",
        "id": "p1",
        "gender": "female",
        "birthDate": "1980-01-01",
        "deceasedDateTime": "2025-05-01",
    }
    requests.put(f"{server}/Patient/p1", json=died, timeout=30).raise_for_status()
    gone = next(resource for resource in chart(0) if resource["resourceType"] == "Condition")
    requests.delete(f"{server}/Condition/{gone['id']}", timeout=30).raise_for_status()
    assert run(["cohort", "run", *COMMON, "--bulk", server, "--after", str(first), "--out", str(second)]) == 0
    after = statuses(second / "assessments.ndjson")
    assert after["Patient/p1"] == "ineligible"
    assert after["Patient/p0"] == statuses(first / "assessments.ndjson")["Patient/p0"]
    merged = json.loads((second / "export" / "manifest.json").read_text())
    assert merged["transactionTime"] >= manifest["transactionTime"]
    assert {one["type"]: one["count"] for one in merged["output"]}["Observation"] == stated["Observation"]
    assert "resources changed since" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "--data or --bulk"),
        (("--data", "x", "--bulk", "http://127.0.0.1:1/fhir"), "--data or --bulk"),
        (("--data", "x", "--group", "g"), "belong to --bulk"),
        (("--bulk", "http://127.0.0.1:1/fhir", "--since", "2025-01-01T00:00:00Z"), "what changed is not a chart"),
        (("--bulk", "http://127.0.0.1:1/fhir", "--group", "g", "--after", "x"), "who joined or left"),
    ],
)
def test_what_does_not_go_together_is_refused(
    options: tuple[str, ...], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["cohort", "run", *COMMON, *options, "--out", str(tmp_path / "run")]) == 2
    assert why in " ".join(capsys.readouterr().err.split())


def test_what_changed_is_asked_for_only_since_an_export_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--bulk", "http://127.0.0.1:1/fhir", "--after", str(tmp_path), "--out", str(tmp_path / "run"))
    assert run(["cohort", "run", *COMMON, *options]) == 11
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "manifest.json").write_text('{"transactionTime": "2025-06-01T08:00:00Z"}')
    assert run(["cohort", "run", *COMMON, *options, "--since", "2025-06-01T09:00:00Z"]) == 2
    assert run(["cohort", "run", *COMMON, *options, "--since", "yesterday"]) == 2
    assert "is no instant" in capsys.readouterr().err
