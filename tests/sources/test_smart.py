"""SMART Backend Services: against an endpoint that misbehaves on purpose, and against a server that this project did not write."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from fhir_elig.errors import AuthorisationError, DeadlineError, SourceError, UsageError
from fhir_elig.record import Need
from fhir_elig.site import Server
from fhir_elig.sources.access import access
from fhir_elig.sources.credentials import Renewing
from fhir_elig.sources.replies import Limits
from fhir_elig.sources.rest import RestSource
from fhir_elig.sources.smart import Client, Clocks, backend_services
from fhir_elig.sources.smart_keys import parse_key
from fhir_elig.sources.transport import Transport
from tests.sources import sekmet
from tests.sources.fakes import Answer, Clock, Loopback, capability, ok, searchset, serving

RSA = RSAKey.generate_key(2048, private=True)
KEY = parse_key(RSA.as_pem(private=True).decode(), "test")
CLIENT = Client("elig", KEY)


class Endpoint:
    """A token endpoint and a FHIR server behind it, as the callback of a loopback server."""

    def __init__(self, server: Loopback) -> None:
        self.server = server
        self.life: Any = 300
        self.granted: str | None = None
        self.unknown: frozenset[str] = frozenset()
        self.configuration: dict[str, Any] = {"token_endpoint": f"{server.base}/token", "capabilities": ["permission-v2"]}
        self.forms: list[dict[str, str]] = []
        self.issued: list[str] = []
        self.good: Callable[[str], bool] = lambda token: token == self.issued[-1]
        self.before: list[Answer] = []  # answers of the token endpoint that come first
        server.answer = self.answer

    def answer(self, method: str, path: str, body: str) -> Answer:
        if path.endswith("/.well-known/smart-configuration"):
            return ok(self.configuration)
        if path.endswith("/token"):
            self.forms.append({name: values[0] for name, values in parse_qs(body).items()})
            return self.before.pop(0) if self.before else self.token(self.forms[-1]["scope"])
        sent = self.server.now.headers.get("authorization", "")
        if not self.good(sent.removeprefix("Bearer ")):
            return 401, {}, ""
        if path.endswith("/metadata"):
            return ok(capability(Observation=["patient"], Condition=["patient"]))
        return ok({"resourceType": "Patient", "id": path.rpartition("/")[2]}) if "/Patient/" in path else ok(searchset([]))

    def token(self, scope: str) -> Answer:
        if any(f"system/{kind}." in scope for kind in self.unknown):
            return 400, {}, '{"error": "invalid_scope"}'
        self.issued.append(f"token-{len(self.issued)}")
        granted = {} if self.granted is None else {"scope": self.granted}
        return ok({"access_token": self.issued[-1], "token_type": "Bearer", "expires_in": self.life, **granted})


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving() as server:
        yield Endpoint(server)


def credentials(
    endpoint: Endpoint, clock: Clock, types: tuple[str, ...] = ("Patient", "Observation"), **options: Any
) -> Renewing:
    clocks = Clocks(clock, lambda: 5000.0, clock.sleep, Random(7))
    return backend_services(endpoint.server.base, CLIENT, types, clocks=clocks, **options)


def reading(endpoint: Endpoint, clock: Clock, signed_in: Renewing) -> Transport:
    return Transport(endpoint.server.base, clock=clock, sleep=clock.sleep, rng=Random(7), credentials=signed_in)


def test_the_assertion_and_the_form_are_as_the_standard_wants_them(endpoint: Endpoint) -> None:
    clock = Clock()
    assert credentials(endpoint, clock).token(clock() + 60) == "token-0"
    (form,) = endpoint.forms
    claims = jwt.decode(form.pop("client_assertion"), RSA, ["RS384"]).claims
    assert form == {
        "grant_type": "client_credentials",
        "scope": "system/Observation.rs system/Patient.rs",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("elig", "elig", f"{endpoint.server.base}/token")
    assert 0 < claims["exp"] - 5000 <= 300


def test_sixteen_workers_ask_once_for_each_life_of_a_token(endpoint: Endpoint) -> None:
    clock = Clock()
    signed_in = credentials(endpoint, clock)
    for expected in (1, 1, 2):
        threads = [threading.Thread(target=signed_in.token, args=(clock() + 60,)) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(endpoint.issued) == expected
        clock.now += 130  # 80 % of 300 s are over after the second time


def test_tokens_that_die_in_mid_run_cost_sixteen_workers_one_call_each_and_no_patient(endpoint: Endpoint) -> None:
    clock, lock, uses = Clock(), threading.Lock(), Counter[str]()

    def good(token: str) -> bool:
        with lock:
            uses[token] += 1
            return token == endpoint.issued[-1] and uses[token] <= 40

    endpoint.good = good
    way = Transport(
        endpoint.server.base,
        clock=clock,
        sleep=clock.sleep,
        limits=Limits(connections=16),
        credentials=credentials(endpoint, clock),
    )
    names = [f"p{number}" for number in range(60)]
    charts = list(RestSource(endpoint.server.base, needs=[Need("Observation"), Need("Condition")], transport=way).patients(names))
    assert [chart.patient for chart in charts] == names
    assert not any(chart.failure or chart.broken for chart in charts)
    assert len(endpoint.issued) > 3 and all(uses[token] > 40 for token in endpoint.issued[:-1])


def test_a_token_that_is_refused_is_renewed_once_and_the_read_goes_on(endpoint: Endpoint) -> None:
    clock = Clock()
    sender = reading(endpoint, clock, credentials(endpoint, clock))
    endpoint.good = lambda token: token != "token-0"
    assert sender.get("Patient/p1", clock() + 60).document["id"] == "p1"
    assert endpoint.issued == ["token-0", "token-1"]


def test_a_proxy_that_strips_the_header_ends_after_two_renewals(endpoint: Endpoint) -> None:
    clock = Clock()
    endpoint.good = lambda token: False
    with pytest.raises(AuthorisationError, match="401"):
        reading(endpoint, clock, credentials(endpoint, clock)).get("Patient/p1", clock() + 60)
    assert len(endpoint.issued) == 3


def test_a_worker_whose_token_was_replaced_meanwhile_takes_the_new_one(endpoint: Endpoint) -> None:
    clock = Clock()
    signed_in = credentials(endpoint, clock)
    old = signed_in.token(clock() + 60)
    assert old is not None
    assert signed_in.renew(old, clock() + 60) and signed_in.renew(old, clock() + 60)
    assert len(endpoint.issued) == 2


def test_each_try_has_an_assertion_of_its_own_and_waits_as_it_is_told(endpoint: Endpoint) -> None:
    clock = Clock()
    endpoint.before = [(503, {"Retry-After": "7"}, ""), (429, {}, "")]
    assert credentials(endpoint, clock).token(clock() + 60) == "token-0"
    numbers = [jwt.decode(form["client_assertion"], RSA, ["RS384"]).claims["jti"] for form in endpoint.forms]
    assert len(set(numbers)) == 3
    assert clock.slept[0] == 7.0


def test_an_endpoint_that_stays_down_ends_with_its_status(endpoint: Endpoint) -> None:
    clock = Clock()
    endpoint.before = [(503, {}, "")] * 3
    with pytest.raises(SourceError, match="HTTP 503"):
        credentials(endpoint, clock).token(clock() + 60)
    endpoint.before = [(503, {"Retry-After": "90"}, "")]
    with pytest.raises(DeadlineError):
        credentials(endpoint, clock).token(clock() + 60)


def test_a_type_that_spoils_the_request_is_left_out_alone(endpoint: Endpoint) -> None:
    clock = Clock()
    endpoint.unknown = frozenset({"Consent"})
    signed_in = credentials(endpoint, clock, ("Patient", "Consent", "Observation"))
    grant = signed_in.grant(clock() + 60)
    assert grant is not None
    assert [kind for kind in ("Consent", "Observation", "Patient") if grant.reads(kind)] == ["Observation", "Patient"]
    clock.now += 250
    asked = len(endpoint.forms)
    signed_in.token(clock() + 60)
    assert [form["scope"] for form in endpoint.forms[asked:]] == ["system/Observation.rs system/Patient.rs"]


def test_no_scope_at_all_is_a_refusal(endpoint: Endpoint) -> None:
    clock = Clock()
    endpoint.unknown = frozenset({"Patient", "Observation"})
    with pytest.raises(AuthorisationError, match="none of the scopes"):
        credentials(endpoint, clock).token(clock() + 60)


def test_what_was_not_granted_is_not_asked_and_told_as_refused(endpoint: Endpoint) -> None:
    clock = Clock()
    endpoint.granted = "system/Patient.rs system/Condition.rs?category=problem-list-item"
    signed_in = credentials(endpoint, clock, ("Patient", "Condition", "Observation"))
    source = RestSource(
        endpoint.server.base, needs=[Need("Condition"), Need("Observation")], transport=reading(endpoint, clock, signed_in)
    )
    (chart,) = source.patients(["p1"])
    lines = {line.type: (line.complete, line.note) for line in chart.retrieved}
    assert lines == {
        "Patient": (True, ""),
        "Condition": (False, "partial: the scope that was granted is narrower than the type"),
        "Observation": (False, "refused: no scope for it was granted"),
    }
    assert not any("/Observation" in path for _, path, _ in endpoint.server.requests)


VERSION_1 = [
    ({"capabilities": ["permission-v1"]}, "system/Observation.read system/Patient.read"),
    ({"capabilities": [], "scopes_supported": ["system/*.read"]}, "system/Observation.read system/Patient.read"),
    ({"capabilities": 7, "scopes_supported": ["system/*.rs", 8]}, "system/Observation.rs system/Patient.rs"),
]


@pytest.mark.parametrize(("declared", "scope"), VERSION_1)
def test_scopes_are_spelled_as_the_server_understands_them(endpoint: Endpoint, declared: dict[str, Any], scope: str) -> None:
    clock = Clock()
    endpoint.configuration |= declared
    credentials(endpoint, clock).token(clock() + 60)
    assert endpoint.forms[0]["scope"] == scope


BAD_ENDPOINTS = [
    {},
    {"token_endpoint": 7},
    {"token_endpoint": "http://login.example.org/token"},
    {"token_endpoint": "javascript:alert(1)"},
    {"token_endpoint": "https://user:pass@login.example.org/token"},
    [],
]


@pytest.mark.parametrize("configuration", BAD_ENDPOINTS)
def test_an_endpoint_that_is_not_safe_gets_no_assertion(endpoint: Endpoint, configuration: Any) -> None:
    clock = Clock()
    endpoint.configuration = configuration
    with pytest.raises(AuthorisationError):
        credentials(endpoint, clock).token(clock() + 60)
    assert endpoint.forms == []


def test_an_algorithm_that_the_server_does_not_take_is_told_before_anything_is_sent(endpoint: Endpoint) -> None:
    clock = Clock()
    endpoint.configuration["token_endpoint_auth_signing_alg_values_supported"] = ["ES384"]
    with pytest.raises(AuthorisationError, match="RS384"):
        credentials(endpoint, clock).token(clock() + 60)
    assert endpoint.forms == []


def test_a_configured_endpoint_needs_no_discovery(endpoint: Endpoint) -> None:
    clock = Clock()
    credentials(endpoint, clock, token_endpoint=f"{endpoint.server.base}/token").token(clock() + 60)
    assert [path for _, path, _ in endpoint.server.requests] == ["/fhir/token"]


def test_a_redirect_of_the_endpoint_is_not_followed(endpoint: Endpoint) -> None:
    clock = Clock()
    with serving() as other:
        endpoint.before = [(307, {"Location": f"{other.base}/token"}, "")]
        with pytest.raises(AuthorisationError, match="307"):
            credentials(endpoint, clock).token(clock() + 60)
        assert other.requests == []


ANSWERS = [
    ok({"access_token": 7}),
    ok({"access_token": "a b"}),
    ok({"access_token": "x", "token_type": "mac"}),
    ok({}),
    (200, {}, "<html>"),
    (200, {}, '{"access_token": "a", "access_token": "b"}'),
    (401, {}, '{"error": "invalid_client", "error_description": "p1 Muster"}'),
    (400, {}, '{"error": "Muster"}'),
    (400, {}, "no"),
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_without_a_usable_token_is_an_error_without_its_content(endpoint: Endpoint, answer: Answer) -> None:
    clock = Clock()
    endpoint.before = [answer]
    with pytest.raises(AuthorisationError) as caught:
        credentials(endpoint, clock).token(clock() + 60)
    assert "Muster" not in caught.value.text()


@pytest.mark.parametrize("life", [None, -5, "soon", True])
def test_a_life_that_is_not_told_is_taken_as_short(endpoint: Endpoint, life: Any) -> None:
    clock = Clock()
    endpoint.life = life
    signed_in = credentials(endpoint, clock)
    signed_in.token(clock() + 60)
    clock.now += 239
    signed_in.token(clock() + 60)
    assert len(endpoint.issued) == 1
    clock.now += 2
    signed_in.token(clock() + 60)
    assert len(endpoint.issued) == 2


def test_neither_token_nor_assertion_is_logged(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    clock = Clock()
    reading(endpoint, clock, credentials(endpoint, clock)).get("Patient/p1", clock() + 60)
    assertion = endpoint.forms[0]["client_assertion"]
    assert "token-0" not in caplog.text and assertion not in caplog.text and assertion[-20:] not in caplog.text


def test_a_server_without_a_configuration_says_what_to_do(endpoint: Endpoint) -> None:
    clock = Clock()
    endpoint.server.answer = lambda method, path, body: (404, {}, "")
    with pytest.raises(AuthorisationError, match="no SMART configuration") as caught:
        credentials(endpoint, clock).token(clock() + 60)
    assert "token_endpoint" in caught.value.findings[0].fix


# The way in, from a site file -------------------------------------------------------------------------------------------


def site(base: str, **more: Any) -> Server:
    return Server.model_validate({"base": base, **more})


def test_what_the_site_file_says_counts_for_its_own_server_only(tmp_path: Path) -> None:
    own = site("https://ehr.example/fhir", auth="smart-backend", client_id="elig", key="none.pem")
    there = access("https://other.example/fhir", own, ["Patient"], folder=tmp_path, environment={"FHIR_ELIG_TOKEN": "t"})
    assert there.credentials.token(0) == "t"
    with pytest.raises(UsageError, match="cannot be opened"):
        access("https://ehr.example/fhir/", own, ["Patient"], folder=tmp_path, environment={})


WRONG_SITES: list[tuple[dict[str, Any], str]] = [
    ({"auth": "none"}, "only a server on this machine"),
    ({"auth": "mutual-tls"}, "no certificate and key"),
    ({"auth": "mutual-tls", "certificate": "c.pem", "key": "k.pem"}, "cannot be opened"),
    ({"auth": "smart-backend"}, "no client id"),
    ({"auth": "smart-backend", "client_id": "elig"}, "no private key"),
]


@pytest.mark.parametrize(("keys", "why"), WRONG_SITES)
def test_a_way_in_that_lacks_something_is_refused(tmp_path: Path, keys: dict[str, Any], why: str) -> None:
    base = "https://ehr.example/fhir"
    with pytest.raises(UsageError, match=why):
        access(base, site(base, **keys), ["Patient"], folder=tmp_path, environment={})


def test_no_key_signs_over_plain_http() -> None:
    base = "http://ehr.example/fhir"
    with pytest.raises(UsageError, match="unencrypted"):
        access(base, site(base, auth="smart-backend", client_id="elig"), ["Patient"], environment={})


def test_on_this_machine_no_credentials_are_needed() -> None:
    base = "http://127.0.0.1:9/fhir"
    way = access(base, site(base, auth="none", limits={"pages": 3}), ["Patient"], environment={"FHIR_ELIG_TOKEN": "t"})
    assert (way.credentials.token(0), way.limits.pages) == (None, 3)


# A server that this project did not write -------------------------------------------------------------------------------

ES = ECKey.generate_key("P-384", private=True)


def auth_settings() -> str:
    clients = [
        {"client_id": "rs", "jwks": {"keys": [{**RSA.as_dict(private=False), "kid": "rs", "alg": "RS384"}]},
         "scopes": "system/Patient.rs system/Observation.rs system/Condition.rs"},
        {"client_id": "es", "jwks": {"keys": [{**ES.as_dict(private=False), "kid": "es", "alg": "ES384"}]},
         "scopes": "system/Patient.rs system/Observation.rs"},
    ]  # fmt: skip
    return f"server_auth:\n  types: [smart]\n  token_lifetime: 300\n  smart_clients: {json.dumps(clients)}\n"


@pytest.mark.parametrize(("client", "key", "condition"), [("rs", RSA, True), ("es", ES, False)])
def test_a_real_server_takes_the_assertion_and_grants_what_it_says(
    tmp_path: Path, client: str, key: RSAKey | ECKey, condition: bool
) -> None:
    (tmp_path / "key.pem").write_bytes(key.as_pem(private=True))
    (tmp_path / "key.pem").chmod(0o600)
    with sekmet.running(tmp_path, auth_settings()) as base:
        own = site(base, auth="smart-backend", client_id=client, key="key.pem", kid=client)
        way = access(base, own, ["Patient", "Observation", "Condition"], folder=tmp_path, environment={})
        grant = way.credentials.grant(time.monotonic() + 60)
        assert grant is not None
        assert (grant.reads("Observation"), grant.reads("Condition")) == (True, condition)
        (chart,) = RestSource(base, needs=[Need("Observation"), Need("Condition")], access=way).patients(["nobody"])
        assert chart.failure is not None and chart.failure[0] == "FE0404"  # asked as ourselves, and told that there is none
        with pytest.raises(AuthorisationError):
            list(RestSource(base, needs=[Need("Observation")]).patients(["nobody"]))
