"""Rules of FHIR that a structure check does not see, and the rules of our own recommendation, each a small function.

A rule takes a resource as a dict of sound structure and yields what is wrong with it, led by the rule's name in FHIR
(`dom-3`, `obs-6`); `own` leads the rules that are not FHIR's but the project's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from xml.etree import ElementTree

from fhir_elig.outputs.fhir_json import FhirVersion, Json
from fhir_elig.verdict import Status

Rule = Callable[[Json], Iterator[str]]

_REQUEST_TYPES = ("batch", "transaction", "history")
_RESPONSE_TYPES = ("batch-response", "transaction-response", "history")
_ABATED = ("inactive", "resolved", "remission")
_FORBIDDEN = ("period", "consent", "assignedArm", "actualArm", "assignedComparisonGroup", "actualComparisonGroup")
_STATES = tuple(status.value for status in Status)
_XHTML = "{http://www.w3.org/1999/xhtml}"
_TAGS = ("div", "p", "b", "i", "em", "strong", "span", "br", "hr", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td")
_ATTRIBUTES = ("class", "id", "title", "lang", "style", "colspan", "rowspan")


def violations(resource: Json, fhir_version: FhirVersion) -> Iterator[str]:
    """What is wrong with a resource and with every resource inside it."""
    for rule in _OF_ALL:
        yield from rule(resource)
    for one in (resource, *resource.get("contained", ())):
        for rule in (*_OF_TYPE.get(one["resourceType"], ()), *_OF_VERSION.get((one["resourceType"], fhir_version), ())):
            yield from rule(one)
    for entry in entries(resource):
        if "resource" in entry:
            yield from violations(entry["resource"], fhir_version)


def entries(resource: Json) -> list[Json]:
    """The entries of a Bundle; a List has entries too, of another kind."""
    found: list[Json] = resource.get("entry", []) if resource["resourceType"] == "Bundle" else []
    return found


def references(value: Any, skip: str = "") -> Iterator[str]:
    """Every `reference` text in a value; not inside the key `skip`."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "reference" and isinstance(item, str):
                yield item
            elif name != skip:
                yield from references(item, skip)
    elif isinstance(value, list):
        for item in value:
            yield from references(item, skip)


