"""A what-if over the example patients gives what a new assessment with the changed protocol gives, or says that it cannot tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from fhir_elig.assessment import assess
from fhir_elig.cli import pipeline
from fhir_elig.cohort.changes import Changes, read_changes
from fhir_elig.cohort.matrix import Matrix
from fhir_elig.cohort.whatif import CANNOT, what_if
from fhir_elig.criteria.context import Run
from fhir_elig.outputs.whatif_table import WhatIf
from fhir_elig.places import mapping_root
from fhir_elig.protocol import Protocol
from fhir_elig.record import Record
from tests.cohort.changed import Document, built, decided, dropped, moved, plain
from tests.cohort.runs import write_run
from tests.golden import cases

Charts = dict[str, tuple[Record, Run, str]]  # with the verdict of the protocol as it is
TEXT = (mapping_root() / "protocols" / "relma-cel-ssc.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def golden() -> Iterator[tuple[Protocol, Charts]]:
    with pytest.MonkeyPatch.context() as patch:
        cases.share_what_is_loaded(patch)
        found: Charts = {}
        for case in cases.find("relma-cel-ssc"):
            if not case.failure and case.file("site.yaml") is None:
                screening, tally = pipeline.prepare(case.options()), pipeline.Tally()
                (chart,) = pipeline.charts(case.options(), screening, tally)
                record = pipeline.record_of(chart, screening, tally)
                assert record is not None
                verdict = assess(screening.protocol, record, screening.run).verdict.value
                found[f"Patient/{case.name}"] = record, screening.run, verdict
        yield screening.protocol, found


@pytest.fixture(scope="module")
def matrix(golden: tuple[Protocol, Charts], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    protocol, charts = golden
    found = [msgspec.structs.replace(assess(protocol, record, run), patient=name) for name, (record, run, _) in charts.items()]
    with Matrix(write_run(tmp_path_factory.mktemp("golden") / "run", protocol, found)) as opened:
        yield opened


def ask(matrix: Matrix, **changes: Any) -> WhatIf:
    (used,) = matrix.protocols()
    return what_if(matrix, used, read_changes(used, **{"drop": (), "limit": (), "reading": (), **changes}))


def agreement(found: WhatIf, changed: Document, golden: tuple[Protocol, Charts]) -> int:
    """Hold every answer against a new assessment; gives the number of those that cannot be told."""
    before, charts = golden
    protocol = built(changed, before.concepts)
    after = {patient: move.rpartition(" -> ")[2] for move, patients in found.persons.items() for patient in patients}
    wrong = {}
    for patient, (record, run, verdict) in charts.items():
        told = after.get(patient, verdict)
        real = assess(protocol, record, run).verdict.value
        if told not in (real, CANNOT):
            wrong[patient] = (told, real)
    assert wrong == {}
    return found.after[CANNOT]


LIMITS = [
    ("hemoglobin", "at-least", "80 g/L", 0),
    ("hemoglobin", "at-least", "120 g/L", 1),
    ("platelets", "at-least", "50 10*9/L", 0),
    ("anc", "at-least", "5000 /uL", 0),
    ("alc", "at-least", "2 10*9/L", 0),
    ("creatinine-clearance", "at-least", "90 mL/min", 1),
    ("lvef", "at-least", "50 %", 0),
    ("lvef", "at-least", "60 %", 1),
    ("age", "at-least", "30 a", 1),
    ("age", "at-most", "60 a", 1),
]


@pytest.mark.parametrize(("name", "key", "text", "untold"), LIMITS)
def test_a_moved_limit(matrix: Matrix, golden: tuple[Protocol, Charts], name: str, key: str, text: str, untold: int) -> None:
    found = ask(matrix, limit=[f"{name}={key} {text}"])
    assert sum(found.moves.values()) > 0
    assert agreement(found, moved(plain(TEXT), name, key, text), golden) <= untold


DROPS = (
    "consent age ssc-classification refractory-or-progressive no-active-infection hemoglobin bilirubin "
    "pregnancy-test hcg-screening contraception conventional-therapy refractory"
).split()


@pytest.mark.parametrize("name", DROPS)
def test_a_dropped_criterion(matrix: Matrix, golden: tuple[Protocol, Charts], name: str) -> None:
    found = ask(matrix, drop=[name])
    assert agreement(found, dropped(plain(TEXT), name), golden) == 0


READINGS = [
    ("refractory-or-progressive", "and"),
    ("progressive", "any-of"),
    ("progressive", "all-of"),
    ("no-recent-support", "assessment"),
    ("no-recent-support", "specimen"),
    ("inr", "fixed"),
    ("age", "at-enrollment"),
    ("fvc-decline-10", "points-of-percent-predicted"),
    ("creatinine-clearance", "ideal-weight"),
]


@pytest.mark.parametrize(("name", "reading"), READINGS)
def test_a_decided_reading(matrix: Matrix, golden: tuple[Protocol, Charts], name: str, reading: str) -> None:
    agreement(ask(matrix, reading=[f"{name}={reading}"]), decided(plain(TEXT), name, reading), golden)


def test_several_changes_at_once(matrix: Matrix, golden: tuple[Protocol, Charts]) -> None:
    changed = dropped(moved(plain(TEXT), "hemoglobin", "at-least", "100 g/L"), "lvef")
    found = ask(matrix, drop=["lvef"], limit=["hemoglobin=100 g/L"], reading=["refractory-or-progressive=and"])
    assert agreement(found, decided(changed, "refractory-or-progressive", "and"), golden) <= 1


def test_words_say_what_was_changed(matrix: Matrix) -> None:
    (used,) = matrix.protocols()
    found: Changes = read_changes(used, ["lvef"], ["hemoglobin=80 g/L"], ["progressive=any-of"])
    assert found.words == ("drop lvef", "hemoglobin: 80 g/L", "progressive: reading any-of")
