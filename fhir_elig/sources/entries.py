"""What a source must tell of a resource without understanding it: its key, its codes, the drug that it refers to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_elig.references import target
from fhir_elig.sources import Resource


def key(resource: Resource) -> tuple[str, str]:
    """Type and id."""
    return str(resource.get("resourceType")), str(resource.get("id"))


def subsetted(resource: Resource) -> bool:
    """Whether the server says that this is not the whole resource."""
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    return any(tag.get("code") == "SUBSETTED" for tag in _dicts(tags))


def fits(resource: Resource, codes: frozenset[str]) -> bool:
    """Whether an Observation, or a component of it, has one of the codes.

    Systems are not compared: one system has many spellings, and what does not matter is found out later.
    """
    if not isinstance(resource.get("code"), dict):  # what is broken is for the readers to refuse, so that it is told
        return True
    wanted = {code.rsplit("|", 1)[-1] for code in codes}
    concepts = (concept for part in (resource, *_dicts(resource.get("component"))) for concept in _dicts(part.get("code")))
    return any(coding.get("code") in wanted for concept in concepts for coding in _dicts(concept.get("coding")))


def medication_ids(resource: Resource, base: str) -> Iterator[str]:
    """Ids of Medications on this server that a medication record refers to (R4 medicationReference, R5 medication)."""
    r5 = resource.get("medication")
    for reference in (resource.get("medicationReference"), r5.get("reference") if isinstance(r5, dict) else None):
        found = target(reference, base)
        if found and found[0] == "Medication":
            yield found[1]


def linked_patients(patient: Resource, base: str) -> Iterator[str]:
    """Ids of records of the same person on this server: those that replace this Patient, or that it replaces."""
    for entry in _dicts(patient.get("link")):
        found = target(entry.get("other"), base) if entry.get("type") in {"replaced-by", "replaces"} else None
        if found and found[0] == "Patient":
            yield found[1]


def members(group: Resource, base: str) -> Iterator[str | None]:
    """Ids of the patients who are in a Group now; None for a member that may be a patient and cannot be resolved."""
    for member in _dicts(group.get("member")):
        found = target(member.get("entity"), base)
        if member.get("inactive") is True:
            continue
        if found is None:
            yield None
        elif found[0] == "Patient":
            yield found[1]


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a repeating element; a lone one counts as a list of one, as the readers take it."""
    return (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict))
