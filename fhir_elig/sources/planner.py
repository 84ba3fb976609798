"""What to ask a server for one need: a pure function of the need and of what the server declares (CapabilityStatement).

A parameter that is not declared is not sent: servers ignore what they do not know and answer with everything. Each step down
the ladder asks at least as much as the step before; one that may ask less says so in `note`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import quote_plus

import msgspec

from fhir_elig.record import Need
from fhir_elig.sources.replies import Limits

Params = tuple[tuple[str, str], ...]

# Types whose `date` parameter is the time of the event itself. MedicationRequest's is that of planned doses: never sent.
_DATED = frozenset({"Observation", "Procedure", "Encounter", "DiagnosticReport", "Immunization"})
# Types that some servers hold without declaring them.
_ASKED_ANYWAY = frozenset({"ResearchSubject"})
_GRACE = 2  # days: a server may read a date in any time zone


VERSIONS = ("4.0", "4.1", "4.3", "5.0")  # R4, R4B and its ballot, R5


class Served(msgspec.Struct, frozen=True):
    """What a server declares: its FHIR version, the search parameters of each type that can be searched, types to read."""

    fhir_version: str
    searches: Mapping[str, frozenset[str]]
    reads: frozenset[str]

    def is_read(self) -> bool:
        """Whether this project reads that version; one that is not told is taken for one of them."""
        return not self.fhir_version or self.fhir_version.startswith(VERSIONS)

    def serves(self, resource_type: str) -> bool:
        return resource_type in self.searches or resource_type in _ASKED_ANYWAY

    def parameters(self, resource_type: str) -> frozenset[str]:
        return self.searches.get(resource_type, frozenset({"patient"}) if resource_type in _ASKED_ANYWAY else frozenset())


class Step(msgspec.Struct, frozen=True):
    """One way to ask: all `searches` together are the question. `note` tells why the answer may be narrower than the need."""

    post: bool
    searches: tuple[Params, ...]
    note: str = ""


def read_served(statement: Mapping[str, Any]) -> Served:
    """What a CapabilityStatement declares; what cannot be read in it is not declared."""
    searches: dict[str, frozenset[str]] = {}
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
            if isinstance(name, str) and "read" in interactions:
                reads.add(name)
    version = statement.get("fhirVersion")
    return Served(version if isinstance(version, str) else "", searches, frozenset(reads))


def ladder(need: Need, patient: str, served: Served, limits: Limits, *, count: int | None, look_back: bool) -> list[Step]:
    """The ways to ask, best first; empty if the server offers no search of this type by patient.

    Only Observations are asked for by code: of the other types a record with free text or a local code matters too, because
    "has none" may not overlook it. Codes of components and a look-back are extra questions, the first to be given up.
    """
    declared = served.parameters(need.type)
    whose = (
        ("patient", patient) if "patient" in declared else ("subject", f"Patient/{patient}") if "subject" in declared else None
    )
    if whose is None:
        return []
    size: Params = (("_count", str(count)),) if count else ()
    codes = sorted(need.codes) if need.codes and need.type == "Observation" and "code" in declared else []
    names = ["code", "component-code"] if codes and "component-code" in declared else ["code"]
    dates = _dates(need, declared) if look_back else [()]
    many, few = _chunks(codes, limits.post_codes, limits.query_bytes * 20), _chunks(codes, limits.get_codes, limits.query_bytes)
    steps = []
    for asked, when in dict.fromkeys([(tuple(names), tuple(dates)), (("code",), ((),))]):
        steps.append(Step(True, _cross(whose, asked, many, when, size)))
        steps.append(Step(False, _cross(whose, asked, few, when, size)))
    if len(codes) > 10:
        steps.append(Step(False, _cross(whose, ("code",), _chunks(codes, 10, limits.query_bytes), ((),), size)))
    if codes or size:
        steps.append(Step(False, ((whose,),)))
    if need.categories and "category" in declared:
        note = "partial: the server searches this type by category only"
        steps.append(Step(False, ((whose, ("category", ",".join(sorted(need.categories)))),), note))
    return steps


def _dates(need: Need, declared: frozenset[str]) -> list[Params]:
    """The look-back as two questions: since that day, and without any date (a search by date leaves those out)."""
    if need.since is None or need.type not in _DATED or "date" not in declared:
        return [()]
    first = date.fromordinal(max(need.since - _GRACE, date.min.toordinal())).isoformat()
    return [(("date", f"ge{first}"),), (("date:missing", "true"),)]


def _chunks(codes: Sequence[str], most: int, most_bytes: int) -> list[str]:
    """Code lists of at most `most` codes and `most_bytes` bytes each; one empty text if no codes are asked for."""
    chunks: list[list[str]] = [[]]
    for code in map(_escaped, codes):
        longer = [*chunks[-1], code]
        if chunks[-1] and (len(longer) > most or len(quote_plus(",".join(longer))) > most_bytes):
            chunks.append([code])
        else:
            chunks[-1] = longer
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
