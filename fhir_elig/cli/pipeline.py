"""From options to assessments: the one place where sources, adapters, the protocol and the outputs meet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from fhir_elig import adapters, places, times
from fhir_elig.assessment import assess
from fhir_elig.cli.dates import read_date, read_events
from fhir_elig.concepts import Concepts, load_concepts
from fhir_elig.criteria.base import near
from fhir_elig.criteria.context import Run
from fhir_elig.errors import DataError, FhirEligError, Finding, UsageError
from fhir_elig.outputs.digest import Failure
from fhir_elig.protocol import Protocol, load_protocol
from fhir_elig.record import MEDICATION_TYPES, Record
from fhir_elig.site import Site, decisions, load_answers, load_site
from fhir_elig.sources import Chart, Resource
from fhir_elig.verdict import Assessment

TYPES = (
    "Patient",
    "Observation",
    "Condition",
    *MEDICATION_TYPES,
    "Procedure",
    "Encounter",
    "Consent",
    "QuestionnaireResponse",
    "Immunization",
)
IDENTITY, AUTHORISATION, SERVER, PARTIAL = 16, 12, 14, 1
# What became of a patient who could not be read, where it is no fault of the server.
_FAILURES = {"FE0402": AUTHORISATION, "FE0404": PARTIAL}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a screening command was asked for, as text."""

    protocol: str
    data: Path | None = None
    server: str = ""
    patients: tuple[str, ...] = ()
    group: str = ""
    as_of: str | None = None
    events: tuple[str, ...] = ()
    answers: Path | None = None
    site: Path | None = None
    complete: str = ""
    timeout: float = 60.0


