"""The stored verdict matrix of a run, ready to be asked: its manifest, and DuckDB over `matrix.parquet`.

Nothing is read into Python but answers. Names and numbers from the data reach DuckDB as parameters, never as SQL text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from fhir_elig.cohort.folder import MANIFEST, MATRIX
from fhir_elig.cohort.tree import Tree
from fhir_elig.criteria.base import near
from fhir_elig.errors import DataError, UsageError
from fhir_elig.verdict import ALIVE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """A protocol of the run: its title and tree, the readings that the site decided, the milestones that were given a date."""

    id: str
    version: str
    sha256: str
    title: str
    tree: Tree
    decisions: dict[str, str] = {}
    milestones: tuple[str, ...] = ()


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Persons: `patients` = `assessed` + `not_assessed`."""

    patients: int
    assessed: int
    not_assessed: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the matrix needs of a run's manifest."""

    as_of: str
    protocols: tuple[Used, ...]
    counts: Counts | None = None


class Matrix:
    """A run's matrix; a context manager. The view `matrix` has the columns of the file.

    Raises UsageError where the extra is missing or the folder is none of a run, DataError where a file of it cannot be read.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.manifest = read_manifest(run)
        self.file = run / MATRIX
        if not self.file.is_file():
            raise UsageError("the run has no matrix yet", where=str(self.file), fix=f"fhir-elig cohort resume {run}  ends it")
        self.base = connect()
        with self._readable():  # a view takes no parameters: the path goes through the relational interface
            self.base.read_parquet(str(self.file)).create_view("matrix")

    def __enter__(self) -> Matrix:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.base.close()

    def ask(self, sql: str, given: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Raises DataError if the file is damaged, or is no matrix."""
        with self._readable():
            return self.base.execute(sql, given).fetchall()

    @contextmanager
    def _readable(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.Error:
            fix = "it is damaged, or another program wrote it: run again into a new folder"
            raise DataError("the matrix of the run cannot be read", where=str(self.file), fix=fix) from None

    def table(self, name: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
        """A temporary table of the program's own, such as the order of the criteria. `name` and `columns` are written here."""
        self.base.execute(f"CREATE OR REPLACE TEMP TABLE {name} ({columns})")
        held = [list(column) for column in zip(*rows, strict=True)]
        if held:
            marks = ", ".join(["unnest(?)"] * len(held))
            self.base.execute(f"INSERT INTO {name} SELECT {marks}", held)

    def protocols(self, wanted: Sequence[str] = ()) -> tuple[Used, ...]:
        """The protocols of the run, or those named. Raises UsageError for one that is not there."""
        known = {used.id: used for used in self.manifest.protocols}
        for name in wanted:
            if name not in known:
                raise UsageError(f'the run has no protocol "{name}"', code="FE0102", where="--protocol", fix=near(name, known))
        return tuple(known[name] for name in dict.fromkeys(wanted)) or self.manifest.protocols


def tops(used: Used) -> tuple[str, ...]:
    """The ids of the criteria that make the whole, in order; the implicit `alive` comes first, where the chart brought it up.

    Raises UsageError for a protocol that has one without an id, since the matrix has no row of it.
    """
    if not all(part.id for part in used.tree.tops):
        why = f"a criterion at the top of {used.id} has no id, so that the matrix has no row of it"
        raise UsageError(why, where=used.id, fix="give it an id, and run again")
    return (ALIVE, *(part.id for part in used.tree.tops))


def read_manifest(run: Path) -> Manifest:
    """Raises UsageError if the folder is none of a run, DataError if its manifest cannot be read."""
    file = run / MANIFEST
    if not file.is_file():
        raise UsageError("this is no folder of a run", where=str(run), fix="name the folder of  cohort run --out")
    try:
        return msgspec.json.decode(file.read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        raise DataError("the manifest of the run cannot be read", where=str(file), fix="run again into a new folder") from None


def connect() -> DuckDBPyConnection:
    """A database in memory that asks nothing of the network. Raises UsageError where DuckDB is not installed."""
    try:
        import duckdb
    except ImportError:
        raise UsageError(
            "the matrix is read with DuckDB, which is not installed", where="duckdb", fix="pip install 'fhir-elig[cohort]'"
        ) from None
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    return duckdb.connect(":memory:", config=settings)
