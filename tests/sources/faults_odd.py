"""Faults that nobody promised: odd headers over sound pages, values, dates, versions, subjects and codes of odd form.

Like those of `faults_pages`; 0 where the catalogue of faults does not name one.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

from tests.sources.fakes import FHIR, Answer, outcome
from tests.sources.faults_pages import PageFault, each, linked, more, others, row, twisted
from tests.sources.hostile import PATIENT, Raw, Resource, Ward

EVERY = ("Observation 1", "Observation 2", "Observation 3", "Observation 4")


def sent(
    status: int = 200, pack: Callable[[bytes], bytes] = bytes, same: bool = True, code: int = 0, **headers: str
) -> PageFault:
    """The true page under another status, other headers, packed otherwise."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return row(lambda b: (status, {**FHIR, **named}, pack(json.dumps(b).encode())), same=same, code=code)


def wire(*lines: str, same: bool = False, code: int = 1, body: Callable[[bytes], bytes] = bytes) -> PageFault:
    """The true page below a head of these lines; `{size}` is its length."""

    def made(bundle: Resource) -> Raw:
        data = json.dumps(bundle).encode()
        head = "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).format(size=len(data))
        return [head.encode() + body(data)]

    return row(made, same=same, code=code)


def changed(*rows: int, same: bool = False, code: int = 0, **members: Any) -> PageFault:
    """Members of every result replaced."""
    return row(each(lambda one: {**one, **members}), *rows, at=EVERY, same=same, code=code)


def quantity(*rows: int, same: bool = False, code: int = 0, **members: Any) -> PageFault:
    """Members of every quantity replaced; those that are None left out."""

    def change(one: Resource) -> Resource:
        if "valueQuantity" not in one:
            return one
        new = {name: value for name, value in {**one["valueQuantity"], **members}.items() if value is not None}
        return {**one, "valueQuantity": new}

    return row(each(change), *rows, at=EVERY, same=same, code=code)


def written(old: str, new: str, *rows: int, same: bool = False, code: int = 0) -> PageFault:
    """The first place of a page's text that reads so, rewritten."""
    return row(lambda b: (200, FHIR, json.dumps(b).replace(old, new, 1)), *rows, same=same, code=code)


def beside(change: Callable[[Resource], Resource], *, same: bool = True, code: int = 0) -> PageFault:
    """A twisted copy of each result beside it."""

    def made(bundle: Resource) -> Resource:
        return more(*(change(twisted(entry["resource"])) for entry in bundle["entry"]))(bundle)

    return row(made, at=EVERY, same=same, code=code)


def around(ward: Ward, bundle: Resource) -> Answer:
    """A redirect to the same search under an address that changes each time."""
    return 302, {"Location": f"{ward.base}/Observation?n={len(ward.server.requests)}"}, ""


def to_get(status: int) -> PageFault:
    def made(ward: Ward, bundle: Resource) -> Answer:
        return status, {"Location": f"{ward.base}/Observation?patient={PATIENT}"}, ""

    return row(made, 25)


def dated(date: Any) -> Callable[[Resource], Resource]:
    return each(lambda one: {**one, "effectiveDateTime": date})


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


CARRIAGE = {
    "a charset of UTF-16 over UTF-8": sent(Content_Type="application/fhir+json; charset=utf-16"),
    "a charset that nobody knows": sent(Content_Type="application/fhir+json; charset=canary"),
    "a content type of 1,000 letters": sent(Content_Type="application/" + "x" * 1000),
    "a content coding in capitals": sent(pack=gzip.compress, Content_Encoding="GZIP"),
    "a content coding of two": sent(pack=lambda data: gzip.compress(gzip.compress(data)), same=False, code=1, Content_Encoding="gzip, gzip"),
    "identity as a content coding": sent(Content_Encoding="identity"),
    "deflate": sent(pack=zlib.compress, Content_Encoding="deflate"),
    "deflate without its head": sent(pack=raw_deflate, same=False, code=1, Content_Encoding="deflate"),
    "gzip with garbage behind it": sent(pack=lambda data: gzip.compress(data) + b"garbage", same=False, code=1, Content_Encoding="gzip"),
    "1 MB of blanks behind it": sent(pack=lambda data: data + b" " * (1 << 20)),
    "203 over the true page": sent(203, same=False, code=1),
    "206 over the true page": sent(206, same=False, code=1, Content_Range="bytes 0-1/2"),
    "201 over the true page": sent(201, same=False, code=1),
    "226 over the true page": sent(226, same=False, code=1),
    "two content types": wire("Content-Type: text/html", "Content-Type: application/fhir+json", "Content-Length: {size}", same=True, code=0),
    "two content codings": wire("Content-Encoding: gzip", "Content-Encoding: identity", "Content-Length: {size}"),
    "a length and chunks": wire("Content-Length: 5", "Transfer-Encoding: chunked", body=lambda data: b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data), same=True, code=0),
    "chunks that are none": wire("Transfer-Encoding: chunked"),
    "a transfer coding that nobody knows": wire("Transfer-Encoding: canary", "Content-Length: {size}", same=True, code=0),
    "headers without a colon": wire("Content-Length {size}", "X", same=True, code=0),
    "folded headers": wire("X-A: b", " c", "Content-Length: {size}", same=True, code=0),
    "one header of 1 MB": wire("X-A: " + "a" * (1 << 20), "Content-Length: {size}"),
    "a redirect round and round": row(around, 25),
    "303 to a search by GET": to_get(303),
    "307 to a search by GET": to_get(307),
}  # fmt: skip

