"""What must be known of the whole input before the first patient can be assessed: losses, vouchers, links, orphans.

A line that names nobody may be anybody's, a manifest vouches for patients of other files, one record may replace another: so
every piece is read before any shard is assessed. The rules are those of `sources.files`, whose parts do the work here too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from fhir_elig.cohort.checkpoint import Checkpoint
from fhir_elig.cohort.parts import Aside, Part, merged
from fhir_elig.cohort.spill import SpillReader, shard_of
from fhir_elig.errors import DataError, Finding
from fhir_elig.references import target
from fhir_elig.sources.contents import Contents, Loss
from fhir_elig.sources.coverage import Coverage
from fhir_elig.sources.file_walk import Walk
from fhir_elig.sources.files import lose_pages
from fhir_elig.sources.manifest import Voucher, read_manifest
from fhir_elig.sources.patient_links import Links, read_links

MOST_LOSSES = 100_000  # that may be anybody's: with more, nothing could be said of any patient
_TOLD = 20  # orphans that each assessment names, as `screen` does

Complete = frozenset[str] | Literal["all"]


class Unusable(DataError):
    """Of this input nothing can come, however often a run over it goes on."""


class Brief(msgspec.Struct, frozen=True):
    """What a manifest needs to know of a file."""

    name: str
    counts: Counter[str]


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one shard must know of the rest; it is sent to every process."""

    shards: int
    spills: tuple[str, ...]
    base: str | None
    coverage: Coverage
    links: Links
    vouchers: tuple[Voucher, ...]
    names: dict[int, str]  # of files by their numbers, where a voucher may ask
    remarks: tuple[str, ...] = ()  # orphans, as every chart names them


class Survey:
    """What the parts of all files come to."""

    def __init__(self, parts: Iterable[list[Part]]) -> None:
        self.files: list[Contents] = []  # those with a loss, a next page, a manifest, or foreign data
        self.linked: list[dict[str, Any]] = []
        self.resources = self.shared = self.losses = 0
        self.any_of_many = self.any_next = False
        self.first_aside: Finding | None = None
        for one in parts:
            self._take(one)

    def _take(self, parts: list[Part]) -> None:
        contents, aside = merged(parts)
        self.linked += [link for part in parts for link in part.links]
        self.shared += sum(part.shared for part in parts)
        self.resources += len(contents.patients)
        self.any_of_many |= len(contents.patients) > 1
        self.any_next |= bool(contents.next_pages)
        if aside and self.first_aside is None:
            self.first_aside = aside[0].finding
        if contents.losses or contents.next_pages or contents.manifest is not None or contents.foreign:
            self.files.append(contents)
        self.losses += sum(loss.patients is None for loss in contents.losses)
        if self.losses > MOST_LOSSES:
            raise Unusable(
                f"more than {MOST_LOSSES} pieces cannot be read or name no patient, so they may be anybody's",
                where=contents.losses[-1].where,
                fix="see the first of them: absolute references need the manifest of the export beside the files",
            )


def vouchers_of(survey: Survey, checkpoint: Checkpoint) -> list[Voucher]:
    manifests = [file for file in survey.files if file.manifest is not None]
    if not manifests:
        return []
    briefs = [Brief(parts[0].name, sum((Counter(part.counts) for part in parts), Counter())) for parts in checkpoint.parts()]
    return [read_manifest(file, briefs) for file in manifests]


def base_of(vouchers: Iterable[Voucher]) -> str:
    """The base of the one server that made the export; empty if that cannot be told."""
    bases = {voucher.base for voucher in vouchers if voucher.base}
    return bases.pop() if len(bases) == 1 else ""


def lay(
    survey: Survey, vouchers: list[Voucher], checkpoint: Checkpoint, reader: SpillReader, walk: Walk, complete: Complete
) -> Ground:
    """The ground of the second pass. Raises Unusable if there is nothing to assess."""
    if not survey.resources and not survey.shared:
        found = survey.first_aside
        why = f"nothing that is FHIR could be read: {found.why}" if found else "there is no FHIR file (*.json, *.ndjson)"
        raise Unusable(why, where=found.where if found else "--data", fix="give FHIR JSON: a Bundle, resources, or NDJSON")
    if survey.any_next:
        everything = Contents("")
        everything.own_pages = {page for parts in checkpoint.parts() for part in parts for page in part.own_pages}
        lose_pages([*survey.files, everything])
    base = checkpoint.get("base") or None
    links = _links(survey.linked, reader, base)
    coverage = _coverage(survey, vouchers, links, walk, complete)
    names = {file.number: file.name for file in checkpoint.files()} if vouchers else {}
    return Ground(
        shards=reader.shards,
        spills=tuple(checkpoint.spills()),
        base=base,
        coverage=coverage,
        links=links,
        vouchers=tuple(vouchers),
        names=names,
    )


def _coverage(survey: Survey, vouchers: list[Voucher], links: Links, walk: Walk, complete: Complete) -> Coverage:
    foreign = [finding.where for finding in walk.foreign] + [file.name for file in survey.files if file.foreign]
    coverage = Coverage(complete, foreign)
    of_many = Contents("")
    if survey.any_of_many:
        of_many.patients = {"one", "another"}
    coverage.add_files([*survey.files, of_many], links.survivors)
    for closed in walk.closed:
        coverage.add_loss(Loss(where=closed.where, why=closed.why), None)
    for voucher in vouchers:
        coverage.add_voucher(voucher, (), links.survivors)
    return coverage


def _links(linked: list[dict[str, Any]], reader: SpillReader, base: str | None) -> Links:
    """Records that replace others. A survivor need not have a link itself: it is looked for among those that are there."""
    named = {one["id"] for one in linked} | set(_others(linked, base))
    held: dict[int, set[str]] = {}
    for shard in {shard_of(patient, reader.shards) for patient in named}:
        held[shard] = {patient for patient, files in reader.names(shard).items() if files}
    there = [{"id": patient} for patient in sorted(named) if patient in held[shard_of(patient, reader.shards)]]
    return read_links([*linked, *there], base)


def _others(linked: list[dict[str, Any]], base: str | None) -> Iterator[str]:
    for one in linked:
        for link in one["link"] if isinstance(one["link"], list) else []:
            found = target(link.get("other"), base) if isinstance(link, dict) else None
            if found and found[0] == "Patient":
                yield found[1]


def remarks_on(orphans: Iterator[str]) -> tuple[str, ...]:
    return tuple(f"FE0303: {reference} names a patient who is not in the data" for reference in orphans)


def first_orphans(checkpoint: Checkpoint) -> tuple[str, ...]:
    return remarks_on(checkpoint.orphans(_TOLD))


def set_aside(checkpoint: Checkpoint, walk: Walk) -> Iterator[tuple[str, Aside]]:
    """What was set aside, each with the name of its file: folders and kinds that are not read, then file by file."""
    for finding in (*walk.closed, *walk.foreign):
        yield finding.where, Aside(finding)
    for parts in checkpoint.parts():
        for one in merged(parts)[1]:
            yield parts[0].name, one
    for reference in checkpoint.orphans():
        yield "", Aside(Finding("FE0303", reference, "its patient is not in the data", "add the Patient"))
