"""A what-if over generated charts and protocols gives what a new assessment gives, or says that it cannot tell."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import pyarrow.parquet
import pytest
import yaml
from hypothesis import given, settings, strategies as st

from fhir_elig.assessment import assess
from fhir_elig.cli import run as command
from fhir_elig.cohort.changes import Changes, read_changes
from fhir_elig.cohort.matrix import Matrix
from fhir_elig.cohort.whatif import CANNOT, what_if
from fhir_elig.errors import UsageError
from tests.cohort.changed import Document, built, criterion, decided, dropped, moved, nodes
from tests.cohort.runs import write_run
from tests.properties.charts import CRITERIA, DATES, charts
from tests.spec.table import answer, chart, concepts, lab, person, run

MILESTONES = {name: {"title": name} for name in ("screening", *DATES["events"])}
RUN = run(**DATES)
LEAVES = [yaml.safe_load(text) for name, text in CRITERIA.items() if name not in ("attestation", "score")]


def document(*inclusion: Any, exclusion: tuple[Any, ...] = ()) -> Document:
    head = {"protocol": "made", "version": "1", "title": "made", "milestones": MILESTONES}
    return {**head, "inclusion": list(inclusion), **({"exclusion": list(exclusion)} if exclusion else {})}


def named(name: str, node: Document) -> Document:
    return {"id": name, "text": name, **node}


@st.composite
def protocols(draw: st.DrawFn) -> Document:
    """Two or three criteria at the top, of every kind, nested at random, with and without ids; one may be excluded."""
    number = iter(range(100))

    def node(depth: int, must: bool) -> Document:
        kinds = ["leaf", "leaf"] + ["all-of", "any-of", "at-least", "not", "applies-if", "readings"] * (depth > 0)
        kind = draw(st.sampled_from(kinds))
        if kind == "leaf":
            made = dict(draw(st.sampled_from(LEAVES)))
        elif kind == "not":
            made = {"not": node(depth - 1, False)}
        elif kind == "applies-if":
            made = {"applies-if": {"when": node(0, False), "then": node(depth - 1, False)}}
        elif kind == "readings":
            made = {"readings": {"options": {"a": node(depth - 1, False), "b": node(depth - 1, False)}}}
            if draw(st.booleans()):
                made["readings"] |= {"decided": "a", "because": "so"}
        else:
            members = [node(depth - 1, False) for _ in range(draw(st.integers(2, 3)))]
            made = {kind: {"count": 1, "of": members} if kind == "at-least" else members}
        if must or "attestable" in made or draw(st.integers(0, 3)):
            return named(f"c{next(number)}", made)
        return made

    tops = [node(2, True) for _ in range(draw(st.integers(2, 3)))]
    out = (node(1, True),) if draw(st.booleans()) else ()
    return document(*tops, exclusion=out)


def possible(matrix: Matrix, made: Document) -> list[tuple[Changes, Callable[[], Document]]]:
    """Every change that is accepted, with what makes the changed document."""
    (used,) = matrix.protocols()
    found = []
    for node in nodes(made):
        name = node.get("id")
        if name is None:
            continue
        asked: list[tuple[dict[str, list[str]], Any]] = [({"drop": [name]}, lambda n=name: dropped(made, n))]
        for key in ("at-least", "at-most"):
            for text in ("80 g/L", "95 g/L", "50 a"):
                limit = {"limit": [f"{name}={key} {text}"]}
                asked.append((limit, lambda n=name, k=key, t=text: moved(made, n, k, t)))
        asked += [({"reading": [f"{name}={each}"]}, lambda n=name, r=each: decided(made, n, r)) for each in "ab"]
        for change, document_of in asked:
            try:
                read = read_changes(used, **{"drop": [], "limit": [], "reading": [], **change})
            except UsageError:
                continue
            found.append((read, document_of))
    return found


@settings(max_examples=15)
@given(protocols(), st.lists(charts, min_size=4, max_size=4), st.integers(0, 1000))
def test_what_is_told_is_what_a_new_assessment_gives(made: Document, sent: list[Any], chosen: int) -> None:
    before = built(made, concepts())
    people = {f"Patient/p{number}": chart(*facts) for number, facts in enumerate(sent)}
    verdicts = {name: msgspec.structs.replace(assess(before, record, RUN), patient=name) for name, record in people.items()}
    with tempfile.TemporaryDirectory() as folder:
        write_run(Path(folder), before, list(verdicts.values()), milestones=list(DATES["events"]))
        with Matrix(Path(folder)) as matrix:
            every = possible(matrix, made)
            for changes, after in [every[(chosen * step) % len(every)] for step in (1, 3, 7)] if every else []:
                found = what_if(matrix, *matrix.protocols(), changes)
                told = {one: move.rpartition(" -> ")[2] for move, ones in found.persons.items() for one in ones}
                protocol = built(after(), concepts())
                for name, record in people.items():
                    real = assess(protocol, record, RUN).verdict.value
                    assert told.get(name, verdicts[name].verdict.value) in (real, CANNOT), (name, changes.words)


HB = named("hb", {"value": {"concepts": ["hemoglobin"], "at-least": "90 g/L", "window": {"before": "28 d"}}})
ADULT = named("age", {"age": {"at-least": "18 a", "at-most": "65 a"}})
SIGNED = named("signed", {"attestation": {"question": "q"}})


def asked(folder: Path, made: Document, facts: Any, **changes: list[str]) -> dict[str, int]:
    protocol = built(made, concepts())
    write_run(folder, protocol, [assess(protocol, chart(*facts), RUN)])
    with Matrix(folder) as matrix:
        (used,) = matrix.protocols()
        return what_if(matrix, used, read_changes(used, **{"drop": [], "limit": [], "reading": [], **changes})).moves


@pytest.mark.parametrize(
    ("value", "limit", "moves"),
    [
        ("85 g/L", "80 g/L", {"not-met -> met": 1}),
        ("85 g/L", "85 g/L", {"not-met -> met": 1}),  # a limit is inclusive, and the value is exactly on it
        ("85 g/L", "8.5 g/dL", {"not-met -> met": 1}),
        ("85 g/L", "85.001 g/L", {}),
        ("<95 g/L", "96 g/L", {"unknown -> not-met": 1}),
        ("<95 g/L", "95 g/L", {"unknown -> cannot be told": 1}),  # whether the end is open is not stored
        ("85", "80 g/L", {}),  # without a unit it is unknown under any limit
    ],
)
def test_a_limit_is_held_against_what_was_compared(tmp_path: Path, value: str, limit: str, moves: dict[str, int]) -> None:
    assert asked(tmp_path, document(HB, ADULT), [lab("hemoglobin", value, "2025-05-20")], limit=[f"hb={limit}"]) == moves


def test_results_that_agreed_are_all_held_against_the_limit(tmp_path: Path) -> None:
    two = [lab("hemoglobin", f"{value} g/L", "2025-05-20", ref=str(value)) for value in (95, 110)]
    assert asked(tmp_path / "a", document(HB, ADULT), two, limit=["hb=100 g/L"]) == {"met -> unknown": 1}
    assert asked(tmp_path / "b", document(HB, ADULT), two, limit=["hb=80 g/L"]) == {}


def test_a_dropped_question_leaves_what_the_chart_says(tmp_path: Path) -> None:
    facts = [lab("hemoglobin", "95 g/L", "2025-05-20"), answer("other", True)]
    assert asked(tmp_path, document(HB, SIGNED), facts, drop=["signed"]) == {"unknown -> met": 1}


READ = named("r", {"readings": {"options": {"x": ADULT, "y": HB}}})
ULN = named("alt", {"value": {"concepts": ["alt"], "at-most": "3 x ULN"}})
ANY = named("any", {"value": {"concepts": ["hemoglobin"], "at-least": "90 g/L", "pick": "any"}})
ASKED = named("asked", {**HB, "id": "asked", "attestable": True, "question": "q"})
OPEN = named(
    "open",
    {"readings": {"options": {"x": {"age": {"at-least": "18 a"}}, "y": {"age": {"at-least": "18 a", "at": "enrollment"}}}}},
)
FAR = named("far", {"unless": {"when": {"sex": {"is": "male"}}, "then": {"age": {"at-least": "18 a"}}}, "value": HB["value"]})
TWO = named("two", {"at-least": {"count": 2, "of": [{**HB, "id": "two-a"}, {**HB, "id": "two-b"}]}})
GUARD = named("guard", {"applies-if": {"when": {"sex": {"is": "male"}}, "then": {**HB, "id": "inside"}}})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "nothing is to be changed"),
        ({"drop": ["hbb"]}, "no criterion"),
        ({"limit": ["hb"]}, "no CRITERION=VALUE"),
        ({"limit": ["hb=8 mmHg"]}, "no amount"),
        ({"limit": ["hb=1.23456789012345678901 g/L"]}, "no amount"),
        ({"limit": ["hb=at-most 200 g/L"]}, "no limit on that side"),
        ({"limit": ["age=70 a"]}, "it has two limits"),
        ({"limit": ["age=at-least 70 a"]}, "lies above"),
        ({"limit": ["age=at-least 7 y"]}, "no amount"),
        ({"limit": ["alt=100 U/L"]}, "multiple of a limit of normal"),
        ({"limit": ["any=80 g/L"]}, "several results"),
        ({"limit": ["asked=80 g/L"]}, "person's answer"),
        ({"limit": ["signed=80 g/L"]}, "no limit of a value"),
        ({"limit": ["far=80 g/L"]}, "an exception"),
        ({"limit": ["open=17 a"]}, "not decided"),
        ({"limit": ["r=17 a"]}, "no limit of a value"),
        ({"reading": ["hb=x"]}, "one reading"),
        ({"reading": ["open=z"]}, 'no reading "z"'),
        ({"reading": ["open=x", "open=y"]}, "decided twice"),
        ({"drop": ["hb"], "limit": ["hb=80 g/L"]}, "dropped as well"),
        ({"drop": ["two-a"]}, "too few"),
        ({"drop": ["inside"]}, "cannot be left out"),
        ({"drop": ["hb2"]}, "cannot be left out"),
    ],
)
def test_what_cannot_be_recomputed_is_refused_with_the_reason(tmp_path: Path, changes: dict[str, list[str]], why: str) -> None:
    hb2 = {**HB, "id": "hb2"}
    read = named("r", {"readings": {"options": {"x": {**ADULT, "id": "age2"}, "y": hb2}}})
    made = document(HB, ADULT, read, ULN, ANY, ASKED, OPEN, FAR, TWO, GUARD, SIGNED)
    with pytest.raises(UsageError) as refused:
        asked(tmp_path, made, [person()], **changes)
    assert why in refused.value.findings[0].why
    assert refused.value.findings[0].fix


def test_the_last_criterion_is_not_dropped(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no criterion would be left"):
        asked(tmp_path, document(HB), [person()], drop=["hb"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    protocol = built(document(HB, ADULT), concepts())
    low = chart(lab("hemoglobin", "85 g/L", "2025-05-20"))
    found = [msgspec.structs.replace(assess(protocol, low, RUN), patient=f"Patient/p{number}") for number in range(12)]
    return write_run(tmp_path / "run", protocol, found)


def test_the_table_marks_itself_as_a_what_if(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["cohort", "what-if", str(folder), "--limit", "hb=80 g/L"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("WHAT IF   made 1   as of 2025-06-01\n  hb: 80 g/L\n")
    assert "not-met -> met: 12   p0, p1, p10, p11, p2, p3, p4, p5, p6, p7 and 2 more (--format json has all)" in shown
    assert command(["cohort", "what-if", str(folder), "--drop", "age"]) == 0
    assert "nobody changes" in capsys.readouterr().out


def test_json_names_its_schema_and_all_persons(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["cohort", "what-if", str(folder), "--drop", "hb", "--format", "json", "--protocol", "made"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "fhir-elig/what-if/1"
    assert found["before"] == {"met": 0, "unknown": 0, "not-met": 12}
    assert found["after"] == {"met": 12, "unknown": 0, "not-met": 0, "cannot be told": 0}
    assert len(found["persons"]["not-met -> met"]) == 12


def test_of_several_protocols_one_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["protocols"].append({**manifest["protocols"][0], "id": "other"})
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert command(["cohort", "what-if", str(folder), "--drop", "hb"]) == 2
    assert "name one of made, other" in capsys.readouterr().err


def no_matrix(file: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"one": [1]}), file)


def pages_overwritten(file: Path) -> None:
    """The first pages of data, so that what the end of the file tells of them still stands."""
    data = file.read_bytes()
    file.write_bytes(data[:8] + bytes(len(data) // 4) + data[8 + len(data) // 4 :])


DAMAGES: list[Callable[[Path], Any]] = [lambda file: file.write_bytes(b"PAR1"), no_matrix, pages_overwritten]


@pytest.mark.parametrize("damage", DAMAGES, ids=["cut", "another file", "pages"])
@pytest.mark.parametrize("words", [("what-if", "--drop", "hb"), ("what-if", "--limit", "hb=80 g/L"), ("funnel",)])
def test_a_matrix_that_cannot_be_read_is_told_of(
    words: tuple[str, ...], damage: Callable[[Path], Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(folder / "matrix.parquet")
    assert command(["cohort", words[0], str(folder), *words[1:]]) == 11
    assert "the matrix of the run cannot be read" in capsys.readouterr().err


def test_the_leaves_of_the_generator_have_limits_and_readings() -> None:
    assert criterion(document(HB), "hb")["value"]["at-least"] == "90 g/L"
    assert {"value", "age", "readings", "applies-if", "not"} <= {key for leaf in LEAVES for key in leaf}
