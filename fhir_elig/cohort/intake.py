"""The first pass: a piece of the input is read, and each resource dealt to the shard of its patient.

What a file holds beside its resources goes back as parts (`parts`), one for each stretch.
"""

from __future__ import annotations

import hashlib
import io
from typing import IO, Any

import msgspec

from fhir_elig.cohort.parts import Aside, Few, Part, part_of
from fhir_elig.cohort.pieces import Piece, Stretch
from fhir_elig.cohort.spill import SpillWriter
from fhir_elig.errors import DataError, Finding
from fhir_elig.references import is_id
from fhir_elig.sources import Resource
from fhir_elig.sources.contents import Contents
from fhir_elig.sources.file_reading import DAMAGED, give_up, opened, read_file, take_lines
from fhir_elig.sources.usual_json import Slim

encode = msgspec.json.Encoder(decimal_format="number").encode
_SKIPPED = 1 << 20  # bytes of the line before a stretch that are read at a time


class _Dealt(msgspec.Struct):
    """What is kept in memory of resources that were dealt: links between Patients, and how many belong to no patient."""

    links: list[dict[str, Any]] = []
    shared: int = 0


class _Dealer(list[tuple[Resource, str]]):
    """Stands where a file's resources are gathered, and deals each to its shard at once."""

    def __init__(self, spill: SpillWriter, file: int, dealt: _Dealt) -> None:
        super().__init__()
        self._spill, self._file, self._dealt = spill, file, dealt

    def append(self, item: tuple[Resource, str]) -> None:
        resource, patient = item
        is_patient = resource["resourceType"] == "Patient"
        if is_patient and "link" in resource:
            self._dealt.links.append({"id": patient, "link": resource["link"]})
        self._spill.add(patient, encode(resource), self._file if is_patient else None)


class _Sharer(list[Resource]):
    """Of the resources that belong to no patient, only Medications are ever looked at."""

    def __init__(self, spill: SpillWriter, dealt: _Dealt) -> None:
        super().__init__()
        self._spill, self._dealt = spill, dealt

    def append(self, item: Resource) -> None:
        self._dealt.shared += 1
        identity = str(item.get("id"))
        if item["resourceType"] == "Medication" and is_id(identity):
            self._spill.share(identity, encode(item))


class _Places(list[Finding]):
    """Notes where each thing stood that was set aside."""

    def __init__(self, stream: StretchStream) -> None:
        super().__init__()
        self._stream = stream
        self.placed: list[Aside] = []

    def append(self, item: Finding) -> None:
        super().append(item)
        self.placed.append(Aside(item, self._stream.number, self._stream.begin))


class StretchStream:
    """The lines of a stretch, with their places; `digest` is over all of their bytes."""

    def __init__(self, stretch: Stretch) -> None:
        self._stream: IO[bytes] = io.BytesIO()
        self._end = stretch.end
        self.number, self.begin, self._next = 0, stretch.start, stretch.start
        self._fresh = True
        self.digest = hashlib.sha256()

    def attach(self, stream: IO[bytes]) -> StretchStream:
        self._stream = stream
        if self.begin:
            self._find_line(self.begin)
        return self

    def _find_line(self, start: int) -> None:
        """Skips what belongs to the stretch before: the line that began in it."""
        self._stream.seek(start - 1)
        self._next = start - 1
        while line := self._stream.readline(_SKIPPED):
            self._next += len(line)
            if line.endswith(b"\n"):
                break

    def readline(self, limit: int) -> bytes:
        if self._fresh and self._end and self._next >= self._end:
            return b""
        line = self._stream.readline(limit)
        if self._fresh:
            self.number, self.begin = self.number + 1, self._next
        self._next += len(line)
        self._fresh = line.endswith(b"\n")
        self.digest.update(line)
        return line


def read_piece(piece: Piece, spill: SpillWriter, base: str | None, slim: Slim | None = None) -> list[Part]:
    """Reads a piece; `slim` says what to keep of an Observation. Raises DataError if a file that was there when the run began
    cannot be read any more."""
    return [_read(one, spill, base, slim) for one in piece.stretches]


def _read(stretch: Stretch, spill: SpillWriter, base: str | None, slim: Slim | None) -> Part:
    read = _read_lines if stretch.file.by_line and stretch.file.size else _read_file
    return read(stretch, spill, base, slim)


def _read_file(stretch: Stretch, spill: SpillWriter, base: str | None, slim: Slim | None) -> Part:
    """A document, which is read whole."""
    contents = read_file(stretch.file.found, base, slim)
    dealt = _Dealt()
    dealer, sharer = _Dealer(spill, stretch.file.number, dealt), _Sharer(spill, dealt)
    for item in contents.resources:
        dealer.append(item)
    for resource in contents.shared:
        sharer.append(resource)
    aside = [Aside(finding) for finding in contents.aside]
    return part_of(contents, aside, file=stretch.file.number, links=dealt.links, shared=dealt.shared, digest=_digest(stretch))


def _digest(stretch: Stretch) -> bytes:
    try:
        with stretch.file.found.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError:
        return b""


def _read_lines(stretch: Stretch, spill: SpillWriter, base: str | None, slim: Slim | None) -> Part:
    file = stretch.file
    contents = Contents(file.name, base, slim)
    contents.patients, contents.held = Few(), Few()
    dealt = _Dealt()
    contents.resources, contents.shared = _Dealer(spill, file.number, dealt), _Sharer(spill, dealt)
    stream = StretchStream(stretch)
    places = contents.aside = _Places(stream)
    lines = 0
    try:
        with opened(file.found) as whole:
            lines = take_lines(stream.attach(whole), contents, from_start=stretch.start == 0)
    except DAMAGED:
        spill.abandon()
        give_up(contents, "the compressed file is damaged or cut")
        places.placed[-1] = Aside(places.placed[-1].finding)  # of the file, not of the line at which that was seen
    except OSError as error:
        why = f"the file cannot be read: {(error.strerror or 'input error').lower()}"
        raise DataError(why, where=file.name, fix="check the disk, then resume the run") from None
    return part_of(
        contents,
        places.placed,
        file=file.number,
        lines=lines,
        links=dealt.links,
        shared=dealt.shared,
        digest=stream.digest.digest(),
    )
