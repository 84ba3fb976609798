"""The two jobs about facts: to keep those of a run, and to run over what was kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from fhir_elig.cohort.checkpoint import Checkpoint
from fhir_elig.cohort.facts.cache import check_whole, is_kept, options_of, read_otherwise, reading_of
from fhir_elig.cohort.folder import FACTS, QUARANTINE, RunFolder, whole_file
from fhir_elig.cohort.ground import Ground
from fhir_elig.cohort.job import Job
from fhir_elig.cohort.manifest import FACTS_SCHEMA, Input, KeptFacts, Manifest, differences, make_manifest, read_manifest
from fhir_elig.cohort.pieces import InputFile
from fhir_elig.cohort.pool import Pool
from fhir_elig.cohort.results import write_kept
from fhir_elig.errors import UsageError


class Keeping(Job):
    """Reads the input of a run once more and keeps the facts. The folder is that of the cache, in that of the run."""

    method = "keep"
    results = (FACTS, QUARANTINE)

    def __init__(self, folder: RunFolder, run: Manifest, jobs: int = 1) -> None:
        if is_kept(run.options.data):
            raise UsageError("the run was made from facts", where=str(folder.root), fix=f"they are in {run.options.data}")
        super().__init__(folder.kept, options_of(run.options), jobs)
        self.run = run
        changed = differences(run, make_manifest(run.options, self.grounds, run.input))
        if changed:
            fix = "put it back as it was, or run again into a new folder"
            raise UsageError(f"not the same any more: {', '.join(changed)}", where=str(folder.root), fix=fix)

    @property
    def outputs(self) -> int:
        return 0

    def persons(self, checkpoint: Checkpoint) -> int:
        return checkpoint.kept()

    def describe(self, source: Input) -> Manifest:
        kept = KeptFacts(reading=reading_of(self.grounds[0].site))
        return msgspec.structs.replace(super().describe(source), schema=FACTS_SCHEMA, facts=kept)

    def write(self, checkpoint: Checkpoint) -> Manifest:
        before = self.run.input.sha256
        if before and before != self.digest(checkpoint):
            why = "the input has changed since the run: these would not be its facts"
            raise UsageError(why, where=self.run.input.path, fix="run again into a new folder, then keep the facts of that run")
        groups, sha256 = write_kept(self.folder, self.folder.work, checkpoint, self.folder)
        assert self.manifest.facts is not None
        kept = msgspec.structs.replace(self.manifest.facts, groups=groups, sha256=sha256)
        return msgspec.structs.replace(self.manifest, facts=kept)


class FromFacts(Job):
    """A run whose input is a facts cache: nothing is read but Parquet."""

    def look(self) -> None:
        if self.options.after:
            why = "whether a chart changed since is seen in charts, not in facts"
            raise UsageError(why, code="FE0105", where="--after", fix="leave it out: a run over facts reads no charts")
        if self.options.facts:
            why = "the facts of this run are those that it is given"
            raise UsageError(why, code="FE0105", where="--facts", fix="leave it out: a run over facts reads no charts")
        self.cache = RunFolder(Path(self.options.data))
        self.kept = read_manifest(self.cache, FACTS_SCHEMA)
        self._check(self.kept)
        path = self.cache.path(FACTS)
        seen = path.stat()
        self.files = [InputFile(0, str(path), FACTS, seen.st_size, seen.st_mtime_ns)]

    def _check(self, kept: Manifest) -> None:
        """Raises UsageError unless what was kept is what a run over the charts would read now."""
        where = self.options.data
        if kept.facts is None or not kept.facts.groups or not self.cache.is_finished:
            raise UsageError(
                "the facts are not kept to the end", where=where, fix=f"fhir-elig cohort facts {self.cache.root.parent}"
            )
        now = make_manifest(self.options, self.grounds, kept.input)
        changed = read_otherwise(kept, now, self.grounds[0].site)
        if changed:
            why = f"the facts were read with something else: {', '.join(changed)}"
            raise UsageError(why, where=where, fix="run over the charts again, then  fhir-elig cohort facts RUN")
        if self.options.complete and _types(self.options.complete) != _types(kept.options.complete):
            why = f"the facts were read with --complete {kept.options.complete or 'left out'}"
            raise UsageError(why, code="FE0105", where="--complete", fix="leave it out, or run over the charts again")
        check_whole(self.cache, kept)

    def plan(self, checkpoint: Checkpoint) -> None:
        assert self.kept.facts is not None
        checkpoint.plan(self.files, (), self.kept.facts.groups)

    def read(self, checkpoint: Checkpoint, pool: Pool, shards: int) -> Ground | None:
        return None

    def set_aside(self, checkpoint: Checkpoint) -> tuple[int, int]:
        assert self.kept.counts is not None
        with whole_file(self.folder.path(QUARANTINE)) as stream, self.cache.path(QUARANTINE).open("rb") as kept:
            shutil.copyfileobj(kept, stream)
        return self.kept.counts.quarantined, self.kept.counts.orphans

    def digest(self, checkpoint: Checkpoint) -> str:
        return self.kept.input.sha256


def _types(complete: str) -> frozenset[str]:
    return frozenset(name.strip() for name in complete.split(",")) - {""}
