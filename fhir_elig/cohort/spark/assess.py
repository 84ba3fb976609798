"""The second pass on a worker: one patient's rows become a chart, and the chart assessments; the same code as everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from fhir_elig.assessment import assess
from fhir_elig.cli.pipeline import Tally, record_of
from fhir_elig.cohort.spark.deal import MEDICATION, PATIENT
from fhir_elig.cohort.spark.kit import unpack
from fhir_elig.outputs.matrix import Ruler, rows, rulers
from fhir_elig.outputs.matrix_row import Row
from fhir_elig.sources import Chart
from fhir_elig.sources.contents import Contents
from fhir_elig.sources.coverage import Coverage
from fhir_elig.sources.file_walk import Walk
from fhir_elig.sources.files import FileSource
from fhir_elig.sources.manifest import Voucher
from fhir_elig.sources.patient_links import Links
from fhir_elig.verdict import Assessment

# Kinds of result rows. `position` orders the rows of a patient and protocol; of a CODE it is the exit code.
ASSESSMENT, MATRIX, FAILURE, CODE = "assessment", "matrix", "failure", "code"
_NUMBERS = frozenset({"value", "value_low", "value_high"})
MATRIX_COLUMNS = Row.__struct_fields__
_TYPED = ", ".join(f"`{name}` {'double' if name in _NUMBERS else 'string'}" for name in MATRIX_COLUMNS)
RESULTS = f"kind string, position int, body string, {_TYPED}"

# What was dealt was proved clean then.
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known of the whole input before one patient can be assessed; `remarks` stand in every assessment."""

    base: str | None
    coverage: Coverage
    links: Links
    vouchers: tuple[Voucher, ...]
    remarks: tuple[str, ...] = ()


def assessing(kit: bytes, ground: Ground) -> Callable[[tuple[Any, ...], Any], Any]:
    """A function of a patient and the frame of all rows of that patient, that gives a frame of results."""

    def assessed(key: tuple[Any, ...], frame: Any) -> Any:
        import pandas

        found = list(_results(_chart(str(key[0]), frame, ground), kit))
        return pandas.DataFrame(found, columns=["kind", "position", "body", *MATRIX_COLUMNS], dtype=object)

    return assessed


def _chart(patient: str, frame: Any, ground: Ground) -> Chart | None:
    """The chart, as a reader of all files would have made it; None if there is no Patient, only resources that name one."""
    contents = Contents("", ground.base)
    files: dict[str, Contents] = {}
    for kind, name, file, body in zip(frame["kind"], frame["name"], frame["detail"], frame["body"], strict=True):
        if kind == MEDICATION:
            contents.shared.append(_decode(body))
            continue
        contents.resources.append((_decode(body), name))
        if kind == PATIENT:
            contents.held.add(name)
            files.setdefault(file, Contents(file)).held.add(name)
    if not contents.held:
        return None
    coverage = ground.coverage.without_vouchers()
    for voucher in ground.vouchers:
        coverage.add_voucher(voucher, files.values(), ground.links.survivors)
    names = {name for _, name in contents.resources} | {patient}
    chart = FileSource([contents], Walk(), (), _of(ground.links, names), coverage).chart(patient)
    chart.errors = (*chart.errors, *ground.remarks)
    return chart


def _of(links: Links, names: set[str]) -> Links:
    """The links of one person's records."""
    own = {name: links.survivors[name] for name in names if name in links.survivors}
    return Links(own, links.doubtful & names, {name: links.gone[name] for name in names if name in links.gone})


def _results(chart: Chart | None, kit: bytes) -> Iterator[tuple[Any, ...]]:
    if chart is None:
        return
    tally = Tally()
    found, scales = _assessments(chart, kit, tally), _rulers(kit)
    blank = (None,) * (len(MATRIX_COLUMNS) - 2)
    for one in found:
        yield (ASSESSMENT, 0, one.to_json().decode(), one.protocol.id, one.patient, *blank)
        for position, row in enumerate(rows(one, scales[one.protocol.id])):
            yield (MATRIX, position, None, *msgspec.structs.astuple(row))
    for failure in tally.failures:
        yield (FAILURE, 0, failure.why, "", failure.patient, *blank)
    for code in sorted(tally.codes):
        yield (CODE, code, None, "", f"Patient/{chart.patient}", *blank)


@lru_cache(maxsize=4)
def _rulers(kit: bytes) -> dict[str, dict[str, Ruler]]:
    """How values are held against limits, by protocol and criterion."""
    return {one.protocol.id: rulers(one.protocol) for one in unpack(kit)}


def _assessments(chart: Chart, kit: bytes, tally: Tally) -> list[Assessment]:
    """One for each protocol; none if the patient cannot be assessed, which the tally then says."""
    found = []
    for screening in unpack(kit):
        record = record_of(chart, screening, tally)
        if record is None:
            return []
        found.append(assess(screening.protocol, record, screening.run))
    return found
