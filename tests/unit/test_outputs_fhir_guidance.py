"""GuidanceResponse, the assessment inside it, and the forms that ask people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_elig.outputs.checks import check
from fhir_elig.outputs.fhir_json import FhirVersion
from fhir_elig.outputs.guidance import data_requirements, guidance_response, messages
from fhir_elig.outputs.parameters import ASSESSMENT, CRITERION, EVIDENCE, from_parameters, to_parameters
from fhir_elig.outputs.questionnaire import code_systems, open_questions, questionnaire, questionnaire_response_open
from fhir_elig.verdict import Assessment, CriterionResult, Evidence, Reason, SettledBy, Status, Verdict

DATA = Path(__file__).parents[1] / "data" / "assessment.json"
RECORDED = "2025-09-15T06:00:00Z"
VERSIONS: tuple[FhirVersion, ...] = ("R4", "R5")
both = pytest.mark.parametrize("version", VERSIONS)


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def assessment(published: dict[str, Any]) -> Assessment:
    return msgspec.convert(published, Assessment)


def changed(assessment: Assessment, **changes: Any) -> Assessment:
    return msgspec.structs.replace(assessment, **changes)


@both
def test_the_guidance_holds_the_whole_assessment(assessment: Assessment, published: dict[str, Any], version: FhirVersion) -> None:
    found = guidance_response(assessment, fhir_version=version)
    assert found["outputParameters"] == {"reference": "#assessment"}
    assert from_parameters(found["contained"][0]) == published
    link: dict[str, str] = {"reference": "#messages"}
    assert found["evaluationMessage"] == ([link] if version == "R4" else link)


def test_an_assessment_that_leaves_nothing_open_has_no_messages(assessment: Assessment) -> None:
    closed = changed(assessment, status=Status.ELIGIBLE, criteria=assessment.criteria[:2], retrieved=(), errors=())
    for version in VERSIONS:
        found = guidance_response(closed, fhir_version=version)
        assert len(found["contained"]) == 1
        assert "evaluationMessage" not in found and "dataRequirement" not in found
        assert check(found, version) == []


def test_messages_name_each_gap(assessment: Assessment) -> None:
    found = [(issue["severity"], issue["code"], issue["diagnostics"]) for issue in messages(assessment)]
    assert found == [
        ("information", "value", "ferritin: no-unit; Observation http://loinc.org|2276-4 local-code, 28 d before screening"),
        ("information", "informational", "willing: needs-person; QuestionnaireResponse Is the patient willing to take part?"),
        (
            "information",
            "incomplete",
            "untreated: incomplete; MedicationRequest, Procedure http://www.whocc.no/atc|L01, 6 mo before leukapheresis",
        ),
        ("information", "informational", "test-before-infusion: pending-event; 48 h before infusion"),
        ("warning", "incomplete", "MedicationRequest: partial: page 2 was lost"),
        ("warning", "incomplete", "Procedure: completeness is not known"),
        ("warning", "processing", "FE0302 Observation/broken: set aside"),
    ]


def test_a_message_never_holds_control_characters(assessment: Assessment) -> None:
    one = changed(assessment, errors=("a\x00b", " "))
    assert messages(one)[-1]["diagnostics"] == "a\ufffdb"


def test_an_unknown_without_a_way_out_is_still_told(assessment: Assessment) -> None:
    bare = CriterionResult(id="x", verdict=Verdict.UNKNOWN, reason=Reason.MODIFIER)
    one = changed(assessment, criteria=(bare,), retrieved=(), errors=())
    assert messages(one) == [{"severity": "information", "code": "extension", "diagnostics": "x: modifier"}]
    assert data_requirements(one, "R4") == []


def test_data_requirements_are_decisive_first_and_each_once(assessment: Assessment) -> None:
    twice = (*assessment.criteria, msgspec.structs.replace(assessment.criteria[2].criteria[2], id="ferritin-again"))
    found = data_requirements(changed(assessment, criteria=twice), "R4")
    assert [one["type"] for one in found] == ["Observation", "QuestionnaireResponse", "MedicationRequest", "Procedure"]
    assert found[0]["codeFilter"] == [
        {"path": "code", "code": [{"system": "http://loinc.org", "code": "2276-4"}, {"code": "local-code"}]}
    ]
    assert found[0]["dateFilter"][0]["valueDuration"]["value"] == 28
    assert "dateFilter" not in found[2]


def requirement(assessment: Assessment, version: FhirVersion, **asked: Any) -> list[dict[str, Any]]:
    one = CriterionResult(id="x", verdict=Verdict.UNKNOWN, reason=Reason.NOT_FOUND, settled_by=SettledBy(**asked))
    found = changed(assessment, criteria=(one,))
    assert check(guidance_response(found, fhir_version=version), version) == []
    return data_requirements(found, version)


@both
@pytest.mark.parametrize("name", ["Condition", "MedicationStatement", "MedicationAdministration", "Procedure"])
def test_each_type_is_asked_for_at_its_own_elements(assessment: Assessment, version: FhirVersion, name: str) -> None:
    asked = requirement(
        assessment, version, resource=name, codes=("http://loinc.org|1-1", "no  code"), window="2 wk before screening"
    )
    assert asked[0]["dateFilter"][0]["valueDuration"] == {
        "value": 2,
        "unit": "weeks",
        "system": "http://unitsofmeasure.org",
        "code": "wk",
    }
    assert asked[0]["sort"][0]["path"] == asked[0]["dateFilter"][0]["path"]
    assert len(asked[0]["codeFilter"][0]["code"]) == 1


def test_types_without_codes_and_types_that_do_not_exist(assessment: Assessment) -> None:
    assert requirement(assessment, "R4", resource="Patient", window="birthDate") == [{"type": "Patient"}]
    assert requirement(assessment, "R4", resource="Oracle") == []
    assert requirement(assessment, "R4", resource="Observation", window="28 d before screening") == []
    assert requirement(assessment, "R4", milestone="infusion", window="48 h before infusion") == []


def test_a_window_that_does_not_end_today_is_not_told_as_a_duration(assessment: Assessment) -> None:
    asked = {"resource": "Observation", "codes": ("http://loinc.org|1-1",), "window": "28 d before screening"}
    assert "dateFilter" in requirement(changed(assessment, milestones={}), "R4", **asked)[0]
    assert "dateFilter" not in requirement(changed(assessment, milestones={"screening": "2025-09-01"}), "R4", **asked)[0]


def test_the_form_has_one_boolean_item_for_each_question() -> None:
    form = questionnaire("example-trial", "2.1.0", [("consent", "willing"), ("score/raynaud", "")], date="2025-01-01")
    assert form["item"] == [
        {"linkId": "consent", "text": "willing", "type": "boolean"},
        {"linkId": "score/raynaud", "type": "boolean"},
    ]
    assert form["url"] == "https://example.org/fhir-elig/Questionnaire/example-trial-attestations"
    assert form["name"] == "ExampleTrialAttestations"
    for version in VERSIONS:
        assert check(form, version) == []


@pytest.mark.parametrize(("protocol", "name"), [("9-lives", "Protocol9LivesAttestations"), ("my_trial", "MyTrialAttestations")])
def test_the_form_of_an_odd_protocol_id_is_valid(protocol: str, name: str) -> None:
    form = questionnaire(protocol, "1", [])
    assert form["name"] == name and "item" not in form and "date" not in form
    assert check(form, "R4") == []


@both
def test_the_open_form_has_questions_and_no_answers(assessment: Assessment, version: FhirVersion) -> None:
    found = questionnaire_response_open(assessment, fhir_version=version, recorded=RECORDED)
    assert found["status"] == "in-progress"
    assert found["item"] == [{"linkId": "willing", "text": "willing to take part"}]
    assert found["questionnaire"].endswith("/Questionnaire/example-trial-attestations|2.1.0")
    assert open_questions(assessment) == [("willing", "willing to take part")]
    assert check(found, version) == []
    given = questionnaire_response_open(assessment, [("a", "b")], fhir_version=version, recorded=RECORDED)
    assert given["item"] == [{"linkId": "a", "text": "b"}]


def test_the_code_systems_hold_every_verdict_and_reason() -> None:
    verdicts, reasons = code_systems()
    assert [one["code"] for one in verdicts["concept"]] == list(Verdict)
    assert [one["code"] for one in reasons["concept"]] == list(Reason)
    for version in VERSIONS:
        assert check(verdicts, version) == [] and check(reasons, version) == []


@pytest.mark.parametrize(("rows", "struct"), [(ASSESSMENT, Assessment), (CRITERION, CriterionResult), (EVIDENCE, Evidence)])
def test_every_field_of_the_assessment_has_a_row(rows: list[Any], struct: type[msgspec.Struct]) -> None:
    assert [row.key for row in rows] == list(struct.__struct_fields__)


def test_names_are_in_kebab_case_and_lists_are_repeated(assessment: Assessment) -> None:
    found = to_parameters(assessment)["parameter"]
    names = [one["name"] for one in found]
    assert names.count("criterion") == len(assessment.criteria) and names.count("decisive") == 2
    assert {"as-of", "valid-until", "milestone", "decision"} <= set(names)
    assert not [name for name in names if "_" in name]
