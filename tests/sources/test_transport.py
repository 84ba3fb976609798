"""The transport under faults of HTTP: what is tried again, what is not, how long, and what is never said or sent."""

from __future__ import annotations

import gzip
import json
import logging
import re
import resource as memory
import time
import zlib
from collections.abc import Sequence
from email.utils import formatdate
from typing import Any

import pytest
import requests
import responses

from fhir_elig.errors import AuthorisationError, DeadlineError, SourceError, UsageError
from fhir_elig.sources.addresses import LinkError
from fhir_elig.sources.replies import Limits, Page, StatusError
from fhir_elig.sources.transport import Pause, Transport
from tests.sources.fakes import BASE, FHIR, Answer, Clock, Loopback, ok, outcome, serving, transport

GOOD = json.dumps({"resourceType": "Patient", "id": "p1"})
SECRET = "canary-4711"


def answers(*sequence: Answer | Exception) -> responses.RequestsMock:
    """A server that gives these answers to reads of Patient/p1, one after the other; the last one for ever."""
    mock = responses.RequestsMock(assert_all_requests_are_fired=False)
    for answer in sequence:
        if isinstance(answer, Exception):
            mock.get(f"{BASE}/Patient/p1", body=answer)
        else:
            mock.get(f"{BASE}/Patient/p1", status=answer[0], headers=answer[1], body=answer[2])
    return mock


def read(sequence: Sequence[Answer | Exception], clock: Clock | None = None, seconds: float = 60.0, **options: Any) -> tuple[Page, int]:
    """The page, and how many requests it took."""
    sender = transport(clock=clock, **options)
    with answers(*sequence) as mock:
        return sender.get("Patient/p1", sender.clock() + seconds), len(mock.calls)


def failing(sequence: Sequence[Answer | Exception], clock: Clock | None = None, seconds: float = 60.0) -> tuple[SourceError, int]:
    """The error, and how many requests it took."""
    sender = transport(clock=clock)
    with answers(*sequence) as mock:
        with pytest.raises(SourceError) as caught:
            sender.get("Patient/p1", sender.clock() + seconds)
        return caught.value, len(mock.calls)


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_passing_fault_is_tried_again_with_growing_jitter(status: int) -> None:
    clock = Clock()
    page, requests_sent = read([(status, {}, ""), (status, {}, ""), (status, {}, ""), (200, FHIR, GOOD)], clock)
    assert page.document["id"] == "p1"
    assert requests_sent == 4
    assert all(0 <= pause <= most for pause, most in zip(clock.slept, (0.5, 1, 2), strict=True))


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_fault_that_stays_ends_after_four_tries(status: int) -> None:
    error, requests_sent = failing([(status, {}, "busy")])
    assert isinstance(error, StatusError)
    assert (error.status, requests_sent) == (status, 4)


def test_a_permanent_500_is_tried_once_more_and_no_more() -> None:
    error, requests_sent = failing([(500, {}, "")])
    assert (error.code, requests_sent) == ("FE0415", 2)


@pytest.mark.parametrize("status", [400, 404, 405, 410, 415, 422, 501])
def test_a_clear_no_is_not_asked_twice(status: int) -> None:
    error, requests_sent = failing([(status, {}, "")])
    assert isinstance(error, StatusError)
    assert (error.status, requests_sent) == (status, 1)


def test_401_stops_with_an_authorisation_error_and_a_hint_on_proxies() -> None:
    error, requests_sent = failing([(401, {}, "")])
    assert isinstance(error, AuthorisationError)
    assert (error.exit_code, requests_sent) == (12, 1)
    assert "proxy" in error.text()


def test_403_is_refused_and_never_asked_twice() -> None:
    error, requests_sent = failing([(403, {}, "")])
    assert (error.code, requests_sent) == ("FE0403", 1)


