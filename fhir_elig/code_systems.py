"""Code systems: canonical URIs, their aliases, and the one form in which each writes its codes.

The table is mappings/concepts/systems.csv. ICD-10 codes are known dotted and dot-less, with daggers and trailing dashes;
their key is dotted upper case. In a hierarchical system (ICD-10, ATC, ICD-10-PCS) a category stands for all codes that
begin with it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import msgspec

from fhir_elig.places import mapping_root

LONGEST = 400  # characters of a code or system that are worth remembering


class System(msgspec.Struct, frozen=True):
    """One code system. `hierarchy` is `icd10`, `prefix` or empty; `shape` is what a well-formed code looks like."""

    name: str
    uri: str
    aliases: tuple[str, ...] = ()
    hierarchy: str = ""
    shape: str = ""
    upper: bool = False


@lru_cache(maxsize=1)
def shipped() -> Mapping[str, System]:
    """The systems of mappings/concepts/systems.csv by name."""
    return MappingProxyType({system.name: system for system in read_systems(mapping_root() / "concepts" / "systems.csv")})


def read_systems(path: Path) -> list[System]:
    """The rows of a systems.csv: name, uri, aliases (by blanks), hierarchy, shape, upper (yes or empty)."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            System(row["name"], row["uri"], tuple(row["aliases"].split()), row["hierarchy"], row["shape"], row["upper"] == "yes")
            for row in csv.DictReader(file)
        ]


@lru_cache(maxsize=1)
def _by_uri() -> dict[str, System]:
    """Systems by the folded form of each of their URIs."""
    return {fold_uri(uri): system for system in shipped().values() for uri in (system.uri, *system.aliases)}


def fold_uri(uri: str) -> str:
    """A URI without what senders vary: case, https for http, slashes at the end, `urn:oid:` before an OID."""
    folded = uri.strip().casefold().rstrip("/")
    if folded.startswith("https://"):
        folded = "http://" + folded[8:]
    return folded.removeprefix("urn:oid:")


@lru_cache(maxsize=4_096)
def system_of(uri: str) -> System | None:
    """The system that has this URI or alias, or None."""
    return _by_uri().get(fold_uri(uri))


def canonical_system(uri: str) -> str:
    """The canonical URI; an unknown one as it is, without blanks around it."""
    system = system_of(uri) if len(uri) <= LONGEST else None
    return system.uri if system else uri.strip()


def system_uris(uri: str) -> tuple[str, ...]:
    """Every URI under which the system of `uri` is sent, the canonical one first: what a search by token has to ask for."""
    system = system_of(uri)
    return (system.uri, *system.aliases) if system else (uri,)


def code_key(system: str, code: str) -> str:
    """`system|code` with the system's canonical URI; aliases (OIDs, old URIs, trailing slashes) become the canonical one.

    >>> code_key("http://hl7.org/fhir/sid/icd-10-cm/", "a419")
    'http://hl7.org/fhir/sid/icd-10-cm|A41.9'
    """
    if len(code) > LONGEST or len(system) > LONGEST:
        return f"{system.strip()}|{code.strip()}"
    return _code_key(system, code)


@lru_cache(maxsize=16_384)
def _code_key(uri: str, code: str) -> str:
    system = system_of(uri)
    return f"{uri.strip()}|{code.strip()}" if system is None else f"{system.uri}|{normal_code(system, code)}"


_ICD10 = re.compile(r"([A-Z][0-9][0-9A-Z])\.?([0-9A-Z]*)")


def normal_code(system: System, code: str) -> str:
    """The one form of a code in its system."""
    code = code.strip()
    if system.upper:
        code = code.upper()
    if system.hierarchy != "icd10":
        return code
    match = _ICD10.fullmatch(code.rstrip(" -.+*!#†‡"))
    if match is None:
        return code
    category, rest = match.groups()
    return f"{category}.{rest}" if rest else category


_RANGE = re.compile(r"(.*?)([0-9]+)")
_ALPHABET = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # of ICD-10-PCS, which knows neither I nor O


def is_category(code: str) -> bool:
    """Whether a mapping row names a range (`A15-A19`) or a pattern (`3023?N`) and not one code."""
    return "-" in code or "?" in code


def expand_category(code: str) -> tuple[str, ...]:
    """The prefixes that a range or pattern of a hierarchical system stands for; none if it cannot be read.

    >>> expand_category("A15-A17")
    ('A15', 'A16', 'A17')
    """
    if "?" in code:
        head, _, tail = code.partition("?")
        return tuple(prefix for letter in _ALPHABET for prefix in expand_category(head + letter + tail))
    first, dash, last = code.partition("-")
    if not dash:
        return (code,)
    one, two = _RANGE.fullmatch(first), _RANGE.fullmatch(last)
    if one is None or two is None or one[1][:-1] != two[1][:-1] or len(first) != len(last):
        return ()
    return _count(one[1], int(one[2]), two[1], int(two[2]), len(one[2]))


def _count(letter: str, low: int, last_letter: str, high: int, width: int) -> tuple[str, ...]:
    """Codes in order from letter and number to letter and number: `A98` to `B02` passes `A99` and `B00`."""
    if letter == last_letter:
        return tuple(f"{letter}{number:0{width}}" for number in range(low, high + 1))
    stem, begin, end = letter[:-1], ord(letter[-1:]), ord(last_letter[-1:])
    spans = [(code, low if code == begin else 0, high if code == end else 10**width - 1) for code in range(begin, end + 1)]
    return tuple(f"{stem}{chr(code)}{number:0{width}}" for code, start, stop in spans for number in range(start, stop + 1))


@lru_cache(maxsize=64)
def shape_of(uri: str) -> re.Pattern[str] | None:
    """What a code of the system looks like in full, as a pattern; None if the table does not say."""
    system = system_of(uri)
    return re.compile(system.shape) if system and system.shape else None
