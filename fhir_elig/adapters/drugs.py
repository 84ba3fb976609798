"""Which drug a medication record is about: coded in the record, or in a Medication that it refers to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_elig.adapters.shapes import Context, Drug, Head, Resource, ShapeError, flag, items, named, string
from fhir_elig.record import Flaw
from fhir_elig.references import parse_reference

_URN = ("urn:uuid:", "urn:oid:")


def read_medication(resource: Resource, head: Head, context: Context) -> Iterable[Drug]:
    """The drug: its code; without one, its only ingredient. Several ingredients stay uncoded: none stands for the whole."""
    notes = head.notes
    codes, text = named(resource.get("code"), context)
    if not codes:
        active = [one for one in items(resource.get("ingredient")) if flag(one.get("isActive", True))]
        if len(active) == 1:
            codes, ingredient = _ingredient(active[0], context)
            text = text or ingredient
    if string(resource.get("status")) == "entered-in-error":
        codes, notes = (), (*notes, f"{head.reference} is entered in error")
    return (Drug(head.reference.partition("/")[2], codes, text, head.flaws, notes),)


def _ingredient(value: Resource, context: Context) -> tuple[tuple[str, ...], str]:
    return named(value.get("itemCodeableConcept") or (value.get("item") or {}).get("concept"), context)


def drug_of(resource: Resource, head: Head, context: Context) -> Drug:
    """The drug of a record; one that cannot be told has no codes and says why."""
    coded, reference = resource.get("medicationCodeableConcept"), resource.get("medicationReference")
    either = resource.get("medication")
    if either is not None:
        coded, reference = coded or either.get("concept"), reference or either.get("reference")
    if coded and reference:
        raise ShapeError("its drug is given twice")
    if coded:
        codes, text = named(coded, context)
        return Drug("", codes, text, (), () if codes else ("the drug is not coded",))
    if reference:
        return _referred(resource, reference, head, context)
    return Drug("", (), "", (), ("the drug is not named",))


def _referred(resource: Resource, reference: Any, head: Head, context: Context) -> Drug:
    text, shown = string(reference.get("reference")), string(reference.get("display"))
    if text.startswith("#"):
        found = _contained(resource, text[1:], head, context)
    else:
        found = context.drugs.get(_identity(text, context), ())
    if not found:
        return Drug("", (), shown, (), ("the Medication that it refers to was not read",))
    first = found[0]
    if len(found) > 1:
        return Drug(first.id, (), shown or first.text, (Flaw.CONFLICT,), ("two copies of the Medication disagree",))
    notes = first.notes if first.codes else (*first.notes, "the drug is not coded")
    return Drug(first.id, first.codes, first.text or shown, first.flaws, notes)


def _contained(resource: Resource, identity: str, head: Head, context: Context) -> tuple[Drug, ...]:
    found = [one for one in items(resource.get("contained")) if one.get("id") == identity]
    if len(found) != 1 or found[0].get("resourceType") != "Medication":
        return ()
    modified = found[0].get("modifierExtension") or found[0].get("implicitRules")
    inner = Head(f"{head.reference}#{identity}", flaws=(Flaw.MODIFIER,) if modified else ())
    return tuple(read_medication(found[0], inner, context))


def _identity(text: str, context: Context) -> str:
    """The id of the Medication in this chart; `urn:uuid:x` is the resource whose id is x, as exports write it."""
    for prefix in _URN:
        if text.startswith(prefix):
            return text[len(prefix) :]
    parsed = parse_reference(text, context.base)
    return parsed[1] if parsed is not None and parsed[0] == "Medication" else ""