def test_429_with_retry_after_in_seconds_waits_at_least_so_long() -> None:
    clock = Clock()
    read([(429, {"Retry-After": "7"}, ""), (200, FHIR, GOOD)], clock)
    assert clock.now >= 1007


def test_429_with_retry_after_as_http_date_waits_until_then_by_the_servers_clock() -> None:
    clock = Clock()
    headers = {"Date": formatdate(5000, usegmt=True), "Retry-After": formatdate(5009, usegmt=True)}
    read([(429, headers, ""), (200, FHIR, GOOD)], clock)
    assert clock.now >= 1009


def test_retry_after_as_http_date_is_read_by_our_clock_if_the_server_tells_none() -> None:
    clock = Clock()
    read([(503, {"Retry-After": formatdate(5, usegmt=True)}, ""), (200, FHIR, GOOD)], clock)
    assert clock.now >= 1005


@pytest.mark.parametrize("value", [formatdate(0, usegmt=True), "-5", "soon", "0", "99999999999999999999", "Wed, 99 Foo 2025"])
def test_a_retry_after_in_the_past_or_unreadable_is_no_pause(value: str) -> None:
    clock = Clock()
    read([(503, {"Date": formatdate(9000, usegmt=True), "Retry-After": value}, ""), (200, FHIR, GOOD)], clock)
    assert clock.now <= 1000.5


def test_all_workers_of_a_server_share_the_pause() -> None:
    clock, pause = Clock(), Pause()
    first, second = (transport(clock=clock, pause=pause, limits=Limits(tries=1)) for _ in range(2))
    with answers((429, {"Retry-After": "20"}, ""), (200, FHIR, GOOD)):
        with pytest.raises(StatusError):
            first.get("Patient/p1", first.deadline())
        second.get("Patient/p1", second.deadline())
    assert clock.now >= 1020


def test_a_pause_that_would_outlive_the_deadline_stops_at_once_and_says_so() -> None:
    clock = Clock()
    error, requests_sent = failing([(429, {"Retry-After": "120"}, "")], clock)
    assert isinstance(error, DeadlineError)
    assert "120 s" in str(error)
    assert (requests_sent, clock.slept[1:]) == (1, [])


def test_a_deadline_that_is_over_sends_nothing() -> None:
    error, requests_sent = failing([(200, FHIR, GOOD)], seconds=0)
    assert isinstance(error, DeadlineError)
    assert requests_sent == 0


def test_retries_end_with_the_deadline() -> None:
    error, requests_sent = failing([(503, {}, "")], seconds=0.2)
    assert isinstance(error, DeadlineError)
    assert requests_sent < 4


@pytest.mark.parametrize("fault", [requests.ConnectionError(SECRET), requests.ReadTimeout(SECRET), OSError(SECRET), ValueError(SECRET)])
def test_a_lost_connection_is_tried_again_and_told_without_its_address(fault: Exception) -> None:
    error, requests_sent = failing([fault])
    assert (error.code, requests_sent) == ("FE0401", 4)
    assert SECRET not in error.text()
    assert error.__context__ is None


def test_a_certificate_that_cannot_be_verified_is_told_at_once() -> None:
    error, requests_sent = failing([requests.exceptions.SSLError(SECRET)])
    assert requests_sent == 1
    assert "REQUESTS_CA_BUNDLE" in error.text()


def test_200_with_an_html_sign_in_page_is_an_error_with_a_hint_and_no_retry_storm() -> None:
    page = f"<!DOCTYPE html><html><body>{SECRET} <form>Password</form></body></html>"
    error, requests_sent = failing([(200, {"Content-Type": "text/html; charset=utf-8"}, page)])
    assert (error.code, requests_sent) == ("FE0412", 1)
    assert "text/html" in str(error)
    assert "sign-in page" in str(error)
    assert "proxy" in error.text()
    assert SECRET not in error.text()


