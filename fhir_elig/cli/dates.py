"""The dates of a command line: `--as-of` and `--event`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fhir_elig import times
from fhir_elig.criteria.base import near
from fhir_elig.errors import UsageError
from fhir_elig.protocol import Protocol
from fhir_elig.times import When


def read_date(text: str, zone: str, where: str) -> When:
    """A date or dateTime in the site's zone. Raises UsageError FE0106."""
    when = times.parse_when(text, zone)
    if when is None:
        raise UsageError(f'"{text}" is no date', code="FE0106", where=where, fix="write a date such as 2025-06-01, or a dateTime")
    return when


def read_events(
    given: Sequence[str], from_site: Mapping[str, str], protocol: Protocol, zone: str
) -> tuple[dict[str, When], dict[str, dict[str, When]]]:
    """Milestones for all patients, and those of single ones (`NAME@PATIENT=DATE`), by patient. Raises UsageError FE0106."""
    known = protocol.file.milestones
    shared: dict[str, When] = {}
    own: dict[str, dict[str, When]] = {}
    for name, text in from_site.items():
        if name in known and text != "as_of":
            shared[name] = read_date(text, zone, f"site file, milestones > {name}")
    named: set[tuple[str, str]] = set()
    for event in given:
        name, patient, when = _event(event, known, zone)
        if (name, patient) in named:
            raise _bad_event(f'"{event}" gives {name} a second date', "give each milestone one date")
        named.add((name, patient))
        if patient:
            own.setdefault(patient, {})[name] = when
        else:
            shared[name] = when
    return shared, own


def _event(text: str, known: Iterable[str], zone: str) -> tuple[str, str, When]:
    """`NAME=DATE` or `NAME@PATIENT=DATE` as milestone, patient (empty for all) and date. Raises UsageError."""
    left, sign, date = text.partition("=")
    name, at, patient = left.partition("@")
    if name not in known:
        raise _bad_event(f'"{text}" names no milestone of the protocol', f"write NAME=DATE; {near(name, known)}")
    if not sign:
        raise _bad_event(f'"{text}" gives no date', "write NAME=DATE, such as infusion=2025-07-01")
    patient = patient.removeprefix("Patient/")
    if at and not patient:
        raise _bad_event(f'"{text}" names no patient after @', "write NAME@PATIENT=DATE, or NAME=DATE for all patients")
    return name, patient, read_date(date, zone, "--event")


def _bad_event(why: str, fix: str) -> UsageError:
    return UsageError(why, code="FE0106", where="--event", fix=fix)
