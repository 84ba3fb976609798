"""For every order in which writers and a person meet: one subject, what a person set stays, and every report is true."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from fhir_elig.sinks import Outcome, Result
from fhir_elig.sinks.delivery import delivery
from fhir_elig.sinks.fhir_store import Store
from fhir_elig.sinks.outbox import Delivery, Outbox
from fhir_elig.sinks.wire import Wire
from fhir_elig.verdict import Status
from tests.sinks.stores import Memory
from tests.sinks.test_fhir_store import ASSESSMENT, FLAGS, RULES, plan
from tests.sinks.turns import InMemory, Step, Turns
from tests.sources.fakes import transport

PERSONS_OWN = {
    "resourceType": "ResearchSubject",
    "id": "persons-own",
    "status": "screening",
    "study": {"reference": RULES.study},
    "individual": {"reference": ASSESSMENT.patient},
    "meta": {"versionId": "1"},
}
STATES = (Status.CANDIDATE, Status.POTENTIAL_CANDIDATE, Status.INELIGIBLE)
SAID = {Outcome.CREATED, Outcome.UPDATED}


@lru_cache
def due(how: str, number: int, status: Status) -> Delivery:
    """What a run makes of the patient; checked once, since the checks of FHIR are slow."""
    one = msgspec.structs.replace(ASSESSMENT, status=status, as_of=f"2025-06-0{number + 1}")
    return delivery(one, plan(**FLAGS[how]), f"2025-09-15T06:00:0{number}Z")


def writer(memory: Memory, how: str, number: int, status: Status) -> Callable[[Step], Result]:
    """A run on a machine of its own: an outbox of its own, an instant of its own."""

    def work(step: Step) -> Result:
        road = transport()
        road._channel = InMemory(memory, step, f"writer {number}")
        return Store(Wire(road), plan(**FLAGS[how]), Outbox(None)).deliver(due(how, number, status))

    return work


def person(memory: Memory) -> Callable[[Step], None]:
    """Takes the patient on: the record that is there, or a new one where none is."""

    def work(step: Step) -> None:
        step()
        there = memory.of("ResearchSubject")
        if there:
            memory.person(f"ResearchSubject/{there[0]['id']}", status="on-study")
        else:
            memory.held["ResearchSubject/persons-own"] = {**PERSONS_OWN}
        touched = memory.of("ResearchSubject")[0]
        memory.persons = (f"ResearchSubject/{touched['id']}", touched)

    return work


def faults(memory: Memory, results: list[Any], how: str, states: list[Status]) -> list[str]:
    found = [f"{one!r} was raised" for one in results if isinstance(one, Exception)]
    reports = [one for one in results if isinstance(one, Result)]
    subjects = memory.of("ResearchSubject")
    doubles_told = any(one.code == "FE0503" for one in reports)
    by_condition = how == "conditional create"
    if len(subjects) > 1 and (by_condition or not doubles_told):
        found.append("there are two subjects" if by_condition else "there are two subjects, and nobody tells")
    if memory.persons is not None and memory.held[memory.persons[0]] != memory.persons[1]:
        found.append("what a person set was overwritten")
    for number, one in enumerate(results):
        if isinstance(one, Result) and one.outcome in SAID:
            author, held = memory.history[one.reference]
            if author != f"writer {number}" or held["status"] != states[number]:
                found.append(f"writer {number} tells of what it did not write")
        if isinstance(one, Result) and one.outcome is Outcome.UNCHANGED and one.reference not in memory.history:
            found.append(f"writer {number} tells of a record that was never there")
    return found


@pytest.mark.parametrize("how", FLAGS)
@settings(max_examples=40)
@given(
    states=st.lists(st.sampled_from(STATES), min_size=2, max_size=3),
    acts=st.booleans(),
    order=st.lists(st.integers(0, 5), min_size=20, max_size=40),
)
def test_in_every_order_a_person_wins_and_reports_are_true(how: str, states: list[Status], acts: bool, order: list[int]) -> None:
    memory = Memory()
    works: list[Callable[[Step], Any]] = [writer(memory, how, number, state) for number, state in enumerate(states)]
    results = Turns(order).run([*works, *([person(memory)] if acts else [])])
    assert faults(memory, results, how, states) == []
