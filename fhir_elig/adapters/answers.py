"""QuestionnaireResponse and Consent: what people said. Nothing here is ever satisfied by assumption."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fhir_elig.adapters.shapes import (
    Context,
    Head,
    Resource,
    ShapeError,
    flag,
    items,
    number,
    plain_codes,
    quantity,
    reference_text,
    string,
    when,
)
from fhir_elig.quantity import Number
from fhir_elig.record import Answer, Counts, Flaw
from fhir_elig.times import When

_DEEPEST = 32
_RESPONSE = {
    "completed": Counts.YES,
    "amended": Counts.YES,
    "in-progress": Counts.NO,
    "stopped": Counts.NO,
    "entered-in-error": Counts.NO,
}
_CONSENT = {
    "active": Counts.YES,
    **dict.fromkeys(("draft", "proposed", "rejected", "inactive", "not-done", "unknown", "entered-in-error"), Counts.NO),
}
_RESEARCH = frozenset({"research", "RESEARCH", "57016-8"})
_COUNTABLE = frozenset({"", "1", "{score}", "{points}", "points", "score"})

Value = bool | Number | None


def read_response(resource: Resource, head: Head, context: Context) -> Iterable[Answer]:
    """The answers to the protocol's own questionnaire, nested ones included; answers to any other are none of ours."""
    canonical = string(resource.get("questionnaire"))
    if not context.settings.questionnaire or canonical.partition("|")[0] != context.settings.questionnaire:
        return ()
    status = string(resource.get("status"))
    if status not in _RESPONSE:
        raise ShapeError("its status is missing or unknown")
    on, by = when(resource.get("authored"), context), reference_text(resource.get("author"), context, head.reference)
    missing = [name for name, value in (("authored", on), ("author", by)) if not value]
    notes = tuple(f"{name} is missing" for name in missing)
    return [
        Answer(
            reference=head.reference,
            version=head.version,
            status=status,
            counts=Counts.NO if missing else _RESPONSE[status],
            flaws=(*head.flaws, Flaw.MODIFIER) if modified and Flaw.MODIFIER not in head.flaws else head.flaws,
            notes=head.notes + notes + extra,
            item=item,
            value=value,
            on=on,
            by=by,
            questionnaire=canonical,
            kind="questionnaire",
        )
        for item, value, extra, modified in _answers(resource.get("item"), 0)
    ]


def _answers(value: Any, depth: int, modified: bool = False) -> Iterator[tuple[str, Value, tuple[str, ...], bool]]:
    """(linkId, value, notes, whether a modifier extension stands over it) of each answer, in the order of the form."""
    if depth > _DEEPEST:
        raise ShapeError("its items are nested too deep")
    for item in items(value):
        over = modified or bool(item.get("modifierExtension"))
        for answer in items(item.get("answer")):
            link = string(item.get("linkId"))
            if not link:
                raise ShapeError("an answer without a linkId")
            yield (link, *_value(answer), over or bool(answer.get("modifierExtension")))
            yield from _answers(answer.get("item"), depth + 1, over)
        yield from _answers(item.get("item"), depth + 1, over)


def _value(answer: Resource) -> tuple[Value, tuple[str, ...]]:
    names = [name for name in answer if name[:5] == "value"]
    if len(names) != 1:
        return None, ("no value" if not names else "several values",)
    sent = answer[names[0]]
    try:
        if names[0] == "valueBoolean" and sent is not None:
            return flag(sent), ()
        if names[0] in ("valueDecimal", "valueInteger"):
            return number(sent), ()
        if names[0] == "valueQuantity":
            return _count(sent)
    except (ValueError, TypeError, AttributeError):
        return None, ("its value cannot be read",)
    return None, ("its value is no boolean and no number",)


def _count(sent: Any) -> tuple[Number | None, tuple[str, ...]]:
    """A number of points; a quantity of anything else is not one."""
    found = quantity(sent)
    if found.comparator or not {found.unit, found.code} <= _COUNTABLE:
        return None, (f"not a plain number: {found}",)
    return found.value, ()


def read_consent(resource: Resource, head: Head, context: Context) -> Iterable[Answer]:
    """A consent to research: True permits, False denies, None if exceptions leave it open; `study` names the studies."""
    status = string(resource.get("status"))
    if status not in _CONSENT:
        raise ShapeError("its status is missing or unknown")
    counts, notes = _CONSENT[status], list(head.notes)
    if not _is_research(resource):
        counts = Counts.NO
        notes.append("not a consent to research")
    provisions = list(items(resource.get("provision")))
    value, note = _decision(resource, provisions)
    on = when(resource.get("dateTime") or resource.get("date"), context)
    start, end = _period(resource, provisions, context)
    flaws = head.flaws
    if any(provision.get("modifierExtension") for provision in provisions) and Flaw.MODIFIER not in flaws:
        flaws = (*flaws, Flaw.MODIFIER)
    return (
        Answer(
            reference=head.reference,
            version=head.version,
            status=status,
            counts=counts,
            flaws=flaws,
            notes=tuple([*notes, note] if note else notes),
            item="",
            value=value,
            on=start if start is not None and (on is None or on.before(start)) else on,
            by=_signer(resource, head, context),
            study=_studies(resource, provisions, context),
            expires=end,
            kind="consent",
        ),
    )


def _is_research(resource: Resource) -> bool:
    """R4 scope; R5 (and R4 without a scope) category."""
    kinds = [resource["scope"]] if resource.get("scope") else items(resource.get("category"))
    return any(code in _RESEARCH for kind in kinds for code in plain_codes(kind))


def _decision(resource: Resource, provisions: list[Any]) -> tuple[bool | None, str]:
    """R4 `provision.type`; R5 `decision`, to which every provision that says more than a period is an exception."""
    decision = resource.get("decision")
    said = {string(one.get("type")) for one in provisions if one.get("type")} if decision is None else {string(decision)}
    if decision is None:
        exceptions = any(one.get("provision") for one in provisions) or len(provisions) > 1
    else:
        exceptions = any(set(one) - {"id", "period"} for one in provisions)
    if exceptions:
        return None, "it has exceptions, which only a person can weigh"
    if said == {"permit"}:
        return True, ""
    return (False, "") if said == {"deny"} else (None, "it neither permits nor denies")


def _period(resource: Resource, provisions: list[Any], context: Context) -> tuple[When | None, When | None]:
    """The latest start and the earliest end that the consent (R5) and its provisions (R4) state."""
    periods = [period for period in (resource.get("period"), *(one.get("period") for one in provisions)) if period]
    starts = [time for period in periods if (time := when(period.get("start"), context))]
    ends = [time for period in periods if (time := when(period.get("end"), context))]
    return max(starts, key=lambda time: time.start, default=None), min(ends, key=lambda time: time.end, default=None)


def _signer(resource: Resource, head: Head, context: Context) -> str:
    """R4 performer, R5 grantor; else the organisation that keeps it."""
    for name in ("performer", "grantor", "organization"):
        for one in items(resource.get(name)):
            return reference_text(one, context, head.reference)
    return ""


def _studies(resource: Resource, provisions: list[Any], context: Context) -> tuple[str, ...]:
    """References to each ResearchStudy that it names: in an extension, its source, or its provisions' data and actors."""
    named = [one.get("valueReference") for one in items(resource.get("extension"))]
    named += items(resource.get("sourceReference"))
    for provision in provisions:
        named += [one.get("reference") for name in ("data", "actor") for one in items(provision.get(name))]
    found = {reference_text(one, context) for one in named if one}
    return tuple(sorted(text for text in found if text.startswith("ResearchStudy/") or "/ResearchStudy/" in text))
