"""Identifiers that are computed, primitives that are checked, and the encoder."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_elig.outputs import fhir_json
from fhir_elig.outputs.research_subject import research_subject
from fhir_elig.verdict import Assessment

DATA = Path(__file__).parents[1] / "data" / "assessment.json"


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def assessment(published: dict[str, Any]) -> Assessment:
    return msgspec.convert(published, Assessment)


def changed(assessment: Assessment, **changes: Any) -> Assessment:
    return msgspec.structs.replace(assessment, **changes)


def test_the_subject_key_is_made_of_base_study_and_patient(assessment: Assessment) -> None:
    known = changed(assessment, base="https://ehr.example.org/fhir", patient="Patient/example-1")
    found = fhir_json.keys(known, "ResearchStudy/relma-cel-ssc", fhir_json.DEFAULT_BASE)
    assert found.subject == "e40f1e99-5a1f-58db-a2a6-9eee378c9493"
    assert found.device == "19c599fa-7f1f-5786-9bba-572a04a81cde"


def test_ids_follow_from_the_evaluation_key() -> None:
    evaluation = "239e5b93-a701-5ca9-9861-80445de7b269"
    assert fhir_json.key(evaluation, "GuidanceResponse") == "7493f432-8bd3-5cf4-8db3-3a778a94bcd5"
    assert fhir_json.key(evaluation, "Provenance") == "84a97ee3-5fab-5396-b1e5-b6fb6efbaeda"
    assert fhir_json.key(evaluation, "QuestionnaireResponse") == "bcfea331-d4b4-5963-99a6-ac575b3f857a"


@pytest.mark.parametrize(
    "changes",
    [
        {"as_of": "2025-09-16"},
        {"milestones": {"screening": "2025-09-15"}},
        {"mappings": {"sha256": "00"}},
        {"package": {"version": "0.2.0"}},
        {"patient": "Patient/other"},
        {"base": None},
        {"criteria": ()},
    ],
)
def test_another_evaluation_has_another_key(assessment: Assessment, changes: dict[str, Any]) -> None:
    keys = {
        fhir_json.keys(one, "ResearchStudy/x", fhir_json.DEFAULT_BASE).evaluation
        for one in (assessment, changed(assessment, **changes))
    }
    assert len(keys) == 2


def test_the_order_of_milestones_changes_no_key(assessment: Assessment) -> None:
    turned = changed(assessment, milestones=dict(reversed(assessment.milestones.items())))
    study = "ResearchStudy/x"
    assert fhir_json.keys(turned, study, "https://b") == fhir_json.keys(assessment, study, "https://b")


def test_evidence_is_cited_by_version_and_components_by_their_observation() -> None:
    assert fhir_json.versioned("Observation/o1", "3") == "Observation/o1/_history/3"
    assert fhir_json.versioned("Observation/o1#component-2", "3") == "Observation/o1/_history/3"
    assert fhir_json.versioned("Observation/o1#component-2", "") == "Observation/o1"
    assert fhir_json.versioned("Observation/o1", 'W/"3"') == "Observation/o1"
    assert fhir_json.versioned("answers:consent", "") == "answers:consent"


def test_a_protocol_id_that_is_no_fhir_id_still_gives_a_legal_study(assessment: Assessment) -> None:
    odd = changed(assessment, protocol=msgspec.structs.replace(assessment.protocol, id="my_trial"))
    reference = research_subject(odd, fhir_version="R4")["study"]["reference"]
    assert fhir_json.LITERAL.fullmatch(reference)
    assert research_subject(assessment, fhir_version="R4")["study"]["reference"] == "ResearchStudy/example-trial"
    assert research_subject(assessment, fhir_version="R4", study="ResearchStudy/77")["study"]["reference"] == "ResearchStudy/77"


def test_the_encoder_keeps_the_digits_that_were_sent() -> None:
    sent = {"b": Decimal("7.50"), "a": [Decimal("1E+3"), Decimal("-0.00"), 2, "é"]}
    assert fhir_json.encode(sent) == '{"b":7.50,"a":[1E+3,-0.00,2,"é"]}'.encode()


@pytest.mark.parametrize("number", [Decimal("NaN"), Decimal("Infinity"), float("nan"), float("-inf")])
def test_the_encoder_refuses_what_json_cannot_hold(number: Decimal | float) -> None:
    with pytest.raises(ValueError, match="not a number"):
        fhir_json.encode({"x": [{"value": number}]})


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("2025", True),
        ("2025-09", True),
        ("2025-09-15", True),
        ("2025-09-15T08:00:00Z", True),
        ("2025-09-15T08:00:00.125+02:00", True),
        ("2025-02-30", False),
        ("2025-09-15T08:00:00", False),
        ("2025-09-15T08:00+02:00", False),
        ("2025-09-15T24:00:00Z", False),
        ("2025-04-02/2025-04-04", False),
        (" 2025", False),
        ("", False),
    ],
)
def test_a_date_time_has_the_right_form_and_exists(text: str, good: bool) -> None:
    assert fhir_json.is_date_time(text) is good


def test_a_time_that_fhir_does_not_take_is_told_by_its_day() -> None:
    assert fhir_json.moment("2025-09-15T08:00") == "2025-09-15"
    assert fhir_json.moment("2025-09-15T08:00:00Z") == "2025-09-15T08:00:00Z"


def test_codes_are_read_only_where_they_can_be_given_back() -> None:
    assert fhir_json.read_code("http://loinc.org|718-7") == {"system": "http://loinc.org", "code": "718-7"}
    assert fhir_json.read_code("local") == {"code": "local"}
    for odd in ("a b|c", "|c", "s|", "", "two  blanks"):
        assert fhir_json.read_code(odd) is None
