"""`cohort run`, `resume` and `facts`: which job a command asks for."""

from __future__ import annotations

from fhir_elig.cohort.facts.cache import is_kept, is_whole
from fhir_elig.cohort.facts.jobs import FromFacts, Keeping
from fhir_elig.cohort.folder import RunFolder
from fhir_elig.cohort.job import Finished, Job
from fhir_elig.cohort.manifest import FACTS_SCHEMA, read_manifest
from fhir_elig.cohort.matrix_file import need_parquet
from fhir_elig.cohort.settings import RunOptions
from fhir_elig.errors import UsageError


def run(options: RunOptions, folder: RunFolder, jobs: int = 1) -> Finished:
    """A new run. Raises UsageError, AuthoringError, DataError, and FhirEligError (FE0701) where the disk refuses."""
    need_parquet()
    return _job(folder, options.settled(), jobs).begin()


def resume(folder: RunFolder, jobs: int = 1) -> Finished:
    """Go on with a run; with one that is done, tell how it ended. Raises as `run`, and UsageError if its ground has changed."""
    need_parquet()
    manifest = read_manifest(folder)
    return _job(folder, manifest.options, jobs).resume(manifest)


def _job(folder: RunFolder, options: RunOptions, jobs: int) -> Job:
    return (FromFacts if is_kept(options.data) else Job)(folder, options, jobs)


def keep_facts(folder: RunFolder, jobs: int = 1) -> Finished:
    """Write the facts cache of a run, or go on with that; one that is damaged is made anew. Raises as `resume`."""
    need_parquet()
    run = read_manifest(folder)
    if run.options.facts and not folder.is_finished:
        fix = f"fhir-elig cohort resume {folder.root}"
        raise UsageError("the run keeps its facts itself, and has not ended", where=str(folder.root), fix=fix)
    job = Keeping(folder, run, jobs)
    if not folder.kept.is_run:
        return job.begin()
    kept = read_manifest(folder.kept, FACTS_SCHEMA)
    if kept.counts is not None and not is_whole(folder.kept, kept):
        folder.kept.remove()
        return job.begin()
    return job.resume(kept)
