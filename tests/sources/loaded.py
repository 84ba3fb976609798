"""Invented patients as a real server is loaded with them, what a protocol needs of them, and what then has to come back."""

from __future__ import annotations

from typing import Any

from fhir_elig.record import Need

LOINC = "http://loinc.org"
CODES = ["718-7", "777-3", "1742-6", "1920-8", "2160-0"]
NEEDS = [
    Need("Observation", frozenset(f"{LOINC}|{code}" for code in CODES)),
    *(Need(kind) for kind in ("Condition", "Procedure", "Encounter", "Consent", "QuestionnaireResponse", "ResearchSubject")),
    *(Need(f"Medication{kind}") for kind in ("Request", "Statement", "Dispense", "Administration")),
]
CONCEPT = {"coding": [{"system": "http://snomed.info/sct", "code": "128302006"}]}


def resource(kind: str, name: str, patient: str, **more: Any) -> dict[str, Any]:
    whose = "patient" if kind == "Consent" else "subject"
    return {"resourceType": kind, "id": name, whose: {"reference": f"Patient/{patient}"}, **more}


def chart_of(patient: str) -> list[dict[str, Any]]:
    """One invented patient: 67 resources, of which 65 are needed."""
    drug = {"medicationReference": {"reference": f"Medication/{patient}-drug"}}
    rows: list[dict[str, Any]] = [{"resourceType": "Patient", "id": patient, "birthDate": "1980-01-02", "gender": "female"}]
    for number in range(42):
        code = [*CODES, "8480-6"][number % 6] if number < 12 else CODES[number % 5]
        more: dict[str, Any] = {} if number == 7 else {"effectiveDateTime": f"2025-{number % 12 + 1:02}-15"}
        value = {"value": 10.5 + number, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"}
        coding = {"coding": [{"system": LOINC, "code": code}]}
        rows.append(
            resource("Observation", f"{patient}-o{number}", patient, status="final", code=coding, valueQuantity=value, **more)
        )
    for number in range(6):
        tail = f"{patient}-{number}"
        rows += [
            resource("Condition", f"c-{tail}", patient, code=CONCEPT),
            resource("Procedure", f"p-{tail}", patient, status="completed", code=CONCEPT, performedDateTime="2025-03-01"),
            resource(
                "Encounter", f"e-{tail}", patient, status="finished", **{"class": {"code": "AMB"}}, period={"start": "2025-03-01"}
            ),
        ]
    rows += [
        resource("MedicationRequest", f"mr-{patient}", patient, status="active", intent="order", **drug),
        resource("MedicationStatement", f"ms-{patient}", patient, status="active", **drug),
        resource("MedicationDispense", f"md-{patient}", patient, status="completed", **drug),
        resource(
            "MedicationAdministration", f"ma-{patient}", patient, status="completed", effectiveDateTime="2025-03-01", **drug
        ),
        resource("Consent", f"co-{patient}", patient, status="active", scope=CONCEPT, category=[CONCEPT]),
        {"resourceType": "Medication", "id": f"{patient}-drug", "code": {"text": "invented"}},
    ]
    return rows


def names_of(resources: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((one["resourceType"], one["id"]) for one in resources)


def needed(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in resources if one["resourceType"] != "Observation" or one["code"]["coding"][0]["code"] in CODES]
