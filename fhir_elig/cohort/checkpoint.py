"""`checkpoint.sqlite`: what of a run is done. One transaction a piece of work, so that a run killed at any moment goes on.

SQLite with a write-ahead log: https://www.sqlite.org/wal.html. Only the process that leads a run writes to it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from fhir_elig.cohort.parts import Part
from fhir_elig.cohort.pieces import InputFile, Piece, Stretch
from fhir_elig.errors import FhirEligError

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (number INTEGER PRIMARY KEY, row BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS pieces (number INTEGER PRIMARY KEY, stretches BLOB NOT NULL, spills BLOB);
CREATE TABLE IF NOT EXISTS parts (file INTEGER, piece INTEGER, place INTEGER, part BLOB NOT NULL,
  PRIMARY KEY (file, piece, place)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shards (number INTEGER PRIMARY KEY, patients INTEGER, done INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS orphans (reference TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (patient TEXT, protocol INTEGER, shard INTEGER, at INTEGER, length INTEGER, rows INTEGER,
  PRIMARY KEY (patient, protocol)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS charts (patient TEXT PRIMARY KEY, digest BLOB NOT NULL, taken INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (patient TEXT PRIMARY KEY, shard INTEGER, at INTEGER, length INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failures (patient TEXT PRIMARY KEY, why TEXT NOT NULL) WITHOUT ROWID;
"""


class Result(msgspec.Struct, frozen=True, array_like=True):
    """Where an assessment lies: in the results of a shard, from byte `at`; its JSON line, then its rows of the matrix."""

    patient: str
    protocol: int
    at: int
    length: int
    rows: int


