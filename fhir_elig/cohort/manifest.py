"""`manifest.json`: what a run was made with. A later step may use a run's results only as far as this says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from fhir_elig._version import __version__
from fhir_elig.cli.pipeline import Screening
from fhir_elig.cohort.folder import MANIFEST, RunFolder, whole_file
from fhir_elig.cohort.settings import RunOptions
from fhir_elig.errors import DataError
from fhir_elig.outputs.protocol_tree import tree

SCHEMA, FACTS_SCHEMA = "fhir-elig/run/1", "fhir-elig/facts/1"


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """A protocol of the run; `tree` holds its criteria (outputs.protocol_tree).

    `decisions` are the site's readings by criterion, `milestones` those that the run or the site gave a date.
    """

    id: str
    version: str
    sha256: str
    title: str
    tree: dict[str, Any]
    decisions: dict[str, str]
    milestones: tuple[str, ...]


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """The files that were read. `sha256` is over names, sizes and contents; empty until all of them were read."""

    path: str
    files: int
    bytes: int
    sha256: str = ""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Persons, but for `quarantined`, which counts pieces of the data. `patients` = `assessed` + `not_assessed`."""

    patients: int
    assessed: int
    not_assessed: int
    quarantined: int
    orphans: int


class KeptFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Of a facts cache: SHA-256 of what the site file says about reading; once it is there, the file's row groups and SHA-256."""

    reading: str
    groups: int = 0
    sha256: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The published form, in the order of the file; `facts` stands in that of a facts cache only.

    `site` and `answers` are SHA-256, empty without such a file.
    """

    schema: str = SCHEMA
    package: str = __version__
    as_of: str
    protocols: tuple[Used, ...]
    mappings: str
    site: str
    answers: str
    options: RunOptions
    input: Input
    counts: Counts | None = None
    facts: KeptFacts | None = None


def make_manifest(options: RunOptions, screenings: tuple[Screening, ...], found: Input) -> Manifest:
    """The manifest of a run that begins, of settled options."""
    assert options.as_of is not None
    return Manifest(
        as_of=options.as_of,
        protocols=tuple(map(_used, screenings)),
        mappings=screenings[0].protocol.concepts.sha256,
        site=screenings[0].site.sha256,
        answers=_sha256(options.answers),
        options=options,
        input=found,
    )


def _used(screening: Screening) -> Used:
    protocol, run = screening.protocol, screening.run
    return Used(
        id=protocol.id,
        version=protocol.version,
        sha256=protocol.sha256,
        title=protocol.title,
        tree=tree(protocol),
        decisions={name: reading for name, reading in sorted(run.decisions.items()) if name in protocol.nodes},
        milestones=tuple(sorted({*run.milestones, *(name for own in run.own_milestones.values() for name in own)})),
    )


def _sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""


def write_manifest(folder: RunFolder, manifest: Manifest) -> None:
    """Raises FhirEligError (FE0701)."""
    told = msgspec.to_builtins(manifest)
    if manifest.facts is None:
        del told["facts"]
    text = json.dumps(told, ensure_ascii=False, indent=1)
    with whole_file(folder.path(MANIFEST)) as stream:
        stream.write(text.encode() + b"\n")


def read_manifest(folder: RunFolder, schema: str = SCHEMA) -> Manifest:
    """Raises UsageError if no run was begun there, DataError if its manifest is not one of that form."""
    folder.need()
    path = folder.path(MANIFEST)
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        raise DataError("the manifest of the run cannot be read", where=str(path), fix="run again into a new folder") from None
    if manifest.schema != schema:
        raise DataError(
            f"it has the form {manifest.schema}", where=str(path), fix=f"use the version that writes {manifest.schema}"
        )
    return manifest


def differences(old: Manifest, new: Manifest) -> list[str]:
    """In words, what of a run's ground is not the same any more."""
    found = [
        name
        for name in ("package", "as_of", "mappings", "site", "answers", "options")
        if getattr(old, name) != getattr(new, name)
    ]
    before = {one.id: one.sha256 for one in old.protocols}
    after = {one.id: one.sha256 for one in new.protocols}
    found += [f"protocol {name}" for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    return found
