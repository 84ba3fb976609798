"""The first pass on a worker: files, or lines of a large file, become rows that say whose each resource is.

Rows are `SCHEMA`: a resource goes under its patient, a Medication that no patient owns under its own id, and what a file holds
beside resources (losses, counts, names) goes to the driver as a `Part`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from fhir_elig.cohort.parts import Aside, part_of
from fhir_elig.record import MEDICATION_TYPES
from fhir_elig.sources import Resource
from fhir_elig.sources.contents import Contents
from fhir_elig.sources.file_reading import take_file, take_lines
from fhir_elig.sources.files import medication_ids

SCHEMA = "kind string, name string, detail string, body binary"
# Kinds of rows. `name` is the patient's id, of a MEDICATION and an INGREDIENT that of the Medication. `detail` is the reference
# of a RESOURCE, the file of a PATIENT, and of a USE and an INGREDIENT the id of the Medication that is referred to.
RESOURCE, PATIENT, LINK, MEDICATION, USE, INGREDIENT, PART = "resource patient link medication use ingredient part".split()

Row = tuple[str, str, str, bytes]
_BATCH = 8 << 20  # bytes of one batch that goes back to Spark
_NOT_UTF8 = ("\N{REPLACEMENT CHARACTER}".encode(), b"\xff")

encode = msgspec.json.Encoder(decimal_format="number").encode


class _Rows(list[tuple[Resource, str]]):
    """Stands where a file's resources are gathered, and keeps each as JSON."""

    def __init__(self, name: str, base: str | None) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self._name, self._base = name, base

    def append(self, item: tuple[Resource, str]) -> None:
        resource, patient = item
        kind = resource["resourceType"]
        if kind in MEDICATION_TYPES:
            self.rows += [(USE, patient, one, b"") for one in medication_ids(resource, self._base)]
        if kind == "Patient" and "link" in resource:
            self.rows.append((LINK, patient, "", encode({"id": patient, "link": resource["link"]})))
        row = (PATIENT, patient, self._name) if kind == "Patient" else (RESOURCE, patient, f"{kind}/{resource.get('id', '?')}")
        self.rows.append((*row, encode(resource)))


class _Shared(list[Resource]):
    """Of the resources that belong to no patient, only Medications are ever looked at."""

    def __init__(self, base: str | None) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.number = 0
        self._base = base

    def append(self, item: Resource) -> None:
        self.number += 1
        if item["resourceType"] == "Medication":
            identity = str(item.get("id"))
            self.rows += [(INGREDIENT, identity, one, b"") for one in medication_ids(item, self._base)]
            self.rows.append((MEDICATION, identity, "", encode(item)))


class _File:
    """A file that is being read, or the lines of it that have come so far."""

    def __init__(self, name: str, base: str | None) -> None:
        self.contents = Contents(name, base)
        self._rows = self.contents.resources = _Rows(name, base)
        self._shared = self.contents.shared = _Shared(base)

    def rows(self) -> list[Row]:
        """What has come since the last call. Nothing, if the file proved to be damaged: then none of it may be used."""
        found = [*self._rows.rows, *self._shared.rows] if self.contents.resources is self._rows else []
        self._rows.rows, self._shared.rows = [], []
        return found

    def part(self) -> Row:
        one = self.contents
        part = part_of(one, [Aside(finding) for finding in one.aside], shared=self._shared.number)
        return (PART, "", one.name, encode(part))


Batches = Iterable[Any]  # of pyarrow.RecordBatch


def name_below(root: str, address: str) -> str:
    """A file's name below a folder, as messages and manifests call it. Sessions write addresses with a scheme or without; an
    address in which the folder does not stand, as below a pattern, is its own name."""
    folder = "/" + (root.partition(":")[2] or root).strip("/") + "/"
    _, inside, below = f"/{address}/".partition(folder)
    return below.strip("/") or (address.rpartition("/")[2] if inside else address)


def by_file(base: str | None, root: str) -> Callable[[Batches], Iterator[Any]]:
    """For rows of (file, body), the body being all of the bytes of a file below `root`."""

    def files(batches: Batches) -> Iterator[Any]:
        return in_batches(row for file, body in _cells(batches) for row in _whole(name_below(root, file), body, base))

    return files


def by_line(base: str | None) -> Callable[[Batches], Iterator[Any]]:
    """For rows of (file, body), the file being named and the body one line of NDJSON.

    Where in the file it stood, and whether it was the last, cannot be told: a broken line is taken as the cut end of the file.
    """

    def lines(batches: Batches) -> Iterator[Any]:
        return in_batches(_lines(batches, base))

    return lines


def _whole(name: str, body: bytes, base: str | None) -> Iterator[Row]:
    file = _File(name, base)
    take_file(body, file.contents)
    yield from file.rows()
    yield file.part()


def _lines(batches: Batches, base: str | None) -> Iterator[Row]:
    files: dict[str, _File] = {}
    for name, body in _cells(batches):
        file = files.get(name) or files.setdefault(name, _File(name, base))
        # Spark puts a sign in the place of what is no UTF-8; such a line must not be read as if it had been sent so.
        take_lines(io.BytesIO(body.replace(*_NOT_UTF8)), file.contents)
        yield from file.rows()
    for name, file in files.items():
        contents = file.contents
        contents.losses = [msgspec.structs.replace(loss, where=name) for loss in contents.losses]
        contents.aside = [one._replace(where=f"{name} {one.where.partition(' ')[2]}".strip()) for one in contents.aside]
        yield file.part()


def _cells(batches: Batches) -> Iterator[tuple[str, bytes]]:
    for batch in batches:
        for name, body in zip(batch.column("file"), batch.column("body"), strict=True):
            yield name.as_py(), body.as_py() or b""


def in_batches(rows: Iterable[Row]) -> Iterator[Any]:
    """Rows as batches of bounded size, in the columns of `SCHEMA`."""
    import pyarrow

    schema = pyarrow.schema([(name, pyarrow.string()) for name in ("kind", "name", "detail")] + [("body", pyarrow.binary())])
    held: list[Row] = []
    size = 0
    for row in rows:
        held.append(row)
        size += len(row[3]) + 64
        if size >= _BATCH:
            yield _batch(held, schema)
            held, size = [], 0
    if held:
        yield _batch(held, schema)


def _batch(rows: list[Row], schema: Any) -> Any:
    import pyarrow

    columns = zip(*rows, strict=True)
    return pyarrow.RecordBatch.from_arrays(
        [pyarrow.array(cells, field.type) for cells, field in zip(columns, schema, strict=True)], schema=schema
    )
