"""Laws of reading: nothing raises, nothing is lost in silence, and neither order nor copies change the record."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from fhir_elig.adapters import READERS, Memory, Settings, read, shapes
from fhir_elig.record import Counts, Flaw, Record, Result

FORM = "https://example.org/q"
SETTINGS = Settings(code_key=lambda system, code: f"{system}|{code}", questionnaire=FORM, time_zone="Europe/Berlin")


def coded(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://loinc.org", "code": code, "display": code}], "text": code}


def of(kind: str, identity: str, **over: Any) -> dict[str, Any]:
    return {"resourceType": kind, "id": identity, "meta": {"versionId": "1"}, "subject": {"reference": "Patient/p1"}, **over}


REPEAT = {"frequency": 1, "period": 1, "periodUnit": "d", "boundsPeriod": {"start": "2024-01-01", "end": "2024-03-01"}}
DOSAGE = {
    "text": "5 mg daily",
    "timing": {"repeat": REPEAT, "code": {"coding": [{"code": "QD"}]}},
    "route": coded("po"),
    "doseAndRate": [{"doseQuantity": {"value": 5, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}}],
}
CHART: list[dict[str, Any]] = [
    {"resourceType": "Patient", "id": "p1", "birthDate": "1980-02-29", "gender": "female", "link": [{"type": "replaces", "other": {"reference": "Patient/p0"}}],
     "extension": [{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex", "valueCode": "F"}]},
    of("Observation", "o1", status="final", code=coded("a"), effectiveDateTime="2025-05-01", issued="2025-05-02T10:00:00Z",
       valueQuantity={"value": Decimal("7.50"), "unit": "g/dL", "code": "g/dL", "system": "http://unitsofmeasure.org"},
       referenceRange=[{"low": {"value": 3}, "high": {"value": 9}, "age": {"low": {"value": 18, "code": "a"}}, "appliesTo": [coded("x")], "text": "3-9"}],
       interpretation=[coded("N")], specimen={"reference": "Specimen/s1"}),
    of("Observation", "o2", status="amended", code=coded("b"), effectivePeriod={"start": "2025-05-01", "end": "2025-05-02"},
       component=[{"code": coded("c"), "valueInteger": 5}, {"code": coded("d"), "dataAbsentReason": coded("masked")}]),
    of("Observation", "o3", status="final", code=coded("e"), effectiveTiming={"event": ["2025-05-01"]}, valueString="<5"),
    of("DiagnosticReport", "r1", status="final", result=[{"reference": "Observation/o3"}]),
    of("Condition", "c1", clinicalStatus=coded("resolved"), verificationStatus=coded("confirmed"), code=coded("f"), onsetAge={"value": 40, "code": "a"},
       abatementDateTime="2024", recordedDate="2024-01-01", category=[coded("x")]),
    of("Medication", "d1", code=coded("mtx"), ingredient=[{"itemCodeableConcept": coded("i")}]),
    of("MedicationRequest", "m1", status="active", intent="order", medicationReference={"reference": "Medication/d1"}, authoredOn="2024-01-01",
       dosageInstruction=[DOSAGE], dispenseRequest={"validityPeriod": {"start": "2024-01-01", "end": "2024-05-01"}}),
    of("MedicationStatement", "m2", status="stopped", medicationCodeableConcept=coded("g"), effectivePeriod={"start": "2024-01-01"}, dateAsserted="2024-02-01", dosage=[DOSAGE]),
    of("MedicationDispense", "m3", status="completed", medicationCodeableConcept=coded("g"), whenHandedOver="2024-01-01", daysSupply={"value": 30, "unit": "days"}),
    of("MedicationAdministration", "m4", status="completed", medication={"concept": coded("g")}, occurenceDateTime="2024-01-01", dosage={"dose": {"value": 5, "unit": "mg"}}),
    of("Procedure", "x1", status="completed", code=coded("h"), performedPeriod={"start": "2024-01-01", "end": "2024-01-02"}),
    {"resourceType": "Immunization", "id": "i1", "patient": {"reference": "Patient/p1"}, "status": "completed", "vaccineCode": coded("v"), "occurrenceDateTime": "2024-01-01"},
    of("Encounter", "e1", status="finished", period={"start": "2024-01-01", "end": "2024-01-02"}),
    of("QuestionnaireResponse", "q1", status="completed", questionnaire=FORM, authored="2025-01-01", author={"reference": "Practitioner/1"},
       item=[{"linkId": "a", "answer": [{"valueBoolean": True, "item": [{"linkId": "b", "answer": [{"valueInteger": 3}]}]}]}]),
    of("Consent", "k1", status="active", scope=coded("research"), provision={"type": "permit", "period": {"end": "2026-01-01"}}, dateTime="2025-01-01"),
]  # fmt: skip


def chart(resources: list[Any]) -> Record:
    return read(resources, patient="p1", settings=SETTINGS)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(max_size=8)
    | st.sampled_from(["", "2024", "2024-13-01", "Patient/p2", "final", "active", "#x", "\ud800", "9" * 5000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["coding", "code", "value", "x", "reference", "extension"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of each part of a resource."""
    found = [path] if path else []
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in children:
        found += places(child, (*path, name))
    return found


