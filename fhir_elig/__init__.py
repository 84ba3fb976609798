"""fhir_elig: holds a patient's FHIR chart against a clinical trial's eligibility criteria.

    from pathlib import Path
    import fhir_elig

    concepts = fhir_elig.load_concepts(fhir_elig.mapping_root())
    protocol = fhir_elig.load_protocol(Path("my-trial.yaml"), concepts)
    record = fhir_elig.read_record(resources, patient="p1")          # FHIR JSON dicts; numbers as int or Decimal
    assessment = fhir_elig.assess(protocol, record, fhir_elig.Run(as_of=fhir_elig.parse_when("2025-06-01")))

Names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fhir_elig._version import __version__
    from fhir_elig.adapters import Settings, read as read_record
    from fhir_elig.assessment import assess
    from fhir_elig.concepts import Concepts, load_concepts
    from fhir_elig.criteria.context import Run
    from fhir_elig.errors import AuthoringError, DataError, FhirEligError, SourceError, UsageError
    from fhir_elig.places import mapping_root
    from fhir_elig.protocol import Protocol, load_protocol, protocol_schema
    from fhir_elig.record import Record
    from fhir_elig.site import load_answers, load_site
    from fhir_elig.times import When, parse_when
    from fhir_elig.verdict import Assessment, CriterionResult, Evidence, Reason, Status, Verdict

_HOMES = {
    "__version__": "_version",
    "Settings": "adapters",
    "assess": "assessment",
    "Concepts": "concepts",
    "load_concepts": "concepts",
    "Run": "criteria.context",
    "AuthoringError": "errors",
    "DataError": "errors",
    "FhirEligError": "errors",
    "SourceError": "errors",
    "UsageError": "errors",
    "mapping_root": "places",
    "Protocol": "protocol",
    "load_protocol": "protocol",
    "protocol_schema": "protocol",
    "Record": "record",
    "load_answers": "site",
    "load_site": "site",
    "When": "times",
    "parse_when": "times",
    "Assessment": "verdict",
    "CriterionResult": "verdict",
    "Evidence": "verdict",
    "Reason": "verdict",
    "Status": "verdict",
    "Verdict": "verdict",
}

__all__ = [
    "Assessment",
    "AuthoringError",
    "Concepts",
    "CriterionResult",
    "DataError",
    "Evidence",
    "FhirEligError",
    "Protocol",
    "Reason",
    "Record",
    "Run",
    "Settings",
    "SourceError",
    "Status",
    "UsageError",
    "Verdict",
    "When",
    "__version__",
    "assess",
    "load_answers",
    "load_concepts",
    "load_protocol",
    "load_site",
    "mapping_root",
    "parse_when",
    "protocol_schema",
    "read_record",
]


def __getattr__(name: str) -> object:
    if name == "read_record":
        return import_module("fhir_elig.adapters").read
    if name in _HOMES:
        return getattr(import_module(f"fhir_elig.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'fhir_elig' has no attribute {name!r}")
