"""One search, read to its end: pages followed, entries re-checked, completeness proved or its lack told.

Links are followed as given (RFC 3986), to the same server only and never twice. An entry counts only if it is of the type that
was asked for and of the patient who was asked for; a search whose next page was lost is asked again from the start.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from fhir_elig.concepts import code_key
from fhir_elig.errors import AuthorisationError, SourceError
from fhir_elig.record import MEDICATION_TYPES, Refused
from fhir_elig.references import subject_of
from fhir_elig.sources import Resource
from fhir_elig.sources.completeness import WHOSE, Remark, SelfLink, link, read_outcome, read_self
from fhir_elig.sources.entries import fits, key, subsetted
from fhir_elig.sources.refusals import Refusal
from fhir_elig.sources.replies import Page, StatusError, unexpected
from fhir_elig.sources.transport import Transport

_LOG = logging.getLogger("fhir_elig")
_GONE = frozenset({404, 410})
_TOO_LONG = 414


class Found(msgspec.Struct):
    """What searches of one type gave so far. `remarks` speak against completeness; `errors` are where the source broke off."""

    resources: list[Resource] = []
    refused: list[Refused] = []
    remarks: list[Remark] = []
    errors: list[str] = []
    identity: bool = False

    def add(self, other: Found) -> None:
        """Takes over what another search of the same type gave; the very same resource is kept once."""
        known = {key(resource): resource for resource in self.resources}
        self.resources += [resource for resource in other.resources if known.get(key(resource)) != resource]
        self.refused += other.refused
        self.remarks += other.remarks
        self.errors += other.errors
        self.identity = self.identity or other.identity

    def break_off(self, kind: str, error: SourceError, why: str) -> None:
        """Notes that reading this type broke off here."""
        self.remarks.insert(0, Remark(f"partial: {why}"))
        self.errors.append(f"{error.code} {kind}: {why}")


class Question(msgspec.Struct, frozen=True):
    """What is searched: the type, the ids under which the patient's records stand, codes (None: all), declared parameters."""

    type: str
    patients: frozenset[str]
    codes: frozenset[str] | None = None
    declared: frozenset[str] = frozenset()


class IgnoredError(SourceError):
    """The server did not look at the parameters in the body of POST _search."""


class _LostError(SourceError):
    """A next link has expired."""

    default_code = "FE0410"


def search(transport: Transport, question: Question, post: bool, params: Sequence[tuple[str, str]], deadline: float) -> Found:
    """All matches of one search. Raises what the first page raises (a StatusError lets the caller ask in another way)."""
    found = Found()
    for _ in range(transport.limits.restarts + 1):
        reading = _Reading(transport, question, params)
        try:
            reading.first(post, deadline)
            reading.follow(deadline)
        except _LostError:
            found = reading.broken("FE0410", "a page of the search was lost")
        else:
            return reading.finished()
    return found


def glimpse(transport: Transport, question: Question, post: bool, params: Sequence[tuple[str, str]], deadline: float) -> Found:
    """What the first page of a search shows to be there; it says nothing of what is not. Raises what the page raises."""
    reading = _Reading(transport, question, params)
    reading.first(post, deadline)
    shown = reading.finished()
    return Found(shown.resources, identity=shown.identity)


