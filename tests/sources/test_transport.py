"""The transport under faults of HTTP: what is tried again, what is not, how long, and what is never said or sent."""

from __future__ import annotations

import json
import logging
import re
from email.utils import formatdate
from typing import Any

import pytest
import requests
import responses

from fhir_elig.errors import AuthorisationError, DeadlineError, UsageError
from fhir_elig.sources.addresses import LinkError
from fhir_elig.sources.replies import Limits, StatusError
from fhir_elig.sources.transport import Pause
from tests.sources.fakes import BASE, FHIR, Answer, Clock, ok, serving, transport
from tests.sources.reads import GOOD, SECRET, answers, failing, read


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


@pytest.mark.parametrize(
    "fault", [requests.ConnectionError(SECRET), requests.ReadTimeout(SECRET), OSError(SECRET), ValueError(SECRET)]
)
def test_a_lost_connection_is_tried_again_and_told_without_its_address(fault: Exception) -> None:
    error, requests_sent = failing([fault])
    assert (error.code, requests_sent) == ("FE0401", 4)
    assert SECRET not in error.text()
    assert error.__context__ is None


def test_a_certificate_that_cannot_be_verified_is_told_at_once() -> None:
    error, requests_sent = failing([requests.exceptions.SSLError(SECRET)])
    assert requests_sent == 1
    assert "REQUESTS_CA_BUNDLE" in error.text()


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
