"""A run over the charts of a hospital: read and dealt by patient, then assessed shard by shard; killed at any moment, it goes on.

1. Read: pieces of the input, in any number of processes; each resource goes to the shard of its patient (`intake`, `spill`).
2. Count: patients and orphans of each shard, when all is known that one shard must know of the rest (`ground`).
3. Assess: shard by shard (`charts`, `worker`), so that memory does not grow with the cohort.
4. Write: the files of the run, sorted (`results`); the work folder goes.

After each piece of work a transaction in the checkpoint says that it is done. What a piece gives does not depend on when, by
which process, or after how many interruptions it was done, so the files of the run do not either.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec

from fhir_elig.cli.pipeline import PARTIAL, Screening, exit_code
from fhir_elig.cohort.charts import store_medications
from fhir_elig.cohort.checkpoint import Checkpoint
from fhir_elig.cohort.folder import CHECKPOINT, LOCK, RunFolder, clear, writing
from fhir_elig.cohort.ground import Complete, Ground, Survey, base_of, first_orphans, lay, vouchers_of
from fhir_elig.cohort.manifest import Counts, Input, Manifest, differences, make_manifest, read_manifest, write_manifest
from fhir_elig.cohort.matrix_file import need_parquet
from fhir_elig.cohort.pieces import InputFile, look, plan, shards_for
from fhir_elig.cohort.pool import Pool
from fhir_elig.cohort.progress import Progress
from fhir_elig.cohort.results import write_results
from fhir_elig.cohort.settings import RunOptions, screenings
from fhir_elig.cohort.spill import SpillReader
from fhir_elig.errors import DataError, FhirEligError, UsageError
from fhir_elig.sources.file_walk import Walk, walk


class Finished(msgspec.Struct, frozen=True):
    """How a run ended."""

    manifest: Manifest
    exit_code: int


def run(options: RunOptions, folder: RunFolder, jobs: int = 1) -> Finished:
    """A new run. Raises UsageError, AuthoringError, DataError, and FhirEligError (FE0701) where the disk refuses."""
    need_parquet()
    options = options.settled()
    grounds = screenings(options)
    found = walk(Path(options.data))
    files = look(found)
    folder.create()
    with _locked(folder):
        folder.sweep()
        manifest = make_manifest(options, grounds, _input(options, files))
        write_manifest(folder, manifest)
        return _Run(folder, manifest, grounds, found, files, jobs).go()


def resume(folder: RunFolder, jobs: int = 1) -> Finished:
    """Go on with a run; with one that is done, tell how it ended. Raises as `run`, and UsageError if its ground has changed."""
    need_parquet()
    manifest = read_manifest(folder)
    with _locked(folder):
        folder.sweep()
        grounds = screenings(manifest.options)
        found = walk(Path(manifest.options.data))
        files = look(found)
        now = make_manifest(manifest.options, grounds, manifest.input)
        changed = differences(manifest, now)
        if changed:
            fix = "put it back as it was, or run again into a new folder"
            raise UsageError(f"not the same any more: {', '.join(changed)}", where=str(folder.root), fix=fix)
        return _Run(folder, manifest, grounds, found, files, jobs).go()


def _input(options: RunOptions, files: list[InputFile]) -> Input:
    return Input(path=options.data, files=len(files), bytes=sum(file.size for file in files))


@contextlib.contextmanager
def _locked(folder: RunFolder) -> Iterator[None]:
    """Nobody else works in the folder. The lock goes with the process, however that ends."""
    import fcntl

    with writing(folder.root), open(folder.path(LOCK), "wb", opener=_private) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            why = "another process works on this run"
            raise UsageError(why, where=str(folder.root), fix="wait for it, or end it first") from None
        yield


def _private(path: str, flags: int) -> int:
    import os

    return os.open(path, flags, 0o600)


class _Run:
    """One go at a run, from wherever its checkpoint stands."""

    def __init__(
        self,
        folder: RunFolder,
        manifest: Manifest,
        grounds: tuple[Screening, ...],
        found: Walk,
        files: list[InputFile],
        jobs: int,
    ) -> None:
        self.folder, self.manifest, self.grounds = folder, manifest, grounds
        self.found, self.files, self.jobs = found, files, jobs

    def go(self) -> Finished:
        with Checkpoint(self.folder.path(CHECKPOINT)) as checkpoint:
            self._plan(checkpoint)
            if not self.folder.is_finished or self.manifest.counts is None:
                self._work(checkpoint)
            return Finished(self.manifest, exit_code(checkpoint.codes(), self._counts.assessed))

    @property
    def _counts(self) -> Counts:
        assert self.manifest.counts is not None
        return self.manifest.counts

    def _plan(self, checkpoint: Checkpoint) -> None:
        if not checkpoint.get("shards"):
            checkpoint.plan(self.files, plan(self.files), shards_for(self.files))
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
            ground = self._read(checkpoint, pool, shards)
            self._count(checkpoint, pool, ground)
            self._assess(checkpoint, pool, ground)
        self._write(checkpoint)

    def _read(self, checkpoint: Checkpoint, pool: Pool, shards: int) -> Ground:
        """Read what is still to be read; once more, if a manifest proves to tell to which server absolute references lead."""
        self._read_pieces(checkpoint, pool)
        survey = Survey(checkpoint.parts())
        vouchers = vouchers_of(survey, checkpoint)
        base = base_of(vouchers)
        if base and any(file.losses for file in survey.files) and not checkpoint.get("base"):
            checkpoint.read_again(base)
            return self._read(checkpoint, pool, shards)
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

    def _count(self, checkpoint: Checkpoint, pool: Pool, ground: Ground) -> None:
        uncounted = checkpoint.uncounted()
        if uncounted:
            pool.tell("know", ground)
            for counted in pool.each("count", ((shard,) for shard in uncounted)):
                checkpoint.counted(counted.shard, counted.patients, counted.orphans)
        if not checkpoint.patients():
            raise DataError("there is no Patient in the data", where=self.manifest.input.path, fix="add the Patient resources")

    def _assess(self, checkpoint: Checkpoint, pool: Pool, ground: Ground) -> None:
        pool.tell("know", msgspec.structs.replace(ground, remarks=first_orphans(checkpoint)))
        progress = Progress("assessing", checkpoint.patients(), "patients")
        for done in pool.each("assess", ((shard,) for shard in checkpoint.open_shards())):
            checkpoint.shard_done(done)
            progress.advance(len(done.results) // len(self.grounds) + len(done.failures))
        progress.finish()

    def _write(self, checkpoint: Checkpoint) -> None:
        """The files of the run, once every patient is proved to be there once."""
        patients, assessed = checkpoint.patients(), checkpoint.assessed()
        failed = sum(1 for _ in checkpoint.failures())
        if patients != assessed + failed or checkpoint.number_of_results() != assessed * len(self.grounds):
            why = f"{patients} patients went in, {assessed} were assessed and {failed} were not"
            raise FhirEligError(
                why, code="FE0901", where=str(self.folder.root), fix="please report this; use nothing of this run"
            )
        with writing(self.folder.root):
            quarantined = write_results(self.folder, checkpoint, self.found, len(self.grounds))
        orphans = sum(1 for _ in checkpoint.orphans())
        if quarantined:
            checkpoint.put(f"code {PARTIAL}", "1")
        counts = Counts(patients=patients, assessed=assessed, not_assessed=failed, quarantined=quarantined, orphans=orphans)
        digest = sha256()
        for parts in checkpoint.parts():
            digest.update(repr((parts[0].name, [part.digest.hex() for part in parts])).encode())
        read = msgspec.structs.replace(self.manifest.input, sha256=digest.hexdigest())
        self.manifest = msgspec.structs.replace(self.manifest, counts=counts, input=read)
        write_manifest(self.folder, self.manifest)
        with writing(self.folder.work):
            clear(self.folder.work)
