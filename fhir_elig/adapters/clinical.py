"""Condition, Procedure, Immunization and Encounter: what the patient has, what was done, when the patient was seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_elig.adapters.moments import choice, span
from fhir_elig.adapters.shapes import Context, Head, Resource, ShapeError, items, labels, named, plain_codes, recall, string, when
from fhir_elig.record import Contact, Counts, Event, Problem
from fhir_elig.times import ALWAYS, When

_VERIFICATION = {
    "confirmed": Counts.YES,
    "unconfirmed": Counts.UNCONFIRMED,
    "provisional": Counts.UNCONFIRMED,
    "differential": Counts.UNCONFIRMED,
    "refuted": Counts.NEGATIVE,
    "entered-in-error": Counts.NO,
}
_CLINICAL = frozenset({"active", "recurrence", "relapse", "inactive", "remission", "resolved"})
_OVER = frozenset({"inactive", "remission", "resolved"})
# How sure a German ICD-10-GM coding is, an extension on the coding itself: A excluded, V suspected, Z status after, G confirmed.
_CERTAINTY = "http://fhir.de/StructureDefinition/icd-10-gm-diagnosesicherheit"
_CERTAINTIES = {"A": Counts.NEGATIVE, "V": Counts.UNCONFIRMED, "Z": Counts.YES, "G": Counts.YES}

_PROCEDURE = {
    "completed": Counts.YES,
    "in-progress": Counts.YES,
    "not-done": Counts.NEGATIVE,
    # Begun, perhaps: neither evidence that it happened nor that it did not.
    "stopped": Counts.UNCONFIRMED,
    "on-hold": Counts.UNCONFIRMED,
    "unknown": Counts.UNCONFIRMED,
    "preparation": Counts.NO,
    "entered-in-error": Counts.NO,
}
_IMMUNIZATION = {"completed": Counts.YES, "not-done": Counts.NEGATIVE, "entered-in-error": Counts.NO}
_ENCOUNTER = {
    **dict.fromkeys(("arrived", "triaged", "in-progress", "onleave", "on-hold", "finished"), Counts.YES),
    **dict.fromkeys(("discharged", "completed", "discontinued"), Counts.YES),
    **dict.fromkeys(("planned", "cancelled", "entered-in-error", "unknown"), Counts.NO),
}


def _counts(resource: Resource, table: dict[str, Counts]) -> tuple[str, Counts]:
    status = string(resource.get("status"))
    if status not in table:
        raise ShapeError("its status is missing or unknown")
    return status, table[status]


def read_condition(resource: Resource, head: Head, context: Context) -> Iterable[Problem]:
    """A problem, from its onset (or, without one, from any time up to its recording) to its abatement."""
    codes, text = named(resource.get("code"), context)
    verification, counts, note = recall(_verified, resource.get("verificationStatus"), context)
    clinical, clear = recall(_clinical, resource.get("clinicalStatus"), context)
    notes = [*head.notes, note] if note else list(head.notes)
    if not clear:
        notes.append("clinicalStatus cannot be read")
        counts = Counts.UNCONFIRMED if counts is Counts.YES else counts
    certain = recall(_certainties, resource.get("code"), context)
    if certain:
        counts = _as_certain(counts, certain, verification, clinical)
        notes.append(f"diagnostic certainty {', '.join(sorted(certain))}")
    if resource.get("onsetString"):
        notes.append(f"onset in words: {string(resource['onsetString'])[:80]}")
    recorded = when(resource.get("recordedDate") or resource.get("assertedDate"), context)
    return (
        Problem(
            reference=head.reference,
            version=head.version,
            status=verification,
            counts=counts,
            flaws=head.flaws,
            notes=tuple(notes),
            codes=codes,
            clinical=clinical,
            verification=verification,
            onset=_onset(resource, recorded, context),
            abated=_abated(resource, clinical or ("resolved" if certain == {"Z"} else ""), context),
            recorded=recorded,
            text=text,
            category=recall(labels, resource.get("category"), context),
        ),
    )


def _verified(value: Any, _: Context) -> tuple[str, Counts, str]:
    """verificationStatus: its code, what it means, a note. One that is there but not understood confirms nothing."""
    if value is None:
        return "", Counts.YES, ""
    codes = plain_codes(value)
    known = [code for code in codes if code in _VERIFICATION]
    if len(known) == 1:
        return known[0], _VERIFICATION[known[0]], ""
    return ", ".join(codes)[:64], Counts.UNCONFIRMED, "verificationStatus cannot be read"


def _certainties(code: Any, _: Context) -> frozenset[str]:
    """The certainties that the codings of a diagnosis carry; one that cannot be read is empty."""
    found: set[str] = set()
    for coding in items((code or {}).get("coding")):
        for extension in items(coding.get("extension")):
            if extension.get("url") == _CERTAINTY:
                found.add(string((extension.get("valueCoding") or {}).get("code")))
    return frozenset(found)


def _as_certain(counts: Counts, certain: frozenset[str], verification: str, clinical: str) -> Counts:
    """What the certainty leaves of a diagnosis. One that contradicts itself or the statuses beside it confirms nothing."""
    said = {_CERTAINTIES.get(letter, Counts.UNCONFIRMED) for letter in certain}
    if counts not in (Counts.YES, Counts.UNCONFIRMED):
        return counts
    now_and_over = "Z" in certain and clinical in _CLINICAL - _OVER
    if len(certain) > 1 or now_and_over or (said == {Counts.NEGATIVE} and verification == "confirmed"):
        return Counts.UNCONFIRMED
    return counts if said == {Counts.YES} else said.pop()


def _clinical(value: Any, _: Context) -> tuple[str, bool]:
    """clinicalStatus, and whether it could be read; a finer code beside its parent (remission, inactive) is kept."""
    if value is None:
        return "", True
    known = [code for code in plain_codes(value) if code in _CLINICAL]
    if not known or len({code in _OVER for code in known}) > 1:
        return "", False
    return min(known, key=lambda code: (code in ("active", "inactive"), code)), True


def _onset(resource: Resource, recorded: When | None, context: Context) -> When | None:
    onset = choice(resource, "onset", context, recorded)
    return recorded.until() if onset is None and recorded is not None else onset


def _abated(resource: Resource, clinical: str, context: Context) -> When | None:
    """When it ended: any time, if it is known to have ended but not when; None if it is open."""
    time = choice(resource, "abatement", context)
    if time is not None:
        return time
    said = any(name.startswith("abatement") and value is not False for name, value in resource.items())
    return ALWAYS if said or clinical in _OVER else None


def read_procedure(resource: Resource, head: Head, context: Context) -> Iterable[Event]:
    """Something that was done, or was not (`counts` negative); R4 `performed[x]`, R5 `occurrence[x]`."""
    status, counts = _counts(resource, _PROCEDURE)
    time = choice(resource, "performed", context) or choice(resource, "occurrence", context)
    return (_event(head, status, counts, named(resource.get("code"), context), time),)


def read_immunization(resource: Resource, head: Head, context: Context) -> Iterable[Event]:
    status, counts = _counts(resource, _IMMUNIZATION)
    named_codes = named(resource.get("vaccineCode"), context)
    return (_event(head, status, counts, named_codes, choice(resource, "occurrence", context)),)


def _event(head: Head, status: str, counts: Counts, code: tuple[tuple[str, ...], str], time: When | None) -> Event:
    return Event(
        reference=head.reference,
        version=head.version,
        status=status,
        counts=counts,
        flaws=head.flaws,
        notes=head.notes,
        codes=code[0],
        time=time,
        text=code[1],
    )


def read_encounter(resource: Resource, head: Head, context: Context) -> Iterable[Contact]:
    """A contact. Without an end it stands at its start: the patient was surely seen then."""
    status, counts = _counts(resource, _ENCOUNTER)
    period = resource.get("period") or resource.get("actualPeriod") or {}
    start, end = when(period.get("start"), context), when(period.get("end"), context)
    time = span(period, context) if start and end else start or end
    return (
        Contact(
            reference=head.reference,
            version=head.version,
            status=status,
            counts=counts,
            flaws=head.flaws,
            notes=head.notes,
            time=time,
        ),
    )
