"""What is true of one hospital (the site file), and what people said there (the answers file)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path as FilePath
from typing import Any, Literal

import msgspec
from pydantic import Field, RootModel, StrictBool

from fhir_elig import times, units
from fhir_elig.concepts import Concepts, code_key
from fhir_elig.criteria.base import Name, Plain, Text, near
from fhir_elig.documents import Document, load_document, validate
from fhir_elig.errors import AuthoringError, Finding
from fhir_elig.protocol import Protocol
from fhir_elig.quantity import Interval
from fhir_elig.record import Answer, Counts

CANONICAL_BASE = "https://example.org/fhir-elig"


class UpperLimit(Plain):
    """An upper limit of normal of this laboratory, for one sex or for all."""

    analyte: Name
    sex: str = Field("", pattern="^(female|male|)$")
    limit: Text


class ServerLimits(Plain):
    """Bounds of one server, where they differ from the package's own: bytes, counts."""

    page_bytes: int | None = Field(None, ge=1 << 16, le=1 << 30)
    pages: int | None = Field(None, ge=1)
    entries: int | None = Field(None, ge=1)
    tries: int | None = Field(None, ge=1, le=10)
    connections: int | None = Field(None, ge=1, le=64)
    post_codes: int | None = Field(None, ge=1)
    get_codes: int | None = Field(None, ge=1)
    query_bytes: int | None = Field(None, ge=200)


class Server(Plain):
    """The hospital's FHIR server, and how to sign in there. Paths of files stand relative to the site file."""

    base: Text
    aliases: tuple[str, ...] = ()
    file_hosts: tuple[str, ...] = ()
    auth: Literal["bearer", "smart-backend", "mutual-tls", "none"] = "bearer"
    client_id: str = ""
    key: str = ""
    kid: str = ""
    token_endpoint: str = ""
    certificate: str = ""
    ca: str | None = None
    proxy: str | None = None
    limits: ServerLimits = ServerLimits()


class Labels(Plain):
    """Security labels whose resources may be read."""

    allow: tuple[str, ...] = ()


class Writing(Plain):
    """What may be written back, and where: states, the address of a research store or a folder of files, what is stored beside a
    recommendation, the file that remembers what was written (relative to the site file)."""

    allow: tuple[Literal["ineligible", "potential-candidate", "candidate", "eligible"], ...] = (
        "candidate",
        "potential-candidate",
    )
    store: str = ""
    folder: str = ""
    proposal: bool = False
    also: tuple[Literal["AuditEvent", "List", "Questionnaire", "ServiceRequest"], ...] = ()
    outbox: str = ""


class SiteFile(Plain):
    """The site file; every key is optional."""

    site: str = ""
    time_zone: str = "UTC"
    canonical_base: str = CANONICAL_BASE
    codes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    complete: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)
    upper_limits: tuple[UpperLimit, ...] = ()
    readings: dict[str, dict[str, str]] = Field(default_factory=dict)
    milestones: dict[str, str] = Field(default_factory=dict)
    study: dict[str, str] = Field(default_factory=dict)
    server: Server | None = None
    decimal_comma: bool = False
    security_labels: Labels = Labels()
    write: Writing = Writing()


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A site file that was read and checked against the concepts. `sha256` is empty without a file."""

    file: SiteFile
    concepts: Concepts
    upper_limits: Mapping[str, tuple[tuple[str, Interval], ...]] = {}
    code_units: Mapping[str, str] = {}
    sha256: str = ""
    document: Document | None = None


def load_site(path: FilePath | None, concepts: Concepts) -> Site:
    """Read a site file and add its codes to the concepts. Raises AuthoringError with all findings."""
    if path is None:
        return Site(file=SiteFile(), concepts=concepts)
    document = load_document(path)
    file = validate(SiteFile, document)
    findings: list[Finding] = []
    if times.zone(file.time_zone) is None:
        findings.append(
            _finding(document, ("time_zone",), f'"{file.time_zone}" is no IANA time zone', "write one such as Europe/Berlin")
        )
    limits = _upper_limits(file.upper_limits, concepts, document, findings)
    try:
        concepts = concepts.with_site(file.codes, file.complete)
    except AuthoringError as error:
        findings += [f._replace(where=f"{document.name}: {f.where}") for f in error.findings]
    if findings:
        raise AuthoringError(findings[0].why, findings=findings)
    return Site(
        file=file,
        concepts=concepts,
        upper_limits=limits,
        code_units=_unit_keys(file.units),
        sha256=document.sha256,
        document=document,
    )


def _finding(document: Document, path: Sequence[str | int], why: str, fix: str) -> Finding:
    return Finding("FE0212", document.where(path), why, fix)


def _unit_keys(written: Mapping[str, str]) -> dict[str, str]:
    keys = {}
    for code, unit in written.items():
        system, _, value = code.rpartition("|")
        keys[code_key(system, value)] = unit
    return keys


def _upper_limits(
    rows: Sequence[UpperLimit], concepts: Concepts, document: Document, findings: list[Finding]
) -> dict[str, tuple[tuple[str, Interval], ...]]:
    limits: dict[str, list[tuple[str, Interval]]] = {}
    for index, row in enumerate(rows):
        analyte = concepts.analytes.get(row.analyte)
        if analyte is None:
            findings.append(
                _finding(
                    document,
                    ("upper_limits", index, "analyte"),
                    f'no analyte is named "{row.analyte}"',
                    near(row.analyte, concepts.analytes),
                )
            )
            continue
        amount = units.parse_amount(row.limit, analyte)
        if not isinstance(amount, Fraction):
            findings.append(
                _finding(
                    document,
                    ("upper_limits", index, "limit"),
                    f'"{row.limit}" is no amount of {row.analyte}',
                    f"write a number and a unit, as 34 {analyte.canonical}",
                )
            )
        elif analyte.believed is not None and amount not in analyte.believed:
            findings.append(
                _finding(
                    document,
                    ("upper_limits", index, "limit"),
                    f'"{row.limit}" lies outside what is believed of {row.analyte}',
                    "check the number and its unit",
                )
            )
        else:
            limits.setdefault(row.analyte, []).append((row.sex, Interval(amount, amount)))
    return {name: tuple(found) for name, found in limits.items()}


def decisions(site: Site, protocol: Protocol) -> dict[str, str]:
    """The site's decisions on readings of this protocol. Raises AuthoringError for a criterion or reading that is not there."""
    chosen = site.file.readings.get(protocol.id, {})
    known = protocol.readings()
    findings = []
    for criterion, reading in chosen.items():
        options = known.get(criterion, ())
        if reading not in options:
            path = ("readings", protocol.id, criterion)
            where = site.document.where(path) if site.document else ""
            fix = near(reading, options) if options else near(criterion, known)
            findings.append(Finding("FE0209", where, f'"{criterion}" has no reading "{reading}"', fix))
    if findings:
        raise AuthoringError(findings[0].why, findings=findings)
    return dict(chosen)


