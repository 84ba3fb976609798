"""SMART Backend Services: a token for the scopes that are needed, by a signed assertion (SMART App Launch 2.2).

The token endpoint is taken once from `.well-known/smart-configuration` (or configured) and then pinned; it may stand on another
host than the FHIR server, so it has a channel of its own, and only the assertion goes there, over https.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from fhir_elig.errors import AuthorisationError, DataError, DeadlineError, SourceError, UsageError
from fhir_elig.sources import strict_json
from fhir_elig.sources.addresses import Base, parse_base
from fhir_elig.sources.channel import Channel, Connection
from fhir_elig.sources.credentials import RENEW_AT, Issued, Renewing, checked
from fhir_elig.sources.replies import Limits, Reply, seconds_to_wait
from fhir_elig.sources.scopes import needs_version_1, read_grant, wanted_scopes
from fhir_elig.sources.smart_keys import SigningKey

Clock = Callable[[], float]

_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TRIES = 3
_FIRST_WAIT = 0.5  # seconds; doubles with each try
_DEFAULT_LIFE = 300  # seconds, where the endpoint does not tell
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_ERRORS = {
    "invalid_client": "the server does not know the client id, or not this key",
    "invalid_scope": "none of the scopes that are needed is granted",
    "invalid_grant": "the assertion was refused",
    "unauthorized_client": "the client may not use client credentials",
    "invalid_request": "the request was refused as not well formed",
    "unsupported_grant_type": "the server does not offer client credentials",
}


class Clocks(msgspec.Struct, frozen=True):
    """Time and chance, as arguments: the monotonic clock, the time of day, a wait, a source of jitter."""

    clock: Clock = time.monotonic
    wall: Clock = time.time
    sleep: Callable[[float], None] = time.sleep
    rng: random.Random = msgspec.field(default_factory=random.Random)


class Configuration(msgspec.Struct, frozen=True):
    """What a server's `.well-known/smart-configuration` says of backend services."""

    token_endpoint: str
    capabilities: tuple[str, ...] = ()
    scopes_supported: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()


class Client(msgspec.Struct, frozen=True):
    """Who asks: the client id that the server gave, and its key."""

    client_id: str
    key: SigningKey


def backend_services(
    base: str,
    client: Client,
    types: Iterable[str],
    *,
    write: Iterable[str] = (),
    token_endpoint: str = "",
    connection: Connection | None = None,
    limits: Limits | None = None,
    clocks: Clocks | None = None,
) -> Renewing:
    """Credentials that get and renew tokens for these resource types; the first one is asked for when a request needs it."""
    clocks = clocks or Clocks()
    service = _Service(
        parse_base(base), client, tuple(types), tuple(write), token_endpoint, connection, limits or Limits(), clocks
    )
    return Renewing(service.issue, clocks.clock)


class _Service:
    def __init__(
        self,
        base: Base,
        client: Client,
        types: Sequence[str],
        write: Sequence[str],
        endpoint: str,
        connection: Connection | None,
        limits: Limits,
        clocks: Clocks,
    ) -> None:
        self._base, self._client, self._types, self._write = base, client, types, write
        self._connection, self._limits, self._clocks = connection, limits, clocks
        self._discovery = Channel(str(base), clocks.clock, limits, connection)
        self._configuration = Configuration(endpoint) if endpoint else None
        self._dropped: frozenset[str] = frozenset()  # types whose scope spoils a request

    def issue(self, deadline: float) -> Issued:
        """A new token. Raises AuthorisationError, SourceError, DeadlineError."""
        if self._configuration is None:
            self._configuration = discover(self._discovery, self._base, deadline, self._clocks)
        configuration = self._configuration
        endpoint = _endpoint(configuration.token_endpoint)
        if configuration.algorithms and self._client.key.algorithm not in configuration.algorithms:
            raise AuthorisationError(
                f"the server takes no {self._client.key.algorithm}", where="site file, server > key",
                fix=f"use a key for one of {', '.join(sorted(configuration.algorithms))[:80]}",
            )  # fmt: skip
        channel = Channel(str(endpoint), self._clocks.clock, self._limits, self._connection)
        answer = self._ask(channel, configuration, deadline)
        if isinstance(answer, _Refused) and answer.error == "invalid_scope":
            answer = self._ask_without(channel, configuration, deadline)
        if isinstance(answer, _Refused):
            raise _refusal(answer)
        return answer

    def _ask_without(self, channel: Channel, configuration: Configuration, deadline: float) -> Issued | _Refused:
        """One type that a server does not know can spoil the whole request: each is tried alone, once a run."""
        self._dropped = frozenset(
            kind for kind in self._asked() if isinstance(self._ask(channel, configuration, deadline, (kind,)), _Refused)
        )
        return self._ask(channel, configuration, deadline) if self._asked() else _Refused(400, "invalid_scope")

    def _asked(self) -> tuple[str, ...]:
        return tuple(sorted({*self._types, *self._write} - self._dropped))

    def _ask(
        self, channel: Channel, configuration: Configuration, deadline: float, types: tuple[str, ...] | None = None
    ) -> Issued | _Refused:
        asked = self._asked() if types is None else types
        version_1 = needs_version_1(configuration.capabilities, configuration.scopes_supported)
        scope = " ".join(wanted_scopes(asked, version_1=version_1, write=set(self._write) & set(asked)))
        started = self._clocks.clock()
        document = self._post(channel, configuration.token_endpoint, scope, deadline)
        return document if isinstance(document, _Refused) else _issued(document, scope, started)

    def _post(self, channel: Channel, endpoint: str, scope: str, deadline: float) -> dict[str, Any] | _Refused:
        """The endpoint's answer. A try that failed is repeated with a new assertion: a `jti` counts once."""
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded", "User-Agent": "fhir-elig"}
        for number in range(_TRIES):
            form = {
                "grant_type": "client_credentials",
                "scope": scope,
                "client_assertion_type": _JWT_BEARER,
                "client_assertion": self._client.key.assertion(self._client.client_id, endpoint, self._clocks.wall()),
            }
            reply = channel.send("POST", endpoint, urlencode(form), headers, deadline)
            if isinstance(reply, Reply) and reply.status not in _AGAIN:
                return _document(reply)
            if not isinstance(reply, Reply) and number + 1 >= reply.tries:
                raise reply.error
            wait = seconds_to_wait(reply, self._clocks.wall()) if isinstance(reply, Reply) else 0.0
            wait = max(wait, self._clocks.rng.uniform(0, _FIRST_WAIT * 2**number))
            if number < _TRIES - 1:
                _pause(wait, deadline, self._clocks)
        if isinstance(reply, Reply):
            raise SourceError(f"the token endpoint answered HTTP {reply.status}", fix="try again later")
        raise reply.error


