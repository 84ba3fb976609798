"""Faults on the way in: the configuration that is discovered, the token endpoint, tokens that die, scopes that were not granted.

`SignIn` stands before a `Ward`: it publishes a SMART configuration, issues tokens for assertions whose number it has not seen,
and lets nobody through without its newest token. `rows` are those of the catalogue of faults; 0 where the catalogue does not
name it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.sources.fakes import Answer, ok
from tests.sources.faults_answers import HTML, bomb, drip
from tests.sources.hostile import Raw, Ward

KEY = RSAKey.generate_key(2048, private=True)
LIFE = 300
TOKEN_PATH, DISCOVERY = "/fhir/token", "/fhir/.well-known/smart-configuration"


class SignIn:
    """The token endpoint of a ward, and its fault. `uses` is how often a token is good."""

    def __init__(self, place: Ward) -> None:
        self.place, self.inner = place, place.server.answer
        self.configuration: Any = {"token_endpoint": f"{place.base}/token", "capabilities": ["permission-v2"]}
        self.uses = 10_000
        self.fault = SignInFault((0,))
        self.forms: list[dict[str, str]] = []
        self.claims: list[dict[str, Any]] = []
        self.issued: list[str] = []
        self.left = 0
        place.server.answer = self.answer

    def answer(self, method: str, path: str, body: str) -> Answer | Raw:
        if path == DISCOVERY:
            return self.fault.discovery(self, ok(self.configuration))
        if path == TOKEN_PATH:
            self.forms.append({name: values[0] for name, values in parse_qs(body).items()})
            return self.fault.token(self, self.token())
        sent = self.place.server.now.headers.get("authorization", "")
        if path.endswith("/metadata") and not sent:
            return self.inner(method, path, body)
        self.left -= 1
        if sent != f"Bearer {self.issued[-1] if self.issued else ''}" or self.left < 0 or self.fault.refuses(path):
            return 401, {}, ""
        return self.inner(method, path, body)

    def token(self) -> Answer:
        claims = jwt.decode(self.forms[-1]["client_assertion"], KEY, ["RS384"]).claims
        if claims["jti"] in [one["jti"] for one in self.claims]:
            return refused("invalid_grant")
        self.claims.append(claims)
        self.issued.append(f"canary-4711-{len(self.issued)}")
        self.left = self.uses
        return ok({"access_token": self.issued[-1], "token_type": "bearer", "expires_in": LIFE, "scope": self.forms[-1]["scope"]})


Change = Callable[[SignIn, Answer], Answer | Raw]


class SignInFault(NamedTuple):
    rows: tuple[int, ...]
    discovery: Change = lambda door, answer: answer
    token: Change = lambda door, answer: answer
    refuses: Callable[[str], bool] = lambda path: False
    uses: int = 10_000
    exit_code: int = 12
    same: bool = False
    timeout: float = 20.0
    pause: float = 0.0  # seconds between two bytes that drip


def refused(error: str, status: int = 400, **more: str) -> Answer:
    return status, {}, json.dumps({"error": error, **more})


def granted(*rows: int, code: int = 0, same: bool = True, **changes: Any) -> SignInFault:
    """Another answer of the token endpoint: members changed, those that are None left out."""

    def change(door: SignIn, answer: Answer) -> Answer:
        if answer[0] != 200:
            return answer
        new = {**json.loads(answer[2]), **changes}
        return ok({name: value for name, value in new.items() if value is not None})

    return SignInFault(rows or (0,), token=change, exit_code=code, same=same)


def token_answer(made: Answer | Raw, *rows: int, **more: Any) -> SignInFault:
    return SignInFault(rows or (0,), token=lambda door, answer: made, **more)


def found(made: Callable[[SignIn], Answer | Raw], *rows: int, **more: Any) -> SignInFault:
    """Another answer to the discovery."""
    return SignInFault(rows or (0,), discovery=lambda door, answer: made(door), **more)


def endpoint(address: str, *rows: int) -> SignInFault:
    """Another token endpoint in the configuration; `{stranger}` is the second server."""
    return found(lambda door: ok({"token_endpoint": address.format(stranger=door.place.stranger.base)}), *rows)


def redirected(door: SignIn, answer: Answer) -> Answer:
    return 307, {"Location": f"{door.place.stranger.base}/token"}, ""


def first(answers: list[Answer]) -> Change:
    """These answers come before the true ones; an assertion that was used for them is used up."""
    return lambda door, answer: answers[len(door.forms) - 1] if len(door.forms) <= len(answers) else answer


def moving(door: SignIn, answer: Answer) -> Answer:
    """The configuration names the second server from its second reading on."""
    seen = [path for _, path, _ in door.place.server.requests].count(DISCOVERY)
    return answer if seen == 1 else ok({"token_endpoint": f"{door.place.stranger.base}/token"})


def skewed(seconds: int) -> Change:
    """A server whose clock is ahead refuses an assertion that has run out by then (RFC 7523, 3)."""
    return lambda door, answer: answer if door.claims[-1]["iat"] + seconds < door.claims[-1]["exp"] else refused("invalid_grant")


FEWER = "system/Patient.rs system/Observation.rs"
NEVER: dict[str, Any] = {"timeout": 1.0, "pause": 0.02, "exit_code": 14}

ENDPOINTS = {
    "a sign-in page": token_answer((200, {"Content-Type": "text/html"}, HTML), 7),
    "a page that never ends": token_answer(drip(b"{" + b" " * 5000), 5, **NEVER),
    "a line that is no status": token_answer([b"what?\r\n\r\n"], 5, exit_code=14),
    "closed at once": token_answer([], 5, exit_code=14),
    "a gzip bomb": SignInFault((13,), token=lambda door, answer: (200, {"Content-Encoding": "gzip"}, bomb(b"")), exit_code=14),
    "nothing": token_answer((200, {}, ""), 8),
    "204": token_answer((204, {}, ""), 8),
    "500 for ever": token_answer((500, {}, HTML), 4, exit_code=14),
    "503 and then well": SignInFault((3, 29), token=first([(503, {"Retry-After": "2"}, ""), (429, {}, "")]), exit_code=0, same=True),
    "a pause past the deadline": token_answer((429, {"Retry-After": "99999"}, ""), 1, exit_code=14),
    "an unknown client": token_answer(refused("invalid_client", 401, error_description="Canaryname")),
    "an error in unknown words": token_answer(refused("Canaryname")),
    "a clock that is an hour ahead": SignInFault((29,), token=skewed(3600)),
    "a clock that is a minute ahead": SignInFault((29,), token=skewed(60), exit_code=0, same=True),
    "a redirect to a stranger": SignInFault((25, 30), token=redirected),
    "a token twice": token_answer((200, {}, '{"access_token": "a", "access_token": "b", "token_type": "bearer"}'), 41),
}  # fmt: skip

GRANTS = {
    "fewer scopes than asked for": granted(31, scope=FEWER, same=False),
    "no scope": granted(31, scope="", same=False),
    "scopes of users": granted(31, scope=FEWER.replace("system", "user"), same=False),
    "more scopes than asked for": granted(scope="system/*.cruds openid"),
    "scopes that are a list": granted(scope=["system/*.rs"]),
    "no word of scopes": granted(scope=None),
    "a life of 0": granted(28, expires_in=0),
    "a life of a second": granted(28, expires_in=1),
    "a life in words": granted(28, expires_in="3600"),
    "an endless life": granted(28, expires_in=10**30),
    "no life": granted(28, expires_in=None),
    "a life of 1e400": token_answer((200, {}, '{"access_token": "a", "token_type": "bearer", "expires_in": 1e400}'), 42),
    "a token with a line feed": granted(access_token="a\r\nX-Canary: 1", code=12, same=False),
    "a token that is empty": granted(access_token="", code=12, same=False),
    "a token that is a number": granted(access_token=7, code=12, same=False),
    "a token in another alphabet": granted(access_token="ключ", code=12, same=False),
    "another kind of token": granted(token_type="DPoP", code=12, same=False),
}  # fmt: skip

DISCOVERIES = {
    "a sign-in page": found(lambda door: (200, {"Content-Type": "text/html"}, HTML), 7),
    "404": found(lambda door: (404, {}, HTML), 11),
    "a redirect to a stranger": found(lambda door: (302, {"Location": f"{door.place.stranger.base}/x"}, ""), 25, 30),
    "a page that never ends": found(lambda door: drip(b"{" + b" " * 5000), 5, **NEVER),
    "a list": found(lambda door: ok([]), 8),
    "a depth of 100,000": found(lambda door: (200, {}, '{"x":' + "[" * 100_000), 43),
    "an endpoint with plain http elsewhere": endpoint("http://login.example.org/token", 30),
    "an endpoint with a user": endpoint("https://canary:x@login.example.org/token", 30),
    "an endpoint that is a script": endpoint("javascript:alert(1)", 30),
    "an endpoint that is a path": endpoint("/token", 30),
    "an endpoint that moves to a stranger": SignInFault((30,), discovery=moving, uses=5, exit_code=0, same=True),
}  # fmt: skip

TOKENS = {
    "die in mid-paging": SignInFault((28,), uses=3, exit_code=0, same=True),
    "are refused for ever": SignInFault((27,), uses=0),
    "are refused for one type": SignInFault((27,), refuses=lambda path: path.startswith("/fhir/Condition")),
    "are refused for the second page": SignInFault((27,), refuses=lambda path: "cursor=" in path),
}  # fmt: skip

SIGN_INS: dict[str, SignInFault] = {
    **{f"token endpoint: {name}": fault for name, fault in ENDPOINTS.items()},
    **{f"grant: {name}": fault for name, fault in GRANTS.items()},
    **{f"discovery: {name}": fault for name, fault in DISCOVERIES.items()},
    **{f"tokens {name}": fault for name, fault in TOKENS.items()},
}
