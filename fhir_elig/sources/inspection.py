"""Looks at a server without reading a patient: its metadata, its clock, what a token covers, a test search of each type.

A test search names a patient who cannot be there and asks for a count only (`_summary=count`); whatever else comes is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from fhir_elig.errors import AuthorisationError, DeadlineError, SourceError
from fhir_elig.record import Need
from fhir_elig.sources.access import Access
from fhir_elig.sources.addresses import LinkError
from fhir_elig.sources.completeness import link
from fhir_elig.sources.credentials import Bearer
from fhir_elig.sources.planner import Served, ladder, read_served
from fhir_elig.sources.replies import Page, StatusError, unexpected
from fhir_elig.sources.scopes import Grant
from fhir_elig.sources.transport import Transport

NOBODY = "fhir-elig-doctor-nobody"  # the id of no patient
_SIGN_IN = frozenset({401, 403})


class Metadata(msgspec.Struct, frozen=True):
    """What the server says of itself. `skew` is its clock against ours, in seconds (None: not told); `signed` tells that
    metadata was given to a token only."""

    statement: Mapping[str, Any]
    served: Served
    skew: float | None
    signed: bool

    def named_elsewhere(self, transport: Transport) -> bool:
        """Whether the server gives its own address (implementation.url) as another scheme, host, port or path."""
        said = self.statement.get("implementation")
        address = said.get("url") if isinstance(said, dict) else None
        return isinstance(address, str) and leads_away(transport, address)


class Trial(msgspec.Struct, frozen=True):
    """How a type answered its test search.

    `why` is empty if it may be asked, else as in `Retrieved.note`; `doubt` tells what makes an answer doubtful all the same.
    """

    type: str
    why: str = ""
    doubt: str = ""
    astray: bool = False  # its links lead to another address


def read_metadata(way: Access, transport: Transport, deadline: float) -> Metadata:
    """The CapabilityStatement, asked for without a token first, so that a bad token does not hide the server.

    Raises SourceError, AuthorisationError and DeadlineError.
    """
    open_way = msgspec.structs.replace(way, credentials=Bearer(None)).transport(0)
    try:
        page, signed = open_way.get("metadata", deadline), False
    except (AuthorisationError, StatusError) as error:
        if not way.credentials.secret or (isinstance(error, StatusError) and error.status not in _SIGN_IN):
            raise
        page, signed = transport.get("metadata", deadline), True
    if page.document["resourceType"] != "CapabilityStatement":
        raise unexpected(page, "CapabilityStatement")
    return Metadata(page.document, read_served(page.document), page.skew, signed)


def try_types(needs: Iterable[Need], served: Served, grant: Grant | None, transport: Transport, deadline: float) -> list[Trial]:
    """One trial a type. Raises AuthorisationError if the token is refused, DeadlineError if no time is left."""
    return [_try(need, served, grant, transport, deadline) for need in needs]


def _try(need: Need, served: Served, grant: Grant | None, transport: Transport, deadline: float) -> Trial:
    if not served.serves(need.type):
        return Trial(need.type, "not-served")
    steps = ladder(need, NOBODY, served, transport.limits, count=None, look_back=False)
    if not steps:
        return Trial(need.type, "not-served: no search by patient")
    if grant is not None and not grant.reads(need.type):
        return Trial(need.type, "refused: no scope for it was granted")
    step = next(step for step in steps if not step.post)
    question = urlencode((*step.searches[0], ("_summary", "count")))
    try:
        page = transport.get(f"{need.type}?{question}", deadline)
    except (AuthorisationError, DeadlineError):
        raise
    except StatusError as error:
        if error.status == 403:
            return Trial(need.type, "refused: 403")
        return Trial(need.type, doubt=f"a test search was answered with HTTP {error.status}")
    except SourceError as error:
        return Trial(need.type, doubt=f"a test search failed ({error})")
    narrow = "the scope that was granted covers a part of the type" if grant is not None and grant.narrow(need.type) else ""
    return Trial(need.type, "", _doubt(page) or narrow, leads_away(transport, link(page.document, "self") or ""))


def _doubt(page: Page) -> str:
    if page.document["resourceType"] != "Bundle":
        return "a test search gave no Bundle"
    total, entries = page.document.get("total"), page.document.get("entry")
    found = [entry for entry in entries if _is_match(entry)] if isinstance(entries, list) else []
    if found or (isinstance(total, int) and total > 0):
        return "the server does not narrow a search to the patient: others' records may come, and are dropped"
    return ""


def _is_match(entry: Any) -> bool:
    resource = entry.get("resource") if isinstance(entry, dict) else None
    return isinstance(resource, dict) and resource.get("resourceType") != "OperationOutcome"


def leads_away(transport: Transport, address: str) -> bool:
    """Whether an address that the server names is none of its own; relative ones never are."""
    try:
        transport.base.inside(address, f"{transport.base}/")
    except LinkError:
        return True
    return False
