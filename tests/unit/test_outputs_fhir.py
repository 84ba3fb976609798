"""The recommendation as FHIR: the set of resources, each state, what is never written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_elig.outputs import fhir_json
from fhir_elig.outputs.checks import check
from fhir_elig.outputs.fhir_json import FhirVersion
from fhir_elig.outputs.guidance import failures, guidance_response, guidance_status
from fhir_elig.outputs.provenance import answerers, provenance
from fhir_elig.outputs.research_subject import bundle, device, not_assessed, research_subject
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


def entry(resources: dict[str, Any], name: str) -> dict[str, Any]:
    return next(item["resource"] for item in resources["entry"] if item["resource"]["resourceType"] == name)


def failed(name: str = "platelets", reason: Reason = Reason.OUT_OF_RANGE, **more: Any) -> CriterionResult:
    return CriterionResult(id=name, verdict=Verdict.NOT_MET, reason=reason, **more)


@both
def test_the_set_is_a_collection_of_four(assessment: Assessment, version: FhirVersion) -> None:
    found = bundle(assessment, fhir_version=version, recorded=RECORDED, site="Organization/site")
    assert [item["resource"]["resourceType"] for item in found["entry"]] == [
        "Device",
        "ResearchSubject",
        "GuidanceResponse",
        "Provenance",
    ]
    assert all(item["fullUrl"] == f"urn:uuid:{item['resource']['id']}" for item in found["entry"])
    assert found["timestamp"] == RECORDED
    assert check(found, version) == []


@both
def test_inside_the_set_references_are_those_of_its_entries(assessment: Assessment, version: FhirVersion) -> None:
    found = bundle(assessment, fhir_version=version, recorded=RECORDED)
    urls = {item["resource"]["resourceType"]: item["fullUrl"] for item in found["entry"]}
    origin = entry(found, "Provenance")
    assert [target["reference"] for target in origin["target"]] == [urls["GuidanceResponse"], urls["ResearchSubject"]]
    assert origin["agent"][0]["who"]["reference"] == urls["Device"]
    assert entry(found, "GuidanceResponse")["performer"]["reference"] == urls["Device"]


@both
def test_the_same_assessment_gives_the_same_bytes(published: dict[str, Any], version: FhirVersion) -> None:
    first, second = (
        fhir_json.encode(bundle(msgspec.convert(published, Assessment), fhir_version=version, recorded=RECORDED)) for _ in "ab"
    )
    assert first == second


@both
@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("recoverable", [True, False])
def test_every_state_is_valid_and_says_what_it_is(
    assessment: Assessment, version: FhirVersion, status: Status, recoverable: bool
) -> None:
    one = changed(assessment, status=status, recoverable=recoverable, criteria=(*assessment.criteria, failed()))
    subject = research_subject(one, fhir_version=version)
    assert check(subject, version) == []
    assert check(guidance_response(one, fhir_version=version), version) == []
    told = subject["status"] if version == "R4" else subject["progress"][0]["subjectState"]["coding"][0]["code"]
    assert told == status.value
    assert "Recommendation of software, not a determination" in subject["text"]["div"]


def test_r5_says_why_a_patient_is_ineligible(assessment: Assessment) -> None:
    one = changed(assessment, status=Status.INELIGIBLE, criteria=(failed(), failed("alive", Reason.DECEASED)))
    progress = research_subject(one, fhir_version="R5")["progress"][0]
    assert progress["reason"]["text"] == "platelets: not-met (out-of-range); alive: not-met (deceased)"
    assert progress["startDate"] == assessment.as_of


def test_r5_ineligible_without_a_failed_criterion_has_no_text(assessment: Assessment) -> None:
    bare = changed(assessment, status=Status.INELIGIBLE, criteria=())
    assert "text" not in research_subject(bare, fhir_version="R5")["progress"][0]["reason"]
    assert check(bundle(bare, fhir_version="R5", recorded=RECORDED), "R5") == []


@pytest.mark.parametrize(
    ("status", "recoverable", "told"),
    [
        (Status.INELIGIBLE, False, "success"),
        (Status.INELIGIBLE, True, "data-requested"),
        (Status.POTENTIAL_CANDIDATE, False, "data-required"),
        (Status.CANDIDATE, False, "data-requested"),
        (Status.ELIGIBLE, False, "success"),
    ],
)
def test_the_status_of_the_guidance(assessment: Assessment, status: Status, recoverable: bool, told: str) -> None:
    assert guidance_status(changed(assessment, status=status, recoverable=recoverable)) == told


def test_the_narrative_is_escaped_and_quotes_computed_values_only(assessment: Assessment) -> None:
    value = Evidence("Observation/o1", "1", "<b>Jane Roe</b>", "61 10*9/L", ">= 75 10*9/L", "2025-09-11T07:40:00Z")
    text = Evidence("Observation/o2", "1", "Jane Roe", "Jane Roe", "negative")
    rows = (
        failed(evidence=(value,)),
        failed("<script>", evidence=(msgspec.structs.replace(value, time=""),)),
        failed("hcg", Reason.PRESENT, evidence=(text,)),
        failed("bare"),
    )
    found = research_subject(changed(assessment, status=Status.INELIGIBLE, recoverable=True, criteria=rows), fhir_version="R4")
    div = found["text"]["div"]
    assert "platelets 61 10*9/L, limit &gt;= 75 10*9/L of 2025-09-11; &lt;script&gt; 61" in div
    assert "hcg (present); bare (out-of-range); recoverable" in div
    assert "Jane" not in div and "<script" not in div
    assert check(found, "R4") == []


def test_the_narrative_counts_and_names_what_data_would_settle(assessment: Assessment) -> None:
    div = guidance_response(assessment, fhir_version="R4")["text"]["div"]
    assert "6 criteria met, 0 not met, 4 unknown, 1 not applicable" in div
    assert "Data that would settle it: ferritin." in div
    assert "Provisional" in div
    form = CriterionResult(
        id="score", verdict=Verdict.UNKNOWN, reason=Reason.NOT_FOUND, settled_by=SettledBy(resource="QuestionnaireResponse")
    )
    bare = CriterionResult(id="bare", verdict=Verdict.UNKNOWN, reason=Reason.MODIFIER)
    told = guidance_response(changed(assessment, decisive=("score", "bare"), criteria=(form, bare)), fhir_version="R4")
    assert "Data that would settle it: bare." in told["text"]["div"]
    sure = changed(assessment, provisional=False, decisive=("willing", "nobody-knows-it"))
    div = guidance_response(sure, fhir_version="R4")["text"]["div"]
    assert "Data that" not in div and "Provisional" not in div


def test_failures_go_down_to_the_parts_that_decide(assessment: Assessment) -> None:
    deep = failed(
        "organs",
        criteria=(
            failed("alt"),
            failed("ast", Reason.ABSENT),
            CriterionResult(id="x", verdict=Verdict.MET, reason=Reason.IN_RANGE),
        ),
    )
    turned = failed(
        "not-pregnant",
        Reason.PRESENT,
        criteria=(CriterionResult(id="pregnant", verdict=Verdict.MET, reason=Reason.PRESENT), failed("lactating", Reason.ABSENT)),
    )
    excluded = failed("infection", Reason.PRESENT, exclusion=True, criteria=(failed("other", Reason.PRESENT),))
    found = failures(changed(assessment, criteria=(deep, turned, excluded, *assessment.criteria)))
    assert [result.id for result in found] == ["alt", "ast", "not-pregnant", "infection"]


@both
def test_every_verdict_resolves_to_versioned_evidence(assessment: Assessment, version: FhirVersion) -> None:
    targets = ("GuidanceResponse/g/_history/1", "ResearchSubject/s/_history/4")
    found = provenance(assessment, fhir_version=version, recorded=RECORDED, site="Organization/site", targets=targets)
    cited = [one["what"] for one in found["entity"]]
    assert {"reference": "Observation/bp-9/_history/3"} in cited
    assert {"reference": "Observation/fer-1"} in cited
    assert {"display": "answers:signed"} in cited
    assert [one["identifier"]["value"] for one in cited if "identifier" in one] == ["a3" * 32, "5c" * 32]
    assert [target["reference"] for target in found["target"]] == [*targets]
    assert found["agent"][0]["onBehalfOf"] == {"reference": "Organization/site"}
    assert check(found, version) == []


def test_who_answered_is_an_agent(assessment: Assessment) -> None:
    assert answerers(assessment) == ["Practitioner/7"]
    found = provenance(assessment, fhir_version="R4", recorded=RECORDED)
    assert found["agent"][1]["who"] == {"reference": "Practitioner/7"}
    assert "onBehalfOf" not in found["agent"][0]


def test_what_has_no_hash_is_not_named(assessment: Assessment) -> None:
    found = provenance(changed(assessment, mappings={}), fhir_version="R4", recorded=RECORDED)
    assert [one["what"].get("display") for one in found["entity"]][-1] == "protocol file"


@both
def test_the_device_names_the_software(assessment: Assessment, version: FhirVersion) -> None:
    assert check(device(assessment, fhir_version=version), version) == []
    bare = device(changed(assessment, package={}), fhir_version=version)
    assert "version" not in bare and check(bare, version) == []


@pytest.mark.parametrize(
    ("code", "issue"),
    [
        ("FE0601", "conflict"),
        ("FE0404", "not-found"),
        ("FE0401", "transient"),
        ("FE0414", "timeout"),
        ("FE0901", "processing"),
        ("X", "processing"),
    ],
)
def test_a_patient_who_could_not_be_assessed_gets_an_outcome_alone(code: str, issue: str) -> None:
    found = not_assessed("Patient/p2", code, "the server sent something else", recorded=RECORDED)
    assert [item["resource"]["resourceType"] for item in found["entry"]] == ["OperationOutcome"]
    told = found["entry"][0]["resource"]["issue"][0]
    assert (told["severity"], told["code"]) == ("error", issue)
    assert told["details"]["coding"][0]["code"] == code
    assert told["details"]["text"].startswith("Patient/p2 was not assessed: ")
    for version in VERSIONS:
        assert check(found, version) == []


def test_an_outcome_without_a_reason_has_no_empty_text() -> None:
    assert "diagnostics" not in not_assessed("Patient/p2", "FE0601", " ", recorded=RECORDED)["entry"][0]["resource"]["issue"][0]
