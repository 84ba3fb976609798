"""Whatever a server does, a verdict is the clean run's or `unknown`; what must not be sent is not sent; it ends in time.

The tables of faults are in `faults_answers`, `faults_pages`; every run is the real command against real sockets.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sources import hostile
from tests.sources.fakes import Answer
from tests.sources.faults_answers import ANSWERS, Fault
from tests.sources.faults_odd import ODD
from tests.sources.faults_pages import PAGES, PageFault
from tests.sources.hostile import CANARIES, MOST_REQUESTS, PATIENT, TOKEN, Ask, Command, Outcome, Play, Raw, Ward

PLACES = ("metadata", "Patient", "Condition", "Observation 1", "Observation 2")
_UNKNOWN_PATIENT = {"404 in text", "410"}


@pytest.fixture(scope="module", autouse=True)
def _loaded_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        hostile.loaded_once(patch)
        yield


@pytest.fixture(scope="module")
def known() -> dict[str, Outcome]:
    return {}


@pytest.fixture
def place() -> Iterator[Ward]:
    with hostile.ward() as place:
        yield place


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Command:
    return Command(monkeypatch, capsys, caplog)


@pytest.fixture
def clean(command: Command, known: dict[str, Outcome]) -> Outcome:
    """The run without a fault, made once."""
    if "clean" not in known:
        with hostile.ward() as honest:
            known["clean"] = command.screen(honest)
    return known["clean"]


def lawful(found: Outcome, clean: Outcome, place: Ward, timeout: float = hostile.TIMEOUT) -> None:
    """What must hold whatever happened."""
    swapped = {name: said for name, said in found.verdicts.items() if said not in ("unknown", clean.verdicts[name])}
    assert not swapped
    assert found.verdicts or found.exit_code, "nothing was assessed, and the command says that all is well"
    assert place.stranger.requests == []
    assert len(place.server.requests) <= MOST_REQUESTS
    refusing = {path for method, path, _ in place.server.requests if method == "POST"}
    for _, path, headers in place.server.requests:
        assert headers.get("authorization") == f"Bearer {TOKEN}"
        assert "cookie" not in headers
        if PATIENT in path and path != f"/fhir/Patient/{PATIENT}":  # a step down the ladder, where POST was refused before
            assert (posted := f"{path.partition('?')[0]}/_search") in refusing, (
                f"a patient's id in an address, {posted} not asked"
            )
    told = found.talk.replace(f"not assessed Patient/{PATIENT}", "")
    assert [canary for canary in CANARIES if canary in told] == []
    assert "Traceback" not in found.talk and "FE0901" not in found.talk
    assert found.seconds <= 2 * timeout + 5  # one deadline for what the server is, one for the patient


def test_the_clean_run_determines_verdicts_that_a_fault_could_turn_over(clean: Outcome) -> None:
    assert clean.exit_code == 0
    assert clean.unread == {"MedicationStatement": "not-served"}
    said = list(clean.verdicts.values())
    assert said.count("met") >= 15 and said.count("not-met") >= 3
    assert clean.verdicts["no-recent-support"] == "met", "decided by absence: a closed world"


def playing(fault: Fault, places: tuple[str, ...], *, once: bool) -> Play:
    def play(ward: Ward, ask: Ask, answer: Answer) -> Answer | Raw:
        if not any(ask.is_(place) for place in places) or (once and ask.times):
            return answer
        ward.server.pause = 0.02 if fault.timeout < hostile.TIMEOUT else 0.0
        return fault.make(ward, answer)

    return play


HEALING = {name: fault for name, fault in ANSWERS.items() if fault.heals or fault.passes}


@pytest.mark.parametrize("fault", HEALING.values(), ids=HEALING)
def test_a_fault_that_passes_changes_nothing(fault: Fault, place: Ward, command: Command, clean: Outcome) -> None:
    place.fault = playing(fault, PLACES, once=True)
    found = command.screen(place)
    lawful(found, clean, place)
    assert (found.exit_code, found.verdicts) == (0, clean.verdicts)


# Each fault at the page that is lost most easily, and at one of the other places in turn.
STAYING = [
    pytest.param(name, fault, at, id=f"{name} at {at}")
    for number, (name, fault) in enumerate(ANSWERS.items())
    for at in ("Observation 2", PLACES[number % 4])
]


@pytest.mark.parametrize(("name", "fault", "at"), STAYING)
def test_a_fault_that_stays_gives_less_and_says_so(
    name: str, fault: Fault, at: str, place: Ward, command: Command, clean: Outcome
) -> None:
    place.fault = playing(fault, (at,), once=False)
    found = command.screen(place, timeout=fault.timeout)
    lawful(found, clean, place, fault.timeout)
    assert found.exit_code == (1 if name in _UNKNOWN_PATIENT and at == "Patient" else fault.code(at))
    assert (found.verdicts == clean.verdicts) is fault.passes


@pytest.mark.parametrize("fault", [*PAGES.values(), *ODD.values()], ids=[*PAGES, *ODD])
def test_a_fault_of_a_search_turns_no_verdict_over(fault: PageFault, place: Ward, command: Command, clean: Outcome) -> None:
    place.fault = fault.play
    found = command.screen(place)
    lawful(found, clean, place)
    assert found.exit_code == fault.exit_code
    assert (found.verdicts == clean.verdicts) is fault.same
