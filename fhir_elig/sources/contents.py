"""What one file holds: its resources and whose they are, and what of it was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from fhir_elig.concepts import code_key
from fhir_elig.errors import Finding
from fhir_elig.record import MEDICATION_TYPES, NO_SUBJECT
from fhir_elig.references import is_id, is_type, parse_reference, subject_of
from fhir_elig.sources import Resource
from fhir_elig.sources.refusals import codes_of
from fhir_elig.sources.strict_json import Parsed, Refusal
from fhir_elig.sources.usual_json import Slim

# The types of which a reader exists; each of them but Patient must name its patient.
READ_TYPES = frozenset(MEDICATION_TYPES) | {
    "AllergyIntolerance", "Condition", "Consent", "DiagnosticReport", "Encounter", "Immunization", "Observation", "Patient",
    "Procedure", "QuestionnaireResponse", "ResearchSubject",
}  # fmt: skip
_OTHER_OWNERS = frozenset(("patient", "individual"))
_OWNED_TYPES = READ_TYPES - {"Patient"}
_PLAIN_ENTRY = frozenset(("fullUrl", "resource", "search"))
# Codes of issue-type by which a server says that it held something back.
_MISSING = frozenset(("suppressed", "incomplete", "too-costly", "security", "forbidden", "timeout", "throttled", "exception"))


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was not read.

    `types` and `patients` say what it can have been, None where that cannot be told; `of_file`: then it was of the type that
    the file holds. `cut` if what came after it is lost too. `reference` and `codes` are those of a resource that was refused;
    `unplaced` if it is sound, and only its patient cannot be told.
    """

    where: str
    why: str
    types: frozenset[str] | None = None
    patients: frozenset[str] | None = None
    reference: str = ""
    codes: tuple[str, ...] | None = None
    cut: bool = False
    of_file: bool = False
    unplaced: bool = False


class NextPage(msgspec.Struct, frozen=True):
    """A search result that goes on at another address."""

    url: str
    where: str
    types: frozenset[str]


