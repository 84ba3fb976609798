"""`cohort run --engine spark`: the rows of a local run, on a Spark Connect server in this process; nothing leaves this machine."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from benchmarks.charts import chart
from fhir_elig.cli import run
from fhir_elig.cohort.folder import RunFolder
from fhir_elig.cohort.settings import RunOptions
from fhir_elig.cohort.spark import screen
from fhir_elig.cohort.spark.listing import sort_in
from fhir_elig.cohort.spark.output import write_folder, write_tables

COMMON = ("--protocol", "relma-cel-ssc", "--as-of", "2025-06-01", "--complete", "all")


@pytest.fixture(scope="module", autouse=True)
def _main_has_a_file() -> Iterator[None]:
    """A process of pytest-xdist has a main module without a file, which PySpark takes for its own doctests and ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["__main__"], "__file__", "pytest", raising=False)
        yield


@pytest.fixture(scope="module")
def remote() -> Iterator[str]:
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    yield f"sc://127.0.0.1:{server.listening_address[1]}"
    server.stop()


@pytest.fixture(scope="module")
def session(remote: str) -> Iterator[Any]:
    from pyspark.sql import SparkSession

    found = SparkSession.builder.remote(remote).create()
    yield found
    found.stop()


def messy(folder: Path, strange: str = "a b 100%+") -> Path:
    """Four patients over many files, with all that an export may hold beside them."""
    lines: dict[str, list[str]] = {}
    for seed in range(4):
        for resource in chart(seed):
            lines.setdefault(resource["resourceType"], []).append(json.dumps(resource, ensure_ascii=False))
    observations = lines.pop("Observation")
    half = len(observations) // 2
    broken = observations[half].replace('"status"', '"status", "id"', 1)
    (folder / "part").mkdir(parents=True)
    (folder / "part" / "Observation.1.ndjson").write_text("\n".join([*observations[:half], broken, ""]))
    packed = [
        gzip.compress("\n".join(some).encode())
        for some in (["", *observations[half + 1 :: 2]], ["", *observations[half + 2 :: 2]])
    ]
    (folder / "part" / "Observation.2.ndjson.gz").write_bytes(b"".join(packed))
    more = {
        "Medication": [{"id": "drug", "code": {"text": "prednisone"}, "ingredient": [{"itemReference": {"reference": "Medication/part"}}]},
                       {"id": "part", "code": {"text": "an ingredient"}}, {"id": "unused"}],
        "MedicationRequest": [{"id": "by-reference", "status": "active", "intent": "order", "subject": {"reference": "Patient/p1"},
                               "authoredOn": "2025-05-20", "medicationReference": {"reference": "Medication/drug"}}],
        "Patient": [{"id": "old", "link": [{"type": "replaced-by", "other": {"reference": "Patient/p2"}}]}],
        "Condition": [{"id": "of-old", "subject": {"reference": "Patient/old"}, "code": {"text": "x"}},
                      {"id": "of-nobody", "subject": {"reference": "Patient/stranger"}, "code": {"text": "x"}}],
    }  # fmt: skip
    for kind, resources in more.items():
        lines.setdefault(kind, []).extend(json.dumps({"resourceType": kind, **one}) for one in resources)
    (folder / strange).mkdir(parents=True)
    for number, text in enumerate([lines["Encounter"].pop() for _ in range(6)]):
        (folder / strange / f"{number}.JSONL").write_text(text, encoding="utf-8")
    for kind, texts in lines.items():
        (folder / f"{kind}.ndjson").write_bytes(("\ufeff" + "".join(f"{text}\r\n\r\n" for text in texts)).encode())
    for name in ("part/empty.ndjson", "blank.ndjson"):
        (folder / name).write_text("\n\r\n" if name == "blank.ndjson" else "")
    return folder


def damaged(folder: Path) -> Path:
    """A patient whose files lack much: what is missing may be anybody's."""
    (folder / "inner").mkdir(parents=True)
    lines = [json.dumps(resource) for resource in chart(7)]
    (folder / "all.ndjson").write_text("\n".join([*lines, "{", "not json", "[1]", '"text"', "null", lines[9][:50], ""]))
    long = json.dumps({**json.loads(lines[5]), "note": [{"text": "x" * (17 << 20)}]})
    (folder / "inner" / "long.ndjson").write_text("\ufeff" + "\n".join([long, *lines[20:25]]), encoding="utf-8")
    (folder / "cut.ndjson.gz").write_bytes(gzip.compress("\n".join(lines[:40]).encode())[:-99])
    for name in ("empty 100%.json", "inner/empty.ndjson.gz", "empty.zip"):
        (folder / name).touch()
    return folder


def differing(spark: Path, local: Path) -> list[str]:
    """Names of the files whose rows differ; at which byte a piece begins is not known on Spark."""
    found = [
        name for name in ("assessments.ndjson", "errors.ndjson") if (spark / name).read_bytes() != (local / name).read_bytes()
    ]
    theirs, ours = ([{**row, "offset": None} for row in _rows(one / "quarantine.ndjson")] for one in (local, spark))
    found += [] if ours == theirs else ["quarantine.ndjson"]
    tables = [pyarrow.parquet.read_table(folder / "matrix.parquet") for folder in (spark, local)]
    return found + ([] if tables[0].equals(tables[1]) else ["matrix.parquet"])


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return messy(tmp_path_factory.mktemp("spark") / "data")


@pytest.fixture(scope="module")
def local(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("local") / "run"
    run(["cohort", "run", *COMMON, "--data", str(data), "--out", str(out)])
    return out


def test_a_run_on_spark_has_the_rows_of_the_local_run(data: Path, local: Path, remote: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(["cohort", "run", *COMMON, "--data", f"file://{data}", "--engine", "spark", "--spark-remote", remote, "--out", str(out)])
    assert differing(out, local) == []
    assert _rows(out / "quarantine.ndjson")[0]["line"]
    assert (out / "assessments.ndjson").stat().st_size > 10_000
    ours, theirs = (json.loads((folder / "manifest.json").read_text()) for folder in (out, local))
    assert ours["counts"] == theirs["counts"]
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}


def test_damaged_and_empty_files_mean_what_they_mean_to_the_local_run(session: Any, tmp_path: Path) -> None:
    data = damaged(tmp_path / "data")
    run(["cohort", "run", *COMMON, "--data", str(data), "--out", str(tmp_path / "local")])
    folder = RunFolder(tmp_path / "spark")
    folder.create()
    options = RunOptions(protocols=("relma-cel-ssc",), data=str(data), as_of="2025-06-01", complete="all")
    write_folder(screen(session, options, work=str(tmp_path / "work")), folder)
    assert differing(tmp_path / "spark", tmp_path / "local") == []
    told = {(row["file"], row["line"]) for row in _rows(tmp_path / "spark" / "quarantine.ndjson")}
    assert {("empty 100%.json", None), ("inner/empty.ndjson.gz", None), ("cut.ndjson.gz", None), ("inner/long.ndjson", 1)} <= told


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
