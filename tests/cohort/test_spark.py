"""`cohort run --engine spark`: the rows of a local run, on a Spark Connect server in this process; nothing leaves this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from fhir_elig.cli import run
from fhir_elig.cohort.settings import RunOptions
from fhir_elig.cohort.spark import screen
from fhir_elig.cohort.spark.listing import sort_in
from fhir_elig.cohort.spark.output import write_tables
from tests.cohort.hospitals import COMMON, messy


@pytest.fixture(scope="module")
def session(remote: str) -> Iterator[Any]:
    from pyspark.sql import SparkSession

    found = SparkSession.builder.remote(remote).create()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return messy(tmp_path_factory.mktemp("spark") / "data")


@pytest.fixture(scope="module")
def local(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("local") / "run"
    run(["cohort", "run", *COMMON, "--data", str(data), "--out", str(out)])
    return out


@pytest.mark.parametrize("form", ["parquet", "delta"])
def test_tables_hold_the_same_rows_on_any_path(data: Path, local: Path, session: Any, tmp_path: Path, form: Any) -> None:
    options = RunOptions(protocols=("relma-cel-ssc",), data=str(data), as_of="2025-06-01", complete="all")
    write_tables(session, screen(session, options, work=str(tmp_path / "work")), str(tmp_path / "out"), form)
    stored = session.read.format(form).load(str(tmp_path / "out" / "assessments")).orderBy("patient").collect()
    assert [row["assessment"] for row in stored] == (local / "assessments.ndjson").read_text().splitlines()
    matrix = session.read.format(form).load(str(tmp_path / "out" / "matrix")).count()
    assert matrix == pyarrow.parquet.read_metadata(local / "matrix.parquet").num_rows


def test_lines_of_a_large_file_give_what_the_whole_file_gives(
    data: Path, session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fhir_elig.cohort.spark import frames, listing

    options = RunOptions(protocols=("relma-cel-ssc",), data=str(data), as_of="2025-06-01", complete="all")
    whole = screen(session, options, str(tmp_path / "whole"))
    monkeypatch.setattr(frames, "WHOLE_FILE", 5000)
    monkeypatch.setattr(listing, "WHOLE_FILE", 5000)
    by_line = screen(session, options, str(tmp_path / "by-line"))
    verdicts = [{(row["patient"], row["criterion"]): row["verdict"] for row in one.matrix.collect()} for one in (whole, by_line)]
    assert verdicts[0].keys() == verdicts[1].keys()
    # Whose the broken line was cannot be told when it may be the cut end of its file, so more may be unknown, and nothing else.
    assert {verdicts[1][key] for key in verdicts[0] if verdicts[0][key] != verdicts[1][key]} <= {"unknown"}
    assert by_line.manifest.counts == whole.manifest.counts


def test_a_path_without_data_is_told_of(session: Any, tmp_path: Path) -> None:
    from fhir_elig.errors import DataError

    (tmp_path / "notes.txt").write_text("nothing")
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DataError):
            screen(session, RunOptions(protocols=("relma-cel-ssc",), data=str(path), as_of="2025-06-01"))


def test_tables_are_not_written_where_something_is(session: Any, tmp_path: Path) -> None:
    from fhir_elig.cohort.spark.output import check_free
    from fhir_elig.errors import UsageError

    check_free(session, str(tmp_path / "new"))
    (tmp_path / "part-0.parquet").touch()
    with pytest.raises(UsageError, match="already"):
        check_free(session, str(tmp_path))


def test_a_file_that_nobody_read_or_that_came_twice_ends_the_run() -> None:
    from fhir_elig.cohort.parts import Part
    from fhir_elig.cohort.spark.frames import check
    from fhir_elig.errors import FhirEligError

    found = sort_in([("file:/x/a.json", 9), ("file:/x/b.ndjson", 1 << 40)], ["file:///x/empty%20one.ndjson.gz"], "/x")
    assert (found.whole, found.lines, found.empty) == (1, (("file:/x/b.ndjson", "b.ndjson"),), ("empty one.ndjson.gz",))
    a, b = Part("a.json"), Part("b.ndjson")
    check([a, b, b], found, "/x")  # the lines of a large file come from several workers
    for parts in ([a], [b], [a, a, b]):
        with pytest.raises(FhirEligError, match="not each of them was read once"):
            check(parts, found, "/x")


def test_a_session_without_delta_is_told_of() -> None:
    from fhir_elig.cohort.spark import output
    from fhir_elig.errors import UsageError

    class Frame:
        def __getattr__(self, name: str) -> Any:
            return self

        def __call__(self, *_: str) -> Any:
            return self

        def save(self, path: str) -> None:
            raise RuntimeError(
                "[DATA_SOURCE_NOT_FOUND] Failed to find the data source: delta. Make sure the provider name is correct"
            )

    with pytest.raises(UsageError, match="cannot write Delta"):
        output.write(Frame(), "delta", "s3://x/assessments")
    with pytest.raises(RuntimeError):
        output.write(Frame(), "parquet", "s3://x/assessments")


def test_a_secret_in_the_address_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remote = "sc://127.0.0.1:1/;token=secret"
    out = str(tmp_path / "run")
    assert run(["cohort", "run", *COMMON, "--data", str(data), "--engine", "spark", "--spark-remote", remote, "--out", out]) == 2
    told = capsys.readouterr().err
    assert "SPARK_REMOTE" in told
    assert "=secret" not in told


def test_a_worker_with_other_mappings_refuses() -> None:
    from fhir_elig.cohort.spark.kit import pack, unpack
    from fhir_elig.errors import UsageError

    options = RunOptions(protocols=("relma-cel-ssc",), data="s3://x/y", as_of="2025-06-01").settled()
    assert options.data == "s3://x/y"
    with pytest.raises(UsageError, match="a worker has"):
        unpack(pack(options, "0" * 64))
