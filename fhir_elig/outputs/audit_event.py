"""AuditEvent: that a patient's chart was searched, by which software, for whom, with which question.

IHE BALP and DICOM PS3.15 name the agents' roles; codes are those of FHIR's own value sets.
"""

from __future__ import annotations

import base64

from fhir_elig.outputs.fhir_json import (
    DEFAULT_BASE,
    TERMINOLOGY,
    FhirVersion,
    Json,
    coding,
    concept,
    key,
    keys,
    software,
    study_reference,
)
from fhir_elig.verdict import Assessment

_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_PERSON, _SYSTEM = "1", "2"  # audit-entity-type
_PATIENT, _QUERY = "1", "24"  # object-role


def audit_event(
    assessment: Assessment,
    *,
    fhir_version: FhirVersion,
    recorded: str,
    query: str,
    person: str = "",
    canonical_base: str = DEFAULT_BASE,
    study: str | None = None,
) -> Json:
    """That the chart behind an assessment was read. `query` says what was asked for, `person` (a reference) for whom."""
    ids = keys(assessment, study_reference(assessment, study), canonical_base)
    recent = fhir_version == "R5"
    tool = {"display": software(assessment)}
    evaluation = {"identifier": {"system": f"{canonical_base}/NamingSystem/evaluation", "value": ids.evaluation}}
    asked = base64.b64encode(query.encode()).decode()
    return {
        "resourceType": "AuditEvent",
        "id": key(ids.evaluation, "AuditEvent", recorded),
        **(_recent(assessment) if recent else _first()),
        "action": "E",
        "recorded": recorded,
        "agent": [
            {**_role("110153", "Source Role ID"), "who": tool, "requestor": not person},
            *([_server(assessment.base)] if assessment.base else []),
            *([{"who": {"reference": person}, "requestor": True}] if person else []),
        ],
        "source": {"observer": tool},
        "entity": [
            _entity({"what": {"reference": assessment.patient}}, _PERSON, _PATIENT, recent),
            _entity({"query": asked}, _SYSTEM, _QUERY, recent),
            _entity({"what": evaluation}, _SYSTEM, "", recent),
        ],
    }


def _first() -> Json:
    """What R4 says of the event."""
    return {
        "type": coding(f"{TERMINOLOGY}/audit-event-type", "rest", "RESTful Operation"),
        "subtype": [coding(_INTERACTION, "search", "search")],
        "outcome": "0",
        "purposeOfEvent": [concept(f"{TERMINOLOGY}/v3-ActReason", "CLINTRCH")],
    }


def _recent(assessment: Assessment) -> Json:
    """What R5 says of the event."""
    return {
        "category": [concept(f"{TERMINOLOGY}/audit-event-type", "rest")],
        "code": concept(_INTERACTION, "search"),
        "outcome": {"code": coding(f"{TERMINOLOGY}/audit-event-outcome", "0")},
        "authorization": [concept(f"{TERMINOLOGY}/v3-ActReason", "CLINTRCH")],
        "patient": {"reference": assessment.patient},
    }


def _role(code: str, display: str) -> Json:
    return {"type": {"coding": [coding(_DICOM, code, display)]}}


def _server(base: str) -> Json:
    return {**_role("110152", "Destination Role ID"), "who": {"display": base}, "requestor": False}


def _entity(what: Json, kind: str, role: str, recent: bool) -> Json:
    """R4 tells kind and role of an entity as Codings; R5 has the role alone, as a CodeableConcept."""
    own_role = f"{TERMINOLOGY}/object-role"
    if recent:
        return {**what, **({"role": concept(own_role, role)} if role else {})}
    found = {**what, "type": coding(f"{TERMINOLOGY}/audit-entity-type", kind)}
    return {**found, "role": coding(own_role, role)} if role else found
