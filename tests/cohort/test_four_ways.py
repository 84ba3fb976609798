"""One hospital, run in one process, in two, over the facts that were kept, and on Spark: every row is the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_elig.cli import run
from fhir_elig.cohort import pieces
from tests.cohort.hospitals import COMMON, HOSPITALS, differing, rows

# What the quarantine of each has to tell: a file, and whether a line of it is named.
TOLD = {
    "messy": {("part/Observation.1.ndjson", True)},
    "damaged": {(name, False) for name in ("empty 100%.json", "inner/empty.ndjson.gz", "cut.ndjson.gz")}
    | {("inner/long.ndjson", True), ("all.ndjson", True)},
}


@pytest.fixture(scope="module", params=HOSPITALS)
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return HOSPITALS[request.param](tmp_path_factory.mktemp("ways") / request.param)


@pytest.fixture(scope="module")
def one(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run in one process, which keeps its facts."""
    out = tmp_path_factory.mktemp("one") / "run"
    assert run(["cohort", "run", *COMMON, "--data", str(data), "--facts", "--jobs", "1", "--out", str(out)]) == 1
    return out


@pytest.fixture(scope="module", autouse=True)
def _small_pieces(one: Path) -> Iterator[None]:
    """After the first run: those that follow cut the same files elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SMALLEST_STRETCH", "LARGEST_STRETCH", "SHARD_BYTES"):
            patch.setattr(pieces, name, 200_000)
        yield


def words(way: str, data: Path, one: Path, remote: str) -> list[str]:
    if way == "two processes":
        return ["--data", str(data), "--jobs", "2"]
    if way == "facts":
        return ["--data", str(one / "facts")]
    return ["--data", f"file://{data}", "--engine", "spark", "--spark-remote", remote]


@pytest.mark.parametrize("way", ["two processes", "facts", "spark"])
def test_every_row_is_that_of_a_run_in_one_process(way: str, data: Path, one: Path, remote: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run(["cohort", "run", *COMMON, *words(way, data, one, remote), "--out", str(out)]) == 1
    assert differing(out, one, offsets=way != "spark") == []
    counts = [json.loads((folder / "manifest.json").read_text())["counts"] for folder in (out, one)]
    assert counts[0] == counts[1]
    assert {path.stat().st_mode & 0o777 for path in out.iterdir() if path.is_file()} == {0o600}


def test_the_hospitals_have_what_the_rows_must_tell(data: Path, one: Path) -> None:
    told = {(row["file"], row["line"] is not None) for row in rows(one / "quarantine.ndjson")}
    assert TOLD[data.name] <= told
    assert (one / "assessments.ndjson").stat().st_size > 10_000
