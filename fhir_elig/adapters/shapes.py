"""The small shapes that all readers share: codings, numbers, quantities, what stands at the head of a resource.

A shape that cannot be what FHIR says raises `ShapeError` (or, for the crudest, TypeError or AttributeError), which costs the
one resource: `read` sets it aside. Nothing is guessed from a broken part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec

from fhir_elig import concepts
from fhir_elig.quantity import Number, Quantity, Range
from fhir_elig.record import Flaw
from fhir_elig.references import parse_reference
from fhir_elig.times import When, parse_when

Resource = dict[str, Any]
CodeKey = Callable[[str, str], str]
T = TypeVar("T")

_REMEMBERED = 8192  # elements of which a memory holds what was read

ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a site and a protocol say about reading.

    `time_zone` is an IANA name; `allowed_labels` are security labels (`R`, or `system|code`) that may be used; `code_key`
    gives `canonical-system|code`; `questionnaire` is the canonical URL (without version) whose answers are read. `matters` says
    of a result's code keys whether any criterion could ask for one of them (None: for all); of a result that nobody asks for
    only its time is read. It must be sure of what it denies.
    """

    time_zone: str = "UTC"
    decimal_comma: bool = False
    allowed_labels: frozenset[str] = frozenset()
    code_key: CodeKey = concepts.code_key
    questionnaire: str = ""
    matters: Callable[[tuple[str, ...]], bool] | None = None


class ShapeError(ValueError):
    """A part of a resource is not of the shape that FHIR gives it. The message holds no patient data."""


class Drug(msgspec.Struct, frozen=True):
    """A Medication resource: what a medication record refers to."""

    id: str
    codes: tuple[str, ...]
    text: str
    flaws: tuple[Flaw, ...]
    notes: tuple[str, ...]


class Tie(msgspec.Struct, frozen=True):
    """A DiagnosticReport: the results that it binds together."""

    reference: str
    results: tuple[str, ...]


class Head(msgspec.Struct, frozen=True, gc=False):
    """What every resource starts with."""

    reference: str
    version: str = ""
    flaws: tuple[Flaw, ...] = ()
    notes: tuple[str, ...] = ()


class Memory:
    """What was read of elements by these settings, by who read it and the identity of the element; may serve many charts.

    A source may give equal elements of several resources as one object, and those of several charts too, which nobody may
    change then. Each row holds its element, so that no other can take its identity.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.context = Context(settings=msgspec.structs.replace(settings, questionnaire=""), memory=self)  # of no chart, no form
        self.rows: dict[tuple[object, int], tuple[Any, Any]] = {}

    def of_form(self, questionnaire: str) -> Memory:
        """The same for settings by which the answers to another questionnaire are read."""
        other = Memory(msgspec.structs.replace(self.settings, questionnaire=questionnaire))
        other.rows = self.rows
        return other


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What readers know besides the resource: the settings, and what was read before it."""

    settings: Settings
    memory: Memory
    base: str | None = None
    patients: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()  # `Patient/id` of each of them
    born: When | None = None
    drugs: dict[str, tuple[Drug, ...]] = {}
    ties: dict[str, str] = {}


def recall(read: Callable[[Any, Context], T], element: Any, context: Context) -> T:
    """What that reader makes of an element, which it meets once; it may look at nothing else than the settings."""
    memory = context.memory
    asked = (read, id(element))
    row = memory.rows.get(asked)
    if row is None:
        if len(memory.rows) >= _REMEMBERED:
            memory.rows.clear()
        row = memory.rows[asked] = element, read(element, memory.context)
    return cast("T", row[1])


@lru_cache(maxsize=16_384)
def key(code_key: CodeKey, system: str, code: str) -> str:
    return code_key(system, code)


def items(value: Any) -> Iterable[Any]:
    """The members of a repeating element; a lone object counts as a list of one, as older servers send it."""
    if value is None:
        return ()
    if isinstance(value, dict):
        return (value,)
    if isinstance(value, list):
        return value
    raise ShapeError("a list was expected")


def listed(value: Any) -> list[Any]:
    """The same as a list, itself if it is one."""
    return value if type(value) is list else list(items(value))


def string(value: Any) -> str:
    """A text, or empty if there is none; anything else is a broken shape."""
    if value is None:
        return ""
    if type(value) is str:
        return value
    raise ShapeError("a text was expected")


def flag(value: Any) -> bool:
    """A boolean, False if there is none."""
    if value is None or type(value) is bool:
        return bool(value)
    raise ShapeError("a boolean was expected")


