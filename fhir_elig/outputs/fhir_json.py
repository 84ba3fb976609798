"""What all FHIR outputs share: identifiers that are computed, primitives that are checked, the encoder, the narrative.

Identifiers are UUID version 5 (RFC 4122) in the URL namespace over text joined with `|`, so that the same assessment gives
the same resources, wherever and however often it is made. None of them is made from a record number or a name.
"""

from __future__ import annotations

import hashlib
import html
import math
import re
import uuid
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

from fhir_elig.times import parse_when
from fhir_elig.verdict import Assessment

FhirVersion = Literal["R4", "R5"]
Json = dict[str, Any]

DEFAULT_BASE = "https://example.org/fhir-elig"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"

RESOURCE_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
LITERAL = re.compile(r"([A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64})(?:#(component-[0-9]{1,6}))?")
_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)"
)
_URI = re.compile(r"[!-~]+")
_CODE = re.compile(r"[!-~]+( [!-~]+)*")
# Neither XML 1.0 nor a FHIR string holds other control characters.
_NOT_TEXT = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_encoder = msgspec.json.Encoder(decimal_format="number")


def encode(resource: Json) -> bytes:
    """The resource as JSON in UTF-8, keys in the order in which they were built, decimals with the digits that they have.

    Raises ValueError for a number that JSON cannot hold (NaN, infinity).
    """
    _refuse_non_numbers(resource)
    return _encoder.encode(resource)


