"""Invented hospital charts, made from a seed: one patient of 250 resources, as a Bundle of FHIR R4.

180 Observations (blood counts, chemistry, coagulation, vital signs, lung function, ...) of which about four in ten have a code
that the first protocol reads; each has several codings, a reference range, and what servers put around it. Then Conditions,
MedicationRequests, Encounters, Procedures and the Patient. Every name, number and date is drawn at random.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

Resource = dict[str, Any]

AS_OF = date(2025, 6, 1)
COUNTS = {"Observation": 180, "Condition": 20, "MedicationRequest": 22, "Encounter": 18, "Procedure": 9, "Patient": 1}

_UCUM = "http://unitsofmeasure.org"
_LOCAL = "http://hospital.example/codes/laboratory"
# name: LOINC code, its name, local code, unit as shown, UCUM unit, low, high, decimals
_TESTS: dict[str, list[tuple[str, str, str, str, str, float, float, int]]] = {
    "laboratory": [
        ("718-7", "Hemoglobin [Mass/volume] in Blood", "HGB", "g/dL", "g/dL", 12.0, 15.5, 1),
        ("777-3", "Platelets [#/volume] in Blood by Automated count", "PLT", "10*3/uL", "10*3/uL", 150, 400, 0),
        ("6690-2", "Leukocytes [#/volume] in Blood by Automated count", "WBC", "10*3/uL", "10*3/uL", 4.0, 10.0, 1),
        ("789-8", "Erythrocytes [#/volume] in Blood by Automated count", "RBC", "10*6/uL", "10*6/uL", 3.8, 5.2, 2),
        ("4544-3", "Hematocrit [Volume Fraction] of Blood by Automated count", "HCT", "%", "%", 36, 46, 1),
        ("787-2", "MCV [Entitic volume] by Automated count", "MCV", "fL", "fL", 80, 100, 1),
        ("785-6", "MCH [Entitic mass] by Automated count", "MCH", "pg", "pg", 27, 33, 1),
        ("786-4", "MCHC [Mass/volume] by Automated count", "MCHC", "g/dL", "g/dL", 32, 36, 1),
        ("788-0", "Erythrocyte distribution width [Ratio] by Automated count", "RDW", "%", "%", 11, 15, 1),
        ("751-8", "Neutrophils [#/volume] in Blood by Automated count", "NEUT", "10*3/uL", "10*3/uL", 1.8, 7.5, 2),
        ("731-0", "Lymphocytes [#/volume] in Blood by Automated count", "LYMPH", "10*3/uL", "10*3/uL", 1.0, 4.0, 2),
        ("742-7", "Monocytes [#/volume] in Blood by Automated count", "MONO", "10*3/uL", "10*3/uL", 0.2, 0.8, 2),
        ("711-2", "Eosinophils [#/volume] in Blood by Automated count", "EOS", "10*3/uL", "10*3/uL", 0.0, 0.5, 2),
        ("704-7", "Basophils [#/volume] in Blood by Automated count", "BASO", "10*3/uL", "10*3/uL", 0.0, 0.1, 2),
        ("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "CREA", "mg/dL", "mg/dL", 0.5, 1.1, 2),
        ("1742-6", "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "ALT", "U/L", "U/L", 7, 41, 0),
        ("1920-8", "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "AST", "U/L", "U/L", 8, 40, 0),
        ("1975-2", "Bilirubin.total [Mass/volume] in Serum or Plasma", "TBIL", "mg/dL", "mg/dL", 0.2, 1.2, 2),
        ("2951-2", "Sodium [Moles/volume] in Serum or Plasma", "NA", "mmol/L", "mmol/L", 135, 145, 0),
        ("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "K", "mmol/L", "mmol/L", 3.5, 5.1, 1),
        ("2075-0", "Chloride [Moles/volume] in Serum or Plasma", "CL", "mmol/L", "mmol/L", 98, 107, 0),
        ("2028-9", "Carbon dioxide, total [Moles/volume] in Serum or Plasma", "CO2", "mmol/L", "mmol/L", 22, 29, 0),
        ("3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma", "BUN", "mg/dL", "mg/dL", 7, 20, 0),
        ("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "GLU", "mg/dL", "mg/dL", 70, 99, 0),
        ("17861-6", "Calcium [Mass/volume] in Serum or Plasma", "CA", "mg/dL", "mg/dL", 8.6, 10.2, 1),
        ("1751-7", "Albumin [Mass/volume] in Serum or Plasma", "ALB", "g/dL", "g/dL", 3.5, 5.2, 1),
        ("2885-2", "Protein [Mass/volume] in Serum or Plasma", "TP", "g/dL", "g/dL", 6.4, 8.3, 1),
        ("6768-6", "Alkaline phosphatase [Enzymatic activity/volume] in Serum or Plasma", "ALP", "U/L", "U/L", 40, 129, 0),
        ("6301-6", "INR in Platelet poor plasma by Coagulation assay", "INR", "{INR}", "{INR}", 0.9, 1.2, 2),
        ("5902-2", "Prothrombin time (PT)", "PT", "s", "s", 9.8, 12.5, 1),
        ("3173-2", "aPTT in Blood by Coagulation assay", "APTT", "s", "s", 25, 37, 1),
        ("1988-5", "C reactive protein [Mass/volume] in Serum or Plasma", "CRP", "mg/L", "mg/L", 0.0, 5.0, 1),
    ],
    "vital-signs": [
        ("29463-7", "Body weight", "WT", "kg", "kg", 50, 95, 1),
        ("8302-2", "Body height", "HT", "cm", "cm", 155, 185, 0),
        ("8867-4", "Heart rate", "HR", "beats/min", "/min", 60, 100, 0),
        ("8310-5", "Body temperature", "TEMP", "degrees C", "Cel", 36.0, 37.5, 1),
        ("9279-1", "Respiratory rate", "RR", "breaths/min", "/min", 12, 20, 0),
        ("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry", "SPO2", "%", "%", 94, 100, 0),
        ("85354-9", "Blood pressure panel with all children optional", "BP", "mm[Hg]", "mm[Hg]", 90, 140, 0),
    ],
    "procedure": [
        ("19868-9", "Forced vital capacity [Volume] Respiratory system by Spirometry", "FVC", "L", "L", 2.5, 5.0, 2),
        ("19911-7", "Diffusion capacity.carbon monoxide", "DLCO", "mL/min/mmHg", "mL/min/mm[Hg]", 15, 30, 1),
        ("20150-9", "FEV1", "FEV1", "L", "L", 2.0, 4.0, 2),
        ("10230-1", "Left ventricular Ejection fraction", "LVEF", "%", "%", 55, 70, 0),
    ],
}
_ROWS = [(category, row) for category, rows in _TESTS.items() for row in rows]
_PROBLEMS = [
    ("128460000", "Systemic sclerosis, diffuse", "M34.0", "Progressive systemic sclerosis"),
    ("38341003", "Hypertensive disorder", "I10", "Essential (primary) hypertension"),
    ("235595009", "Gastroesophageal reflux disease", "K21.9", "Gastro-esophageal reflux disease without esophagitis"),
    ("266261006", "Secondary Raynaud's phenomenon", "I73.00", "Raynaud's syndrome without gangrene"),
    ("40930008", "Hypothyroidism", "E03.9", "Hypothyroidism, unspecified"),
    ("195967001", "Asthma", "J45.909", "Unspecified asthma, uncomplicated"),
    ("44054006", "Diabetes mellitus type 2", "E11.9", "Type 2 diabetes mellitus without complications"),
    ("55822004", "Hyperlipidemia", "E78.5", "Hyperlipidemia, unspecified"),
]
_DRUGS = [
    ("6851", "methotrexate", "L04AX03", 15, "mg", 7, "d"),
    ("8640", "prednisone", "H02AB07", 10, "mg", 1, "d"),
    ("68149", "mycophenolate mofetil", "L04AA06", 1000, "mg", 12, "h"),
    ("7646", "omeprazole", "A02BC01", 20, "mg", 1, "d"),
    ("17767", "amlodipine", "C08CA01", 5, "mg", 1, "d"),
    ("10582", "levothyroxine", "H03AA01", 0.075, "mg", 1, "d"),
    ("83367", "atorvastatin", "C10AA05", 20, "mg", 1, "d"),
]
_PROCEDURES = [
    ("40701008", "Echocardiography", "93306"),
    ("127783003", "Spirometry", "94010"),
    ("252472004", "Diffusing capacity measurement", "94729"),
    ("71388002", "Procedure", "99999"),
    ("168537006", "Plain radiography", "71046"),
]


def chart(seed: int, counts: Mapping[str, int] = COUNTS) -> list[Resource]:
    """The resources of one invented patient, the Patient last; `seed` decides everything but how many of each type."""
    draw = random.Random(seed)  # noqa: S311  not for secrets
    makers = {
        "Observation": _observation, "Condition": _condition, "MedicationRequest": _request, "Encounter": _encounter,
        "Procedure": _procedure, "Patient": _patient,
    }  # fmt: skip
    return [makers[kind](draw, _id(seed, kind, number), f"p{seed}") for kind, count in counts.items() for number in range(count)]


def bundle(seed: int, indent: int | None = None, sparse: bool = False) -> bytes:
    """The same chart as the bytes of a Bundle, compact as servers send it, or indented; `sparse` without what nobody needs."""
    entries = [
        {"fullUrl": f"https://ehr.example/fhir/{one['resourceType']}/{one['id']}", "resource": one, "search": {"mode": "match"}}
        for one in (without_extras(chart(seed)) if sparse else chart(seed))
    ]
    whole = {"resourceType": "Bundle", "id": f"b{seed}", "type": "searchset", "total": len(entries), "entry": entries}
    return json.dumps(whole, indent=indent, separators=None if indent else (",", ":"), ensure_ascii=False).encode()


# What a server adds beside the least that a profile asks for.
_EXTRAS = frozenset("display identifier encounter performer lastUpdated requester serviceProvider address".split())


def without_extras(node: Any) -> Any:
    if isinstance(node, list):
        return [without_extras(one) for one in node]
    return (
        {name: without_extras(value) for name, value in node.items() if name not in _EXTRAS} if isinstance(node, dict) else node
    )


def _id(seed: int, kind: str, number: int) -> str:
    return f"p{seed}" if kind == "Patient" else f"{kind[:3].lower()}-{seed}-{number}"


def _day(draw: random.Random, most: int = 420) -> date:
    return AS_OF - timedelta(days=draw.randint(0, most))


def _instant(draw: random.Random, day: date) -> str:
    return f"{day.isoformat()}T{draw.randint(6, 19):02}:{draw.randint(0, 59):02}:{draw.randint(0, 59):02}+02:00"


def _concept(*codings: tuple[str, str, str], text: str = "") -> Resource:
    concept: Resource = {"coding": [{"system": system, "code": code, "display": shown} for system, code, shown in codings]}
    return {**concept, "text": text} if text else concept


def _resource(kind: str, identity: str, patient: str, draw: random.Random) -> Resource:
    head: Resource = {
        "resourceType": kind,
        "id": identity,
        "meta": {"versionId": str(draw.randint(1, 4)), "lastUpdated": f"{_day(draw, 30)}T04:00:00.000Z"},
    }
    return head if kind == "Patient" else {**head, "subject": {"reference": f"Patient/{patient}", "display": "Doe, Example"}}


def _amount(value: float, decimals: int, shown: str, unit: str) -> Resource:
    number = round(value, decimals) if decimals else round(value)
    return {"value": number, "unit": shown, "system": _UCUM, "code": unit}


def _observation(draw: random.Random, identity: str, patient: str) -> Resource:
    category, (loinc, name, local, shown, unit, low, high, decimals) = draw.choice(_ROWS)
    day = _day(draw)
    width = high - low
    value = max(0.0, draw.uniform(low - width * 0.3, high + width * 0.3))
    taken = _instant(draw, day)
    flag = ("L", "Low") if value < low else ("H", "High") if value > high else ("N", "Normal")
    observation: Resource = {
        **_resource("Observation", identity, patient, draw),
        "identifier": [{"system": "http://hospital.example/orders", "value": f"{draw.randint(10**9, 10**10)}-{local}"}],
        "status": draw.choices(("final", "corrected", "preliminary"), (95, 4, 1))[0],
        "category": [_concept(("http://terminology.hl7.org/CodeSystem/observation-category", category, category.title()))],
        "code": _concept(("http://loinc.org", loinc, name), (_LOCAL, local, name), text=name),
        "encounter": {"reference": f"Encounter/enc-{draw.randint(1, 18)}"},
        "effectiveDateTime": taken,
        "issued": taken.replace("+02:00", ".000+02:00"),
        "performer": [{"reference": "Organization/lab", "display": "Central laboratory"}],
    }
    if loinc == "85354-9":
        parts = (("8480-6", "Systolic blood pressure", 120), ("8462-4", "Diastolic blood pressure", 78))
        observation["component"] = [
            {
                "code": _concept(("http://loinc.org", code, title)),
                "valueQuantity": _amount(middle + draw.randint(-20, 20), 0, shown, unit),
            }
            for code, title, middle in parts
        ]
        return observation
    return {
        **observation,
        "valueQuantity": _amount(value, decimals, shown, unit),
        "interpretation": [_concept(("http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", *flag))],
        "referenceRange": [
            {
                "low": _amount(low, decimals, shown, unit),
                "high": _amount(high, decimals, shown, unit),
                "type": _concept(("http://terminology.hl7.org/CodeSystem/referencerange-meaning", "normal", "Normal Range")),
                "text": f"{low}-{high} {shown}",
            }
        ],
    }


def _condition(draw: random.Random, identity: str, patient: str) -> Resource:
    snomed, shown, icd, title = draw.choice(_PROBLEMS)
    begun = _day(draw, 3000)
    return {
        **_resource("Condition", identity, patient, draw),
        "clinicalStatus": _concept(("http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "Active")),
        "verificationStatus": _concept(("http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed", "Confirmed")),
        "category": [_concept(("http://terminology.hl7.org/CodeSystem/condition-category", "problem-list-item", "Problem"))],
        "code": _concept(
            ("http://snomed.info/sct", snomed, shown), ("http://hl7.org/fhir/sid/icd-10-cm", icd, title), text=shown
        ),
        "onsetDateTime": begun.isoformat(),
        "recordedDate": (begun + timedelta(days=3)).isoformat(),
    }


def _request(draw: random.Random, identity: str, patient: str) -> Resource:
    rxnorm, name, atc, dose, unit, period, period_unit = draw.choice(_DRUGS)
    begun = _day(draw, 700)
    text = f"{name} {dose} {unit} every {period} {period_unit}"
    return {
        **_resource("MedicationRequest", identity, patient, draw),
        "status": draw.choice(("active", "completed", "stopped")),
        "intent": "order",
        "medicationCodeableConcept": _concept(
            ("http://www.nlm.nih.gov/research/umls/rxnorm", rxnorm, name), ("http://www.whocc.no/atc", atc, name), text=text
        ),
        "authoredOn": _instant(draw, begun),
        "requester": {"reference": "Practitioner/7", "display": "Dr. Example"},
        "dosageInstruction": [
            {
                "text": text,
                "timing": {"repeat": {"frequency": 1, "period": period, "periodUnit": period_unit}},
                "route": _concept(("http://snomed.info/sct", "26643006", "Oral route")),
                "doseAndRate": [{"doseQuantity": _amount(dose, 3 if dose < 1 else 0, unit, unit)}],
            }
        ],
        "dispenseRequest": {
            "validityPeriod": {"start": begun.isoformat(), "end": (begun + timedelta(days=90)).isoformat()},
            "numberOfRepeatsAllowed": 3,
        },
    }


def _encounter(draw: random.Random, identity: str, patient: str) -> Resource:
    day = _day(draw, 700)
    return {
        **_resource("Encounter", identity, patient, draw),
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB", "display": "ambulatory"},
        "type": [_concept(("http://snomed.info/sct", "185349003", "Encounter for check up"))],
        "period": {"start": f"{day}T08:00:00+02:00", "end": f"{day}T09:30:00+02:00"},
        "serviceProvider": {"reference": "Organization/rheumatology", "display": "Rheumatology"},
    }


def _procedure(draw: random.Random, identity: str, patient: str) -> Resource:
    snomed, shown, local = draw.choice(_PROCEDURES)
    day = _day(draw, 700)
    return {
        **_resource("Procedure", identity, patient, draw),
        "status": "completed",
        "code": _concept(("http://snomed.info/sct", snomed, shown), ("http://hospital.example/codes/procedures", local, shown)),
        "performedPeriod": {"start": f"{day}T10:00:00+02:00", "end": f"{day}T10:40:00+02:00"},
    }


def _patient(draw: random.Random, identity: str, patient: str) -> Resource:
    return {
        **_resource("Patient", identity, patient, draw),
        "identifier": [{"system": "http://hospital.example/patients", "value": str(draw.randint(10**7, 10**8))}],
        "name": [{"use": "official", "family": "Doe", "given": ["Example", "Q."]}],
        "gender": draw.choice(("female", "male")),
        "birthDate": (AS_OF - timedelta(days=draw.randint(19 * 366, 64 * 365))).isoformat(),
        "address": [{"city": "Exampletown", "country": "XX", "postalCode": "00000"}],
    }
