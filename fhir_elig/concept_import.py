"""Rows of concept tables made from what others publish: RxNorm releases (RRF), FHIR ValueSets and ConceptMaps.

Each import gives rows with the columns of mappings/concepts; `rows_to_csv` writes them, `load_concepts` reads them from
mappings/concepts/imported. Nothing is guessed: a definition that only a terminology server can expand is refused.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from fhir_elig.code_systems import canonical_system, code_key, shipped
from fhir_elig.concept_rows import Row
from fhir_elig.concepts import SYSTEMIC_ROUTES, Concepts
from fhir_elig.errors import AuthoringError

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
DOSE_FORM = "urn:fhir-elig:rxnorm-dose-form"
# Term types from the pack down to the ingredient; a product is made of what stands lower.
LEVELS = {"BPCK": 6, "GPCK": 5, "SBD": 4, "SCD": 3, "SBDC": 2, "SCDC": 2, "MIN": 1, "PIN": 1, "IN": 0}
PRODUCTS = frozenset({"SCD", "SBD", "GPCK", "BPCK"})
LOCAL = "_local"  # a concept `<name>_local` holds the products of `<name>` that do not reach the whole body


class Drug:
    """One RxNorm concept: its term type, name, and the concepts that it is related to."""

    __slots__ = ("forms", "level", "name", "parts", "retired", "type")

    def __init__(self, type_: str, name: str, retired: bool) -> None:
        self.type, self.name, self.retired = type_, name, retired
        self.level = LEVELS.get(type_, -1)
        self.parts: set[str] = set()
        self.forms: set[str] = set()


def import_rxnorm(path: Path, concepts: Concepts) -> list[Row]:
    """Products (SCD, SBD, GPCK, BPCK) of the ingredients that the concepts know, from an RxNorm release.

    `path` is the release's folder or zip file (the Prescribable Content is enough): RXNCONSO.RRF and RXNREL.RRF. A product
    of a dose form for local use goes to the concept's `_local` twin, if there is one. An ingredient whose row was not verified
    is verified by the release if its name is the row's. Raises AuthoringError if a file is missing or is no RRF.
    """
    drugs = _read_drugs(path)
    _read_relations(path, drugs)
    ingredients = dict(_ingredients(drugs, concepts))
    source = f"RxNorm release {path.name}"
    rows = [_row(name, code, drugs[code], source) for code, names in ingredients.items() for name in names]
    for code, drug in drugs.items():
        if drug.type in PRODUCTS:
            rows += _product_rows(code, drugs, ingredients, concepts, source)
    if not rows:
        why = f"{path.name} has no product of a drug that the concepts know"
        raise AuthoringError(
            why, code="FE0211", where=path.name, fix="give a full release, or add the ingredients to medications.csv"
        )
    return rows


def _row(concept: str, code: str, drug: Drug, source: str, route: str = "", ingredient: str = "") -> Row:
    status = "retired" if drug.retired else "verified"
    return Row(
        concept=concept,
        system="RxNorm",
        code=code,
        display=drug.name,
        status=status,
        source=source,
        route=route,
        ingredient=ingredient,
    )


def _ingredients(drugs: Mapping[str, Drug], concepts: Concepts) -> Iterator[tuple[str, frozenset[str]]]:
    """Ingredients of the release with the medication concepts that know them by code, or by code and name if not verified."""
    for code, drug in drugs.items():
        if drug.level in (0, 1):
            key = code_key(RXNORM, code)
            deciding, unverified = concepts.names_of(key)
            confirmed = unverified if concepts.displays.get(key, "").casefold() == drug.name.casefold() else frozenset()
            known = frozenset(name for name in deciding | confirmed if concepts.by_name[name].kind == "medication")
            if known:
                yield code, known


def _product_rows(
    code: str, drugs: Mapping[str, Drug], ingredients: Mapping[str, frozenset[str]], concepts: Concepts, source: str
) -> Iterator[Row]:
    reached = _below(code, drugs)
    route = _route({form for part in (code, *reached) for form in drugs[part].forms}, concepts)
    for ingredient in sorted(reached & ingredients.keys()):
        for name in sorted(ingredients[ingredient]):
            local = bool(route) and route not in SYSTEMIC_ROUTES and name + LOCAL in concepts.by_name
            yield _row(name + LOCAL if local else name, code, drugs[code], source, route, ingredient)


def _below(code: str, drugs: Mapping[str, Drug]) -> frozenset[str]:
    """All concepts that a product is made of, over any number of steps down."""
    found: set[str] = set()
    open_codes = [code]
    while open_codes:
        upper = drugs[open_codes.pop()]
        lower = {part for part in upper.parts - found if 0 <= drugs[part].level < upper.level}
        found |= lower
        open_codes.extend(lower)
    return frozenset(found)


def _route(forms: Iterable[str], concepts: Concepts) -> str:
    """The one class of routes of all dose forms, or nothing if they differ or one says nothing (an injection)."""
    routes = {concepts.routes.get(code_key(DOSE_FORM, form), "") for form in forms}
    return routes.pop() if len(routes) == 1 else ""


def _read_drugs(path: Path) -> dict[str, Drug]:
    """RXNCONSO: RXCUI 0, SAB 11, TTY 12, STR 14, SUPPRESS 16; RxNorm's own names of the types that matter."""
    drugs: dict[str, Drug] = {}
    for cells in _lines(path, "RXNCONSO.RRF", 17):
        if cells[11] == "RXNORM" and (cells[12] in LEVELS or cells[12] == "DF"):
            drugs[cells[0]] = Drug(cells[12], cells[14], cells[16] == "O")
    return drugs


