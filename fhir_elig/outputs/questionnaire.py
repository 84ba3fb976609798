"""What only a person can say, as a form: one Questionnaire per protocol, and the open response for one patient.

The answer `true` means that the criterion is satisfied. A response made here has no answers: it is a form to fill in, not
evidence, and the project never writes a verdict into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from fhir_elig.outputs.fhir_json import (
    DEFAULT_BASE,
    FhirVersion,
    Json,
    is_string,
    keys,
    readable,
    resource_id,
    study_reference,
)
from fhir_elig.verdict import Assessment, Reason, Verdict

Item = tuple[str, str]
_EXTENSION = "http://hl7.org/fhir/StructureDefinition/workflow-researchStudy"
_VERSION = "1.0.0"
_DISPLAYS = {
    Verdict.MET: "Met",
    Verdict.NOT_MET: "Not met",
    Verdict.UNKNOWN: "Unknown",
    Verdict.NOT_APPLICABLE: "Not applicable",
}


def questionnaire_url(protocol_id: str, canonical_base: str = DEFAULT_BASE) -> str:
    """The canonical address of a protocol's form; answers must name it."""
    return f"{canonical_base}/Questionnaire/{protocol_id}-attestations"


def questionnaire(
    protocol_id: str, version: str, items: Sequence[Item], *, canonical_base: str = DEFAULT_BASE, date: str = ""
) -> Json:
    """The form of a protocol: one boolean item for each (criterion id, sentence). The same in R4 and R5.

    `date` is the day of the protocol's last change, if it is known.
    """
    return {
        "resourceType": "Questionnaire",
        "id": resource_id(f"{protocol_id}-attestations"),
        "url": questionnaire_url(protocol_id, canonical_base),
        "version": version,
        "name": _machine_name(protocol_id) + "Attestations",
        "title": f"{protocol_id}: what only a person can say",
        "status": "active",
        "subjectType": ["Patient"],
        **({"date": date} if date else {}),
        "description": "One item per criterion; linkId is the criterion id; true means that the criterion is satisfied.",
        **_items(items, {"type": "boolean"}),
    }


def _machine_name(protocol_id: str) -> str:
    """A name as FHIR's cnl-0 wants it: a capital first, then letters and digits."""
    words = re.findall("[A-Za-z0-9]+", protocol_id)
    name = "".join(word[0].upper() + word[1:] for word in words)
    return name if name[:1].isalpha() else f"Protocol{name}"


def _items(items: Iterable[Item], more: Json) -> Json:
    found = [{"linkId": name, **({"text": readable(text)} if is_string(text) else {}), **more} for name, text in items]
    return {"item": found} if found else {}


def open_questions(assessment: Assessment) -> list[Item]:
    """The criteria of this assessment that wait for a person, with their sentences."""
    waiting = (result for result in assessment.walk() if not result.criteria and result.verdict is Verdict.UNKNOWN)
    return [(result.id, result.text) for result in waiting if result.reason is Reason.NEEDS_PERSON]


def questionnaire_response_open(
    assessment: Assessment,
    items: Sequence[Item] | None = None,
    *,
    fhir_version: FhirVersion,
    recorded: str,
    canonical_base: str = DEFAULT_BASE,
    study: str | None = None,
) -> Json:
    """The form for one patient, without answers; its items are the open questions of the assessment unless others are given."""
    study = study_reference(assessment, study)
    ids = keys(assessment, study, canonical_base)
    protocol = assessment.protocol
    identifier = {"system": f"{canonical_base}/NamingSystem/attestations", "value": ids.response}
    return {
        "resourceType": "QuestionnaireResponse",
        "extension": [{"url": _EXTENSION, "valueReference": {"reference": study}}],
        "identifier": [identifier] if fhir_version == "R5" else identifier,
        "questionnaire": f"{questionnaire_url(protocol.id, canonical_base)}|{protocol.version}",
        "status": "in-progress",
        "subject": {"reference": assessment.patient},
        "authored": recorded,
        "author": {"reference": f"Device/{ids.device}"},
        **_items(open_questions(assessment) if items is None else items, {}),
    }


def code_systems(canonical_base: str = DEFAULT_BASE) -> tuple[Json, Json]:
    """The project's own codes: the four verdicts, and the reasons."""
    verdicts = [{"code": verdict.value, "display": display} for verdict, display in _DISPLAYS.items()]
    reasons = [{"code": reason.value} for reason in Reason]
    return _code_system("verdict", verdicts, canonical_base), _code_system("reason", reasons, canonical_base)


def _code_system(name: str, concepts: list[dict[str, str]], canonical_base: str) -> Json:
    return {
        "resourceType": "CodeSystem",
        "id": f"fhir-elig-{name}",
        "url": f"{canonical_base}/CodeSystem/{name}",
        "version": _VERSION,
        "name": f"FhirElig{name.capitalize()}",
        "status": "active",
        "caseSensitive": True,
        "content": "complete",
        "count": len(concepts),
        "concept": concepts,
    }