class AnswerRow(Plain):
    """One row of an answers file: what somebody said of a criterion, or of one item of its score."""

    patient: Text
    criterion: str
    item: str = ""
    answer: StrictBool | None = None
    value: Any = None
    on: str
    by: str = Field(min_length=1)
    note: str = ""
    expires: str = ""


class AnswersFile(RootModel[tuple[AnswerRow, ...]]):
    """The answers file: a list of rows."""


def load_answers(path: FilePath, protocol: Protocol, time_zone: str) -> dict[str, tuple[Answer, ...]]:
    """People's answers by patient id. Raises AuthoringError with all findings, each with its line and without what it says."""
    document = load_document(path)
    if document.data is None:
        return {}
    findings: list[Finding] = []
    found: dict[str, list[Answer]] = {}
    for index, row in enumerate(validate(AnswersFile, document, private=True).root):
        answer = _answer(document, index, row, protocol, time_zone, findings)
        if answer is not None:
            found.setdefault(row.patient.removeprefix("Patient/"), []).append(answer)
    if findings:
        raise AuthoringError(findings[0].why, findings=findings)
    return {patient: tuple(answers) for patient, answers in found.items()}


def _answer(
    document: Document, index: int, row: AnswerRow, protocol: Protocol, time_zone: str, findings: list[Finding]
) -> Answer | None:
    problem = _row_problem(row, protocol, time_zone)
    if problem is not None:
        findings.append(Finding("FE0213", document.where((index,)), *problem))
        return None
    on = times.parse_when(row.on, time_zone)
    value: Any = row.answer if row.answer is not None else row.value
    name = f"{row.criterion}/{row.item}" if row.item else row.criterion
    return Answer(
        reference=f"answers/{index + 1}",
        counts=Counts.YES,
        item=name,
        value=value,
        on=on,
        by=row.by,
        note=row.note,
        expires=times.parse_when(row.expires, time_zone) if row.expires else None,
    )


def _row_problem(row: AnswerRow, protocol: Protocol, time_zone: str) -> tuple[str, str] | None:
    """Why a row cannot be used, and the fix."""
    if row.criterion not in protocol.nodes:
        return f'no criterion is named "{row.criterion}"', near(row.criterion, protocol.nodes)
    if (row.answer is None) == (row.value is None):
        return "a row holds an answer (true or false) or a value", "write answer: or value:"
    if row.value is not None and (isinstance(row.value, bool) or not isinstance(row.value, (int, Decimal))):
        return "the value is not a number", "write a number, as value: 18"
    if times.parse_when(row.on, time_zone) is None:
        return "on is no date", "write a date such as 2025-05-30"
    if row.expires and times.parse_when(row.expires, time_zone) is None:
        return "expires is no date", "write a date such as 2025-12-31"
    return None
