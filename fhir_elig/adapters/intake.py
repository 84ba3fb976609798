"""What comes in, before it is read: one copy of each resource, whose it is, and what stands at its head."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import msgspec

from fhir_elig.adapters.shapes import Context, Head, Resource, ShapeError, items, string
from fhir_elig.record import Flaw
from fhir_elig.references import is_id, subject_of, target
from fhir_elig.times import parse_when

_OWN_META = frozenset({"versionId", "lastUpdated", "source"})
_SOMEBODY = frozenset({"Patient", "RelatedPerson", "Person", "Group", "Practitioner"})
_CONFIDENTIALITY = frozenset({"R", "V"})
# v3-ActCode sensitivity and 42 CFR Part 2 policy codes; v3-ObservationValue codes of what was taken out.
_SENSITIVE = frozenset(
    "42CFRPart2 ETH ETHUD ALC DRUGABUSE OPIOIDUD GDIS HIV PSY PSYTHPN BH MH COGN DVD EMOTDIS SUD SCA SICKLE SDV SEX SPI STD "
    "TBOO VIO DV SUICIDE SUIC MASKED REDACTED".split()
)


class Piece(msgspec.Struct, frozen=True, gc=False):
    """One resource that is to be read: the one copy that counts, or one of two that contradict each other."""

    type: str
    reference: str
    resource: Resource
    conflict: bool = False


def canonical(resource: Any) -> str:
    """The resource as text in which order means nothing; digits are kept as sent."""
    try:
        return json.dumps(resource, sort_keys=True, ensure_ascii=True, default=lambda value: {type(value).__name__: str(value)})
    except RecursionError:
        raise ShapeError("nested too deep") from None


def identity_of(resource: Resource) -> str:
    """The id; for a resource without one, a name made of its content, so that its copies are one."""
    identity = resource.get("id")
    if identity is None:
        return "no-id-" + hashlib.sha256(canonical(resource).encode()).hexdigest()[:16]
    if type(identity) is not str or not is_id(identity):
        raise ShapeError("its id is none")
    return identity


def newest(group: list[Resource]) -> list[Resource]:
    """The copies that count, ordered by content: one, or several if no version tells which is newer."""
    distinct = list({canonical(resource): resource for resource in sorted(group, key=canonical)}.values())
    versions = [_version(resource) for resource in distinct]
    if all(version.isascii() and version.isdigit() for version in versions):
        top = max(int(version) for version in versions)
        return _bodies([resource for resource, version in zip(distinct, versions, strict=True) if int(version) == top])
    known = _stamps(distinct, _updated) or _stamps(distinct, _issued)
    if not known:
        return _bodies(distinct)
    late = {version for version, stamp in zip(versions, known, strict=True) if stamp == max(known)}
    rows = zip(distinct, versions, known, strict=True)
    return _bodies([one for one, version, stamp in rows if stamp == max(known) or (version and version in late)])


def _bodies(copies: list[Resource]) -> list[Resource]:
    """One copy of each body, whatever its meta says of versions: the one that was updated last."""
    bodies: dict[str, Resource] = {}
    for resource in sorted(copies, key=lambda one: (_version(one), _updated(one) or 0, canonical(one))):
        meta = resource.get("meta")
        rest = {name: value for name, value in meta.items() if name not in _OWN_META} if isinstance(meta, dict) else meta
        bodies[canonical({**resource, "meta": rest or None})] = resource
    return [bodies[text] for text in sorted(bodies)]


def _meta(resource: Resource) -> Resource:
    meta = resource.get("meta")
    return meta if isinstance(meta, dict) else {}


def _version(resource: Resource) -> str:
    version = _meta(resource).get("versionId")
    return version[:64] if type(version) is str else str(version) if type(version) is int else ""


def _stamps(copies: list[Resource], stamp: Callable[[Resource], int | None]) -> list[int]:
    """The time of each copy; none if one of them has none."""
    found = [time for time in map(stamp, copies) if time is not None]
    return found if len(found) == len(copies) else []


def _issued(resource: Resource) -> int | None:
    return _start(resource.get("issued"))


def _updated(resource: Resource) -> int | None:
    return _start(_meta(resource).get("lastUpdated"))


def _start(stamp: Any) -> int | None:
    when = parse_when(stamp) if type(stamp) is str else None
    return None if when is None else when.start


def links(resource: Resource, base: str | None) -> list[tuple[str, str]]:
    """(kind, id) of the links that say: the same patient; the id is empty if it cannot be resolved."""
    found = []
    for link in items(resource.get("link")):
        kind = string(link.get("type"))
        if kind in ("replaced-by", "replaces"):
            other = target(link.get("other"), base)
            found.append((kind, other[1] if other and other[0] == "Patient" else ""))
    return found


def whose(resource: Resource, context: Context) -> bool | None:
    """Whether it is this patient's; None if it does not say, or says it in a way that cannot be resolved."""
    named = resource.get("subject")
    alone = "patient" not in resource and "individual" not in resource
    if alone and type(named) is dict and named.get("reference") in context.own:  # the usual case, without parsing
        return True
    subject = subject_of(resource, context.base)
    if subject is None or subject[0] != "Patient":
        return None
    return subject[1] in context.patients


def head_of(piece: Piece, context: Context) -> Head:
    """Version and flaws; raises ShapeError if meta is broken, since a label could be lost in it."""
    resource = piece.resource
    meta = resource.get("meta")
    odd = piece.conflict or "modifierExtension" in resource or "implicitRules" in resource or "focus" in resource
    if not odd and type(meta) is dict and "security" not in meta and "tag" not in meta:  # the usual case
        version = meta.get("versionId")
        return Head(piece.reference, version if type(version) is str else _version(resource))
    flaws: list[Flaw] = []
    if resource.get("modifierExtension") or resource.get("implicitRules") or _about_another(resource, context):
        flaws.append(Flaw.MODIFIER)
    if piece.conflict:
        flaws.append(Flaw.CONFLICT)
    if meta is None:
        return Head(piece.reference, "", tuple(flaws)) if flaws else Head(piece.reference)
    if not isinstance(meta, dict):
        raise ShapeError("its meta is broken")
    if "security" in meta and _restricted(meta["security"], context.settings.allowed_labels):
        flaws.append(Flaw.RESTRICTED)
    if "tag" in meta and any(tag.get("code") == "SUBSETTED" for tag in items(meta["tag"])):
        flaws.append(Flaw.SUBSETTED)
    version = meta.get("versionId")
    return Head(piece.reference, version if type(version) is str else _version(resource), tuple(flaws) if flaws else ())


def _about_another(resource: Resource, context: Context) -> bool:
    """Whether the `focus` is, or may be, somebody else beside the patient of record, such as a fetus, a relative or a donor."""
    about = [target(one, context.base) for one in items(resource.get("focus"))]
    return any(one is None or one[0] in _SOMEBODY and one[1] not in context.patients for one in about)


def _restricted(labels: Any, allowed: frozenset[str]) -> bool:
    return any(_closed(string(label.get("system")), string(label.get("code")), allowed) for label in items(labels))


def _closed(system: str, code: str, allowed: frozenset[str]) -> bool:
    """Whether one label forbids use. R and V are read in the confidentiality system (any of its addresses), or in none."""
    if code in allowed or f"{system}|{code}" in allowed:
        return False
    confidential = not system or "onfidentiality" in system or system.endswith("2.16.840.1.113883.5.25")
    return code in _SENSITIVE or (code in _CONFIDENTIALITY and confidential)
