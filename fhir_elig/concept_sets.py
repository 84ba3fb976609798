"""Sets of codes and what the codings of a record say about them: in the set, known not to be, or a gap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import combinations
from typing import NamedTuple, TypeVar

import msgspec

from fhir_elig.code_systems import shape_of

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm|"
REMEMBERED = 100_000  # answers kept before the memory is emptied
Key = TypeVar("Key")
Found = TypeVar("Found")


class Match(Enum):
    """What a record's codes say about a set of concepts."""

    YES = "yes"  # one coding is in the set, by a row that may decide
    UNVERIFIED = "unverified"  # one coding is in the set, but only by a row that may not decide
    NO = "no"  # known not to be: a code of a system where the set is complete, or known as something else
    GAP = "gap"  # cannot be told: text only, local code, a system where the set is not complete


class Concept(msgspec.Struct, frozen=True, kw_only=True):
    """A named set of codes.

    `codes` and `unverified` hold code keys; a key of a hierarchical system stands for all codes that begin with it.
    `complete` holds the system URIs in which the set is complete. A code that is only known as one of the `broader`
    concepts may or may not be meant: it is a gap, never a no.
    """

    name: str
    codes: frozenset[str]
    unverified: frozenset[str] = frozenset()
    ranges: tuple[str, ...] = ()  # as written: ICD10CM|A15-A19, ICD10PCS|3023?N
    ranged: frozenset[str] = frozenset()  # the code keys that come from ranges
    complete: frozenset[str] = frozenset()
    analyte: str = ""
    title: str = ""
    kind: str = ""
    broader: frozenset[str] = frozenset()


class Filing(NamedTuple):
    """The concepts that a record's codings are in, by rows that may decide and by others; whether they measure two things."""

    deciding: frozenset[str]
    doubtful: frozenset[str]
    mixed: bool


Names = tuple[frozenset[str], frozenset[str]]
NONE: frozenset[str] = frozenset()
_UNMAPPED, _NO, _RELATED, _UNVERIFIED, _YES = range(5)
_MATCHES = (Match.GAP, Match.NO, Match.GAP, Match.UNVERIFIED, Match.YES)


def remember(answers: dict[Key, Found], key: Key, found: Found) -> Found:
    """Keep an answer beside those given so far; when there are too many, they are forgotten first."""
    if len(answers) >= REMEMBERED:
        answers.clear()
    answers[key] = found
    return found


