"""The four medication records as one: codes, days, dose, strength. Medication itself gives the drug that they refer to.

What each status says follows verdicts, section 6. Times are intervals: an end that is only known to lie before some day is as
wide as that. No day is counted as certain that the record does not vouch for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from fhir_elig.adapters.courses import (
    ENDED,
    GOING_ON,
    HELD,
    Course,
    administered,
    dispensed,
    ordered,
    stated,
)
from fhir_elig.adapters.dosage import instructions, once
from fhir_elig.adapters.drugs import drug_of
from fhir_elig.adapters.shapes import Context, Head, Resource, ShapeError, flag, listed, plain_codes, string
from fhir_elig.record import Counts, Dose, Flaw, Medication, Strength

YES, NO, SHOWN, NEGATIVE = Counts.YES, Counts.NO, Counts.SHOWN, Counts.NEGATIVE

# status (or adherence): what it says, and whether use goes on, has ended, or is held
_STATEMENT = {
    "active": (YES, GOING_ON),
    "completed": (YES, ENDED),
    "stopped": (YES, ENDED),
    "on-hold": (YES, HELD),
    "not-taken": (NEGATIVE, GOING_ON),
    "intended": (NO, GOING_ON),
    "draft": (NO, GOING_ON),
    "entered-in-error": (NO, GOING_ON),
    "unknown": (SHOWN, GOING_ON),
}
_ADHERENCE = {
    **dict.fromkeys(("taking", "taking-as-directed", "taking-not-as-directed"), (YES, GOING_ON)),
    "not-taking": (NEGATIVE, GOING_ON),
    **dict.fromkeys(("on-hold", "on-hold-as-directed", "on-hold-not-as-directed"), (YES, HELD)),
    **dict.fromkeys(("stopped", "stopped-as-directed", "stopped-not-as-directed"), (YES, ENDED)),
}
_REQUEST = {
    "active": (YES, GOING_ON),
    "completed": (YES, GOING_ON),  # the order is done with; what was supplied may still be in use
    "ended": (YES, GOING_ON),
    "stopped": (YES, ENDED),
    "on-hold": (YES, HELD),
    "cancelled": (NO, GOING_ON),
    "draft": (NO, GOING_ON),
    "entered-in-error": (NO, GOING_ON),
    "unknown": (SHOWN, GOING_ON),
}
_INTENT = {
    **dict.fromkeys(("order", "original-order", "reflex-order", "instance-order"), YES),
    **dict.fromkeys(("plan", "proposal", "option"), SHOWN),
    "filler-order": NO,
}
_DISPENSE = {
    "completed": YES,
    "in-progress": YES,
    **dict.fromkeys(("preparation", "on-hold", "stopped", "unknown"), SHOWN),
    **dict.fromkeys(("cancelled", "declined", "entered-in-error"), NO),
}
_ADMINISTRATION = {
    "completed": YES,
    "in-progress": YES,
    "not-done": NEGATIVE,
    **dict.fromkeys(("on-hold", "stopped", "unknown"), SHOWN),
    "entered-in-error": NO,
}


class _Said(msgspec.Struct, frozen=True):
    """What a record says of use, apart from the drug and the doses."""

    status: str
    counts: Counts
    strength: Strength
    course: Course
    note: str = ""


def read_statement(resource: Resource, head: Head, context: Context) -> Iterable[Medication]:
    """Use as reported: R4 by status, R5 (`recorded`) by adherence."""
    status = _status(resource, (*_STATEMENT, "recorded"))
    counts, state, note = *_STATEMENT.get(status, (SHOWN, GOING_ON)), ""
    dosages = listed(resource.get("dosage"))
    if status == "recorded":
        codes = plain_codes((resource.get("adherence") or {}).get("code"))
        counts, state = _ADHERENCE.get(codes[0], (SHOWN, GOING_ON)) if len(codes) == 1 else (SHOWN, GOING_ON)
        note = f"adherence: {', '.join(codes) or 'not stated'}"
    said = _Said(status, counts, Strength.STATED, stated(resource, state, context), note)
    record = _record(resource, head, context, said, dosages)
    if "taking-not-as-directed" in note:
        return (msgspec.structs.replace(record, doses=(Dose(text="not as directed"),)),)
    return (record,)


def read_request(resource: Resource, head: Head, context: Context) -> Iterable[Medication]:
    """Intent to treat; a plan that is marked as reported is the patient's own list: use as reported."""
    status = _status(resource, _REQUEST)
    counts, state = _REQUEST[status]
    intent = string(resource.get("intent"))
    if intent not in _INTENT:
        raise ShapeError("its intent is missing or unknown")
    dosages = listed(resource.get("dosageInstruction"))
    note = "" if intent == "order" else f"intent {intent}"
    if flag(resource.get("doNotPerform")):
        counts, note = NO, "an order not to give it"
    if intent == "plan" and _reported(resource):
        said = _Said(status, counts, Strength.STATED, ordered(resource, dosages, state, context, reported=True), "reported")
    else:
        weaker = counts if counts is NO or _INTENT[intent] is YES else _INTENT[intent]
        said = _Said(status, weaker, Strength.ORDERED, ordered(resource, dosages, state, context), note)
    return (_record(resource, head, context, said, dosages, string(resource.get("renderedDosageInstruction"))),)


def _reported(resource: Resource) -> bool:
    """R4 reported[x], R5 reported."""
    said = flag(resource.get("reportedBoolean")), flag(resource.get("reported"))
    return any(said) or bool(resource.get("reportedReference"))


def read_dispense(resource: Resource, head: Head, context: Context) -> Iterable[Medication]:
    """The patient has it, from the hand-over for the days of the supply; one in progress is as an order."""
    status = _status(resource, _DISPENSE)
    strength = Strength.ORDERED if status == "in-progress" else Strength.DISPENSED
    dosages = listed(resource.get("dosageInstruction"))
    said = _Said(status, _DISPENSE[status], strength, dispensed(resource, context))
    return (_record(resource, head, context, said, dosages, string(resource.get("renderedDosageInstruction"))),)


def read_administration(resource: Resource, head: Head, context: Context) -> Iterable[Medication]:
    """The patient took it; R4 effective[x], R5 occurence[x]."""
    status = _status(resource, _ADMINISTRATION)
    said = _Said(status, _ADMINISTRATION[status], Strength.ADMINISTERED, administered(resource, context))
    return (_record(resource, head, context, said, listed(resource.get("dosage"))),)


def _status(resource: Resource, known: Iterable[str]) -> str:
    status = string(resource.get("status"))
    if status not in known:
        raise ShapeError("its status is missing or unknown")
    return status


def _record(resource: Resource, head: Head, context: Context, said: _Said, dosages: list[Any], shown: str = "") -> Medication:
    drug = drug_of(resource, head, context)
    how = instructions(dosages, shown, context)
    flaws = head.flaws + drug.flaws + ((Flaw.MODIFIER,) if how.modified else ())
    notes = head.notes + drug.notes + ((said.note,) if said.note else ())
    administration = said.strength is Strength.ADMINISTERED
    return Medication(
        reference=head.reference,
        version=head.version,
        status=said.status,
        counts=said.counts,
        flaws=tuple(dict.fromkeys(flaws)) if flaws else (),
        notes=notes,
        codes=drug.codes,
        strength=said.strength,
        start=said.course.start,
        end=said.course.end,
        certain_until=said.course.certain_until,
        single=administration or once(dosages),
        routes=how.routes,
        route_text=how.route_text,
        doses=how.doses,
        text=drug.text,
    )
