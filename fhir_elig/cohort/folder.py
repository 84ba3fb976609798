"""The folder of a run: the names in it, who may read it, and files that are there wholly or not at all.

Everything in it tells of patients: the folder is 0700 and each file 0600, whatever the umask. docs/reference/run-folder.md
describes the files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fhir_elig.errors import FhirEligError, UsageError

MANIFEST, CHECKPOINT, LOCK = "manifest.json", "checkpoint.sqlite", "lock"
ASSESSMENTS, MATRIX = "assessments.ndjson", "matrix.parquet"
QUARANTINE, ERRORS, WORK = "quarantine.ndjson", "errors.ndjson", "work"
EXPORT = "export"  # the files of a bulk export, if the run made one
FUNNEL, LISTS = "funnel.html", "funnel-lists.csv"
FACTS, KEPT = "facts.parquet", "facts"  # a facts cache is a folder of its own, in that of the run
RESULTS = (ASSESSMENTS, MATRIX, QUARANTINE, ERRORS)
# SQLite keeps its journal beside the database.
_ALL = (*RESULTS, FACTS, FUNNEL, LISTS, MANIFEST, CHECKPOINT, f"{CHECKPOINT}-wal", f"{CHECKPOINT}-shm", LOCK)


class RunFolder:
    """A run's folder; `path(name)` is a file in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        return self.root / name

    @property
    def work(self) -> Path:
        return self.root / WORK

    @property
    def kept(self) -> RunFolder:
        """The folder of the run's facts cache."""
        return RunFolder(self.root / KEPT)

    @property
    def is_run(self) -> bool:
        """Whether a run was begun here."""
        return self.path(MANIFEST).is_file() or self.path(CHECKPOINT).is_file()

    @property
    def is_finished(self) -> bool:
        return any(self.path(name).is_file() for name in (MATRIX, FACTS)) and not self.work.exists()

    def create(self) -> None:
        """Make the folder, for a new run. Raises UsageError if a run, or anything else, is there; FhirEligError (FE0701)."""
        with writing(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.is_run:
                fix = f"fhir-elig cohort resume {self.root}  goes on with it; name another folder for a new one"
                raise UsageError("a run was begun in this folder", where=f"--out {self.root}", fix=fix)
            if any(not self._may_stay(entry) for entry in self.root.iterdir()):
                raise UsageError("the folder is not empty", where=f"--out {self.root}", fix="name a folder of its own")
            self.root.chmod(0o700)
            self.work.mkdir(mode=0o700, exist_ok=True)

    def _may_stay(self, entry: Path) -> bool:
        """A bulk export, and what a run leaves that is killed before it has written its manifest."""
        if entry == self.work:
            return entry.is_dir() and not any(entry.iterdir())
        return entry.name in (EXPORT, LOCK) or entry.match(f"{MANIFEST}.*.part")

    def create_export(self) -> Path:
        """Make the folder that a bulk export fills before the run begins; an export that was begun is found there. Raises as
        `create`."""
        with writing(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.is_run or any(entry.name != EXPORT for entry in self.root.iterdir()):
                raise UsageError("the folder is not empty", where=f"--out {self.root}", fix="name a folder of its own")
            self.root.chmod(0o700)
            self.path(EXPORT).mkdir(mode=0o700, exist_ok=True)
        return self.path(EXPORT)

    def need(self) -> None:
        """Raises UsageError if no run was begun here."""
        if not self.is_run:
            raise UsageError("this is no folder of a run", where=str(self.root), fix="name the folder of  cohort run --out")

    def sweep(self) -> None:
        """Remove what a process that was killed left half written. Raises FhirEligError (FE0701)."""
        with writing(self.root):
            for name in _ALL:
                for part in self.root.glob(f"{name}.*.part"):
                    part.unlink()

    def purge(self) -> list[str]:
        """Remove the run; gives the names of what is not the run's and stays, sorted. Raises FhirEligError (FE0701)."""
        self.need()
        return self.remove()

    def remove(self) -> list[str]:
        """As `purge`, however little of a run is there."""
        self.sweep()
        self.abandon()
        with writing(self.root):
            clear(self.path(EXPORT))
            if self.kept.root.is_dir():
                self.kept.remove()
            left = sorted(entry.name for entry in self.root.iterdir())
            if not left:
                self.root.rmdir()
        return left

    def abandon(self) -> None:
        """Remove a run of which nothing can come; what it was given, a bulk export, stays. Raises FhirEligError (FE0701)."""
        with writing(self.root):
            clear(self.work)
            for name in _ALL:
                self.path(name).unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Remove a folder of plain files, if it is there."""
    if folder.is_dir():
        for entry in folder.iterdir():
            entry.unlink()
        folder.rmdir()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the disk refuses into an error that says so (FE0701)."""
    try:
        yield
    except OSError as error:
        why = (error.strerror or "it cannot be written").lower()
        raise FhirEligError(why, code="FE0701", where=str(path), fix="free space, or check whose folder it is") from None


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes its name only when all of it is on the disk; 0600. Raises FhirEligError (FE0701)."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with writing(path):
        try:
            with open(part, "wb", opener=_private) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Nobody else works in the folder. The lock goes with the process, however that ends. Raises UsageError."""
    import fcntl

    with writing(folder.root), open(folder.path(LOCK), "wb", opener=_private) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            why = "another process works on this run"
            raise UsageError(why, where=str(folder.root), fix="wait for it, or end it first") from None
        yield


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
