"""The harness of the specification tests: a row says what holds, a chart in a few words, a criterion in YAML, and what is due.

`chart` makes a record of facts written briefly (`lab`, `problem`, `drug`, `event`, `answer`, ...); `assessed` holds it against
a protocol of that one criterion, whose id is `c`. Concepts that have no code of their own get one of the hospital's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from textwrap import indent
from typing import Any, NamedTuple

import msgspec
import pytest

from fhir_elig import places
from fhir_elig.assessment import assess
from fhir_elig.concepts import Concepts, load_concepts
from fhir_elig.criteria.context import Run
from fhir_elig.documents import load_document
from fhir_elig.protocol import Protocol, build_protocol, load_protocol
from fhir_elig.quantity import Quantity, Range
from fhir_elig.record import (
    MEDICATION_TYPES,
    Answer,
    Coded,
    Contact,
    Counts,
    Dose,
    Event,
    Fact,
    Medication,
    Moment,
    Person,
    Problem,
    Record,
    ReferenceRange,
    Refused,
    Result,
    Strength,
    Value,
)
from fhir_elig.times import ALWAYS, When, parse_when
from fhir_elig.verdict import Assessment, CriterionResult, Retrieved

AS_OF = "2025-06-01"
LOCAL = "http://hospital.example/codes|"
TYPES = ("Patient", "Observation", "Condition", *MEDICATION_TYPES, "Procedure", "Encounter", "QuestionnaireResponse", "Consent")
_NUMBER = r"[+-]?[0-9]+(?:\.[0-9]+)?"


class Row(NamedTuple):
    """What holds; the chart; the criterion; the verdict and reason that are due; what the run says beside the chart."""

    holds: str
    facts: tuple[Any, ...]
    criterion: str
    verdict: str
    reason: str
    run: Mapping[str, Any] = {}

    def __str__(self) -> str:
        return self.holds


@lru_cache(maxsize=1)
def concepts() -> Concepts:
    """The shipped concepts, and a hospital's codes for those that have none."""
    shipped = load_concepts(places.mapping_root())
    bare = [name for name, concept in shipped.by_name.items() if not concept.codes]
    return shipped.with_site({name: (LOCAL + name.upper(),) for name in bare}, {})


@lru_cache(maxsize=1)
def relma() -> Protocol:
    """The first protocol as it is shipped."""
    return load_protocol(places.mapping_root() / "protocols" / "relma-cel-ssc.yaml", concepts())


_HEAD = """
protocol: test
version: 1.0.0
title: one criterion
milestones:
  screening: {title: screening}
  enrollment: {title: enrollment}
  leukapheresis: {title: leukapheresis}
  lymphodepletion: {title: first dose}
  baseline: {title: baseline, else: screening}
  visit: {title: a visit, else: enrollment}
"""


@lru_cache(maxsize=512)
def protocol(criterion: str, definitions: str = "") -> Protocol:
    """A protocol whose one criterion `c` is that YAML."""
    text = _HEAD + (f"definitions:\n{indent(definitions, '  ')}\n" if definitions else "")
    text += f"inclusion:\n  - id: c\n    text: the words of the protocol\n{indent(criterion, '    ')}\n"
    return build_protocol(load_document(text, "test.yaml"), concepts())


def code_of(name: str) -> str:
    """A code that means this concept and no other; what holds a bar is a code already."""
    if "|" in name:
        return name
    concept = concepts().by_name[name]
    codes = sorted(concept.codes - concept.ranged) or sorted(concept.codes)
    return next((code for code in codes if concepts().names_of(code)[0] == {name}), codes[0])


def when(text: str, zone: str = "UTC") -> When:
    found = parse_when(text, zone)
    assert found is not None, text
    return found


def _maybe(text: str | None) -> When | None:
    return ALWAYS if text == "?" else None if text is None else when(text)


