"""`matrix.parquet`: the verdict matrix of a run, one row a (protocol, patient, criterion); see docs/reference/run-folder.md."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, BinaryIO

import msgspec

from fhir_elig.errors import UsageError
from fhir_elig.outputs.matrix import Row

COLUMNS = Row.__struct_fields__
ROW_GROUP = 16_384  # rows that are held in memory before they are written
_NUMBERS = frozenset({"value", "value_low", "value_high"})
_OPTIONAL = _NUMBERS | {"unit"}
_REPEATING = ["protocol", "patient", "criterion", "verdict", "reason", "unit", "limit", "time"]


def pyarrow() -> Any:
    """The libraries behind Parquet. Raises UsageError that names the extra where they are missing."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError(
            "Parquet needs a library that is not installed", where="pyarrow", fix="pip install 'fhir-elig[cohort]'"
        ) from None
    return pyarrow


class MatrixFile:
    """Writes rows in the order in which they come, a group at a time, so that memory does not grow with the cohort."""

    def __init__(self, stream: BinaryIO) -> None:
        arrow = pyarrow()
        kinds = {name: arrow.float64() if name in _NUMBERS else arrow.string() for name in COLUMNS}
        self._schema = arrow.schema([arrow.field(name, kind, name in _OPTIONAL) for name, kind in kinds.items()])
        self._arrow = arrow
        self._writer = arrow.parquet.ParquetWriter(stream, self._schema, compression="zstd", use_dictionary=_REPEATING)
        self._rows: list[tuple[Any, ...]] = []

    def __enter__(self) -> MatrixFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, rows: Iterable[Row]) -> None:
        self._rows += map(msgspec.structs.astuple, rows)
        if len(self._rows) >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [self._arrow.array(cells, field.type) for cells, field in zip(columns, self._schema, strict=True)]
            self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
            self._rows.clear()
