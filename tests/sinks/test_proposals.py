"""A hospital's own record gets a proposal only where the site file asks for it: one a patient, and a person's from then on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import responses

from fhir_elig.cli import run
from fhir_elig.errors import SourceError
from fhir_elig.outputs.checks import check
from fhir_elig.sinks import Outcome, Result
from fhir_elig.sinks.beside import Beside
from fhir_elig.sinks.declared import read_declared
from fhir_elig.sinks.plan import Plan, Rules, make_plan
from fhir_elig.sinks.proposals import proposal, propose
from fhir_elig.sinks.wire import Wire
from fhir_elig.verdict import Status
from tests.sinks.stores import Memory
from tests.sinks.test_fhir_store import ASSESSMENT
from tests.sources.fakes import BASE, FHIR, transport

RULES = Rules(study="ResearchStudy/77", proposal=True)


def declared(*codes: str, version: str = "4.0.1", parameters: tuple[str, ...] = ("identifier",)) -> dict[str, Any]:
    listed = {"interaction": [{"code": code} for code in codes], "searchParam": [{"name": name} for name in parameters]}
    resource = [{"type": "ServiceRequest", **listed}]
    return {"resourceType": "CapabilityStatement", "fhirVersion": version, "rest": [{"mode": "server", "resource": resource}]}


@pytest.fixture
def memory() -> Iterator[Memory]:
    held = Memory()
    held.declared = declared("read", "search-type", "create")
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method in ("GET", "POST", "PUT"):
            mock.add_callback(method, re.compile(".*"), callback=held)
        yield held


def proposed(plan: Plan, status: Status = Status.CANDIDATE, as_of: str = "2025-06-01") -> Result:
    one = msgspec.structs.replace(ASSESSMENT, status=status, as_of=as_of)
    return propose(one, plan, Beside(Wire(transport()), plan), 2000.0)


@pytest.mark.parametrize("version", ["4.0.1", "5.0.0"])
def test_a_proposal_is_sound_quotes_nothing_and_needs_no_record_of_ours(version: str) -> None:
    plan = make_plan(BASE, read_declared(declared("read", "search-type", "create", version=version)), RULES)
    made = proposal(ASSESSMENT, plan)
    assert check(made, plan.fhir_version) == [] and (made["intent"], made["status"]) == ("proposal", "draft")
    assert "ResearchSubject" not in str(made) and "GuidanceResponse" not in str(made)


def test_it_is_made_once_read_back_and_then_a_persons(memory: Memory) -> None:
    plan = make_plan(BASE, read_declared(memory.declared), RULES)
    memory.lose = lambda method, path: True
    assert proposed(plan).outcome is Outcome.CREATED
    assert proposed(plan, as_of="2025-06-02").outcome is Outcome.UNCHANGED
    (name,) = memory.held
    left = proposed(plan, Status.INELIGIBLE)
    assert left.outcome is Outcome.LEFT and left.reference.startswith(name)
    memory.person(name, status="revoked")
    assert proposed(plan).note == "revoked" and proposed(plan, Status.INELIGIBLE).outcome is Outcome.UNCHANGED
    assert len(memory.writes()) == 1 and memory.held[name]["status"] == "revoked"


def test_nobody_is_proposed_who_is_excluded_and_a_failure_is_told(memory: Memory) -> None:
    plan = make_plan(BASE, read_declared(memory.declared), RULES)
    assert proposed(plan, Status.INELIGIBLE).outcome is Outcome.NOT_CREATED
    for status, outcome in ((409, Outcome.CONFLICT), (503, Outcome.FAILED), (422, Outcome.FAILED)):
        memory.before = lambda method, path, status=status: (status, FHIR, "{}")  # type: ignore[misc]
        assert proposed(plan).outcome is outcome
    assert memory.held == {}


def test_where_a_second_one_would_not_show_none_is_made() -> None:
    with pytest.raises(SourceError) as caught:
        make_plan(BASE, read_declared(declared("read", "search-type", "create", parameters=("patient",))), RULES)
    assert caught.value.code == "FE0504"


def test_the_command_proposes_where_the_site_file_says_so(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FHIR_ELIG_OUTBOX", raising=False)
    memory.held["Patient/p1"] = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01"}
    site = tmp_path / "site.yaml"
    screen = ["screen", "--protocol", "relma-cel-ssc", "--as-of", "2025-06-01", "--server", BASE, "--patient", "p1"]
    for write, code in (("{outbox: o}", 14), ("{outbox: o, proposal: true}", 0)):
        site.write_text(f"study: {{relma-cel-ssc: ResearchStudy/77}}\nwrite: {write}\n", encoding="utf-8")
        assert run([*screen, "--site", str(site), "--write"]) == code
    assert "write created     Patient/p1 ServiceRequest/" in capsys.readouterr().err
    assert [path for _, path, _ in memory.writes()] == ["ServiceRequest"]