@st.composite
def mutilated(draw: st.DrawFn) -> Any:
    """A resource of the chart with some parts dropped, or replaced by junk."""
    resource = copy.deepcopy(draw(st.sampled_from(CHART)))
    for _ in range(draw(st.integers(1, 4))):
        paths = places(resource)
        if not paths:
            break
        *way, last = draw(st.sampled_from(paths))
        node = resource
        for step in way:
            node = node[step]
        if draw(st.booleans()):
            del node[last]
        else:
            node[last] = draw(JUNK)
    return resource


def references(record: Record) -> set[str]:
    facts = (*record.results, *record.problems, *record.medications, *record.events, *record.contacts, *record.answers)
    people = [record.person] if record.person else []
    return {fact.reference.partition("#")[0] for fact in (*facts, *people)} | {one.reference for one in record.refused}


def accounted(resource: Any, record: Record) -> bool:
    """Whether a resource is a fact, set aside, or named among the errors; three types give no facts of their own."""
    if resource.get("resourceType") not in list(READERS):
        return bool(record.errors)
    kind = resource["resourceType"]
    if kind in ("Medication", "DiagnosticReport") or (kind == "QuestionnaireResponse" and not record.answers):
        return True
    name = f"{kind}/{resource['id']}" if isinstance(resource.get("id"), str) else f"{kind}/no-id-"
    return any(reference.startswith(name) or reference == kind for reference in references(record)) or any(
        name in error for error in record.errors
    )


@given(mutilated())
@settings(max_examples=600)
def test_no_mutilated_resource_raises_or_is_lost_in_silence(resource: Any) -> None:
    record = chart([resource])
    assert accounted(resource, record)
    assert record == chart([copy.deepcopy(resource)])


@given(JUNK)
def test_no_junk_raises_or_is_lost_in_silence(piece: Any) -> None:
    assert chart([piece]).errors


@given(
    st.dictionaries(st.sampled_from(sorted({name for one in CHART for name in one})), JUNK, max_size=8),
    st.sampled_from(sorted(READERS)),
)
@settings(max_examples=300)
def test_no_resource_made_of_junk_raises_or_is_lost(parts: dict[str, Any], kind: str) -> None:
    resource = {**parts, "resourceType": kind}
    record = chart([resource])
    assert accounted(resource, record)


