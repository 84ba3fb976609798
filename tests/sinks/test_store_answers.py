"""Answers of stores that say less than they should, something else, or nothing: each is settled by looking, none by writing again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import responses

from fhir_elig.errors import AuthorisationError
from fhir_elig.outputs.checks import check
from fhir_elig.sinks import Outcome, Result
from fhir_elig.sinks.beside import Beside
from fhir_elig.sinks.declared import read_declared
from fhir_elig.sinks.delivery import delivery
from fhir_elig.sinks.fhir_store import Store
from fhir_elig.sinks.plan import Plan, make_plan
from fhir_elig.sinks.wire import Wire
from fhir_elig.sources.credentials import Bearer
from fhir_elig.verdict import Status
from tests.sinks.stores import Memory, statement
from tests.sinks.test_fhir_store import ASSESSMENT, FLAGS, RECORDED, RULES, Run, plan
from tests.sources.fakes import BASE, FHIR, Answer, outcome, transport

ERROR = json.dumps(outcome())
SILENT: Answer = (201, {}, "")


@pytest.fixture
def stores() -> Iterator[Any]:
    """Makes runs against a store in memory, one at a time."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:

        def made(one: Plan) -> Run:
            run = Run(one)
            for method in ("GET", "POST", "PUT"):
                mock.add_callback(method, re.compile(".*"), callback=run.memory)
            return run

        yield made


def of_subject(answer: Answer) -> Any:
    """After the write was done, the ResearchSubject is answered so."""
    return lambda method, path, said: answer if path.startswith("ResearchSubject") else said


def sent(memory: Memory) -> list[str]:
    return [method for method, path, _ in memory.writes() if path.startswith("ResearchSubject")]


AFTER = {
    "201 and nothing else": (SILENT, Outcome.CREATED, ""),
    "500 after it was done": ((500, FHIR, ERROR), Outcome.CREATED, ""),
    "503 after it was done": ((503, {}, ""), Outcome.CREATED, ""),
    "201 with an error inside": ((201, FHIR, ERROR), Outcome.CREATED, ""),
    "200 instead of 201": ((200, FHIR, "{}"), Outcome.CONFLICT, "FE0501"),
    "422 after it was done": ((422, FHIR, ERROR), Outcome.FAILED, "FE0415"),
}


@pytest.mark.parametrize("how", FLAGS)
@pytest.mark.parametrize(("answer", "due", "code"), AFTER.values(), ids=AFTER)
def test_what_was_done_is_found_by_looking_and_never_sent_again(
    stores: Any, how: str, answer: Answer, due: Outcome, code: str
) -> None:
    run: Run = stores(plan(**FLAGS[how]))
    run.memory.after = of_subject(answer)
    result = run.write()
    assert (result.outcome, result.code) == (due, code)
    list(run.store().recover())
    assert len(sent(run.memory)) == 1 and len(run.memory.of("ResearchSubject")) == 1


BEFORE = {
    "422": ((422, FHIR, json.dumps(outcome(code="invalid"))), "FE0415"),
    "202, not done yet": ((202, {}, ""), "FE0415"),
    "200 with an error inside": ((200, FHIR, ERROR), "FE0502"),
    "504": ((504, {}, "<html/>"), "FE0502"),
}


@pytest.mark.parametrize(("answer", "code"), BEFORE.values(), ids=BEFORE)
def test_what_was_not_done_is_told_and_left_to_the_next_run(stores: Any, answer: Answer, code: str) -> None:
    run: Run = stores(plan(updateCreate=True))
    run.memory.before = lambda method, path: answer
    result = run.write()
    assert (result.outcome, result.code, len(sent(run.memory))) == (Outcome.FAILED, code, 1)
    assert run.memory.held == {}
    run.memory.before = lambda method, path: None
    assert [one.outcome for one in run.store().recover()] == [Outcome.CREATED]


def test_a_record_without_a_version_is_made_and_then_never_changed(stores: Any) -> None:
    run: Run = stores(plan(conditionalCreate=True))
    run.memory.versions = False
    first = run.write()
    assert first.outcome is Outcome.CREATED and "without a version" in first.note
    assert run.write(Status.INELIGIBLE, "2025-06-02").outcome is Outcome.LEFT
    assert run.memory.of("ResearchSubject")[0]["status"] == "candidate"


