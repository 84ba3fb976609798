"""Bulk exports that last, expire, leave out or answer what nobody asked: what is fetched, kept, told, and gone on with."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_elig.errors import DataError, DeadlineError, SourceError
from fhir_elig.sources.access import Access
from fhir_elig.sources.bulk import PENDING, Asked, BulkClient
from fhir_elig.sources.bulk_merge import merge
from fhir_elig.sources.bulk_status import read_status
from fhir_elig.sources.files import read_files
from tests.sources.bulks import ASKED, PATIENT, TIME, answering, client, exporting, manifest
from tests.sources.fakes import Answer, Clock, Loopback, serving


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serving() as one:
        yield one


def done(server: Loopback, **more: Any) -> Answer:
    return 200, {}, json.dumps(manifest(f"{server.base}/f1", **more))


def kicks(server: Loopback) -> int:
    return sum("$export" in path for _, path, _ in server.requests)


def deletes(server: Loopback) -> int:
    return sum(method == "DELETE" for method, _, _ in server.requests)


class ShortLived:
    """Credentials whose token holds for five minutes of a clock."""

    secret = True

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def token(self, deadline: float) -> str:
        return f"token-{int(self._clock() // 300)}"

    def renew(self, refused: str, deadline: float) -> bool:
        return False

    def grant(self, deadline: float) -> None:
        return None


def test_an_hour_of_polling_always_carries_a_token_that_holds(server: Loopback, tmp_path: Path) -> None:
    clock = Clock()
    end = clock() + 3600
    stale: list[str] = []

    def status() -> Answer:
        if server.requests[-1][2]["authorization"] != f"Bearer token-{int(clock() // 300)}":
            stale.append(server.requests[-1][1])
        return done(server) if clock() > end else (202, {"Retry-After": "120"}, "")

    answering(server, done=status)
    way = Access(server.base, ShortLived(clock))
    BulkClient(way, timeout=7200, clock=clock, sleep=clock.sleep, wall=lambda: 0.0).export(ASKED, tmp_path)
    assert not stale
    assert clock() > end


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("wait", ["5", "Thu, 01 Jan 1970 00:00:05 GMT"])
def test_a_busy_server_is_waited_for_at_every_step(server: Loopback, tmp_path: Path, status: int, wait: str) -> None:
    busy: dict[str, int] = {}

    def answer(method: str, path: str, body: str) -> Any:
        busy[path] = busy.get(path, 0) + 1
        if method == "GET" and busy[path] <= 6:
            return status, {"Retry-After": wait, "Date": "Thu, 01 Jan 1970 00:00:00 GMT"}, ""
        return exporting(server, method, path, None, {"/fhir/f1": (200, {}, PATIENT)})

    server.answer = answer
    clock = Clock()
    client(server, clock).export(ASKED, tmp_path)
    assert clock.slept == [5] * 18


def test_an_export_that_is_not_done_in_time_is_gone_on_with(server: Loopback, tmp_path: Path) -> None:
    answering(server, done=lambda: (202, {}, ""))
    with pytest.raises(DeadlineError) as found:
        client(server, timeout=60).export(ASKED, tmp_path)
    assert found.value.exit_code == 14
    assert (tmp_path / PENDING).stat().st_mode & 0o777 == 0o600
    assert (kicks(server), deletes(server)) == (1, 0)
    answering(server)
    client(server).export(ASKED, tmp_path)
    assert (kicks(server), deletes(server)) == (1, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Patient.1.ndjson", "manifest.json"]


def test_only_the_same_export_of_the_same_server_is_gone_on_with(server: Loopback, tmp_path: Path) -> None:
    answering(server)
    pending = tmp_path / PENDING
    get = f"{server.base}/Patient/$export?_type=Observation%2CPatient"
    for number, told in enumerate(
        ["{", {"request": get, "place": "http://127.0.0.1:1/status"}, {"request": "other", "place": f"{server.base}/status"}], 1
    ):
        pending.write_text(told if isinstance(told, str) else json.dumps(told))
        client(server).export(ASKED, tmp_path)
        assert kicks(server) == number
    pending.write_text(json.dumps({"request": get, "place": f"{server.base}/gone"}))
    client(server).export(ASKED, tmp_path)
    assert kicks(server) == 4


def test_an_interrupt_cancels_the_export_at_the_server(server: Loopback, tmp_path: Path) -> None:
    def interrupt() -> Answer:
        raise KeyboardInterrupt

    answering(server, done=lambda: (202, {}, ""))
    with pytest.raises(KeyboardInterrupt):
        client(server, sleep=lambda seconds: interrupt()).export(ASKED, tmp_path)
    assert deletes(server) == 1
    assert not (tmp_path / PENDING).exists()


def test_links_that_expire_are_asked_for_anew(server: Loopback, tmp_path: Path) -> None:
    asked: list[int] = []

    def status() -> Answer:
        asked.append(1)
        return 200, {}, json.dumps(manifest(f"{server.base}/f1", f"{server.base}/signed-{len(asked)}"))

    answering(server, done=status, files={"/fhir/f1": (200, {}, PATIENT), "/fhir/signed-2": (200, {}, PATIENT)})
    client(server).export(ASKED, tmp_path)
    assert len(asked) == 2
    assert kicks(server) == 1
    assert (tmp_path / "Patient.2.ndjson").read_text() == PATIENT


def test_a_packed_answer_that_breaks_off_is_fetched_from_its_start(server: Loopback, tmp_path: Path) -> None:
    body = "".join(PATIENT.replace("p1", f"p{number}") for number in range(9000)).encode()
    packed = gzip.compress(body)
    head = b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n' % len(packed)
    answers: list[Any] = [[head, packed[: len(packed) // 2]], (200, {"Content-Encoding": "gzip"}, packed)]
    answering(server, files={"/fhir/f1": lambda: answers.pop(0)})
    client(server).export(ASKED, tmp_path)
    assert (tmp_path / "Patient.1.ndjson").read_bytes() == body
    assert not any("range" in headers for _, _, headers in server.requests)


@pytest.mark.parametrize(
    ("said", "complete"),
    [
        ('{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational"}]}\n', True),
        ('{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"incomplete"}]}\n', False),
        ('{"resourceType":"OperationOutcome"}\n', False),
        ('{"resourceType":"Patient","id":"p2"}\n', False),
        ("{\n", False),
    ],
)
def test_messages_that_only_inform_hide_nothing(server: Loopback, tmp_path: Path, said: str, complete: bool) -> None:
    told = [{"type": "OperationOutcome", "url": f"{server.base}/said"}]
    answering(
        server, done=lambda: done(server, error=told), files={"/fhir/f1": (200, {}, PATIENT), "/fhir/said": (200, {}, said)}
    )
    client(server).export(ASKED, tmp_path)
    assert (tmp_path / "errors.1.ndjson.told").read_text() == said
    (chart,) = read_files(tmp_path)
    assert {one.type for one in chart.retrieved if one.complete} == ({"Patient"} if complete else set())


def test_what_was_not_asked_for_is_left_and_an_export_without_patients_refused(server: Loopback, tmp_path: Path) -> None:
    told = manifest(f"{server.base}/f1")
    told["output"].insert(0, {"type": "Coverage", "url": f"{server.base}/f2"})
    answering(server, done=lambda: (200, {}, json.dumps(told)))
    client(server).export(ASKED, tmp_path)
    assert not any(path == "/fhir/f2" for _, path, _ in server.requests)
    assert [one["type"] for one in json.loads((tmp_path / "manifest.json").read_text())["output"]] == ["Patient"]
    del told["output"][1]
    with pytest.raises(SourceError, match="holds no Patient"):
        client(server).export(ASKED, tmp_path)
    client(server).export(Asked(types=ASKED.types, since=TIME), tmp_path)


def test_a_line_of_another_type_makes_the_type_of_its_file_incomplete(server: Loopback, tmp_path: Path) -> None:
    told = manifest(f"{server.base}/f1", f"{server.base}/f2")
    told["output"][1]["type"] = "Observation"
    answering(
        server,
        done=lambda: (200, {}, json.dumps(told)),
        files={
            "/fhir/f1": (200, {}, PATIENT),
            "/fhir/f2": (200, {}, '{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p1"}}'),
        },
    )
    client(server).export(ASKED, tmp_path)
    (chart,) = read_files(tmp_path)
    assert {one.type for one in chart.retrieved if one.complete} == {"Patient"}


def test_whether_deletions_are_told_is_known_from_the_manifest() -> None:
    told = manifest("x")
    assert not read_status(json.dumps(told).encode()).tells_deletions
    assert read_status(json.dumps({**told, "deleted": []}).encode()).tells_deletions


@pytest.mark.parametrize(("old", "ignored"), [(0, False), (2, False), (3, True)])
def test_a_server_that_does_not_heed_since_is_found_out(tmp_path: Path, old: int, ignored: bool) -> None:
    def folder(name: str, request: str, dates: list[str]) -> Path:
        lines = [
            {"resourceType": "Condition", "id": f"{name}{number}", "meta": {"lastUpdated": date}}
            for number, date in enumerate(dates)
        ]
        lines.append({"resourceType": "Condition", "id": "undated", "meta": {}})
        (tmp_path / name).mkdir()
        (tmp_path / name / "Condition.1.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
        output = [{"type": "Condition", "url": "Condition.1.ndjson", "count": len(lines)}]
        told = {"transactionTime": TIME, "request": request, "output": output, "error": [], "deleted": []}
        (tmp_path / name / "manifest.json").write_text(json.dumps(told))
        return tmp_path / name

    before = folder("a", "http://x/fhir/$export?_type=Condition", [])
    dates = ["2025-05-01T00:00:00Z"] * old + ["2025-06-02T00:00:00+02:00"] * (4 - old)
    now = folder("b", "http://x/fhir/$export?_type=Condition&_since=2025-06-01T08%3A00%3A00Z", dates)
    if ignored:
        with pytest.raises(DataError, match="does not heed _since"):
            merge(before, now)
    else:
        assert len(merge(before, now)) == 5
