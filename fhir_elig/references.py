"""FHIR references: which resource a text such as `Patient/1` names, and whose a resource is.

Addresses are parsed, never compared as text. Nothing here is ever fetched.
Grammar: FHIR R4 and R5, References (Reference.reference); ids with `_` are read too, since servers in use send them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

_is_id = re.compile(r"(?!\.+\Z)[A-Za-z0-9\-._]{1,64}").fullmatch
_is_type = re.compile(r"[A-Z][A-Za-z]{1,63}").fullmatch
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST = 2048
_SUBJECTS = ("subject", "patient", "individual")

Place = tuple[str, str, int | None, str]


def is_id(text: object) -> bool:
    """Whether it is a text that may stand in an address as an id (so never a path, never `..`)."""
    return type(text) is str and _is_id(text) is not None


def is_type(text: object) -> bool:
    """Whether it has the form of a resource type's name."""
    return type(text) is str and _is_type(text) is not None


@lru_cache(maxsize=8192)
def parse_reference(text: str, base: str | None = None) -> tuple[str, str, str] | None:
    """(type, id, version or "") of a literal reference.

    None for what cannot be resolved: another server's address, `#contained`, `urn:`, a search, no reference at all.

    >>> parse_reference("https://ehr.example/fhir/Patient/1/_history/3", "https://EHR.example:443/fhir/")
    ('Patient', '1', '3')
    """
    if len(text) > _LONGEST or not text.isprintable() or " " in text:
        return None
    path = _below(text, base) if ":" in text.partition("/")[0] else text
    parts = path.split("/") if path else []
    if len(parts) == 4 and parts[2] == "_history" and is_id(parts[3]):
        version = parts[3]
    elif len(parts) == 2:
        version = ""
    else:
        return None
    return (parts[0], parts[1], version) if is_type(parts[0]) and is_id(parts[1]) else None


def _below(text: str, base: str | None) -> str | None:
    """The path of an absolute address below the base; None if it lies elsewhere."""
    address, own = _place(text), _place(base) if base else None
    if address is None or own is None or address[:3] != own[:3]:
        return None
    prefix = own[3].rstrip("/") + "/"
    return address[3][len(prefix) :] if address[3].startswith(prefix) else None


def _place(text: str) -> Place | None:
    """Scheme, host, port and path; None if it is no plain http address."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        return None
    return parts.scheme, parts.hostname, port or default, parts.path


def target(reference: Any, base: str | None = None) -> tuple[str, str] | None:
    """(type, id) of a Reference element; None if it is broken, logical (identifier only) or cannot be resolved."""
    text = reference.get("reference") if isinstance(reference, dict) else None
    parsed = parse_reference(text, base) if type(text) is str else None
    return None if parsed is None else parsed[:2]


def subject_of(resource: dict[str, Any], base: str | None = None) -> tuple[str, str] | None:
    """(type, id) of whom a resource is about: its subject, patient or individual; a Patient is about itself.

    None if it names nobody, cannot be resolved, or names two at once.
    """
    if resource.get("resourceType") == "Patient":
        identity = resource.get("id")
        return ("Patient", identity) if type(identity) is str and is_id(identity) else None
    found = {target(resource[name], base) for name in _SUBJECTS if name in resource}
    return found.pop() if len(found) == 1 else None
