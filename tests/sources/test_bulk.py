"""The Bulk Data client against a server that misbehaves on purpose; on loopback, with a clock that moves only when told to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_elig.errors import AuthorisationError, DataError, DeadlineError, SourceError
from fhir_elig.sources.addresses import LinkError
from fhir_elig.sources.bulk import Asked
from fhir_elig.sources.bulk_merge import merge, not_later
from fhir_elig.sources.bulk_status import read_status
from fhir_elig.sources.files import read_files
from tests.sources.bulks import ASKED, PATIENT, TIME, answering, client, exporting, manifest
from tests.sources.fakes import Answer, Clock, Loopback, serving


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serving() as one:
        yield one


def test_an_export_lands_with_a_manifest_that_vouches_for_it(server: Loopback, tmp_path: Path) -> None:
    answering(server)
    status = client(server).export(ASKED, tmp_path)
    assert status.time == TIME
    assert (tmp_path / "Patient.1.ndjson").read_text() == PATIENT
    kick = next(headers for method, path, headers in server.requests if "$export" in path)
    assert (kick["prefer"], kick["accept"]) == ("respond-async", "application/fhir+json")
    assert [path for method, path, _ in server.requests if method == "DELETE"] == ["/fhir/status"]
    chart = next(iter(read_files(tmp_path)))
    assert {one.type for one in chart.retrieved if one.complete} == {"Patient"}


def test_waits_follow_the_server_and_end_at_the_deadline(server: Loopback, tmp_path: Path) -> None:
    answers: list[Answer] = [
        (202, {"Retry-After": "7", "X-Progress": "half\x1b[31m"}, ""),
        (429, {"Retry-After": "30"}, ""),
        (202, {"Retry-After": "Thu, 01 Jan 1970 00:00:20 GMT", "X-Progress": "half\x1b[31m"}, ""),
        (202, {"Retry-After": "soon"}, ""),
    ]
    told: list[str] = []
    clock = Clock()
    answering(server, done=lambda: answers.pop(0) if answers else (200, {}, json.dumps(manifest(f"{server.base}/f1"))))
    client(server, clock, talk=told.append).export(ASKED, tmp_path)
    assert clock.slept[:2] == [7, 30]
    assert told[0] == "export: half[31m"
    assert len(clock.slept) == 4
    answering(server, done=lambda: (202, {}, ""))
    with pytest.raises(DeadlineError):
        client(server).export(ASKED, tmp_path)


@pytest.mark.parametrize("status", [400, 405, 501])
def test_a_server_that_wants_another_kick_off_gets_it(server: Loopback, tmp_path: Path, status: int) -> None:
    sent: list[str] = []

    def answer(method: str, path: str, body: str) -> Any:
        if "$export" in path and (method == "GET" or "Patient/" in path):
            return status, {}, ""
        if method == "POST":
            sent.append(body)
        return exporting(server, method, path, None, {"/fhir/f1": (200, {}, PATIENT)})

    server.answer = answer
    client(server).export(Asked(types=("Patient",), since=TIME), tmp_path)
    parameters = json.loads(sent[0])["parameter"]
    assert parameters == [{"name": "_type", "valueString": "Patient"}, {"name": "_since", "valueInstant": TIME}]


@pytest.mark.parametrize(
    ("say", "own", "sent"),
    [(True, True, True), (False, True, False), (None, True, False), (True, False, True), (None, False, False)],
)
def test_the_token_goes_where_the_manifest_and_the_site_allow(
    server: Loopback, tmp_path: Path, say: bool | None, own: bool, sent: bool
) -> None:
    with serving() as other:
        other.answer = lambda method, path, body: (200, {}, PATIENT)
        place = server if own else other
        told = manifest(f"{place.base}/f1", requiresAccessToken=say)
        answering(server, done=lambda: (200, {}, json.dumps(told)))
        client(server, hosts=[other.base]).export(ASKED, tmp_path)
        headers = next(headers for _, path, headers in place.requests if path == "/fhir/f1")
        assert ("authorization" in headers) is sent


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/f1", "http://user@127.0.0.1/f1", "file:///etc/passwd", "http://127.0.0.1:x/f"]
)
def test_no_file_comes_from_a_host_that_is_not_listed(server: Loopback, tmp_path: Path, url: str) -> None:
    answering(server, done=lambda: (200, {}, json.dumps(manifest(url))))
    with pytest.raises(LinkError, match="another host"):
        client(server).export(ASKED, tmp_path)
    assert not list(tmp_path.glob("*.ndjson"))


def test_a_download_that_breaks_off_goes_on_where_it_stopped(server: Loopback, tmp_path: Path) -> None:
    body = PATIENT.encode() * 5000
    head = b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nContent-Length: %d\r\n\r\n' % len(body)
    starts: list[int] = []

    def answer() -> Any:
        headers = server.requests[-1][2]
        if "range" not in headers:
            return [head, body[:140_000]]
        assert headers["if-range"] == '"v1"'
        starts.append(int(headers["range"].removeprefix("bytes=").removesuffix("-")))
        return 206, {"ETag": '"v1"', "Content-Range": f"bytes {starts[0]}-{len(body) - 1}/{len(body)}"}, body[starts[0] :]

    answering(server, files={"/fhir/f1": answer})
    client(server).export(ASKED, tmp_path)
    assert (tmp_path / "Patient.1.ndjson").read_bytes() == body
    assert len(starts) == 1
    assert 0 < starts[0] <= 140_000


def test_a_download_starts_anew_where_the_server_marks_nothing_or_changed_the_file(server: Loopback, tmp_path: Path) -> None:
    body = PATIENT.encode() * 5000
    plain = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    marked = b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nContent-Length: %d\r\n\r\n' % len(body)
    wrong = (206, {"ETag": '"v1"', "Content-Range": "bytes 3-9/99"}, b"x" * 7)
    for answers in (
        [[plain, body[:140_000]], (200, {}, body)],
        [[marked, body[:140_000]], (416, {}, ""), (200, {}, body)],
        [[marked, body[:140_000]], wrong, (200, {}, body)],
    ):
        answering(server, files={"/fhir/f1": lambda left=answers: left.pop(0)})
        client(server).export(ASKED, tmp_path)
        assert (tmp_path / "Patient.1.ndjson").read_bytes() == body


def test_an_expired_file_starts_the_export_once_more_and_no_oftener(server: Loopback, tmp_path: Path) -> None:
    answers: list[Answer] = [(410, {}, ""), (200, {}, PATIENT)]
    answering(server, files={"/fhir/f1": lambda: answers.pop(0)})
    client(server).export(ASKED, tmp_path)
    assert sum("$export" in path for _, path, _ in server.requests) == 2
    answering(server, files={"/fhir/other": (404, {}, "")})
    with pytest.raises(SourceError, match="HTTP 404 for a file"):
        client(server).export(ASKED, tmp_path)


@pytest.mark.parametrize("name", ["error", "outcome"])
def test_an_error_in_the_manifest_makes_no_type_complete(server: Loopback, tmp_path: Path, name: str) -> None:
    told = manifest(f"{server.base}/f1", **{name: [{"type": "OperationOutcome", "url": "x"}]})
    answering(server, done=lambda: (200, {}, json.dumps(told)))
    client(server).export(ASKED, tmp_path)
    chart = next(iter(read_files(tmp_path, complete="all")))
    assert not any(one.complete for one in chart.retrieved)
    assert chart.broken


def test_a_count_that_does_not_fit_makes_the_type_incomplete(server: Loopback, tmp_path: Path) -> None:
    told = manifest(f"{server.base}/f1")
    told["output"][0]["count"] = 2
    answering(server, done=lambda: (200, {}, json.dumps(told)))
    client(server).export(ASKED, tmp_path)
    chart = next(iter(read_files(tmp_path, complete="all")))
    assert next(one.note for one in chart.retrieved if one.type == "Patient").startswith("partial: the manifest states 2")


def test_a_manifest_may_have_pages(server: Loopback, tmp_path: Path) -> None:
    def answer(method: str, path: str, body: str) -> Any:
        if path == "/fhir/status2":
            return 200, {}, json.dumps(manifest(f"{server.base}/f1"))
        first = manifest(f"{server.base}/f1", link=[{"relation": "next", "url": f"{server.base}/status2"}])
        return exporting(server, method, path, lambda: (200, {}, json.dumps(first)), {"/fhir/f1": (200, {}, PATIENT)})

    server.answer = answer
    assert len(client(server).export(ASKED, tmp_path).output) == 2
    circle = manifest(f"{server.base}/f1", link=[{"relation": "next", "url": f"{server.base}/status"}])
    answering(server, done=lambda: (200, {}, json.dumps(circle)))
    with pytest.raises(LinkError):
        client(server).export(ASKED, tmp_path)


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{}", '{"output": []}', '{"output": [], "transactionTime": "today"}', f'{{"output": [{{"type": "Patient"}}], "transactionTime": "{TIME}"}}', f'{{"output": [{{"url": "x"}}], "transactionTime": "{TIME}"}}'],
)  # fmt: skip
def test_what_is_no_manifest_is_refused(body: str) -> None:
    with pytest.raises(SourceError, match="manifest of the export"):
        read_status(body.encode())


def test_a_server_that_refuses_says_why_and_keeps_the_token_to_itself(server: Loopback, tmp_path: Path) -> None:
    server.answer = lambda method, path, body: (401, {}, "")
    with pytest.raises(AuthorisationError):
        client(server).export(ASKED, tmp_path)
    server.answer = lambda method, path, body: (202, {"Content-Location": "http://127.0.0.1:1/status"}, "")
    with pytest.raises(LinkError):
        client(server).export(ASKED, tmp_path)
    server.answer = lambda method, path, body: (200, {}, "{}")
    with pytest.raises(SourceError, match="at once"):
        client(server).export(ASKED, tmp_path)


# Increments ------------------------------------------------------------------------------------------------------------


def folder_of(path: Path, lines: list[str], *, deleted: list[str] = (), count: int | None = None, **more: Any) -> Path:  # type: ignore[assignment]
    path.mkdir()
    (path / "Condition.1.ndjson").write_text("".join(f"{line}\n" for line in lines))
    told = {"transactionTime": TIME, "request": "http://x/fhir/Patient/$export?_type=Condition", "error": [], "deleted": []}
    told |= {"output": [{"type": "Condition", "url": "Condition.1.ndjson", "count": len(lines) if count is None else count}]}  # type: ignore[dict-item]
    if deleted:
        entries = [{"request": {"method": "DELETE", "url": url}} for url in deleted]
        (path / "deleted.1.ndjson.removed").write_text(
            json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
        )
        told["deleted"] = [{"type": "Bundle", "url": "deleted.1.ndjson.removed"}]  # type: ignore[list-item]
    (path / "manifest.json").write_text(json.dumps({**told, **more}))
    return path


def condition(name: str, text: str = "old") -> str:
    return json.dumps({"resourceType": "Condition", "id": name, "subject": {"reference": "Patient/p1"}, "code": {"text": text}})


def test_an_increment_replaces_adds_and_deletes(tmp_path: Path) -> None:
    before = folder_of(tmp_path / "before", [condition("a"), condition("b"), condition("c"), "{broken"], count=4)
    now = folder_of(tmp_path / "now", [condition("b", "new"), condition("d", "new")], deleted=["Condition/c", "Condition/d"])
    assert merge(before, now) == {("Condition", "b"), ("Condition", "d"), ("Condition", "c")}
    lines = [line for path in sorted(now.glob("*.ndjson")) for line in path.read_text().splitlines()]
    assert sorted(lines) == sorted([condition("a"), condition("b", "new"), condition("d", "new"), "{broken"])
    merged = json.loads((now / "manifest.json").read_text())
    assert merged["output"] == [{"type": "Condition", "url": "Condition.ndjson", "count": 4}]
    assert "_since" not in merged["request"]


@pytest.mark.parametrize("short", ["before", "now"])
def test_what_was_not_delivered_is_not_covered_up_by_an_increment(tmp_path: Path, short: str) -> None:
    before = folder_of(tmp_path / "before", [condition("a")], count=9 if short == "before" else 1)
    now = folder_of(tmp_path / "now", [condition("b")], count=9 if short == "now" else 1)
    with pytest.raises(DataError, match="the manifest states 9"):
        merge(before, now)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"resourceType":"Bundle","entry":[1]}',
        '{"resourceType":"Bundle","entry":[{"request":{"method":"PUT","url":"Condition/a"}}]}',
    ],
)
def test_a_deletion_that_cannot_be_read_ends_the_increment(tmp_path: Path, text: str) -> None:
    before = folder_of(tmp_path / "before", [condition("a")])
    now = folder_of(tmp_path / "now", [], deleted=["Condition/a"])
    (now / "deleted.1.ndjson.removed").write_text(text)
    with pytest.raises(DataError, match="a deletion cannot be read"):
        merge(before, now)


def test_instants_are_compared_across_zones() -> None:
    assert not_later("2025-06-01T10:00:00+02:00", "2025-06-01T08:00:00Z")
    assert not not_later("2025-06-01T08:00:01Z", "2025-06-01T08:00:00Z")
    with pytest.raises(ValueError, match="zone"):
        not_later("2025-06-01T08:00:00", "2025-06-01T08:00:00Z")
