"""Observation and DiagnosticReport: results, each component a result of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fhir_elig.adapters.beside import contact, is_mere_contact
from fhir_elig.adapters.moments import choice, span
from fhir_elig.adapters.ranges import reference_ranges
from fhir_elig.adapters.shapes import (
    Context,
    Head,
    Resource,
    ShapeError,
    Tie,
    absent_reason,
    concept,
    flag,
    items,
    labels,
    named,
    number,
    plain_codes,
    quantity,
    range_of,
    recall,
    reference_text,
    string,
    when,
)
from fhir_elig.quantity import Quantity
from fhir_elig.record import Coded, Contact, Counts, Flag, Flaw, Moment, Odd, Result, Value
from fhir_elig.times import When

_STATUS = {
    "final": Counts.YES,
    "amended": Counts.YES,
    "corrected": Counts.YES,
    "preliminary": Counts.NOT_FINAL,
    "registered": Counts.NOT_FINAL,
    "cancelled": Counts.NO,
    "entered-in-error": Counts.NO,
    "unknown": Counts.NO,
}


def read_observation(resource: Resource, head: Head, context: Context) -> Iterable[Result | Contact]:
    """The result itself, then its components as `Observation/x#component-n` with the parent's status and time.

    Where no criterion can ask for any of their codes, each is only a Contact: the patient was seen then.
    """
    status = string(resource.get("status"))
    counts = _STATUS.get(status)
    if counts is None:
        raise ShapeError("its status is missing or unknown")
    time = _effective(resource, context)
    specimen = _specimen(resource, head, context) if "specimen" in resource else context.ties.get(head.reference, "")
    components = resource.get("component")
    if context.settings.matters is not None and is_mere_contact(resource, components, context):
        if not components:
            return (contact(head, status, counts, time),)
        heads = [head, *(_component_head(part, head, index) for index, part in enumerate(items(components or None)))]
        return [contact(each, status, counts, time) for each in heads]
    whole = _result(resource, head, context, status, counts, time, specimen)
    if not components:
        return (whole,)
    parts = [
        _result(part, _component_head(part, head, index), context, status, counts, time, specimen)
        for index, part in enumerate(items(components))
    ]
    return (whole, *parts)


def _component_head(part: Any, head: Head, index: int) -> Head:
    flaws = (*head.flaws, Flaw.MODIFIER) if part.get("modifierExtension") and Flaw.MODIFIER not in head.flaws else head.flaws
    return Head(f"{head.reference}#component-{index}", head.version, flaws, head.notes)


def _result(
    part: Resource,
    head: Head,
    context: Context,
    status: str,
    counts: Counts,
    time: When | None,
    specimen: str,
) -> Result:
    codes, text = named(part.get("code"), context)
    if not codes and not text:
        raise ShapeError("its code is missing")
    value, absent = _value(part, context)
    notes: tuple[str, ...] = ()
    if "dataAbsentReason" in part:
        value, absent, notes = _absence(part["dataAbsentReason"], value)
    ranges = part.get("referenceRange")
    interpretation = part.get("interpretation")
    return Result(
        reference=head.reference,
        version=head.version,
        status=status,
        counts=counts,
        flaws=head.flaws,
        notes=head.notes + notes if notes else head.notes,
        codes=codes,
        value=value,
        time=time,
        absent=absent,
        ranges=recall(reference_ranges, ranges, context) if ranges is not None else (),
        interpretation=recall(labels, interpretation, context) if interpretation is not None else (),
        specimen=specimen,
        method=_label(part["method"], context) if "method" in part else "",
        body_site=_label(part["bodySite"], context) if "bodySite" in part else "",
        text=text,
    )


def _effective(resource: Resource, context: Context) -> When | None:
    """effective[x]; without one, everything up to `issued`, by which a Period that has no end was over too."""
    if "effectivePeriod" not in resource:  # `issued` is read only where it counts: hardly two results have one instant
        time = choice(resource, "effective", context)
        if time is not None:
            return time
    issued = when(resource.get("issued"), context)
    time = choice(resource, "effective", context, issued)
    return issued.until() if time is None and issued is not None else time


def _specimen(resource: Resource, head: Head, context: Context) -> str:
    """What ties results to one sample: the specimen, else the report that lists the result."""
    return reference_text(resource["specimen"], context, head.reference) or context.ties.get(head.reference, "")


def _label(value: Any, context: Context) -> str:
    """The first code key, or the text, of a CodeableConcept."""
    if value is None:
        return ""
    codes, text = named(value, context)
    return codes[0] if codes else text


def _absence(sent: Any, value: Value | None) -> tuple[Value | None, str, tuple[str, ...]]:
    """Why there is no value, with a note. A value beside it breaks FHIR's rule obs-6: then it is set aside."""
    reason = _reason(sent)
    if value is None:
        return None, reason, ()
    if reason == "as-text" and isinstance(value, Coded) and value.text:
        return value, "", ("dataAbsentReason as-text: its text is read",)
    return None, reason if reason in _CLOSED else "error", (f"value and dataAbsentReason ({reason}) together",)


