"""Concepts: names for sets of codes, read from mappings/concepts, and the analytes that laboratory concepts measure.

Code keys are `system|code` with the system's canonical URI (mappings/concepts/systems.csv lists names, URIs and aliases).
Only rows whose status is `verified` or `retired` may decide; the others mark a record as "code not verified".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import msgspec

from fhir_elig.code_systems import System, canonical_system, code_key, is_category, read_systems
from fhir_elig.concept_rows import DECIDING, Row, code_files, hierarchical, read_rows
from fhir_elig.concept_sets import Concept, Filing, Match, Memory, Names, conflicts
from fhir_elig.concept_tables import (
    ANSWERS,
    ROUTES,
    SetRow,
    broader_of,
    close,
    folded,
    read_equivalents,
    read_half_lives,
    read_sets,
    read_words,
)
from fhir_elig.errors import AuthoringError, Finding
from fhir_elig.quantity import Analyte
from fhir_elig.units import load_analytes

__all__ = ["SYSTEMIC_ROUTES", "Concept", "Concepts", "Match", "code_key", "folded", "load_concepts"]

SYSTEMIC_ROUTES = frozenset({"systemic", "oral", "intravenous", "intramuscular", "subcutaneous"})


class Concepts(msgspec.Struct, frozen=True, eq=False):
    """All concepts and analytes of a mapping, and the look-ups over them. `sha256` is that of the files they came from.

    `equivalents`: mg of a glucocorticoid that equal 5 mg prednisone, by code key; two where sources disagree. `routes`:
    code key or folded text (see `folded`) to a class of routes (`SYSTEMIC_ROUTES` reach the whole body). `answers`: code
    key or folded whole text to `negative`, `positive` or `unclear`. `trees` are the URIs of the hierarchical systems,
    `displays` the names of single codes, `ingredients` the names of what imported products hold. `half_lives`:
    hours by code key, the least and the most where they vary.
    """

    by_name: Mapping[str, Concept]
    analytes: Mapping[str, Analyte]
    sha256: str
    equivalents: Mapping[str, tuple[Fraction, ...]] = {}
    routes: Mapping[str, str] = {}
    answers: Mapping[str, str] = {}
    trees: frozenset[str] = frozenset()
    displays: Mapping[str, str] = {}
    ingredients: Mapping[str, str] = {}
    half_lives: Mapping[str, tuple[Fraction, ...]] = {}
    memory: Memory = Memory({}, frozenset())  # made anew for these concepts

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "memory", Memory(self.by_name, self.trees))

    def __reduce__(self) -> tuple[object, ...]:
        """What makes them again in another process: all but the answers given so far."""
        return Concepts, tuple(getattr(self, name) for name in self.__struct_fields__[:-1])

    def names_of(self, code: str) -> Names:
        """The concepts of a code key: those by rows that may decide, and those by rows that may not."""
        return self.memory.names_of(code)

    def held_by(self, codes: tuple[str, ...]) -> frozenset[str]:
        """The concepts that the codings of one record are in, by rows that may decide."""
        return self.memory.held_by(codes)

    def filed(self, codes: tuple[str, ...]) -> Filing:
        """The concepts under which a record of these codes is kept."""
        return self.memory.filed(codes)

    def match(self, codes: Iterable[str], names: frozenset[str]) -> Match:
        """What the codings of one record say about the union of the named concepts.

        One coding in the set is enough for YES. NO needs a coding that is known not to be in it, and none that may be.
        Raises KeyError for a name that is no concept (the lint of a protocol finds it first).
        """
        return self.memory.match(tuple(codes), names)

    def concept(self, name: str) -> Concept:
        """The concept of that name. Raises AuthoringError with the names that are close."""
        if name not in self.by_name:
            raise AuthoringError(f"there is no concept {name}", code="FE0205", where=name, fix=close(name, self.by_name))
        return self.by_name[name]

    def drug_names(self, codes: Iterable[str]) -> frozenset[str]:
        """The names of what these codes stand for, case folded: of a product the name of its ingredient."""
        found = (self.ingredients.get(code) or self.displays.get(code, "") for code in codes)
        return frozenset(name.casefold() for name in found if name)

    def expand(self, names: Iterable[str]) -> frozenset[str]:
        """The single codes of the named concepts, whatever their status, for a search; ranges and patterns are left out."""
        found: set[str] = set()
        for name in names:
            concept = self.concept(name)
            found |= (concept.codes | concept.unverified) - concept.ranged
        return frozenset(found)

    def describe(self, name: str) -> str:
        """The concept in one line of words."""
        concept = self.concept(name)
        parts = [f"{concept.title or name}: {len(concept.codes - concept.ranged)} codes"]
        parts += [f"{len(concept.unverified)} not verified"] if concept.unverified else []
        parts += [f"categories {', '.join(concept.ranges)}"] if concept.ranges else []
        parts += [f"measured as {concept.analyte}"] if concept.analyte else []
        parts += [f"complete in {', '.join(sorted(concept.complete))}"] if concept.complete else []
        return "; ".join(parts)

    def with_site(self, codes: Mapping[str, Sequence[str]], complete: Mapping[str, Sequence[str]]) -> Concepts:
        """These concepts with a site's local codes (`system|code` by concept) and the systems in which its sets are complete.

        Raises AuthoringError with all findings: an unknown concept, a code without a system or one that is mapped as
        something else, a completed system in which the concept has no code.
        """
        by_name = dict(self.by_name)
        findings = _unknown(codes, by_name, "codes") + _unknown(complete, by_name, "complete")
        for name in codes.keys() & by_name.keys():
            keys = frozenset(_site_keys(name, codes[name], findings))
            by_name[name] = msgspec.structs.replace(by_name[name], codes=by_name[name].codes | keys)
        for name in complete.keys() & by_name.keys():
            uris = frozenset(_site_systems(by_name[name], complete[name], findings))
            by_name[name] = msgspec.structs.replace(by_name[name], complete=by_name[name].complete | uris)
        merged = msgspec.structs.replace(self, by_name=by_name)
        findings += _conflicts(merged.memory, "FE0212", "codes")
        if findings:
            raise AuthoringError("the site file names codes that cannot be used", findings=findings)
        return merged


def _unknown(named: Iterable[str], by_name: Mapping[str, Concept], where: str) -> list[Finding]:
    return [
        Finding("FE0205", f"{where}.{name}", f"there is no concept {name}", close(name, by_name))
        for name in named
        if name not in by_name
    ]


def _site_keys(name: str, written: Sequence[str], findings: list[Finding]) -> Iterator[str]:
    for text in written:
        system, bar, code = text.partition("|")
        if system.strip() and bar and code.strip():
            yield code_key(system, code)
        else:
            findings.append(Finding("FE0212", f"codes.{name}", f"{text!r} is no code with its system", "write system|code"))


def _site_systems(concept: Concept, written: Sequence[str], findings: list[Finding]) -> Iterator[str]:
    for system in written:
        uri = canonical_system(system)
        if any(key.startswith(f"{uri}|") for key in concept.codes):
            yield uri
        else:
            why = f"{concept.name} has no code in {system}, so its set cannot be complete there"
            findings.append(Finding("FE0212", f"complete.{concept.name}", why, "map its codes under `codes`, or leave it out"))


def _conflicts(memory: Memory, code: str, where: str) -> list[Finding]:
    return [
        Finding(code, where, f"{key} is mapped as {one} and as {two}", "keep one of the two")
        for key, one, two in conflicts(memory)
    ]


def load_concepts(folder: Path) -> Concepts:
    """The concepts and analytes of a folder `mappings` (its `concepts` and `units`).

    Raises AuthoringError with every finding: files that cannot be read, rows of unknown concepts, systems or analytes.
    """
    concepts, findings = read_concepts(folder)
    findings += _conflicts(concepts.memory, "FE0211", "concepts")
    if findings:
        raise AuthoringError("the concept tables cannot be used", findings=findings)
    return concepts


def read_concepts(folder: Path) -> tuple[Concepts, list[Finding]]:
    """The concepts of a folder `mappings` as far as they can be read, and everything that is wrong with their rows."""
    tables, findings = folder / "concepts", list[Finding]()
    try:
        systems = {system.name: system for system in read_systems(tables / "systems.csv")}
    except (OSError, KeyError, ValueError, AttributeError):
        finding = Finding("FE0214", "systems.csv", "it is not there, or has other columns", "put the table there")
        raise AuthoringError(finding.why, findings=[finding]) from None
    analytes = load_analytes(folder / "units")
    sets = read_sets(tables / "sets.csv", findings)
    rows = [row for path in code_files(tables) for row in read_rows(path, findings)]
    findings += _row_findings(rows, sets, systems) + _analyte_findings(sets.values(), analytes)
    grouped: dict[str, list[Row]] = {name: [] for name in sets}
    for row in rows:
        grouped.setdefault(row.concept, []).append(row)
    by_name = {name: _concept(sets, name, grouped[name], systems) for name in sets}
    findings += _complete_findings(sets, by_name, systems)
    equivalents = read_equivalents(tables / "equivalents.csv", systems, findings)
    half_lives = read_half_lives(tables / "half-lives.csv", systems, findings)
    routes = read_words(tables / "routes.csv", "route", ROUTES, systems, findings)
    for row in rows:
        for key in row.keys(systems) if row.route or row.ingredient else ():
            _product(row, key, systems, routes, (equivalents, half_lives))
    answers = read_words(tables / "results.csv", "answer", ANSWERS, systems, findings)
    displays = {keys[0]: row.display for row in rows if row.display and len(keys := row.keys(systems)) == 1}
    held = {key: code_key(row.uri(systems), row.ingredient) for row in rows if row.ingredient for key in row.keys(systems)}
    ingredients = {key: displays[whole] for key, whole in held.items() if whole in displays}
    trees = hierarchical(systems)
    found = Concepts(by_name, analytes, digest(folder), equivalents, routes, answers, trees, displays, ingredients, half_lives)
    return found, findings


def _product(
    row: Row,
    key: str,
    systems: dict[str, System],
    routes: dict[str, str],
    of_ingredients: Iterable[dict[str, tuple[Fraction, ...]]],
) -> None:
    """An imported product has the route of its dose form, the equivalent and the half-life of its ingredient."""
    if row.route in ROUTES:
        routes[key] = row.route
    ingredient = code_key(row.uri(systems), row.ingredient)
    for known in of_ingredients:
        if ingredient in known:
            known[key] = known[ingredient]


def _row_findings(rows: Iterable[Row], sets: Mapping[str, SetRow], systems: dict[str, System]) -> list[Finding]:
    findings = []
    for row in rows:
        if row.concept not in sets:
            findings.append(Finding("FE0205", row.where, f"there is no concept {row.concept}", close(row.concept, sets)))
        if row.system not in systems and ":" not in row.system:
            findings.append(Finding("FE0211", row.where, f"there is no system {row.system}", close(row.system, systems)))
        elif not row.keys(systems):
            findings.append(Finding("FE0211", row.where, f"{row.code} is no range", "write A15-A19 or A15.0-A15.3"))
    return findings


def _analyte_findings(sets: Iterable[SetRow], analytes: Mapping[str, Analyte]) -> list[Finding]:
    return [
        Finding("FE0211", row.where, f"there is no analyte {row.analyte}", close(row.analyte, analytes))
        for row in sets
        if row.analyte and row.analyte not in analytes
    ]


def _complete_findings(
    sets: Mapping[str, SetRow], by_name: Mapping[str, Concept], systems: Mapping[str, System]
) -> list[Finding]:
    """A complete set without a code would make every code of the system a no: the concept or a broader one must have some."""
    findings = []
    for row in sets.values():
        family = [by_name[name] for name in (row.name, *broader_of(sets, row.name))]
        keys = frozenset[str]().union(*(concept.codes for concept in family))
        for name in row.complete:
            if name not in systems or not any(key.startswith(f"{systems[name].uri}|") for key in keys):
                why = f"{row.name} is said to be complete in {name} and has no code there"
                findings.append(Finding("FE0211", row.where, why, "add its codes, or take the system out of `complete`"))
    return findings


def _concept(sets: Mapping[str, SetRow], name: str, rows: Sequence[Row], systems: dict[str, System]) -> Concept:
    """One concept from its rows; a code that one row verifies is verified."""
    row = sets[name]
    deciding = frozenset(key for entry in rows if entry.status in DECIDING for key in entry.keys(systems))
    others = frozenset(key for entry in rows if entry.status not in DECIDING for key in entry.keys(systems))
    ranges = [entry for entry in rows if is_category(entry.code) and len(entry.keys(systems)) > 1]
    return Concept(
        name=name,
        codes=deciding,
        unverified=others - deciding,
        ranges=tuple(f"{entry.system}|{entry.code}" for entry in ranges),
        ranged=frozenset(key for entry in ranges for key in entry.keys(systems)),
        complete=frozenset(systems[system].uri for system in row.complete if system in systems),
        analyte=row.analyte,
        title=row.title,
        kind=row.kind,
        broader=broader_of(sets, name),
    )


def digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of all tables in `concepts` and `units`, in the order of their names."""
    total = hashlib.sha256()
    paths = {
        path.relative_to(folder).as_posix(): path for part in ("concepts", "units") for path in (folder / part).rglob("*.csv")
    }
    for name in sorted(paths):
        body = paths[name].read_bytes()
        total.update(f"{name}\0{len(body)}\0".encode())
        total.update(body)
    return total.hexdigest()
