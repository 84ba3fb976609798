"""Imports: small invented releases, value sets and maps become rows that the concepts read."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from fhir_elig.code_systems import code_key, shipped
from fhir_elig.concept_import import import_conceptmap, import_rxnorm, import_valueset
from fhir_elig.concept_rows import Row, rows_to_csv
from fhir_elig.concepts import Concepts, Match, load_concepts
from fhir_elig.errors import AuthoringError
from fhir_elig.places import mapping_root

CONCEPTS = load_concepts(mapping_root())
RXNORM = shipped()["RxNorm"].uri
LOCAL = "http://hospital.example/codes"


def drug(code: str, type_: str, name: str, source: str = "RXNORM", suppress: str = "N") -> str:
    return f"{code}|ENG||||||1|||{code}|{source}|{type_}|{code}|{name}||{suppress}|4096|"


def relation(one: str, two: str, kind: str, source: str = "RXNORM") -> str:
    return f"{one}||CUI|RO|{two}||CUI|{kind}|1||{source}|{source}||||"


DRUGS = [
    drug("8640", "IN", "prednisone"),
    drug("711942", "IN", "eltrombopag"),
    drug("2393", "IN", "not that drug"),
    drug("5492", "IN", "hydrocortisone"),
    drug("6851", "IN", "methotrexate"),
    drug("161", "IN", "acetaminophen"),
    drug("9001", "SCDC", "prednisone 5 MG"),
    drug("9002", "SCD", "prednisone 5 MG Oral Tablet"),
    drug("9003", "SBD", "prednisone 5 MG Oral Tablet [Invented]"),
    drug("9004", "GPCK", "{21 (prednisone 5 MG Oral Tablet) } Pack"),
    drug("9005", "BPCK", "{21 (prednisone 5 MG Oral Tablet) } Pack [Invented]"),
    drug("9006", "SCD", "eltrombopag 25 MG Oral Tablet"),
    drug("9007", "SCD", "hydrocortisone 10 MG/ML Topical Cream", suppress="O"),
    drug("9008", "SCD", "hydrocortisone 100 MG Injection"),
    drug("9009", "SCD", "acetaminophen 325 MG Oral Tablet"),
    drug("9010", "PIN", "hydrocortisone sodium succinate"),
    drug("9011", "SCD", "hydrocortisone / methotrexate Kit"),
    drug("9012", "SCD", "somebody else's row", source="MTHSPL"),
    drug("9013", "BN", "Invented"),
    drug("9101", "DF", "Oral Tablet"),
    drug("9102", "DF", "Topical Cream"),
    drug("9103", "DF", "Injection"),
    drug("9104", "DF", "Kit"),
]
RELATIONS = [
    relation("8640", "9001", "has_ingredient"),
    relation("9001", "8640", "ingredient_of"),
    relation("9001", "9002", "consists_of"),
    relation("9002", "9003", "tradename_of"),
    relation("9004", "9002", "contained_in"),
    relation("9005", "9003", "contained_in"),
    relation("9005", "9004", "has_tradename"),
    relation("9002", "9101", "dose_form_of"),
    relation("9003", "9101", "dose_form_of"),
    relation("711942", "9006", "has_ingredient"),
    relation("9006", "9101", "dose_form_of"),
    relation("5492", "9007", "has_ingredient"),
    relation("9102", "9007", "has_dose_form"),
    relation("9010", "9008", "has_precise_ingredient"),
    relation("5492", "9010", "has_form"),
    relation("9103", "9008", "has_dose_form"),
    relation("161", "9009", "has_ingredient"),
    relation("5492", "9011", "has_ingredient"),
    relation("6851", "9011", "has_ingredient"),
    relation("9011", "9101", "dose_form_of"),
    relation("9011", "9104", "dose_form_of"),
    relation("8640", "9013", "has_tradename"),
    relation("8640", "404", "has_ingredient"),
    relation("8640", "9009", "has_ingredient", source="OTHER"),
]


def release(folder: Path, drugs: Iterable[str] = DRUGS, relations: Iterable[str] = RELATIONS) -> Path:
    target = folder / "RxNorm_prescribe_01012026" / "rrf"
    target.mkdir(parents=True)
    (target / "RXNCONSO.RRF").write_text("\n".join(drugs) + "\n", encoding="utf-8")
    (target / "RXNREL.RRF").write_text("\n".join(relations) + "\n", encoding="utf-8")
    return target.parent


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.RRF")):
            archive.write(file, f"rrf/{file.name}")
    return path


def with_rows(tmp_path: Path, rows: Iterable[Row]) -> Concepts:
    """The shipped tables with these rows as an imported one."""
    folder = tmp_path / "mappings"
    shutil.copytree(mapping_root() / "concepts", folder / "concepts")
    shutil.copytree(mapping_root() / "units", folder / "units")
    (folder / "concepts" / "imported").mkdir()
    (folder / "concepts" / "imported" / "mine.csv").write_text(rows_to_csv(rows), encoding="utf-8")
    return load_concepts(folder)


def facts(rows: Iterable[Row]) -> set[tuple[str, str, str, str, str]]:
    return {(row.code, row.concept, row.status, row.route, row.ingredient) for row in rows}


EXPECTED = {
    ("8640", "glucocorticoid", "verified", "", ""),
    ("5492", "glucocorticoid", "verified", "", ""),
    ("6851", "methotrexate", "verified", "", ""),
    ("711942", "growth_factor_platelet", "verified", "", ""),
    ("9002", "glucocorticoid", "verified", "oral", "8640"),
    ("9003", "glucocorticoid", "verified", "oral", "8640"),
    ("9004", "glucocorticoid", "verified", "oral", "8640"),
    ("9005", "glucocorticoid", "verified", "oral", "8640"),
    ("9006", "growth_factor_platelet", "verified", "oral", "711942"),
    ("9007", "glucocorticoid_local", "retired", "topical", "5492"),
    ("9008", "glucocorticoid", "verified", "", "5492"),
    ("9011", "glucocorticoid", "verified", "", "5492"),
    ("9011", "methotrexate", "verified", "", "6851"),
}


def test_a_release_gives_the_products_of_the_known_ingredients(tmp_path: Path) -> None:
    rows = import_rxnorm(release(tmp_path), CONCEPTS)
    assert facts(rows) == EXPECTED
    assert {row.source for row in rows} == {"RxNorm release RxNorm_prescribe_01012026"}


def test_a_zip_file_gives_the_same_as_its_folder(tmp_path: Path) -> None:
    folder = release(tmp_path)
    assert facts(import_rxnorm(zipped(folder), CONCEPTS)) == facts(import_rxnorm(folder, CONCEPTS))


def test_both_directions_of_a_relation_say_the_same(tmp_path: Path) -> None:
    turned = ["|".join([c[4], *c[1:4], c[0], *c[5:]]) for c in (line.split("|") for line in RELATIONS)]
    assert facts(import_rxnorm(release(tmp_path, relations=turned), CONCEPTS)) == EXPECTED


def test_imported_products_match_with_route_and_equivalent(tmp_path: Path) -> None:
    concepts = with_rows(tmp_path, import_rxnorm(release(tmp_path), CONCEPTS))
    tablet, cream = code_key(RXNORM, "9002"), code_key(RXNORM, "9007")
    steroid = frozenset({"glucocorticoid"})
    assert CONCEPTS.match([tablet], steroid) is Match.GAP
    assert concepts.match([tablet], steroid) is Match.YES
    assert concepts.match([cream], steroid) is Match.NO
    assert (concepts.routes[tablet], concepts.routes[cream]) == ("oral", "topical")
    assert concepts.equivalents[tablet] == (Fraction(5),)
    assert code_key(RXNORM, "9006") not in concepts.equivalents
    assert concepts.sha256 != CONCEPTS.sha256


def test_a_claimed_ingredient_is_verified_by_a_release_that_gives_it_the_same_name(tmp_path: Path) -> None:
    key = code_key(RXNORM, "711942")
    assert CONCEPTS.match([key], frozenset({"growth_factor_platelet"})) is Match.UNVERIFIED
    concepts = with_rows(tmp_path, import_rxnorm(release(tmp_path), CONCEPTS))
    assert concepts.match([key], frozenset({"growth_factor_platelet"})) is Match.YES
    assert concepts.match([code_key(RXNORM, "2393")], frozenset({"antimalarial"})) is Match.UNVERIFIED


def test_rows_are_written_the_same_whatever_their_order(tmp_path: Path) -> None:
    rows = import_rxnorm(release(tmp_path), CONCEPTS)
    assert rows_to_csv(rows) == rows_to_csv([*reversed(rows), rows[0]])


def test_a_release_without_a_known_drug_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuthoringError, match="no product of a drug that the concepts know"):
        import_rxnorm(release(tmp_path, [drug("161", "IN", "acetaminophen")], [relation("161", "161", "x")]), CONCEPTS)


def test_a_file_that_is_no_release_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("no zip", encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    for name in ("empty", "text.zip", "other.zip", "absent.zip"):
        with pytest.raises(AuthoringError, match=r"holds no readable RXNCONSO\.RRF") as caught:
            import_rxnorm(tmp_path / name, CONCEPTS)
        assert caught.value.code == "FE0214"


def test_a_cut_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuthoringError) as caught:
        import_rxnorm(release(tmp_path, [*DRUGS, "9|ENG"]), CONCEPTS)
    assert caught.value.findings[0].where == f"RXNCONSO.RRF:{len(DRUGS) + 1}"


# --- value sets


def valueset(**parts: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "url": "http://hospital.example/ValueSet/x", "version": "2", **parts}


def test_an_expansion_gives_its_codes_at_any_depth(tmp_path: Path) -> None:
    contains = [
        {
            "system": "http://snomed.info/sct",
            "abstract": True,
            "code": "1",
            "contains": [{"system": LOCAL, "code": "A", "display": "Apheresis"}],
        },
        {"system": "http://snomed.info/sct", "code": "77257005", "display": "Leukapheresis", "inactive": True},
    ]
    rows = import_valueset(valueset(expansion={"total": 3, "contains": contains}), "leukapheresis", CONCEPTS)
    assert [(row.system, row.code, row.status) for row in rows] == [(LOCAL, "A", "verified"), ("SNOMED", "77257005", "retired")]
    assert {row.source for row in rows} == {"http://hospital.example/ValueSet/x|2"}
    concepts = with_rows(tmp_path, rows)
    wanted = frozenset({"leukapheresis"})
    assert concepts.match([f"{LOCAL}|A"], wanted) is Match.YES
    assert concepts.match(["http://snomed.info/sct|77257005"], wanted) is Match.YES


def test_listed_codes_are_taken_as_they_are() -> None:
    include = [{"system": "http://hl7.org/fhir/sid/icd-10-pcs", "concept": [{"code": "6A550Z1"}]}]
    (row,) = import_valueset(valueset(version=None, compose={"include": include}), "leukapheresis", CONCEPTS)
    assert (row.system, row.code, row.display, row.source) == ("ICD10PCS", "6A550Z1", "", "http://hospital.example/ValueSet/x")


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({}, "it lists no codes"),
        ({"expansion": {"contains": []}}, "it lists no codes"),
        ({"expansion": {"total": 2, "contains": [{"system": LOCAL, "code": "A"}]}}, "1 codes of 2"),
        ({"expansion": {"offset": 100, "contains": [{"system": LOCAL, "code": "A"}]}}, "not whole"),
        ({"expansion": {"extension": [{"url": "x"}], "contains": [{"system": LOCAL, "code": "A"}]}}, "not whole"),
        ({"expansion": {"contains": [{"code": "A"}]}}, "an entry has no system"),
        ({"expansion": {"contains": [{"system": LOCAL, "code": " "}]}}, "an entry has no code"),
        ({"expansion": {"contains": "A"}}, "contains is not a list of objects"),
        ({"expansion": {"contains": ["A"]}}, "contains is not a list of objects"),
        ({"expansion": "A"}, "contains is not a list of objects"),
        ({"compose": {"include": [{"system": LOCAL}]}}, "a whole system"),
        ({"compose": {"include": [{"system": LOCAL, "filter": [{"op": "is-a"}]}]}}, "a filter"),
        ({"compose": {"include": [{"valueSet": ["http://x"]}]}}, "another value set"),
        (
            {"compose": {"include": [{"system": LOCAL, "concept": [{"code": "A"}]}], "exclude": [{"system": LOCAL}]}},
            "excludes codes",
        ),
        ({"resourceType": "CodeSystem"}, "it is a CodeSystem"),
        ({"resourceType": None}, "it is a file without resourceType"),
    ],
)
def test_a_value_set_that_cannot_be_read_whole_is_refused(parts: dict[str, Any], why: str) -> None:
    with pytest.raises(AuthoringError, match=why):
        import_valueset({**valueset(), **parts}, "leukapheresis", CONCEPTS)


def test_a_value_set_for_an_unknown_concept_is_refused() -> None:
    with pytest.raises(AuthoringError) as caught:
        import_valueset(valueset(), "leukaferesis", CONCEPTS)
    assert "did you mean leukapheresis" in caught.value.findings[0].fix


# --- concept maps


def conceptmap(*groups: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "ConceptMap", "name": "local", "group": list(groups)}


def group(target: str, *elements: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    entries = [
        {"code": code, "display": f"local {code}", "target": [{"code": to, **relation}]} for code, to, relation in elements
    ]
    return {"source": LOCAL, "target": target, "element": entries}


EQUIVALENT, LOOSE, DENIED = {"equivalence": "equivalent"}, {"equivalence": "relatedto"}, {"equivalence": "unmatched"}


def test_a_map_to_our_concepts_and_one_to_known_codes_both_work(tmp_path: Path) -> None:
    rows = import_conceptmap(
        conceptmap(
            group("https://example.org/fhir-elig/CodeSystem/concept", ("MRSS", "mrss", EQUIVALENT)),
            group("http://loinc.org", ("HB", "718-7", {"relationship": "equivalent"}), ("XX", "1-8", EQUIVALENT)),
        ),
        CONCEPTS,
    )
    assert {(row.concept, row.system, row.code, row.status, row.source) for row in rows} == {
        ("mrss", LOCAL, "MRSS", "verified", "local"),
        ("hemoglobin", LOCAL, "HB", "verified", "local"),
    }
    concepts = with_rows(tmp_path, rows)
    assert concepts.match([f"{LOCAL}|HB"], frozenset({"hemoglobin"})) is Match.YES


def test_a_loose_target_does_not_decide_and_a_denied_one_is_no_row() -> None:
    resource = conceptmap(group("http://loinc.org", ("HB", "718-7", LOOSE), ("HC", "718-7", {}), ("HD", "718-7", DENIED)))
    assert {(row.code, row.status) for row in import_conceptmap(resource, CONCEPTS)} == {
        ("HB", "unverified"),
        ("HC", "unverified"),
    }


def test_the_display_of_the_target_stands_in_for_a_missing_one() -> None:
    element = {"code": "HB", "target": [{"code": "718-7", "display": "Hemoglobin", **EQUIVALENT}, {"equivalence": "equal"}]}
    (row,) = import_conceptmap(conceptmap({"source": LOCAL, "target": "http://loinc.org", "element": [element]}), CONCEPTS)
    assert row.display == "Hemoglobin"


@pytest.mark.parametrize(
    ("resource", "why"),
    [
        (conceptmap(), "maps no code"),
        (conceptmap(group("http://loinc.org", ("X", "1-8", EQUIVALENT))), "maps no code"),
        (conceptmap({"target": "http://loinc.org"}), "has no source"),
        (conceptmap({"source": LOCAL}), "has no target"),
        (
            conceptmap({"source": LOCAL, "target": "http://loinc.org", "element": [{"target": [{"code": "718-7"}]}]}),
            "has no code",
        ),
        (conceptmap({"source": LOCAL, "target": "http://loinc.org", "element": {}}), "element is not a list"),
        ({"resourceType": "ValueSet"}, "it is a ValueSet"),
        (conceptmap(group("http://x/CodeSystem/concept", ("A", "skin", EQUIVALENT))), "there is no concept skin"),
    ],
)
def test_a_map_that_says_nothing_usable_is_refused(resource: dict[str, Any], why: str) -> None:
    with pytest.raises(AuthoringError, match=why):
        import_conceptmap(resource, CONCEPTS)
