"""The screening list of a study: a working List of ResearchSubjects, in the shape that recruitment platforms read.

What stands on a list is never taken off here: people work with it.
"""

from __future__ import annotations

from collections.abc import Iterable

from fhir_elig.outputs.fhir_json import DEFAULT_BASE, Json, concept, key


def screening_list(
    protocol_id: str,
    study: str,
    subjects: Iterable[str],
    *,
    base: str,
    device: str,
    recorded: str,
    canonical_base: str = DEFAULT_BASE,
) -> Json:
    """The list of one study at one server (`base`); the same in R4 and R5.

    `subjects` and `device` are references, `recorded` an instant.
    """
    entries = [{"date": recorded, "item": {"reference": subject}} for subject in subjects]
    return {
        "resourceType": "List",
        "id": key(base, study, "screening-list"),
        "identifier": [{"system": f"{canonical_base}/NamingSystem/screening-list", "value": protocol_id}],
        "status": "current",
        "mode": "working",
        "title": f"Screening list: {protocol_id}",
        "code": concept(f"{canonical_base}/CodeSystem/list", "screening-recommendations"),
        "date": recorded,
        "source": {"reference": device},
        **({"entry": entries} if entries else {}),
    }


def with_subjects(found: Json, subjects: Iterable[str], *, recorded: str) -> Json | None:
    """The list with the subjects that it lacks; None if it lacks none. All else stays as it was found."""
    listed = {entry.get("item", {}).get("reference", "").split("/_history/")[0] for entry in found.get("entry", ())}
    new = [subject for subject in dict.fromkeys(subjects) if not any(_same(subject, one) for one in listed)]
    entries = [*found.get("entry", ()), *({"date": recorded, "item": {"reference": subject}} for subject in new)]
    return {**found, "date": recorded, "entry": entries} if new else None


def _same(subject: str, listed: str) -> bool:
    """Whether a reference names the subject; servers may write addresses out in full."""
    return listed == subject or listed.endswith(f"/{subject}")
