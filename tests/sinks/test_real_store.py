"""`screen --write` against a FHIR server that this project did not write, read back by clients that it did not write either."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from fhirclient.client import FHIRClient
from fhirclient.models.guidanceresponse import GuidanceResponse
from fhirclient.models.provenance import Provenance
from fhirclient.models.researchsubject import ResearchSubject
from fhirpy import SyncFHIRClient

from fhir_elig.cli import run
from fhir_elig.sinks import Outcome, Result
from fhir_elig.sinks.declared import read_declared
from fhir_elig.sinks.delivery import delivery
from fhir_elig.sinks.fhir_store import Store
from fhir_elig.sinks.outbox import Outbox
from fhir_elig.sinks.plan import Plan, Rules, make_plan
from fhir_elig.sinks.wire import Wire
from fhir_elig.sources.transport import Transport
from fhir_elig.verdict import Assessment, Status
from tests.sinks.test_fhir_store import ASSESSMENT, RECORDED
from tests.sinks.turns import Step, Turns, in_turn
from tests.sources import sekmet

WRITERS = 16
STUDY = "ResearchStudy/77"
SITE = """\
study: {{relma-cel-ssc: ResearchStudy/77}}
write: {{outbox: outbox.sqlite, store: "{base}", also: [List], allow: [candidate, potential-candidate, ineligible]}}
"""
KINDS = ("ResearchSubject", "GuidanceResponse", "Provenance", "Device", "List")
_PATIENTS = itertools.count(1)


@pytest.fixture
def patient(base: str) -> str:
    """A patient of this test's own."""
    name = f"w{next(_PATIENTS)}"
    sekmet.load(base, [{"resourceType": "Patient", "id": name, "birthDate": "1980-01-02", "gender": "female"}])
    return name


def screened(base: str, patient: str, folder: Path) -> int:
    site = folder / "site.yaml"
    site.write_text(SITE.format(base=base), encoding="utf-8")
    screen = ["screen", "--protocol", "relma-cel-ssc", "--as-of", "2025-06-01", "--server", base, "--patient", patient]
    return run([*screen, "--site", str(site), "--write", "--format", "ndjson"])


def held(base: str, kind: str) -> list[dict[str, Any]]:
    bundle = requests.get(f"{base}/{kind}?_count=200", timeout=30).json()
    return [entry["resource"] for entry in bundle.get("entry", [])]


def subjects(base: str, patient: str) -> list[dict[str, Any]]:
    return [one for one in held(base, "ResearchSubject") if one["individual"]["reference"].endswith(f"Patient/{patient}")]


def test_what_was_written_is_read_back_by_two_clients_of_others(
    base: str, patient: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FHIR_ELIG_OUTBOX", raising=False)
    assert screened(base, patient, tmp_path) == 0, capsys.readouterr().err
    assert f"write created     Patient/{patient} ResearchSubject/" in capsys.readouterr().err
    (subject,) = subjects(base, patient)

    client = SyncFHIRClient(base)
    counts = {kind: len(client.resources(kind).fetch_all()) for kind in KINDS}
    assert all(counts.values()), counts
    assert client.reference("ResearchSubject", subject["id"]).to_resource()["status"] == subject["status"]

    server = FHIRClient(settings={"app_id": "elig", "api_base": base}).server
    read = ResearchSubject.read(subject["id"], server)
    assert (read.study.reference, read.status) == ("ResearchStudy/77", subject["status"])
    about = [one for one in held(base, "GuidanceResponse") if one["subject"]["reference"].endswith(f"Patient/{patient}")]
    assert [GuidanceResponse.read(one["id"], server).status for one in about] == [about[0]["status"]]
    named = {target["reference"].split("/_history/")[0] for one in held(base, "Provenance") for target in one["target"]}
    assert f"ResearchSubject/{subject['id']}" in named
    assert all(Provenance.read(one["id"], server).agent for one in held(base, "Provenance"))


def test_a_second_run_adds_nothing_and_what_a_person_set_stays(
    base: str, patient: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FHIR_ELIG_OUTBOX", raising=False)
    assert screened(base, patient, tmp_path) == 0
    counts = {kind: len(held(base, kind)) for kind in KINDS}
    assert screened(base, patient, tmp_path) == 0
    assert "write unchanged" in capsys.readouterr().err
    assert {kind: len(held(base, kind)) for kind in KINDS} == counts

    (subject,) = subjects(base, patient)
    person = requests.put(f"{base}/ResearchSubject/{subject['id']}", json={**subject, "status": "withdrawn"}, timeout=30)
    assert person.ok
    assert screened(base, patient, tmp_path) == 0
    assert "superseded by a person or another system" in capsys.readouterr().err
    assert [one["status"] for one in subjects(base, patient)] == ["withdrawn"]


def test_sixteen_writers_at_once_leave_one_subject(base: str, patient: str) -> None:
    """Each with an outbox of its own, as of machines that do not know of each other."""
    rules = Rules(study="ResearchStudy/77", store=True)
    statement = requests.get(f"{base}/metadata", timeout=30).json()
    plan = make_plan(base, read_declared(statement), rules)
    one = msgspec.structs.replace(ASSESSMENT, base=base, patient=f"Patient/{patient}")

    def write(_: int) -> Result:
        return Store(Wire(Transport(base)), plan, Outbox(None)).deliver(delivery(one, plan, RECORDED))

    with ThreadPoolExecutor(WRITERS) as pool:
        results = list(pool.map(write, range(WRITERS)))
    assert len(subjects(base, patient)) == 1
    # This server lets a PUT with If-None-Match: * write over what is there: whoever was written over is told, never glossed over.
    outcomes = [result.outcome for result in results]
    assert outcomes.count(Outcome.CREATED) <= 1
    assert set(outcomes) <= {Outcome.CREATED, Outcome.UNCHANGED, Outcome.LEFT, Outcome.CONFLICT}
    assert subjects(base, patient)[0]["status"] == "candidate"


def test_wherever_a_person_comes_in_between_their_state_stays(base: str) -> None:
    """A second run is stopped before each of its requests in turn; then a person takes the patient on, and the run goes on."""
    plan = make_plan(base, read_declared(requests.get(f"{base}/metadata", timeout=30).json()), Rules(study=STUDY, store=True))
    for before in range(1, 7):
        patient = f"between-{before}"
        sekmet.load(base, [{"resourceType": "Patient", "id": patient, "birthDate": "1980-01-02"}])
        first = msgspec.structs.replace(ASSESSMENT, base=base, patient=f"Patient/{patient}")
        second = msgspec.structs.replace(first, as_of="2025-06-09", status=Status.INELIGIBLE)
        assert (
            Store(Wire(Transport(base)), plan, Outbox(None)).deliver(delivery(first, plan, RECORDED)).outcome is Outcome.CREATED
        )
        results = Turns([0] * before + [1]).run([partial(_written, plan, second), partial(_taken_on, base, patient)])
        assert results[0].outcome in {Outcome.LEFT, Outcome.UPDATED, Outcome.CONFLICT}
        assert [found["status"] for found in subjects(base, patient)] == ["on-study"]


def _written(plan: Plan, one: Assessment, step: Step) -> Result:
    return Store(Wire(in_turn(Transport(plan.base), step)), plan, Outbox(None)).deliver(
        delivery(one, plan, "2025-09-16T06:00:00Z")
    )


def _taken_on(base: str, patient: str, step: Step) -> None:
    step()
    (there,) = subjects(base, patient)
    assert requests.put(f"{base}/ResearchSubject/{there['id']}", json={**there, "status": "on-study"}, timeout=30).ok
