"""The recommendation: ResearchSubject, and the collection Bundle that goes with it.

A recommendation is not an enrolment: no period, no consent, no arm, and only the four states that a machine may propose. It
is marked as one by its tag, its security labels, its secondary identifier and the first words of its narrative.
"""

from __future__ import annotations

from fhir_elig.errors import CODES
from fhir_elig.outputs.fhir_json import (
    DEFAULT_BASE,
    TERMINOLOGY,
    FhirVersion,
    Json,
    collection,
    concept,
    key,
    keys,
    moment,
    readable,
    recommendation_meta,
    software,
    study_reference,
)
from fhir_elig.outputs.guidance import failures, guidance_response, summary
from fhir_elig.outputs.provenance import provenance
from fhir_elig.verdict import Assessment, Status

# FHIR issue-type for the families of the project's error codes; the longest prefix counts.
_ISSUE_CODES = {
    "FE06": "conflict",
    "FE05": "conflict",
    "FE0402": "login",
    "FE0403": "forbidden",
    "FE0404": "not-found",
    "FE0410": "incomplete",
    "FE0413": "too-costly",
    "FE0414": "timeout",
    "FE04": "transient",
    "FE03": "structure",
    "FE07": "no-store",
}


def bundle(
    assessment: Assessment,
    *,
    fhir_version: FhirVersion,
    recorded: str,
    canonical_base: str = DEFAULT_BASE,
    study: str | None = None,
    site: str | None = None,
) -> Json:
    """Device, ResearchSubject, GuidanceResponse and Provenance of an assessment, as a collection Bundle.

    `recorded` is the instant of the run; `study` a reference (`ResearchStudy/<protocol id>` if none is named); `site` the
    organisation that ran it. The same arguments give the same Bundle, byte for byte.
    """
    subject = research_subject(assessment, fhir_version=fhir_version, canonical_base=canonical_base, study=study)
    guidance = guidance_response(assessment, fhir_version=fhir_version, canonical_base=canonical_base, study=study)
    origin = provenance(
        assessment, fhir_version=fhir_version, recorded=recorded, canonical_base=canonical_base, study=study, site=site
    )
    tool = device(assessment, fhir_version=fhir_version, canonical_base=canonical_base)
    return collection([tool, subject, guidance, origin], recorded)


def research_subject(
    assessment: Assessment,
    *,
    fhir_version: FhirVersion,
    canonical_base: str = DEFAULT_BASE,
    study: str | None = None,
    state: Status | None = None,
) -> Json:
    """The ResearchSubject of an assessment. R4 has the state in `status`, R5 in `progress`.

    `state` is a lower state than the assessment's, where a site leaves that one to people.
    """
    state = state or assessment.status
    study = study_reference(assessment, study)
    subject = keys(assessment, study, canonical_base).subject
    identifier = {"use": "secondary", "system": f"{canonical_base}/NamingSystem/recommendation", "value": subject}
    recent = fhir_version == "R5"
    told: Json = {"status": "draft", "progress": [_progress(assessment, state)]} if recent else {"status": state.value}
    return {
        "resourceType": "ResearchSubject",
        "id": subject,
        "meta": recommendation_meta(canonical_base),
        "text": summary(assessment, state),
        "identifier": [identifier],
        **told,
        "study": {"reference": study},
        "subject" if recent else "individual": {"reference": assessment.patient},
    }


def _progress(assessment: Assessment, state: Status) -> Json:
    found: Json = {
        "type": concept(f"{TERMINOLOGY}/research-subject-state-type", "Enrollment"),
        "subjectState": concept(f"{TERMINOLOGY}/research-subject-state", state.value),
    }
    if state is Status.INELIGIBLE:
        why = "; ".join(f"{result.id}: not-met ({result.reason.value})" for result in failures(assessment))
        found["reason"] = concept(f"{TERMINOLOGY}/state-change-reason", "notEligible") | ({"text": why} if why else {})
    return found | {"startDate": moment(assessment.as_of)}


def device(assessment: Assessment, *, fhir_version: FhirVersion, canonical_base: str = DEFAULT_BASE) -> Json:
    """The software, in the version that made the assessment."""
    system, value = f"{canonical_base}/NamingSystem/software", software(assessment)
    kind = {"type": "user-friendly-name"}
    name: Json = {"deviceName": [{"name": "fhir_elig", **kind}]}
    if fhir_version == "R5":
        name = {"name": [{"value": "fhir_elig", **kind, "display": True}]}
    version = assessment.package.get("version", "")
    return {
        "resourceType": "Device",
        "id": key(system, value),
        "identifier": [{"system": system, "value": value}],
        "status": "active",
        "manufacturer": "fhir_elig project",
        **name,
        **({"version": [{"value": version}]} if version else {}),
    }


def not_assessed(patient: str, code: str, why: str, *, recorded: str, canonical_base: str = DEFAULT_BASE) -> Json:
    """What stands in place of a recommendation: a Bundle of one OperationOutcome, the same in R4 and R5.

    `patient` is a reference, `code` one of `errors.CODES`, `why` free of patient data.
    """
    prefix = max((prefix for prefix in _ISSUE_CODES if code.startswith(prefix)), key=len, default="")
    coded = concept(f"{canonical_base}/CodeSystem/error", code)
    title = CODES.get(code, CODES["FE0901"])
    outcome = {
        "resourceType": "OperationOutcome",
        "id": key(canonical_base, "OperationOutcome", patient, code, recorded),
        "issue": [
            {
                "severity": "error",
                "code": _ISSUE_CODES.get(prefix, "processing"),
                "details": {**coded, "text": f"{patient} was not assessed: {title}"},
                **({"diagnostics": readable(why)} if why.strip() else {}),
            }
        ],
    }
    return collection([outcome], recorded)