class _Refused(msgspec.Struct, frozen=True):
    status: int
    error: str


def discover(channel: Channel, base: Base, deadline: float, clocks: Clocks) -> Configuration:
    """The server's SMART configuration. Raises AuthorisationError if it offers no token endpoint."""
    address = base.inside(".well-known/smart-configuration", f"{base}/")
    headers = {"Accept": "application/json", "User-Agent": "fhir-elig"}
    reply = channel.send("GET", address, None, headers, deadline)
    if not isinstance(reply, Reply):
        raise reply.error
    document = _json(reply) if reply.status == 200 else None
    endpoint = document.get("token_endpoint") if document is not None else None
    if document is None or not isinstance(endpoint, str):
        raise AuthorisationError(
            f"the server publishes no SMART configuration (HTTP {reply.status})",
            fix="name the token endpoint in the site file, server > token_endpoint, or use a bearer token",
        )
    return Configuration(
        endpoint,
        _texts(document.get("capabilities")),
        _texts(document.get("scopes_supported")),
        _texts(document.get("token_endpoint_auth_signing_alg_values_supported")),
    )


def _endpoint(address: str) -> Base:
    try:
        endpoint = parse_base(address)
    except UsageError:
        endpoint = None
    if endpoint is None or not (endpoint.scheme == "https" or endpoint.loopback):
        raise AuthorisationError("the token endpoint is no https address", fix="ask the vendor for an https token endpoint")
    return endpoint


def _document(reply: Reply) -> dict[str, Any] | _Refused:
    document = _json(reply)
    if reply.status in (200, 201) and document is not None:
        return document
    error = document.get("error") if document is not None else None
    return _Refused(reply.status, error if isinstance(error, str) and error in _ERRORS else "")


def _issued(document: Mapping[str, Any], asked: str, started: float) -> Issued:
    token, kind, life = document.get("access_token"), document.get("token_type", "bearer"), document.get("expires_in")
    if not isinstance(token, str) or not isinstance(kind, str) or kind.lower() != "bearer":
        raise AuthorisationError("the token endpoint's answer holds no bearer token", fix="ask the vendor")
    try:
        checked(token)
    except UsageError:
        raise AuthorisationError("the token endpoint's answer holds no usable token", fix="ask the vendor") from None
    seconds = life if isinstance(life, int) and not isinstance(life, bool) and life > 0 else _DEFAULT_LIFE
    scope = document.get("scope")
    return Issued(token, started + RENEW_AT * seconds, read_grant(scope if isinstance(scope, str) else asked))


def _refusal(refused: _Refused) -> AuthorisationError:
    why = _ERRORS.get(refused.error, "the token endpoint refused")
    return AuthorisationError(
        f"{why} (HTTP {refused.status})",
        fix="check client id, key and the scopes that the vendor approved; look at the clock too",
    )


def _json(reply: Reply) -> dict[str, Any] | None:
    try:
        document = strict_json.loads(reply.body)
    except DataError:
        return None
    return document if isinstance(document, dict) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _pause(seconds: float, deadline: float, clocks: Clocks) -> None:
    if seconds >= deadline - clocks.clock():
        raise DeadlineError("no time is left to ask for a token again", fix="raise --timeout, or try again later")
    clocks.sleep(seconds)
