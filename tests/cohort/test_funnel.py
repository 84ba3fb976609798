"""The funnel counts persons: in sequence, alone, near misses, what is missing. The matrix is written by hand, as are the counts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_elig.cli import run as command
from fhir_elig.cohort.funnel import funnel
from fhir_elig.cohort.matrix import Matrix
from fhir_elig.errors import DataError, UsageError
from fhir_elig.outputs.funnel_table import Band, Funnel, Miss, miss_text, render_funnel
from fhir_elig.outputs.matrix_row import Row
from tests.cohort.runs import write_folder

LIMIT = {"sign": ">=", "value": 90.0, "unit": "g/L", "text": "90 g/L"}
TREE = {
    "inclusion": [
        {
            "id": "organs", "kind": "all-of", "text": "organs work", "criteria": [
                {"id": "hb", "kind": "value", "text": "Hb", "reads": ["hemoglobin"], "limits": [LIMIT], "criteria": []},
                {"id": "hb-again", "kind": "value", "text": "Hb once more", "reads": ["hemoglobin"], "criteria": []},
                {"id": "lvef", "kind": "value", "text": "LVEF", "reads": ["lvef"], "criteria": []},
            ],
        },
        {"id": "women", "kind": "applies-if", "text": "a test for women", "criteria": []},
        {"id": "consent", "kind": "attestation", "text": "signed", "criteria": []},
    ],
    "exclusion": [],
    "definitions": {},
}  # fmt: skip
M, N, U, A = "met", "not-met", "unknown", "not-applicable"
# patient: organs, hb, hb-again, lvef, women, consent, whole, status
PEOPLE = {
    "p1": (M, M, M, M, A, U, U, "candidate"),
    "p2": (U, U, U, M, M, U, U, "potential-candidate"),  # hemoglobin is all that is missing
    "p3": (U, U, U, U, M, M, U, "potential-candidate"),  # hemoglobin and LVEF are
    "p4": (N, N, M, U, M, U, N, "ineligible"),  # near: hb alone
    "p5": (N, N, M, N, M, U, N, "ineligible"),  # hb and lvef are against it: near by organs as a whole
    "p6": (N, N, M, M, N, U, N, "ineligible"),  # two at the top
    "p7": (M, M, M, M, M, M, M, "eligible"),
    "p8": (M, M, M, M, A, N, N, "ineligible"),  # near: consent
}
NAMES = ("organs", "hb", "hb-again", "lvef", "women", "consent", "")


def row(patient: str, criterion: str, verdict: str, reason: str, **more: Any) -> Row:
    return Row("my-trial", f"Patient/{patient}", criterion, verdict, reason, **more)


def matrix_rows() -> list[Row]:
    found = []
    for patient, (*verdicts, status) in PEOPLE.items():
        for name, verdict in zip(NAMES, verdicts, strict=True):
            reason = status if name == "" else "needs-person" if name == "consent" else "not-found"
            value = {"value": 88.5, "value_low": 88.5, "value_high": 88.5, "unit": "g/L", "limit": ">= 90 g/L"}
            found.append(row(patient, name, verdict, reason, **(value if name == "hb" and verdict == N else {})))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "run", [used()], matrix_rows(), as_of="2025-06-01", persons=8, not_assessed=1)


def used(**changes: Any) -> dict[str, Any]:
    return {"id": "my-trial", "version": "2", "sha256": "ab", "title": "My trial", "tree": TREE, **changes}


def counted(folder: Path) -> Funnel:
    with Matrix(folder) as matrix:
        (found,) = [funnel(matrix, each) for each in matrix.protocols()]
        return found


def test_a_person_is_counted_up_to_the_first_criterion_that_is_not_met(folder: Path) -> None:
    steps = {step.criterion: step for step in counted(folder).steps}
    assert list(steps) == ["organs", "hb", "hb-again", "lvef", "women", "consent"]
    assert steps["organs"].sequence == Band(3, 0, 2, 3)
    assert steps["women"].sequence == Band(3, 2, 0, 0)  # the five who are still open
    assert steps["consent"].sequence == Band(2, 0, 2, 1)
    assert steps["hb"].sequence is None


def test_each_criterion_alone_counts_everybody_at_any_depth(folder: Path) -> None:
    steps = {step.criterion: step for step in counted(folder).steps}
    assert steps["women"].alone == Band(5, 2, 0, 1)
    assert steps["hb"].alone == Band(3, 0, 2, 3)
    assert steps["lvef"].alone == Band(5, 0, 2, 1)
    assert [steps[name].depth for name in ("organs", "hb", "women")] == [0, 1, 0]


def test_rows_of_a_sequence_add_up_to_those_still_open_above_and_statuses_to_the_persons(folder: Path) -> None:
    found = counted(folder)
    open_ = found.assessed
    for step in found.steps:
        if step.sequence is not None:
            counts = step.sequence.counts()
            assert sum(count or 0 for count in counts) == open_
            open_ = sum(count or 0 for count in counts[:3])
    assert found.statuses == {"eligible": 1, "candidate": 1, "potential-candidate": 2, "ineligible": 4}
    assert (found.patients, found.assessed, found.not_assessed) == (9, 8, 1)


def test_a_near_miss_has_one_criterion_against_it_and_its_distance(folder: Path) -> None:
    found = counted(folder)
    assert found.near == {"consent": 1, "hb": 1, "organs": 1}
    hb, *others = found.misses
    assert (hb.patient, hb.criterion, hb.value, hb.unit, hb.distance) == ("Patient/p4", "hb", 88.5, "g/L", 1.5)
    assert hb.relative == pytest.approx(1.5 / 90)
    assert [(miss.patient, miss.criterion, miss.distance) for miss in others] == [
        ("Patient/p5", "organs", None),
        ("Patient/p8", "consent", None),
    ]


@pytest.mark.parametrize(
    ("limit", "low", "high", "distance"),
    [
        ("<= 10 g/L", 12.0, 12.0, 2.0),
        (">= 5 g/L and <= 10 g/L", 2.0, 4.0, 1.0),
        ("> 10 g/L", 10.0, 10.0, 0.0),
        ("> 10 g/L", 13.0, 13.0, 3.0),  # an exclusion: 3 below it and it would not hold
        ("negative", None, None, None),
    ],
)
def test_the_distance_is_from_the_value_to_the_limit_that_it_misses(
    tmp_path: Path, limit: str, low: float | None, high: float | None, distance: float | None
) -> None:
    tree = {"inclusion": [{"id": "one", "kind": "value"}]}
    one = row("p1", "one", N, "out-of-range", value=low if low == high else None, value_low=low, value_high=high, limit=limit)
    folder = write_folder(tmp_path / "r", [used(tree=tree)], [one, row("p1", "", N, "ineligible")], as_of="2025", persons=1)
    (miss,) = counted(folder).misses
    assert miss.distance == distance


def test_work_is_ranked_by_the_persons_whom_a_test_unlocks(folder: Path) -> None:
    found = counted(folder).missing
    assert [(one.test, one.criteria, one.unlocks, one.open) for one in found] == [
        ("hemoglobin", ("hb", "hb-again"), 1, 2),
        ("consent", ("consent",), 0, 2),
        ("lvef", ("lvef",), 0, 1),
    ]


def test_what_is_unknown_in_a_part_that_is_settled_is_no_work(tmp_path: Path) -> None:
    tree = {"inclusion": [{"id": "any", "kind": "any-of", "criteria": [{"id": "x"}, {"id": "y"}]}, {"id": "z"}]}
    verdicts = {"any": M, "x": M, "y": U, "z": U, "": U}
    rows = [row("p1", name, verdict, "not-found") for name, verdict in verdicts.items()]
    folder = write_folder(tmp_path / "r", [used(tree=tree)], rows, as_of="2025-06-01", persons=1)
    assert [(one.test, one.unlocks) for one in counted(folder).missing] == [("z", 1)]


def test_alive_stands_first_where_somebody_is_recorded_as_deceased(tmp_path: Path) -> None:
    rows = [*matrix_rows(), row("p6", "alive", N, "deceased")]
    folder = write_folder(tmp_path / "r", [used()], rows, as_of="2025-06-01", persons=8)
    first, second, *_ = counted(folder).steps
    assert (first.criterion, first.sequence, first.alone) == ("alive", Band(7, 0, 0, 1), Band(7, 0, 0, 1))
    assert second.sequence == Band(3, 0, 2, 2)


def test_a_row_that_is_missing_or_doubled_is_an_error(tmp_path: Path) -> None:
    short, double = matrix_rows()[1:], [*matrix_rows(), matrix_rows()[0]]
    for number, rows in enumerate((short, double)):
        folder = write_folder(tmp_path / str(number), [used()], rows, as_of="2025-06-01", persons=8)
        with pytest.raises(DataError, match="organs has verdicts of"):
            counted(folder)


def test_a_criterion_at_the_top_without_an_id_is_refused(tmp_path: Path) -> None:
    tree = {"inclusion": [{"kind": "any-of", "criteria": [{"id": "x"}]}]}
    folder = write_folder(tmp_path / "r", [used(tree=tree)], [row("p1", "", M, "eligible")], as_of="2025-06-01", persons=1)
    with pytest.raises(UsageError, match="has no id"):
        counted(folder)


def test_the_table_says_all_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["cohort", "funnel", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "my-trial 2   as of 2025-06-01   persons: 9 in, 8 assessed, 1 not (errors.ndjson)" in shown
    assert "left: 1 eligible, 1 candidate, 2 potential-candidate, 4 ineligible" in shown
    assert "p4  hb  88.5 g/L, limit >= 90 g/L: 1.5 g/L away (1.7 % of the limit)" in shown
    assert "p8  consent  no value to compare" in shown
    assert "hemoglobin: unlocks 1, open for 2   (hb, hb-again)" in shown
    assert [line.split() for line in shown.splitlines() if line.startswith("women")] == [
        ["women", "3", "2", "0", "0", "5", "2", "0", "1"]
    ]


def test_json_names_its_schema_and_hides_small_cells_with_the_lists(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["cohort", "funnel", str(folder), "--format", "json", "--min-cell", "3"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["schema"] == "fhir-elig/funnel/1"
    assert found["min_cell"] == 3
    assert found["misses"] == []
    assert found["near"] == {"consent": None, "hb": None, "organs": None}
    bands = [step[view] for step in found["steps"] for view in ("sequence", "alone") if step[view]]
    shown = [count for band in bands for count in band.values() if count is not None]
    assert shown
    assert not {1, 2} & set(shown)
    assert command(["cohort", "funnel", str(folder), "--min-cell", "3"]) == 0
    assert "counts from 1 to 2 are hidden" in capsys.readouterr().out


def test_long_lists_are_cut_on_a_terminal_and_say_so(folder: Path) -> None:
    found = counted(folder)
    more = msgspec.structs.replace(found, misses=found.misses * 5, missing=found.missing * 5, steps=())
    assert render_funnel([more]).count(" more (--format json has all)") == 2
    bare = msgspec.structs.replace(found, near={}, misses=(), missing=())
    assert render_funnel([bare]).splitlines()[-1].startswith("left: ")


@pytest.mark.parametrize(
    ("miss", "told"),
    [
        (Miss("Patient/p1", "x", None, "", "negative", None, None, "", ""), "limit negative"),
        (Miss("Patient/p1", "x", None, "", "< 5", 2.0, None, "", ""), "an interval, limit < 5: 2 away"),
    ],
)
def test_a_miss_is_told_with_what_is_known_of_it(miss: Miss, told: str) -> None:
    assert miss_text(miss) == told


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--format", "xml"], 2, "--format does not know"),
        (["--protocol", "my-trail"], 2, "did you mean my-trial?"),
    ],
)
def test_slips_are_told(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, told: str) -> None:
    assert command(["cohort", "funnel", str(folder), *arguments]) == code
    assert told in capsys.readouterr().err


def test_a_folder_that_is_none_of_a_run_or_not_at_its_end_or_broken_is_told(folder: Path) -> None:
    with pytest.raises(UsageError, match="no folder of a run"):
        Matrix(folder.parent)
    (folder / "matrix.parquet").unlink()
    with pytest.raises(UsageError, match="no matrix yet"):
        Matrix(folder)
    (folder / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="manifest"):
        Matrix(folder)


def test_without_duckdb_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(UsageError) as told:
        Matrix(folder)
    assert "fhir-elig[cohort]" in told.value.findings[0].fix


def test_text_of_the_data_is_no_sql(tmp_path: Path) -> None:
    name = "x'; DROP VIEW matrix; --"
    tree = {"inclusion": [{"id": name, "kind": "value", "reads": [name]}]}
    rows = [Row(name, name, criterion, U, "not-found") for criterion in (name, "")]
    folder = write_folder(tmp_path / "it's", [used(id=name, tree=tree)], rows, as_of="2025-06-01", persons=1)
    assert counted(folder).missing[0].unlocks == 1
