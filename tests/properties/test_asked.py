"""What a protocol asks a source for is all that it looks at: nothing else in a chart changes anything but who was seen when.

A server is asked for what `Protocol.needs` names, and for no more. So each criterion of the specification is held against its
charts once with everything else beside them, one record of each concept, and once with nothing of that but contacts.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec
import pytest

from fhir_elig.assessment import assess
from fhir_elig.protocol import Protocol
from fhir_elig.record import Answer, Contact, Event, Fact, Medication, Need, Problem, Record, Result
from fhir_elig.verdict import Assessment
from tests.spec.pages import modules, tables
from tests.spec.table import LOCAL, Row, chart, concepts, drug, event, lab, problem, protocol, relma, run, when

SEEN = when("2025-05-29")


@lru_cache(maxsize=1)
def beside() -> tuple[tuple[str, Fact], ...]:
    """One record of each kind for each concept, all of one day, with the resource type that it is read from."""
    known = concepts()
    found: list[tuple[str, Fact]] = []
    for number, (name, concept) in enumerate(sorted(known.by_name.items())):
        codes = sorted(concept.codes - concept.ranged) or sorted(concept.codes) or [LOCAL + name]
        code = codes[0] if "|" in codes[0] else LOCAL + name
        analyte = known.analytes.get(concept.analyte)
        unit = f" {analyte.canonical}" if analyte is not None and not analyte.unitless else ""
        shown = {"ref": f"beside-{number}"}
        found += [
            ("Observation", lab(code, f"62{unit}", "2025-05-29", **shown)),
            ("Condition", problem(code, "2025-05-29", **shown)),
            ("Procedure", event(code, "2025-05-29", **shown)),
            ("MedicationStatement", drug(code, "2025-05-29", "2025-05-30", dose="91", **shown)),
        ]
    return tuple(found)


def not_asked_for(asked: dict[str, Need]) -> Iterator[Fact]:
    """The records that no criterion asks for."""
    known = concepts()
    for resource_type, fact in beside():
        need = asked.get(resource_type)
        if need is None:
            yield fact
        elif need.codes is not None and isinstance(fact, Result):
            deciding, doubtful, _ = known.filed(fact.codes)
            if not need.concepts & {*deciding, *doubtful}:
                yield fact


def as_contact(fact: Fact) -> Contact:
    return Contact(reference=fact.reference, version=fact.version, status=fact.status, counts=fact.counts, time=SEEN)


def with_more(record: Record, more: list[Fact]) -> Record:
    def of(kind: type[Any]) -> tuple[Any, ...]:
        return tuple(fact for fact in more if isinstance(fact, kind))

    return msgspec.structs.replace(
        record,
        results=record.results + of(Result),
        problems=record.problems + of(Problem),
        medications=record.medications + of(Medication),
        events=record.events + of(Event),
        contacts=record.contacts + of(Contact),
    )


def held(row: Row) -> tuple[Protocol, Assessment, Assessment]:
    """The protocol of a case; what comes of it with contacts beside its chart, and with all that nobody asks for."""
    bound = relma() if ":" not in row.criterion else protocol(row.criterion)
    record, day = chart(*row.facts), run(**row.run)
    more = list(not_asked_for({need.type: need for need in bound.needs()}))
    seen = assess(bound, with_more(record, list(map(as_contact, more))), day)
    return bound, seen, assess(bound, with_more(record, more), day)


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__.rpartition("test_")[2])
def test_what_nobody_asks_for_changes_nothing(module: Any) -> None:
    for rows in tables(module).values():
        for row in rows:
            _, seen, whole = held(row)
            assert msgspec.to_builtins(whole) == msgspec.to_builtins(seen), row.holds


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__.rpartition("test_")[2])
def test_an_answer_that_is_used_was_asked_for(module: Any) -> None:
    for rows in tables(module).values():
        for row in rows:
            bound = relma() if ":" not in row.criterion else protocol(row.criterion)
            record, day = chart(*row.facts), run(**row.run)
            if record.answers and not {need.type for need in bound.needs()} & {"QuestionnaireResponse", "Consent"}:
                without = msgspec.structs.replace(record, answers=())
                assert assess(bound, record, day) == assess(bound, without, day), row.holds


def test_everything_is_beside_a_chart_that_nobody_asks_for() -> None:
    kinds = [type(fact) for fact in not_asked_for({})]
    assert all(kinds.count(kind) > 50 for kind in (Result, Problem, Event, Medication))
    assert Answer not in kinds
