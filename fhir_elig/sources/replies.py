"""Judges what a server sent: a page of FHIR, or a trouble with the number of tries that it deserves.

Statuses as in RFC 9110. Failure is not absence: an empty body, markup or an OperationOutcome is never "has none".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from fhir_elig.errors import AuthorisationError, FhirEligError, SourceError
from fhir_elig.sources import strict_json
from fhir_elig.sources.bodies import describe, excerpt, is_markup, outcome_codes
from fhir_elig.sources.refusals import Refusal

_AGAIN = frozenset({408, 429, 502, 503, 504})
_SIGN_IN_FIX = "check the base address, the token and the proxy: FHIR was asked for and something else came"


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one server (bytes, counts); a site may lower or raise them."""

    page_bytes: int = 64 << 20
    pages: int = 1000
    entries: int = 100_000
    tries: int = 4
    restarts: int = 2
    connections: int = 5  # at once
    idle_pages: int = 2  # pages in a row that bring nothing new
    post_codes: int = 200
    get_codes: int = 40
    query_bytes: int = 1500


class StatusError(SourceError):
    """The server answered with a status that is no answer; `status` is that number."""

    def __init__(self, status: int, why: str, *, code: str = "FE0415", fix: str = "") -> None:
        super().__init__(why, code=code, fix=fix)
        self.status = status


class Reply(msgspec.Struct, frozen=True):
    """One answer as it came: status, headers (names in lower case) and the decoded body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Page(msgspec.Struct, frozen=True):
    """One FHIR document.

    `url` is the address that its relative links stand on; `refusals` what could not be read of it; `odd_type` tells of a
    content type that is not JSON's; `skew` is how far the server's clock is ahead of ours, in seconds, if it tells the time.
    """

    url: str
    document: dict[str, Any]
    refusals: tuple[Refusal, ...] = ()
    odd_type: bool = False
    skew: float | None = None


class Trouble(msgspec.Struct, frozen=True):
    """An attempt that gave no page: its error, how many tries such a fault gets in all, and how long the server asks to wait."""

    error: FhirEligError
    tries: int
    wait: float = 0.0


def judge(reply: Reply, url: str, limits: Limits, wall: float) -> Page | Trouble:
    """The page, or what is wrong. `wall` is the time of day in seconds since 1970, for a Retry-After that is a date."""
    if reply.status != 200:
        return Trouble(status_error(reply), _tries(reply.status, limits), seconds_to_wait(reply, wall))
    kind = reply.headers.get("content-type", "")
    if is_markup(reply.body):
        return Trouble(_not_fhir(describe(kind, reply.body)), 1)
    try:
        parsed = strict_json.parse(reply.body, limit=limits.page_bytes)
    except FhirEligError:
        return Trouble(_not_fhir(f"no JSON: {describe(kind, reply.body)}"), 2 if reply.body[:2] == b"\x1f\x8b" else limits.tries)
    if parsed.refused:
        return Trouble(_not_fhir(f"JSON that is refused: {parsed.refused}"), 1)
    if not isinstance(parsed.document, dict) or not isinstance(parsed.document.get("resourceType"), str):
        return Trouble(_not_fhir(f"JSON that is no resource: {describe(kind, reply.body)}"), 1)
    return Page(url, parsed.document, parsed.refusals, "json" not in kind.lower(), _skew(reply, wall))


def unexpected(page: Page, wanted: str) -> SourceError:
    """The error for a document of another kind than the one that was asked for."""
    kind = page.document["resourceType"]
    came = kind if re.fullmatch("[A-Za-z]{1,40}", kind) else "something else"
    codes = outcome_codes(page.document) if kind == "OperationOutcome" else ""
    return _not_fhir(f"{wanted} was asked for and {came} came" + (f" ({codes})" if codes else ""))


def _tries(status: int, limits: Limits) -> int:
    return limits.tries if status in _AGAIN else 2 if status == 500 else 1


def seconds_to_wait(reply: Reply, wall: float) -> float:
    """Seconds of Retry-After; a date is taken against the server's own clock where it tells it, and is 0 if it is past."""
    value = reply.headers.get("retry-after", "").strip()
    if re.fullmatch("[0-9]{1,9}", value):
        return float(value)
    until, now = _seconds(value), _seconds(reply.headers.get("date", ""))
    return 0.0 if until is None else max(0.0, until - (wall if now is None else now))


def _skew(reply: Reply, wall: float) -> float | None:
    """The server's time of day less ours; None where it tells none, or a cache answered in its place."""
    now = _seconds(reply.headers.get("date", ""))
    return None if now is None or "age" in reply.headers else now - wall


def _seconds(http_date: str) -> float | None:
    try:
        return parsedate_to_datetime(http_date).timestamp()
    except (ValueError, OverflowError):
        return None


def status_error(reply: Reply) -> FhirEligError:
    """The error for an answer whose status is none of success."""
    status, said = reply.status, _said(reply)
    if status == 401:
        fix = "put a fresh token into FHIR_ELIG_TOKEN; if it is fresh, look whether a proxy strips the Authorization header"
        return AuthorisationError(f"HTTP 401{said}", fix=fix)
    if status == 403:
        return StatusError(status, f"HTTP 403{said}", code="FE0403", fix="ask for a token whose scopes cover this type")
    if 300 <= status < 400:
        return StatusError(
            status, f"HTTP {status}: redirects are not followed", code="FE0411", fix="name the final address as base"
        )
    if status == 204:
        return StatusError(status, "HTTP 204: no content where a resource was asked for", code="FE0412")
    return StatusError(status, f"HTTP {status}{said}")


def _said(reply: Reply) -> str:
    """What an error's body says in safe words."""
    if is_markup(reply.body):
        return f": {describe(reply.headers.get('content-type', ''), reply.body)}"
    try:
        document = strict_json.parse(reply.body).document
        words = outcome_codes(document) if isinstance(document, dict) else ""
    except FhirEligError:
        words = excerpt(reply.body)
    return f": {words}" if words else ""


def _not_fhir(why: str) -> SourceError:
    return SourceError(why, code="FE0412", fix=_SIGN_IN_FIX)
