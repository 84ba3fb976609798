"""Run folders for the tests of the matrix, written from assessments: the one place where tests write one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import pyarrow.parquet

from fhir_elig.outputs.matrix import rows, rulers
from fhir_elig.outputs.matrix_row import Row
from fhir_elig.outputs.protocol_tree import tree
from fhir_elig.protocol import Protocol
from fhir_elig.verdict import Assessment

NUMBERS = ("value", "value_low", "value_high")


def write_run(
    folder: Path,
    protocol: Protocol,
    assessments: Sequence[Assessment],
    *,
    decisions: Mapping[str, str] | None = None,
    milestones: Sequence[str] = (),
    not_assessed: int = 0,
) -> Path:
    """A run of one protocol; each assessment is a person of its own."""
    read = rulers(protocol)
    found = [row for assessment in assessments for row in rows(assessment, read)]
    used = {
        "id": protocol.id, "version": protocol.version, "sha256": protocol.sha256, "title": protocol.title, "tree": tree(protocol),
        "decisions": dict(decisions or {}), "milestones": list(milestones),
    }  # fmt: skip
    persons = len({assessment.patient for assessment in assessments})
    return write_folder(folder, [used], found, as_of="2025-06-01", persons=persons, not_assessed=not_assessed)


def write_folder(
    folder: Path, protocols: Sequence[Mapping[str, Any]], found: Iterable[Row], *, as_of: str, persons: int, not_assessed: int = 0
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"patients": persons + not_assessed, "assessed": persons, "not_assessed": not_assessed}
    manifest = {"schema": "fhir-elig/run/1", "as_of": as_of, "protocols": list(protocols), "counts": counts}
    (folder / "manifest.json").write_text(json.dumps(msgspec.to_builtins(manifest)), encoding="utf-8")
    names = Row.__struct_fields__
    columns = list(zip(*map(msgspec.structs.astuple, found), strict=True)) or [()] * len(names)
    arrays = {
        name: pyarrow.array(cells, pyarrow.float64() if name in NUMBERS else pyarrow.string())
        for name, cells in zip(names, columns, strict=True)
    }
    pyarrow.parquet.write_table(pyarrow.table(arrays), folder / "matrix.parquet", row_group_size=65_536)
    return folder
