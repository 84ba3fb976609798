"""The assessments of a run, in the order of the patients, outside of memory until they are shown."""

from __future__ import annotations

import tempfile
from bisect import insort
from collections.abc import Sequence
from types import TracebackType
from typing import overload

import msgspec

from fhir_elig.errors import FhirEligError
from fhir_elig.verdict import Assessment

_IN_MEMORY = 8 * 1024 * 1024  # bytes, some five hundred patients; beyond it a file takes them
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Assessment).decode


class Kept(Sequence[Assessment]):
    """Assessments by patient id; each is read back when it is asked for, so that one at a time is in memory.

    The file has no name and its owner alone can read it; it is gone with the program, however that ends.
    """

    def __init__(self, in_memory: int = _IN_MEMORY) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=in_memory)  # noqa: SIM115  closed by the context
        self._places: list[tuple[str, int, int]] = []
        self._end = 0

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def keep(self, assessment: Assessment) -> None:
        """Raises FhirEligError (FE0701) if the disk does not take it."""
        data = _encode(assessment)
        try:
            self._file.seek(self._end)
            self._file.write(data)
        except OSError as error:
            why, fix = error.strerror or "it cannot be written", "make room, or name another folder in TMPDIR"
            raise FhirEligError(why, code="FE0701", where="the file for results", fix=fix) from None
        insort(self._places, (assessment.patient, self._end, len(data)))
        self._end += len(data)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Assessment: ...
    @overload
    def __getitem__(self, index: slice) -> list[Assessment]: ...
    def __getitem__(self, index: int | slice) -> Assessment | list[Assessment]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        _, start, size = self._places[index]
        self._file.seek(start)
        return _decode(self._file.read(size))
