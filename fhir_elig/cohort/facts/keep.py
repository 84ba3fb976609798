"""The facts of a chart, for whatever protocol of the same mappings asks for them later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from fhir_elig.cli.pipeline import Screening, Tally, record_of
from fhir_elig.cohort.facts.cells import Cells, Row
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


class Read(NamedTuple):
    """What came of a chart: its record, or `why` there is none, and the exit codes that it asks for."""

    record: Record | None
    codes: tuple[int, ...]
    why: str


class Kept(msgspec.Struct):
    """A patient of the cache: what was read, by form."""

    patient: str
    reads: dict[str, Read]

    def read(self, form: str) -> Read:
        return self.reads.get(form) or self.reads[""]


class Charted:
    """A patient whose chart is at hand. It is read once for each form of which it holds answers; to all others it is the same."""

    def __init__(self, chart: Chart, lines: Sequence[bytes], screening: Screening) -> None:
        self.patient, self.chart, self.lines = chart.patient, chart, lines
        self._screening = screening
        self._forms = _forms(chart)
        self._reads: dict[str, Read] = {}

    def read(self, form: str) -> Read:
        own = form if form in self._forms else ""
        found = self._reads.get(own)
        if found is None:
            found = self._reads[own] = self._read(own)
        return found

    def _read(self, form: str) -> Read:
        memory = self._screening.memory.of_form(form)
        tally = Tally()
        record = record_of(self.chart, msgspec.structs.replace(self._screening, memory=memory), tally)
        return Read(record, tuple(sorted(tally.codes)), "" if record is not None else tally.failures[0].why)

    def entries(self, cells: Cells) -> Iterator[Entry]:
        """One entry for most charts; another for each form in it that gives another record. The protocol matters no further."""
        plain = self._entry("", cells)
        yield plain
        for form in self._forms:
            own = self._entry(form, cells)
            if (own.codes, own.rows) != (plain.codes, plain.rows):
                yield own

    def _entry(self, form: str, cells: Cells) -> Entry:
        record, codes, why = self.read(form)
        return Entry(self.patient, form, codes, why, [] if record is None else cells.write(record))


def _forms(chart: Chart) -> list[str]:
    """The questionnaires that the chart holds answers to, without their versions."""
    named = (one.get("questionnaire") for one in chart.resources if one.get("resourceType") == "QuestionnaireResponse")
    return sorted({name.partition("|")[0] for name in named if isinstance(name, str)} - {""})
