"""Faults of single answers: status, headers, framing, coding, JSON. Each is played at five places, once and for ever.

`heals`: a second try gets the true answer, so a fault that is played once changes nothing. `passes`: it is no fault. `codes` are
the exit codes of one that stays, by where it stands: metadata and the Patient, the first page of a search, a next one. `rows`
are those of the catalogue of faults that this one stands for; 0 where the catalogue does not name it.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from email.utils import formatdate
from functools import cache
from typing import Any, NamedTuple

from tests.sources.fakes import FHIR, Answer, outcome
from tests.sources.hostile import Raw, Ward

HTML = "<html><head><title>Login</title></head><body>password <b>Canaryname</b></body></html>"


class Fault(NamedTuple):
    rows: tuple[int, ...]
    make: Callable[[Ward, Answer], Answer | Raw]
    heals: bool = False
    timeout: float = 20.0
    passes: bool = False
    codes: tuple[int, int, int] = (14, 1, 1)

    def code(self, place: str) -> int:
        """The exit code if this fault stays at a place."""
        if self.passes:
            return 0
        return self.codes[("metadata Patient", "Condition Observation 1", "Observation 2").index(
            next(places for places in ("metadata Patient", "Condition Observation 1", "Observation 2") if place in places)
        )]  # fmt: skip


def status(
    number: int, *, heals: bool = False, rows: tuple[int, ...] = (0,), body: str = "", first: int = 1, **headers: str
) -> Fault:
    """Another status; `first` is the exit code where the first page of a search gets it (0: the type is not offered)."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(rows, lambda ward, answer: (number, named, body), heals, codes=(14, first, 1))


def to(number: int, address: str, *rows: int) -> Fault:
    """A redirect; `{base}`, `{stranger}` stand for the two servers."""

    def make(ward: Ward, answer: Answer) -> Answer:
        return number, {"Location": address.format(base=ward.base, stranger=ward.stranger.base)}, ""

    return Fault(rows, make)


def body(text: str | bytes, *rows: int, heals: bool = False, **headers: str) -> Fault:
    """Another body under 200; its headers beside FHIR's own."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(rows, lambda ward, answer: (200, {**FHIR, **named}, text), heals)


def changed(change: Callable[[bytes], bytes], *rows: int, heals: bool = False, passes: bool = False, **headers: str) -> Fault:
    """The true body, changed; its headers beside FHIR's own."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(rows, lambda ward, answer: (200, {**FHIR, **named}, change(true(answer))), heals, passes=passes)


def raw(
    make: Callable[[bytes], list[bytes]], *rows: int, heals: bool = False, passes: bool = False, timeout: float = 20.0
) -> Fault:
    """Bytes as they stand on the wire, from the true body."""
    return Fault(rows, lambda ward, answer: make(true(answer)), heals, timeout, passes)


def document(change: Callable[[dict[str, Any]], Any], *rows: int) -> Fault:
    """The true document, changed."""
    return Fault(rows, lambda ward, answer: (200, FHIR, json.dumps(change(json.loads(true(answer))))))


def true(answer: Answer) -> bytes:
    return answer[2].encode() if isinstance(answer[2], str) else answer[2]


