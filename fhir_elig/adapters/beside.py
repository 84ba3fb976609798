"""Results that no criterion asks for: of them only the time is read, as a contact of the patient."""

from __future__ import annotations

from typing import Any

from fhir_elig.adapters.shapes import Context, Head, Resource, items, labels, named, recall
from fhir_elig.record import Contact, Counts
from fhir_elig.times import When

# The elements of an Observation that are read here, or that no reader looks at. Others call for the whole reading.
_PLAIN = frozenset(
    "resourceType id meta language text identifier basedOn partOf status category code subject focus encounter effectiveDateTime "
    "effectivePeriod issued performer valueQuantity valueCodeableConcept valueString valueInteger interpretation note "
    "referenceRange hasMember derivedFrom device specimen component".split()
)


def is_mere_contact(resource: Resource, components: Any, context: Context) -> bool:
    """Whether no criterion can ask for its codes or its components', and the whole reading would not refuse it."""
    if not components:
        return _is_beside(resource, context)
    return _is_beside(resource, context) and all(_is_beside(part, context) for part in items(components))


def _is_beside(part: Resource, context: Context) -> bool:
    code = part.get("code")
    if recall(_may_matter, code, context) or not _PLAIN.issuperset(part):
        return False
    value = part.get("valueQuantity") or part.get("valueCodeableConcept")
    if type(value) is dict and "extension" in value:
        return False
    if "interpretation" in part:
        recall(labels, part["interpretation"], context)  # refuses what is broken
    return True


def _may_matter(code: Any, context: Context) -> bool:
    """Whether a criterion may ask for a result of that code; a result without a code may be anything."""
    codes, _ = named(code, context)
    matters = context.settings.matters
    return not codes or matters is None or matters(codes)


def contact(head: Head, status: str, counts: Counts, time: When | None) -> Contact:
    return Contact(
        reference=head.reference,
        version=head.version,
        status=status,
        counts=counts,
        flaws=head.flaws,
        notes=head.notes,
        time=time,
    )
