"""A run that was stopped goes on and ends with the bytes of one that nothing disturbed; on other ground it does not go on."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fhir_elig.cli import run
from fhir_elig.cohort import job, pieces
from fhir_elig.cohort.checkpoint import Checkpoint
from fhir_elig.cohort.folder import RESULTS
from tests.cohort.exports import COMMON, by_type, people, write


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("resume") / "data", by_type(people(6)))


@pytest.fixture(scope="module", autouse=True)
def small_pieces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "SMALLEST_STRETCH", 60_000)
        patch.setattr(pieces, "SHARD_BYTES", 60_000)
        yield


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert begin(data, out) == 0
    return files(out)


def begin(data: Path, out: Path) -> int:
    return run(["cohort", "run", *COMMON, "--complete", "all", "--data", str(data), "--out", str(out)])


def files(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in (*RESULTS, "manifest.json")}


@contextmanager
def stopped_at(number: int, error: type[BaseException]) -> Iterator[None]:
    """The transaction of that number is not made: the run ends there."""
    made = 0
    whole_transaction = Checkpoint.transaction

    @contextmanager
    def transaction(self: Checkpoint) -> Iterator[Any]:
        nonlocal made
        made += 1
        with whole_transaction(self) as store:
            yield store
            if made == number:
                raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "transaction", transaction)
        yield


@pytest.mark.parametrize("number", [1, 2, 4, 7, 9, 12])
def test_a_run_stopped_in_any_transaction_ends_with_the_same_bytes(
    data: Path, whole: dict[str, bytes], tmp_path: Path, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    with stopped_at(number, KeyboardInterrupt):
        assert begin(data, out) == 130
    assert f"cohort resume {out}" in capsys.readouterr().err
    assert run(["cohort", "resume", str(out)]) == 0
    assert files(out) == whole
    assert not (out / "work").exists()


def test_resuming_a_run_that_is_done_changes_nothing(data: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert begin(data, out) == 0
    assert run(["cohort", "resume", str(out)]) == 0
    assert files(out) == whole


def test_a_run_killed_while_its_work_folder_goes_is_done(data: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    """All is written then, and part of what it was written from is gone."""
    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "clear", killed_half_way)
        assert begin(data, out) == 130
    assert run(["cohort", "resume", str(out)]) == 0
    assert files(out) == whole
    assert not (out / "work").exists()


def killed_half_way(folder: Path) -> None:
    for entry in sorted(folder.iterdir())[::2]:
        entry.unlink()
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", RESULTS)
def test_a_run_that_is_done_and_lacks_a_file_is_not_called_done(
    data: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert begin(data, out) == 0
    (out / name).unlink()
    assert run(["cohort", "resume", str(out)]) == 2
    assert f"its file {name} is not there any more" in capsys.readouterr().err


def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(data: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    """It keeps its facts beside; those of a run that is done are kept by a command that is killed too."""
    out, apart = tmp_path / "run", tmp_path / "apart"
    words = ["run", *COMMON, "--complete", "all", "--data", str(data)]
    killed(out, [*words, "--facts", "--out", str(out)], ["resume", str(out)], kills=2)
    assert {name: (out / name).read_bytes() for name in RESULTS} == {name: whole[name] for name in RESULTS}
    shutil.copytree(out, apart, ignore=shutil.ignore_patterns("facts"))
    killed(apart / "facts", ["facts", str(apart)], ["facts", str(apart)], kills=1)
    for name in ("facts.parquet", "manifest.json", "quarantine.ndjson"):
        assert (out / "facts" / name).read_bytes() == (apart / "facts" / name).read_bytes()


def killed(out: Path, first: list[str], again: list[str], kills: int) -> None:
    """The command, killed so many times; what goes on with it is not. benchmarks/kills.py does it a hundred times."""
    draw = random.Random(7)
    command = [sys.executable, "-m", "fhir_elig", "cohort"]
    for _ in range(kills):
        words = again if (out / "manifest.json").exists() else first
        process = subprocess.Popen([*command, *words, "--jobs", "2"], stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(1.0, 3.0))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        if not (out / "manifest.json").exists():
            shutil.rmtree(out, ignore_errors=True)
    words = again if (out / "manifest.json").exists() else first
    assert subprocess.run([*command, *words], check=False, stderr=subprocess.DEVNULL).returncode == 0


def test_a_run_does_not_go_on_with_other_data(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, out = tmp_path / "data", tmp_path / "run"
    shutil.copytree(data, own)
    with stopped_at(4, KeyboardInterrupt):
        assert begin(own, out) == 130
    with (own / "Condition.ndjson").open("a") as stream:
        stream.write("\n")
    assert run(["cohort", "resume", str(out)]) == 2
    assert "the input has changed since the run began: Condition.ndjson" in capsys.readouterr().err


def test_a_full_disk_is_told_with_the_line_that_goes_on(
    data: Path, whole: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    with stopped_at(5, OSError):
        assert begin(data, out) == 1
    told = capsys.readouterr().err
    assert "FE0701" in told
    assert f"cohort resume {out}" in told
    (out / "assessments.ndjson.1.part").touch()  # as a process leaves it that is killed while it writes
    assert run(["cohort", "resume", str(out)]) == 0
    assert files(out) == whole
    assert not list(out.glob("*.part"))