def value(text: str) -> Value:
    """`10.2 g/dL`, `<5 U/L`, `50-55 %`, a date, or words."""
    number = re.fullmatch(rf"(<=|>=|<|>)? ?({_NUMBER})(?![0-9.-]) ?(\S.*)?", text)
    if number is not None and parse_when(text) is None:
        return Quantity(Decimal(number[2]), number[1] or "", number[3] or "")
    between = re.fullmatch(rf"({_NUMBER})-({_NUMBER}) ?(\S.*)?", text)
    if between is not None and parse_when(text) is None:
        low, high = (Quantity(Decimal(between[side]), "", between[3] or "") for side in (1, 2))
        return Range(low, high)
    moment = parse_when(text)
    return Moment(moment) if moment is not None and "-" in text else Coded(text=text)


def lab(name: str, sent: str | Value | None, on: str | None = "2025-05-28", **more: Any) -> Result:
    """A result of a concept (or code), as sent, on that day; `codes` adds further ones, `ref` names it."""
    told = value(sent) if isinstance(sent, str) else sent
    ref = more.pop("ref", re.sub(r"[^a-zA-Z0-9.]+", "-", f"{name}-{on}-{told}"))
    codes = (code_of(name), *more.pop("codes", ()))
    return Result(reference=f"Observation/{ref}", codes=codes, value=told, time=_maybe(on), **{"status": "final", **more})


def limits(low: str | None = None, high: str | None = None, **more: Any) -> dict[str, Any]:
    """A reference range for `lab`: `**limits(high="40 U/L")`."""
    ends = [None if end is None else value(end) for end in (low, high)]
    return {"ranges": (ReferenceRange(ends[0], ends[1], **more),)}  # type: ignore[arg-type]


def problem(name: str, onset: str | None = None, abated: str | None = None, **more: Any) -> Problem:
    """A condition of a concept (or code); abated `?` ended at no known time; `text` alone has no code."""
    codes = (code_of(name),) if name else ()
    recorded = _maybe(more.pop("recorded", None))
    ref = more.pop("ref", re.sub(r"[^a-zA-Z0-9.]+", "-", f"{name}-{onset}-{abated}"))
    shape = {"clinical": "" if abated else "active", "verification": "confirmed", **more}
    return Problem(
        reference=f"Condition/{ref}", codes=codes, onset=_maybe(onset), abated=_maybe(abated), recorded=recorded, **shape
    )


def drug(name: str, start: str | None = None, end: str | None = None, **more: Any) -> Medication:
    """A medication record: stated use of a drug by mouth; `route` is a class of routes or empty, `dose` mg a day."""
    route, dose = more.pop("route", "oral"), more.pop("dose", None)
    doses = (Dose(per_day=Decimal(dose), unit="mg"),) if dose is not None else more.pop("doses", ())
    until = _maybe(more.pop("certain_until", None))
    codes = (code_of(name),) if name else ()
    ref = more.pop("ref", re.sub(r"[^a-zA-Z0-9.]+", "-", f"{name}-{start}-{end}"))
    shape = {"strength": Strength.STATED, "text": name, "status": "active", **more}
    return Medication(
        reference=f"MedicationStatement/{ref}",
        codes=codes,
        start=_maybe(start),
        end=_maybe(end),
        certain_until=until,
        routes=route_codes(route),
        doses=doses,
        **shape,
    )


@lru_cache(maxsize=32)
def route_codes(name: str) -> tuple[str, ...]:
    """A code of a class of routes; a text that is none stays as it is."""
    found = [key for key, kind in concepts().routes.items() if kind == name and key.startswith("http://snomed")]
    return (min(found) if found else name,) if name else ()


def event(name: str, on: str | None = "2025-05-28", **more: Any) -> Event:
    ref = more.pop("ref", f"{name}-{on}")
    codes = (code_of(name),) if name else ()
    return Event(reference=f"Procedure/{ref}", codes=codes, time=_maybe(on), **{"status": "completed", **more})


def contact(on: str = "2025-05-28") -> Contact:
    return Contact(reference=f"Encounter/{on}", status="finished", time=when(on))


