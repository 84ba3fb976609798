"""Two runs compared: who is new, who left, who changed, and by which criterion and resource."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_elig.cli import run as command
from fhir_elig.outputs.diff_table import ChangedCriterion, ChangedPerson, Diff, render_diff
from fhir_elig.outputs.matrix_row import Row
from tests.cohort.runs import write_folder

TREE = {
    "inclusion": [{"id": "organs", "kind": "all-of", "criteria": [{"id": "hb"}, {"id": "lvef"}]}, {"id": "consent"}],
}
OLD = {"p1": ("met", "met", "met", "unknown"), "p2": ("not-met", "not-met", "met", "met"), "p3": ("met", "met", "met", "met")}
NEW = {"p1": ("not-met", "not-met", "met", "unknown"), "p3": ("met", "met", "met", "met"), "p4": ("met", "met", "met", "met")}
STATUS = {"met": "eligible", "unknown": "candidate", "not-met": "ineligible"}


def rows(people: dict[str, tuple[str, ...]], hemoglobin: float) -> list[Row]:
    found = []
    for name, verdicts in people.items():
        whole = next((verdict for verdict in ("not-met", "unknown") if verdict in verdicts), "met")
        found.append(Row("t", f"Patient/{name}", "", whole, STATUS[whole]))
        for criterion, verdict in zip(("organs", "hb", "lvef", "consent"), verdicts, strict=True):
            value: dict[str, Any] = (
                {"value": hemoglobin, "unit": "g/L", "reference": f"Observation/{name}"} if criterion == "hb" else {}
            )
            found.append(Row("t", f"Patient/{name}", criterion, verdict, "in-range", **value))
    return found


@pytest.fixture
def runs(tmp_path: Path) -> tuple[str, str]:
    used = {"id": "t", "version": "1", "sha256": "ab", "title": "T", "tree": TREE}
    old = write_folder(tmp_path / "old", [used], rows(OLD, 95.0), as_of="2025-06-01", persons=3)
    new = write_folder(tmp_path / "new", [{**used, "sha256": "cd"}], rows(NEW, 85.0), as_of="2025-07-01", persons=3)
    return str(old), str(new)


def test_persons_who_come_go_and_change_with_what_changed_them(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["cohort", "diff", *runs, "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["new"], found["left"], found["same_protocol"]) == (["Patient/p4"], ["Patient/p2"], False)
    (changed,) = found["changed"]
    assert (changed["patient"], changed["old_status"], changed["new_status"]) == ("Patient/p1", "candidate", "ineligible")
    (hb,) = changed["criteria"]
    assert (hb["criterion"], hb["old_verdict"], hb["new_verdict"], hb["old_value"], hb["new_value"]) == (
        "hb",
        "met",
        "not-met",
        95,
        85,
    )
    assert (hb["old_reference"], hb["new_reference"]) == ("Observation/p1", "Observation/p1")


def test_the_table_says_it_in_words(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["cohort", "diff", *runs]) == 0
    shown = capsys.readouterr().out
    assert (
        "t 1   as of 2025-06-01 -> 2025-07-01\nthe protocol's file is another one\nnew: 1   p4\nleft: 1   p2\nchanged: 1\n"
        in shown
    )
    assert "  candidate -> ineligible: 1" in shown
    assert "  hb: met (in-range) 95 g/L Observation/p1 -> not-met (in-range) 85 g/L Observation/p1" in shown


def test_a_run_is_not_different_from_itself(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["cohort", "diff", runs[0], runs[0], "--protocol", "t"]) == 0
    assert capsys.readouterr().out.endswith("new: 0\nleft: 0\nchanged: 0\n")


def test_runs_of_different_protocols_are_refused(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    manifest = json.loads((Path(runs[1]) / "manifest.json").read_text(encoding="utf-8"))
    manifest["protocols"][0]["id"] = "other"
    (Path(runs[1]) / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert command(["cohort", "diff", *runs]) == 2
    assert "no protocol in common" in capsys.readouterr().err


def test_long_lists_are_cut_and_a_criterion_of_one_run_alone_is_told() -> None:
    gone = ChangedCriterion("x", "met", None, "present", None, None, None, "", "", "")
    people = tuple(ChangedPerson(f"Patient/p{number}", "candidate", "eligible", (gone,)) for number in range(21))
    found = Diff(
        protocol="t", old_version="1", new_version="2", same_protocol=True, old_as_of="2025", new_as_of="2025",
        new=tuple(one.patient for one in people), left=(), changed=people,
    )  # fmt: skip
    shown = render_diff([found])
    assert shown.startswith("t 1 -> 2   as of 2025 -> 2025\nnew: 21   p0, ")
    assert "p19 and 1 more" in shown
    assert "  x: met (present) -> not a criterion" in shown
    assert "and 1 more (--format json has all)" in shown
    assert msgspec.json.decode(msgspec.json.encode(found))["schema"] == "fhir-elig/cohort-diff/1"