class Contents:
    """One file's resources with their subjects, gathered piece by piece.

    `patients` are the ids that the file names, `held` those of whom it has the Patient; `counts` counts what was met by
    type, read or refused; `shared` are resources that belong to no patient. `slim` says what to keep of an Observation.
    """

    def __init__(self, name: str, base: str | None = None, slim: Slim | None = None) -> None:
        self.name = name
        self.base = base
        self.slim = slim
        self.resources: list[tuple[Resource, str]] = []
        self.shared: list[Resource] = []
        self.losses: list[Loss] = []
        self.aside: list[Finding] = []
        self.patients: set[str] = set()
        self.held: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.read = 0  # resources, the refused ones included; a line or a file that is no JSON counts as one
        self.bundles = 0
        self.mentions_patient = False  # a broken document that speaks of a Patient resource
        self.by_line = False  # NDJSON: a file of one type, as a rule
        self.own_pages: set[str] = set()
        self.next_pages: list[NextPage] = []
        self.manifest: dict[str, Any] | None = None
        self.foreign = False
        self._owners: dict[str, str] = {}  # the patients' ids, by the references that lead to them

    def take(self, parsed: Parsed, where: str, rewrite: bool) -> bool:
        """One document and its refusals; False if it is no FHIR resource. `rewrite`: it may refer to entries by address."""
        document = parsed.document
        is_resource = isinstance(document, dict) and is_type(document.get("resourceType"))
        addresses = _addresses(document if is_resource else {}, parsed.refusals) if rewrite else {}
        for refusal in parsed.refusals:
            self._refuse(refusal, where, addresses)
        if is_resource:
            self._resource(document, where, addresses)
        return is_resource or bool(parsed.refused)

    def lose(self, loss: Loss) -> None:
        self.losses.append(loss)
        self.aside.append(Finding("FE0302", f"{loss.where} {loss.reference}".strip(), loss.why, ""))

    def discard(self) -> None:
        """Nothing that was read so far may be used; the names in it still say whom the loss can touch."""
        self.resources, self.shared = [], []

    @property
    def is_own(self) -> bool:
        """Whether it is one patient's own file: it names one, and has that Patient."""
        return len(self.patients) == 1 and (bool(self.held) or self.mentions_patient)

    def _resource(self, resource: Resource, where: str, addresses: dict[str, str]) -> None:
        kind = resource["resourceType"]
        if kind == "Bundle":
            self._bundle(resource, where, addresses)
            return
        self.read += 1
        self.counts[kind] += 1
        if addresses:
            _rewrite(resource, addresses)
        if kind == "OperationOutcome":
            self._message(resource, where)
            return
        subject = self._subject(resource)
        if subject and subject[0] == "Patient":
            self.resources.append((resource, subject[1]))
            self.patients.add(subject[1])
            if kind == "Patient":
                self.held.add(subject[1])
        elif kind in READ_TYPES:
            why = "a Patient without a valid id" if kind == "Patient" else NO_SUBJECT
            codes = _keys(codes_of(resource))
            types = frozenset({kind})
            self.lose(Loss(where=where, why=why, types=types, reference=_reference(resource), codes=codes, unplaced=True))
        else:
            self.shared.append(resource)

    def _subject(self, resource: Resource) -> tuple[str, str] | None:
        """`subject_of`, without detours for the usual resource: one that has a subject and no other owner."""
        named = resource.get("subject")
        text = named.get("reference") if type(named) is dict else None
        if type(text) is not str or not _OTHER_OWNERS.isdisjoint(resource) or resource["resourceType"] == "Patient":
            return subject_of(resource, self.base)
        parsed = parse_reference(text, self.base)
        return None if parsed is None else parsed[:2]

    def _bundle(self, bundle: Resource, where: str, addresses: dict[str, str]) -> None:
        self.bundles += 1
        entries = bundle.get("entry", [])
        before = Counter(self.counts)
        for entry in entries if isinstance(entries, list) else [None]:
            if not addresses and self._is_taken(entry):
                continue
            if not isinstance(entry, dict):
                self.lose(Loss(where=where, why="an entry that is no object"))
            elif "resource" in entry:
                self._entry(entry, where, addresses)
        types = frozenset(kind for kind, count in self.counts.items() if count > before[kind])
        for link in _dicts(bundle.get("link")):
            url = link.get("url")
            if isinstance(url, str) and link.get("relation") == "self":
                self.own_pages.add(url)
            elif isinstance(url, str) and link.get("relation") == "next":
                self.next_pages.append(NextPage(url, where, types))

    def _is_taken(self, entry: Any) -> bool:
        """Takes the usual entry without detours: a resource that has an id and names its patient as subject, and no request."""
        if type(entry) is not dict or not _PLAIN_ENTRY.issuperset(entry):
            return False
        resource, search = entry.get("resource"), entry.get("search")
        if type(resource) is not dict or (search is not None and (type(search) is not dict or search.get("mode") != "match")):
            return False
        kind, named = resource.get("resourceType"), resource.get("subject")
        if type(kind) is not str or kind not in _OWNED_TYPES or "id" not in resource or not _OTHER_OWNERS.isdisjoint(resource):
            return False
        text = named.get("reference") if type(named) is dict else None
        owner = (self._owners.get(text) or self._owner(text)) if type(text) is str else ""
        if not owner:
            return False
        self.read += 1
        self.counts[kind] += 1
        self.resources.append((resource, owner))
        return True

    def _owner(self, text: str) -> str:
        """The id of the patient to whom a reference leads; empty if it leads elsewhere."""
        parsed = parse_reference(text, self.base)
        if parsed is None or parsed[0] != "Patient":
            return ""
        self.patients.add(parsed[1])
        return self._owners.setdefault(text, parsed[1])

    def _entry(self, entry: dict[str, Any], where: str, addresses: dict[str, str]) -> None:
        resource, request, search = entry["resource"], entry.get("request"), entry.get("search")
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        if type(kind) is not str or (kind not in READ_TYPES and not is_type(kind)):
            self.lose(Loss(where=where, why="an entry that holds no FHIR resource"))
        elif isinstance(request, dict) and request.get("method") in ("DELETE", "PATCH"):
            self.read += 1
            self.aside.append(Finding("FE0302", f"{where} {_reference(resource)}", "a change, not a resource", ""))
        elif isinstance(search, dict) and search.get("mode") == "outcome":
            self.read += 1
            self._message(resource, where)
        else:
            identity = _id_of(entry.get("fullUrl")) if "id" not in resource else None
            inner = _addresses(resource, ()) if kind == "Bundle" else addresses
            self._resource({**resource, "id": identity} if identity else resource, where, inner)

    def _message(self, outcome: Resource, where: str) -> None:
        """A server's message is never data; one that speaks of an error or of withheld data is a loss."""
        for issue in _dicts(outcome.get("issue")):
            if issue.get("severity") in ("fatal", "error") or issue.get("code") in _MISSING:
                self.lose(Loss(where=where, why="a server's message says that data are missing"))
                return
        self.aside.append(Finding("FE0302", where, "a server's message, not data", ""))

    def _refuse(self, refusal: Refusal, where: str, addresses: dict[str, str]) -> None:
        known = dict(refusal.known)
        _rewrite(known, addresses)
        self.read += 1
        self.counts[refusal.type] += 1
        patient = patient_of(refusal, known, self.base)
        if patient:
            self.patients.add(patient)
            if refusal.type == "Patient":
                self.held.add(patient)
        codes = _keys(refusal.codes)
        self.lose(
            Loss(
                where=where,
                why=refusal.why,
                types=frozenset({refusal.type}) if is_type(refusal.type) and refusal.type != "Bundle" else None,
                patients=frozenset({patient}) if patient else None,
                reference=refusal.reference,
                codes=codes,
                of_file=self.by_line,
            )
        )