def _refuse_non_numbers(value: object) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _refuse_non_numbers(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_non_numbers(item)
    elif isinstance(value, (Decimal, float)) and not math.isfinite(value):
        raise ValueError(f"{value} is not a number of JSON")


def key(*parts: str) -> str:
    """The UUID version 5 of these parts."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "|".join(parts)))


class Keys(msgspec.Struct, frozen=True):
    """The identifiers of one assessment's resources.

    `subject` stands for the patient in the study; `evaluation` for what was read and by which rules; the others are ids.
    """

    subject: str
    evaluation: str
    guidance: str
    provenance: str
    response: str
    request: str
    communication: str
    device: str


def keys(assessment: Assessment, study: str, canonical_base: str) -> Keys:
    """The identifiers of an assessment for a study (`ResearchStudy/<id>`)."""
    subject = key(assessment.base or "", study, assessment.patient)
    evaluation = evaluation_key(assessment, subject)
    return Keys(
        subject=subject,
        evaluation=evaluation,
        guidance=key(evaluation, "GuidanceResponse"),
        provenance=key(evaluation, "Provenance"),
        response=key(evaluation, "QuestionnaireResponse"),
        request=key(evaluation, "ServiceRequest"),
        communication=key(evaluation, "Communication"),
        device=key(f"{canonical_base}/NamingSystem/software", software(assessment)),
    )


def evaluation_key(assessment: Assessment, subject: str) -> str:
    """Over the subject, the rules (protocol, mappings, package), `as_of`, the milestones and the versions that were read."""
    milestones = ",".join(f"{name}={date}" for name, date in sorted(assessment.milestones.items()))
    read = hashlib.sha256("\n".join(sources(assessment)).encode()).hexdigest()
    rules = (assessment.protocol.sha256, assessment.mappings.get("sha256", ""), assessment.package.get("version", ""))
    return key(subject, *rules, assessment.as_of, milestones, read)


def software(assessment: Assessment) -> str:
    return f"fhir_elig/{assessment.package.get('version', '')}"


def sources(assessment: Assessment) -> list[str]:
    """Every resource behind the verdicts, once, as `Type/id/_history/version`, sorted."""
    cited = [item for result in assessment.walk() for item in result.evidence]
    return sorted({versioned(item.reference, item.version) for item in cited if is_string(item.reference)})


def versioned(reference: str, version: str) -> str:
    """`Type/id/_history/version`; a component of an Observation is cited by the Observation that holds it."""
    match = LITERAL.fullmatch(reference)
    if match is None or not RESOURCE_ID.fullmatch(version):
        return match[1] if match else reference
    return f"{match[1]}/_history/{version}"


def resource_id(text: str) -> str:
    """The text if FHIR takes it as an id, else a key made of it."""
    return text if RESOURCE_ID.fullmatch(text) else key(text)


def study_reference(assessment: Assessment, study: str | None) -> str:
    """The study that was named, or the one that bears the protocol's id."""
    return study or f"ResearchStudy/{resource_id(assessment.protocol.id)}"


def is_date(text: str) -> bool:
    """Whether FHIR takes the text as a `date`: right form, and a day that exists."""
    return _DATE.fullmatch(text) is not None and parse_when(text) is not None


def is_date_time(text: str) -> bool:
    """Whether FHIR takes the text as a `dateTime`: a time needs seconds and a zone."""
    return is_date(text) or (_DATE_TIME.fullmatch(text) is not None and parse_when(text) is not None)


def is_uri(text: str) -> bool:
    return _URI.fullmatch(text) is not None


def is_code(text: str) -> bool:
    return _CODE.fullmatch(text) is not None


def is_string(text: str) -> bool:
    """Whether FHIR takes the text as a `string`: something to read, no control characters."""
    return bool(text.strip()) and not any(char < " " and char not in "\t\n\r" for char in text)


def readable(text: str) -> str:
    """The text without characters that neither a FHIR string nor XML can hold."""
    return _NOT_TEXT.sub("\ufffd", text)


def moment(as_of: str) -> str:
    """`as_of` as a FHIR dateTime: as it is, or its day where a time lacks seconds or a zone."""
    return as_of if is_date_time(as_of) else as_of[:10]


def coding(system: str, code: str, display: str = "") -> Json:
    found = {"system": system, "code": code}
    return {**found, "display": display} if display else found


def concept(system: str, code: str) -> Json:
    """A CodeableConcept of one coding."""
    return {"coding": [coding(system, code)]}


def read_code(text: str) -> Json | None:
    """`system|code`, or a code alone, as a Coding; None if that Coding would not give the text back."""
    system, bar, code = text.partition("|")
    if not bar:
        return {"code": text} if is_code(text) else None
    return coding(system, code) if is_uri(system) and is_code(code) else None


def code_text(found: Json) -> str:
    """The text from which `read_code` made the Coding."""
    return f"{found['system']}|{found['code']}" if "system" in found else str(found["code"])


def canonical(canonical_base: str, assessment: Assessment) -> str:
    """The protocol's canonical address, with its version."""
    return f"{canonical_base}/PlanDefinition/{assessment.protocol.id}|{assessment.protocol.version}"


def recommendation_meta(canonical_base: str) -> Json:
    """The labels that mark what a machine recommends: asserted by a device, for research, not an enrolment."""
    tag = f"{canonical_base}/CodeSystem/output-tag"
    return {
        "security": [
            coding(f"{TERMINOLOGY}/v3-ObservationValue", "DEVAST", "device asserted"),
            coding(f"{TERMINOLOGY}/v3-ActReason", "CLINTRCH", "clinical trial research"),
        ],
        "tag": [coding(tag, "machine-recommendation", "Recommendation of software; not an enrolment and not a determination")],
    }


def narrative(head: str, bold: str, tail: str) -> Json:
    """A generated narrative of one paragraph; every part is escaped."""
    head, bold, tail = (html.escape(readable(part), quote=False) for part in (head, bold, tail))
    return {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{head}<b>{bold}</b>{tail}</p></div>',
    }


def collection(resources: Iterable[Json], recorded: str) -> Json:
    """A collection Bundle; references between its entries become their `urn:uuid:`, which hold without a server."""
    found = list(resources)
    links = {f"{resource['resourceType']}/{resource['id']}": f"urn:uuid:{resource['id']}" for resource in found}
    entries = [{"fullUrl": f"urn:uuid:{resource['id']}", "resource": relink(resource, links)} for resource in found]
    return {"resourceType": "Bundle", "type": "collection", "timestamp": recorded, "entry": entries}


def relink(value: Any, links: Mapping[str, str]) -> Any:
    """The value with every `reference` that is a key of `links` led to where that key points."""
    if isinstance(value, dict):
        return {
            name: links.get(item, item) if name == "reference" and isinstance(item, str) else relink(item, links)
            for name, item in value.items()
        }
    return [relink(item, links) for item in value] if isinstance(value, list) else value
