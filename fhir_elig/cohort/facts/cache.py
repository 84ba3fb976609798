"""A facts cache as a folder: what it was read with, whether it is whole, and how a run writes one in its own pass."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import msgspec

from fhir_elig.cohort.checkpoint import Checkpoint
from fhir_elig.cohort.folder import FACTS, MANIFEST, QUARANTINE, RunFolder, locked, whole_file, writing
from fhir_elig.cohort.manifest import FACTS_SCHEMA, KeptFacts, Manifest, differences, read_manifest, write_manifest
from fhir_elig.cohort.results import write_kept
from fhir_elig.cohort.settings import RunOptions
from fhir_elig.errors import DataError, FhirEligError
from fhir_elig.site import Site


class _Form(msgspec.Struct):
    schema: str = ""


_form_of = msgspec.json.Decoder(_Form).decode


def is_kept(data: str) -> bool:
    """Whether the input of a run is a facts cache, be it finished or not."""
    try:
        return _form_of((Path(data) / MANIFEST).read_bytes()).schema == FACTS_SCHEMA
    except (OSError, msgspec.MsgspecError):
        return False


def reading_of(site: Site) -> str:
    """SHA-256 of what a site says about reading: its zone, decimal commas, labels, and the codes that it adds."""
    file = site.file
    said = (file.time_zone, file.decimal_comma, file.security_labels.allow, file.codes, file.complete)
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()


def options_of(options: RunOptions) -> RunOptions:
    """Of a run's options those of its cache: how the facts came to be kept is none of them."""
    return msgspec.structs.replace(options, after="", facts=False)


def read_otherwise(kept: Manifest, now: Manifest, site: Site) -> list[str]:
    """In words, what facts are read with now and were not then."""
    assert kept.facts is not None
    changed = [name for name in ("package", "mappings") if getattr(kept, name) != getattr(now, name)]
    if kept.facts.reading != reading_of(site):
        changed.append("what the site file says about reading")
    return changed


def is_whole(cache: RunFolder, kept: Manifest) -> bool:
    """Whether the facts are, byte for byte, what was written."""
    assert kept.facts is not None
    try:
        with cache.path(FACTS).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == kept.facts.sha256
    except OSError:
        return False


def check_whole(cache: RunFolder, kept: Manifest) -> None:
    """Raises DataError unless `is_whole`."""
    if not is_whole(cache, kept):
        fix = f"fhir-elig cohort facts {cache.root.parent}  makes them anew"
        why = "the facts are damaged: the file is not what was written"
        raise DataError(why, where=str(cache.path(FACTS)), fix=fix)


def why_not(now: Manifest, site: Site) -> str:
    """Why the facts of the earlier run cannot be taken over, in words; empty if they can."""
    folder = RunFolder(Path(now.options.after))
    if not folder.kept.is_finished:
        return "that run has kept none, or not to the end"
    try:
        kept = read_manifest(folder.kept, FACTS_SCHEMA)
        if kept.facts is None or kept.input.sha256 != read_manifest(folder).input.sha256:
            return "those that it has are of other charts"
        changed = read_otherwise(kept, now, site)
        changed += differences(
            kept, msgspec.structs.replace(now, as_of=kept.as_of, protocols=kept.protocols, options=kept.options)
        )
        if changed:
            return f"not read as there: {', '.join(dict.fromkeys(changed))}"
        check_whole(folder.kept, kept)
    except FhirEligError as error:
        return error.findings[0].why
    return ""


def keep_beside(folder: RunFolder, run: Manifest, checkpoint: Checkpoint, site: Site) -> None:
    """Writes the cache of a run that kept the facts of its charts in its own pass, as one that reads them once more would.

    `run` is the manifest of the run as it ends. Raises FhirEligError (FE0701), and DataError where facts of an earlier run were
    taken over that are not there any more.
    """
    assert run.counts is not None
    why = why_not(run, site) if checkpoint.takes_facts() else ""
    if why:
        fix = "put them back and resume the run, or run again into a new folder"
        raise DataError(f"the facts that were taken over are not there any more: {why}", where=run.options.after, fix=fix)
    cache = folder.kept
    with writing(cache.root):
        cache.root.mkdir(mode=0o700, exist_ok=True)
    with locked(cache):
        cache.sweep()
        cache.path(MANIFEST).unlink(missing_ok=True)
        groups, sha256 = write_kept(cache, folder.work, checkpoint, RunFolder(Path(run.options.after)).kept)
        with whole_file(cache.path(QUARANTINE)) as stream, folder.path(QUARANTINE).open("rb") as found:
            shutil.copyfileobj(found, stream)
        counts = msgspec.structs.replace(run.counts, assessed=run.counts.patients, not_assessed=0)
        kept = KeptFacts(reading=reading_of(site), groups=groups, sha256=sha256)
        told = msgspec.structs.replace(run, schema=FACTS_SCHEMA, options=options_of(run.options), counts=counts, facts=kept)
        write_manifest(cache, told)