class Memory:
    """The look-ups over all concepts, made once, and the answers given so far. `trees` are the hierarchical systems."""

    def __init__(self, concepts: Mapping[str, Concept], trees: frozenset[str]) -> None:
        self.concepts = concepts
        self.trees = trees
        self.rows = _rows(concepts.values())
        self.above = _above(self.rows, trees)
        self.names: dict[str, Names] = {}
        self.held: dict[tuple[str, ...], frozenset[str]] = {}
        self.filings: dict[tuple[str, ...], Filing] = {}
        self.matches: dict[tuple[tuple[str, ...], frozenset[str]], Match] = {}

    def names_of(self, code: str) -> Names:
        """The concepts of a code key: those by rows that may decide, and those by rows that may not."""
        return self.names.get(code) or remember(self.names, code, self._look_up(code))

    def _look_up(self, code: str) -> Names:
        uri, bar, rest = code.partition("|")
        if uri not in self.trees or not _well_formed(uri, rest):
            return self.rows.get(code, (NONE, NONE))
        start = len(uri) + len(bar)
        found = [self.rows[code[:end]] for end in range(start + 1, start + len(rest) + 1) if code[:end] in self.rows]
        deciding = NONE.union(*(names for names, _ in found))
        return deciding, NONE.union(*(names for _, names in found)) - deciding

    def held_by(self, codes: tuple[str, ...]) -> frozenset[str]:
        """The concepts that codings of one record are in, by rows that may decide."""
        found = self.held.get(codes)
        if found is None:
            found = remember(self.held, codes, NONE.union(*(self.names_of(code)[0] for code in codes)))
        return found

    def filed(self, codes: tuple[str, ...]) -> Filing:
        """The concepts under which a record of these codes is kept."""
        found = self.filings.get(codes)
        if found is None:
            deciding = self.held_by(codes)
            doubtful = NONE.union(*(self.names_of(code)[1] for code in codes)) - deciding
            measured = {self.concepts[name].analyte or name for name in deciding}
            found = remember(self.filings, codes, Filing(deciding, doubtful, len(measured) > 1))
        return found

    def match(self, codes: tuple[str, ...], names: frozenset[str]) -> Match:
        """One coding in the set is enough for YES. NO needs one that is known not to be in it, and none that may be."""
        found = self.matches.get((codes, names))
        if found is None:
            best = max((self._rank(code, names) for code in codes), default=_UNMAPPED)
            found = remember(self.matches, (codes, names), _MATCHES[best])
        return found

    def _rank(self, code: str, names: frozenset[str]) -> int:
        deciding, unverified = self.names_of(code)
        if not deciding.isdisjoint(names):
            return _YES
        if not unverified.isdisjoint(names):
            return _UNVERIFIED
        asked = [self.concepts[name] for name in names]
        related = NONE.union(*(concept.broader for concept in asked))
        known = deciding | unverified
        if (known and known <= related) or not self.above.get(code, NONE).isdisjoint(names):
            return _RELATED
        return _NO if deciding - related or self._complete(code, asked) else _UNMAPPED

    def _complete(self, code: str, asked: Sequence[Concept]) -> bool:
        """Whether the code is a well-formed one of a system in which the set of every concept asked for is complete.

        Where the set of a broader concept is complete, so is this one: what is no transfusion is none of red cells.
        """
        uri, _, rest = code.partition("|")
        family = (self.concepts[name] for concept in asked for name in concept.broader)
        wide = {concept.name for concept in family if uri in concept.complete}
        return _well_formed(uri, rest) and all(uri in each.complete or not wide.isdisjoint(each.broader) for each in asked)


def _well_formed(uri: str, code: str) -> bool:
    """Whether this is one code of the system: a block such as `H60-H95` is none, and must not be read as its first category."""
    shape = shape_of(uri)
    return bool(code) if shape is None else shape.fullmatch(code) is not None


def _rows(concepts: Iterable[Concept]) -> dict[str, Names]:
    deciding: dict[str, set[str]] = {}
    unverified: dict[str, set[str]] = {}
    for concept in concepts:
        for keys, names in ((concept.codes, deciding), (concept.unverified, unverified)):
            for key in keys:
                names.setdefault(key, set()).add(concept.name)
    return {key: (frozenset(deciding.get(key, ())), frozenset(unverified.get(key, ()))) for key in deciding.keys() | unverified}


def _above(rows: Mapping[str, Names], trees: frozenset[str]) -> dict[str, frozenset[str]]:
    """For each proper prefix of a code in a hierarchical system: the concepts that have a code below it."""
    below: dict[str, set[str]] = {}
    for key, names in rows.items():
        uri, _, code = key.partition("|")
        if uri in trees:
            for end in range(1, len(code)):
                below.setdefault(f"{uri}|{code[:end].rstrip('.')}", set()).update(*names)
    return {key: frozenset(names) for key, names in below.items()}


def conflicts(memory: Memory) -> Iterator[tuple[str, str, str]]:
    """Code keys that decide for two concepts that exclude each other (of one kind, neither the broader of the other).

    An RxNorm product may hold two drugs, so its two concepts do not exclude each other.
    """
    for key in sorted(key for key in memory.rows if not key.startswith(RXNORM)):
        for one, two in combinations(sorted(memory.names_of(key)[0]), 2):
            first, second = memory.concepts[one], memory.concepts[two]
            if first.kind == second.kind and two not in first.broader and one not in second.broader:
                yield key, one, two