class _Reading:
    """The state of one search while its pages are read."""

    def __init__(self, transport: Transport, question: Question, params: Sequence[tuple[str, str]]) -> None:
        self._transport, self._question, self._params = transport, question, params
        self._found = Found()
        self._keys: set[tuple[str, str]] = set()
        self._versions: dict[tuple[str, str], list[Resource]] = {}
        self._self = SelfLink()
        self._total = self._pages = self._entries = self._idle = 0
        self._strangers = False
        self._asked: set[str] = set()
        self._page: Page

    def first(self, post: bool, deadline: float) -> None:
        kind = self._question.type
        if post:
            page = self._transport.post_search(kind, self._params, deadline, strict=True)
        else:
            page = self._transport.get(f"{kind}?{urlencode(self._params)}", deadline, strict=True)
            self._asked.add(page.url)
        _check_searchset(page)
        self._self = read_self(link(page.document, "self"), self._params, self._question.declared)
        if post and self._self.ignored & WHOSE:
            raise IgnoredError("the server ignores the parameters of POST _search")
        self._take(page)

    def follow(self, deadline: float) -> None:
        """Reads the further pages; what ends the search too early is told in `found`."""
        while (address := link(self._page.document, "next")) is not None:
            bound = self._bound()
            if bound:
                self.broken("FE0410", bound)
                return
            try:
                page = self._next(address, deadline)
                _check_searchset(page)
            except (AuthorisationError, _LostError):
                raise
            except SourceError as error:
                self.broken(error.code, f"a page of the search could not be read ({error})")
                return
            self._take(page)

    def _next(self, address: str, deadline: float) -> Page:
        if not address:
            raise SourceError("its link to the next page cannot be read", code="FE0410")
        target = self._transport.base.inside(address, self._page.url)
        if target in self._asked:
            raise SourceError("the search goes round in circles", code="FE0410")
        self._asked.add(target)
        try:
            return self._transport.get(target, deadline)
        except StatusError as error:
            if error.status in _GONE:
                raise _LostError("the paging session has expired") from None
            if error.status != _TOO_LONG:
                raise
        return self._transport.post_search(
            self._question.type, parse_qsl(urlsplit(target).query, keep_blank_values=True), deadline
        )

    def _bound(self) -> str:
        limits = self._transport.limits
        if self._idle >= limits.idle_pages:
            return "the search made no progress"
        return "the search passes its limits" if self._pages >= limits.pages or self._entries >= limits.entries else ""

    def broken(self, code: str, why: str) -> Found:
        """Marks the search as broken off; what arrived before is kept."""
        self._found.remarks.insert(0, Remark(f"partial: {why}"))
        self._found.errors.append(f"{code} {self._question.type}: {why}")
        return self.finished()

    def finished(self) -> Found:
        found = self._found
        found.remarks += [remark for remark in self._self.remarks if remark not in found.remarks]
        if self._total > len(self._keys) + len(found.refused):
            found.remarks.append(Remark("partial: the server counts more matches than it sent"))
        # A server that ignored whose records were asked for answers with everybody's: told as such, and no alarm.
        ignored = bool(self._self.ignored & WHOSE)
        found.identity = self._strangers and not ignored
        if self._strangers and ignored:
            found.remarks.append(Remark("partial: the server ignored whose records were asked for"))
        return found

    def _take(self, page: Page) -> None:
        self._page = page
        self._pages += 1
        before = len(self._keys)
        entries = page.document.get("entry", [])
        entries = entries if isinstance(entries, list) else [None]
        total = page.document.get("total")
        self._total = max(self._total, total) if isinstance(total, int) else self._total
        self._entries += len(entries)
        empty = sum(1 for entry in entries if not self._entry(entry))
        for refusal in page.refusals:
            self._refuse(refusal)
        if empty > len(page.refusals):
            self._remark("partial: an entry without a resource")
        self._idle = 0 if len(self._keys) > before or page.refusals else self._idle + 1
        _LOG.debug("%s: page %d, %d entries", self._question.type, self._pages, len(entries))

    def _entry(self, entry: Any) -> bool:
        """Reads one entry; False if it holds no resource."""
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            return False
        about = entry.get("search")
        mode = about.get("mode", "match") if isinstance(about, dict) else "match"
        kind = resource.get("resourceType")
        if kind == "OperationOutcome" or mode == "outcome":
            self._found.remarks += read_outcome(resource)
        elif kind == "Medication" and self._question.type in MEDICATION_TYPES:
            self._keep(resource)
        elif mode in ("match", "include") and kind == self._question.type:
            self._match(resource)  # what fits the question is data, whatever a server calls it
        elif mode != "include":
            self._remark("partial: an entry that was not asked for")
        return True

    def _match(self, resource: Resource) -> None:
        self._keys.add(key(resource))
        whose = self._whose(resource)
        if whose is False:
            self._strangers = True
            return
        if whose is None:
            self._remark("partial: a resource whose subject cannot be read")
        if subsetted(resource):
            self._remark("partial: a resource that is not whole")
        if self._question.codes is None or fits(resource, self._question.codes):
            self._keep(resource)

    def _keep(self, resource: Resource) -> None:
        versions = self._versions.setdefault(key(resource), [])
        if resource not in versions:
            versions.append(resource)
            self._found.resources.append(resource)

    def _whose(self, resource: Resource) -> bool | None:
        """True: the patient's; False: another patient's; None: nobody's that can be told."""
        subject = subject_of(resource, str(self._transport.base))
        if subject is None or subject[0] != "Patient":
            return None
        return subject[1] in self._question.patients

    def _refuse(self, refusal: Refusal) -> None:
        kind = refusal.type or self._question.type
        if self._whose({**refusal.known, "resourceType": kind}) is False:
            self._strangers = True
            return
        codes = None if refusal.codes is None else tuple(sorted(code_key(*pair) for pair in refusal.codes))
        self._found.refused.append(Refused(f"{kind}/{refusal.id or '?'}", kind, refusal.why, codes))

    def _remark(self, note: str) -> None:
        if Remark(note) not in self._found.remarks:
            self._found.remarks.append(Remark(note))


def _check_searchset(page: Page) -> None:
    if page.document["resourceType"] != "Bundle" or page.document.get("type") != "searchset":
        raise unexpected(page, "a searchset")
