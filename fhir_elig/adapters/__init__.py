"""FHIR JSON in, facts out: one reader a resource type, and `read`, which makes a patient's record of a chart.

Readers look only at the elements they need, take the names of R4, R4B and R5 wherever they stand, and never raise for what a
chart says: a resource of an impossible shape is set aside as `Refused`. Every resource that comes in is a fact, set aside,
named in `errors`, or of a type that no criterion reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from fhir_elig.adapters.answers import read_consent, read_response
from fhir_elig.adapters.clinical import read_condition, read_encounter, read_immunization, read_procedure
from fhir_elig.adapters.desk import Desk
from fhir_elig.adapters.drugs import read_medication
from fhir_elig.adapters.medication import read_administration, read_dispense, read_request, read_statement
from fhir_elig.adapters.observation import read_observation, read_report
from fhir_elig.adapters.patient import read_patient
from fhir_elig.adapters.shapes import Context, Drug, Head, Memory, Resource, Settings, Tie
from fhir_elig.record import Fact, Record, Refused
from fhir_elig.verdict import Retrieved

__all__ = ["READERS", "Memory", "Reader", "Settings", "read"]

Reader = Callable[[Resource, Head, Context], Iterable[Fact | Drug | Tie]]

READERS: dict[str, Reader] = {
    "Patient": read_patient,
    "Medication": read_medication,
    "DiagnosticReport": read_report,
    "Observation": read_observation,
    "Condition": read_condition,
    "MedicationRequest": read_request,
    "MedicationStatement": read_statement,
    "MedicationDispense": read_dispense,
    "MedicationAdministration": read_administration,
    "Procedure": read_procedure,
    "Immunization": read_immunization,
    "Encounter": read_encounter,
    "QuestionnaireResponse": read_response,
    "Consent": read_consent,
}


def read(
    resources: Iterable[dict[str, Any]],
    *,
    patient: str,
    settings: Settings | None = None,
    memory: Memory | None = None,
    retrieved: Iterable[Retrieved] = (),
    refused: Iterable[Refused] = (),
    base: str | None = None,
    identity: bool = False,
    errors: Iterable[str] = (),
) -> Record:
    """The record of one patient, from plain FHIR JSON whose numbers are int or Decimal.

    `patient` is an id, or `Patient/id`. `memory`, in the place of `settings`, keeps what was read of elements that several charts
    share as objects (see `Memory`). The order of the resources and copies of them change nothing. Raises nothing for what
    the resources say.
    """
    desk = Desk(READERS, patient.removeprefix("Patient/"), memory or Memory(settings or Settings()), base)
    desk.take(resources)
    desk.read()
    record = desk.record(retrieved, refused, errors)
    return msgspec.structs.replace(record, patient=patient, identity=identity or record.identity)