class Failed(msgspec.Struct, frozen=True, array_like=True):
    """A patient who could not be assessed, and why."""

    patient: str
    why: str


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """A chart that was assessed without any trouble: the patient's id, its digest, whether its results are an earlier run's."""

    patient: str
    digest: bytes
    taken: bool


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where the facts of a patient lie, in those of a shard; of the length 0 where they are those of an earlier run."""

    patient: str
    at: int
    length: int


class ShardDone(msgspec.Struct, frozen=True, array_like=True):
    """What came of a shard. `codes` are the exit codes that it asks for."""

    shard: int
    results: list[Result]
    failures: list[Failed]
    codes: list[int]
    charts: list[Seen] = []
    facts: list[Place] = []

    @property
    def persons(self) -> int:
        return max(len(self.facts), len({one.patient for one in self.results}) + len(self.failures))


class Checkpoint:
    """The store; use `close`, or a `with`. Raises FhirEligError (FE0701) where the disk refuses."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._guarded():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._store = sqlite3.connect(path, isolation_level=None)
            self._store.execute("PRAGMA journal_mode=WAL")
            self._store.execute("PRAGMA synchronous=FULL")
            self._store.executescript(_TABLES)

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            why = f"the checkpoint cannot be written: {error}"
            raise FhirEligError(why, code="FE0701", where=str(self._path), fix="free space, then resume the run") from None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it, or nothing of it."""
        with self._guarded():
            self._store.execute("BEGIN IMMEDIATE")
            try:
                yield self._store
            except BaseException:
                self._store.execute("ROLLBACK")
                raise
            self._store.execute("COMMIT")

    def get(self, name: str) -> str:
        row = self._store.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row[0] if row is not None else ""

    # What is to be read ------------------------------------------------------------------------------------------------

    def plan(self, files: Iterable[InputFile], pieces: Iterable[Piece], shards: int) -> None:
        with self.transaction() as store:
            store.executemany("INSERT INTO files VALUES (?, ?)", ((one.number, _pack(one)) for one in files))
            store.executemany(
                "INSERT INTO pieces (number, stretches) VALUES (?, ?)", ((one.number, _pack(one.stretches)) for one in pieces)
            )
            store.executemany("INSERT INTO shards (number) VALUES (?)", ((number,) for number in range(shards)))
            store.execute("INSERT INTO meta VALUES ('shards', ?)", (str(shards),))

    def files(self) -> Iterator[InputFile]:
        for (row,) in self._store.execute("SELECT row FROM files ORDER BY number"):
            yield msgspec.msgpack.decode(row, type=InputFile)

    def open_pieces(self) -> list[Piece]:
        """The pieces that are still to be read."""
        rows = self._store.execute("SELECT number, stretches FROM pieces WHERE spills IS NULL ORDER BY number")
        return [Piece(number, msgspec.msgpack.decode(blob, type=tuple[Stretch, ...])) for number, blob in rows]

    def piece_done(self, piece: Piece, spills: list[str], parts: list[Part]) -> None:
        with self.transaction() as store:
            store.execute("UPDATE pieces SET spills = ? WHERE number = ?", (_pack(spills), piece.number))
            rows = ((part.file, piece.number, place, _pack(part)) for place, part in enumerate(parts))
            store.executemany("INSERT INTO parts VALUES (?, ?, ?, ?)", rows)

    def read_again(self, base: str) -> None:
        """Forget what was read: it is read again with the base to which absolute references lead."""
        with self.transaction() as store:
            store.execute("DELETE FROM parts")
            store.execute("UPDATE pieces SET spills = NULL")
            store.execute("INSERT OR REPLACE INTO meta VALUES ('base', ?)", (base,))

    def spills(self) -> list[str]:
        rows = self._store.execute("SELECT spills FROM pieces ORDER BY number")
        return [name for (blob,) in rows for name in msgspec.msgpack.decode(blob, type=list[str])]

    def parts(self) -> Iterator[list[Part]]:
        """The parts of each file, in order."""
        held: list[Part] = []
        for (blob,) in self._store.execute("SELECT part FROM parts ORDER BY file, piece, place"):
            part = msgspec.msgpack.decode(blob, type=Part)
            if held and held[0].file != part.file:
                yield held
                held = []
            held.append(part)
        if held:
            yield held

    # What came of it ---------------------------------------------------------------------------------------------------

    def counted(self, shard: int, patients: int, orphans: Iterable[str]) -> None:
        with self.transaction() as store:
            store.execute("UPDATE shards SET patients = ? WHERE number = ?", (patients, shard))
            store.executemany("INSERT OR IGNORE INTO orphans VALUES (?)", ((one,) for one in orphans))

    def uncounted(self) -> list[int]:
        return [row[0] for row in self._store.execute("SELECT number FROM shards WHERE patients IS NULL ORDER BY number")]

    def patients(self) -> int:
        return int(self._store.execute("SELECT total(patients) FROM shards").fetchone()[0])

    def orphans(self, most: int = -1) -> Iterator[str]:
        """References of resources whose patient is not there, sorted."""
        rows = self._store.execute("SELECT reference FROM orphans ORDER BY reference LIMIT ?", (most,))
        return (row[0] for row in rows)

    def open_shards(self) -> list[int]:
        return [row[0] for row in self._store.execute("SELECT number FROM shards WHERE NOT done ORDER BY number")]

    def shard_done(self, done: ShardDone) -> None:
        with self.transaction() as store:
            results = ((one.patient, one.protocol, done.shard, one.at, one.length, one.rows) for one in done.results)
            store.executemany("INSERT INTO results VALUES (?, ?, ?, ?, ?, ?)", results)
            store.executemany("INSERT INTO failures VALUES (?, ?)", ((f.patient, f.why) for f in done.failures))
            seen = ((one.patient, one.digest, one.taken) for one in done.charts)
            store.executemany("INSERT INTO charts VALUES (?, ?, ?)", seen)
            facts = ((one.patient, done.shard, one.at, one.length) for one in done.facts)
            store.executemany("INSERT INTO facts VALUES (?, ?, ?, ?)", facts)
            store.execute("UPDATE shards SET done = 1 WHERE number = ?", (done.shard,))
            codes = ((f"code {code}", "1") for code in done.codes)
            store.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", codes)

    def results(self, protocol: int | None = None) -> Iterator[tuple[int, int, int, int]]:
        """Shard, place, length and length of rows of each assessment, sorted by patient, then by protocol; of one, or of all."""
        which = "" if protocol is None else " WHERE protocol = ?"
        rows = self._store.execute(
            f"SELECT shard, at, length, rows FROM results{which} ORDER BY patient, protocol",  # noqa: S608  no text of others
            () if protocol is None else (protocol,),
        )
        yield from rows

    def facts(self) -> Iterator[tuple[str, int, int, int]]:
        """Whose facts are kept, sorted: who it is, the shard, place and length (0 for those of an earlier run)."""
        yield from self._store.execute("SELECT patient, shard, at, length FROM facts ORDER BY patient")

    def takes_facts(self) -> bool:
        """Whether facts of anybody are those of an earlier run."""
        return self._store.execute("SELECT 1 FROM facts WHERE length = 0").fetchone() is not None

    def kept(self) -> int:
        """Persons whose facts are kept."""
        return int(self._store.execute("SELECT count(*) FROM facts").fetchone()[0])

    def failures(self) -> Iterator[Failed]:
        for row in self._store.execute("SELECT patient, why FROM failures ORDER BY patient"):
            yield Failed(*row)

    def assessed(self) -> int:
        """Persons with at least one assessment."""
        return int(self._store.execute("SELECT count(DISTINCT patient) FROM results").fetchone()[0])

    def taken(self) -> int:
        """Persons whose results are those of an earlier run."""
        return int(self._store.execute("SELECT total(taken) FROM charts").fetchone()[0])

    def number_of_results(self) -> int:
        return int(self._store.execute("SELECT count(*) FROM results").fetchone()[0])

    def codes(self) -> frozenset[int]:
        """The exit codes that the run asks for."""
        named = self._store.execute("SELECT name FROM meta WHERE name LIKE 'code %'")
        return frozenset(int(row[0].partition(" ")[2]) for row in named)


def _pack(value: object) -> bytes:
    return msgspec.msgpack.encode(value)
