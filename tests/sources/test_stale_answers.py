"""An answer that belongs to another question: all that come late by one, or a second one behind the first on a connection."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.sources import hostile
from tests.sources.fakes import FHIR, Answer
from tests.sources.faults_pages import twisted
from tests.sources.hostile import Ask, Command, Outcome, Play, Raw, Ward
from tests.sources.test_hostile import lawful


@pytest.fixture(scope="module", autouse=True)
def _loaded_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        hostile.loaded_once(patch)
        yield


@pytest.fixture
def place() -> Iterator[Ward]:
    with hostile.ward() as place:
        yield place


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Command:
    return Command(monkeypatch, capsys, caplog)


@pytest.fixture
def clean(command: Command) -> Outcome:
    with hostile.ward() as honest:
        return command.screen(honest)


def late_by_one(first: int) -> Play:
    """From that request on each one gets the answer to the request before it."""
    answers: list[Answer] = []

    def play(ward: Ward, ask: Ask, answer: Answer) -> Answer:
        answers.append(answer)
        return answer if len(answers) <= first else answers[-2]

    return play


@pytest.mark.parametrize("first", [1, 2, 3, 5, 8, 10, 11])
def test_answers_that_come_late_by_one_turn_no_verdict_over(first: int, place: Ward, command: Command, clean: Outcome) -> None:
    place.fault = late_by_one(first)
    found = command.screen(place)
    lawful(found, clean, place)
    assert found.verdicts != clean.verdicts and (found.unread != clean.unread or not found.verdicts)


def doubled(ward: Ward, ask: Ask, answer: Answer) -> Answer | Raw:
    """Behind the answer stands a second one at once: a sound page of the patient's own results with values of nobody."""
    status, headers, body = answer
    found = [twisted(one) for one in ward.resources if "valueQuantity" in one]
    own = [one for one in found if one["subject"]["reference"] == f"Patient/{hostile.PATIENT}"]
    page = json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in own]}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {FHIR['Content-Type']}\r\nContent-Length: {len(page)}\r\n\r\n"
    first = body.encode() if isinstance(body, str) else body
    return status, {**headers, "Content-Length": str(len(first))}, first + head.encode() + page


def test_a_second_answer_behind_the_first_is_never_taken_for_the_next_one(place: Ward, command: Command, clean: Outcome) -> None:
    """What waits behind an answer goes with it: the connection's buffer is left, or the connection, which is then not idle."""
    place.fault = doubled
    found = command.screen(place)
    lawful(found, clean, place)
    assert (found.exit_code, found.verdicts) == (0, clean.verdicts)
