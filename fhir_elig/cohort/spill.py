"""Spill files: resources on the disk, put together by shard, so that one shard's can be read without the others'.

A piece of the input gives one spill file or more. Each holds, shard by shard, the names of patients in it and then their
resources, one line each (patient id, a tab, JSON); its last bytes are an index of where each shard lies. The shard after the
last is that of resources that belong to no patient. A spill file is there wholly or not at all, and the same piece gives the
same bytes again.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from fhir_elig.cohort.folder import whole_file

MOST_HELD = 16 << 20  # bytes that are held in memory before they are written
_PLACE = struct.Struct("<QQQ")  # where a shard begins, the bytes of its names, the bytes of its resources

Names = dict[str, list[int]]  # patients by id, and the numbers of the files that hold their Patient resource


def shard_of(patient: str, shards: int) -> int:
    return zlib.crc32(patient.encode()) % shards


class SpillWriter:
    """Takes resources in any order; `close` gives the names of the files."""

    def __init__(self, folder: Path, name: str, shards: int) -> None:
        self._folder, self._name, self.shards = folder, name, shards
        self._lines: dict[int, list[bytes]] = {}
        self._names: dict[int, Names] = {}
        self._held = 0
        self._written: list[str] = []

    def add(self, patient: str, body: bytes, held_by: int | None = None) -> None:
        """A resource of a patient; `held_by` is the file's number if it is the Patient itself."""
        shard = shard_of(patient, self.shards)
        files = self._names.setdefault(shard, {}).setdefault(patient, [])
        if held_by is not None and held_by not in files:
            files.append(held_by)
        self._put(shard, b"%s\t%s\n" % (patient.encode(), body))

    def share(self, identity: str, body: bytes) -> None:
        """A resource that belongs to no patient, by its id."""
        self._put(self.shards, b"%s\t%s\n" % (identity.encode(), body))

    def _put(self, shard: int, line: bytes) -> None:
        self._lines.setdefault(shard, []).append(line)
        self._held += len(line)
        if self._held >= MOST_HELD:
            self._write()

    def close(self) -> list[str]:
        if self._held:
            self._write()
        return self._written

    def abandon(self) -> None:
        """What was taken may not be used."""
        for name in self._written:
            (self._folder / name).unlink(missing_ok=True)
        self._lines, self._names, self._held, self._written = {}, {}, 0, []

    def _write(self) -> None:
        name = f"{self._name}-{len(self._written)}.spill"
        places, at = [], 0
        with whole_file(self._folder / name) as stream:
            for shard in range(self.shards + 1):
                names = msgspec.msgpack.encode(self._names[shard]) if shard in self._names else b""
                body = b"".join(self._lines.get(shard, ()))
                stream.write(names)
                stream.write(body)
                places.append(_PLACE.pack(at, len(names), len(body)))
                at += len(names) + len(body)
            stream.write(b"".join(places))
        self._written.append(name)
        self._lines, self._names, self._held = {}, {}, 0


class SpillReader:
    """Reads a shard out of all spill files."""

    def __init__(self, folder: Path, names: Sequence[str], shards: int) -> None:
        self._paths = [folder / name for name in names]
        self.shards = shards

    def names(self, shard: int) -> Names:
        """The patients of a shard, and the files that hold their Patient resource."""
        found: Names = {}
        for text, _ in self._parts(shard, bodies=False):
            for patient, files in msgspec.msgpack.decode(text, type=Names).items() if text else ():
                found.setdefault(patient, []).extend(files)
        return found

    def lines(self, shard: int, wanted: Iterable[str] | None = None) -> dict[str, list[bytes]]:
        """The resources of a shard as JSON by patient; of those patients only, if `wanted` names some."""
        kept = None if wanted is None else {patient.encode() for patient in wanted}
        found: dict[bytes, list[bytes]] = {}
        for names, body in self._parts(shard, bodies=True):
            if kept is not None and kept.isdisjoint(patient.encode() for patient in msgspec.msgpack.decode(names or b"\x80")):
                continue
            for line in body.split(b"\n")[:-1]:
                patient, _, text = line.partition(b"\t")
                if kept is None or patient in kept:
                    found.setdefault(patient, []).append(text)
        return {patient.decode(): texts for patient, texts in found.items()}

    def shared(self) -> Iterator[tuple[str, bytes]]:
        """The id and JSON of each resource that belongs to no patient."""
        for _, body in self._parts(self.shards, bodies=True):
            for line in body.split(b"\n")[:-1]:
                identity, _, text = line.partition(b"\t")
                yield identity.decode(), text

    def _parts(self, shard: int, *, bodies: bool) -> Iterator[tuple[bytes, bytes]]:
        for path in self._paths:
            file = os.open(path, os.O_RDONLY)
            try:
                index = os.fstat(file).st_size - (self.shards + 1) * _PLACE.size
                at, names, body = _PLACE.unpack(os.pread(file, _PLACE.size, index + shard * _PLACE.size))
                data = _read(file, at, names + (body if bodies else 0))
            finally:
                os.close(file)
            if data:
                yield data[:names], data[names:]


def _read(file: int, at: int, length: int) -> bytes:
    """That many bytes; one call of the system gives at most 2 GB."""
    parts = []
    while length > 0 and (part := os.pread(file, length, at)):
        parts.append(part)
        at, length = at + len(part), length - len(part)
    return b"".join(parts)
