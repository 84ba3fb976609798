"""What a server says that it lets a client write: a CapabilityStatement, read for writing.

What is not declared is not offered; a type that a site file vouches for (its research store) is the one exception, and is
written by PUT under our own id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fhir_elig.outputs.fhir_json import FhirVersion
from fhir_elig.sources.planner import read_served
from fhir_elig.sources.servers import recognise


class Offer(msgspec.Struct, frozen=True):
    """What one type offers: interactions, search parameters, whether a PUT may create and a POST may be conditional."""

    create: bool = False
    update: bool = False
    update_create: bool = False
    conditional_create: bool = False
    read: bool = False
    parameters: frozenset[str] = frozenset()

    def searches(self, *names: str) -> bool:
        return self.parameters.issuperset(names)


class Declared(msgspec.Struct, frozen=True):
    """All types of one server. `fhir_version` is None where it is neither R4 (R4B) nor R5; `racy` tells of a server whose
    conditional create lets parallel writers through."""

    fhir_version: FhirVersion | None
    offers: Mapping[str, Offer]
    racy: bool = False

    def offer(self, resource_type: str) -> Offer:
        return self.offers.get(resource_type, Offer())


def read_declared(statement: Mapping[str, Any]) -> Declared:
    """What a CapabilityStatement declares for writing; what cannot be read in it is not declared."""
    served = read_served(statement)
    offers: dict[str, Offer] = {}
    for entry in _resources(statement):
        name = entry.get("type")
        if not isinstance(name, str):
            continue
        listed = entry.get("interaction")
        codes = {one.get("code") for one in listed if isinstance(one, dict)} if isinstance(listed, list) else set()
        offers[name] = Offer(
            create="create" in codes,
            update="update" in codes,
            update_create="update" in codes and entry.get("updateCreate") is True,
            conditional_create="create" in codes and entry.get("conditionalCreate") is True,
            read=name in served.reads,
            parameters=served.searches.get(name, frozenset()),
        )
    vendor = recognise(statement)
    return Declared(_version(served.fhir_version), offers, vendor is not None and vendor.racy)


def _resources(statement: Mapping[str, Any]) -> list[dict[str, Any]]:
    rests = statement.get("rest")
    servers = [one for one in rests if isinstance(one, dict)] if isinstance(rests, list) else []
    listed = [one.get("resource") for one in servers if one.get("mode", "server") == "server"]
    return [entry for group in listed if isinstance(group, list) for entry in group if isinstance(entry, dict)]


def _version(text: str) -> FhirVersion | None:
    """R4B is written as R4: the types that are written here do not differ."""
    return "R4" if text.startswith(("4.0", "4.3")) else "R5" if text.startswith("5.") else None
