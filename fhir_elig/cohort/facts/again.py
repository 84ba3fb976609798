"""The facts of an earlier run, as they stand in its file, for patients whose chart is what it was."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

from fhir_elig.cohort.facts.cells import FIELDS, RECORD, Row
from fhir_elig.cohort.facts.file import FAILURE, Groups, decode_codes
from fhir_elig.cohort.facts.keep import Entry
from fhir_elig.errors import DataError


class Again:
    """Gives the entries of patients who are asked for in the order of the file, with one group of it in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        groups = Groups(path)
        self._groups = (_entries(groups, number) for number in range(groups.count))
        self._held: dict[str, list[Entry]] = {}

    def of(self, patient: str) -> list[Entry]:
        """Raises DataError if the file does not have the patient."""
        while patient not in self._held:
            found = next(self._groups, None)
            if found is None:
                fix = "run again into a new folder"
                raise DataError("facts that were taken over are not there any more", where=str(self._path), fix=fix)
            self._held = found
        return self._held[patient]


def _entries(groups: Groups, number: int) -> dict[str, list[Entry]]:
    drafts: dict[tuple[str, str], tuple[list[Row], list[str]]] = {}
    for key, row, codes, why in _rows(groups, number):
        rows, said = drafts.setdefault(key, ([], ["", ""]))
        if row[0] != FAILURE:
            rows.append(row)
        if row[0] in (RECORD, FAILURE):
            said[:] = codes or "", why or ""
    found: dict[str, list[Entry]] = {}
    for (patient, form), (rows, (codes, why)) in sorted(drafts.items(), key=lambda item: item[0]):
        found.setdefault(patient, []).append(Entry(patient, form, decode_codes(codes or "[]"), why, rows))
    return found


def _rows(groups: Groups, number: int) -> Iterator[tuple[tuple[str, str], Row, str | None, str | None]]:
    for kind, rows in groups.by_kind(number):
        heads = (rows.texts(name) for name in ("patient", "form", "exit_codes", "failure"))
        cells = zip(*(rows.texts(name) for name in FIELDS[kind]), strict=True) if kind != FAILURE else repeat(())
        for (patient, form, codes, why), own in zip(zip(*heads, strict=True), cells, strict=False):
            yield (patient, form or ""), [kind, *own], codes, why
