"""`cohort run --facts`: facts kept in the pass of the run are those of `cohort facts`, whatever stops it, whoever is taken over."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_elig.cli import run
from fhir_elig.cohort import pieces
from fhir_elig.cohort.facts import file
from fhir_elig.cohort.facts.keep import Charted
from fhir_elig.cohort.folder import RESULTS
from tests.cohort.exports import by_type, people, write
from tests.cohort.test_earlier import begin, changed
from tests.cohort.test_facts import LATER, LAYOUTS
from tests.cohort.test_resume import stopped_at

pytestmark = pytest.mark.usefixtures("loaded_once")
CACHE = ("facts.parquet", "manifest.json", "quarantine.ndjson")


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """A few patients make many shards and groups."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "SHARD_BYTES", 20_000)
        patch.setattr(file, "ROW_GROUP", 100)
        yield


def cache(out: Path) -> dict[str, bytes]:
    return {name: (out / "facts" / name).read_bytes() for name in CACHE}


def files(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in RESULTS}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("beside") / "data", by_type(people(6, 20)))


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and its facts in a pass of their own."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert begin(data, out) == 0
    assert run(["cohort", "facts", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def earlier(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that kept its facts."""
    out = tmp_path_factory.mktemp("earlier") / "run"
    assert begin(data, out, "--facts") == 0
    return out


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose facts were made of a chart."""
    found: list[str] = []
    made: Callable[..., Any] = Charted.entries

    def entries(self: Charted, cells: Any) -> Any:
        found.append(self.patient)
        return made(self, cells)

    monkeypatch.setattr(Charted, "entries", entries)
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_facts_kept_in_the_pass_are_those_of_a_pass_of_their_own(layout: str, tmp_path: Path) -> None:
    charts = tmp_path / "data"
    LAYOUTS[layout](charts)
    code = begin(charts, tmp_path / "apart")
    kept = run(["cohort", "facts", str(tmp_path / "apart")])
    assert begin(charts, tmp_path / "beside", "--facts") == code
    assert files(tmp_path / "beside") == files(tmp_path / "apart")
    assert cache(tmp_path / "beside") == cache(tmp_path / "apart")
    assert run(["cohort", "facts", str(tmp_path / "beside")]) == kept


@pytest.mark.parametrize("number", [3, 6, 9])
def test_a_run_stopped_anywhere_ends_with_the_same_facts(number: int, data: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with stopped_at(number, KeyboardInterrupt):
        assert begin(data, out, "--facts") == 130
    assert run(["cohort", "facts", str(out)]) == 2
    assert run(["cohort", "resume", str(out)]) == 0
    assert (files(out), cache(out)) == (files(whole), cache(whole))


def test_a_run_killed_while_it_wrote_its_facts_leaves_none_and_writes_them_again(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As SIGKILL leaves the folder: with part of a file, and without the manifest."""
    out = tmp_path / "run"

    def killed(*_: object) -> None:
        (out / "facts" / "facts.parquet.1.part").write_bytes(b"PAR1")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fhir_elig.cohort.facts.cache.write_kept", killed)
        assert begin(data, out, "--facts") == 130
    shutil.copytree(out, tmp_path / "purged")
    assert begin(out / "facts", tmp_path / "over", common=LATER) != 0
    assert run(["cohort", "purge", str(tmp_path / "purged")]) == 0
    assert not (tmp_path / "purged").exists()
    assert run(["cohort", "resume", str(out)]) == 0
    assert (files(out), cache(out)) == (files(whole), cache(whole))
    assert not list(out.rglob("*.part"))


def test_an_increment_makes_the_facts_of_changed_charts_only_and_all_are_those_of_a_full_run(
    data: Path, earlier: Path, read: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resources = changed(people(7, 20))
    later = write(tmp_path / "data", by_type(resources))
    assert begin(later, tmp_path / "short", "--facts", "--after", str(earlier)) == 0
    assert sorted(read) == ["p1", "p6"]
    assert f"facts of 6 patients: {tmp_path / 'short' / 'facts'}\n" in capsys.readouterr().err
    assert begin(later, tmp_path / "full", "--facts") == 0
    assert files(tmp_path / "short") == files(tmp_path / "full")
    assert cache(tmp_path / "short") == cache(tmp_path / "full")
    asked = {"common": LATER}
    assert begin(tmp_path / "short" / "facts", tmp_path / "facts", **asked) == 0
    assert begin(later, tmp_path / "charts", "--complete", "all", **asked) == 0
    assert files(tmp_path / "facts") == files(tmp_path / "charts")


def damaged(path: Path) -> None:
    """One bit of it."""
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


SPOILT: dict[str, Callable[[Path], object]] = {"damaged": damaged, "cut": cut, "gone": Path.unlink}


@pytest.fixture
def spoilt(request: pytest.FixtureRequest, earlier: Path, tmp_path: Path) -> Path:
    shutil.copytree(earlier, tmp_path / "spoilt")
    SPOILT[request.param](tmp_path / "spoilt" / "facts" / "facts.parquet")
    return tmp_path / "spoilt"


@pytest.mark.parametrize("spoilt", SPOILT, indirect=True)
def test_facts_that_are_not_what_was_written_give_no_verdict_and_are_made_anew(
    spoilt: Path, data: Path, earlier: Path, read: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert begin(spoilt / "facts", tmp_path / "over", common=LATER) != 0
    assert not (tmp_path / "over").exists()
    assert "fhir-elig cohort facts" in capsys.readouterr().err
    assert begin(data, tmp_path / "short", "--facts", "--after", str(spoilt)) == 0
    assert "made anew: " in capsys.readouterr().err
    assert len(read) == 6
    assert cache(tmp_path / "short") == cache(earlier)
    assert run(["cohort", "facts", str(spoilt)]) == 0
    assert cache(spoilt) == cache(earlier)


def test_facts_of_an_earlier_run_that_go_while_they_are_taken_over_end_the_run(
    data: Path, earlier: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It goes on when they are back."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    shutil.copytree(earlier, tmp_path / "before")
    out, kept = tmp_path / "run", tmp_path / "before" / "facts" / "facts.parquet"
    with monkeypatch.context() as patch:
        patch.setattr("fhir_elig.cohort.job.write_results", stop)
        assert begin(data, out, "--facts", "--after", str(tmp_path / "before")) == 130
    text = kept.read_bytes()
    damaged(kept)
    assert run(["cohort", "resume", str(out)]) == 11
    assert "the facts that were taken over are not there any more" in capsys.readouterr().err
    kept.write_bytes(text)
    assert run(["cohort", "resume", str(out)]) == 0
    assert files(out) == files(whole)
    assert cache(out)["facts.parquet"] == cache(whole)["facts.parquet"]


def test_facts_of_another_day_are_made_anew(data: Path, earlier: Path, read: list[str], tmp_path: Path) -> None:
    later = (*LATER, "--complete", "all")
    assert begin(data, tmp_path / "run", "--facts", "--after", str(earlier), common=later) == 0
    assert len(read) == 6
    assert cache(tmp_path / "run")["facts.parquet"] == cache(earlier)["facts.parquet"]


def test_a_run_over_facts_keeps_none(earlier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert begin(earlier / "facts", tmp_path / "run", "--facts", common=LATER) == 2
    assert begin(tmp_path, tmp_path / "run", "--facts", "--engine", "spark") == 2
    told = capsys.readouterr().err
    assert "those that it is given" in told
    assert "by the local engine alone" in told