def number(value: Any) -> Number:
    """An exact, finite number: never a boolean, never binary floating point."""
    if type(value) is int or (type(value) is Decimal and value.is_finite()):
        return value
    raise ShapeError("float" if type(value) is float else "not a number")


def concept(value: Any, context: Context) -> tuple[tuple[str, ...], str]:
    """Code keys, in their order, and the text of a CodeableConcept (no display)."""
    codings, text = value.get("coding"), value.get("text", "")
    return coding_keys(codings, context) if codings else (), text if type(text) is str else string(text)


def coding_keys(codings: Any, context: Context) -> tuple[str, ...]:
    """Code keys of a list of Coding; one that has no code adds none, one that is broken is an error."""
    code_key = context.settings.code_key
    found = []
    for coding in codings if type(codings) is list else items(codings):
        system, code = coding.get("system", ""), coding.get("code", "")
        if type(system) is not str or type(code) is not str:
            system, code = string(system), string(code)
        if code:
            found.append(key(code_key, system, code))
    return tuple(found) if len(found) < 2 else tuple(dict.fromkeys(found))


def named(value: Any, context: Context) -> tuple[tuple[str, ...], str]:
    """Code keys, and the text or the first display, which is for people to read and never decides."""
    return ((), "") if value is None else recall(_named, value, context)


def _named(value: Any, context: Context) -> tuple[tuple[str, ...], str]:
    codings, text = value.get("coding"), value.get("text", "")
    codes = coding_keys(codings, context) if codings else ()
    return codes, (text if type(text) is str else string(text)) or display(value)


def labels(value: Any, context: Context) -> tuple[str, ...]:
    """Code keys of all concepts of a repeating element, such as an interpretation or a category."""
    return tuple(code for one in items(value) for code in coding_keys(one.get("coding"), context))


def display(value: Any) -> str:
    shown = (coding.get("display") for coding in items(value.get("coding")))
    return next((text for text in shown if type(text) is str and text), "")


def plain_codes(value: Any) -> tuple[str, ...]:
    """The bare codes of a CodeableConcept from a fixed list; a plain text stands for itself, as in DSTU2 and STU3."""
    if value is None:
        return ()
    if type(value) is str:
        return (value,)
    codings = value.get("coding")
    if type(codings) is list and len(codings) == 1:
        code = string(codings[0].get("code"))
        return (code,) if code else ()
    codes = [string(coding.get("code")) for coding in items(codings)]
    return tuple(dict.fromkeys(code for code in codes if code))


def quantity(value: Any) -> Quantity:
    """A Quantity as sent; a broken part raises, since a unit or comparator that is lost would change its meaning."""
    get = value.get
    sent, comparator = get("value"), get("comparator", "")
    unit, code, system = get("unit", ""), get("code", ""), get("system", "")
    if sent is not None and not (type(sent) is Decimal and sent.is_finite()):
        number(sent)
    if type(unit) is str and type(code) is str and type(system) is str and type(comparator) is str:
        return Quantity(sent, comparator, unit, code, system)
    return Quantity(sent, string(comparator), string(unit), string(code), string(system))


def range_of(value: Any) -> Range:
    """A Range; one that has neither side is a broken shape."""
    low, high = value.get("low"), value.get("high")
    found = Range(None if low is None else quantity(low), None if high is None else quantity(high))
    if not any(side is not None and side.value is not None for side in (found.low, found.high)):
        raise ShapeError("an empty range")
    return found


def when(value: Any, context: Context) -> When | None:
    """A date or time as an interval; None if there is none or it cannot be read."""
    return parse_when(value, context.settings.time_zone) if type(value) is str else None


def reference_text(value: Any, context: Context, owner: str = "") -> str:
    """`Type/id` of a Reference; what cannot be resolved is kept as sent, a contained one under its owner; empty if none."""
    text = string(value.get("reference")) if value else ""
    parsed = parse_reference(text, context.base)
    if parsed is not None:
        return f"{parsed[0]}/{parsed[1]}"
    return f"{owner}{text}" if text.startswith("#") else text


def absent_reason(value: Any) -> str:
    """The code of the data-absent-reason extension of an element (or of its `_` sibling), or empty."""
    extensions = value.get("extension") if isinstance(value, dict) else None
    for extension in items(extensions):
        if extension.get("url") == ABSENT_REASON:
            return string(extension.get("valueCode")) or "error"
    return ""
