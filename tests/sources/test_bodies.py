"""Bodies that are cut, empty, swollen, dripping or something else: an error in safe words, never "has none"."""

from __future__ import annotations

import gzip
import io
import json
import logging
import resource as memory
import socket
import time
import zlib

import pytest

from fhir_elig.errors import DeadlineError, SourceError
from fhir_elig.sources.replies import Limits
from fhir_elig.sources.sockets import TimedReader
from fhir_elig.sources.transport import Transport
from tests.sources.fakes import FHIR, outcome, serving, transport
from tests.sources.reads import GOOD, SECRET, answers, failing, loop, read


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


@pytest.mark.parametrize(
    "body", ["[1]", '"text"', '{"id": "p1"}', '{"resourceType": 7}', '{"resourceType": "Patient", "id": 1, "id": 2}']
)
def test_json_that_is_no_resource_is_an_error_and_not_asked_again(body: str) -> None:
    error, requests_sent = failing([(200, FHIR, body)])
    assert (error.code, requests_sent) == ("FE0412", 1)


def test_a_wrong_content_type_over_right_fhir_is_taken_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    sender = transport()
    with answers((200, {"Content-Type": "text/plain"}, GOOD)):
        pages = [sender.get("Patient/p1", sender.deadline()) for _ in range(2)]
    assert [page.document["id"] for page in pages] == ["p1", "p1"]
    assert [record.levelname for record in caplog.records if record.levelno > logging.DEBUG] == ["WARNING"]


def test_no_byte_is_read_after_the_deadline() -> None:
    here, there = socket.socketpair()
    with here, there:
        reader = TimedReader(io.BytesIO(b"x"), here, lambda: 0.0)  # type: ignore[arg-type]
        assert reader.readable()
        with pytest.raises(TimeoutError):
            reader.read(1)


def test_an_error_body_that_is_not_json_keeps_the_status_and_a_safe_excerpt() -> None:
    error, _ = failing(
        [(400, {"Content-Type": "text/plain"}, f"Internal server error for {SECRET} born 1980-01-02 at https://x/{SECRET}")]
    )
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


@pytest.mark.parametrize(
    "body", [json.dumps([1]), json.dumps({"issue": 3}), json.dumps({"issue": [3, {"code": ["x"], "details": {"coding": 3}}]})]
)
def test_an_error_body_of_odd_json_says_no_more_than_the_status(body: str) -> None:
    error, _ = failing([(400, FHIR, body)])
    assert str(error) == "HTTP 400"


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
    "body",
    [gzip.compress(GOOD.encode())[:-9], b"\x1f\x8b" + b"x" * 40, GOOD.encode(), gzip.compress(gzip.compress(GOOD.encode()))],
    ids=["cut", "corrupt", "missing", "doubled"],
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
