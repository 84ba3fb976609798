"""Safe write-back: a person wins, one subject per patient and study, every status read, nothing sent twice blindly."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import responses

from fhir_elig.errors import FhirEligError, SourceError
from fhir_elig.sinks import Outcome, Result
from fhir_elig.sinks.declared import read_declared
from fhir_elig.sinks.delivery import delivery
from fhir_elig.sinks.fhir_store import Store
from fhir_elig.sinks.outbox import Outbox
from fhir_elig.sinks.plan import How, Plan, Rules, make_plan, plan_text, state_to_write, subject_key
from fhir_elig.sinks.wire import Wire
from fhir_elig.verdict import Assessment, Status
from tests.sinks.stores import Memory, statement
from tests.sources.fakes import BASE, FHIR, Answer, transport

PUBLISHED = json.loads((Path(__file__).parents[1] / "data" / "assessment.json").read_text(encoding="utf-8"))
ASSESSMENT = msgspec.structs.replace(msgspec.convert(PUBLISHED, Assessment), base=BASE, status=Status.CANDIDATE)
RECORDED = "2025-09-15T06:00:00Z"
RULES = Rules(study="ResearchStudy/77")
FLAGS: dict[str, dict[str, bool]] = {
    "conditional create": {"conditionalCreate": True},
    "update as create": {"updateCreate": True},
    "plain POST": {},
}


def plan(rules: Rules = RULES, **flags: bool) -> Plan:
    return make_plan(BASE, read_declared(statement(**flags)), rules)


class Run:
    """A memory store and what writes to it."""

    def __init__(self, made: Plan) -> None:
        self.memory, self.outbox, self.plan = Memory(), Outbox(None), made

    def write(self, status: Status = Status.CANDIDATE, as_of: str = "2025-06-01", recorded: str = RECORDED) -> Result:
        one = msgspec.structs.replace(ASSESSMENT, status=status, as_of=as_of)
        return self.store().deliver(delivery(one, self.plan, recorded))

    def store(self) -> Store:
        return Store(Wire(transport()), self.plan, self.outbox)

    def subject(self) -> str:
        (found,) = [name for name in self.memory.held if name.startswith("ResearchSubject/")]
        return found


@pytest.fixture(params=FLAGS.values(), ids=FLAGS)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    made = Run(plan(**request.param))
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            mock.add_callback(method, re.compile(".*"), callback=made.memory)
        yield made


def test_the_same_assessment_twice_writes_once(run: Run) -> None:
    first, written = run.write(), len(run.memory.writes())
    second = run.write()
    assert (first.outcome, second.outcome) == (Outcome.CREATED, Outcome.UNCHANGED)
    assert len(run.memory.writes()) == written
    assert [len(run.memory.of(kind)) for kind in ("ResearchSubject", "GuidanceResponse", "Provenance")] == [1, 1, 1]


def test_a_new_state_is_put_over_the_very_version_that_we_wrote(run: Run) -> None:
    run.write()
    assert run.write(Status.INELIGIBLE, "2025-06-02").outcome is Outcome.UPDATED
    assert ("PUT", run.subject(), 'W/"1"') in run.memory.asked
    assert run.memory.held[run.subject()]["status"] == "ineligible"


def test_no_put_goes_without_a_condition_and_nothing_is_deleted(run: Run) -> None:
    run.write()
    run.write(Status.INELIGIBLE, "2025-06-02")
    assert {method for method, _, _ in run.memory.asked} <= {"GET", "POST", "PUT"}
    assert all(condition for method, _, condition in run.memory.asked if method == "PUT")


@pytest.mark.parametrize(
    "changes", [{"status": "on-study"}, {"status": "candidate"}, {"identifier": []}, {"period": {"start": "2025"}}]
)
def test_what_a_person_touched_stays_and_the_guidance_is_stored(run: Run, changes: dict[str, Any]) -> None:
    run.write()
    name = run.subject()
    run.memory.person(name, **changes)
    kept = run.memory.held[name]
    result = run.write(Status.INELIGIBLE, "2025-06-02")
    assert result.outcome is Outcome.LEFT and "superseded by a person or another system" in result.note
    assert run.memory.held[name] == kept
    assert len(run.memory.of("GuidanceResponse")) == 2


def test_two_subjects_are_reported_and_neither_is_touched(run: Run) -> None:
    run.write()
    first = run.memory.held[run.subject()]
    run.memory.held["ResearchSubject/other"] = {**first, "id": "other"}
    written = len(run.memory.writes())
    result = run.write(Status.INELIGIBLE, "2025-06-02")
    assert (result.outcome, result.code) == (Outcome.CONFLICT, "FE0503")
    assert len(run.memory.writes()) == written


@pytest.mark.parametrize("status", [409, 412])
def test_a_conflict_stops_the_patient(run: Run, status: int) -> None:
    run.memory.before = lambda method, path: (status, FHIR, "{}")
    result = run.write()
    assert (result.outcome, result.code) == (Outcome.CONFLICT, "FE0501")
    assert len(run.memory.writes()) == 1 and run.memory.held == {}


def test_a_lost_answer_is_settled_by_looking_and_not_by_writing_again(run: Run) -> None:
    run.memory.lose = lambda method, path: path.startswith("ResearchSubject")
    assert run.write().outcome is Outcome.CREATED
    sent = [path for _, path, _ in run.memory.writes() if path.startswith("ResearchSubject")]
    assert len(sent) == 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_failed_write_is_finished_by_the_next_run(run: Run, status: int) -> None:
    run.memory.before = lambda method, path: (status, FHIR, "{}")
    result = run.write()
    assert (result.outcome, result.code) == (Outcome.FAILED, "FE0502")
    run.memory.before = lambda method, path: None
    assert [one.outcome for one in run.store().recover()] == [Outcome.CREATED]
    assert list(run.store().recover()) == []
    assert len(run.memory.of("ResearchSubject")) == 1


def test_who_was_assessed_anew_is_not_written_as_an_earlier_run_would_have(run: Run) -> None:
    run.memory.before = lambda method, path: (503, FHIR, "{}")
    assert run.write().outcome is Outcome.FAILED
    run.memory.before = lambda method, path: None
    assert list(run.store().recover(besides={subject_key(ASSESSMENT, RULES.study)})) == []
    assert run.write(Status.INELIGIBLE, "2025-06-02").outcome is Outcome.NOT_CREATED
    assert run.memory.of("ResearchSubject") == [] and list(run.store().recover()) == []


def test_a_write_that_shows_when_the_patient_is_assessed_anew_is_ours(run: Run) -> None:
    run.memory.lose = lambda method, path: path.startswith("ResearchSubject")
    run.memory.unreadable = lambda: run.memory.of("ResearchSubject") != []
    assert run.write().outcome is Outcome.FAILED
    run.memory.lose, run.memory.unreadable = lambda method, path: False, lambda: False
    assert run.write(Status.INELIGIBLE, "2025-06-02").outcome is Outcome.UPDATED
    assert run.memory.held[run.subject()]["status"] == "ineligible"


def test_recovery_leaves_what_a_newer_run_elsewhere_has_written(run: Run) -> None:
    run.write()
    run.memory.before = lambda method, path: (503, FHIR, "{}")
    assert run.write(Status.INELIGIBLE, "2025-06-02", "2025-09-15T07:00:00Z").outcome is Outcome.FAILED
    run.memory.before = lambda method, path: None
    here, run.outbox = run.outbox, Outbox(None)
    assert run.write(Status.POTENTIAL_CANDIDATE, "2025-06-03", "2025-09-15T08:00:00.000+00:00").outcome is Outcome.UPDATED
    run.outbox = here
    (left,) = run.store().recover()
    assert left.outcome is Outcome.LEFT and "newer" in left.note
    assert run.memory.held[run.subject()]["status"] == "potential-candidate"


def test_a_conflict_beside_the_subject_names_the_record_and_tells_that_the_subject_stands(run: Run) -> None:
    run.memory.before = lambda method, path: (409, FHIR, "{}") if path.startswith("GuidanceResponse") else None
    result = run.write()
    assert (result.outcome, result.code) == (Outcome.CONFLICT, "FE0501")
    assert result.reference.startswith(run.subject()) and "settled (created); GuidanceResponse: HTTP 409" in result.note


def test_what_another_run_of_ours_stored_beside_it_first_is_no_conflict(run: Run) -> None:
    """The very same GuidanceResponse is stored by somebody else between our look and our write."""

    def first(method: str, path: str) -> Answer | None:
        if not path.startswith("GuidanceResponse") or run.memory.of("GuidanceResponse"):
            return None
        now = msgspec.structs.replace(ASSESSMENT, as_of="2025-06-01", status=Status.CANDIDATE)
        made = delivery(now, run.plan, RECORDED).beside[0]
        run.memory.held[f"GuidanceResponse/{made['id']}"] = {**made, "meta": {"versionId": "1"}}
        return (412, FHIR, "{}")

    run.memory.before = first
    assert run.write().outcome is Outcome.CREATED
    assert len(run.memory.of("GuidanceResponse")) == 1


def test_an_answer_that_the_server_did_not_filter_is_no_hit(run: Run) -> None:
    run.memory.filters = False
    other = {"individual": {"reference": "Patient/else"}, "study": {"reference": "ResearchStudy/77"}, "status": "on-study"}
    run.memory.held["ResearchSubject/x"] = {"resourceType": "ResearchSubject", "id": "x", "meta": {"versionId": "1"}, **other}
    assert run.write().outcome is Outcome.CREATED
    assert run.memory.held["ResearchSubject/x"]["status"] == "on-study"


def test_an_ineligible_patient_gets_no_new_record(run: Run) -> None:
    assert run.write(Status.INELIGIBLE).outcome is Outcome.NOT_CREATED
    assert run.memory.writes() == []


def test_a_removed_subject_is_not_made_again(run: Run) -> None:
    run.write()
    del run.memory.held[run.subject()]
    assert run.write(Status.CANDIDATE, "2025-06-02").outcome is Outcome.CONFLICT
    assert run.memory.of("ResearchSubject") == []


@pytest.mark.parametrize(
    ("status", "allow", "state"),
    [
        (Status.ELIGIBLE, {"candidate", "potential-candidate"}, "candidate"),
        (Status.ELIGIBLE, {"eligible"}, "eligible"),
        (Status.CANDIDATE, {"potential-candidate"}, "potential-candidate"),
        (Status.POTENTIAL_CANDIDATE, {"candidate"}, None),
        (Status.INELIGIBLE, {"candidate"}, None),
        (Status.INELIGIBLE, {"ineligible"}, "ineligible"),
    ],
)
def test_never_above_what_the_site_allows(status: Status, allow: set[str], state: str | None) -> None:
    assert state_to_write(status, frozenset(allow)) == state


def test_a_server_that_takes_nothing_is_told_before_anything_is_sent() -> None:
    with pytest.raises(SourceError) as caught:
        make_plan(BASE, read_declared({"fhirVersion": "4.0.1"}), RULES)
    assert caught.value.code == "FE0504"


def test_a_store_that_the_site_names_is_written_by_put_where_it_declares_nothing() -> None:
    made = make_plan(BASE, read_declared({"fhirVersion": "4.0.1"}), msgspec.structs.replace(RULES, store=True))
    assert made.how["ResearchSubject"] is How.PUT
    text = plan_text(made, [ASSESSMENT])
    assert "If-None-Match" in text and "it stays as it is" in text


def test_a_put_without_a_condition_is_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match="If-Match"):
        Wire(transport()).put({"resourceType": "List", "id": "x"}, {}, 2000.0)


def test_a_second_run_on_one_outbox_is_refused_and_the_file_is_its_owners(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "state" / "outbox.sqlite")
    with pytest.raises(FhirEligError, match="another run"):
        Outbox(tmp_path / "state" / "outbox.sqlite")
    assert {path.stat().st_mode & 0o77 for path in (tmp_path / "state").iterdir()} == {0}
    first.close()


def test_an_audit_event_is_written_only_where_a_second_one_would_show() -> None:
    also = Rules(study="ResearchStudy/77", also=("AuditEvent",))
    every = {"interaction": [{"code": code} for code in ("read", "create", "update")], "searchParam": [{"name": "identifier"}]}
    for flags, how in (({}, How.NOT), ({"conditionalCreate": True}, How.NOT), ({"updateCreate": True}, How.PUT)):
        said = statement()
        said["rest"][0]["resource"].append({"type": "AuditEvent", **every, **flags})
        assert make_plan(BASE, read_declared(said), also).how["AuditEvent"] is how
