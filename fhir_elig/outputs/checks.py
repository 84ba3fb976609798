"""Checks of FHIR resources, as dicts: structure, codes, targets of references, invariants.

The models of fhir.resources (R4B stands for R4) know structure, cardinality, value[x] and dates. They also carry, unused, the
codes of required bindings and the types that a reference may point to: these are walked here. What they do not carry is in
tables of ours. No message quotes more of a resource than a code or the type of a reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from importlib import import_module
from typing import Any, NamedTuple

from fhir_elig.outputs.fhir_json import DEFAULT_BASE, TERMINOLOGY, FhirVersion, Json
from fhir_elig.outputs.invariants import entries, malformed, violations
from fhir_elig.verdict import Reason, Verdict

_PACKAGES = {"R4": "fhir.resources.R4B", "R5": "fhir.resources"}
_QUANTITIES = ("Quantity", "Age", "Count", "Distance", "Duration")
_TARGET = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)(?:/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?(?:#.*)?|\?.*)")

# Required bindings that fhir.resources lacks, or lists in part (it ends a long list with `+`).
_OBSERVATION_STATUS = "registered preliminary final amended corrected cancelled entered-in-error unknown"
_ENCOUNTER_STATUS = "planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown"
_ITEM_TYPES = "group display boolean decimal integer date dateTime time string text url reference quantity attachment question"
_ISSUE_TYPES = (
    "invalid structure required value invariant security login unknown expired forbidden suppressed processing not-supported"
    " duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly business-rule conflict transient"
    " lock-error no-store exception timeout incomplete throttled informational"
)
_CODES: dict[str, dict[str, str]] = {
    "R4": {
        "Observation.status": _OBSERVATION_STATUS,
        "Encounter.status": _ENCOUNTER_STATUS,
        "EncounterStatusHistory.status": _ENCOUNTER_STATUS,
        "QuestionnaireItem.type": f"{_ITEM_TYPES} choice open-choice",
        "OperationOutcomeIssue.code": _ISSUE_TYPES,
        **{f"{name}.comparator": "< <= >= >" for name in _QUANTITIES},
    },
    "R5": {
        "Observation.status": _OBSERVATION_STATUS,
        "QuestionnaireItem.type": f"{_ITEM_TYPES} coding",
        "OperationOutcomeIssue.code": f"{_ISSUE_TYPES} multiple-matches limited-filter success",
        **{f"{name}.comparator": "< <= >= > ad" for name in _QUANTITIES},
    },
}
_SUBJECT_STATES = (
    "candidate eligible follow-up ineligible not-registered off-study on-study on-study-intervention on-study-observation"
    " pending-on-study potential-candidate screening withdrawn"
)


class _Place(NamedTuple):
    """Where the walk is: the path, what is contained here (id to type), and what never changes on the way."""

    path: str
    contained: Mapping[str, str]
    entries: Mapping[str, str]  # fullUrl to type
    fhir_version: FhirVersion
    systems: Mapping[str, frozenset[str]]

    def into(self, step: str) -> _Place:
        return self._replace(path=f"{self.path}{step}")

    def resource(self, raw: Json) -> _Place:
        """The place inside a resource of its own, whose contained resources are the ones that `#` names."""
        held = {str(one.get("id")): one["resourceType"] for one in raw.get("contained", ())}
        return self._replace(contained=held | {"": raw["resourceType"]})


def check(resource: Json, fhir_version: FhirVersion, canonical_base: str = DEFAULT_BASE) -> list[str]:
    """What is wrong with a resource (a Bundle: with each resource in it); an empty list if nothing is.

    A fault of structure is reported alone, because the other checks count on structure.
    """
    odd = list(malformed(resource))
    if odd:
        return odd
    model = _model(resource.get("resourceType"), fhir_version)
    if model is None:
        return ["resourceType: not a resource type"]
    try:
        parsed = model.model_validate(resource)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        return _structure(error)
    place = _Place(resource["resourceType"], {}, _entries(resource), fhir_version, _systems(canonical_base))
    found = (*_walk(parsed, resource, place.resource(resource)), *violations(resource, fhir_version))
    return list(dict.fromkeys(found))


def _model(name: object, fhir_version: FhirVersion) -> Any:
    """The model class of a type, or None."""
    if not isinstance(name, str) or not name.isalpha():
        return None
    try:
        return getattr(import_module(f"{_PACKAGES[fhir_version]}.{name.lower()}"), name, None)
    except ImportError:
        return None


def _structure(error: Exception) -> list[str]:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return [f"structure: {type(error).__name__}"]
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return [f"structure: {'.'.join(str(step) for step in detail['loc'])}: {detail['msg']}" for detail in details]


def _entries(resource: Json) -> dict[str, str]:
    whole = (entry for entry in entries(resource) if "fullUrl" in entry and "resource" in entry)
    return {entry["fullUrl"]: entry["resource"]["resourceType"] for entry in whole}


def _systems(canonical_base: str) -> dict[str, frozenset[str]]:
    own = f"{canonical_base}/CodeSystem"
    return {
        f"{own}/verdict": frozenset(Verdict),
        f"{own}/reason": frozenset(Reason),
        f"{own}/output-tag": frozenset({"machine-recommendation"}),
        f"{TERMINOLOGY}/research-subject-state": frozenset(_SUBJECT_STATES.split()),
        f"{TERMINOLOGY}/research-subject-state-type": frozenset({"Milestone", "Enrollment"}),
    }


def _walk(parsed: Any, raw: Json, place: _Place) -> Iterator[str]:
    """The faults of one element and of what it holds."""
    yield from _whole(type(parsed).__name__, raw, place)
    for name, field in type(parsed).model_fields.items():
        alias = field.alias or name
        if alias not in raw or alias in ("resourceType", "fhir_comments"):
            continue
        extra = field.json_schema_extra or {}
        allowed = _allowed(type(parsed).__name__, alias, extra, place)
        for step, value, held in _pairs(getattr(parsed, name), raw[alias]):
            inside = place.into(f".{alias}{step}")
            if allowed is not None and held not in allowed:
                yield f"{inside.path}: code {held!r} is not in the required set"
            if "enum_reference_types" in extra and isinstance(held, dict):
                yield from _target(held, extra["enum_reference_types"], inside)
            yield from _kind(value, held, inside)
            if isinstance(held, dict):
                yield from _walk(value, held, inside.resource(held) if alias == "resource" else inside)


def _pairs(value: Any, raw: Any) -> Iterator[tuple[str, Any, Any]]:
    """An element's values, as parsed and as sent; one, or those of a list."""
    if not isinstance(raw, list):
        yield "", value, raw
        return
    for index, (one, held) in enumerate(zip(value or (), raw, strict=False)):
        if held is not None:
            yield f"[{index}]", one, held