def test_xml_where_json_was_asked_for_is_an_error() -> None:
    error, _ = failing([(200, {"Content-Type": "application/fhir+xml"}, '<Patient xmlns="http://hl7.org/fhir"/>')])
    assert "markup, not JSON" in str(error)


def test_200_with_an_empty_body_is_tried_again_and_then_an_error() -> None:
    error, requests_sent = failing([(200, FHIR, "")])
    assert (error.code, requests_sent) == ("FE0412", 4)


def test_204_is_an_error() -> None:
    error, requests_sent = failing([(204, {}, "")])
    assert (error.code, requests_sent) == ("FE0412", 1)


def test_json_that_is_cut_is_tried_again() -> None:
    page, requests_sent = read([(200, FHIR, GOOD[:-4]), (200, FHIR, GOOD)])
    assert (page.document["id"], requests_sent) == ("p1", 2)


@pytest.mark.parametrize("body", ["[1]", '"text"', '{"id": "p1"}', '{"resourceType": 7}', '{"resourceType": "Patient", "id": 1, "id": 2}'])
def test_json_that_is_no_resource_is_an_error_and_not_asked_again(body: str) -> None:
    error, requests_sent = failing([(200, FHIR, body)])
    assert (error.code, requests_sent) == ("FE0412", 1)


def test_a_wrong_content_type_over_right_fhir_is_taken_and_marked() -> None:
    page, _ = read([(200, {"Content-Type": "text/plain"}, GOOD)])
    assert page.odd_type


def test_an_error_body_that_is_not_json_keeps_the_status_and_a_safe_excerpt() -> None:
    error, _ = failing([(400, {"Content-Type": "text/plain"}, f"Internal server error for {SECRET} born 1980-01-02 at https://x/{SECRET}")])
    assert str(error) == "HTTP 400: internal server error ..."


def test_an_error_body_without_one_known_word_is_not_repeated() -> None:
    error, _ = failing([(400, {}, SECRET)])
    assert str(error) == "HTTP 400"


def test_an_error_page_of_a_gateway_is_described() -> None:
    error, _ = failing([(400, {"Content-Type": "text/html"}, f"<html>{SECRET}</html>")])
    assert "markup" in str(error)
    assert SECRET not in str(error)


def test_an_operation_outcome_is_told_by_its_codes_only() -> None:
    error, _ = failing([(400, FHIR, json.dumps(outcome(number="59108", text=SECRET)))])
    assert str(error) == "HTTP 400: 59108, processing"


def test_a_long_error_is_cut_at_200_characters() -> None:
    error, _ = failing([(400, {}, "server error " * 100)])
    assert len(str(error)) <= 220


@pytest.mark.parametrize("body", [json.dumps([1]), json.dumps({"issue": 3}), json.dumps({"issue": [3, {"code": ["x"], "details": {"coding": 3}}]})])
def test_an_error_body_of_odd_json_says_no_more_than_the_status(body: str) -> None:
    error, _ = failing([(400, FHIR, body)])
    assert str(error) == "HTTP 400"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    error, requests_sent = failing([(status, {"Location": f"https://evil.example.org/{SECRET}"}, "")])
    assert (error.code, requests_sent) == ("FE0411", 1)
    assert SECRET not in error.text()


def test_a_redirect_to_another_host_sends_nothing_there() -> None:
    with serving() as evil, serving() as server:
        server.answer = lambda method, path, body: (302, {"Location": f"{evil.base}/Patient/p1"}, "")
        sender = transport(server.base, SECRET)
        with pytest.raises(StatusError):
            sender.get("Patient/p1", sender.deadline())
    assert (len(server.requests), evil.requests) == (1, [])


def test_a_link_to_another_host_sends_nothing_there() -> None:
    with serving() as evil, serving() as server:
        sender = transport(server.base, SECRET)
        with pytest.raises(LinkError):
            sender.get(f"{evil.base}/Patient/p1", sender.deadline())
    assert (server.requests, evil.requests) == ([], [])


