"""What is kept of a record comes back as it was: of every example patient, and of values that hardly any chart has."""

from __future__ import annotations

import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from fhir_elig.assessment import assess
from fhir_elig.cli.pipeline import Screening, Tally, charts, prepare, record_of
from fhir_elig.cohort.facts import file
from fhir_elig.cohort.facts.cells import Cells
from fhir_elig.cohort.facts.file import COLUMNS, FactsFile, FactsReader
from fhir_elig.cohort.facts.keep import Charted, Entry, Kept
from fhir_elig.errors import DataError
from fhir_elig.quantity import Quantity, Range
from fhir_elig.record import (
    Coded,
    Contact,
    Counts,
    Dose,
    Flag,
    Medication,
    Moment,
    Odd,
    Record,
    Refused,
    Result,
    Strength,
    Value,
)
from fhir_elig.sources import Chart
from fhir_elig.times import ALWAYS, When, parse_when
from tests.golden.cases import find, share_what_is_loaded

Charts = dict[str, list[tuple[Screening, Chart, str]]]  # by time zone; each with the name of its case
SEEN = (Counts.YES, Counts.NOT_FINAL)


def when(text: str) -> When:
    found = parse_when(text)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def cases() -> Iterator[Charts]:
    """The charts of all example patients."""
    with pytest.MonkeyPatch.context() as patch:
        share_what_is_loaded(patch)
        found: Charts = {}
        for case in find():
            screening = prepare(case.options())
            own = found.setdefault(screening.settings.time_zone, [])
            own += [(screening, chart, case.name) for chart in charts(case.options(), screening, Tally())]
        yield found


def kept(found: list[Entry], time_zone: str, path: Path) -> dict[str, Kept]:
    """Entries, written to a file and read again."""
    with path.open("wb") as stream, FactsFile(stream) as facts:
        for entry in found:
            facts.add([entry])
    reader = FactsReader(path, time_zone)
    return {one.patient: one for group in range(facts.groups) for one in reader.of(group)}


def seen(record: Record | None, patient: str) -> Record | None:
    """The record without the contacts that no criterion can see."""
    if record is None:
        return None
    contacts = tuple(one for one in record.contacts if one.time is not None and one.counts in SEEN)
    return msgspec.structs.replace(record, patient=patient, contacts=contacts)


def test_every_example_patient_comes_back_whole(cases: Charts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "ROW_GROUP", 500)
    for number, (zone, own) in enumerate(cases.items()):
        cells = Cells(zone)
        found = [
            msgspec.structs.replace(entry, patient=name)
            for screening, chart, name in own
            for entry in Charted(chart, (), screening).entries(cells)
        ]
        people = kept(found, zone, tmp_path / f"{number}.parquet")
        assert list(people) == [name for *_, name in own]
        for screening, chart, name in own:
            before = Tally()
            expected = seen(record_of(chart, screening, before), name)
            for one in (people[name], Charted(chart, (), screening)):
                found = one.read(screening.settings.questionnaire)
                assert repr(seen(found.record, name)) == repr(expected)
                assert set(found.codes) == before.codes
                assert [found.why] == ([one.why for one in before.failures] or [""])


def test_contacts_that_are_not_kept_change_no_assessment(cases: Charts) -> None:
    screening, chart, _ = next(one for own in cases.values() for one in own if one[2] == "consent-last-open-answer-eligible")
    record = record_of(chart, screening, Tally())
    assert record is not None
    unseen = (
        Contact(reference="Encounter/a", time=None),
        Contact(reference="Encounter/b", time=when("2025-05-31"), counts=Counts.NO),
    )
    told = assess(screening.protocol, msgspec.structs.replace(record, contacts=(*record.contacts, *unseen)), screening.run)
    assert told.to_json() == assess(screening.protocol, record, screening.run).to_json()


VALUES: tuple[Value, ...] = (
    Quantity(Decimal("7.50"), "<", "mg/dL"), Quantity(2**130), Quantity(None, code="null"), Quantity(Decimal("1E+2")),
    Range(Quantity(1), None), Coded(("a|b",), "text, with / and {"), Coded(), Flag(False), Moment(ALWAYS),
    Moment(when("2024-05")), Odd("Ratio"),
)  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_of_any_kind_comes_back(value: Value) -> None:
    fact = Result(reference="Observation/a", codes=(), value=value, time=None)
    assert repr(_again(Record(patient="p", person=None, results=(fact,))).results) == repr((fact,))


@pytest.mark.parametrize(
    "time",
    [
        when("2024"), when("2024-05-28T10:15:00+02:00"), when("2024-05").hull(when("2025-01-01")), when("2024-05").until(), ALWAYS,
        msgspec.structs.replace(when("2024-05"), last=when("2024-06").last), When(1, 2, 3, 4, "a/b/c"),
    ],
    ids=repr,
)  # fmt: skip
def test_a_time_of_any_width_comes_back(time: When) -> None:
    fact = Medication(
        reference="MedicationRequest/a",
        codes=("x|y",),
        strength=Strength.ORDERED,
        start=time,
        doses=(Dose(Decimal("1.0"), as_needed=True),),
    )
    assert repr(_again(Record(patient="p", person=None, medications=(fact,))).medications) == repr((fact,))


def test_codes_that_cannot_be_told_are_not_codes_that_are_none() -> None:
    refused = (Refused("Observation/a", "Observation", "why"), Refused("Observation/b", "Observation", "", ()))
    assert _again(Record(patient="p", person=None, refused=refused)).refused == refused


def _again(record: Record) -> Record:
    stream = io.BytesIO()
    with FactsFile(stream) as facts:
        facts.add([Entry(record.patient, "", (), "", Cells("UTC").write(record))])
    (one,) = FactsReader(io.BytesIO(stream.getvalue()), "UTC").of(0)
    found = one.reads[""].record
    assert found is not None
    return found


def test_no_two_columns_have_one_name() -> None:
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "facts.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="no file of facts that this version reads"):
        FactsReader(tmp_path / "facts.parquet", "UTC")