_CLOSED = ("masked", "not-permitted")


def _reason(value: Any) -> str:
    try:
        return next(iter(plain_codes(value)), "error")
    except (ValueError, TypeError, AttributeError):
        return "error"


def _value(part: Resource, context: Context) -> tuple[Value | None, str]:
    """value[x] and the reason why it is absent, if an extension of it or of its `_value` says so."""
    names = _VALUE_NAMES.intersection(part)
    if not names:  # a name that FHIR does not have is still a value that was sent
        return (Odd("value of no kind of FHIR"), "") if any(name[:5] == "value" for name in part) else (None, "")
    (name, *more) = names
    if more or name[0] == "_":
        return _several(names, part, context)
    sent = part[name]
    if type(sent) is dict and "extension" in sent:
        reason = absent_reason(sent)
        if reason:
            return None, reason
    try:
        return _VALUES[name](sent, context), ""
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return Odd(str(error) if isinstance(error, ShapeError) else _kind(name)), ""


def _several(names: frozenset[str], part: Resource, context: Context) -> tuple[Value | None, str]:
    """Of several names: a value and its `_` sibling, which may say that it is absent; or values that exclude each other."""
    values = {name for name in names if name[0] != "_"}
    reasons = sorted(filter(None, (absent_reason(part[name]) for name in names - values)))
    if reasons:
        return None, "error" if values else reasons[0]
    if len(values) > 1:
        return Odd("several values"), ""
    return _value({name: part[name] for name in values}, context)


def _kind(name: str) -> str:
    return name[5:6].lower() + name[6:]


def _coded(value: Any, context: Context) -> Coded:
    codes, text = concept(value, context)
    return Coded(codes, text) if codes or text else _fail("an empty answer")


def _text(value: Any, context: Context) -> Coded:
    return Coded((), string(value)) if value else _fail("an empty text")


def _flag(value: Any, context: Context) -> Flag:
    return Flag(flag(value)) if value is not None else _fail("boolean")


def _integer(value: Any, context: Context) -> Quantity:
    return Quantity(number(value))


def _moment(value: Any, context: Context) -> Moment:
    time = when(value, context)
    return Moment(time) if time else _fail("dateTime")


def _period(value: Any, context: Context) -> Moment:
    time = span(value, context)
    return Moment(time) if time else _fail("period")


def _fail(why: str) -> Any:
    raise ShapeError(why)


_VALUES: dict[str, Callable[[Any, Context], Value]] = {
    "valueQuantity": lambda value, context: quantity(value),
    "valueString": _text,
    "valueCodeableConcept": _coded,
    "valueInteger": _integer,
    "valueRange": lambda value, context: range_of(value),
    "valueBoolean": _flag,
    "valueDateTime": _moment,
    "valuePeriod": _period,
}

# All names that a value may have in FHIR, those that no Observation allows included: what is sent must not be overlooked.
_VALUE_NAMES = frozenset(
    f"{prefix}value{kind}"
    for prefix in ("", "_")
    for kind in (
        "Address Age Annotation Attachment Base64Binary Boolean Canonical Code CodeableConcept CodeableReference Coding "
        "ContactPoint Count Date DateTime Decimal Distance Duration HumanName Id Identifier Instant Integer Integer64 Markdown "
        "Money Oid Period PositiveInt Quantity Range Ratio RatioRange Reference SampledData SimpleQuantity String Time Timing "
        "UnsignedInt Uri Url Uuid"
    ).split()
)


def read_report(resource: Resource, head: Head, context: Context) -> Iterable[Tie]:
    """The results that a DiagnosticReport binds together; its conclusion is never read."""
    if string(resource.get("status")) == "entered-in-error" or head.flaws:
        return ()
    results = (reference_text(one, context, head.reference) for one in items(resource.get("result")))
    return (Tie(head.reference, tuple(result for result in results if result)),)