def test_a_store_of_r5_gets_the_shapes_of_r5(stores: Any) -> None:
    said = {**statement(updateCreate=True), "fhirVersion": "5.0.0"}
    run: Run = stores(make_plan(BASE, read_declared(said), RULES))
    assert run.write().outcome is Outcome.CREATED
    assert run.write(Status.INELIGIBLE, "2025-06-02").outcome is Outcome.UPDATED
    subject = run.memory.held[run.subject()]
    assert subject["progress"][0]["subjectState"]["coding"][0]["code"] == "ineligible"
    assert subject["subject"]["reference"] == ASSESSMENT.patient and "individual" not in subject
    assert [check(one, "R5") for one in run.memory.held.values()] == [[]] * len(run.memory.held)


@pytest.mark.parametrize("how", FLAGS)
def test_a_second_assessment_proposes_no_second_time_and_joins_no_list_twice(stores: Any, how: str) -> None:
    also = msgspec.structs.replace(RULES, also=("List", "ServiceRequest"))
    run: Run = stores(plan(also, **FLAGS[how]))
    results: list[Result] = [run.write(), run.write(Status.POTENTIAL_CANDIDATE, "2025-06-02")]
    assert [one.outcome for one in results] == [Outcome.CREATED, Outcome.UPDATED]
    (request,) = run.memory.of("ServiceRequest")
    assert (request["intent"], request["status"]) == ("proposal", "draft")
    for subject in (run.subject(), run.subject(), "ResearchSubject/another"):
        Beside(Wire(transport()), run.plan).list_subjects("trial", [subject], "Device/d", RECORDED, 2000.0)
    (listed,) = run.memory.of("List")
    assert [entry["item"]["reference"] for entry in listed["entry"]] == [run.subject(), "ResearchSubject/another"]


def test_a_list_that_others_write_too_keeps_their_patients(stores: Any) -> None:
    """Between our look and our write another patient was added: the write is refused, and goes onto the newer list."""
    run: Run = stores(plan(msgspec.structs.replace(RULES, also=("List",)), updateCreate=True))
    beside = Beside(Wire(transport()), run.plan)
    beside.list_subjects("trial", ["ResearchSubject/a"], "Device/d", RECORDED, 2000.0)
    (name,) = [name for name in run.memory.held if name.startswith("List/")]

    def first(method: str, path: str) -> None:
        run.memory.before = lambda method, path: None
        entries = [*run.memory.held[name]["entry"], {"item": {"reference": "ResearchSubject/theirs"}}]
        run.memory.person(name, entry=entries)

    run.memory.before = first
    beside.list_subjects("trial", ["ResearchSubject/b"], "Device/d", RECORDED, 2000.0)
    listed = [entry["item"]["reference"].removeprefix("ResearchSubject/") for entry in run.memory.held[name]["entry"]]
    assert listed == ["a", "theirs", "b"]


class Renewable(Bearer):
    """A token that can be renewed as often as it is asked for."""

    def __init__(self) -> None:
        super().__init__("t0")
        self.number = 0

    def token(self, deadline: float) -> str:
        return f"t{self.number}"

    def renew(self, refused: str, deadline: float) -> bool:
        self.number += 1
        return True


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_refused_token_is_renewed_once_and_the_write_sent_again(stores: Any, refusals: int) -> None:
    run: Run = stores(plan(updateCreate=True))
    left = [401] * refusals
    run.memory.before = lambda method, path: (left.pop(), FHIR, ERROR) if left else None
    store = Store(Wire(transport(credentials=Renewable())), run.plan, run.outbox)
    one = delivery(ASSESSMENT, run.plan, RECORDED)
    if refusals == 1:
        assert store.deliver(one).outcome is Outcome.CREATED
    else:
        with pytest.raises(AuthorisationError):
            store.deliver(one)
    assert len(sent(run.memory)) == 2 and len(run.memory.of("ResearchSubject")) == 2 - refusals
