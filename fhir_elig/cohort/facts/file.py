"""`facts.parquet`: a row for each fact, sorted by patient in groups; see docs/reference/run-folder.md.

A row group holds whole patients, its rows sorted by kind. Columns are texts, null where a field has its default: `patient`,
`form`, `fact` (its kind), `exit_codes`, `failure` (why there is no record), then each field that any kind has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import msgspec

from fhir_elig.cohort.facts.cells import FIELDS, LISTS, PERSON, RECORD, Cell, Cells
from fhir_elig.cohort.facts.keep import Entry, Kept, Read
from fhir_elig.cohort.matrix_file import pyarrow
from fhir_elig.errors import DataError
from fhir_elig.record import Record

ROW_GROUP = 6_000  # facts that are held in memory before they are written
FAILURE = "failure"  # the kind of the row of a patient without a record
_HEAD = ("patient", "form", "fact", "exit_codes", "failure")
COLUMNS = (*_HEAD, *dict.fromkeys(name for names in FIELDS.values() for name in names))
_UNIQUE = {"reference": "DELTA_BYTE_ARRAY", "time": "PLAIN"}
_LEVEL = 9  # of zstd: a fifth smaller than the usual one, and as quick to read

_encode = msgspec.json.encode
decode_codes = msgspec.json.Decoder(tuple[int, ...]).decode


class FactsFile:
    """Writes entries in the order in which they come, a group at a time, so that memory does not grow with the cohort."""

    def __init__(self, stream: BinaryIO) -> None:
        self._arrow = arrow = _arrow()
        self._schema = arrow.schema([arrow.field(name, arrow.string()) for name in COLUMNS])
        self._writer = arrow.parquet.ParquetWriter(
            stream,
            self._schema,
            compression="zstd",
            compression_level=_LEVEL,
            use_dictionary=[name for name in COLUMNS if name not in _UNIQUE],
            column_encoding=_UNIQUE,
        )
        self._rows: dict[str, list[list[Cell]]] = {}
        self._held = 0
        self.groups = 0

    def __enter__(self) -> FactsFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, entries: Iterable[Entry]) -> None:
        """All entries of a patient, or of several."""
        for entry in entries:
            head = [entry.patient, entry.form or None]
            codes = _encode(entry.codes).decode() if entry.codes else None
            if entry.why:
                self._rows.setdefault(FAILURE, []).append([*head, FAILURE, codes, entry.why])
            for kind, *cells in entry.rows:
                self._rows.setdefault(str(kind), []).append([*head, kind, codes if kind == RECORD else None, None, *cells])
            self._held += 1 + len(entry.rows)
        if self._held >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._held:
            return
        table = {name: list[Cell]() for name in COLUMNS}
        for kind, rows in sorted(self._rows.items()):
            own = dict(zip((*_HEAD, *FIELDS.get(kind, ())), zip(*rows, strict=True), strict=True))
            for name, column in table.items():
                column += own.get(name) or (None,) * len(rows)
        self._writer.write_table(self._arrow.table(table, schema=self._schema), row_group_size=self._held)
        self._rows, self._held, self.groups = {}, 0, self.groups + 1


class Rows(NamedTuple):
    """Rows of one kind."""

    table: Any

    def texts(self, name: str) -> list[Any]:
        found: list[Any] = self.table.column(name).to_pylist()
        return found


class Groups:
    """A file of facts, read a group of patients at a time. Raises DataError if it is not one that this version wrote."""

    def __init__(self, path: Path | BinaryIO) -> None:
        self._arrow = arrow = _arrow()
        self._path = path
        try:
            self._file = arrow.parquet.ParquetFile(path, pre_buffer=False)
        except (OSError, arrow.ArrowException):
            raise _unreadable(path) from None
        if tuple(self._file.schema_arrow.names) != COLUMNS:
            raise _unreadable(path)
        self.count: int = self._file.num_row_groups

    def patients(self, group: int) -> set[str]:
        return set(self._read(group, ["patient"]).texts("patient"))

    def by_kind(self, group: int) -> Iterator[tuple[str, Rows]]:
        rows, at = self._read(group), 0
        for kind, same in groupby(rows.texts("fact")):
            count = sum(1 for _ in same)
            yield kind, Rows(rows.table.slice(at, count))
            at += count

    def _read(self, group: int, columns: list[str] | None = None) -> Rows:
        try:
            return Rows(self._file.read_row_group(group, columns=columns, use_threads=False))
        except (OSError, self._arrow.ArrowException):
            raise _unreadable(self._path) from None


class FactsReader:
    """Gives the patients of a group at a time. Raises DataError as `Groups`."""

    def __init__(self, path: Path | BinaryIO, time_zone: str) -> None:
        self._groups = Groups(path)
        self._cells = Cells(time_zone)

    def count(self, group: int) -> tuple[int, list[str]]:
        """How many patients are in a group; orphans are told of by the run that the facts come from."""
        return len(self._groups.patients(group)), []

    def of(self, group: int) -> Iterator[Kept]:
        """The patients of a group, sorted, with their records."""
        drafts: dict[tuple[str, str], _Draft] = {}
        for kind, rows in self._groups.by_kind(group):
            keys = zip(rows.texts("patient"), (form or "" for form in rows.texts("form")), strict=True)
            own = [drafts.setdefault(key, _Draft()) for key in keys]
            if kind in (RECORD, FAILURE):
                for draft, codes, why in zip(own, rows.texts("exit_codes"), rows.texts("failure"), strict=True):
                    draft.codes, draft.why = decode_codes(codes or "[]"), why or ""
            if kind != FAILURE:
                cells = (rows.texts(name) for name in FIELDS[kind])
                for draft, fact in zip(own, self._cells.read(kind, cells), strict=True):
                    draft.facts.setdefault(kind, []).append(fact)
        for patient, forms in groupby(sorted(drafts), key=lambda key: key[0]):
            kept = Kept(patient, {})
            for key in forms:
                draft = drafts.pop(key)
                kept.reads[key[1]] = Read(draft.record(patient), draft.codes, draft.why)
            yield kept


class _Draft(msgspec.Struct):
    """What was read so far of an entry."""

    codes: tuple[int, ...] = ()
    why: str = ""
    facts: dict[str, list[Any]] = {}

    def record(self, patient: str) -> Record | None:
        if self.why:
            return None
        lists: dict[str, Any] = {name: tuple(self.facts.get(kind, ())) for name, kind in LISTS.items()}
        return Record(patient=patient, person=self.facts.get(PERSON, (None,))[0], **lists, **self.facts[RECORD][0])


def _arrow() -> Any:
    """pyarrow, taking its memory from the system: its own pool keeps what it once had."""
    arrow = pyarrow()
    arrow.set_memory_pool(arrow.system_memory_pool())
    return arrow


def _unreadable(path: Path | BinaryIO) -> DataError:
    return DataError("this is no file of facts that this version reads", where=str(path), fix="fhir-elig cohort facts RUN")