def _allowed(owner: str, alias: str, extra: Mapping[str, Any], place: _Place) -> list[str] | None:
    """The codes of a required binding, or None where there is none (or none that is known)."""
    ours = _CODES[place.fhir_version].get(f"{owner}.{alias}")
    if ours is not None:
        return ours.split()
    listed: list[str] | None = extra.get("enum_values")
    return None if listed is None or "+" in listed else listed


def _kind(value: Any, held: Any, place: _Place) -> Iterator[str]:
    """Numbers and booleans must be such in JSON too; the models would read them from texts."""
    if isinstance(value, bool):
        if not isinstance(held, bool):
            yield f"{place.path}: a boolean is wanted"
    elif isinstance(value, (int, float, Decimal)) and (isinstance(held, bool) or not isinstance(held, (int, float, Decimal))):
        yield f"{place.path}: a number is wanted"


def _whole(owner: str, raw: Json, place: _Place) -> Iterator[str]:
    """What is wrong with an element as a whole: codes of our tables, a unit without its system."""
    if owner == "Coding" and raw.get("code") not in place.systems.get(raw.get("system", ""), {raw.get("code")}):
        yield f"{place.path}: {raw.get('code')!r} is no code of {raw['system']}"
    if owner in _QUANTITIES and "code" in raw and "system" not in raw:
        yield f"qty-3: {place.path}: a code without its system"
    if owner == "DataRequirement" and _model(raw.get("type"), place.fhir_version) is None:
        yield f"{place.path}.type: not a type of FHIR"


def _target(held: Json, types: list[str], place: _Place) -> Iterator[str]:
    """Whether a Reference (or the reference of a CodeableReference) points to a type that may stand there."""
    reference = held.get("reference")
    if isinstance(reference, dict):
        yield from _target(reference, types, place.into(".reference"))
        return
    for found in {_type_of(reference or "", place), held.get("type")} - {None}:
        if _model(found, place.fhir_version) is None:
            yield f"{place.path}: reference to {found}, which is no resource type"
        elif "Resource" not in types and found not in types:
            yield f"{place.path}: reference to {found}, wanted {' or '.join(types)}"


def _type_of(reference: str, place: _Place) -> str | None:
    """The type that a reference points to; None if it cannot be told."""
    if reference.startswith("#"):
        return place.contained.get(reference[1:])
    match = _TARGET.fullmatch(reference)
    return place.entries.get(reference) or (match[1] if match else None)
