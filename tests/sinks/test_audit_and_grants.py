"""What is written beside a recommendation to say who read a chart, and what happens where a scope for writing is missing."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import responses
from joserfc.jwk import ECKey

from fhir_elig.cli import run as command
from fhir_elig.sinks import Outcome
from fhir_elig.sinks.declared import read_declared
from fhir_elig.sinks.delivery import delivery
from fhir_elig.sinks.plan import make_plan
from fhir_elig.verdict import Status
from tests.sinks.stores import Memory, statement
from tests.sinks.test_fhir_store import ASSESSMENT, RULES, Run
from tests.sources.fakes import BASE, FHIR, Answer, outcome

AUDITED = msgspec.structs.replace(RULES, also=("AuditEvent",))
LATER = "2025-09-16T06:00:00Z"


@pytest.fixture
def audited() -> Iterator[Run]:
    """A run against a store that takes AuditEvents under our own ids."""
    said = statement(updateCreate=True)
    every = [{"code": code} for code in ("read", "create", "update")]
    said["rest"][0]["resource"].append({"type": "AuditEvent", "interaction": every, "updateCreate": True})
    made = Run(make_plan(BASE, read_declared(said), AUDITED))
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method in ("GET", "POST", "PUT"):
            mock.add_callback(method, re.compile(".*"), callback=made.memory)
        yield made


def test_every_reading_of_a_chart_leaves_one_audit_event(audited: Run) -> None:
    assert audited.write().outcome is Outcome.CREATED
    assert audited.write().outcome is Outcome.UNCHANGED, "the same run, told again"
    (event,) = audited.memory.of("AuditEvent")
    assert event["entity"][0]["what"] == {"reference": ASSESSMENT.patient} and event["recorded"].startswith("2025-09-15")
    audited.write(recorded=LATER)
    assert sorted(one["recorded"] for one in audited.memory.of("AuditEvent")) == [event["recorded"], LATER]


def test_an_audit_event_quotes_nothing_of_the_chart(audited: Run) -> None:
    audited.write()
    (event,) = audited.memory.of("AuditEvent")
    found = re.findall(r'"(?:received|compared|reference|limit)":"([^"]{4,})"', msgspec.json.encode(ASSESSMENT).decode())
    chart = set(found) - {ASSESSMENT.patient, "true", "false"}  # words of JSON itself
    assert len(chart) > 5, "there is something that could be quoted"
    told = json.dumps(event, ensure_ascii=False) + base64.b64decode(event["entity"][1]["query"]).decode()
    assert [text for text in chart if text in told] == []


@pytest.mark.parametrize("status", [Status.INELIGIBLE, Status.ELIGIBLE])
def test_a_reading_is_told_whatever_came_of_it(audited: Run, status: Status) -> None:
    audited.write()
    audited.memory.person(audited.subject(), status="on-study")
    audited.write(status, "2025-06-02", LATER)
    assert len(audited.memory.of("AuditEvent")) == 2
    assert audited.memory.held[audited.subject()]["status"] == "on-study"


ANSWERS = [(403, "FE0403"), (422, "FE0415"), (412, "FE0501")]


@pytest.mark.parametrize(("status", "code"), ANSWERS)
def test_an_audit_event_that_is_refused_is_told_and_the_next_run_finishes(audited: Run, status: int, code: str) -> None:
    memory = audited.memory
    memory.before = lambda method, path: (status, FHIR, json.dumps(outcome())) if path.startswith("AuditEvent") else None
    told = audited.write()
    assert told.code == code and told.outcome in (Outcome.FAILED, Outcome.CONFLICT)
    assert memory.of("AuditEvent") == [] and len(memory.of("ResearchSubject")) == 1
    memory.before = lambda method, path: None
    audited.write()
    assert len(memory.of("AuditEvent")) == 1 and len(memory.of("ResearchSubject")) == 1


def test_what_stands_under_the_id_of_an_audit_event_is_left_as_it_is(audited: Run) -> None:
    made = delivery(ASSESSMENT, audited.plan, LATER).beside
    own = next(one for one in made if one["resourceType"] == "AuditEvent")
    there = {**own, "recorded": "2020-01-01T00:00:00Z", "meta": {"versionId": "1"}}
    audited.memory.held[f"AuditEvent/{own['id']}"] = there
    audited.write(recorded=LATER)
    assert audited.memory.held[f"AuditEvent/{own['id']}"] == there


# The scope for writing --------------------------------------------------------------------------------------------------

SCREEN = ("screen", "--protocol", "relma-cel-ssc", "--as-of", "2025-06-01", "--server", BASE, "--patient", "p1", "--write")
SITE = f"""
study: {{relma-cel-ssc: ResearchStudy/77}}
server: {{base: "{BASE}", auth: smart-backend, client_id: elig, key: key.pem, token_endpoint: "{BASE}/token"}}
write: {{outbox: outbox.sqlite}}
"""
READING = "system/Patient.rs system/ResearchStudy.rs"
WRITING = " ".join(f"system/{kind}.crus" for kind in ("Device", "GuidanceResponse", "Provenance"))
Granting = Callable[[str], Memory]


@pytest.fixture
def granting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Granting]:
    """A store whose token endpoint grants these scopes."""
    monkeypatch.delenv("FHIR_ELIG_OUTBOX", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("site.yaml").write_text(SITE, encoding="utf-8")
    Path("key.pem").write_bytes(ECKey.generate_key("P-384", private=True).as_pem(private=True))
    Path("key.pem").chmod(0o600)
    held = Memory()
    patient: dict[str, Any] = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01"}
    held.held = {"Patient/p1": patient, "ResearchStudy/77": {"resourceType": "ResearchStudy", "id": "77"}}
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method in ("GET", "POST", "PUT"):
            mock.add_callback(method, re.compile(".*"), callback=held)

        def granted(scope: str) -> Memory:
            token = json.dumps({"access_token": "t", "token_type": "bearer", "expires_in": 300, "scope": scope})
            held.before = lambda method, path: (200, {}, token) if path == "token" else None
            return held

        yield granted


def changes(memory: Memory) -> list[str]:
    return [f"{method} {path.split('/')[0]}" for method, path, _ in memory.writes() if path != "token"]


LACKING = {
    "nothing of it": READING,
    "reading alone": f"{READING} system/ResearchSubject.rs",
    "creating alone": f"{READING} system/ResearchSubject.crs",
    "updating alone": f"{READING} system/ResearchSubject.urs",
    "reading of the first version": f"{READING} system/ResearchSubject.read",
    "another type": f"{READING} system/ResearchStudy.cruds",
    "a type that begins so": f"{READING} system/ResearchSubjects.cruds",
    "in capitals": f"{READING} SYSTEM/RESEARCHSUBJECT.CRUDS",
}


@pytest.mark.parametrize("scope", LACKING.values(), ids=LACKING)
def test_without_a_scope_to_write_nothing_is_read_and_nothing_written(
    scope: str, granting: Granting, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = granting(scope)
    assert command([*SCREEN, "--site", "site.yaml"]) == 12
    said = capsys.readouterr()
    assert "FE0403" in said.err and "ResearchSubject" in said.err and "without --write" in said.err and said.out == ""
    assert not [path for _, path, _ in memory.asked if path.startswith(("Patient", "ResearchSubject"))]
    assert changes(memory) == [] and not Path("outbox.sqlite").exists()


COVERING = {
    "create and update": f"{READING} {WRITING} system/ResearchSubject.crus",
    "the first version": f"{READING} {WRITING} system/ResearchSubject.read system/ResearchSubject.write",
    "all types": "system/*.cruds",
    "a part of the type": f"{READING} {WRITING} system/ResearchSubject.cruds?study=ResearchStudy/77",
}


@pytest.mark.parametrize("scope", COVERING.values(), ids=COVERING)
def test_a_scope_that_may_cover_it_lets_the_server_decide(scope: str, granting: Granting) -> None:
    memory = granting(scope)
    assert command([*SCREEN, "--site", "site.yaml"]) == 0
    assert len(memory.of("ResearchSubject")) == 1 and "PUT ResearchSubject" in changes(memory)


@pytest.mark.parametrize(("kind", "made"), [("ResearchSubject", 0), ("GuidanceResponse", 1), ("Provenance", 1)])
def test_a_type_that_the_server_refuses_after_all_is_told_with_the_patient(
    kind: str, made: int, granting: Granting, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = granting("system/*.cruds")
    inner = memory.before

    def before(method: str, path: str) -> Answer | None:
        return (403, FHIR, json.dumps(outcome(code="forbidden"))) if path.startswith(kind) else inner(method, path)

    memory.before = before
    assert command([*SCREEN, "--site", "site.yaml"]) == 1
    assert "FE0403" in capsys.readouterr().err
    assert len(memory.of("ResearchSubject")) == made and memory.of(kind) == []
    assert changes(memory).count(f"PUT {kind}") == 1, "a refusal is not repeated"
