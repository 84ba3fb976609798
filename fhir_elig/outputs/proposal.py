"""What is handed to people where a machine may not keep a ResearchSubject: a proposal to refer, or a message to a pool.

The ServiceRequest follows the profile Studieneinschluss-Anfrage of the German core data set, module Studie (2026): intent
`proposal`, SNOMED CT 110465008 and 702475000. Neither resource quotes a value of the chart.
"""

from __future__ import annotations

from fhir_elig.outputs.fhir_json import (
    DEFAULT_BASE,
    TERMINOLOGY,
    FhirVersion,
    Json,
    coding,
    concept,
    keys,
    moment,
    recommendation_meta,
    study_reference,
)
from fhir_elig.verdict import Assessment, Status

_SNOMED = "http://snomed.info/sct"
_PROFILE = (
    "https://www.medizininformatik-initiative.de/fhir/modul-studie/StructureDefinition/mii-pr-studie-studieneinschluss-anfrage"
)


def service_request(
    assessment: Assessment,
    *,
    fhir_version: FhirVersion,
    canonical_base: str = DEFAULT_BASE,
    study: str | None = None,
    recommended: bool = True,
) -> Json:
    """A proposal to refer the patient to the study, for a person to take up or to drop.

    It names the ResearchSubject and the GuidanceResponse if `recommended`: where those are stored beside it.
    """
    study = study_reference(assessment, study)
    ids = keys(assessment, study, canonical_base)
    beside = (f"ResearchSubject/{ids.subject}", f"GuidanceResponse/{ids.guidance}") if recommended else ()
    recent = fhir_version == "R5"
    code = {"coding": [coding(_SNOMED, "702475000", "Referral to clinical trial (procedure)")]}
    profile: Json = {} if recent else {"profile": [_PROFILE]}
    links = [{"reference": reference} for reference in (study, *beside)]
    return {
        "resourceType": "ServiceRequest",
        "id": ids.request,
        "meta": {**profile, **recommendation_meta(canonical_base)},
        "identifier": [_identifier(ids.subject, canonical_base)],
        "status": "draft",
        "intent": "proposal",
        "category": [{"coding": [coding(_SNOMED, "110465008", "Clinical trial (procedure)")]}],
        "code": {"concept": code} if recent else code,
        "subject": {"reference": assessment.patient},
        "authoredOn": moment(assessment.as_of),
        "requester": {"reference": f"Device/{ids.device}"},
        "supportingInfo": [{"reference": link} for link in links] if recent else links,
    }


def communication(
    assessment: Assessment,
    recipient: str,
    *,
    fhir_version: FhirVersion,
    recorded: str,
    canonical_base: str = DEFAULT_BASE,
    study: str | None = None,
    state: Status | None = None,
) -> Json:
    """A message to a pool (`recipient`, a reference): this patient may be looked at for the study."""
    study = study_reference(assessment, study)
    ids = keys(assessment, study, canonical_base)
    words = (state or assessment.status).value.replace("-", " ")
    text = f"Recommendation of software, not a determination: {words} for {assessment.protocol.id} as of {assessment.as_of}."
    content = "contentString" if fhir_version == "R4" else "contentCodeableConcept"
    return {
        "resourceType": "Communication",
        "id": ids.communication,
        "meta": recommendation_meta(canonical_base),
        "identifier": [_identifier(ids.subject, canonical_base)],
        "status": "completed",
        "category": [concept(f"{TERMINOLOGY}/communication-category", "notification")],
        "subject": {"reference": assessment.patient},
        "about": [{"reference": study}],
        "sent": recorded,
        "recipient": [{"reference": recipient}],
        "sender": {"reference": f"Device/{ids.device}"},
        "payload": [{content: text if fhir_version == "R4" else {"text": text}}],
    }


def _identifier(subject: str, canonical_base: str) -> Json:
    return {"use": "secondary", "system": f"{canonical_base}/NamingSystem/recommendation", "value": subject}