def _read_relations(path: Path, drugs: Mapping[str, Drug]) -> None:
    """RXNREL: RXCUI1 0, RXCUI2 4, SAB 10. Each relation stands there in both directions; the term types tell which is whole."""
    for cells in _lines(path, "RXNREL.RRF", 11):
        one, two = drugs.get(cells[0]), drugs.get(cells[4])
        if cells[10] != "RXNORM" or one is None or two is None:
            continue
        for whole, part, code in ((one, two, cells[4]), (two, one, cells[0])):
            if part.type == "DF":
                whole.forms.add(part.name)
            elif part.level < whole.level:
                whole.parts.add(code)


def _lines(path: Path, name: str, width: int) -> Iterator[list[str]]:
    with _open(path, name) as file:
        for number, line in enumerate(file, 1):
            cells = line.rstrip("\r\n").split("|")
            if len(cells) < width:
                where = f"{name}:{number}"
                raise AuthoringError(
                    f"{where} has {len(cells)} fields", code="FE0211", where=where, fix="use the release as it is"
                )
            yield cells


@contextmanager
def _open(path: Path, name: str) -> Iterator[TextIO]:
    """The file of that name in a folder or zip file, wherever it lies."""
    try:
        if path.is_dir():
            with next(iter(sorted(path.rglob(name)))).open(encoding="utf-8") as file:
                yield file
        else:
            with zipfile.ZipFile(path) as archive:
                member = next(entry for entry in archive.namelist() if entry.rsplit("/", 1)[-1] == name)
                with archive.open(member) as raw:
                    yield io.TextIOWrapper(raw, encoding="utf-8")
    except (OSError, StopIteration, RuntimeError, UnicodeDecodeError, zipfile.BadZipFile, zlib.error) as problem:
        why = f"{path.name} holds no readable {name}"
        raise AuthoringError(why, code="FE0214", where=path.name, fix="give the folder or zip of an RxNorm release") from problem


def import_valueset(resource: Mapping[str, Any], concept: str, concepts: Concepts) -> list[Row]:
    """The codes of a FHIR ValueSet as rows of one concept: its expansion, else the codes that it lists.

    Raises AuthoringError for an unknown concept, an expansion that is not whole, or a definition by filter or reference.
    """
    concepts.concept(concept)
    source = _source(resource, "ValueSet")
    found = list(_expanded(resource["expansion"]) if "expansion" in resource else _composed(resource.get("compose", {})))
    if not found:
        raise _refuse("it lists no codes", "expand it at a terminology server first")
    return [
        Row(
            concept=concept,
            system=_system_name(_text(entry, "system")),
            code=_text(entry, "code"),
            display=str(entry.get("display") or ""),
            status="retired" if entry.get("inactive") is True else "verified",
            source=source,
        )
        for entry in found
    ]


