"""What to ask a server for one need: a pure function of the need, of what the server declares (CapabilityStatement), and of its
vendor's row in `servers`.

A parameter that is not declared is not sent: servers ignore what they do not know and answer with everything. Each step down
the ladder asks at least as much as the step before; one that may ask less says so in `note`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import quote_plus

import msgspec

from fhir_elig.record import MEDICATION_TYPES, Need
from fhir_elig.sources.demands import Params, categories, enumerations
from fhir_elig.sources.replies import Limits
from fhir_elig.sources.servers import Asks, Vendor, recognise

# Types whose `date` parameter is the time of the event itself. MedicationRequest's is that of planned doses: never sent.
_DATED = frozenset({"Observation", "Procedure", "Encounter", "DiagnosticReport", "Immunization"})
# Types that some servers hold without declaring them.
_ASKED_ANYWAY = frozenset({"ResearchSubject"})
_GRACE = 2  # days: a server may read a date in any time zone
_BY_CATEGORY = "partial: the server searches this type by category only"
_HIDES = "partial: this vendor's search leaves out what is not asked for by name, and it could not be asked so"
_BY_INTENT = "partial: the server searches this type by two intents only"

VERSIONS = ("4.0", "4.1", "4.3", "5.0")  # R4, R4B and its ballot, R5


class Served(msgspec.Struct, frozen=True):
    """What a server declares: its FHIR version, the search parameters of each type that can be searched, types to read, what
    a search of a type can include; and its vendor, if it is recognised."""

    fhir_version: str
    searches: Mapping[str, frozenset[str]]
    reads: frozenset[str]
    includes: Mapping[str, frozenset[str]] = {}
    vendor: Vendor | None = None

    def is_read(self) -> bool:
        """Whether this project reads that version; one that is not told is taken for one of them."""
        return not self.fhir_version or self.fhir_version.startswith(VERSIONS)

    def serves(self, resource_type: str) -> bool:
        return resource_type in self.searches or resource_type in _ASKED_ANYWAY

    def parameters(self, resource_type: str) -> frozenset[str]:
        return self.searches.get(resource_type, frozenset({"patient"}) if resource_type in _ASKED_ANYWAY else frozenset())

    def asks(self, resource_type: str) -> Asks:
        return self.vendor.asks(resource_type) if self.vendor else Asks(resource_type)


class Step(msgspec.Struct, frozen=True):
    """One way to ask: all `searches` together are the question. `note` tells why the answer may be narrower than the need."""

    post: bool
    searches: tuple[Params, ...]
    note: str = ""


def read_served(statement: Mapping[str, Any]) -> Served:
    """What a CapabilityStatement declares; what cannot be read in it is not declared."""
    searches: dict[str, frozenset[str]] = {}
    includes: dict[str, frozenset[str]] = {}
    reads: set[str] = set()
    for rest in _dicts(statement.get("rest")):
        if rest.get("mode", "server") != "server":
            continue
        everywhere = _names(rest.get("searchParam"), "name")
        for entry in _dicts(rest.get("resource")):
            name, parameters = entry.get("type"), _names(entry.get("searchParam"), "name")
            interactions = _names(entry.get("interaction"), "code") or {"read", *(["search-type"] if parameters else [])}
            if isinstance(name, str) and "search-type" in interactions:
                searches[name] = parameters | everywhere
                includes[name] = _texts(entry.get("searchInclude"))
            if isinstance(name, str) and "read" in interactions:
                reads.add(name)
    version = statement.get("fhirVersion")
    return Served(version if isinstance(version, str) else "", searches, frozenset(reads), includes, recognise(statement))


def ladder(need: Need, patient: str, served: Served, limits: Limits, *, count: int | None, look_back: bool) -> list[Step]:
    """The ways to ask, best first; empty if the server offers no search of this type by patient.

    Only Observations are asked for by code: of the other types a record with free text or a local code matters too, because
    "has none" may not overlook it. Codes of components, a look-back, and what a vendor's plain search may leave out are extra
    questions, the first to be given up.
    """
    declared, asks = served.parameters(need.type), served.asks(need.type)
    whose = _whose(patient, declared, asks)
    if whose is None:
        return []
    size = _size(need.type, served, count)
    codes = sorted(need.codes) if need.codes and need.type == "Observation" and "code" in declared else []
    names = ["code", "component-code"] if codes and "component-code" in declared else ["code"]
    dates = _dates(need, declared, asks) if look_back else [()]
    many, few = _chunks(codes, limits.post_codes, limits.query_bytes * 20), _chunks(codes, limits.get_codes, limits.query_bytes)
    also = tuple((whose, pair, *size) for pair in asks.also if pair[0] in declared)
    steps = []
    for asked, when, more in dict.fromkeys([(tuple(names), tuple(dates), also), (("code",), ((),), ())]):
        note = _HIDES if len(more) < len(asks.also) else ""
        steps.append(Step(True, _cross(whose, asked, many, when, size) + more, note))
        steps.append(Step(False, _cross(whose, asked, few, when, size) + more, note))
    if len(codes) > 10:
        steps.append(Step(False, _cross(whose, ("code",), _chunks(codes, 10, limits.query_bytes), ((),), size), note))
    if codes or size:
        steps.append(Step(False, ((whose,),), note))
    if not asks.alone:
        steps = [step for step in steps if (whose, *size) not in step.searches and (whose,) not in step.searches]
    return steps + _demanded(need, whose, served, few, note)


def _whose(patient: str, declared: frozenset[str], asks: Asks) -> tuple[str, str] | None:
    if "patient" in declared:
        return ("patient", f"Patient/{patient}" if asks.typed else patient)
    return ("subject", f"Patient/{patient}") if "subject" in declared else None


def _size(resource_type: str, served: Served, count: int | None) -> Params:
    """What shapes the answer and leaves the question as it is: the size of a page, and drugs in the answer that names them."""
    size: Params = (("_count", str(count)),) if count else ()
    wanted = f"{resource_type}:medication"
    included = resource_type in MEDICATION_TYPES and {"*", wanted} & served.includes.get(resource_type, frozenset())
    return (*size, ("_include", wanted)) if included else size


def _demanded(need: Need, whose: tuple[str, str], served: Served, lists: Sequence[str], hides: str) -> list[Step]:
    """For servers that want more than a patient and codes: every intent and status by name, then categories, which may hide
    what is filed under another one, or under none. `hides` is the note of steps that have none of their own."""
    declared, codes = served.parameters(need.type), any(lists)
    steps = []
    for named in enumerations(need.type, declared, served.fhir_version):
        if codes:
            steps.append(Step(False, tuple((*one, *named) for one in _cross(whose, ("code",), lists, ((),), ())), hides))
        steps.append(Step(False, ((whose, *named),), hides))
    if need.type == "MedicationRequest" and "intent" in declared:
        steps.append(Step(False, ((whose, ("intent", "order,plan")),), _BY_INTENT))
    names = categories(need.type, need.categories) if "category" in declared else ()
    if names and codes:
        either = ("category", ",".join(names))
        steps.append(Step(False, tuple((*one, either) for one in _cross(whose, ("code",), lists, ((),), ())), _BY_CATEGORY))
    for some in dict.fromkeys([names, names[:2]]):
        steps.append(Step(False, tuple((whose, ("category", name)) for name in some), _BY_CATEGORY))
    return [step for step in steps if step.searches]


def _dates(need: Need, declared: frozenset[str], asks: Asks) -> list[Params]:
    """The look-back as two questions: since that day, and without any date (a search by date leaves those out)."""
    if need.since is None or need.type not in _DATED or "date" not in declared:
        return [()]
    first = date.fromordinal(max(need.since - _GRACE, date.min.toordinal())).isoformat()
    return [(("date", f"ge{first}T00:00:00Z" if asks.timed else f"ge{first}"),), (("date:missing", "true"),)]


def _chunks(codes: Sequence[str], most: int, most_bytes: int) -> list[str]:
    """Code lists of at most `most` codes and `most_bytes` bytes each; one empty text if no codes are asked for."""
    chunks: list[list[str]] = [[]]
    size = 0  # what the last chunk takes in an address, where each comma takes three bytes
    for code in map(_escaped, codes):
        more = len(quote_plus(code)) + 3
        if chunks[-1] and (len(chunks[-1]) >= most or size + more - 3 > most_bytes):
            chunks.append([])
            size = 0
        chunks[-1].append(code)
        size += more
    return [",".join(chunk) for chunk in chunks]


def _escaped(token: str) -> str:
    """A token as one member of a list: comma, dollar and backslash escaped (the bar between system and code stays)."""
    return token.replace("\\", "\\\\").replace(",", "\\,").replace("$", "\\$")


def _cross(
    whose: tuple[str, str], names: Sequence[str], lists: Sequence[str], dates: Sequence[Params], size: Params
) -> tuple[Params, ...]:
    asked: list[Params] = [((name, codes),) for name in names for codes in lists if codes] or [()]
    return tuple((whose, *code, *when, *size) for code in asked for when in dates)


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _names(value: Any, key: str) -> frozenset[str]:
    return frozenset(item[key] for item in _dicts(value) if isinstance(item.get(key), str))


def _texts(value: Any) -> frozenset[str]:
    return frozenset(item for item in value if isinstance(item, str)) if isinstance(value, list) else frozenset()