def answer(item: str, told: bool | int | Decimal, on: str | None = "2025-05-30", **more: Any) -> Answer:
    """What somebody said of a criterion, or of `criterion/item`."""
    expires = _maybe(more.pop("expires", None))
    ref = more.pop("ref", f"{item}-{on}-{told}")
    shape = {"by": "Practitioner/7", **more}
    return Answer(reference=f"QuestionnaireResponse/{ref}", item=item, value=told, on=_maybe(on), expires=expires, **shape)


def person(born: str | None = "1980-01-01", gender: str = "male", **more: Any) -> Person:
    died = _maybe(more.pop("died", None))
    return Person(reference="Patient/p1", born=_maybe(born), born_text=born or "", gender=gender, died=died, **more)


def served(*types: str, note: str = "") -> tuple[Retrieved, ...]:
    """Types that were read to the end; with a note, types that were not."""
    return tuple(Retrieved(name, not note, note) for name in types or TYPES)


def not_final(**more: Any) -> dict[str, Any]:
    return {"counts": Counts.NOT_FINAL, "status": "preliminary", **more}


def differs(row: Row, reason: str) -> Any:
    """A row in which the program differs from the law, and how."""
    return pytest.param(row, marks=pytest.mark.xfail(strict=True, reason=reason), id=row.holds)


EVERYTHING = served()
WOMAN, MAN = person(gender="female"), person(gender="male")


def chart(*facts: Any) -> Record:
    """A record of these facts; a man born in 1980 where no person is among them."""
    flat = [fact for entry in facts for fact in (entry if isinstance(entry, tuple) else (entry,))]
    people = [fact for fact in flat if isinstance(fact, Person)]
    return Record(
        patient="p1",
        person=people[-1] if people else MAN,
        results=_of(Result, flat),
        problems=_of(Problem, flat),
        medications=_of(Medication, flat),
        events=_of(Event, flat),
        contacts=_of(Contact, flat),
        answers=_of(Answer, flat),
        refused=tuple(fact for fact in flat if isinstance(fact, Refused)),
        retrieved=tuple(fact for fact in flat if isinstance(fact, Retrieved)),
    )


def _of(kind: type[Any], facts: Iterable[Any]) -> tuple[Any, ...]:
    found: list[Fact] = [fact for fact in facts if isinstance(fact, kind)]
    return tuple(sorted(found, key=lambda fact: (fact.reference, fact.version)))


def run(as_of: str = AS_OF, events: Mapping[str, str] | None = None, zone: str = "UTC", **more: Any) -> Run:
    """A run on that day; `events` are milestones."""
    dated = {name: when(text, zone) for name, text in (events or {}).items()}
    return Run(as_of=when(as_of, zone), milestones=dated, time_zone=zone, **more)


def assessed(criterion: str, *facts: Any, definitions: str = "", **options: Any) -> Assessment:
    return assess(protocol(criterion, definitions), chart(*facts), run(**options))


def result(criterion: str, *facts: Any, definitions: str = "", **options: Any) -> CriterionResult:
    """The result of criterion `c`."""
    found = assessed(criterion, *facts, definitions=definitions, **options).find("c")
    assert found is not None
    return found


def relma_results(*facts: Any, **options: Any) -> Assessment:
    """The shipped protocol held against these facts."""
    return assess(relma(), chart(*facts), run(**options))


def said(found: CriterionResult | None) -> tuple[str, str]:
    assert found is not None
    return found.verdict.value, found.reason.value


def check(row: Row) -> None:
    """The row's verdict and reason, and what every result keeps."""
    found = result(row.criterion, *row.facts, **row.run)
    assert said(found) == (row.verdict, row.reason)
    keeps_the_law(found)


def keeps_the_law(found: CriterionResult) -> None:
    """What verdicts, section 12, asks of any result, whatever its verdict."""
    for part in found.walk():
        assert (part.settled_by is not None) <= (part.verdict.value == "unknown")
        assert not part.recoverable or part.verdict.value == "not-met"
        assert (part.verdict.value == "not-applicable") == (part.reason.value == "not-applicable")
        if part.verdict.value == "unknown" and not part.criteria:
            assert part.settled_by is not None, "an unknown says what would settle it"
            assert msgspec.to_builtins(part.settled_by), "and does not say it with nothing"
