"""Rows of a chart as the package's facts, written without its readers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fhir_elig.quantity import Number, Quantity, Range
from fhir_elig.record import (
    Answer,
    Coded,
    Contact,
    Counts,
    Dose,
    Event,
    Flag,
    Flaw,
    Medication,
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
from fhir_elig.verdict import Retrieved
from tests.spec.table import code_of, route_codes

UCUM = "http://unitsofmeasure.org"
TYPES = {"condition": "Condition", "procedure": "Procedure", "drug": "MedicationStatement", "answer": "QuestionnaireResponse"}
DRUGS = {"stated": "MedicationStatement", "ordered": "MedicationRequest", "administered": "MedicationAdministration"}
NOT_DONE = ("not-done", "not-taken", "refuted")
NOTHING = ("entered-in-error", "cancelled", "unknown", "draft", "preparation")
UNSURE = ("unconfirmed", "provisional", "differential")
Row = dict[str, Any]


def record_of(case: Row) -> Record:
    """The record that the package's readers should make of this chart."""
    zone, run = case["run"].get("zone", "UTC"), case["run"]
    rows = sorted(case["rows"], key=lambda row: reference(row))
    made = {kind: tuple(make(row, zone) for row in rows if row["kind"] == kind) for kind, make in MAKERS.items()}
    retrieved = tuple(Retrieved(name, True) for name in run.get("complete", ()))
    return Record(
        patient="p1",
        person=_person(case.get("person"), zone),
        results=made["result"],
        problems=made["condition"],
        medications=made["drug"],
        events=made["procedure"],
        contacts=made["encounter"],
        answers=made["answer"],
        refused=made["refused"],
        retrieved=retrieved + tuple(Retrieved(name, False, "partial: a page is missing") for name in run.get("broken", ())),
        time_zone=zone,
    )


def reference(row: Row) -> str:
    kinds = {"result": "Observation", "encounter": "Encounter", "refused": row.get("type", "")} | TYPES
    if row["kind"] == "drug":
        return f"{DRUGS[row.get('strength', 'stated')]}/{row['id']}"
    return f"{kinds[row['kind']]}/{row['id']}"


def _when(text: str | None, zone: str) -> When | None:
    if text == "?":
        return ALWAYS
    return parse_when(text, zone) if text else None


def _span(row: Row, zone: str) -> When | None:
    """The time of a row; with an `until` it is a stretch."""
    start, until = _when(row.get("time"), zone), _when(row.get("until"), zone)
    return start.hull(until) if start and until else start


def _common(row: Row) -> dict[str, Any]:
    flaws = tuple(Flaw(row[name]) for name in ("flaw",) if row.get(name))
    return {"reference": reference(row), "version": "1", "flaws": flaws}


def codes(row: Row) -> tuple[str, ...]:
    if row.get("code"):
        return (row["code"],)
    return (code_of(row["concept"]),) if row.get("concept") else ()


def number(text: str) -> Number:
    return Decimal(text)


def quantity(row: Row, key: str = "value") -> Quantity:
    unit, code = row.get("unit", ""), row.get("code_unit", "")
    return Quantity(number(row[key]), row.get("comparator", ""), unit, code, UCUM if code else "")


def _value(row: Row) -> Value | None:
    if row.get("absent") or row.get("bare"):
        return None
    if "flag" in row:
        return Flag(row["flag"])
    if "coded" in row:
        return Coded(codes=tuple(row["coded"]), text=row.get("text", ""))
    if "text" in row:
        return Coded(text=row["text"])
    if "high" in row:
        return Range(quantity(row), quantity(row, "high"))
    return quantity(row)


def _result(row: Row, zone: str) -> Result:
    status = row.get("status", "final")
    counts = Counts.NO if status in NOTHING else Counts.NOT_FINAL if status in ("preliminary", "registered") else Counts.YES
    issued = _when(row.get("issued"), zone)
    ranges = tuple(
        ReferenceRange(
            high=quantity({"unit": "", **stated}, "high"), kind=stated.get("type", "normal"), sex=stated.get("sex", "")
        )
        for stated in row.get("ranges", ())
    )
    return Result(
        **_common(row),
        status=status,
        counts=counts,
        codes=codes(row),
        value=_value(row),
        time=_span(row, zone) or (issued.until() if issued else None),
        absent=row.get("absent", ""),
        interpretation=tuple(row.get("interpretation", ())),
        ranges=ranges,
        specimen=row.get("specimen", ""),
    )


def _counts(status: str) -> Counts:
    if status in UNSURE:
        return Counts.UNCONFIRMED
    return Counts.NEGATIVE if status in NOT_DONE else Counts.NO if status in NOTHING else Counts.YES


def _problem(row: Row, zone: str) -> Problem:
    verification, abated = row.get("verification", ""), row.get("abated")
    recorded = _when(row.get("recorded"), zone)
    return Problem(
        **_common(row),
        counts=_counts(verification),
        codes=codes(row),
        clinical=row.get("clinical", ""),
        verification=verification,
        onset=_when(row.get("onset"), zone) or (recorded.until() if recorded else None),
        abated=_when(abated, zone),
        recorded=recorded,
        text=row.get("text", ""),
    )


def _drug(row: Row, zone: str) -> Medication:
    start = _span(row, zone) if row.get("time") else _when(row.get("start"), zone)
    end = start if row.get("time") else _when(row.get("end"), zone)
    dose = (Dose(per_day=number(row["dose"]), unit="mg"),) if row.get("dose") else ()
    return Medication(
        **_common(row),
        status=row.get("status", "active"),
        counts=_counts(row.get("status", "active")),
        codes=codes(row),
        strength=Strength(row.get("strength", "stated")),
        start=start,
        end=end,
        certain_until=_when(row.get("asserted"), zone),
        single=bool(row.get("time")),
        routes=route_codes(row["route"]) if row.get("route") else (),
        doses=dose,
        text=row.get("text", ""),
    )


def _event(row: Row, zone: str) -> Event:
    status = row.get("status", "completed")
    return Event(
        **_common(row), status=status, counts=_counts(status), codes=codes(row), time=_span(row, zone), text=row.get("text", "")
    )


def _contact(row: Row, zone: str) -> Contact:
    return Contact(**_common(row), status="finished", time=_span(row, zone))


def answer_of(row: Row, zone: str) -> Answer:
    value = row["value"] if isinstance(row["value"], bool) else number(row["value"])
    return Answer(
        **_common(row), status="completed", item=row["item"], value=value, on=_when(row.get("on"), zone), by="Practitioner/7"
    )


def _refused(row: Row, zone: str) -> Refused:
    return Refused(reference(row), row["type"], "NaN", codes(row) or None)


def _person(data: Row | None, zone: str) -> Person | None:
    if data is None:
        return None
    return Person(
        reference="Patient/p1",
        version="1",
        born=_when(data.get("born"), zone),
        born_text=data.get("born", ""),
        gender=data.get("gender", ""),
        birth_sex=data.get("birth_sex", ""),
        deceased=bool(data.get("died")),
        died=_when(data.get("died"), zone),
        died_text=data.get("died", ""),
    )


def milestone(text: str, zone: str) -> When:
    found = parse_when(text, zone)
    assert found is not None
    return found


MAKERS = {
    "result": _result,
    "condition": _problem,
    "drug": _drug,
    "procedure": _event,
    "encounter": _contact,
    "answer": answer_of,
    "refused": _refused,
}
