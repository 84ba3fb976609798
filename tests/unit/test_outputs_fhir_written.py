"""What is written besides the recommendation: proposals, messages, the screening list, audit events, a lower state."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import fhirkit
import msgspec
import pytest

from fhir_elig.outputs.audit_event import audit_event
from fhir_elig.outputs.checks import check
from fhir_elig.outputs.fhir_json import FhirVersion, encode, keys, relink
from fhir_elig.outputs.proposal import communication, service_request
from fhir_elig.outputs.research_subject import research_subject
from fhir_elig.outputs.screening_list import screening_list, with_subjects
from fhir_elig.verdict import Assessment, Status

ASSESSMENT = msgspec.convert(
    json.loads((Path(__file__).parents[1] / "data" / "assessment.json").read_text(encoding="utf-8")), Assessment
)
RECORDED = "2025-09-15T06:00:00Z"
STUDY = "ResearchStudy/77"
IDS = keys(ASSESSMENT, STUDY, "https://example.org/fhir-elig")
both = pytest.mark.parametrize("version", ["R4", "R5"])


def sound(resource: dict[str, Any], version: FhirVersion) -> bool:
    """Accepted by the models and by our own checks; in R4 by a validator that is not ours, too."""
    assert check(resource, version) == []
    return version == "R5" or [str(issue) for issue in fhirkit.validate(encode(resource).decode())] == []


@both
@pytest.mark.parametrize("recommended", [True, False])
def test_a_proposal_is_a_draft_that_names_the_study(version: FhirVersion, recommended: bool) -> None:
    found = service_request(ASSESSMENT, fhir_version=version, study=STUDY, recommended=recommended)
    assert sound(found, version)
    assert (found["intent"], found["status"], found["id"]) == ("proposal", "draft", IDS.request)
    text = json.dumps(found["supportingInfo"])
    assert STUDY in text
    assert (f"ResearchSubject/{IDS.subject}" in text and f"GuidanceResponse/{IDS.guidance}" in text) is recommended
    assert found["identifier"][0]["value"] == IDS.subject


@both
@pytest.mark.parametrize("state", [None, Status.POTENTIAL_CANDIDATE])
def test_a_message_goes_to_its_pool_and_quotes_no_value(version: FhirVersion, state: Status | None) -> None:
    found = communication(ASSESSMENT, "PractitionerRole/pool", fhir_version=version, recorded=RECORDED, study=STUDY, state=state)
    assert sound(found, version)
    assert found["recipient"] == [{"reference": "PractitionerRole/pool"}]
    said = json.dumps(found["payload"])
    assert (state or ASSESSMENT.status).value.replace("-", " ") in said
    values = {item.received for result in ASSESSMENT.walk() for item in result.evidence if item.received}
    assert values and not any(value in said for value in values)


def test_a_list_gets_what_it_lacks_and_loses_nothing() -> None:
    made = screening_list("t", STUDY, ["ResearchSubject/a"], base="https://s/fhir", device="Device/d", recorded=RECORDED)
    assert sound(made, "R4") and sound(made, "R5")
    people = {**made, "entry": [{"item": {"reference": "https://s/fhir/ResearchSubject/a/_history/2"}, "deleted": True}]}
    assert with_subjects(people, ["ResearchSubject/a"], recorded=RECORDED) is None
    more = with_subjects(people, ["ResearchSubject/b", "ResearchSubject/a", "ResearchSubject/b"], recorded="2025-09-16T06:00:00Z")
    assert more is not None
    assert more["entry"] == [
        *people["entry"],
        {"date": "2025-09-16T06:00:00Z", "item": {"reference": "ResearchSubject/b"}},
    ]
    assert (more["id"], more["date"]) == (made["id"], "2025-09-16T06:00:00Z")


def test_an_empty_list_has_no_empty_array() -> None:
    made = screening_list("t", STUDY, [], base="https://s/fhir", device="Device/d", recorded=RECORDED)
    assert "entry" not in made and sound(made, "R4") and sound(made, "R5")


@both
@pytest.mark.parametrize("person", ["", "Practitioner/7"])
@pytest.mark.parametrize("base", [None, "https://ehr.example.org/fhir"])
def test_an_audit_event_says_who_asked_for_whom(version: FhirVersion, person: str, base: str | None) -> None:
    one = msgspec.structs.replace(ASSESSMENT, base=base)
    found = audit_event(one, fhir_version=version, recorded=RECORDED, query="Observation Condition", person=person)
    assert sound(found, version)
    assert [agent.get("requestor") for agent in found["agent"]].count(True) == 1
    assert base64.b64decode(found["entity"][1]["query"]) == b"Observation Condition"
    assert found["entity"][0]["what"] == {"reference": ASSESSMENT.patient}
    assert len(found["agent"]) == 1 + bool(person) + bool(base)


@both
def test_a_lower_state_is_written_and_says_what_is_left_to_a_person(version: FhirVersion) -> None:
    one = msgspec.structs.replace(ASSESSMENT, status=Status.ELIGIBLE)
    found = research_subject(one, fhir_version=version, study=STUDY, state=Status.CANDIDATE)
    assert sound(found, version)
    state = found["status"] if version == "R4" else found["progress"][0]["subjectState"]["coding"][0]["code"]
    assert state == "candidate"
    assert "<b>candidate</b>" in found["text"]["div"] and "eligible is left to a person" in found["text"]["div"]
    assert found["id"] == research_subject(one, fhir_version=version, study=STUDY)["id"]


def test_references_are_led_to_what_was_written_and_others_stay() -> None:
    found = relink({"a": [{"reference": "Device/x"}, {"reference": "Patient/p"}], "reference": 7}, {"Device/x": "Device/9"})
    assert found == {"a": [{"reference": "Device/9"}, {"reference": "Patient/p"}], "reference": 7}
