"""Recommendations as files: one NDJSON file a type, for any loader. The same resources as a store would get, by id.

What stands in a file is kept; only a ResearchSubject of ours follows its patient's state. Each file is written beside its place
and then put there in one step, for its owner only.
"""

from __future__ import annotations

import fcntl
import json
import os
from decimal import Decimal
from pathlib import Path

from fhir_elig.errors import FhirEligError
from fhir_elig.outputs.fhir_json import FhirVersion, encode
from fhir_elig.sinks import Outcome, Resource, Result
from fhir_elig.sinks.outbox import Delivery
from fhir_elig.sinks.plan import SET, How, Plan, Rules
from fhir_elig.sinks.standing import OWN_STATES, same, state_of

_LOCK = ".lock"


def files_plan(fhir_version: FhirVersion, rules: Rules) -> Plan:
    """Everything under our own ids: a loader puts it where it belongs. A List is kept by the store that holds it."""
    kinds = [name for name in (*SET, *rules.also) if name != "List"]
    return Plan(base="", fhir_version=fhir_version, rules=rules, how=dict.fromkeys(kinds, How.PUT))


class Folder:
    """The files of one folder; one run at a time. Raises FhirEligError: FE0505 if another run holds it or a file is not
    NDJSON of its type, FE0701 if it cannot be written."""

    def __init__(self, path: Path, rules: Rules) -> None:
        self._path, self._allow = path, rules.allow
        self._held: dict[str, dict[str, Resource]] = {}
        self._changed: set[str] = set()
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(path / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise FhirEligError("another run is writing", code="FE0505", where=str(path), fix="wait for it to end") from None
        except OSError as error:
            raise self._full(error) from None

    def close(self) -> None:
        os.close(self._lock)

    def deliver(self, delivery: Delivery) -> Result:
        """One patient, in memory until `save`."""
        result = self._subject(delivery)
        if result.outcome is not Outcome.NOT_CREATED:
            for one in delivery.beside:
                self.keep(one)
        return result

    def keep(self, resource: Resource) -> None:
        """Adds what is not there yet."""
        kind = resource["resourceType"]
        if resource["id"] not in self._of(kind):
            self._put(resource)

    def save(self) -> None:
        """Puts every changed file in its place, the ResearchSubjects before what tells of them."""
        for kind in sorted(self._changed, key=lambda name: (name != "ResearchSubject", name)):
            lines = [encode(one) + b"\n" for _, one in sorted(self._of(kind).items())]
            try:
                self._replace(kind, b"".join(lines))
            except OSError as error:
                raise self._full(error) from None
        self._changed.clear()

    def _subject(self, delivery: Delivery) -> Result:
        patient, name = delivery.patient, f"ResearchSubject/{delivery.key}"
        found = self._of("ResearchSubject").get(delivery.key)
        if found is None and not (delivery.new and delivery.subject):
            return Result(patient, Outcome.NOT_CREATED, note="the site allows no new record of this state")
        if found is not None and state_of(found) not in OWN_STATES | self._allow:
            return Result(patient, Outcome.LEFT, name, "superseded by a person or another system: its state is none of ours")
        if delivery.subject is None or (found is not None and _equal(delivery.subject, found)):
            return Result(patient, Outcome.UNCHANGED, name)
        self._put(delivery.subject)
        return Result(patient, Outcome.CREATED if found is None else Outcome.UPDATED, name, state_of(delivery.subject))

    def _put(self, resource: Resource) -> None:
        kind = resource["resourceType"]
        self._of(kind)[resource["id"]] = resource
        self._changed.add(kind)

    def _of(self, kind: str) -> dict[str, Resource]:
        if kind not in self._held:
            self._held[kind] = self._read(kind)
        return self._held[kind]

    def _read(self, kind: str) -> dict[str, Resource]:
        path = self._path / f"{kind}.ndjson"
        if not path.exists():
            return {}
        found: dict[str, Resource] = {}
        try:
            for line in path.read_text(encoding="utf-8").splitlines():
                one = json.loads(line, parse_float=Decimal)
                if one["resourceType"] != kind:
                    raise ValueError(kind)
                found[one["id"]] = one
        except (OSError, ValueError, KeyError, TypeError):
            why, fix = f"it is not NDJSON of {kind}", "name another folder in write.folder"
            raise FhirEligError(why, code="FE0505", where=str(path), fix=fix) from None
        return found

    def _replace(self, kind: str, data: bytes) -> None:
        beside = self._path / f".{kind}.ndjson"
        with os.fdopen(os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path / f"{kind}.ndjson")

    def _full(self, error: OSError) -> FhirEligError:
        return FhirEligError(error.strerror or "it cannot be written", code="FE0701", where=str(self._path), fix="mend the disk")


def _equal(subject: Resource, found: Resource) -> bool:
    """Also the narrative: it tells the day."""
    return subject.get("text") == found.get("text") and same(subject, found, "")
