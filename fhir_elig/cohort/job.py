"""A run over the charts of a hospital: read and dealt by patient, then assessed shard by shard; killed at any moment, it goes on.

1. Read: pieces of the input, in any number of processes; each resource goes to the shard of its patient (`intake`, `spill`).
2. Count: patients and orphans of each shard, when all is known that one shard must know of the rest (`ground`).
3. Assess: shard by shard (`charts`, `worker`), so that memory does not grow with the cohort.
4. Write: the files of the run, sorted (`results`); the work folder goes.

After each piece of work a transaction in the checkpoint says that it is done. What a piece gives does not depend on when, by
which process, or after how many interruptions it was done, so the files of the run do not either.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec

from fhir_elig.cli.pipeline import PARTIAL, exit_code
from fhir_elig.cohort.charts import store_medications
from fhir_elig.cohort.checkpoint import Checkpoint
from fhir_elig.cohort.facts.cache import keep_beside, why_not as why_no_facts
from fhir_elig.cohort.folder import CHECKPOINT, RESULTS, RunFolder, clear, locked, writing
from fhir_elig.cohort.ground import Complete, Ground, Survey, Unusable, base_of, first_orphans, lay, vouchers_of
from fhir_elig.cohort.manifest import Counts, Input, Manifest, differences, make_manifest, write_manifest
from fhir_elig.cohort.pieces import look, plan, shards_for
from fhir_elig.cohort.pool import Pool
from fhir_elig.cohort.progress import Progress
from fhir_elig.cohort.results import write_quarantine, write_results
from fhir_elig.cohort.settings import RunOptions, screenings
from fhir_elig.cohort.spill import SpillReader
from fhir_elig.errors import FhirEligError, UsageError
from fhir_elig.sources.file_walk import walk


class Finished(msgspec.Struct, frozen=True):
    """How a run ended."""

    manifest: Manifest
    exit_code: int
    taken: int = 0  # persons whose results are those of an earlier run
    facts_anew: str = ""  # why none of the facts of that run were taken over

    @property
    def patients(self) -> int:
        return self.manifest.counts.patients if self.manifest.counts is not None else 0


class Job:
    """One go at a run, from wherever its checkpoint stands. Raises UsageError and AuthoringError for what the options say."""

    method = "assess"  # of the Worker, for each shard
    results: tuple[str, ...] = RESULTS  # the files that it leaves

    def __init__(self, folder: RunFolder, options: RunOptions, jobs: int = 1) -> None:
        self.folder, self.options, self.jobs = folder, options, jobs
        self.grounds = screenings(options)
        self.facts_anew = ""
        self.look()

    def look(self) -> None:
        """What there is to be read."""
        self.found = walk(Path(self.options.data))
        self.files = look(self.found)

    def begin(self) -> Finished:
        """A new run. Raises UsageError if the folder is in use, DataError, and FhirEligError (FE0701) where the disk refuses."""
        self.folder.create()
        with locked(self.folder):
            self.folder.sweep()
            self.manifest = self.describe(self.source())
            write_manifest(self.folder, self.manifest)
            return self.go()

    def resume(self, manifest: Manifest) -> Finished:
        """Go on with the run; if it is done, tell how it ended. Raises as `begin`, and UsageError if its ground has changed."""
        with locked(self.folder):
            self.folder.sweep()
            changed = differences(manifest, self.describe(manifest.input))
            if changed:
                fix = "put it back as it was, or run again into a new folder"
                raise UsageError(f"not the same any more: {', '.join(changed)}", where=str(self.folder.root), fix=fix)
            self.manifest = manifest
            return self.go()

    @property
    def outputs(self) -> int:
        """What is made for each patient: an assessment for each protocol."""
        return len(self.grounds)

    def source(self) -> Input:
        """The input as the manifest tells of it."""
        return Input(path=self.options.data, files=len(self.files), bytes=sum(file.size for file in self.files))

    def describe(self, source: Input) -> Manifest:
        return make_manifest(self.options, self.grounds, source)

    def go(self) -> Finished:
        try:
            return self._to_the_end()
        except Unusable:
            self.folder.abandon()
            raise

    def _to_the_end(self) -> Finished:
        with Checkpoint(self.folder.path(CHECKPOINT)) as checkpoint:
            self._check_plan(checkpoint)
            if self.manifest.counts is None:
                self._work(checkpoint)
            self._tidy()
            return Finished(
                self.manifest, exit_code(self._codes(checkpoint), self._counts.assessed), checkpoint.taken(), self.facts_anew
            )

    def _codes(self, checkpoint: Checkpoint) -> frozenset[int]:
        return checkpoint.codes() | ({PARTIAL} if self._counts.quarantined else frozenset())

    @property
    def _counts(self) -> Counts:
        assert self.manifest.counts is not None
        return self.manifest.counts

    def plan(self, checkpoint: Checkpoint) -> None:
        """Cut the work into pieces."""
        checkpoint.plan(self.files, plan(self.files), shards_for(self.files))

    def _check_plan(self, checkpoint: Checkpoint) -> None:
        if not checkpoint.get("shards"):
            self.plan(checkpoint)
        planned = {file.name: file for file in checkpoint.files()}
        now = {file.name: file for file in self.files}
        changed = sorted(name for name in planned.keys() | now.keys() if planned.get(name) != now.get(name))
        if changed:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            fix = "put them back as they were, or run again into a new folder"
            raise UsageError(
                f"the input has changed since the run began: {changed[0]}{more}", where=self.manifest.input.path, fix=fix
            )

    def _work(self, checkpoint: Checkpoint) -> None:
        shards = int(checkpoint.get("shards"))
        with writing(self.folder.work):
            self.folder.work.mkdir(mode=0o700, exist_ok=True)
        with Pool(self.jobs, self.manifest.options, self.folder.work, shards, self.grounds) as pool:
            ground = self.read(checkpoint, pool, shards)
            self._count(checkpoint, pool, ground)
            self._assess(checkpoint, pool, ground)
        self._write(checkpoint)

    def read(self, checkpoint: Checkpoint, pool: Pool, shards: int) -> Ground | None:
        """Read what is still to be read; once more, if a manifest proves to tell to which server absolute references lead."""
        self._read_pieces(checkpoint, pool)
        survey = Survey(checkpoint.parts())
        vouchers = vouchers_of(survey, checkpoint)
        base = base_of(vouchers)
        if base and any(file.losses for file in survey.files) and not checkpoint.get("base"):
            checkpoint.read_again(base)
            return self.read(checkpoint, pool, shards)
        reader = SpillReader(self.folder.work, checkpoint.spills(), shards)
        with writing(self.folder.work):
            store_medications(reader, self.folder.work)
        return lay(survey, vouchers, checkpoint, reader, self.found, self._complete)

    @property
    def _complete(self) -> Complete:
        names = self.grounds[0].complete
        return "all" if "all" in names else names

    def _read_pieces(self, checkpoint: Checkpoint, pool: Pool) -> None:
        pieces = checkpoint.open_pieces()
        progress = Progress("reading", sum(piece.size for piece in pieces), "MB")
        base = checkpoint.get("base") or None
        for read in pool.each("read", ((piece, base) for piece in pieces)):
            checkpoint.piece_done(read.piece, read.spills, read.parts)
            progress.advance(read.piece.size)
        progress.finish()

    def _count(self, checkpoint: Checkpoint, pool: Pool, ground: Ground | None) -> None:
        uncounted = checkpoint.uncounted()
        if uncounted:
            pool.tell("know", ground)
            for counted in pool.each("count", ((shard,) for shard in uncounted)):
                checkpoint.counted(counted.shard, counted.patients, counted.orphans)
        if not checkpoint.patients():
            raise Unusable("there is no Patient in the data", where=self.manifest.input.path, fix="add the Patient resources")

    def _assess(self, checkpoint: Checkpoint, pool: Pool, ground: Ground | None) -> None:
        pool.tell("know", ground and msgspec.structs.replace(ground, remarks=first_orphans(checkpoint)), self._facts_stand())
        before = checkpoint.assessed() + sum(1 for _ in checkpoint.failures())
        progress = Progress("assessing", checkpoint.patients(), "patients", before)
        for done in pool.each(self.method, ((shard,) for shard in checkpoint.open_shards())):
            checkpoint.shard_done(done)
            progress.advance(done.persons)
        progress.finish()

    def _facts_stand(self) -> bool:
        """Whether the facts of the earlier run may stand for charts that did not change."""
        if not (self.options.facts and self.options.after):
            return False
        self.facts_anew = why_no_facts(self.manifest, self.grounds[0].site)
        return not self.facts_anew

    def persons(self, checkpoint: Checkpoint) -> int:
        """With everything that is made for each."""
        return checkpoint.assessed()

    def _write(self, checkpoint: Checkpoint) -> None:
        """The files of the run, once every patient is proved to be there once."""
        patients, assessed = checkpoint.patients(), self.persons(checkpoint)
        failed = sum(1 for _ in checkpoint.failures())
        missing = self.options.facts and checkpoint.kept() != patients
        if missing or patients != assessed + failed or checkpoint.number_of_results() != assessed * self.outputs:
            why = f"{patients} patients went in, {assessed} were assessed and {failed} were not"
            raise FhirEligError(
                why, code="FE0901", where=str(self.folder.root), fix="please report this; use nothing of this run"
            )
        with writing(self.folder.root):
            self.manifest = self.write(checkpoint)
            quarantined, orphans = self.set_aside(checkpoint)
        counts = Counts(patients=patients, assessed=assessed, not_assessed=failed, quarantined=quarantined, orphans=orphans)
        read = msgspec.structs.replace(self.manifest.input, sha256=self.digest(checkpoint))
        self.manifest = msgspec.structs.replace(self.manifest, counts=counts, input=read)
        if self.options.facts:
            keep_beside(self.folder, self.manifest, checkpoint, self.grounds[0].site)
        write_manifest(self.folder, self.manifest)

    def _tidy(self) -> None:
        """Remove the work folder of a run that is written; part of it may be gone, where a process was killed over it."""
        lost = [name for name in self.results if not self.folder.path(name).is_file()]
        if lost:
            why = f"the run was at its end, and its file {lost[0]} is not there any more"
            raise UsageError(why, where=str(self.folder.root), fix="run again into a new folder")
        with writing(self.folder.work):
            clear(self.folder.work)

    def write(self, checkpoint: Checkpoint) -> Manifest:
        """The files of the run, but for what was set aside; gives the manifest."""
        write_results(self.folder, checkpoint, len(self.grounds))
        return self.manifest

    def set_aside(self, checkpoint: Checkpoint) -> tuple[int, int]:
        """Writes what was set aside; gives the number of pieces, and how many of them are resources of nobody."""
        return write_quarantine(self.folder, checkpoint, self.found), sum(1 for _ in checkpoint.orphans())

    def digest(self, checkpoint: Checkpoint) -> str:
        """SHA-256 of the input: of names, sizes and contents."""
        digest = sha256()
        for parts in checkpoint.parts():
            digest.update(repr((parts[0].name, [part.digest.hex() for part in parts])).encode())
        return digest.hexdigest()
