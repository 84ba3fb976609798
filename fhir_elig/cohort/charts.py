"""The second pass: a shard's charts, one patient at a time, as a reader of all files would have made them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from fhir_elig.cohort.ground import Ground
from fhir_elig.cohort.spill import SpillReader, shard_of
from fhir_elig.sources import Chart, Resource, usual_json
from fhir_elig.sources.contents import Contents
from fhir_elig.sources.coverage import Coverage
from fhir_elig.sources.file_walk import Walk
from fhir_elig.sources.files import FileSource
from fhir_elig.sources.patient_links import Links
from fhir_elig.sources.usual_json import Elements

MEDICATIONS = "medications.sqlite"

# What lies in a spill file was proved clean when it was dealt.
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class _Named(msgspec.Struct):
    resourceType: str = ""
    id: str = "?"


_name_of = msgspec.json.Decoder(_Named).decode


class Medications(Mapping[str, list[Resource]]):
    """Medications that no patient owns, by id, looked up on the disk."""

    def __init__(self, path: Path) -> None:
        self._store = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)

    def __getitem__(self, identity: str) -> list[Resource]:
        rows = self._store.execute("SELECT body FROM medications WHERE id = ? ORDER BY rowid", (identity,)).fetchall()
        if not rows:
            raise KeyError(identity)
        return [_decode(body) for (body,) in rows]

    def __iter__(self) -> Iterator[str]:
        return (row[0] for row in self._store.execute("SELECT DISTINCT id FROM medications"))

    def __len__(self) -> int:
        return int(self._store.execute("SELECT count(DISTINCT id) FROM medications").fetchone()[0])

    def __bool__(self) -> bool:
        return True


def store_medications(reader: SpillReader, folder: Path) -> None:
    """Makes the look-up of Medications, if there are any."""
    shared = reader.shared()
    first = next(shared, None)
    path = folder / MEDICATIONS
    path.unlink(missing_ok=True)
    if first is None:
        return
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    store = sqlite3.connect(part)
    with store:
        store.execute("CREATE TABLE medications (id TEXT NOT NULL, body BLOB NOT NULL)")
        store.execute("INSERT INTO medications VALUES (?, ?)", first)
        store.executemany("INSERT INTO medications VALUES (?, ?)", shared)
        store.execute("CREATE INDEX by_id ON medications (id)")
    store.close()
    part.chmod(0o600)
    part.replace(path)


class Charts:
    """Gives the charts of a shard."""

    def __init__(self, ground: Ground, work: Path) -> None:
        self._ground = ground
        self._elements: Elements = {}
        self._reader = SpillReader(work, ground.spills, ground.shards)
        path = work / MEDICATIONS
        self._medications = Medications(path) if path.exists() else None
        self._replaced: dict[str, list[str]] = {}
        for old, new in ground.links.survivors.items():
            self._replaced.setdefault(new, []).append(old)

    def count(self, shard: int) -> tuple[int, list[str]]:
        """How many patients a shard has, and the references of its orphans."""
        names, survivors = self._reader.names(shard), self._ground.links.survivors
        held = {patient for patient, files in names.items() if files}
        orphans = [patient for patient in names if patient not in held and patient not in survivors]
        lines = self._reader.lines(shard, orphans) if orphans else {}
        references = [f"{one.resourceType}/{one.id}" for texts in lines.values() for one in map(_name_of, texts)]
        return len(held - survivors.keys()), references

    def of(self, shard: int) -> Iterator[tuple[Chart, list[bytes]]]:
        """The charts of a shard, sorted by patient; with the JSON of their resources, Medications that no patient owns apart."""
        names, lines = self._reader.names(shard), self._reader.lines(shard)
        survivors = self._ground.links.survivors
        people = sorted(patient for patient, files in names.items() if files and patient not in survivors)
        moved = self._moved(people, lines)
        coverage = self._vouched(names, moved)
        for patient in people:
            texts = {one: moved.get(one) or lines.pop(one, []) for one in (patient, *self._replaced.get(patient, ()))}
            yield self._chart(patient, texts, names, coverage), [text for found in texts.values() for text in found]

    def _moved(self, people: list[str], own: dict[str, list[bytes]]) -> dict[str, list[bytes]]:
        """The resources that name a record which was replaced by one of these patients'; they may lie in other shards."""
        found: dict[str, list[bytes]] = {}
        for old in (old for patient in people for old in self._replaced.get(patient, ())):
            other = self._reader.lines(shard_of(old, self._ground.shards), [old])
            found[old] = other.get(old, own.get(old, []))
        return found

    def _vouched(self, names: Mapping[str, list[int]], moved: Mapping[str, Any]) -> Coverage:
        """What manifests vouch for, for these patients."""
        coverage = self._ground.coverage.without_vouchers()
        if self._ground.vouchers:
            holders: dict[int, Contents] = {}
            held = dict(names)
            for old in moved:
                held[old] = self._reader.names(shard_of(old, self._ground.shards)).get(old, [])
            for patient, files in held.items():
                for number in files:
                    holders.setdefault(number, Contents(self._ground.names[number])).held.add(patient)
            for voucher in self._ground.vouchers:
                coverage.add_voucher(voucher, holders.values(), self._ground.links.survivors)
        return coverage

    def _chart(self, patient: str, texts: dict[str, list[bytes]], names: Mapping[str, list[int]], coverage: Coverage) -> Chart:
        contents = Contents("", self._ground.base)
        contents.held = {patient}
        contents.resources = [(self._resource(text), owner) for owner, found in texts.items() for text in found]
        links = self._ground.links
        own = Links({old: patient for old in texts if old != patient}, links.doubtful & texts.keys(), _only(links.gone, texts))
        source = FileSource([contents], Walk(), (), own, coverage)
        if self._medications is not None:
            source.medications = self._medications
        chart = source.chart(patient)
        chart.errors = (*chart.errors, *self._ground.remarks)
        return chart

    def _resource(self, text: bytes) -> Resource:
        """Its codes, flags and ranges are objects that charts share, so that the adapters read them once."""
        return usual_json.read(text, self._elements) or _decode(text)


def _only(found: Mapping[str, str], names: Mapping[str, Any]) -> dict[str, str]:
    return {name: other for name, other in found.items() if name in names} if found else {}
