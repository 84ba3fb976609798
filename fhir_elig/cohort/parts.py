"""What files gave beside their resources (losses, counts, names), stretch by stretch, and the stretches of a file as one.

A stretch goes back as a `Part` from the process or Spark worker that read it; `merged` makes of the parts of a file the
`Contents` that a reader of the whole file would have.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from fhir_elig.errors import Finding
from fhir_elig.sources.contents import Contents, Loss, NextPage
from fhir_elig.sources.file_reading import settle_types

_ENOUGH = 2  # patients of a file that are kept by name: whether it is one patient's own is all that is asked


class Aside(msgspec.Struct, frozen=True, array_like=True):
    """Something that was set aside: the number of its line (from 1, in its stretch) and the byte where that begins; 0 and -1
    in a file that is no NDJSON, or where that cannot be told."""

    finding: Finding
    line: int = 0
    offset: int = -1


class Part(msgspec.Struct, array_like=True):
    """What one stretch of a file gave, resources apart; the fields are those of `Contents`."""

    name: str
    file: int = 0
    lines: int = 0
    read: int = 0
    bundles: int = 0
    by_line: bool = False
    mentions_patient: bool = False
    foreign: bool = False
    counts: dict[str, int] = {}
    patients: list[str] = []
    held: list[str] = []
    losses: list[Loss] = []
    aside: list[Aside] = []
    own_pages: list[str] = []
    next_pages: list[NextPage] = []
    manifest: dict[str, Any] | None = None
    links: list[dict[str, Any]] = []
    shared: int = 0
    digest: bytes = b""


class Few(set[str]):
    """A set that keeps no more than are asked for."""

    def add(self, element: str) -> None:
        if len(self) < _ENOUGH:
            super().add(element)

    def __ior__(self, others: Iterable[str]) -> Few:  # type: ignore[override,misc]
        for one in others:
            self.add(one)
        return self


def part_of(contents: Contents, aside: list[Aside], **more: Any) -> Part:
    """What was read as a part; `more` are the fields that `Contents` does not have."""
    return Part(
        name=contents.name,
        read=contents.read,
        bundles=contents.bundles,
        by_line=contents.by_line,
        mentions_patient=contents.mentions_patient,
        foreign=contents.foreign,
        counts=dict(contents.counts),
        patients=sorted(contents.patients)[:_ENOUGH],
        held=sorted(contents.held)[:_ENOUGH],
        losses=contents.losses,
        aside=aside,
        own_pages=sorted(contents.own_pages),
        next_pages=contents.next_pages,
        manifest=contents.manifest,
        **more,
    )


def merged(parts: list[Part]) -> tuple[Contents, list[Aside]]:
    """The stretches of one file, in order, as one; lines are counted from the start of the file."""
    contents = Contents(parts[0].name)
    contents.patients, contents.held = Few(), Few()
    aside: list[Aside] = []
    before = 0
    for part in parts:
        contents.losses += [_moved(loss, part, before) for loss in part.losses]
        aside += [_placed(one, part, before) for one in part.aside]
        contents.patients |= set(part.patients)
        contents.held |= set(part.held)
        contents.counts.update(part.counts)  # a type of which a broken line speaks counts as 0
        contents.read += part.read
        contents.bundles += part.bundles
        contents.by_line |= part.by_line
        contents.mentions_patient |= part.mentions_patient
        contents.foreign |= part.foreign
        contents.own_pages |= set(part.own_pages)
        contents.next_pages += part.next_pages
        contents.manifest = contents.manifest or part.manifest
        before += part.lines
    if contents.by_line:
        settle_types(contents)
        if contents.aside:  # nothing of it is FHIR
            aside = [Aside(finding) for finding in contents.aside]
    return contents, aside


def _moved(loss: Loss, part: Part, lines: int) -> Loss:
    return msgspec.structs.replace(loss, where=_place(loss.where, part, lines)) if lines else loss


def _placed(aside: Aside, part: Part, lines: int) -> Aside:
    if not lines:
        return aside
    place, _, reference = aside.finding.where.removeprefix(part.name).partition(" ")
    where = f"{_place(part.name + place, part, lines)} {reference}".strip()
    return Aside(aside.finding._replace(where=where), aside.line + lines, aside.offset)


def _place(where: str, part: Part, lines: int) -> str:
    """`name:line` with the line's number in the file, of one in the stretch."""
    number = where.removeprefix(part.name + ":")
    return f"{part.name}:{int(number) + lines}" if number.isdigit() else where
