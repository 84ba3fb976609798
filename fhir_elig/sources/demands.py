"""What servers may demand beside the patient, written out: every status, every intent, the usual categories.

Status and intent are required elements with a required code list (FHIR R4 4.0.1, R5 5.0.0): a search that names all of its
codes asks for everything. Categories are a hospital's own choice, and a record may have none: a search by category may hide what
was filed elsewhere, and never proves that something is not there.
"""

from __future__ import annotations

from collections.abc import Mapping

Params = tuple[tuple[str, str], ...]

_INTENTS = "order,plan,original-order,reflex-order,filler-order,instance-order,proposal,option"
_STATUS = {
    "Consent": "draft,proposed,active,rejected,inactive,entered-in-error",
    "DiagnosticReport": ("registered,partial,preliminary,final,amended,corrected,appended,cancelled,entered-in-error,unknown"),
    "Encounter": "planned,arrived,triaged,in-progress,onleave,finished,cancelled,entered-in-error,unknown",
    "Immunization": "completed,entered-in-error,not-done",
    "MedicationAdministration": "in-progress,not-done,on-hold,completed,entered-in-error,stopped,unknown",
    "MedicationDispense": "preparation,in-progress,cancelled,on-hold,completed,entered-in-error,stopped,declined,unknown",
    "MedicationRequest": "active,on-hold,cancelled,completed,entered-in-error,stopped,draft,unknown",
    "MedicationStatement": "active,completed,entered-in-error,intended,stopped,on-hold,unknown,not-taken",
    "Observation": "registered,preliminary,final,amended,corrected,cancelled,entered-in-error,unknown",
    "Procedure": "preparation,in-progress,not-done,on-hold,stopped,completed,entered-in-error,unknown",
    "QuestionnaireResponse": "in-progress,completed,amended,entered-in-error,stopped",
}
_STATUS_R5 = _STATUS | {
    "Consent": "draft,active,inactive,not-done,entered-in-error,unknown",
    "DiagnosticReport": (
        "registered,partial,preliminary,modified,final,amended,corrected,appended,cancelled,entered-in-error,unknown"
    ),
    "Encounter": "planned,in-progress,on-hold,discharged,completed,cancelled,discontinued,entered-in-error,unknown",
    "MedicationRequest": "active,on-hold,ended,stopped,completed,cancelled,entered-in-error,draft,unknown",
    "MedicationStatement": "recorded,entered-in-error,draft",
}
# The codes of HL7's observation-category and condition-category (US Core's among them), what trials read most first.
_CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "Observation": (
        "laboratory", "vital-signs", "exam", "survey", "imaging", "procedure", "social-history", "therapy", "activity",
    ),
    "Condition": ("problem-list-item", "encounter-diagnosis", "health-concern"),
}  # fmt: skip


def enumerations(resource_type: str, declared: frozenset[str], fhir_version: str) -> tuple[Params, ...]:
    """Ways to name all codes of a type's intent and status, fewest parameters first; only parameters that are declared."""
    statuses = (_STATUS_R5 if fhir_version.startswith("5") else _STATUS).get(resource_type, "")
    status: Params = (("status", statuses),) if statuses and "status" in declared else ()
    intent: Params = (("intent", _INTENTS),) if resource_type == "MedicationRequest" and "intent" in declared else ()
    return tuple(dict.fromkeys(one for one in (intent, status, (*intent, *status)) if one))


def categories(resource_type: str, wanted: frozenset[str]) -> tuple[str, ...]:
    """Categories to ask for: those that the need names, and the usual ones of the type."""
    return tuple(dict.fromkeys((*sorted(wanted), *_CATEGORIES.get(resource_type, ()))))
