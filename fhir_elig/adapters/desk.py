"""The desk on which a chart is read: what came in, whose it is, what was read of it, what was set aside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

import msgspec

from fhir_elig.adapters.drugs import drug_of
from fhir_elig.adapters.intake import Piece, head_of, identity_of, newest, whose
from fhir_elig.adapters.kinds import KNOWN_TYPES
from fhir_elig.adapters.patient import aliases, identity_trouble, linked_ids, merge, successors_of, survivor
from fhir_elig.adapters.shapes import Context, Drug, Head, Memory, Resource, ShapeError, Tie, concept, items
from fhir_elig.record import (
    MEDICATION_TYPES,
    NO_SUBJECT,
    Answer,
    Contact,
    Event,
    Flaw,
    Medication,
    Person,
    Problem,
    Record,
    Refused,
    Result,
)
from fhir_elig.references import is_id, subject_of
from fhir_elig.verdict import Retrieved

# What a reader meets in a resource of an impossible shape. It costs that one resource, which is listed.
_SHAPES = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)
_FIRST = ("Patient", "Medication", "DiagnosticReport")
_CODE_ELEMENT = {
    **dict.fromkeys(("Observation", "Condition", "Procedure", "Medication"), "code"),
    "Immunization": "vaccineCode",
}
_BY_REFERENCE = attrgetter("reference", "version")


class Desk:
    """One chart's reading: `take` what came in, `read` it, hand out the `record`."""

    def __init__(self, readers: Mapping[str, Any], patient: str, memory: Memory, base: str | None) -> None:
        self.readers = readers
        self.patient = patient
        self.context = Context(settings=memory.settings, memory=memory, base=base)
        self.pieces: dict[str, list[Piece]] = {}
        self.strangers: set[tuple[str, str]] = set()
        self.facts: dict[type, list[Any]] = {
            kind: [] for kind in (Person, Result, Problem, Medication, Event, Contact, Answer, Drug, Tie)
        }
        self.refused: set[Refused] = set()
        self.errors: set[str] = set()
        self.partial: dict[str, str] = {}
        self.identity = False

    def take(self, resources: Iterable[Any]) -> None:
        """Sorts what came in by type, one copy of each; copies of one version that differ are all kept, as a conflict."""
        groups: dict[str, dict[str, list[Resource]]] = {kind: {} for kind in self.readers}
        for resource in resources:
            kind = resource.get("resourceType") if isinstance(resource, dict) else None
            if type(kind) is not str:
                kind = ""
            group = groups.get(kind)
            if group is not None:
                try:
                    identity = identity_of(resource)
                except _SHAPES as error:
                    self._refuse(kind, kind, resource, error)
                    continue
                copies = group.get(identity)
                if copies is None:
                    group[identity] = [resource]
                else:
                    copies.append(resource)
            elif kind in KNOWN_TYPES:
                self._pass(kind, resource)
            else:
                self._lose("a piece of the data names no resource type of FHIR")
        for kind, group in groups.items():
            if group:
                self.pieces[kind] = pieces = []
                for identity, copies in group.items():
                    if len(copies) == 1:
                        pieces.append(Piece(kind, f"{kind}/{identity}", copies[0]))
                    else:
                        pieces += self._choose(kind, f"{kind}/{identity}", copies)

    def _choose(self, kind: str, reference: str, copies: list[Resource]) -> Iterable[Piece]:
        try:
            kept = newest(copies)
        except _SHAPES as error:
            self._refuse(kind, reference, copies[0], error)
            return ()
        return [Piece(kind, reference, resource, len(kept) > 1) for resource in kept]

    def _pass(self, kind: str, resource: Resource) -> None:
        """A type that no criterion reads is passed by, but not another patient's."""
        subject = subject_of(resource, self.context.base)
        if subject is not None and subject[0] == "Patient":
            identity = resource.get("id")
            self.strangers.add((f"{kind}/{identity}" if is_id(identity) else kind, subject[1]))

    def read(self) -> None:
        """Reads the Patient and what others refer to first, then the rest."""
        linked: dict[str, list[tuple[str, str]]] = {}
        for piece in self.pieces.get("Patient", ()):
            found = linked.setdefault(piece.reference.partition("/")[2], [])
            found += linked_ids(piece.resource, self.context.base)
        successors = successors_of(linked)
        patients = aliases(successors, self.patient)
        self._know(patients=patients, own=frozenset(f"Patient/{identity}" for identity in patients))
        for reference, patient in self.strangers:
            if patient not in self.context.patients:
                self._alarm(reference)
        for kind in _FIRST:
            self._read_type(kind)
            if kind == "Patient":
                self._settle_person(*survivor(successors, self.patient, linked))
        drugs: dict[str, tuple[Drug, ...]] = {}
        for drug in self.facts[Drug]:
            drugs[drug.id] = (*drugs.get(drug.id, ()), drug)
        ties: dict[str, str] = {}
        for tie in sorted(self.facts[Tie], key=attrgetter("reference"), reverse=True):
            ties.update(dict.fromkeys(tie.results, tie.reference))
        self._know(drugs=drugs, ties=ties)
        for kind in self.readers:
            if kind not in _FIRST:
                self._read_type(kind)

    def _know(self, **known: Any) -> None:
        self.context = msgspec.structs.replace(self.context, **known)

    def _read_type(self, kind: str) -> None:
        reader, context, facts = self.readers[kind], self.context, self.facts
        for piece in self.pieces.get(kind, ()):
            try:
                own = True if kind == "Medication" else whose(piece.resource, context)
                if own is None:
                    raise ShapeError(NO_SUBJECT)
                if not own:
                    self._alarm(piece.reference)
                    continue
                head = head_of(piece, context)
                for fact in list(reader(piece.resource, head, context)):
                    facts[type(fact)].append(fact)
                if head.flaws and Flaw.SUBSETTED in head.flaws:
                    self.partial[kind] = "a resource came cut short (SUBSETTED)"
            except _SHAPES as error:
                self._refuse(kind, piece.reference, piece.resource, error)

    def _settle_person(self, identity: str, trouble: str) -> None:
        """Keeps the one Patient that stands: the surviving record, if the patient's own was replaced by it."""
        people = [person for person in self.facts[Person] if person.reference == f"Patient/{identity}"]
        if not people:
            people = [person for person in self.facts[Person] if person.reference == f"Patient/{self.patient}"]
        if trouble == "missing":
            self._lose("the record that replaces this patient's was not read")
        kept = [merge(people)] if people else []
        if kept and trouble == "unclear":
            kept = [identity_trouble(kept[0], "its links to other records contradict each other")]
        if kept and identity != self.patient:
            note = f"Patient/{self.patient} was replaced by {kept[0].reference}"
            kept = [msgspec.structs.replace(kept[0], notes=(*kept[0].notes, note))]
        self.facts[Person] = kept
        if kept:
            self._know(born=kept[0].born)

    def _alarm(self, reference: str) -> None:
        self.identity = True
        self.errors.add(f"FE0601 {reference}: another patient's resource, dropped")

    def _lose(self, why: str) -> None:
        """Something is missing that may be of any type."""
        self.errors.add(f"FE0302 {why}")
        self.partial.update(dict.fromkeys(self.readers, why))

    def _refuse(self, kind: str, reference: str, resource: Resource, error: Exception) -> None:
        why = str(error) if isinstance(error, ShapeError) else "its shape cannot be read"
        self.refused.add(Refused(reference, kind, why, lenient_codes(kind, resource, self.context)))

    def record(self, retrieved: Iterable[Retrieved], refused: Iterable[Refused], errors: Iterable[str]) -> Record:
        """Everything that was read, in an order that the order of what came in does not change."""
        facts = {kind: tuple(sorted(found, key=_BY_REFERENCE)) for kind, found in self.facts.items() if kind not in (Drug, Tie)}
        settings = self.context.settings
        return Record(
            patient=self.patient,
            person=facts[Person][0] if facts[Person] else None,
            results=facts[Result],
            problems=facts[Problem],
            medications=facts[Medication],
            events=facts[Event],
            contacts=facts[Contact],
            answers=facts[Answer],
            refused=tuple(sorted({*self.refused, *refused}, key=lambda one: (one.reference, one.type, one.why, one.codes or ()))),
            retrieved=retrievals(retrieved, self.partial),
            base=self.context.base,
            time_zone=settings.time_zone,
            decimal_comma=settings.decimal_comma,
            identity=self.identity,
            errors=tuple(sorted({*self.errors, *errors})),
        )


def retrievals(retrieved: Iterable[Retrieved], partial: Mapping[str, str]) -> tuple[Retrieved, ...]:
    """How completely each type was read, the less complete first; what the readers found to be partial is."""
    found = [
        entry if entry.type not in partial or entry.broken else Retrieved(entry.type, False, f"partial: {partial[entry.type]}")
        for entry in retrieved
    ]
    named = {entry.type for entry in found}
    found += [Retrieved(kind, False, f"partial: {why}") for kind, why in partial.items() if kind not in named]
    return tuple(sorted(found, key=lambda entry: (entry.type, entry.complete, not entry.broken, entry.note)))


def lenient_codes(kind: str, resource: Resource, context: Context) -> tuple[str, ...] | None:
    """The codes of a resource that was set aside; None if any part of them cannot be told."""
    try:
        if kind in MEDICATION_TYPES:
            return drug_of(resource, Head(""), context).codes or None
        if kind not in _CODE_ELEMENT:
            return None
        parts = [resource[_CODE_ELEMENT[kind]]] + [part["code"] for part in items(resource.get("component"))]
        found = [concept(part, context)[0] for part in parts]
    except _SHAPES:
        return None
    return tuple(code for codes in found for code in codes) if all(found) else None
