"""Concepts: names for sets of codes, read from mappings/concepts, and the analytes that laboratory concepts measure.

Code keys are `system|code` with the system's canonical URI (mappings/concepts/systems.csv lists names, URIs and aliases).
Only rows whose status is `verified` or `retired` may decide; the others mark a record as "code not verified".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

import msgspec

from fhir_elig.quantity import Analyte


class Match(Enum):
    """What a record's codes say about a set of concepts."""

    YES = "yes"  # one coding is in the set, by a row that may decide
    UNVERIFIED = "unverified"  # one coding is in the set, but only by a row that may not decide
    NO = "no"  # known not to be: a code of a system where the set is complete, or known as something else
    GAP = "gap"  # cannot be told: text only, local code, a system where the set is not complete


class Concept(msgspec.Struct, frozen=True, kw_only=True):
    """A named set of codes. `complete` holds the system URIs in which the set is complete."""

    name: str
    codes: frozenset[str]
    unverified: frozenset[str] = frozenset()
    ranges: tuple[str, ...] = ()  # as written: ICD10CM|A15-A19, ATC|L03AA
    complete: frozenset[str] = frozenset()
    analyte: str = ""


class Concepts(msgspec.Struct, frozen=True):
    """All concepts and analytes of a mapping, and the look-ups over them. `sha256` is that of the files they came from."""

    by_name: Mapping[str, Concept]
    analytes: Mapping[str, Analyte]
    sha256: str

    def names_of(self, code: str) -> tuple[frozenset[str], frozenset[str]]:
        """The concepts of a code key: those by rows that may decide, and those by rows that may not."""
        raise NotImplementedError

    def match(self, codes: Iterable[str], names: frozenset[str]) -> Match:
        raise NotImplementedError


def code_key(system: str, code: str) -> str:
    """`system|code` with the system's canonical URI; aliases (OIDs, old URIs, trailing slashes) become the canonical one."""
    raise NotImplementedError
