"""The process that writes the facts of a run, patient by patient as they come: new ones, and those of an earlier run."""

from __future__ import annotations

import hashlib
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from fhir_elig.cohort.facts.again import Again
from fhir_elig.cohort.facts.file import FactsFile
from fhir_elig.cohort.facts.keep import Entry
from fhir_elig.cohort.folder import whole_file


class Same(msgspec.Struct, frozen=True):
    """In place of a patient's entries: they are those of the file of an earlier run."""

    patient: str
    file: str


_decode = msgspec.msgpack.Decoder(list[Entry] | Same).decode


def write_facts(connection: Connection, path: Path) -> tuple[int, str]:
    """Until an empty message comes; gives the number of row groups, and the SHA-256 of the file.

    Raises FhirEligError (FE0701), DataError (the file of the earlier run), EOFError.
    """
    again: Again | None = None
    with whole_file(path) as stream:
        with FactsFile(stream) as file:
            while packed := connection.recv_bytes():
                told = _decode(packed)
                if isinstance(told, Same):
                    again = again or Again(Path(told.file))
                    told = again.of(told.patient)
                file.add(told)
        groups = file.groups
    with path.open("rb") as written:
        return groups, hashlib.file_digest(written, "sha256").hexdigest()