def head(*headers: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([status, "Content-Type: application/fhir+json", *headers, "", ""]).encode()


def sized(data: bytes, *headers: str, status: str = "HTTP/1.1 200 OK") -> list[bytes]:
    return [head(f"Content-Length: {len(data)}", *headers, status=status) + data]


def chunked(data: bytes, last: bytes = b"0\r\n\r\n", size: str = "{:x}") -> list[bytes]:
    return [head("Transfer-Encoding: chunked"), size.format(len(data)).encode() + b"\r\n" + data + b"\r\n" + last]


def bomb(data: bytes) -> bytes:
    """200 MB of nothing, packed."""
    return _bomb()


@cache
def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()


def drip(data: bytes) -> list[bytes]:
    return [head(f"Content-Length: {len(data)}"), *(data[place : place + 1] for place in range(len(data)))]


STATUSES = {
    "408": status(408, heals=True, rows=(3,)),
    "429 with seconds": status(429, heals=True, rows=(1,), Retry_After="2"),
    "429 with a date": status(429, heals=True, rows=(2,), Retry_After=formatdate(2e9, usegmt=True), Date=formatdate(2e9 - 3, usegmt=True)),
    "429 with a date in the past": status(429, heals=True, rows=(2,), Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
    "429 with an absurd pause": status(429, rows=(1,), Retry_After="999999999"),
    "429 with a pause past all numbers": status(429, heals=True, rows=(1,), Retry_After="9" * 400),
    "429 with a negative pause": status(429, heals=True, rows=(1,), Retry_After="-5"),
    "429 with a pause in words": status(429, heals=True, rows=(1,), Retry_After="soon; Canaryname"),
    "500": status(500, heals=True, rows=(4,)),
    "502": status(502, heals=True, rows=(3,), body=HTML),
    "503 with a pause": status(503, heals=True, rows=(3,), Retry_After="1"),
    "504": status(504, heals=True, rows=(3,)),
    "520 of a proxy": status(520),
    "201": status(201),
    "202": status(202),
    "203 with a page of a proxy": status(203, body=HTML),
    "204": status(204, rows=(8,)),
    "206": status(206),
    "304": status(304),
    "400": status(400, first=0),
    "402 in HTML": status(402, rows=(11,), body=HTML),
    "403": status(403, first=0, rows=(31,)),
    "404 in text": status(404, first=0, rows=(11,), body="Canaryname is not known"),
    "405": status(405, first=0),
    "406": status(406),
    "410": status(410, rows=(20,)),
    "413": status(413, first=0),
    "414": status(414, first=0, rows=(19,)),
    "422 that names the patient": status(422, first=0, body=json.dumps(outcome(text="Canaryname"))),
    "451": status(451),
    "501": status(501, first=0),
    "999": status(999),
    "401 for ever": status(401, rows=(27,), WWW_Authenticate='Basic realm="Canaryname"')._replace(codes=(12, 12, 12)),
    "407": status(407, Proxy_Authenticate="Basic"),
    "301 to a stranger": to(301, "{stranger}/Patient", 25),
    "302 to itself": to(302, "{base}/metadata", 25),
    "303 to a page of the stranger": to(303, "//{stranger}/x", 25),
    "307 to a stranger": to(307, "{stranger}/Observation/_search", 25),
    "308 to plain http elsewhere": to(308, "http://localhost:1/fhir", 25),
    "300 without a place": status(300, rows=(25,)),
}  # fmt: skip

FRAMES = {
    "closed at once": raw(lambda data: [], 5, heals=True),
    "a line that is no status": raw(lambda data: [b"what?\r\n\r\n"], 5, heals=True),
    "a status that is no number": raw(lambda data: sized(data, status="HTTP/1.1 OK 200"), 5, heals=True),
    "an answer of HTTP 0.9": raw(lambda data: [data], 5, heals=True),
    "100 first": raw(lambda data: [b"HTTP/1.1 100 Continue\r\n\r\n", *sized(data)], passes=True),
    "103 first": raw(lambda data: [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", *sized(data)], passes=True),
    "102 for ever": raw(lambda data: [b"HTTP/1.1 102 Processing\r\n\r\n"] * 5000, 5, heals=True),
    "a header without end": raw(lambda data: [b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 200_000], 5, heals=True),
    "ten thousand headers": raw(lambda data: [head(*["X-A: b"] * 10_000) + data], 5, heals=True),
    "body cut, length says more": raw(lambda data: [head(f"Content-Length: {len(data) + 9}") + data], 5, heals=True),
    "body cut in the middle": raw(lambda data: [head(f"Content-Length: {len(data)}") + data[: len(data) // 2]], 5, heals=True),
    "a length that is too short": raw(lambda data: [head(f"Content-Length: {len(data) - 5}") + data], 6, heals=True),
    "a negative length": raw(lambda data: [head("Content-Length: -1") + data], passes=True),
    "a length in words": raw(lambda data: [head("Content-Length: many") + data], passes=True),
    "two lengths": raw(lambda data: [head(f"Content-Length: {len(data)}", "Content-Length: 5") + data], 5, heals=True),
    "no length, closed in the middle": raw(lambda data: [head() + data[: len(data) // 2]], 6, heals=True),
    "chunks without end": raw(lambda data: chunked(data, last=b""), 5, heals=True),
    "a chunk that is shorter than it says": raw(lambda data: chunked(data, size="f{:x}"), 5, heals=True),
    "a chunk whose size is no number": raw(lambda data: chunked(data, size="zz{:x}"), 5, heals=True),
    "chunks with trailers": raw(lambda data: chunked(data, last=b"0\r\nX-A: b\r\nSet-Cookie: a=b\r\n\r\n"), passes=True),
    "dripping body": raw(drip, 5, timeout=1.0),
    "dripping headers": raw(lambda data: [b"HTTP/1.1 200 OK\r\n", *[b"X-A: b\r\n"] * 90, *drip(data)], 5, timeout=1.0),
    "cookies and other lures": changed(
        lambda data: data, passes=True, Set_Cookie="session=canary; Domain=localhost", Refresh="0; url=http://localhost:1/",
        Alt_Svc='h2="localhost:1"', Link="<http://localhost:1/>; rel=next", Content_Location="http://localhost:1/",
    ),
}  # fmt: skip

BODIES = {
    "a sign-in page": body(HTML, 7, Content_Type="text/html"),
    "a sign-in page labelled as FHIR": body(HTML, 7),
    "nothing": body("", 8, heals=True),
    "blanks": body("  \r\n ", 8, heals=True),
    "null": body("null", 8),
    "a list": body("[]", 8),
    "an empty object": body("{}", 8),
    "a text": body('"OK"', 8),
    "an outcome": body(json.dumps(outcome(text="Canaryname")), 9),
    "an outcome that says all is well": body(json.dumps(outcome("information", "informational")), 9),
    "a resource without a type": document(lambda held: {**held, "resourceType": None}, 9),
    "a resource of another type": document(lambda held: {**held, "resourceType": "Parameters"}, 9),
    "a type in small letters": document(lambda held: {**held, "resourceType": str(held["resourceType"]).lower()}, 9),
    "another content type": changed(lambda data: data, 10, passes=True, Content_Type="text/plain"),
    "FHIR of another version by its type": changed(
        lambda data: data, 10, passes=True, Content_Type="application/fhir+json; fhirVersion=3.0"
    ),
    "XML": body('<Bundle xmlns="http://hl7.org/fhir"/>', 7, Content_Type="application/fhir+xml"),
    "JSON cut": changed(lambda data: data[:-20], 6, heals=True),
    "JSON and more": changed(lambda data: data + b"}", 6, heals=True),
    "two documents": changed(lambda data: data + b"\n" + data, 6, heals=True),
    "a byte order mark": changed(lambda data: b"\xef\xbb\xbf" + data, 37, heals=True),
    "UTF-16": changed(lambda data: data.decode().encode("utf-16"), 37, heals=True),
    "Latin-1": changed(lambda data: data[:-1] + b',"x":"\xe9"}', 37),
    "NUL bytes": changed(lambda data: data + bytes(8), 37, heals=True),
    "a type twice": changed(lambda data: b'{"resourceType":"Bundle",' + data[1:], 41),
    "NaN": changed(lambda data: b'{"x":NaN,' + data[1:], 42),
    "an endless number": changed(lambda data: b'{"x":1' + b"0" * 5000 + b"," + data[1:], 42),
    "an endless exponent": changed(lambda data: b'{"x":1e9999999,' + data[1:], 42),
    "a depth of 100,000": body('{"resourceType":"Bundle","x":' + "[" * 100_000 + "]" * 100_000 + "}", 43, heals=True),
    "a lone surrogate": changed(lambda data: b'{"x":"\\ud800",' + data[1:], 49),
    "gzip": changed(gzip.compress, 12, passes=True, Content_Encoding="gzip"),
    "gzip unannounced": changed(gzip.compress, 12, heals=True),
    "gzip twice": changed(lambda data: gzip.compress(gzip.compress(data)), 12, heals=True, Content_Encoding="gzip"),
    "gzip cut": changed(lambda data: gzip.compress(data)[:-9], 12, heals=True, Content_Encoding="gzip"),
    "gzip corrupt": changed(lambda data: gzip.compress(data)[:20] + b"\xff" * 30, 12, heals=True, Content_Encoding="gzip"),
    "gzip of nothing": changed(lambda data: b"", 12, heals=True, Content_Encoding="gzip"),
    "announced and not compressed": changed(lambda data: data, 12, heals=True, Content_Encoding="gzip"),
    "a coding that was not asked for": changed(lambda data: data, 12, heals=True, Content_Encoding="br"),
    "a gzip bomb": changed(bomb, 13, Content_Encoding="gzip"),
}

ANSWERS: dict[str, Fault] = STATUSES | FRAMES | BODIES
