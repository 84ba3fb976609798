"""From verdicts to a recommendation: status, what is decisive, whether a repeat could change it, what the whole carries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fhir_elig import __version__
from fhir_elig.assessment import assess
from fhir_elig.documents import load_document
from fhir_elig.protocol import build_protocol
from fhir_elig.record import Flaw, Record
from fhir_elig.verdict import Assessment, Evidence, SettledBy, Verdict
from tests.spec.table import (
    AS_OF,
    EVERYTHING,
    answer,
    assessed,
    chart,
    concepts,
    event,
    lab,
    person,
    problem,
    relma,
    relma_results,
    run,
    said,
    served,
)

MET = "{sex: {is: male}}"
FAILED = "{sex: {is: female}}"
DATA = "{value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 28 d}}}"
PEOPLE = "{attestation: {question: q}}"
PENDING = "{age: {at-least: 18 a, at: enrollment}}"
AMBIGUOUS = "{readings: {options: {a: {sex: {is: male}}, b: {sex: {is: female}}}}}"
NOBODY = "{applies-if: {when: {sex: {is: female}}, then: {sex: {is: male}}}}"


def several(*inner: str, exclusion: tuple[str, ...] = ()) -> Any:
    """A protocol of several criteria, `c0` and on; exclusion criteria are `e0` and on."""
    text = "protocol: p\nversion: 1.2.0\ntitle: t\nmilestones: {screening: {title: s}, enrollment: {title: e}, baseline: {title: b, else: screening}}\n"
    for section, bodies, letter in (("inclusion", inner or (MET,), "c"), ("exclusion", exclusion, "e")):
        if bodies:
            text += f"{section}:\n" + "".join(f"  - {{id: {letter}{i}, text: t, {body[1:]}\n" for i, body in enumerate(bodies))
    return build_protocol(load_document(text, "p.yaml"), concepts())


def held(*inner: str, exclusion: tuple[str, ...] = (), facts: tuple[Any, ...] = (), **options: Any) -> Assessment:
    return assess(several(*inner, exclusion=exclusion), chart(*facts), run(**options))


STATES = [
    ("one is not met", (MET, FAILED, DATA), (), "not-met", "ineligible"),
    ("data could settle one", (MET, DATA, PEOPLE), (), "unknown", "potential-candidate"),
    ("only people and dates to come", (MET, PEOPLE, PENDING), (), "unknown", "candidate"),
    ("a text that is ambiguous", (MET, AMBIGUOUS, PEOPLE), (), "unknown", "potential-candidate"),
    ("a modifier", (DATA,), (lab("hemoglobin", "100 g/L", flaws=(Flaw.MODIFIER,)),), "unknown", "potential-candidate"),
    ("restricted data", (DATA,), (lab("hemoglobin", None, absent="masked"),), "unknown", "potential-candidate"),
    ("a search that broke off", (DATA,), served("Observation", note="partial"), "unknown", "potential-candidate"),
    ("all met or not applicable", (MET, NOBODY), (), "met", "eligible"),
    ("nothing applies", (NOBODY,), (), "met", "eligible"),
]


@pytest.mark.parametrize(("holds", "inner", "facts", "verdict", "status"), STATES, ids=[case[0] for case in STATES])
def test_status(holds: str, inner: tuple[str, ...], facts: tuple[Any, ...], verdict: str, status: str) -> None:
    found = held(*inner, facts=facts)
    assert (found.verdict.value, found.status.value) == (verdict, status)


@pytest.mark.parametrize(
    ("body", "verdict", "status"),
    [
        (FAILED, "met", "eligible"),
        (MET, "not-met", "ineligible"),
        (PENDING, "unknown", "candidate"),
        (NOBODY, "not-applicable", "eligible"),
    ],
)
def test_an_exclusion_criterion_is_met_where_what_it_excludes_is_not_there(body: str, verdict: str, status: str) -> None:
    found = held(exclusion=(body,))
    result = found.find("e0")
    assert result is not None and result.exclusion
    assert (result.verdict.value, found.status.value) == (verdict, status)


def test_an_exclusion_that_holds_under_an_open_guard_only_is_unknown() -> None:
    guarded = "{applies-if: {when: {age: {at-least: 18 a, at: enrollment}}, then: {sex: {is: male}}}}"
    assert said(held(exclusion=(guarded,)).find("e0")) == ("unknown", "pending-event")
    assert said(held(guarded).find("c0")) == ("met", "present")


def test_decisive_are_data_then_the_rest_then_people_then_dates_to_come() -> None:
    assert held(PENDING, PEOPLE, AMBIGUOUS, DATA, MET).decisive == ("c3", "c2", "c1", "c0")


def test_nothing_is_decisive_where_one_is_not_met() -> None:
    assert held(DATA, FAILED).decisive == ()


def test_only_unknown_criteria_that_can_still_change_the_outcome_are_decisive() -> None:
    """An unknown below a met parent decides nothing."""
    inner = "{any-of: [{id: yes, text: t, sex: {is: male}}, {id: open, text: t, attestation: {question: q}}]}"
    assert held(inner, PEOPLE).decisive == ("c1",)


def test_a_parent_names_its_open_parts_and_the_nearer_to_the_top_goes_first() -> None:
    deep = "{all-of: [{id: low, text: t, attestation: {question: q}}]}"
    assert held(deep, PEOPLE).decisive == ("c1", "low")


def test_recoverable_needs_all_that_are_not_met_to_be() -> None:
    low = (lab("hemoglobin", "80 g/L"),)
    assert held(DATA, facts=low).recoverable
    assert not held(DATA, FAILED, facts=low).recoverable
    assert not held(DATA).recoverable


ANY = "{any-of: [%s, {sex: {is: female}}]}"


def test_one_part_of_an_any_of_that_can_be_repeated_is_enough() -> None:
    found = held(ANY % DATA, facts=(lab("hemoglobin", "80 g/L"),)).find("c0")
    assert found is not None and (found.recoverable, found.recoverable_from) == (True, AS_OF)


def test_all_parts_of_an_all_of_that_are_not_met_must_be_repeatable() -> None:
    both = held(f"{{all-of: [{DATA}, {FAILED}]}}", facts=(lab("hemoglobin", "80 g/L"),)).find("c0")
    one = held(f"{{all-of: [{DATA}, {MET}]}}", facts=(lab("hemoglobin", "80 g/L"),)).find("c0")
    assert both is not None and one is not None
    assert (both.recoverable, one.recoverable) == (False, True)


DEATHS = [
    ("recorded as deceased", person(deceased=True, version="2"), "not-met", "deceased", ("true", "")),
    ("died before", person(died="2025-05-30", deceased=True, version="2"), "not-met", "deceased", ("true", "2025-05-30")),
    ("died today", person(died="2025-06-01", version="2"), "not-met", "deceased", ("true", "2025-06-01")),
    (
        "died in a month that is not over",
        person(died="2025-06", died_text="June", version="2"),
        "unknown",
        "imprecise-date",
        ("June", "2025-06"),
    ),
    ("died in the year", person(died="2025", version="2"), "unknown", "imprecise-date", ("true", "2025")),
]


@pytest.mark.parametrize(("holds", "who", "verdict", "reason", "told"), DEATHS, ids=[case[0] for case in DEATHS])
def test_the_implicit_criterion_alive(holds: str, who: Any, verdict: str, reason: str, told: tuple[str, str]) -> None:
    found = held(MET, facts=(who,))
    alive = found.find("alive")
    assert said(alive) == (verdict, reason)
    assert alive is not None and alive.text == "the patient is alive"
    assert alive.evidence == (Evidence("Patient/p1", "2", told[0], "deceased", "alive", told[1]),)
    assert alive.settled_by == (SettledBy(resource="Patient", window="the day of death") if verdict == "unknown" else None)
    assert found.criteria[0].id == "alive"
    assert (found.status.value, found.recoverable) == ("ineligible" if verdict == "not-met" else "potential-candidate", False)


@pytest.mark.parametrize("who", [person(), person(died="2025-06-02")])
def test_who_lives_has_no_such_criterion(who: Any) -> None:
    assert held(MET, facts=(who,)).find("alive") is None


def test_a_patient_that_cannot_be_read_without_doubt_may_be_dead() -> None:
    alive = held(MET, facts=(person(flaws=(Flaw.MODIFIER,), version="2"),)).find("alive")
    assert said(alive) == ("unknown", "modifier")
    assert alive is not None and alive.evidence == (Evidence("Patient/p1", "2"),)
    assert alive.settled_by == SettledBy(resource="Patient", question="Is the patient alive?")


def test_the_implicit_criterion_is_not_counted_among_the_leaves() -> None:
    found = held(MET, DATA, facts=(person(deceased=True),))
    assert found.counts() == {Verdict.MET: 1, Verdict.NOT_MET: 0, Verdict.UNKNOWN: 1, Verdict.NOT_APPLICABLE: 0}


def test_a_stand_in_makes_the_whole_provisional() -> None:
    assert held("{age: {at-least: 18 a, at: baseline}}").provisional
    assert not held(MET).provisional


def test_the_assessment_carries_what_it_came_from() -> None:
    found = assessed("sex: {is: male}", served("Observation", note="partial: page 2"), events={"enrollment": "2025-06-10"})
    assert (found.patient, found.as_of, found.package) == ("Patient/p1", AS_OF, {"version": __version__})
    assert found.milestones == {"screening": AS_OF, "enrollment": "2025-06-10", "baseline": AS_OF, "visit": "2025-06-10"}
    assert found.mappings == {"sha256": concepts().sha256}
    assert [(r.type, r.complete, r.note) for r in found.retrieved] == [("Observation", False, "partial: page 2")]
    assert (found.protocol.id, found.protocol.version, len(found.protocol.sha256)) == ("test", "1.0.0", 64)


def test_errors_base_and_the_persons_notes_are_passed_on() -> None:
    record = Record(patient="p1", person=person(notes=("odd",)), errors=("one",), base="https://ehr.example/fhir")
    found = assess(several(), record, run())
    assert (found.errors, found.base, found.notes) == (("one",), "https://ehr.example/fhir", ("odd",))


def test_the_published_json_has_the_published_keys() -> None:
    """Keys that carry nothing may be left out of a criterion, never out of the assessment itself."""
    facts = (
        lab("hemoglobin", "10.2 g/dL", ref="o41", version="2"),
        lab("hemoglobin", "9 g/dL", "2025-05-20", ref="o12"),
        *EVERYTHING,
    )
    sent = json.loads(relma_results(*facts).to_json())
    assert {
        "schema",
        "patient",
        "protocol",
        "mappings",
        "package",
        "base",
        "as_of",
        "milestones",
        "retrieved",
        "verdict",
        "status",
        "recoverable",
        "valid_until",
        "decisive",
        "criteria",
        "errors",
    } <= set(sent)
    assert sent["schema"] == "fhir-elig/assessment/1"
    hemoglobin = find(sent["criteria"], "hemoglobin")
    assert hemoglobin is not None
    published = {
        "reference": "Observation/o41",
        "version": "2",
        "received": "10.2 g/dL",
        "compared": "102 g/L",
        "limit": ">= 90 g/L",
        "time": "2025-05-28",
    }
    assert published.items() <= hemoglobin["evidence"][0].items()
    assert {"reference": "Observation/o12", "why": "superseded"} in hemoglobin["set_aside"]
    lvef = find(sent["criteria"], "lvef")
    assert lvef is not None and lvef["settled_by"]["resource"] == "Observation"


def find(criteria: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    for criterion in criteria:
        if criterion["id"] == name:
            return criterion
        inside = find(criterion.get("criteria", []), name)
        if inside is not None:
            return inside
    return None


def test_the_same_facts_give_the_same_bytes() -> None:
    facts = (
        lab("hemoglobin", "100 g/L"),
        problem("pneumonia", "2025-05-20"),
        event("transfusion_any"),
        answer("consent", True),
        *EVERYTHING,
    )
    assert relma_results(*facts).to_json() == relma_results(*facts).to_json()


def test_every_criterion_of_the_shipped_protocol_has_its_place_in_the_assessment() -> None:
    shown = [result.id for result in relma_results().walk()]
    assert len(shown) == len(set(shown))
    assert set(shown) == {node.id for node in relma().criteria()}
