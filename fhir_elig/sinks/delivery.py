"""What is written for one assessment, as resources. Nothing is sent here."""

from __future__ import annotations

from fhir_elig.errors import FhirEligError
from fhir_elig.outputs.audit_event import audit_event
from fhir_elig.outputs.checks import check
from fhir_elig.outputs.fhir_json import key
from fhir_elig.outputs.guidance import guidance_response
from fhir_elig.outputs.proposal import service_request
from fhir_elig.outputs.provenance import provenance
from fhir_elig.outputs.research_subject import research_subject
from fhir_elig.sinks import Resource
from fhir_elig.sinks.outbox import Delivery
from fhir_elig.sinks.plan import How, Plan, state_to_write, subject_key
from fhir_elig.verdict import Assessment, Status


def delivery(assessment: Assessment, plan: Plan, recorded: str) -> Delivery:
    """The resources of one patient under this plan; `recorded` is the instant of the run.

    Raises FhirEligError (FE0901) if one of them is not sound FHIR: it is then not sent.
    """
    rules = plan.rules
    state = state_to_write(assessment.status, rules.allow)
    subject, beside = _subject(assessment, plan, state), _beside(assessment, plan, recorded)
    for one in (*([subject] if subject else []), *beside):
        if faults := check(one, plan.fhir_version, rules.canonical_base):
            raise FhirEligError(f"{one['resourceType']} is not sound: {faults[0]}", fix="report this with the version")
    return Delivery(
        key=subject_key(assessment, rules.study),
        patient=assessment.patient,
        base=plan.base,
        study=rules.study,
        new=state is not None,
        recorded=recorded,
        subject=subject,
        beside=beside,
    )


def _subject(assessment: Assessment, plan: Plan, state: Status | None) -> Resource | None:
    """An existing record of ours is always brought down to `ineligible`, whatever the site allows for new ones."""
    if assessment.status is Status.INELIGIBLE:
        state = Status.INELIGIBLE
    if state is None:
        return None
    rules = plan.rules
    return research_subject(
        assessment, fhir_version=plan.fhir_version, canonical_base=rules.canonical_base, study=rules.study, state=state
    )


def _beside(assessment: Assessment, plan: Plan, recorded: str) -> tuple[Resource, ...]:
    version, base, study = plan.fhir_version, plan.rules.canonical_base, plan.rules.study
    # One proposal for a patient and study, however often it is assessed.
    asked = service_request(assessment, fhir_version=version, canonical_base=base, study=study)
    made = {
        "GuidanceResponse": guidance_response(assessment, fhir_version=version, canonical_base=base, study=study),
        "ServiceRequest": {**asked, "id": key(subject_key(assessment, study), "ServiceRequest")},
        "AuditEvent": audit_event(
            assessment,
            fhir_version=version,
            recorded=recorded,
            query=" ".join(sorted({line.type for line in assessment.retrieved})),
            canonical_base=base,
            study=study,
        ),
        "Provenance": provenance(assessment, fhir_version=version, recorded=recorded, canonical_base=base, study=study),
    }
    wanted = {"GuidanceResponse", "Provenance", *plan.rules.also}
    if assessment.status is Status.INELIGIBLE:
        wanted -= {"ServiceRequest"}  # nobody is referred to a trial that excludes them
    return tuple(one for name, one in made.items() if name in wanted and plan.how.get(name, How.NOT) is not How.NOT)