def loop(server: Loopback, content: Answer | Sequence[bytes], **options: Any) -> Page:
    server.answer = lambda method, path, body: content
    sender = transport(server.base, **options)
    return sender.get("Patient/p1", sender.deadline())


def test_a_body_shorter_than_declared_is_tried_again_and_then_an_error() -> None:
    with serving() as server:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 500\r\n\r\n"
        with pytest.raises(SourceError) as caught:
            loop(server, [head + GOOD.encode()])
        assert len(server.requests) == 4
    assert caught.value.code == "FE0401"


def test_a_chunked_body_that_breaks_off_is_an_error() -> None:
    with serving() as server:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        with pytest.raises(SourceError) as caught:
            loop(server, [head + b"1f\r\n" + GOOD.encode()[:10]])
    assert caught.value.code == "FE0401"


@pytest.mark.parametrize("where", ["headers", "body"])
def test_an_answer_that_drips_ends_with_the_deadline(where: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n"
    pieces = [head] + ([b"X-A: b\r\n"] * 100 if where == "headers" else [b"\r\n"] + [b" "] * 100)
    with serving() as server:
        server.pause = 0.05
        server.answer = lambda method, path, body: pieces
        sender = Transport(server.base, timeout=0.4)
        started = time.monotonic()
        with pytest.raises(DeadlineError):
            sender.get("Patient/p1", sender.deadline())
        assert time.monotonic() - started < 1.5


def test_an_answer_that_never_comes_ends_with_the_deadline() -> None:
    with serving() as server:
        server.pause = 30
        server.answer = lambda method, path, body: [b"", b""]
        sender = Transport(server.base, timeout=0.2)
        with pytest.raises(DeadlineError):
            sender.get("Patient/p1", sender.deadline())


def test_a_gzip_body_is_read_also_in_several_members() -> None:
    data = gzip.compress(GOOD[:9].encode()) + gzip.compress(GOOD[9:].encode())
    page, _ = read([(200, {**FHIR, "Content-Encoding": "gzip"}, data)])
    assert page.document["id"] == "p1"


@pytest.mark.parametrize(
    "body", [gzip.compress(GOOD.encode())[:-9], b"\x1f\x8b" + b"x" * 40, GOOD.encode(), gzip.compress(gzip.compress(GOOD.encode()))]
)
def test_corrupt_cut_missing_or_doubled_gzip_is_an_error_after_one_retry(body: bytes) -> None:
    error, requests_sent = failing([(200, {**FHIR, "Content-Encoding": "gzip"}, body)])
    assert (error.code, requests_sent) == ("FE0412", 2)


def test_unannounced_gzip_is_an_error_after_one_retry() -> None:
    error, requests_sent = failing([(200, FHIR, gzip.compress(GOOD.encode()))])
    assert (error.code, requests_sent) == ("FE0412", 2)
    assert "compressed without saying so" in str(error)


def test_a_content_coding_that_was_not_asked_for_is_an_error() -> None:
    error, _ = failing([(200, {**FHIR, "Content-Encoding": "br"}, GOOD)])
    assert error.code == "FE0412"


def test_a_gzip_bomb_meets_the_limit_and_not_the_memory() -> None:
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join([packer.compress(b" " * (1 << 20)) for _ in range(200)]) + packer.flush()
    before = memory.getrusage(memory.RUSAGE_SELF).ru_maxrss
    error, requests_sent = failing([(200, {**FHIR, "Content-Encoding": "gzip"}, bomb)])
    grown = (memory.getrusage(memory.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert (error.code, requests_sent) == ("FE0413", 1)
    assert grown < 100  # MB


@pytest.mark.parametrize("coding", ["", "gzip"])
def test_a_body_past_the_limit_is_an_error_and_not_asked_again(coding: str) -> None:
    body = gzip.compress(bytes(range(256)) * 8) if coding else b" " * 2000
    sender = transport(limits=Limits(page_bytes=20 if coding else 1000))
    with answers((200, {**FHIR, "Content-Encoding": coding}, body)) as mock:
        with pytest.raises(SourceError) as caught:
            sender.get("Patient/p1", sender.deadline())
        assert len(mock.calls) == 1
    assert caught.value.code == "FE0413"


def test_a_post_search_has_its_parameters_in_the_body_only() -> None:
    sender = transport(token=SECRET)
    with responses.RequestsMock() as mock:
        mock.post(f"{BASE}/Observation/_search", **_as_keywords(ok({"resourceType": "Bundle"})))
        page = sender.post_search("Observation", [("patient", "p1"), ("code", "a|b,c")], sender.deadline(), strict=True)
        request = mock.calls[0].request
    assert request.url == f"{BASE}/Observation/_search"
    assert request.body == "patient=p1&code=a%7Cb%2Cc"
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.headers["Prefer"] == "handling=strict"
    assert page.url == f"{BASE}/Observation"


def _as_keywords(answer: Answer) -> dict[str, Any]:
    return {"status": answer[0], "headers": answer[1], "body": answer[2]}


def test_a_cursor_is_sent_as_it_was_given() -> None:
    with serving() as server:
        server.answer = lambda method, path, body: ok({"resourceType": "Bundle"})
        sender = transport(server.base)
        sender.get("/fhir/Observation?c=a%7eb%2B%c3%a9&x=%7C'()*", sender.deadline())
    assert server.requests[0][1] == "/fhir/Observation?c=a%7Eb%2B%C3%A9&x=%7C'()*"  # only the hex digits may change case


def test_a_netrc_entry_does_not_replace_the_token(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login u password p")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving() as server:
        server.answer = lambda method, path, body: (200, FHIR, GOOD)
        sender = transport(server.base, SECRET)
        sender.get("Patient/p1", sender.deadline())
    assert server.requests[0][2]["authorization"] == f"Bearer {SECRET}"


def test_a_proxy_and_a_ca_bundle_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy:
        proxy.answer = lambda method, path, body: (200, FHIR, GOOD)
        monkeypatch.setenv("http_proxy", proxy.base.removesuffix("/fhir"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
        sender = transport("http://ehr.example.org/fhir")
        sender.get("Patient/p1", sender.deadline())
    assert proxy.requests[0][1] == "http://ehr.example.org/fhir/Patient/p1"


def test_a_token_over_plain_http_to_another_machine_is_refused_unless_it_is_allowed() -> None:
    with pytest.raises(UsageError, match="unencrypted"):
        transport("http://ehr.example.org/fhir", SECRET)
    assert transport("http://ehr.example.org/fhir", SECRET, allow_http=True).base.scheme == "http"
    assert transport("http://127.0.0.1:9/fhir", SECRET).base.loopback
    assert transport("http://ehr.example.org/fhir").base.scheme == "http"


@pytest.mark.parametrize("token", ["a b", "a\nX: y", "\u00e9"])
def test_a_token_that_would_break_a_header_is_refused_without_being_repeated(token: str) -> None:
    with pytest.raises(UsageError) as caught:
        transport(token=token)
    assert token not in caught.value.text()


def test_no_log_line_holds_an_address_a_query_or_a_body(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving() as server:
        server.answer = lambda method, path, body: (200, FHIR, json.dumps({"resourceType": "Bundle", "id": SECRET}))
        sender = transport(server.base, SECRET)
        sender.get(f"Observation?patient={SECRET}", sender.deadline())
        server.answer = lambda method, path, body: (503, FHIR, SECRET)
        with pytest.raises(StatusError):
            sender.get(f"Observation?patient={SECRET}", sender.deadline())
    assert "status 200" in caplog.text
    assert SECRET not in caplog.text


def test_other_users_of_urllib3_keep_their_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving() as server:
        requests.get(server.base, timeout=5)
    assert re.search("urllib3", caplog.text)
