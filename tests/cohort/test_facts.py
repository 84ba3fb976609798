"""`cohort facts`, and runs over what it keeps: the results are those of a run over the charts, whatever is asked and whenever."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_elig import places
from fhir_elig.cli import run
from fhir_elig.cohort import pieces
from fhir_elig.cohort.facts import file
from fhir_elig.cohort.folder import RESULTS
from tests.cohort.exports import COMMON, FOLDERS, PROTOCOL, by_type, people, write
from tests.cohort.test_resume import stopped_at

BASE = "https://example.org/fhir-elig"
pytestmark = pytest.mark.usefixtures("loaded_once")
LATER = ("--protocol", PROTOCOL, "--as-of", "2025-06-20")


def forms(folder: Path) -> None:
    """Answers to the forms of two protocols: sound, broken, of another protocol, of somebody else's questionnaire."""
    resources = people(5, 20)

    def answered(number: int, patient: str, form: str, **changes: object) -> None:
        said = {
            "resourceType": "QuestionnaireResponse", "id": f"qr{number}", "status": "completed", "authored": "2025-05-30",
            "questionnaire": f"{BASE}/Questionnaire/{form}", "subject": {"reference": f"Patient/{patient}"},
            "author": {"reference": "Practitioner/7"}, "item": [{"linkId": "consent", "answer": [{"valueBoolean": True}]}],
        }  # fmt: skip
        resources.append({**said, **changes})

    answered(1, "p0", f"{PROTOCOL}-attestations|1.0.0")
    answered(2, "p1", "amended-attestations")
    answered(3, "p2", "amended-attestations", status="odd")
    answered(4, "p2", f"{PROTOCOL}-attestations")
    answered(5, "p3", "phq-9", status="odd")
    write(folder, by_type(resources))


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "forms": forms,
    **{name: FOLDERS[name] for name in ("bad_lines", "replaced", "strangers")},
}


@pytest.fixture(scope="module")
def amended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The protocol under another name, with a limit moved."""
    text = (places.mapping_root() / "protocols" / f"{PROTOCOL}.yaml").read_text(encoding="utf-8")
    text, names = re.subn(rf"(?m)^protocol: {PROTOCOL}$", "protocol: amended", text)
    text, limits = re.subn("at-least: 90 g/L", "at-least: 100 g/L", text)
    assert names == 1 and limits
    path = tmp_path_factory.mktemp("amended") / "amended.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def begin(data: Path, out: Path, *words: str) -> int:
    return run(["cohort", "run", *words, "--data", str(data), "--out", str(out)])


def files(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in RESULTS}


def cached(data: Path, folder: Path) -> Path:
    """The facts of a run over the data."""
    begin(data, folder, *COMMON, "--complete", "all")
    assert run(["cohort", "facts", str(folder)]) in (0, 1)
    return folder / "facts"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_over_facts_gives_what_one_over_the_charts_gives(
    layout: str, amended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an amendment beside the protocol, three weeks later."""
    monkeypatch.setattr(pieces, "SHARD_BYTES", 20_000)
    monkeypatch.setattr(file, "ROW_GROUP", 100)
    data = tmp_path / "data"
    LAYOUTS[layout](data)
    facts = cached(data, tmp_path / "first")
    asked = (*LATER, "--protocol", str(amended))
    whole = begin(data, tmp_path / "charts", *asked, "--complete", "all")
    assert begin(facts, tmp_path / "facts", *asked) == whole
    assert files(tmp_path / "facts") == files(tmp_path / "charts")
    counts = [json.loads((tmp_path / name / "manifest.json").read_text())["counts"] for name in ("charts", "facts")]
    assert counts[0] == counts[1]


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("charts") / "data", by_type(people(4, 15)))


@pytest.fixture(scope="module")
def facts(charts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cached(charts, tmp_path_factory.mktemp("facts") / "run")


@pytest.mark.parametrize("number", [2, 4])
def test_keeping_facts_goes_on_where_it_was_stopped(
    number: int, charts: Path, facts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert begin(charts, out, *COMMON, "--complete", "all") == 0
    with stopped_at(number, KeyboardInterrupt):
        assert run(["cohort", "facts", str(out)]) == 130
    assert f"cohort facts {out}" in capsys.readouterr().err
    assert begin(out / "facts", tmp_path / "early", *LATER) == 2
    assert run(["cohort", "facts", str(out)]) == 0
    assert (out / "facts" / "facts.parquet").read_bytes() == (facts / "facts.parquet").read_bytes()
    assert run(["cohort", "facts", str(out)]) == 0


@pytest.mark.parametrize("number", [1, 2])
def test_a_run_over_facts_that_was_stopped_goes_on(number: int, facts: Path, tmp_path: Path) -> None:
    assert begin(facts, tmp_path / "whole", *LATER) == 0
    out = tmp_path / "run"
    with stopped_at(number, KeyboardInterrupt):
        assert begin(facts, out, *LATER) == 130
    assert run(["cohort", "resume", str(out)]) == 0
    assert files(out) == files(tmp_path / "whole")


SITE = "codes: {hemoglobin: ['http://hospital.example/codes|HB']}"


@pytest.mark.parametrize(
    ("site", "words", "why"),
    [
        (SITE, (), "the facts were read with something else: what the site file says about reading"),
        ("time_zone: Europe/Berlin", (), "something else: what the site file says about reading"),
        ("decimal_comma: true", (), "something else: what the site file says about reading"),
        ("", ("--complete", "Condition"), "the facts were read with --complete all"),
    ],
    ids=["codes", "zone", "comma", "complete"],
)
def test_facts_that_would_be_read_otherwise_now_are_refused(
    site: str, words: tuple[str, ...], why: str, facts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site.yaml").write_text(site)
    assert begin(facts, tmp_path / "run", *LATER, *words, *(("--site", str(tmp_path / "site.yaml")) if site else ())) == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_site_that_reads_alike_may_differ_elsewhere(facts: Path, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("upper_limits: [{analyte: alt, sex: female, limit: 34 U/L}]")
    assert begin(facts, tmp_path / "run", *LATER, "--site", str(tmp_path / "site.yaml"), "--complete", "all") == 0


def test_charts_that_changed_since_the_run_have_other_facts(
    charts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, out = tmp_path / "data", tmp_path / "run"
    shutil.copytree(charts, own)
    assert begin(own, out, *COMMON) == 0
    with (own / "Condition.ndjson").open("a") as stream:
        stream.write("\n")
    assert run(["cohort", "facts", str(out)]) == 2
    assert "the input has changed since the run" in capsys.readouterr().err


def test_facts_of_facts_are_those_that_are_there(facts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert begin(facts, tmp_path / "run", *LATER) == 0
    assert run(["cohort", "facts", str(tmp_path / "run")]) == 2
    assert f"they are in {facts}" in capsys.readouterr().err


def test_what_spark_does_not_do_is_refused(facts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert begin(facts, tmp_path / "run", *LATER, "--engine", "spark") == 2
    assert begin(tmp_path, tmp_path / "run", *LATER, "--engine", "spark", "--after", str(facts.parent)) == 2
    assert capsys.readouterr().err.count("by the local engine alone") == 2


def test_purge_removes_the_facts_too(charts: Path, tmp_path: Path) -> None:
    facts = cached(charts, tmp_path / "run")
    assert {path.stat().st_mode & 0o777 for path in facts.iterdir()} == {0o600}
    assert run(["cohort", "purge", str(tmp_path / "run")]) == 0
    assert not (tmp_path / "run").exists()
