"""Looks and writes at one server: each write is sent once, under a condition, and its status is read.

It sends PUT and POST and nothing else: no conditional update, no DELETE.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import msgspec

from fhir_elig.errors import FhirEligError, SourceError, WriteConflictError
from fhir_elig.outputs.fhir_json import encode
from fhir_elig.references import is_id
from fhir_elig.sinks import Resource
from fhir_elig.sinks.standing import version_of
from fhir_elig.sources import strict_json
from fhir_elig.sources.completeness import link
from fhir_elig.sources.replies import Page, Reply, StatusError, status_error, unexpected
from fhir_elig.sources.transport import Transport, UnansweredError

_GONE = frozenset({404, 410})
_ASK_OTHERWISE = frozenset({400, 404, 405, 415, 422, 501})
_CONFLICT = frozenset({409, 412})
_DONE = frozenset({200, 201, 204})
_ETAG = re.compile(r'(?:W/)?"([A-Za-z0-9.-]{1,64})"')

Params = Sequence[tuple[str, str]]


class Answer(msgspec.Struct, frozen=True):
    """How a write was answered: `created` as the status tells it; id and version, empty where the server does not say."""

    created: bool
    id: str = ""
    version: str = ""


class Wire:
    """Reads, searches and writes over one transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.base = str(transport.base)

    def deadline(self) -> float:
        return self._transport.deadline()

    def read(self, kind: str, name: str, deadline: float) -> Resource | None:
        """The resource; None if it is not there. Raises SourceError, for what came in its place too."""
        try:
            page = self._transport.get(f"{kind}/{name}", deadline)
        except StatusError as error:
            if error.status in _GONE:
                return None
            raise
        if page.document["resourceType"] != kind or page.document.get("id") != name or page.refusals:
            raise unexpected(page, kind)
        return page.document

    def search(self, kind: str, params: Params, deadline: float) -> list[Resource]:
        """Every resource of the type that the server gives, to the last page; the caller looks at each again.

        Raises SourceError if the answer is not whole: then nothing is known to be absent.
        """
        try:
            page = self._transport.post_search(kind, params, deadline)
        except StatusError as error:
            if error.status not in _ASK_OTHERWISE:
                raise
            page = self._transport.get(f"{kind}?{urlencode(params)}", deadline)
        found: dict[str, Resource] = {}
        asked: set[str] = set()
        total = _take(page, kind, found)
        while (following := link(page.document, "next")) is not None:
            address = self._transport.base.inside(following, page.url)
            if address in asked or len(asked) >= self._transport.limits.pages:
                raise SourceError("the search goes round in circles", code="FE0410")
            asked.add(address)
            page = self._transport.get(address, deadline)
            _take(page, kind, found)
        if total > len(found):
            raise SourceError("the search gave less than it counted", code="FE0410")
        return list(found.values())

    def put(self, resource: Resource, condition: Mapping[str, str], deadline: float) -> Answer:
        """PUT under the resource's own id. Raises ValueError without If-Match or If-None-Match: it would overwrite blindly."""
        if not condition.keys() & {"If-Match", "If-None-Match"}:
            raise ValueError("a PUT needs If-Match or If-None-Match")
        return self._write("PUT", f"{resource['resourceType']}/{resource['id']}", resource, condition, deadline)

    def post(self, resource: Resource, deadline: float, if_none_exist: Params = ()) -> Answer:
        """POST of a new resource; with `if_none_exist` only if nothing matches."""
        body = {name: value for name, value in resource.items() if name != "id"}
        condition = {"If-None-Exist": urlencode(if_none_exist, safe="/|:")} if if_none_exist else {}
        return self._write("POST", resource["resourceType"], body, condition, deadline)

    def _write(self, method: str, address: str, body: Resource, condition: Mapping[str, str], deadline: float) -> Answer:
        reply = self._transport.write(method, address, encode(body), condition, deadline)
        if reply.status in _CONFLICT:
            raise WriteConflictError(f"HTTP {reply.status}", where=body["resourceType"], fix="look at the record; it was left")
        if reply.status >= 500:
            raise UnansweredError(f"HTTP {reply.status}", fix="run again: it looks first, and then finishes")
        if reply.status not in _DONE:
            raise status_error(reply)
        return _read_answer(reply, body["resourceType"])


def _take(page: Page, kind: str, found: dict[str, Resource]) -> int:
    """Adds a page's resources of the type; its total, or 0."""
    document = page.document
    entries = document.get("entry", [])
    if document["resourceType"] != "Bundle" or document.get("type") != "searchset" or not isinstance(entries, list):
        raise unexpected(page, "searchset")
    if page.refusals:
        raise SourceError("a part of the search could not be read", code="FE0410")
    for entry in entries:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            raise SourceError("an entry of the search holds no resource", code="FE0410")
        if resource.get("resourceType") == kind and isinstance(resource.get("id"), str):
            found[resource["id"]] = resource
        elif _is_error(resource):
            raise SourceError("the search was answered with an error inside", code="FE0410")
    total = document.get("total", 0)
    return total if isinstance(total, int) else 0


def _is_error(resource: Resource) -> bool:
    issues = resource.get("issue", []) if resource.get("resourceType") == "OperationOutcome" else []
    return any(isinstance(issue, dict) and issue.get("severity") in ("error", "fatal") for issue in issues)


def _read_answer(reply: Reply, kind: str) -> Answer:
    """Id and version from ETag and Location, else from the body; an error inside a 200 is no confirmation."""
    body = _body(reply)
    if _is_error(body):
        raise UnansweredError(f"HTTP {reply.status} with an error inside", fix="run again: it looks first, and then finishes")
    etag = _ETAG.fullmatch(reply.headers.get("etag", "").strip())
    place = re.search(rf"{kind}/([^/?]+)(?:/_history/([^/?]+))?/?$", reply.headers.get("location", ""))
    own = body if body.get("resourceType") == kind else {}
    name = place[1] if place else str(own.get("id", ""))
    version = (etag[1] if etag else "") or (place[2] if place and place[2] else "") or version_of(own)
    return Answer(reply.status == 201, name if is_id(name) else "", version)


def _body(reply: Reply) -> Resource:
    try:
        document = strict_json.parse(reply.body).document
    except FhirEligError:
        return {}
    return document if isinstance(document, dict) else {}
