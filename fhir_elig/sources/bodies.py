"""Bodies of answers: decoded within a bound, and described without quoting them.

What a server says in an error may hold a patient's name, so only words and codes from fixed lists are ever repeated.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fhir_elig.errors import SourceError


def words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EXCERPT = 200
_BLOCK = 1 << 16
_WORDS = words_of(
    "400 401 403 404 405 406 408 409 410 412 413 414 415 422 429 500 501 502 503 504 access authentication authorization "
    "backend bad  busy connection contact database denied down entity error exceeded expired failed failure fhir forbidden "
    "found gateway gone  http https internal invalid large limit login long maintenance many media method missing nginx not "
    "overloaded page parameter  payload permitted please proxy rate refused request requests required resource retry search "
    "server service session sign  supported temporarily the timed timeout to token too unauthorized unavailable unsupported "
    "upstream uri url was"
)
_ISSUE_CODES = words_of(
    "invalid structure required value invariant security login unknown expired forbidden suppressed processing not-supported "
    "duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly business-rule conflict "
    "limited-filter transient lock-error no-store exception timeout incomplete throttled informational success"
)
# Numbers by which a large vendor tells its reasons (documented; see the completeness rules of `search`).
VENDOR_CODES = words_of("4101 4107 4113 4119 4122 4127 4130 4131 4134 59100 59108 59133")
_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>|https?:\S+", re.DOTALL | re.IGNORECASE)
_SIGN_IN = re.compile(r"password|log.?in|sign.?in|saml|oauth|single sign", re.IGNORECASE)
_MEDIA = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,40}")


class TooLarge(SourceError):
    """The decoded body passes the limit."""

    default_code = "FE0413"


class Garbled(SourceError):
    """The body's content coding is broken."""

    default_code = "FE0412"


def decode(chunks: Iterable[bytes], coding: str, limit: int) -> bytes:
    """The whole body, its content coding undone. Raises TooLarge past `limit` bytes, Garbled where the coding is broken."""
    coding = coding.strip().lower()
    if coding in {"gzip", "x-gzip", "deflate"}:
        chunks = _inflated(chunks, limit)
    elif coding not in {"", "identity"}:
        raise Garbled("the body has a content coding that was not asked for")
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise TooLarge(f"a body of more than {limit} bytes", fix="ask for smaller pages, or raise the limit in the site file")
    return bytes(body)


def _inflated(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Decoded in blocks, so that a bomb is met by the limit and not by the memory; a body may have several gzip members."""
    inflater, received = zlib.decompressobj(wbits=47), 0
    try:
        for chunk in chunks:
            received += len(chunk)
            if received > limit:
                raise TooLarge(f"a compressed body of more than {limit} bytes")
            while chunk:
                if inflater.eof:
                    inflater = zlib.decompressobj(wbits=47)
                yield inflater.decompress(chunk, _BLOCK)
                chunk = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        yield inflater.flush()
    except zlib.error:
        raise Garbled("the compressed body is corrupt") from None
    if received and not inflater.eof:
        raise Garbled("the compressed body ends too early")


def describe(content_type: str, body: bytes) -> str:
    """What came, in words: media type, size and what it looks like; nothing of its contents."""
    size = f"{len(body)} bytes" if len(body) < 1000 else f"{len(body) / 1000:.0f} kB"
    media = _MEDIA.match(content_type.strip().lower())
    parts = [media.group() if media else "no content type", size]
    if is_markup(body):
        parts.append("looks like a sign-in page" if _SIGN_IN.search(_text(body)) else "looks like markup, not JSON")
    elif body[:2] == b"\x1f\x8b":
        parts.append("compressed without saying so, or twice")
    return ", ".join(parts)


def is_markup(body: bytes) -> bool:
    return body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def excerpt(body: bytes) -> str:
    """At most 200 characters of an error's body: its words from a list of technical ones, all others left out as `...`."""
    found: list[str] = []
    for word in re.findall(r"[A-Za-z0-9]+", _TAG.sub(" ", _text(body))):
        kept = word.lower() if word.lower() in _WORDS else "..."
        if kept != "..." or found[-1:] != ["..."]:
            found.append(kept)
    words = " ".join(found)
    return words[:_EXCERPT] if any(word != "..." for word in found) else ""


def issues(outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The issues of an OperationOutcome that can be read."""
    listed = outcome.get("issue")
    return [issue for issue in listed if isinstance(issue, dict)] if isinstance(listed, list) else []


def issue_code(issue: Mapping[str, Any]) -> str:
    """The issue's code, if it is one of FHIR's."""
    code = issue.get("code")
    return code if isinstance(code, str) and code in _ISSUE_CODES else ""


def vendor_codes(issue: Mapping[str, Any]) -> frozenset[str]:
    """The known vendor numbers among `details.coding`."""
    details = issue.get("details")
    codings = details.get("coding") if isinstance(details, dict) else None
    codes = [coding.get("code") for coding in codings if isinstance(coding, dict)] if isinstance(codings, list) else []
    return frozenset(code for code in codes if isinstance(code, str)) & VENDOR_CODES


def outcome_codes(outcome: Mapping[str, Any]) -> str:
    """The codes of an OperationOutcome, for an error's text."""
    codes = {code for issue in issues(outcome) for code in (issue_code(issue), *vendor_codes(issue)) if code}
    return ", ".join(sorted(codes))[:_EXCERPT]


def _text(body: bytes) -> str:
    return body[:20_000].decode("utf-8", "replace")
