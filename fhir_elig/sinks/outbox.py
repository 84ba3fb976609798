"""The record of what is to be written, what was sent and what was confirmed: SQLite in WAL mode, for its owner only.

Each row is on the disk before the request that it speaks of is sent, so that a run that was killed can be finished: the next
one looks at the server first. One writer at a time: a second one is refused.
"""

from __future__ import annotations

import json
import os
import sqlite3
from decimal import Decimal
from pathlib import Path

import msgspec

from fhir_elig.errors import FhirEligError
from fhir_elig.outputs.fhir_json import encode
from fhir_elig.sinks import Outcome, Resource

_SCHEMA = """
CREATE TABLE IF NOT EXISTS delivery (
    key TEXT PRIMARY KEY, base TEXT NOT NULL, study TEXT NOT NULL,
    body TEXT NOT NULL,                -- the resources that are to be written
    outcome TEXT NOT NULL DEFAULT '',  -- empty: not finished
    sent_over TEXT,                    -- the version that a write was sent over ('': none was there); NULL: none is under way
    reference TEXT NOT NULL DEFAULT '', version TEXT NOT NULL DEFAULT ''  -- what the server last confirmed as ours
) WITHOUT ROWID
"""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is to be written for one patient. `new` tells whether a record may be made where none is.

    `recorded` is the instant of the run that assessed. `subject` is the ResearchSubject; None if no state may be set.
    `beside` are further resources, written in this order.
    """

    key: str
    patient: str
    base: str
    study: str
    new: bool
    recorded: str
    subject: Resource | None
    beside: tuple[Resource, ...] = ()


class Last(msgspec.Struct, frozen=True):
    """What is known of a record: reference and version as last confirmed; the version that a write under way was sent over."""

    reference: str = ""
    version: str = ""
    sent_over: str | None = None


class Outbox:
    """One file. Raises FhirEligError (FE0505) if it cannot be used, or another run uses it."""

    def __init__(self, path: Path | None) -> None:
        self._where = str(path or ":memory:")
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
                path.chmod(0o600)  # its -wal and -shm take over the mode
            self._open()
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from None

    def _open(self) -> None:
        self._database = sqlite3.connect(self._where, isolation_level=None, timeout=0.2)
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("BEGIN IMMEDIATE")
        self._database.execute(_SCHEMA)
        self._database.execute("COMMIT")

    def _unusable(self, error: Exception) -> FhirEligError:
        locked = "locked" in str(error)
        why = "another run is writing" if locked else "the file cannot be read or written"
        fix = "wait for it to end" if locked else "name another file, or mend the disk; do not delete the record without need"
        return FhirEligError(why, code="FE0505", where=self._where, fix=fix)

    def close(self) -> None:
        self._database.close()

    def _do(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def intend(self, delivery: Delivery) -> None:
        """Before anything is sent for a patient. What was confirmed before stays known."""
        self._do(
            "INSERT INTO delivery (key, base, study, body) VALUES (?, ?, ?, ?) ON CONFLICT (key)"
            " DO UPDATE SET body = excluded.body, outcome = ''",
            delivery.key,
            delivery.base,
            delivery.study,
            encode(msgspec.structs.asdict(delivery)).decode(),
        )

    def sending(self, key: str, over: str) -> None:
        """Before a write of the record is sent; `over` is the version that is there, empty if none is."""
        self._do("UPDATE delivery SET sent_over = ? WHERE key = ?", over, key)

    def refused(self, key: str) -> None:
        """The write that was under way was surely not done."""
        self._do("UPDATE delivery SET sent_over = NULL WHERE key = ?", key)

    def confirm(self, key: str, reference: str, version: str) -> None:
        """The server showed what was written, in this version."""
        self._do("UPDATE delivery SET sent_over = NULL, reference = ?, version = ? WHERE key = ?", reference, version, key)

    def finish(self, key: str, outcome: Outcome) -> None:
        """Nothing is left to do for this delivery."""
        self._do("UPDATE delivery SET outcome = ? WHERE key = ?", outcome.value, key)

    def last(self, key: str) -> Last:
        rows = self._do("SELECT reference, version, sent_over FROM delivery WHERE key = ?", key)
        return Last(*msgspec.convert(rows[0], tuple[str, str, str | None])) if rows else Last()

    def unfinished(self, base: str, study: str) -> list[Delivery]:
        """What an earlier run did not bring to an end at this server."""
        rows = self._do("SELECT body FROM delivery WHERE outcome = '' AND base = ? AND study = ? ORDER BY key", base, study)
        return [_delivery(body) for (body,) in rows]

    def begun(self, key: str) -> Delivery | None:
        """What an earlier run meant to write for this patient and did not bring to an end."""
        rows = self._do("SELECT body FROM delivery WHERE outcome = '' AND key = ?", key)
        return _delivery(rows[0][0]) if rows else None


def _delivery(body: object) -> Delivery:
    return msgspec.convert(json.loads(str(body), parse_float=Decimal), Delivery)
