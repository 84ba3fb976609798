"""`matrix.parquet`: the verdict matrix of a run, one row a (protocol, patient, criterion); see docs/reference/run-folder.md.

`MatrixFile` writes it. `MatrixProcess` does that in a process of its own: the libraries behind Parquet take more memory than a
shard of a run, and neither the leading process nor those that assess ever need them.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import msgspec

from fhir_elig.cohort.answers import answer, attempt
from fhir_elig.cohort.folder import whole_file
from fhir_elig.errors import UsageError
from fhir_elig.outputs.matrix_row import COLUMNS, NUMBERS

ROW_GROUP = 16_384  # rows that are held as objects before they are packed
_PACKED = 3  # that many packed ones are written as one: what the file says of each group stays in memory to its end
_OPTIONAL = NUMBERS | {"unit"}
_REPEATING = ["protocol", "patient", "criterion", "verdict", "reason", "unit", "limit", "time"]
_END = b""  # the message after the last rows: without it the leading process is gone

_decode = msgspec.msgpack.Decoder(list[tuple[Any, ...]]).decode


def need_parquet() -> None:
    """Raises UsageError that names the extra if the libraries behind Parquet are missing; loads none of them."""
    if find_spec("pyarrow") is None:
        raise UsageError("Parquet needs a library that is not installed", where="pyarrow", fix="pip install 'fhir-elig[cohort]'")


def pyarrow() -> Any:
    """The libraries behind Parquet. Raises UsageError that names the extra where they are missing."""
    need_parquet()
    import pyarrow
    import pyarrow.parquet

    return pyarrow


class MatrixFile:
    """Writes rows in the order in which they come, a group at a time, so that memory does not grow with the cohort."""

    def __init__(self, stream: BinaryIO) -> None:
        arrow = pyarrow()
        kinds = {name: arrow.float64() if name in NUMBERS else arrow.string() for name in COLUMNS}
        self._schema = arrow.schema([arrow.field(name, kind, name in _OPTIONAL) for name, kind in kinds.items()])
        self._arrow = arrow
        self._writer = arrow.parquet.ParquetWriter(stream, self._schema, compression="zstd", use_dictionary=_REPEATING)
        self._rows: list[Sequence[Any]] = []
        self._packed: list[Any] = []

    def __enter__(self) -> MatrixFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._pack()
            self._flush()
        self._writer.close()

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Rows, each with its cells in the order of COLUMNS."""
        self._rows += rows
        if len(self._rows) >= ROW_GROUP:
            self._pack()
        if len(self._packed) == _PACKED:
            self._flush()

    def _pack(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [self._arrow.array(cells, field.type) for cells, field in zip(columns, self._schema, strict=True)]
            self._packed.append(self._arrow.Table.from_arrays(arrays, schema=self._schema))
            self._rows.clear()

    def _flush(self) -> None:
        if self._packed:
            self._writer.write_table(self._arrow.concat_tables(self._packed))
            self._packed.clear()


def write_matrix(connection: Connection, path: Path) -> None:
    """Until an empty message comes. Raises FhirEligError (FE0701), EOFError if the leading process is gone."""
    with whole_file(path) as stream, MatrixFile(stream) as matrix:
        while packed := connection.recv_bytes():
            matrix.add(_decode(packed))


class MatrixProcess:
    """A process that writes the file; use `with`. It is there wholly when the block ends, and not at all if that raises.

    `write` says how: the matrix, or another file of rows. What it gives is in `result` at the end. Raises FhirEligError (FE0701)
    where the disk refuses.
    """

    def __init__(self, path: Path, write: Callable[[Connection, Path], Any] = write_matrix) -> None:
        self._connection, there = Pipe()
        self.result: Any = None
        with there:
            number = there.fileno()
            # Not by multiprocessing, whose children first run the main module of whoever calls.
            names = f"from {__name__} import serve; from {write.__module__} import {write.__name__} as write"
            code = f"import sys; sys.path[:] = {sys.path!r}; {names}; serve({number}, {str(path)!r}, write)"
            self._process = subprocess.Popen([sys.executable, "-c", code], pass_fds=[number])  # noqa: S603  our own code

    @property
    def number(self) -> int:
        """The id of the process."""
        return self._process.pid

    def __enter__(self) -> MatrixProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self.add(_END)
                self.result = answer(self._connection)
        finally:
            self._connection.close()
            self._process.wait()

    def add(self, packed: bytes) -> None:
        """Rows as MessagePack: a list of lists of cells."""
        try:
            self._connection.send_bytes(packed)
        except ConnectionError:  # it gave up, and has said why
            answer(self._connection)
            raise


class _NoPandas(MetaPathFinder):
    """pyarrow asks pandas, where it is installed, whether cells are of its kinds; loading it takes more memory than all else."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name=name)


def serve(number: int, path: str, write: Callable[[Connection, Path], Any]) -> None:
    """The work of the process: `number` is the file descriptor of its end of the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.meta_path.insert(0, _NoPandas())
    with Connection(number) as connection, contextlib.suppress(ConnectionError):  # the leading process is gone
        connection.send(attempt(Path(path).name, write, connection, Path(path)))
