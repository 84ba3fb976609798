"""Provenance: binds a recommendation to what was read, to the rules that were used and to who answers for it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fhir_elig.outputs.fhir_json import (
    DEFAULT_BASE,
    TERMINOLOGY,
    FhirVersion,
    Json,
    canonical,
    concept,
    is_uri,
    keys,
    moment,
    readable,
    sources,
    study_reference,
)
from fhir_elig.verdict import Assessment

# The note of an answer says first who gave it; only these types may be an agent in R4 and in R5.
_ANSWERED = re.compile(
    r"answered by ((?:Practitioner|PractitionerRole|Patient|RelatedPerson|Organization)/[A-Za-z0-9.-]{1,64})(?:;|$)"
)


def provenance(
    assessment: Assessment,
    *,
    fhir_version: FhirVersion,
    recorded: str,
    canonical_base: str = DEFAULT_BASE,
    study: str | None = None,
    site: str | None = None,
    targets: Sequence[str] = (),
) -> Json:
    """The Provenance of a ResearchSubject and a GuidanceResponse.

    `recorded` is an instant; `site` the organisation on whose behalf the software ran; `targets` the references (with their
    versions) of what was written, if that is known. Persons whose answers were used are agents beside the software.
    """
    ids = keys(assessment, study_reference(assessment, study), canonical_base)
    purpose = concept(f"{TERMINOLOGY}/v3-ActReason", "CLINTRCH")
    targets = targets or (f"GuidanceResponse/{ids.guidance}", f"ResearchSubject/{ids.subject}")
    return {
        "resourceType": "Provenance",
        "id": ids.provenance,
        "target": [{"reference": target} for target in targets],
        "occurredDateTime": moment(assessment.as_of),
        "recorded": recorded,
        "policy": [canonical(canonical_base, assessment)],
        "activity": concept(f"{TERMINOLOGY}/v3-DataOperation", "CREATE"),
        **({"reason": [purpose]} if fhir_version == "R4" else {"authorization": [{"concept": purpose}]}),
        "agent": [_software(ids.device, site), *(_agent("attester", person) for person in answerers(assessment))],
        "entity": [*(_source(reference) for reference in sources(assessment)), *_rules(assessment, canonical_base)],
    }


def answerers(assessment: Assessment) -> list[str]:
    """The persons (or organisations) who gave the answers that are cited, as references, sorted."""
    notes = (item.note for result in assessment.walk() for item in result.evidence)
    return sorted({match[1] for note in notes if (match := _ANSWERED.match(note))})


def _software(device: str, site: str | None) -> Json:
    agent = _agent("assembler", f"Device/{device}")
    return {**agent, "onBehalfOf": {"reference": site}} if site else agent


def _agent(role: str, who: str) -> Json:
    return {"type": concept(f"{TERMINOLOGY}/provenance-participant-type", role), "who": {"reference": who}}


def _source(reference: str) -> Json:
    """Evidence that is no resource (a row of an answers file) is named, not linked."""
    what = {"reference": reference} if "/" in reference and is_uri(reference) else {"display": readable(reference)}
    return {"role": "source", "what": what}


def _rules(assessment: Assessment, canonical_base: str) -> list[Json]:
    hashes = (
        ("protocol-sha256", assessment.protocol.sha256, "protocol file"),
        ("mappings-sha256", assessment.mappings.get("sha256", ""), "mapping files"),
    )
    return [
        {
            "role": "source",
            "what": {"identifier": {"system": f"{canonical_base}/NamingSystem/{name}", "value": value}, "display": display},
        }
        for name, value, display in hashes
        if value
    ]
