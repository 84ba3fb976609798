"""An earlier run whose results are taken over: those of charts that did not change, where all else is the same too.

All that an assessment rests on, besides the chart, stands in the manifest: protocols, mappings, site, answers, date, version. Of
the chart a digest is kept in the checkpoint, over whatever the readers get to see of it.
"""

from __future__ import annotations

import mmap
import sqlite3
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from fhir_elig.cohort.folder import ASSESSMENTS, CHECKPOINT, RunFolder
from fhir_elig.cohort.manifest import Manifest, differences, read_manifest
from fhir_elig.sources import Chart
from fhir_elig.verdict import Assessment

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(Assessment).decode


class _Whose(msgspec.Struct):
    patient: str


_whose = msgspec.json.Decoder(_Whose).decode


def digest_of(chart: Chart, lines: Sequence[bytes]) -> bytes:
    """Charts of one digest are read alike; the order of the resources means nothing.

    `lines` are the first of the resources as JSON, each on one line; what follows them (Medications) is written here.
    """
    texts = sorted([*lines, *map(_encode, chart.resources[len(lines) :])])
    beside = (
        chart.patient,
        chart.retrieved,
        chart.refused,
        chart.base,
        chart.identity,
        chart.broken,
        chart.failure,
        chart.errors,
    )
    return blake2b(b"\n".join([*texts, _encode(beside)]), digest_size=16).digest()


def why_not(now: Manifest) -> str:
    """Why nothing of the earlier run can be taken over, in words; empty if it can. Raises DataError (its manifest)."""
    folder = RunFolder(Path(now.options.after))
    if not (folder.is_finished and folder.path(CHECKPOINT).is_file() and folder.path(ASSESSMENTS).is_file()):
        return "that run has not ended, or was made by another engine"
    before = read_manifest(folder)
    options = msgspec.structs.replace(before.options, data=now.options.data, after=now.options.after, facts=now.options.facts)
    changed = differences(msgspec.structs.replace(before, options=options), now)
    return f"not the same as there: {', '.join(changed)}" if changed else ""


class Earlier:
    """The assessments of an earlier run by patient; `protocols` is how many of each there are."""

    def __init__(self, place: str, protocols: int) -> None:
        folder = RunFolder(Path(place))
        address = f"{folder.path(CHECKPOINT).absolute().as_uri()}?immutable=1"
        self._store = sqlite3.connect(address, uri=True)
        self._protocols = protocols
        with folder.path(ASSESSMENTS).open("rb") as stream:
            size = stream.seek(0, 2)
            self._lines = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if size else b""

    def of(self, patient: str, digest: bytes) -> list[tuple[Assessment, bytes]]:
        """The assessments of the patient with their lines, one a protocol; none if the chart was another one."""
        row = self._store.execute("SELECT digest FROM charts WHERE patient = ?", (patient,)).fetchone()
        return self._read(f"Patient/{patient}") if row is not None and row[0] == digest else []

    def _read(self, reference: str) -> list[tuple[Assessment, bytes]]:
        """The lines are sorted by patient."""
        low, high = 0, len(self._lines)
        while low < high:
            start = self._lines.rfind(b"\n", 0, (low + high) // 2) + 1
            end = self._lines.find(b"\n", start) + 1
            if _whose(self._lines[start:end]).patient < reference:
                low = end
            else:
                high = start
        found: list[tuple[Assessment, bytes]] = []
        for _ in range(self._protocols):
            end = self._lines.find(b"\n", low) + 1
            line = self._lines[low:end]
            assessment = _decode(line)
            if assessment.patient != reference:
                return []
            found.append((assessment, line))
            low = end
        return found
