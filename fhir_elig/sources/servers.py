"""What is known of single servers: the one table of vendors' quirks, each with the date on which it was seen and its source.

A server is recognised by CapabilityStatement.software.name, or by its publisher where it names no software. What is asked
follows from what the server declares; a quirk with `asks` changes the form of a question, and never makes it narrower.
`doctor` shows the notes of the server that it looks at. What a vendor answers is replayed from fixtures/servers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec


class Asks(msgspec.Struct, frozen=True):
    """How a type (none named: every type) has to be asked for.

    `alone`: whether a search by the patient alone is answered. `also`: parameters of a further question, where they are declared,
    for what the plain one leaves out: without it the type is not complete. `timed`: days of a search get a time of day. `typed`:
    the patient is named `Patient/ID`.
    """

    type: str = ""
    alone: bool = True
    also: tuple[tuple[str, str], ...] = ()
    timed: bool = False
    typed: bool = False


class Quirk(msgspec.Struct, frozen=True):
    """One thing that a server does. `seen` is the day of its source: a release, an issue, a reading, a measurement."""

    what: str
    seen: str
    source: str
    asks: Asks | None = None


class Vendor(msgspec.Struct, frozen=True):
    """A server by its maker: a pattern for the name that it gives itself, and what is known of it.

    `racy` tells that its conditional create lets parallel writers through: a PUT under our own id is taken where it is declared.
    """

    name: str
    pattern: str
    quirks: tuple[Quirk, ...]
    racy: bool = False

    def asks(self, resource_type: str) -> Asks:
        """All that the quirks say of asking for a type, in one."""
        said = [quirk.asks for quirk in self.quirks if quirk.asks and quirk.asks.type in ("", resource_type)]
        return Asks(
            resource_type,
            alone=all(one.alone for one in said),
            also=tuple(pair for one in said for pair in one.also),
            timed=any(one.timed for one in said),
            typed=any(one.typed for one in said),
        )


_EPIC = ("2026-07-24", "CapabilityStatement of the May 2026 release, api-evangelist/epic-systems")
_STATUSES = ("clinical-status", "active,inactive,resolved")
_EPIC_CONDITION = ("2026-11-23", "Condition.Search, docs.nerve.run/functions/condition-search (undated, seen then)")
_ORACLE = ("2026-08-14", "CapabilityStatement and documentation, api-evangelist/cerner and cerner/fhir.cerner.com")
_ATHENA = ("2022-06-06", "ah-r4-base 2.0.0, api-evangelist/athenahealth")
_MEDPLUM = ("2026-03-21", "measured: @medplum/fhir-router 4.5.2, in-memory repository")
_BLAZE = ("2026-11-23", "documentation, samply/blaze")
_SEKMET = ("2026-11-23", "measured: sekmet-fhir 0.1.1")

VENDORS: tuple[Vendor, ...] = (
    Vendor(
        "Epic",
        r"\bepic\b",
        (
            Quirk("MedicationStatement is not declared; MedicationRequest, Dispense and Administration are", *_EPIC),
            Quirk(
                "an Observation search with neither category nor code is refused (59108)",
                *_EPIC,
                Asks("Observation", alone=False),
            ),
            Quirk(
                "a Condition search that names no status may show active ones only: the others are asked for by name",
                *_EPIC_CONDITION,
                Asks("Condition", also=(_STATUSES,)),
            ),
            Quirk("some searches are cut at 100 results (59133, 4127): the answer then counts as incomplete", *_EPIC),
            Quirk("POST _search takes its parameters from the body; the query string beside it is ignored", *_EPIC),
            Quirk("sends no 429 and no Retry-After: keep the load low by the site file's limits", *_EPIC),
            Quirk("4130, 4131 and 4134 are a policy's no (break the glass): they are not asked again", *_EPIC),
            Quirk("ResearchSubject and ResearchStudy can be read and searched, not written; no conditional create", *_EPIC),
        ),
    ),
    Vendor(
        "Oracle Health",
        r"\bcerner\b|\boracle\b",
        (
            Quirk("MedicationStatement, Medication and ResearchSubject are not declared; drugs are coded inline", *_ORACLE),
            Quirk("of the types read here only Observation is searched by code, and never by codes of components", *_ORACLE),
            Quirk("pages hold up to 200 entries and may repeat a resource", *_ORACLE),
            Quirk(
                "_lastUpdated and date cannot be searched together; some date parameters need a time of day",
                *_ORACLE,
                Asks(timed=True),
            ),
            Quirk("a stale version is answered with 409, not 412", *_ORACLE),
        ),
    ),
    Vendor(
        "athenahealth",
        r"\bathena",
        (
            Quirk("MedicationStatement, MedicationAdministration, ResearchStudy and ResearchSubject are not declared", *_ATHENA),
            Quirk("Condition can be searched by code, Procedure cannot; pages are followed by a cursor", *_ATHENA),
            Quirk(
                "numeric results may be defined without a unit: a site file can state the unit of a code",
                "2022-01-06",
                "athenahealth/apiserver-athenaFlex #224",
            ),
        ),
    ),
    Vendor(
        "HAPI",
        r"\bhapi\b",
        (
            Quirk("conditional create is racy: parallel writers made up to 8 copies", "2021-11-04", "hapifhir/hapi-fhir #3141"),
            Quirk("ifNoneExist with a reference and no leading ? failed (HAPI-0929)", "2024-01-31", "hapifhir/hapi-fhir #5651"),
        ),
        racy=True,
    ),
    Vendor(
        "Blaze",
        r"\bblaze\b",
        (
            Quirk("If-None-Match: * on PUT is honoured (412 if there); a conditional update by search is not offered", *_BLAZE),
            Quirk("referential integrity is checked: a reference to nothing is answered with 409", *_BLAZE),
        ),
    ),
    Vendor(
        "Medplum",
        r"\bmedplum\b",
        (
            Quirk("a transaction is not atomic: a stale ifMatch gives 200 with the entry's status 412", *_MEDPLUM),
            Quirk("a list of codes with a bare patient id found nothing: Patient/ID is understood", *_MEDPLUM, Asks(typed=True)),
        ),
    ),
    Vendor(
        "sekmet",
        r"\bsekmet\b",
        (
            Quirk("an unknown search parameter is ignored: 200, with an OperationOutcome entry", *_SEKMET),
            Quirk("QuestionnaireResponse and ResearchSubject are not declared, yet can be read and written", *_SEKMET),
            Quirk("If-None-Match: * on PUT is ignored (it overwrites, 200); a stale If-Match is answered with 412", *_SEKMET),
        ),
    ),
)  # fmt: skip


def recognise(statement: Mapping[str, Any]) -> Vendor | None:
    """The vendor of a CapabilityStatement, or None: nothing is known of it."""
    named = software(statement) or _text(statement.get("publisher"))
    return next((vendor for vendor in VENDORS if re.search(vendor.pattern, named, re.IGNORECASE)), None)


def software(statement: Mapping[str, Any]) -> str:
    """Name and version of the software as the server gives them, cut to what can stand on a line; empty if it does not."""
    said = statement.get("software")
    parts = (_text(said.get("name")), _text(said.get("version"))) if isinstance(said, dict) else ()
    return " ".join(part for part in parts if part)


def _text(value: Any) -> str:
    return "".join(character for character in value if character.isprintable())[:60] if isinstance(value, str) else ""