@given(st.lists(mutilated(), max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_neither_order_nor_copies_change_the_record(broken: list[Any], random: Any) -> None:
    resources = [*CHART, *broken]
    again = [*resources, *copy.deepcopy(random.sample(resources, 5))]
    random.shuffle(again)
    assert chart(again) == chart(resources)


@given(mutilated())
@settings(max_examples=300)
def test_a_broken_resource_costs_no_other_resource(resource: Any) -> None:
    whole, both = chart(CHART), chart([*CHART, resource])
    touched = {"Patient", "Medication", "DiagnosticReport"}
    if resource.get("resourceType") not in list(READERS.keys() - touched) or whole == both:
        return
    changed = f"{resource.get('resourceType')}/{resource.get('id')}"
    kept = {fact for fact in whole.results if fact.reference.partition("#")[0] != changed}
    assert kept <= set(both.results)
    assert {one for one in whole.problems if one.reference != changed} <= set(both.problems)
    assert {one for one in whole.medications if one.reference != changed} <= set(both.medications)


@given(
    st.sampled_from([one for one in CHART if one["resourceType"] != "Medication"]), st.sampled_from(["Patient/p2", "Patient/p1x"])
)
def test_a_strangers_resource_is_never_a_fact(resource: dict[str, Any], stranger: str) -> None:
    moved = {**resource, "subject": {"reference": stranger}, "id": "stranger"}
    moved.pop("patient", None)
    record = chart([*CHART, moved])
    assert record.identity and not any("stranger" in reference for reference in references(record))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4) | st.integers())
def test_a_number_is_kept_as_it_was_sent(number: Any) -> None:
    sent = {**CHART[1], "valueQuantity": {"value": number, "unit": "g/dL"}}
    (result,) = chart([sent]).results
    assert isinstance(result, Result) and str(result.value) == f"{number} g/dL"


def test_the_whole_chart_is_read() -> None:
    record = chart(CHART)
    assert not record.refused and not record.errors and not record.identity
    counts = (
        len(record.results),
        len(record.problems),
        len(record.medications),
        len(record.events),
        len(record.contacts),
        len(record.answers),
    )
    assert counts == (5, 1, 4, 2, 1, 3)
    assert all(fact.counts is Counts.YES and Flaw.CONFLICT not in fact.flaws for fact in record.results)


def joined(node: Any, known: dict[str, Any]) -> Any:
    """The same, with one object in the place of all parts that are equal, as a source may give it."""
    if isinstance(node, dict):
        node = {name: joined(child, known) for name, child in node.items()}
    elif isinstance(node, list):
        node = [joined(child, known) for child in node]
    return known.setdefault(repr(node), node)


@settings(max_examples=300, deadline=None)
@given(st.lists(mutilated(), min_size=1, max_size=4), st.sampled_from([None, lambda codes: False]))
@example(CHART, None)
@example(CHART, lambda codes: False)
def test_parts_that_are_one_object_are_read_like_equal_parts(resources: list[Any], matters: Any) -> None:
    twice = [*resources, *({**one, "id": f"{one.get('id')}-2"} for one in resources if isinstance(one, dict))]
    known: dict[str, Any] = {}
    apart, shared = copy.deepcopy(twice), [joined(one, known) for one in twice]
    chosen = Settings(code_key=SETTINGS.code_key, questionnaire=FORM, time_zone="Europe/Berlin", matters=matters)
    expected = repr(read(apart, patient="p1", settings=chosen))
    assert repr(read(shared, patient="p1", settings=chosen)) == expected
    memory = Memory(chosen)  # of several charts
    read(
        [*reversed(shared), *({**one, "birthDate": "2001"} for one in shared if isinstance(one, dict))],
        patient="p2",
        memory=memory,
    )
    assert repr(read(shared, patient="p1", memory=memory)) == expected
    assert repr(shared) == repr(apart)


def test_a_memory_is_bounded_and_forgets_nothing_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_REMEMBERED", 5)
    memory = Memory(SETTINGS)
    for _ in range(2):
        assert repr(read(copy.deepcopy(CHART), patient="p1", memory=memory)) == repr(read(CHART, patient="p1", settings=SETTINGS))
        assert 0 < len(memory.rows) <= 5
