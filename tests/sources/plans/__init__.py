"""What the first protocol asks of four vendors' servers, as text: `python -m tests.sources.plans` writes the pages anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fhir_elig import places
from fhir_elig.concepts import load_concepts
from fhir_elig.protocol import load_protocol
from fhir_elig.record import Need, merge_needs
from fhir_elig.sources.planner import Served, Step, ladder, read_served
from fhir_elig.sources.replies import Limits

FOLDER = Path(__file__).parent
VENDORS = ("athenahealth", "epic", "oracle", "medplum")


def metadata(vendor: str) -> dict[str, Any]:
    """The CapabilityStatement with the vendor's facts."""
    path = places.fixtures_root() / "servers" / vendor / "metadata.json"
    statement: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return statement


def needs() -> list[Need]:
    concepts = load_concepts(places.mapping_root())
    found = load_protocol(places.mapping_root() / "protocols" / "relma-cel-ssc.yaml", concepts).needs()
    return [need for need in merge_needs(found) if need.type not in ("Patient", "Medication")]


def plan(vendor: str) -> str:
    """Every need with its ladder, a line a search; lists of codes by their number and length."""
    served = read_served(metadata(vendor))
    return "\n".join(line for need in needs() for line in lines(need, served)) + "\n"


def lines(need: Need, served: Served) -> Iterator[str]:
    yield f"{need.type} ({len(need.codes or ())} codes)"
    if not served.serves(need.type):
        yield "  not served: not asked"
        return
    for number, step in enumerate(ladder(need, "p1", served, Limits(), count=200, look_back=False), 1):
        for index, search in enumerate(step.searches):
            yield f"  {number if index == 0 else ' '} {shown(step, need.type, search)}"
        if step.note:
            yield f"    ({step.note})"


def shown(step: Step, kind: str, search: tuple[tuple[str, str], ...]) -> str:
    said = " ".join(f"{name}={brief(value)}" for name, value in search)
    return f"{'POST' if step.post else 'GET '} {kind} {said}"


def brief(value: str) -> str:
    return value if len(value) < 60 else f"<{value.count(',') + 1} codes>"
