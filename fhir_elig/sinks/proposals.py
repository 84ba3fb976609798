"""At a hospital's own record, which takes no ResearchSubject: a ServiceRequest that proposes the referral, for a person.

One for a patient and study, ever: it is looked for first, made under a condition or where it can be searched for, and read back.
What stands there is never changed: it is a person's to take up or to drop. So nothing needs to be remembered between runs.
"""

from __future__ import annotations

from fhir_elig.errors import AuthorisationError, FhirEligError, SourceError, WriteConflictError
from fhir_elig.outputs.checks import check
from fhir_elig.outputs.fhir_json import key
from fhir_elig.outputs.proposal import service_request
from fhir_elig.outputs.research_subject import device
from fhir_elig.sinks import Outcome, Resource, Result
from fhir_elig.sinks.beside import Beside
from fhir_elig.sinks.plan import Plan, state_to_write, subject_key
from fhir_elig.verdict import Assessment, Status

_OPEN = frozenset({"draft", "active", "on-hold"})


def proposal(assessment: Assessment, plan: Plan) -> Resource:
    """The ServiceRequest, with the software inside it: a hospital's record may keep no Device of ours.

    Raises FhirEligError (FE0901) if it is not sound FHIR.
    """
    version, base, study = plan.fhir_version, plan.rules.canonical_base, plan.rules.study
    made = service_request(assessment, fhir_version=version, canonical_base=base, study=study, recommended=False)
    tool = {**device(assessment, fhir_version=version, canonical_base=base), "id": "software"}
    own = {"id": key(subject_key(assessment, study), "ServiceRequest"), "contained": [tool]}
    found = {**made, **own, "requester": {"reference": "#software"}}
    if faults := check(found, version, base):
        raise FhirEligError(f"ServiceRequest is not sound: {faults[0]}", fix="report this with the version")
    return found


def propose(assessment: Assessment, plan: Plan, beside: Beside, deadline: float) -> Result:
    """One patient. Raises AuthorisationError; all else is in the result."""
    patient = assessment.patient
    try:
        return _proposed(assessment, plan, beside, deadline)
    except AuthorisationError:
        raise
    except WriteConflictError as error:
        return Result(patient, Outcome.CONFLICT, note=str(error), code=error.code)
    except SourceError as error:
        return Result(patient, Outcome.FAILED, note=str(error), code=error.code)


def _proposed(assessment: Assessment, plan: Plan, beside: Beside, deadline: float) -> Result:
    made, patient = proposal(assessment, plan), assessment.patient
    found = beside.find(made, deadline)
    due = assessment.status is not Status.INELIGIBLE and state_to_write(assessment.status, plan.rules.allow) is not None
    if found is None:
        if not due:
            return Result(patient, Outcome.NOT_CREATED, note="nobody is proposed in this state")
        return Result(patient, Outcome.CREATED, beside.keep(made, deadline), "proposal")
    reference, status = beside.keep(made, deadline), str(found.get("status", ""))
    if not due and status in _OPEN:
        return Result(patient, Outcome.LEFT, reference, "the proposal of an earlier run still stands: a person may drop it")
    return Result(patient, Outcome.UNCHANGED, reference, status)
