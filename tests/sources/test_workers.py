"""Several workers at one server: really at once, in the order of the asking, never more than agreed, and one pause for all."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from fhir_elig.errors import AuthorisationError
from fhir_elig.sources import Chart
from fhir_elig.sources.replies import Limits
from fhir_elig.sources.rest import RestSource
from fhir_elig.sources.transport import Pause, Transport
from fhir_elig.sources.turns import in_turn
from fhir_elig.sources.workers import Workers
from tests.sources import sekmet
from tests.sources.fakes import FHIR, Answer, Clock, ok, serving, transport
from tests.sources.loaded import NEEDS, chart_of, names_of, needed
from tests.sources.reads import answers

LONG = 30.0  # until a test that hangs fails


def chart(patient: str) -> Chart:
    return Chart(patient=patient, resources=[])


def test_all_workers_are_under_way_at_once_and_the_charts_come_in_the_order_of_the_asking() -> None:
    meeting = threading.Barrier(8)

    def fetch(patient: str) -> Chart:
        if patient != "p0":  # who goes alone
            meeting.wait(LONG)  # passes only when eight are here
        return chart(patient)

    names = [f"p{number}" for number in range(25)]
    with Workers([fetch] * 8) as workers:
        found = list(in_turn(names, workers.start, lambda seconds: None, workers.ahead))
    assert [one.patient for one in found] == names


def test_no_more_charts_are_begun_than_are_taken_and_may_be_ahead() -> None:
    begun: list[str] = []

    def start(patient: str) -> Callable[[], Chart]:
        begun.append(patient)
        return lambda: chart(patient)

    ahead = Workers([chart] * 3).ahead
    for taken, _ in enumerate(in_turn([f"p{number}" for number in range(50)], start, lambda seconds: None, ahead), 1):
        assert len(begun) <= taken + ahead
    assert len(begun) == 50


def test_one_worker_is_no_thread_and_reads_nobody_before_his_turn() -> None:
    seen: list[tuple[str, int]] = []

    def fetch(patient: str) -> Chart:
        seen.append((patient, threading.get_ident()))
        return chart(patient)

    with Workers([fetch]) as workers:
        take = workers.start("p1")
        assert seen == []
        assert take().patient == "p1"
    assert seen == [("p1", threading.get_ident())]


def test_what_a_worker_raises_is_raised_where_the_chart_is_taken() -> None:
    def fetch(patient: str) -> Chart:
        raise AuthorisationError("refused")

    with pytest.raises(AuthorisationError), Workers([fetch] * 2) as workers:
        list(in_turn(["p1", "p2", "p3"], workers.start, lambda seconds: None, workers.ahead))


def test_whoever_leaves_early_waits_for_nobody_and_nobody_new_is_begun() -> None:
    never, begun = threading.Event(), threading.Semaphore(0)
    seen: list[str] = []

    def fetch(patient: str) -> Chart:
        seen.append(patient)
        begun.release()
        never.wait(LONG)
        return chart(patient)

    with pytest.raises(KeyboardInterrupt), Workers([fetch] * 2) as workers:
        for number in range(4):
            workers.start(f"p{number}")
        assert begun.acquire(timeout=LONG) and begun.acquire(timeout=LONG)
        raise KeyboardInterrupt
    never.set()
    for thread in workers.threads:
        thread.join(LONG)
        assert not thread.is_alive()
    assert sorted(seen) == ["p0", "p1"]


def test_a_pause_that_another_worker_prolongs_is_waited_out_to_its_new_end() -> None:
    clock, pause = Clock(), Pause()
    pause.extend(clock.now + 10)

    def sleep(seconds: float) -> None:
        if not clock.slept:
            pause.extend(clock.now + 25)  # meanwhile another worker was told to wait longer
        Clock.sleep(clock, seconds)

    one = transport(clock=clock, pause=pause)
    one.sleep = sleep
    with answers((200, FHIR, '{"resourceType": "Patient", "id": "p1"}')):
        one.get("Patient/p1", one.deadline())
    assert clock.slept == [10, 15]


def test_a_pause_is_never_cut_short() -> None:
    pause = Pause()
    pause.extend(9.0)
    pause.extend(5.0)
    assert pause.until == 9.0


def test_a_pause_that_one_worker_is_told_of_holds_the_requests_of_all() -> None:
    """A server that answers 429 once: whatever is sent from then on is sent after the pause."""
    clock, lock = Clock(), threading.Lock()
    sent: list[float] = []

    def answer(method: str, path: str, body: str) -> Answer:
        with lock:
            sent.append(clock.now)
            if len(sent) == 1:
                return 429, {"Retry-After": "20"}, ""
        return ok({"resourceType": "Patient", "id": path.rpartition("/")[2]})

    with serving() as server:
        server.answer = answer
        first = transport(server.base, clock=clock)
        others = [first.sibling() for _ in range(4)]
        first.get("Patient/p0", first.deadline())
        for number, other in enumerate(others, 1):
            other.get(f"Patient/p{number}", other.deadline())
    assert sent[0] == 1000 and all(moment >= 1020 for moment in sent[1:])


NAMES = [f"w{number}" for number in range(12)]


@pytest.fixture(scope="module")
def base(sekmet_base: str) -> str:
    sekmet.load(sekmet_base, [row for name in NAMES for row in chart_of(name)])
    return sekmet_base


@pytest.mark.parametrize("connections", [1, 2, 8])
def test_any_number_of_workers_reads_the_same_charts_from_a_real_server(base: str, connections: int) -> None:
    source = RestSource(base, needs=NEEDS, transport=Transport(base, limits=Limits(connections=connections)))
    found = list(source.patients([*NAMES, "nobody"]))
    assert [one.patient for one in found] == [*NAMES, "nobody"]
    assert [names_of(one.resources) for one in found[:-1]] == [names_of(needed(chart_of(name))) for name in NAMES]
    assert found[-1].failure is not None and found[-1].failure[0] == "FE0404"
    assert not any(one.broken or one.identity for one in found)
