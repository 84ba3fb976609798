"""The facts of a chart, for whatever protocol of the same mappings asks for them later."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fhir_elig.cli.pipeline import Screening, Tally, record_of
from fhir_elig.cohort.facts.cells import Cells, Row
from fhir_elig.outputs.digest import Failure
from fhir_elig.record import Record
from fhir_elig.sources import Chart


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What was read of a patient's chart with the answers to one form: the rows of the record, or why there is none.

    `form` is the canonical of a Questionnaire; an empty one stands for every form that has no entry of its own. `codes` are the
    exit codes that the patient asks for.
    """

    patient: str
    form: str
    codes: tuple[int, ...]
    why: str
    rows: list[Row]


class Kept(msgspec.Struct):
    """A patient of the cache: the record and its exit codes by form; `why` there is no record."""

    patient: str
    records: dict[str, tuple[Record | None, tuple[int, ...], str]]

    def record(self, screening: Screening, tally: Tally) -> Record | None:
        """The record as `record_of` gives it for the chart, told to the tally in the same way."""
        record, codes, why = self.records.get(screening.settings.questionnaire) or self.records[""]
        tally.codes.update(codes)
        if record is None:
            tally.failures.append(Failure(f"Patient/{self.patient}", why))
        return record


def entries(chart: Chart, screening: Screening, cells: Cells) -> Iterator[Entry]:
    """One entry for most charts; another for each form in it that gives another record. The protocol matters no further."""
    plain = _entry(chart, "", screening, cells)
    yield plain
    for form in _forms(chart):
        own = _entry(chart, form, screening, cells)
        if (own.codes, own.rows) != (plain.codes, plain.rows):
            yield own


def _entry(chart: Chart, form: str, screening: Screening, cells: Cells) -> Entry:
    settings = msgspec.structs.replace(screening.settings, questionnaire=form)
    tally = Tally()
    record = record_of(chart, msgspec.structs.replace(screening, settings=settings), tally)
    codes = tuple(sorted(tally.codes))
    if record is None:
        return Entry(chart.patient, form, codes, tally.failures[0].why, [])
    return Entry(chart.patient, form, codes, "", cells.write(record))


def _forms(chart: Chart) -> list[str]:
    """The questionnaires that the chart holds answers to, without their versions."""
    named = (one.get("questionnaire") for one in chart.resources if one.get("resourceType") == "QuestionnaireResponse")
    return sorted({name.partition("|")[0] for name in named if isinstance(name, str)} - {""})
