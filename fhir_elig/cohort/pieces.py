"""What is to be read, cut into pieces of work: stretches of large NDJSON files, and whole small files together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from fhir_elig.sources.file_walk import LINES, FoundFile, Walk

SHARD_BYTES = 8 << 20  # of the input, for one shard; what is kept of it is less
MOST_SHARDS = 4096
SMALLEST_STRETCH, LARGEST_STRETCH = 8 << 20, 64 << 20
FILES_TOGETHER = 256
_PACKING = 10  # how much larger a packed file is than it looks, about


class InputFile(msgspec.Struct, frozen=True):
    """A file of the input as it was found: its name below the folder, size in bytes, time of its last change in ns."""

    number: int
    path: str
    name: str
    size: int
    modified: int
    packed: bool = False

    @property
    def by_line(self) -> bool:
        return self.path.lower().endswith(LINES)

    @property
    def found(self) -> FoundFile:
        return FoundFile(Path(self.path), self.name)


class Stretch(msgspec.Struct, frozen=True):
    """The lines of a file that begin at a byte from `start` up to but without `end`; `end` 0: the whole file."""

    file: InputFile
    start: int = 0
    end: int = 0


class Piece(msgspec.Struct, frozen=True):
    """One piece of work; `number` is its place in the plan."""

    number: int
    stretches: tuple[Stretch, ...]

    @property
    def size(self) -> int:
        return sum((one.end or one.file.size) - one.start for one in self.stretches)


def look(found: Walk) -> list[InputFile]:
    """The files of a folder as they are now. One that cannot be looked at has the size 0, and is told of when it is read."""
    return [_look(number, file) for number, file in enumerate(found.files)]


def _look(number: int, file: FoundFile) -> InputFile:
    try:
        state = file.path.stat()
        with file.path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
    except OSError:
        return InputFile(number, str(file.path), file.name, 0, 0)
    return InputFile(number, str(file.path), file.name, state.st_size, state.st_mtime_ns, packed)


def shards_for(files: Iterable[InputFile]) -> int:
    """Into how many shards the patients are dealt: by size alone, so that a run may go on with other jobs."""
    total = sum(file.size * (_PACKING if file.packed else 1) for file in files)
    return max(1, min(MOST_SHARDS, -(-total // SHARD_BYTES)))


def plan(files: list[InputFile]) -> list[Piece]:
    """Documents first (a manifest among them tells how the rest is read), then lines; each in the order of the names."""
    total = sum(file.size for file in files)
    largest = max(SMALLEST_STRETCH, min(LARGEST_STRETCH, total // 512))
    documents = _together((Stretch(file) for file in files if not file.by_line), largest)
    lines = _together((part for file in files if file.by_line for part in _cut(file, largest)), largest)
    return [Piece(number, part) for number, part in enumerate([*documents, *lines])]


def _cut(file: InputFile, largest: int) -> Iterator[Stretch]:
    """A packed file, or one that could not be looked at, cannot be cut."""
    if file.packed or not file.size:
        yield Stretch(file)
        return
    count = -(-file.size // largest)
    edges = [file.size * number // count for number in range(count + 1)]
    for start, end in zip(edges, edges[1:], strict=False):
        yield Stretch(file, start, end)


def _together(stretches: Iterable[Stretch], largest: int) -> Iterator[tuple[Stretch, ...]]:
    """Neighbours up to that size in one piece; a packed file of lines is alone, since it may prove to be damaged at its end."""
    held: list[Stretch] = []
    size = 0
    for one in stretches:
        alone = one.file.packed and one.file.by_line
        length = (one.end or one.file.size) - one.start
        if held and (alone or size + length > largest or len(held) == FILES_TOGETHER):
            yield tuple(held)
            held, size = [], 0
        held.append(one)
        size += length
        if alone:
            yield tuple(held)
            held, size = [], 0
    if held:
        yield tuple(held)