def _expanded(expansion: Any) -> Iterator[Mapping[str, Any]]:
    entries = list(_flat(expansion))
    total = expansion.get("total")
    if expansion.get("extension") or expansion.get("offset") or (isinstance(total, int) and total > len(entries)):
        of = "more" if total is None else total
        raise _refuse(f"its expansion is not whole: {len(entries)} codes of {of}", "expand it without limit, count or offset")
    return (entry for entry in entries if entry.get("abstract") is not True)


def _flat(entry: Any) -> Iterator[Mapping[str, Any]]:
    for part in _items(entry, "contains"):
        yield part
        yield from _flat(part)


def _composed(compose: Any) -> Iterator[Mapping[str, Any]]:
    if _items(compose, "exclude"):
        raise _refuse("it excludes codes", "expand it at a terminology server first")
    for include in _items(compose, "include"):
        if include.get("filter") or include.get("valueSet") or not include.get("concept"):
            why = "it is defined by a filter, another value set or a whole system"
            raise _refuse(why, "expand it at a terminology server first")
        for entry in _items(include, "concept"):
            yield {**entry, "system": include.get("system")}


def _items(entry: Any, key: str) -> list[Mapping[str, Any]]:
    """The objects under a key; none if it is not there. Raises AuthoringError if something else stands there."""
    found = entry.get(key, []) if isinstance(entry, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(part, Mapping) for part in found):
        raise _refuse(f"{key} is not a list of objects", "give FHIR JSON as the server sent it")
    return found


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _refuse(f"an entry has no {key}", "name system and code of every entry")
    return value


def import_conceptmap(resource: Mapping[str, Any], concepts: Concepts) -> list[Row]:
    """Local codes of a FHIR ConceptMap as rows: mapped to our concepts by name, or to codes that our concepts know.

    A target in a system that ends in `/CodeSystem/concept` is a concept's name. Only equal and equivalent targets (R4
    `equivalence`, R5 `relationship`) decide; looser ones give rows that are not verified, and denied ones none. Raises
    AuthoringError if nothing can be used.
    """
    source = _source(resource, "ConceptMap")
    rows = [row for group in _items(resource, "group") for row in _group_rows(group, concepts, source)]
    if not rows:
        raise _refuse("it maps no code to something that the concepts know", "map to our concepts or to codes of the tables")
    return rows


_SAME = frozenset({"equal", "equivalent"})
_DENIED = frozenset({"unmatched", "disjoint", "not-related-to"})


def _group_rows(group: Mapping[str, Any], concepts: Concepts, source: str) -> Iterator[Row]:
    local, target_system = _text(group, "source"), _text(group, "target")
    for element in _items(group, "element"):
        for target in _items(element, "target"):
            relation = str(target.get("equivalence") or target.get("relationship") or "")
            if relation in _DENIED or "code" not in target:
                continue
            for name in sorted(_targets(target_system, _text(target, "code"), concepts)):
                yield Row(
                    concept=name,
                    system=_system_name(local),
                    code=_text(element, "code"),
                    display=str(element.get("display") or target.get("display") or ""),
                    status="verified" if relation in _SAME else "unverified",
                    source=source,
                )


def _targets(system: str, code: str, concepts: Concepts) -> frozenset[str]:
    if system.rstrip("/").endswith("/CodeSystem/concept"):
        return frozenset({concepts.concept(code).name})
    return concepts.names_of(code_key(system, code))[0]


def _source(resource: Mapping[str, Any], resource_type: str) -> str:
    """The resource's own name with its version. Raises AuthoringError if it is of another type."""
    if resource.get("resourceType") != resource_type:
        raise _refuse(f"it is a {resource.get('resourceType') or 'file without resourceType'}", f"give a FHIR {resource_type}")
    name = resource.get("url") or resource.get("name") or resource.get("id") or resource_type
    return f"{name}|{resource['version']}" if resource.get("version") else str(name)


def _system_name(uri: str) -> str:
    """The name of systems.csv for a URI, or the URI."""
    canonical = canonical_system(uri)
    return next((system.name for system in shipped().values() if system.uri == canonical), canonical)


def _refuse(why: str, fix: str) -> AuthoringError:
    return AuthoringError(why, code="FE0211", fix=fix)