class Screening(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is the same for all patients of a run."""

    protocol: Protocol
    site: Site
    run: Run
    memory: adapters.Memory
    complete: frozenset[str]

    @property
    def settings(self) -> adapters.Settings:
        return self.memory.settings

    @property
    def study(self) -> str:
        return self.site.file.study.get(self.protocol.id, f"ResearchStudy/{self.protocol.id}")


class Tally:
    """What a run came to: its exit code, its failures, what was set aside."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self.findings: list[Finding] = []
        self.codes: set[int] = set()
        self.assessed = 0
        self.seen: set[str] = set()
        self.twins: list[tuple[str, str]] = []  # patients of whom a record number is that of another
        self._numbers: dict[tuple[str, str], str] = {}

    def number(self, chart: Chart) -> None:
        """Remembers the record numbers of a chart's patient, and whose they are too."""
        for number in record_numbers(chart.resources):
            other = self._numbers.setdefault(number, chart.patient)
            if other != chart.patient and (other, chart.patient) not in self.twins:
                self.twins.append((other, chart.patient))

    def exit_code(self) -> int:
        return exit_code(self.codes, self.assessed)


def record_numbers(resources: Iterable[Resource]) -> Iterator[tuple[str, str]]:
    """System and value of a patient's identifiers, as texts; one without a system may mean anything."""
    for patient in resources:
        identifiers = patient.get("identifier") if patient.get("resourceType") == "Patient" else None
        for one in identifiers if isinstance(identifiers, list) else ():
            system, value = (one.get("system"), one.get("value")) if isinstance(one, dict) else ("", "")
            if isinstance(system, str) and isinstance(value, str) and system and value:
                yield system, value


def exit_code(codes: Set[int], assessed: int) -> int:
    """The one code that stands for several: 16 above 15, 14 (if nobody could be assessed), 12 and 1."""
    for code in (IDENTITY, 15, SERVER, AUTHORISATION):
        if code in codes and (code != SERVER or assessed == 0):
            return code
    return PARTIAL if codes else 0


def find_protocol(name: str, where: str = "--protocol") -> Path:
    """The file of a bundled protocol's id, or the file itself. Raises UsageError with a suggestion."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return path
    known = {file.stem: file for file in sorted((places.mapping_root() / "protocols").glob("*.yaml"))}
    if name in known:
        return known[name]
    fix = "a protocol file ends in .yaml" if path.is_file() else near(name, known)
    raise UsageError(f'no protocol is named "{name}"', code="FE0102", where=where, fix=fix)


def prepare(options: Options) -> Screening:
    """Load protocol, mappings, site and answers. Raises UsageError and AuthoringError."""
    site = load_site(options.site, load_concepts(places.mapping_root()))
    return bind(options, site, load_protocol(find_protocol(options.protocol), site.concepts))


def bind(options: Options, site: Site, protocol: Protocol) -> Screening:
    """What the options mean for a protocol at a site. Raises UsageError and AuthoringError."""
    zone = site.file.time_zone
    today = datetime.now(times.zone(zone)).date().isoformat()
    as_of = read_date(today if options.as_of is None else options.as_of, zone, "--as-of")
    shared, own = read_events(options.events, site.file.milestones, protocol, zone)
    answers = load_answers(options.answers, protocol, zone) if options.answers is not None else {}
    study = site.file.study.get(protocol.id, f"ResearchStudy/{protocol.id}")
    run = Run(
        as_of=as_of,
        milestones=shared,
        own_milestones=own,
        decisions=decisions(site, protocol),
        answers=answers,
        upper_limits=site.upper_limits,
        code_units=site.code_units,
        study=study,
        time_zone=zone,
    )
    settings = adapters.Settings(
        time_zone=zone,
        decimal_comma=site.file.decimal_comma,
        allowed_labels=frozenset(site.file.security_labels.allow),
        questionnaire=f"{site.file.canonical_base}/Questionnaire/{protocol.id}-attestations",
        matters=known_codes(site.concepts),
    )
    return Screening(
        protocol=protocol, site=site, run=run, memory=adapters.Memory(settings), complete=complete_types(options.complete)
    )


def known_codes(concepts: Concepts) -> Callable[[tuple[str, ...]], bool]:
    """Whether the mappings know one of a result's codes, verified or not; what they do not know is read as a contact only."""

    @lru_cache(maxsize=16_384)
    def known(codes: tuple[str, ...]) -> bool:
        return any(any(concepts.names_of(code)) for code in codes)

    return known


def complete_types(text: str) -> frozenset[str]:
    """The types that `--complete` names; `all` stays as it is. Raises UsageError with a suggestion."""
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    for name in sorted(names - {"all"}):
        if name not in TYPES:
            raise UsageError(
                f'"{name}" is no resource type that is read', code="FE0106", where="--complete", fix=near(name, (*TYPES, "all"))
            )
    return names


def charts(options: Options, screening: Screening, tally: Tally) -> Iterable[Chart]:
    """The charts of files or of a server. Raises DataError, UsageError, SourceError."""
    own = screening.site.file.server
    server = options.server or (own.base if own is not None and options.data is None else "")
    if (options.data is None) == (not server):
        raise UsageError("name --data or --server", code="FE0105", where="screen", fix="add  --data PATH  or  --server URL")
    if options.data is not None and options.group:
        fix = "add  --patients FILE  with the members' ids"
        raise UsageError("a group is looked up at a server", code="FE0105", where="--group", fix=fix)
    found = _from_files(options, screening, tally) if options.data is not None else _from_server(server, options, screening)
    return _placed(found, str(options.data or server))


def _placed(found: Iterable[Chart], where: str) -> Iterator[Chart]:
    """The charts; an error that names no place gets that of the whole source."""
    try:
        yield from found
    except FhirEligError as error:
        error.place(where)
        raise


def _from_files(options: Options, screening: Screening, tally: Tally) -> Iterable[Chart]:
    from fhir_elig.sources.files import read_files
    from fhir_elig.sources.skip import Skip

    assert options.data is not None
    complete: frozenset[str] | Literal["all"] = "all" if "all" in screening.complete else screening.complete
    slim = Skip(screening.settings.matters) if screening.settings.matters is not None else None
    source = read_files(options.data, patient_ids=options.patients, complete=complete, slim=slim)
    tally.findings += source.errors
    if source.errors:
        tally.codes.add(PARTIAL)
    if not source.patients:
        raise DataError(
            "there is no Patient in the data", code="FE0301", where=str(options.data), fix="add the Patient resources"
        )
    orphans = tuple(f"FE0303: {reference} names a patient who is not in the data" for reference in source.orphans[:20])
    for chart in source:
        chart.errors = (*chart.errors, *orphans)
        yield chart


def _from_server(server: str, options: Options, screening: Screening) -> Iterable[Chart]:
    from fhir_elig.sources.access import access
    from fhir_elig.sources.rest import RestSource

    if not options.patients and not options.group:
        raise UsageError(
            "name the patients", code="FE0105", where="screen --server", fix="add  --patient ID,  --patients FILE  or  --group ID"
        )
    needs = screening.protocol.needs()
    types = {"Patient", "Medication", *(need.type for need in needs), *(["Group"] if options.group else [])}
    folder = options.site.parent if options.site is not None else Path()
    way = access(server, screening.site.file.server, types, folder=folder)
    source = RestSource(server, needs=needs, timeout=options.timeout, complete=screening.complete, access=way)
    return source.patients(options.patients, options.group)


def assessments(found: Iterable[Chart], screening: Screening, tally: Tally) -> Iterator[Assessment]:
    """Assess each chart; patients who cannot be assessed are kept in the tally."""
    for chart in found:
        tally.number(chart)
        assessment = _assess_one(chart, screening, tally)
        if assessment is not None:
            tally.assessed += 1
            yield assessment


def _assess_one(chart: Chart, screening: Screening, tally: Tally) -> Assessment | None:
    record = record_of(chart, screening, tally)
    return None if record is None else assess(screening.protocol, record, screening.run)


def record_of(chart: Chart, screening: Screening, tally: Tally) -> Record | None:
    """The facts of a chart; None for a patient who cannot be assessed, who is then kept in the tally."""
    tally.seen.add(chart.patient)
    if chart.broken:
        tally.codes.add(PARTIAL)
    if chart.failure is not None:
        code, why = chart.failure
        tally.failures.append(Failure(f"Patient/{chart.patient}", f"{code}: {why}"))
        tally.codes |= {PARTIAL, _FAILURES.get(code, SERVER if code.startswith("FE04") else PARTIAL)}
        return None
    record = adapters.read(
        chart.resources,
        patient=chart.patient,
        memory=screening.memory,
        retrieved=chart.retrieved,
        refused=chart.refused,
        base=chart.base,
        identity=chart.identity,
        errors=chart.errors,
    )
    if record.identity:
        tally.codes.add(IDENTITY)
        why = "FE0601: another patient's resource stood in the answer; it was dropped"
        tally.failures.append(Failure(f"Patient/{chart.patient}", why))
        return None
    if len(record.refused) > len(chart.refused):
        tally.codes.add(PARTIAL)
    return record


def fail_if_nothing(tally: Tally, options: Options) -> None:
    """Say in one error why no patient at all could be assessed."""
    if tally.assessed == 0 and not tally.failures:
        raise FhirEligError("no patient was found", code="FE0103", where=str(options.data or options.server), fix="check the ids")
