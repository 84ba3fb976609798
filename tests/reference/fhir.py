"""Rows of a chart as FHIR JSON, which the package's readers then read."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from tests.reference.facts import UCUM, codes, reference
from tests.spec.table import route_codes

Row = dict[str, Any]
ROOT = "http://terminology.hl7.org/CodeSystem"
QUESTIONNAIRE = "https://example.org/fhir-elig/Questionnaire/drawn-attestations"
BIRTH_SEX = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex"


def resources_of(case: Row) -> list[dict[str, Any]]:
    """The chart as resources of R4."""
    people = [_patient(case["person"])] if case.get("person") else []
    return people + [{**_head(row), **WRITERS[row["kind"]](row)} for row in case["rows"]]


def _head(row: Row) -> dict[str, Any]:
    kind, _, identity = reference(row).partition("/")
    meta: dict[str, Any] = {"versionId": "1"}
    head: dict[str, Any] = {"resourceType": kind, "id": identity, "meta": meta, "subject": {"reference": "Patient/p1"}}
    if row.get("flaw") == "modifier":
        head["modifierExtension"] = [{"url": "http://hospital.example/negated", "valueBoolean": True}]
    if row.get("flaw") == "restricted":
        meta["security"] = [{"system": f"{ROOT}/v3-Confidentiality", "code": "R"}]
    return head


def _codings(sent: Iterable[str]) -> list[dict[str, str]]:
    return [dict(zip(("system", "code"), code.split("|"), strict=True)) for code in sent]


def _concept(row: Row) -> dict[str, Any]:
    return _kept(coding=_codings(codes(row)), text=row.get("text") if row["kind"] != "result" else None)


def _kept(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "", [])}


def _time(row: Row, name: str) -> dict[str, Any]:
    if row.get("until"):
        return {f"{name}Period": {"start": row["time"], "end": row["until"]}}
    return {f"{name}DateTime": row["time"]} if row.get("time") else {}


def _quantity(row: Row, key: str = "value") -> dict[str, Any]:
    code = row.get("code_unit")
    return _kept(
        value=Decimal(row[key]), comparator=row.get("comparator"), unit=row.get("unit"), code=code, system=UCUM if code else None
    )


def _value(row: Row) -> dict[str, Any]:
    if row.get("absent"):
        return {"dataAbsentReason": {"coding": [{"system": f"{ROOT}/data-absent-reason", "code": row["absent"]}]}}
    if row.get("bare"):
        return {}
    if "flag" in row:
        return {"valueBoolean": row["flag"]}
    if "coded" in row:
        return {"valueCodeableConcept": _kept(coding=_codings(row["coded"]), text=row.get("text"))}
    if "text" in row:
        return {"valueString": row["text"]}
    if "high" in row:
        return {"valueRange": {"low": _quantity(row), "high": _quantity(row, "high")}}
    return {"valueQuantity": _quantity(row)}


def _range(stated: Row) -> dict[str, Any]:
    made: dict[str, Any] = {"high": _kept(value=Decimal(stated["high"]), unit=stated.get("unit"))}
    if stated.get("type"):
        made["type"] = {"coding": [{"system": f"{ROOT}/referencerange-meaning", "code": stated["type"]}]}
    if stated.get("sex"):
        made["appliesTo"] = [{"coding": [{"system": "http://hl7.org/fhir/administrative-gender", "code": stated["sex"]}]}]
    return made


def _observation(row: Row) -> dict[str, Any]:
    ranges = [_range(stated) for stated in row.get("ranges", ())]
    specimen = {"reference": row["specimen"]} if row.get("specimen") else None
    own = _kept(
        status=row.get("status", "final"), code=_concept(row), issued=row.get("issued"), referenceRange=ranges, specimen=specimen
    )
    shown = [{"coding": _codings([code])} for code in row.get("interpretation", ())]
    return own | _kept(interpretation=shown) | _value(row) | _time(row, "effective")


def _code(system: str, code: str | None) -> dict[str, Any] | None:
    return {"coding": [{"system": f"{ROOT}/{system}", "code": code}]} if code else None


def _condition(row: Row) -> dict[str, Any]:
    ended = row.get("abated")
    return _kept(
        code=_concept(row),
        clinicalStatus=_code("condition-clinical", row.get("clinical")),
        verificationStatus=_code("condition-ver-status", row.get("verification")),
        onsetDateTime=row.get("onset"),
        recordedDate=row.get("recorded"),
        abatementString="in childhood" if ended == "?" else None,
        abatementDateTime=ended if ended != "?" else None,
    )


def _statement(row: Row) -> dict[str, Any]:
    route = route_codes(row["route"]) if row.get("route") else ()
    dosage: dict[str, Any] = {}
    if route:
        dosage["route"] = {"coding": _codings(route)}
    if row.get("dose"):
        dosage["timing"] = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
        dosage["doseAndRate"] = [{"doseQuantity": {"value": Decimal(row["dose"]), "unit": "mg", "system": UCUM, "code": "mg"}}]
    period = _kept(start=row.get("start"), end=row.get("end"))
    if row.get("strength") == "ordered":
        return _order(row, dosage)
    return _kept(
        status=row.get("status", "active"),
        medicationCodeableConcept=_concept(row),
        effectivePeriod=period or None,
        dateAsserted=row.get("asserted"),
        dosage=[dosage] if dosage else None,
    ) | _time(row, "effective")


def _order(row: Row, dosage: dict[str, Any]) -> dict[str, Any]:
    """An order whose dosage says from when until when."""
    period = _kept(start=row.get("start"), end=row.get("end"))
    repeat = {**dosage.get("timing", {}).get("repeat", {}), "boundsPeriod": period}
    return _kept(
        status=row.get("status", "active"),
        intent="order",
        medicationCodeableConcept=_concept(row),
        authoredOn=row.get("start"),
        dosageInstruction=[{**dosage, "timing": {"repeat": repeat}}],
    )


def _procedure(row: Row) -> dict[str, Any]:
    return _kept(status=row.get("status", "completed"), code=_concept(row)) | _time(row, "performed")


def _encounter(row: Row) -> dict[str, Any]:
    return {"status": "finished", "period": _kept(start=row.get("time"), end=row.get("until") or row.get("time"))}


def _response(row: Row) -> dict[str, Any]:
    value = row["value"]
    told = {"valueBoolean": value} if isinstance(value, bool) else {"valueDecimal": Decimal(value)}
    return _kept(
        status="completed",
        questionnaire=QUESTIONNAIRE,
        authored=row.get("on"),
        author={"reference": "Practitioner/7"},
        item=[{"linkId": row["item"], "answer": [told]}],
    )


def _patient(person: Row) -> dict[str, Any]:
    birth = {"male": "M", "female": "F"}.get(person.get("birth_sex", ""))
    extension = [{"url": BIRTH_SEX, "valueCode": birth}] if birth else None
    return _kept(
        resourceType="Patient",
        id="p1",
        meta={"versionId": "1"},
        birthDate=person.get("born"),
        gender=person.get("gender"),
        deceasedDateTime=person.get("died"),
        extension=extension,
    )


WRITERS = {
    "result": _observation,
    "condition": _condition,
    "drug": _statement,
    "procedure": _procedure,
    "encounter": _encounter,
    "answer": _response,
}