def _keys(codes: tuple[tuple[str, str], ...] | None) -> tuple[str, ...] | None:
    return None if codes is None else tuple(sorted(code_key(*pair) for pair in codes))


def patient_of(refusal: Refusal, known: dict[str, Any], base: str | None) -> str | None:
    """The id of the patient to whom a refused resource belongs, if that is certain."""
    subject = subject_of(known, base) if refusal.type else None
    return subject[1] if subject and subject[0] == "Patient" else None


def _reference(resource: Resource) -> str:
    identity = resource.get("id")
    return f"{resource['resourceType']}/{identity if is_id(identity) else '?'}"


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _id_of(url: Any) -> str | None:
    """The id in an entry's address: `urn:uuid:x`, `https://server/Type/x`."""
    last = url.replace("/", ":").rpartition(":")[2] if isinstance(url, str) else ""
    return last if is_id(last) else None


def _addresses(bundle: Resource, refusals: tuple[Refusal, ...]) -> dict[str, str]:
    """`Type/id` of each address that exactly one entry of the Bundle has."""
    rows = [(entry.get("fullUrl"), entry.get("resource")) for entry in _dicts(bundle.get("entry"))]
    rows += [(refusal.full_url, refusal.known) for refusal in refusals]
    found: dict[str, str] = {}
    twice: set[str] = set()
    for url, resource in rows:
        if isinstance(url, str) and url and isinstance(resource, dict):
            reference = f"{resource.get('resourceType')}/{resource.get('id') or _id_of(url)}"
            if found.setdefault(url, reference) != reference:
                twice.add(url)
    return {url: reference for url, reference in found.items() if url not in twice}


def _rewrite(resource: Any, addresses: dict[str, str]) -> None:
    """Put `Type/id` in the place of each reference to an entry's address."""
    stack = [resource] if addresses else []
    while stack:
        node = stack.pop()
        if type(node) is dict:
            text = node.get("reference")
            if type(text) is str:
                node["reference"] = addresses.get(text) or addresses.get(text.partition("/_history/")[0]) or text
            node = node.values()
        stack += [value for value in node if type(value) is dict or type(value) is list]