FORMS = {
    "a history": row(lambda b: {**b, "type": "history"}, 9),
    "a list of Bundles": row(lambda b: (200, FHIR, json.dumps([b])), 8),
    "a Bundle in a Bundle": row(lambda b: {**b, "entry": [{"resource": b, "search": {"mode": "match"}}]}, code=0),
    "an outcome that is marked as a match": row(more(outcome(text="Canaryname")), 9, code=0),
    "an outcome without a mode": row(lambda b: {**b, "entry": [*b["entry"], {"resource": outcome(text="Canaryname")}]}, 9, code=0),
    "a result that is marked as an outcome": row(lambda b: {**b, "entry": [{**b["entry"][0], "search": {"mode": "outcome"}}, *b["entry"][1:]]}, code=0),
    "two self links": row(lambda b: linked(b, [*b["link"], {"relation": "self", "url": "Observation?patient=other"}]), 24, code=0),
    "a previous link to itself": row(lambda b: linked(b, [*b["link"], {"relation": "previous", "url": "?cursor=c0"}]), same=True, code=0),
    "a next link that is percent-encoded anew": row(lambda b: linked(b, [*others(b), {**b["link"][-1], "url": b["link"][-1]["url"].replace("cursor", "%63ursor")}]), 18, same=True, code=0),
    "a full address that names another": row(lambda b: {**b, "entry": [{**e, "fullUrl": f"http://x.example.org/Observation/{i}"} for i, e in enumerate(b["entry"])]}, same=True, code=0),
    "a total that is a fraction": row(lambda b: {**b, "total": 3.5}, same=True, code=0),
    "a total of 1e400": written('"type": "searchset"', '"type": "searchset", "total": 1e400', 42, code=1),
    "ten thousand links": row(lambda b: linked(b, [*b["link"], *[{"relation": "x", "url": "y"}] * 10_000]), same=True, code=0),
    "a resource 10,000 deep": written('"valueQuantity"', '"x": ' + "[" * 10_000 + "]" * 10_000 + ', "valueQuantity"', 43, code=1),
    "a type in a key of another case": written('"resourceType": "Observation"', '"resourcetype": "Observation"', 45),
}  # fmt: skip

SUBJECTS = {
    "a subject by a search": changed(51, subject={"reference": f"Patient?identifier=urn:mrn|{PATIENT}"}, code=1),
    "a subject with a leading zero": changed(54, subject={"reference": f"Patient/0{PATIENT}"}, code=16),
    "a subject that is told to be a group": changed(51, subject={"reference": f"Patient/{PATIENT}", "type": "Group"}, same=True),
    "a subject with a blank": changed(51, subject={"reference": f" Patient/{PATIENT} "}, code=1),
    "a subject that is a list": changed(51, subject=[{"reference": f"Patient/{PATIENT}"}], code=1),
    "a subject in a query": changed(51, subject={"reference": f"Patient/other?x=Patient/{PATIENT}"}, code=1),
    "a subject with a fragment": changed(51, subject={"reference": f"Patient/{PATIENT}#x"}, code=1),
    "a subject with NUL": changed(51, subject={"reference": f"Patient/{PATIENT}\0"}, code=1),
    "a subject as a urn": changed(51, subject={"reference": "urn:uuid:7d1c0f5e-0000-4000-8000-000000000001"}, code=1),
    "a focus on somebody else": changed(focus=[{"reference": "Patient/other"}]),
}  # fmt: skip

VERSIONS = {
    "a copy whose id differs in case": beside(lambda one: {**one, "id": str(one["id"]).upper()}, same=False),
}  # fmt: skip

VALUES = {
    "values as texts": quantity(value="1000"),
    "values that are true": quantity(value=True),
    "values that are a list": quantity(value=[1]),
    "values that are null": quantity(value=None),
    "values of 40 digits": quantity(value=int("9" * 40)),
    "a value of 1E400": written('"value": ', '"value": 1E400, "y": ', 42),
    "a value of -0E30": written('"value": ', '"value": -0E30, "y": '),
    "a comparator that is none": quantity(comparator="~"),
    "a comparator that is a number": quantity(comparator=7),
    "units with NUL": quantity(unit="g/L\0", system=None),
    "units written from right to left": quantity(unit="\u202eL/g", system=None),
    "units of 5,000 letters": quantity(unit="g" * 5000, system=None),
    "two values in one result": changed(valueString="none seen"),
    "statuses in capitals": changed(status="FINAL", code=1),
    "statuses with a blank": changed(status=" final", code=1),
    "statuses that are a list": changed(status=["final"], code=1),
    "codes that are no list": row(each(lambda one: {**one, "code": {"coding": one["code"]["coding"][-1]}}), at=EVERY, same=True, code=0),
}  # fmt: skip

LEAP_SECOND = "2025-05-28T23:59:60Z"  # FHIR allows it
DATES = {
    f"results of {date!r}": row(dated(date), at=EVERY, code=0, same=date == LEAP_SECOND)
    for date in (
        LEAP_SECOND, "2025-05-28T24:00:00Z", "0000-01-01", "999-01-01", "2025-02-30", "9999-12-31", 20250528,
        "2025-05-28T10:15:00+99:00", "\u0662\u0660\u0662\u0665-05-28", "2025-5-28",
    )
}  # fmt: skip

ODD: dict[str, PageFault] = CARRIAGE | FORMS | SUBJECTS | VERSIONS | VALUES | DATES