def malformed(value: Any, path: str = "") -> Iterator[str]:
    """What no JSON of FHIR has: null (but in a list, beside a list of extensions), empty texts, lists and objects; a resource
    that does not say its type.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            if item is None or item in ("", [], {}):
                yield f"{path}{name}: empty"
            yield from malformed(item, f"{path}{name}.")
        contained = value.get("contained")
        if isinstance(contained, list) and not all(isinstance(one, dict) and _names_type(one) for one in contained):
            yield f"{path}contained: not all are resources"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from malformed(item, f"{path[:-1]}[{index}].")


def _names_type(resource: Json) -> bool:
    return isinstance(resource.get("resourceType"), str)


def contained_are_referenced(resource: Json) -> Iterator[str]:
    """dom-3: what is contained is referred to from the resource, or refers to it."""
    linked = set(references(resource))
    for contained in resource.get("contained", ()):
        if f"#{contained.get('id')}" not in linked and "#" not in set(references(contained)):
            yield f"dom-3: contained {contained.get('id')} is not referenced"


def local_references_exist(resource: Json) -> Iterator[str]:
    """ref-1: a reference that begins with `#` names something contained."""
    names = {f"#{contained.get('id')}" for contained in resource.get("contained", ())} | {"#"}
    for reference in references(resource, "entry"):
        if reference.startswith("#") and reference not in names:
            yield f"ref-1: {reference} is not contained"


def narrative_is_safe(resource: Json) -> Iterator[str]:
    """txt-1 and txt-2: well-formed XHTML, basic formatting only, some text."""
    div = resource.get("text", {}).get("div")
    if div is None:
        return
    if "<!" in div:  # neither a document type nor entities, so that the parser below cannot be led astray
        yield "txt-1: a declaration in the narrative"
        return
    try:
        root = ElementTree.fromstring(div)  # noqa: S314
    except ElementTree.ParseError:
        yield "txt-1: the narrative is not well-formed"
        return
    for element in root.iter():
        tag = element.tag.removeprefix(_XHTML)
        if tag not in _TAGS or not element.tag.startswith(_XHTML):
            yield f"txt-1: <{tag}> in the narrative"
        yield from (f"txt-1: attribute {name} in the narrative" for name in element.attrib if name not in _ATTRIBUTES)
    if not "".join(root.itertext()).strip():
        yield "txt-2: the narrative is empty"


def parameters_hold_one_thing(resource: Json) -> Iterator[str]:
    """inv-1: a parameter has a value, a resource or parts: one of them."""
    return _parameters(resource.get("parameter", ()))


def _parameters(parameters: Iterable[Json]) -> Iterator[str]:
    for parameter in parameters:
        held = [name for name in parameter if name in ("part", "resource") or name.startswith("value")]
        if len(held) != 1:
            yield f"inv-1: parameter {parameter.get('name')} holds {' and '.join(held) or 'nothing'}"
        yield from _parameters(parameter.get("part", ()))


def bundle_requests(resource: Json) -> Iterator[str]:
    """bdl-3 and bdl-4: requests and responses stand exactly where the type of Bundle wants them."""
    kind = resource.get("type", "")
    for index, entry in enumerate(entries(resource)):
        for rule, name, types in (("bdl-3", "request", _REQUEST_TYPES), ("bdl-4", "response", _RESPONSE_TYPES)):
            if (name in entry) != (kind in types):
                yield f"{rule}: entry[{index}] of a {kind} {'has a' if name in entry else 'lacks its'} {name}"


def full_urls_are_unique(resource: Json) -> Iterator[str]:
    """bdl-7: one fullUrl, one entry; versions of one resource apart."""
    seen: set[tuple[str, str]] = set()
    for entry in entries(resource):
        if "fullUrl" in entry:
            found = (entry["fullUrl"], entry.get("resource", {}).get("meta", {}).get("versionId", ""))
            if found in seen:
                yield f"bdl-7: {entry['fullUrl']} twice"
            seen.add(found)


def has_value(item: Json) -> bool:
    return any(name.startswith("value") for name in item)


def absent_has_no_value(resource: Json) -> Iterator[str]:
    """obs-6: a reason why the value is absent stands only where there is none."""
    if "dataAbsentReason" in resource and has_value(resource):
        yield "obs-6: a value and a dataAbsentReason"


def component_holds_the_value(resource: Json) -> Iterator[str]:
    """obs-7: an Observation has no value of its own if a component has its code."""
    codes = _codings(resource)
    for component in resource.get("component", ()):
        if has_value(resource) and codes & _codings(component):
            yield "obs-7: a value, and a component of the same code"


def _codings(item: Json) -> set[tuple[str | None, str]]:
    return {(coding.get("system"), coding["code"]) for coding in item.get("code", {}).get("coding", ()) if "code" in coding}


def _codes(concept: Json) -> set[str]:
    return {coding.get("code", "") for coding in concept.get("coding", ())}


def abated_is_not_active(resource: Json) -> Iterator[str]:
    """con-4 (con-3 in R5): a Condition that has ended is inactive, resolved or in remission."""
    if any(name.startswith("abatement") for name in resource) and not _codes(resource.get("clinicalStatus", {})) & set(_ABATED):
        yield "con-4: abatement, but the clinicalStatus says that it goes on"


def error_has_no_clinical_status(resource: Json) -> Iterator[str]:
    """con-5 of R4: a Condition entered in error has no clinicalStatus. In R5 the element is required."""
    if "entered-in-error" in _codes(resource.get("verificationStatus", {})) and "clinicalStatus" in resource:
        yield "con-5: entered in error, but with a clinicalStatus"


def recommendation_is_no_enrolment(resource: Json) -> Iterator[str]:
    """Of a ResearchSubject of ours: no element of an enrolment, no state but the four, marked as a recommendation."""
    yield from (f"own: {name} in a recommendation" for name in _FORBIDDEN if name in resource)
    status = resource.get("status", "")
    states = {status}
    for progress in resource.get("progress", ()):
        states = _codes(progress.get("subjectState", {}))
        if "milestone" in progress:
            yield "own: milestone in a recommendation"
    if "individual" not in resource and status != "draft":
        yield "own: the status of a recommendation in R5 is draft"
    yield from (f"own: state {state} in a recommendation" for state in sorted(states - set(_STATES)))
    if "machine-recommendation" not in {tag.get("code") for tag in resource.get("meta", {}).get("tag", ())}:
        yield "own: a recommendation without its tag"
    if "Recommendation of software" not in resource.get("text", {}).get("div", ""):
        yield "own: a narrative that does not say what it is"


_OF_ALL: tuple[Rule, ...] = (contained_are_referenced, local_references_exist, narrative_is_safe)
_OF_TYPE: dict[str, tuple[Rule, ...]] = {
    "Parameters": (parameters_hold_one_thing,),
    "Bundle": (bundle_requests, full_urls_are_unique),
    "Observation": (absent_has_no_value, component_holds_the_value),
    "Condition": (abated_is_not_active,),
    "ResearchSubject": (recommendation_is_no_enrolment,),
}
_OF_VERSION: dict[tuple[str, str], tuple[Rule, ...]] = {("Condition", "R4"): (error_has_no_clinical_status,)}
