"""Patient: who it is. Two copies of one version that disagree give a person of whom only the common part is said."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from fhir_elig.adapters.intake import links
from fhir_elig.adapters.shapes import Context, Head, Resource, ShapeError, flag, items, plain_codes, string, when
from fhir_elig.record import Flaw, Person

_GENDERS = frozenset({"male", "female", "other", "unknown"})
_BIRTH_SEX = {
    "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex",
    "http://hl7.org/fhir/StructureDefinition/patient-birthSex",
    "http://hl7.org/fhir/StructureDefinition/birthSex",
}
_CLINICAL_SEX = "http://hl7.org/fhir/StructureDefinition/patient-sexParameterForClinicalUse"
_SEXES = {
    **{"M": "male", "F": "female", "OTH": "other", "UN": "other", "UNK": "unknown", "ASKU": "unknown"},
    **{"male": "male", "female": "female", "other": "other", "unknown": "unknown"},
    **{"male-typical": "male", "female-typical": "female", "specified": "other"},
    **{"248153007": "male", "248152002": "female"},
}


def read_patient(resource: Resource, head: Head, context: Context) -> Iterable[Person]:
    """Birth, sex, death, and the other ids of the same person."""
    links(resource, context.base)
    notes = list(head.notes)
    gender = string(resource.get("gender"))
    if gender and gender not in _GENDERS:
        notes.append("gender is no code of FHIR")
    deceased, died_text = _death(resource)
    flaws = head.flaws
    if resource.get("deceasedBoolean") is False and died_text:
        flaws = (*flaws, Flaw.CONFLICT)
    if "active" in resource and not flag(resource["active"]):
        notes.append("the record is marked as not in use")
    born_text = string(resource.get("birthDate"))
    born = when(born_text, context)
    if born_text and born is None:
        notes.append("birthDate cannot be read")
    return (
        Person(
            reference=head.reference,
            version=head.version,
            status="" if flag(resource.get("active", True)) else "inactive",
            flaws=flaws,
            notes=tuple(notes + _other_links(resource)),
            born=born,
            born_text=born_text,
            gender=gender if gender in _GENDERS else "",
            birth_sex=_sex(resource, _is_birth_sex, context),
            clinical_sex=_sex(resource, _is_clinical_sex, context),
            deceased=deceased,
            died=when(died_text, context),
            died_text=died_text,
            active=flag(resource.get("active", True)),
            aliases=tuple(sorted(context.patients - {resource["id"]})),
        ),
    )


def _death(resource: Resource) -> tuple[bool, str]:
    """Whether the patient is recorded as dead, and when, as sent."""
    text = string(resource.get("deceasedDateTime"))
    return flag(resource.get("deceasedBoolean")) or bool(text), text


def _other_links(resource: Resource) -> list[str]:
    kinds = {string(link.get("type")) for link in items(resource.get("link"))} - {"replaced-by", "replaces", ""}
    return [f"linked to another record: {kind}" for kind in sorted(kinds)]


def _is_birth_sex(url: Any) -> bool:
    return url in _BIRTH_SEX


def _is_clinical_sex(url: Any) -> bool:
    return bool(url == _CLINICAL_SEX)


def _sex(resource: Resource, wanted: Any, context: Context) -> str:
    """The sex that an extension states; empty if there is none, it is not understood, or two differ."""
    found = {_stated_sex(one, context) for one in items(resource.get("extension")) if wanted(one.get("url"))}
    return found.pop() if len(found) == 1 else ""


def _stated_sex(extension: Resource, context: Context) -> str:
    """The value of an extension, or of its part named `value`."""
    for part in (extension, *items(extension.get("extension"))):
        if part is not extension and part.get("url") != "value":
            continue
        code = part.get("valueCode")
        codes = (string(code),) if code else plain_codes(part.get("valueCodeableConcept") or part.get("valueCoding"))
        if codes:
            return _SEXES.get(codes[0], "")
    return ""


def successors_of(linked: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, set[str]]:
    """Which ids replaced an id, as the replaced or the replacing record says; `linked` has the links of each Patient by id."""
    found: dict[str, set[str]] = {}
    for identity, links_of in linked.items():
        for kind, other in links_of:
            old, new = (identity, other) if kind == "replaced-by" else (other, identity)
            found.setdefault(old, set()).add(new)
    return found


def aliases(successors: Mapping[str, set[str]], patient: str) -> frozenset[str]:
    """The ids of the same person: what replaced the patient's record, and what these replaced. No id that two claim."""
    known, last = {patient}, patient
    while len(successors.get(last, ())) == 1:
        (last,) = successors[last]
        if last in known or not last:
            break
        known.add(last)
    size = 0
    while size < len(known):
        size = len(known)
        known |= {old for old, new in successors.items() if old and len(new) == 1 and new <= known}
    return frozenset(known)


def survivor(successors: Mapping[str, set[str]], patient: str, there: Container[str]) -> tuple[str, str]:
    """(the id of the record that replaces the patient's, what went wrong: empty, `unclear` or `missing`).

    `unclear` is a loop, or two successors; then the patient's own id stands.
    """
    seen, last = {patient}, patient
    while last in successors:
        if len(successors[last]) > 1 or seen & successors[last]:
            return patient, "unclear"
        (last,) = successors[last]
        seen.add(last)
    return last, "" if last in there or last == patient else "missing"


def merge(people: Sequence[Person]) -> Person:
    """One person of several copies: where they differ, nothing is said."""
    first = people[0]
    if len(people) == 1:
        return first
    same = {
        name: getattr(first, name)
        for name in Person.__struct_fields__
        if all(getattr(other, name) == getattr(first, name) for other in people)
    }
    kept = msgspec.structs.asdict(Person(reference=first.reference)) | same
    flaws = tuple(dict.fromkeys(flaw for person in people for flaw in person.flaws))
    return Person(**(kept | {"flaws": flaws, "notes": ("two copies of one version disagree",)}))


def identity_trouble(person: Person, why: str) -> Person:
    """The person, marked as one whose identity is not sure."""
    return msgspec.structs.replace(person, flaws=(*person.flaws, Flaw.IDENTITY), notes=(*person.notes, why))


def linked_ids(resource: Resource, base: str | None) -> list[tuple[str, str]]:
    """The links of a Patient; none if they are broken (reading it then refuses it)."""
    try:
        return links(resource, base)
    except (ShapeError, TypeError, AttributeError):
        return []
