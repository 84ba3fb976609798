"""The checks of FHIR resources: every known defect is found, and sound resources pass."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_elig.outputs.checks import check
from fhir_elig.outputs.fhir_json import FhirVersion, collection
from fhir_elig.outputs.guidance import guidance_response
from fhir_elig.outputs.research_subject import bundle, research_subject
from fhir_elig.verdict import Assessment

DATA = Path(__file__).parents[1] / "data" / "assessment.json"
ASSESSMENT = msgspec.convert(json.loads(DATA.read_text(encoding="utf-8")), Assessment)
Json = dict[str, Any]


def observation(**changes: Any) -> Json:
    base: Json = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2025-05-28T08:12:00+02:00",
        "valueQuantity": {"value": Decimal("10.20"), "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"},
    }
    merged = {**base, **changes}
    return {name: value for name, value in merged.items() if value is not ...}


def quantity(**changes: Any) -> Json:
    merged = {**observation()["valueQuantity"], **changes}
    return observation(valueQuantity={name: value for name, value in merged.items() if value is not ...})


def subject(version: FhirVersion = "R4", **changes: Any) -> Json:
    merged = {**copy.deepcopy(research_subject(ASSESSMENT, fhir_version=version)), **changes}
    return {name: value for name, value in merged.items() if value is not ...}


def condition(**changes: Any) -> Json:
    clinical = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}
    return {"resourceType": "Condition", "clinicalStatus": clinical, "subject": {"reference": "Patient/p1"}, **changes}


@pytest.mark.parametrize("version", ["R4", "R5"])
def test_sound_resources_pass(version: FhirVersion) -> None:
    parts = observation(component=[{"code": {"coding": [{"display": "another"}]}, "valueString": "x"}])
    whole = bundle(ASSESSMENT, fhir_version=version, recorded="2025-09-15T06:00:00Z")
    for resource in (observation(), parts, condition(), subject(version), whole):
        assert check(resource, version) == []


DEFECTS: list[tuple[str, Json, str]] = [
    ("bad required code", observation(status="banana"), "'banana'"),
    ("bad required code of a model's own list", subject(status="banana"), "status: code 'banana'"),
    ("wrong reference target", subject(individual={"reference": "Observation/1"}), "reference to Observation, wanted Patient"),
    ("comparator that does not exist", quantity(comparator="~"), "comparator: code '~'"),
    ("comparator of R5", quantity(comparator="ad"), "comparator: code 'ad'"),
    ("value and dataAbsentReason", observation(dataAbsentReason={"text": "unknown"}), "obs-6"),
    ("code without system", quantity(system=...), "qty-3"),
    ("two value[x]", observation(valueString="x"), "structure"),
    ("30 February", observation(effectiveDateTime="2025-02-30"), "structure"),
    ("dateTime without zone", observation(effectiveDateTime="2025-05-28T08:12:00"), "structure"),
    ("number as string", quantity(value="7"), "a number is wanted"),
    ("unknown element", observation(colour="red"), "structure: colour"),
    ("boolean as string", {"resourceType": "Patient", "active": "true"}, "a boolean is wanted"),
    ("boolean as number", observation(valueQuantity=..., valueInteger=True), "a number is wanted"),
    ("missing study", subject(study=...), "structure: study"),
    ("R5 shape in R4", subject("R5"), "structure"),
    ("null", subject(study=None), "study: empty"),
    ("empty list in an element", observation(code={"coding": []}), "code.coding: empty"),
    ("empty text in a list of elements", observation(category=[{"text": ""}]), "category[0].text: empty"),
    ("reference to a type that does not exist", observation(focus=[{"reference": "Observasion/1"}]), "no resource type"),
    ("wrong type said by the reference", observation(subject={"type": "Account", "display": "x"}), "reference to Account"),
    (
        "wrong target of an absolute reference",
        observation(subject={"reference": "https://x.org/fhir/Account/1/_history/2"}),
        "Account",
    ),
    ("wrong target of a conditional reference", observation(subject={"reference": "Account?identifier=1"}), "Account"),
    ("no resource type", {"resourceType": "Observasion"}, "resourceType"),
    ("resource type that is no text", {"resourceType": 5}, "resourceType"),
    ("resource type that is a module", {"resourceType": "fhirtypes"}, "resourceType"),
    ("contained thing without a type", observation(contained=[{"id": "a"}]), "contained: not all are resources"),
    ("contained type that is no text", observation(contained=[{"resourceType": 1.5}]), "contained: not all are resources"),
    (
        "entry of no type",
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": 1.5}}]},
        "structure",
    ),
    ("component with the code of its value", observation(component=[{"code": observation()["code"]}]), "obs-7"),
    ("abated but active", condition(abatementDateTime="2024-01-01"), "con-4"),
    ("entered in error but active", condition(verificationStatus={"coding": [{"code": "entered-in-error"}]}), "con-5"),
    ("unused contained resource", observation(contained=[{"resourceType": "Patient", "id": "p"}]), "dom-3"),
    ("local reference to nothing", observation(subject={"reference": "#p"}), "ref-1"),
    ("parameter with nothing", {"resourceType": "Parameters", "parameter": [{"name": "a"}]}, "inv-1: parameter a holds nothing"),
    (
        "parameter with two things",
        {
            "resourceType": "Parameters",
            "parameter": [{"name": "b", "part": [{"name": "c", "valueString": "x", "part": [{"name": "d", "valueCode": "e"}]}]}],
        },
        "inv-1: parameter c holds valueString and part",
    ),
    (
        "request in a collection",
        {"resourceType": "Bundle", "type": "collection", "entry": [{"request": {"method": "GET", "url": "Patient"}}]},
        "bdl-3",
    ),
    (
        "transaction without requests",
        {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": observation()}]},
        "bdl-3: entry[0] of a transaction lacks its request",
    ),
    (
        "response in a searchset",
        {"resourceType": "Bundle", "type": "searchset", "entry": [{"response": {"status": "200"}}]},
        "bdl-4",
    ),
    (
        "one fullUrl twice",
        {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": "urn:uuid:1", "resource": observation()}] * 2},
        "bdl-7",
    ),
    (
        "fault inside a Bundle",
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": observation(dataAbsentReason={"text": "x"})}]},
        "obs-6",
    ),
    (
        "own code that does not exist",
        observation(category=[{"coding": [{"system": "https://example.org/fhir-elig/CodeSystem/verdict", "code": "maybe"}]}]),
        "'maybe' is no code",
    ),
    (
        "script in the narrative",
        observation(text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>'}),
        "txt-1: <script>",
    ),
    (
        "handler in the narrative",
        observation(text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p onclick="x">x</p></div>'}),
        "attribute onclick",
    ),
    ("narrative of another namespace", observation(text={"status": "generated", "div": "<div>x</div>"}), "txt-1: <div>"),
    ("broken narrative", observation(text={"status": "generated", "div": "<div><p></div>"}), "not well-formed"),
    (
        "document type in the narrative",
        observation(text={"status": "generated", "div": "<!DOCTYPE div><div>x</div>"}),
        "declaration",
    ),
    (
        "empty narrative",
        observation(text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"> </div>'}),
        "txt-2",
    ),
    (
        "type of a data requirement",
        {"resourceType": "GuidanceResponse", "moduleUri": "urn:x", "status": "success", "dataRequirement": [{"type": "Oracle"}]},
        "not a type of FHIR",
    ),
]


@pytest.mark.parametrize(("resource", "told"), [row[1:] for row in DEFECTS], ids=[row[0] for row in DEFECTS])
def test_each_defect_is_found_in_r4(resource: Json, told: str) -> None:
    assert any(told in line for line in check(resource, "R4")), check(resource, "R4")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"period": {"start": "2025-01-01"}}, "period in a recommendation"),
        ({"consent": {"reference": "Consent/1"}}, "consent in a recommendation"),
        ({"assignedArm": "a"}, "assignedArm"),
        ({"actualArm": "a"}, "actualArm"),
        ({"status": "on-study"}, "state on-study"),
        ({"meta": ...}, "without its tag"),
        ({"text": ...}, "a narrative that does not say"),
        ({"status": ..., "_status": {"extension": [{"url": "http://x.org", "valueString": "x"}]}}, "own: state"),
    ],
)
def test_a_recommendation_that_looks_like_an_enrolment_is_found(changes: Json, told: str) -> None:
    assert any(told in line for line in check(subject("R4", **changes), "R4"))


def progress(**changes: Any) -> Json:
    return {**research_subject(ASSESSMENT, fhir_version="R5")["progress"][0], **changes}


def state(code: str) -> Json:
    return {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/research-subject-state", "code": code}]}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"status": "active"}, "status of a recommendation in R5 is draft"),
        ({"progress": ...}, "state draft"),
        ({"progress": [progress(subjectState=state("on-study"))]}, "state on-study"),
        ({"progress": [progress(subjectState=state("banana"))]}, "'banana' is no code of"),
        ({"progress": [progress(milestone={"text": "enrolled"})]}, "milestone in a recommendation"),
        ({"assignedComparisonGroup": "a"}, "assignedComparisonGroup"),
        ({"subject": {"reference": "Practitioner/1"}}, "reference to Practitioner"),
    ],
)
def test_each_defect_of_a_recommendation_is_found_in_r5(changes: Json, told: str) -> None:
    assert any(told in line for line in check(subject("R5", **changes), "R5"))


def test_what_differs_in_r5_is_no_defect_there() -> None:
    assert check(quantity(comparator="ad"), "R5") == []
    wrong = condition(verificationStatus={"coding": [{"code": "entered-in-error"}]})
    assert check(wrong, "R5") == []


def test_the_reference_of_a_codeable_reference_is_checked() -> None:
    request = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "medication": {"reference": {"reference": "Patient/p1"}},
    }
    assert check(request, "R5") == ["MedicationRequest.medication.reference: reference to Patient, wanted Medication"]
    assert check({**request, "medication": {"concept": {"text": "x"}}}, "R5") == []


def test_local_and_bundled_references_are_followed_to_their_types() -> None:
    held = observation(subject={"reference": "#p"}, contained=[{"resourceType": "Account", "id": "p", "status": "active"}])
    assert [line for line in check(held, "R4") if "Observation.subject: reference to Account" in line]
    account = {"resourceType": "Account", "id": "a", "status": "active"}
    linked = collection([observation(subject={"reference": "Account/a"}), account], "2025-01-01T00:00:00Z")
    assert [line for line in check(linked, "R4") if "reference to Account" in line]
    unknown = observation(subject={"reference": "urn:uuid:00000000-0000-4000-8000-000000000000"})
    assert check(unknown, "R4") == []


def test_contained_resources_may_point_to_their_container_and_lists_may_hold_null() -> None:
    origin = {
        "resourceType": "Provenance",
        "id": "a",
        "target": [{"reference": "#"}],
        "recorded": "2025-01-01T00:00:00Z",
        "agent": [{"who": {"display": "x"}}],
    }
    assert check(observation(contained=[origin]), "R4") == []
    named = {"resourceType": "Patient", "name": [{"given": ["A", None], "_given": [None, {"id": "x"}]}]}
    assert check(named, "R4") == []


def test_entries_of_a_list_are_not_those_of_a_bundle() -> None:
    listed = {"resourceType": "List", "status": "current", "mode": "working", "entry": [{"item": {"reference": "Patient/1"}}]}
    assert check(listed, "R4") == []


def test_entries_without_a_full_url_and_versions_of_one_resource_may_stand_together() -> None:
    versions = [{"fullUrl": "https://x.org/o1", "resource": observation(meta={"versionId": str(n)})} for n in (1, 2)]
    found = {"resourceType": "Bundle", "type": "collection", "entry": [*versions, {"resource": observation()}]}
    assert check(found, "R4") == []


def test_own_codes_follow_the_canonical_base() -> None:
    base = "https://trials.hospital.example/fhir"
    found = guidance_response(ASSESSMENT, fhir_version="R4", canonical_base=base)
    assert check(found, "R4", base) == []
    found["contained"][0]["parameter"][-2]["part"][2]["valueCoding"]["code"] = "maybe"
    assert any("'maybe' is no code of" in line for line in check(found, "R4", base))


Break = Callable[[Json], object]
BREAKS: list[Break] = [
    lambda one: one.update(status="banana"),
    lambda one: one.pop("moduleCanonical"),
    lambda one: one["contained"].pop(),
    lambda one: one.update(outputParameters={"reference": "#elsewhere"}),
    lambda one: one["contained"][0]["parameter"].append({"name": "x"}),
    lambda one: one.update(performer={"reference": "Patient/1"}),
    lambda one: one["contained"][1]["issue"][0].update(code="banana"),
]


@pytest.mark.parametrize("spoil", BREAKS)
def test_a_spoilt_guidance_is_found(spoil: Break) -> None:
    found = copy.deepcopy(guidance_response(ASSESSMENT, fhir_version="R4"))
    spoil(found)
    assert check(found, "R4")
