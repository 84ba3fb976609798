"""GuidanceResponse: the result of evaluating a protocol, with the whole assessment in contained Parameters.

`status` says whether more data would help (FHIR guidance-response-status); `dataRequirement` says which.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fhir_elig.outputs.fhir_json import (
    DEFAULT_BASE,
    FhirVersion,
    Json,
    canonical,
    keys,
    moment,
    narrative,
    read_code,
    readable,
    recommendation_meta,
    study_reference,
)
from fhir_elig.outputs.parameters import to_parameters
from fhir_elig.times import parse_span
from fhir_elig.verdict import NOT_MET, UNKNOWN, Assessment, CriterionResult, Reason, SettledBy, Status, Verdict

# Resource type: where its code and its date stand, as FHIR names them (R4, R5 where the two differ).
_PATHS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "Observation": (("code", "code"), ("effective", "effective")),
    "Condition": (("code", "code"), ("recordedDate", "recordedDate")),
    "Procedure": (("code", "code"), ("performed", "occurrence")),
    "Immunization": (("vaccineCode", "vaccineCode"), ("occurrence", "occurrence")),
    "MedicationStatement": (("medication", "medication.concept"), ("effective", "effective")),
    "MedicationRequest": (("medication", "medication.concept"), ("authoredOn", "authoredOn")),
    "MedicationDispense": (("medication", "medication.concept"), ("whenHandedOver", "whenHandedOver")),
    "MedicationAdministration": (("medication", "medication.concept"), ("effective", "occurence")),  # R5 spells it so
}
_PLAIN_TYPES = ("Patient", "Consent", "Encounter")
_WINDOW = re.compile(r"([0-9]+ ?(?:h|d|wk|mo|a)) before screening")
_UNITS = {"h": "hours", "d": "days", "wk": "weeks", "mo": "months", "a": "years"}

_ISSUE_CODES = {
    Reason.NOT_FOUND: "not-found",
    Reason.NO_RECORD: "not-found",
    Reason.TOO_OLD: "expired",
    Reason.NO_UNIT: "value",
    Reason.UNIT_UNKNOWN: "value",
    Reason.UNIT_CONFLICT: "value",
    Reason.NOT_NUMERIC: "value",
    Reason.IMPLAUSIBLE: "value",
    Reason.COMPARATOR: "value",
    Reason.IMPRECISE_DATE: "value",
    Reason.NO_REFERENCE_RANGE: "required",
    Reason.CONFLICTING: "conflict",
    Reason.IDENTITY: "conflict",
    Reason.INCOMPLETE: "incomplete",
    Reason.RESTRICTED: "suppressed",
    Reason.MODIFIER: "extension",
    Reason.UNMAPPED: "code-invalid",
    Reason.AMBIGUOUS_PROTOCOL: "business-rule",
}
_STATUSES = {
    Status.INELIGIBLE: "success",
    Status.POTENTIAL_CANDIDATE: "data-required",
    Status.CANDIDATE: "data-requested",
    Status.ELIGIBLE: "success",
}
_FORM = "QuestionnaireResponse"
_OF_PEOPLE = (Reason.NEEDS_PERSON, Reason.PENDING_EVENT)


def guidance_response(
    assessment: Assessment, *, fhir_version: FhirVersion, canonical_base: str = DEFAULT_BASE, study: str | None = None
) -> Json:
    """The GuidanceResponse of an assessment; its performer is `Device/<key>`, see `research_subject.device`."""
    ids = keys(assessment, study_reference(assessment, study), canonical_base)
    evaluation = {"system": f"{canonical_base}/NamingSystem/evaluation", "value": ids.evaluation}
    recommendation = {"use": "secondary", "system": f"{canonical_base}/NamingSystem/recommendation", "value": ids.subject}
    issues = messages(assessment)
    said: list[Json] = [{"resourceType": "OperationOutcome", "id": "messages", "issue": issues}] if issues else []
    link: Json = {"reference": "#messages"}
    requirements = data_requirements(assessment, fhir_version, canonical_base)
    return {
        "resourceType": "GuidanceResponse",
        "id": ids.guidance,
        "meta": recommendation_meta(canonical_base),
        "text": summary(assessment),
        "contained": [to_parameters(assessment, canonical_base), *said],
        "requestIdentifier": evaluation,
        "identifier": [evaluation, recommendation],
        "moduleCanonical": canonical(canonical_base, assessment),
        "status": guidance_status(assessment),
        "subject": {"reference": assessment.patient},
        "occurrenceDateTime": moment(assessment.as_of),
        "performer": {"reference": f"Device/{ids.device}"},
        **({"evaluationMessage": [link] if fhir_version == "R4" else link} if issues else {}),
        "outputParameters": {"reference": "#assessment"},
        **({"dataRequirement": requirements} if requirements else {}),
    }


def guidance_status(assessment: Assessment) -> str:
    """`success`, or which kind of data is still wanted."""
    if assessment.status is Status.INELIGIBLE and assessment.recoverable:
        return "data-requested"
    return _STATUSES[assessment.status]


def unknowns(assessment: Assessment) -> list[CriterionResult]:
    """The unknown criteria without unknown parts: the decisive ones first, in their order, then the others as they stand."""
    open_ones = [
        result
        for result in assessment.walk()
        if result.verdict is UNKNOWN and not any(part.verdict is UNKNOWN for part in result.criteria)
    ]
    rank = {name: index for index, name in enumerate(assessment.decisive)}
    return sorted(open_ones, key=lambda result: rank.get(result.id, len(rank)))


def summary(assessment: Assessment, state: Status | None = None) -> Json:
    """The narrative: what the recommendation is and why, from the protocol's ids and limits; it never names the patient.

    `state` is the state that is written where a site leaves the assessment's own to people.
    """
    protocol = f"{assessment.protocol.id} {assessment.protocol.version}"
    as_of = assessment.as_of
    tail = {
        Status.INELIGIBLE: f" on current data. Not met: {_failures(assessment)} ({protocol}, as of {as_of}).",
        Status.POTENTIAL_CANDIDATE: f" for {protocol} as of {as_of} ({_counts(assessment)}).{_wanted(assessment)}",
        Status.CANDIDATE: ". Nothing is not met; open: answers of a person and pending milestones only"
        f" ({protocol}, as of {as_of}).",
        Status.ELIGIBLE: f". Everything is met or not applicable, the answers of people included ({protocol}, as of {as_of}).",
    }[assessment.status]
    provisional = " Provisional: a stand-in date was used." if assessment.provisional else ""
    state = state or assessment.status
    left = "" if state is assessment.status else f" The state {assessment.status.value} is left to a person here."
    head = "Recommendation of software, not a determination: "
    return narrative(head, state.value.replace("-", " "), tail + provisional + left)


def _counts(assessment: Assessment) -> str:
    count = assessment.counts()
    words = (
        (Verdict.MET, "criteria met"),
        (NOT_MET, "not met"),
        (UNKNOWN, "unknown"),
        (Verdict.NOT_APPLICABLE, "not applicable"),
    )
    return ", ".join(f"{count[verdict]} {name}" for verdict, name in words)


def _wanted(assessment: Assessment) -> str:
    found = (result for name in assessment.decisive if (result := assessment.find(name)) and result.reason not in _OF_PEOPLE)
    wanted = [result.id for result in found if result.settled_by is None or result.settled_by.resource != _FORM]
    return f" Data that would settle it: {', '.join(wanted)}." if wanted else ""


def failures(assessment: Assessment) -> list[CriterionResult]:
    """The criteria that make the patient ineligible, as deep as their parts say why."""
    return [leaf for result in assessment.criteria if result.verdict is NOT_MET for leaf in _deepest(result)]


def _deepest(result: CriterionResult) -> Iterator[CriterionResult]:
    """Into the parts that are not met, unless the part that decides (it shares the parent's reason) was turned round."""
    decider = next((part for part in result.criteria if part.reason is result.reason), None)
    if result.exclusion or decider is None or decider.verdict is not NOT_MET:
        yield result
        return
    for part in result.criteria:
        if part.verdict is NOT_MET:
            yield from _deepest(part)


def _failures(assessment: Assessment) -> str:
    return "; ".join(_failure(result) for result in failures(assessment)) + ("; recoverable" if assessment.recoverable else "")


def _failure(result: CriterionResult) -> str:
    """Only a computed value is shown: other evidence may quote the chart's free text."""
    limited = next((item for item in reversed(result.evidence) if item.limit), None)
    if result.reason is not Reason.OUT_OF_RANGE or limited is None:
        return f"{result.id} ({result.reason.value})"
    return f"{result.id} {limited.compared}, limit {limited.limit}" + (f" of {limited.time[:10]}" if limited.time else "")


def messages(assessment: Assessment) -> list[Json]:
    """The issues of the contained OperationOutcome: each unknown, each type that was not read whole, each error."""
    open_ones = [
        _issue("information", _ISSUE_CODES.get(result.reason, "informational"), _ask(result)) for result in unknowns(assessment)
    ]
    gaps = [
        _issue("warning", "incomplete", f"{entry.type}: {entry.note or 'completeness is not known'}")
        for entry in assessment.retrieved
        if not entry.complete
    ]
    return open_ones + gaps + [_issue("warning", "processing", error) for error in assessment.errors if error.strip()]


def _issue(severity: str, code: str, diagnostics: str) -> Json:
    return {"severity": severity, "code": code, "diagnostics": readable(diagnostics)}


def _ask(result: CriterionResult) -> str:
    """`lvef: not-found; Observation http://loinc.org|10230-1, 90 d before screening`."""
    asked = result.settled_by or SettledBy()
    what = " ".join(filter(None, (asked.resource, " ".join(asked.codes), asked.question)))
    found = ", ".join(filter(None, (what, asked.window or asked.milestone)))
    return f"{result.id}: {result.reason.value}" + (f"; {found}" if found else "")


def data_requirements(assessment: Assessment, fhir_version: FhirVersion, canonical_base: str = DEFAULT_BASE) -> list[Json]:
    """What would settle each unknown, each once, as DataRequirement: resources by code and window, the form of questions."""
    found: list[Json] = []
    for result in unknowns(assessment):
        if result.settled_by:
            for requirement in _requirements(result.settled_by, assessment, fhir_version, canonical_base):
                if requirement not in found:
                    found.append(requirement)
    return found


def _requirements(asked: SettledBy, assessment: Assessment, fhir_version: FhirVersion, base: str) -> Iterator[Json]:
    for name in re.findall("[A-Z][A-Za-z]+", asked.resource):
        if name == _FORM:
            protocol = assessment.protocol
            form = f"{base}/Questionnaire/{protocol.id}-attestations|{protocol.version}"
            code = {"system": "urn:ietf:rfc:3986", "code": form}
            yield {"type": name, "codeFilter": [{"path": "questionnaire", "code": [code]}]}
        elif name in _PLAIN_TYPES:
            yield {"type": name}
        elif name in _PATHS:
            yield from _of_type(name, asked, assessment, fhir_version)


def _of_type(name: str, asked: SettledBy, assessment: Assessment, fhir_version: FhirVersion) -> Iterator[Json]:
    """Nothing where no code is known: a requirement without codes would ask for the whole chart."""
    codes, dates = (paths[fhir_version == "R5"] for paths in _PATHS[name])
    filters = [found for code in asked.codes if (found := read_code(code))]
    if filters:
        yield {
            "type": name,
            "profile": [f"http://hl7.org/fhir/StructureDefinition/{name}"],
            "codeFilter": [{"path": codes, "code": filters}],
            **_window(asked.window, dates, assessment),
        }


def _window(text: str, path: str, assessment: Assessment) -> Json:
    """A duration of FHIR counts from now, so it stands only for a window that hangs on a screening of today."""
    match = _WINDOW.fullmatch(text)
    span = parse_span(match[1]) if match else None
    if span is None or assessment.milestones.get("screening", assessment.as_of) != assessment.as_of:
        return {}
    unit = span.unit.value
    length = {"value": span.count, "unit": _UNITS[unit], "system": "http://unitsofmeasure.org", "code": unit}
    newest = {"path": path, "direction": "descending"}
    return {"dateFilter": [{"path": path, "valueDuration": length}], "limit": 1, "sort": [newest]}
