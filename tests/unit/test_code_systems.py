"""Code keys: one key for one code, however its system and its dots are written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from fhir_elig.code_systems import (
    LONGEST,
    canonical_system,
    code_key,
    expand_category,
    shape_of,
    shipped,
    system_of,
    system_uris,
)
from fhir_elig.errors import AuthoringError
from fhir_elig.places import find, fixtures_root, mapping_root

CM = "http://hl7.org/fhir/sid/icd-10-cm"
GM = "http://fhir.de/CodeSystem/bfarm/icd-10-gm"
PCS = "http://www.cms.gov/Medicare/Coding/ICD10"


@pytest.mark.parametrize(
    ("system", "canonical"),
    [
        ("http://loinc.org/", "http://loinc.org"),
        ("https://loinc.org", "http://loinc.org"),
        (" http://loinc.org ", "http://loinc.org"),
        ("urn:oid:2.16.840.1.113883.6.1", "http://loinc.org"),
        ("URN:OID:2.16.840.1.113883.6.96", "http://snomed.info/sct"),
        ("2.16.840.1.113883.6.88", "http://www.nlm.nih.gov/research/umls/rxnorm"),
        ("http://fhir.de/CodeSystem/dimdi/icd-10-gm", GM),
        ("http://hl7.org/fhir/sid/icd-10-pcs", PCS),
        ("https://www.cms.gov/Medicare/Coding/ICD10/", PCS),
        ("https://www.whocc.no/atc", "http://www.whocc.no/atc"),
        ("https://hospital.example/codes/", "https://hospital.example/codes/"),
    ],
)
def test_a_system_has_one_uri_however_it_is_sent(system: str, canonical: str) -> None:
    assert canonical_system(system) == canonical
    assert code_key(system, "x").startswith(f"{canonical}|")


@pytest.mark.parametrize(
    ("system", "code", "key"),
    [
        (CM, "A419", "A41.9"),
        (CM, "A41.9", "A41.9"),
        (CM, "a41.9 ", "A41.9"),
        (CM, "Z3A", "Z3A"),
        (CM, "Z3A20", "Z3A.20"),
        (CM, "O0910", "O09.10"),
        (GM, "M34.8+", "M34.8"),
        (GM, "J17.0*", "J17.0"),
        (GM, "U07.1!", "U07.1"),
        (GM, "A18.0†", "A18.0"),
        (GM, "M34.-", "M34"),
        (CM, "A00-B99", "A00-B99"),
        (CM, "nonsense", "NONSENSE"),
        (PCS, "30233n1", "30233N1"),
        ("http://www.whocc.no/atc", "l03aa02", "L03AA02"),
        ("http://loinc.org", "la6577-6", "LA6577-6"),
        ("http://snomed.info/sct", " 260385009", "260385009"),
    ],
)
def test_a_code_has_one_form_in_its_system(system: str, code: str, key: str) -> None:
    assert code_key(system, code) == f"{canonical_system(system)}|{key}"


def test_a_local_code_keeps_its_case_and_dots() -> None:
    assert code_key("http://hospital.example/codes", " a.B-1 ") == "http://hospital.example/codes|a.B-1"


def test_a_very_long_code_is_no_known_one_and_is_not_remembered() -> None:
    long = "9" * (LONGEST + 1)
    assert code_key(CM, f" {long} ") == f"{CM}|{long}"
    assert code_key(" " + long, "1") == f"{long}|1"
    assert canonical_system(long + " ") == long


@given(st.sampled_from(sorted({system.uri for system in shipped().values()})), st.text(max_size=12))
def test_the_key_of_a_key_is_itself(system: str, code: str) -> None:
    key = code_key(system, code)
    again, _, rest = key.partition("|")
    assert code_key(again, rest) == key


@given(st.from_regex(r"\A[A-Z][0-9]{2}[0-9A-Z]{1,4}\Z"), st.sampled_from([CM, GM, "http://hl7.org/fhir/sid/icd-10"]))
def test_dotted_and_dotless_icd_10_codes_are_one(code: str, system: str) -> None:
    dotted = f"{code[:3]}.{code[3:]}"
    assert code_key(system, code) == code_key(system, dotted) == code_key(system, code.lower())


@given(st.sampled_from(sorted(shipped())), st.sampled_from(["", "/", "//"]), st.booleans(), st.booleans())
def test_every_spelling_of_a_uri_finds_its_system(name: str, slashes: str, secure: bool, loud: bool) -> None:
    system = shipped()[name]
    for uri in (system.uri, *system.aliases):
        spelled = (uri.replace("http://", "https://") if secure else uri) + slashes
        found = system_of(spelled.upper() if loud else spelled)
        assert found is not None and found.uri == system.uri


def test_no_two_systems_share_a_uri_but_loinc_and_its_answers() -> None:
    owners: dict[str, set[str]] = {}
    for system in shipped().values():
        for uri in (system.uri, *system.aliases):
            owners.setdefault(uri, set()).add(system.name)
    assert [names for names in owners.values() if len(names) > 1] == [{"LOINC", "LOINC answer"}]


def test_a_search_asks_for_every_uri_of_a_system() -> None:
    assert system_uris(PCS)[0] == PCS
    assert "http://hl7.org/fhir/sid/icd-10-pcs" in system_uris(PCS)
    assert system_uris("http://hospital.example/codes") == ("http://hospital.example/codes",)


@pytest.mark.parametrize(
    ("written", "prefixes"),
    [
        ("A40", ("A40",)),
        ("A15-A17", ("A15", "A16", "A17")),
        ("A98-B01", ("A98", "A99", "B00", "B01")),
        ("B35.2-B35.4", ("B35.2", "B35.3", "B35.4")),
        ("A17-A15", ()),
        ("A15-A9", ()),
        ("A15-", ()),
        ("B35.2-B36.4", ()),
        ("from-to", ()),
    ],
)
def test_a_range_stands_for_its_categories(written: str, prefixes: tuple[str, ...]) -> None:
    assert expand_category(written) == prefixes


def test_a_question_mark_stands_for_every_character_of_icd_10_pcs() -> None:
    prefixes = expand_category("3023?N")
    assert len(prefixes) == 34 and "30233N" in prefixes and not {"3023IN", "3023ON"} & set(prefixes)
    assert len(expand_category("3?2?")) == 34 * 34


def test_a_system_without_a_shape_has_no_well_formed_codes() -> None:
    assert shape_of("http://loinc.org") is None
    assert shape_of("http://hospital.example/codes") is None
    shape = shape_of(CM)
    assert isinstance(shape, re.Pattern) and shape.fullmatch("S72.001A") and not shape.fullmatch("A00-B99")


def test_mappings_and_fixtures_are_found_in_a_checkout_and_in_a_wheel(tmp_path: Path) -> None:
    assert (mapping_root() / "concepts" / "sets.csv").is_file()
    assert fixtures_root().name == "fixtures"
    (tmp_path / "pkg" / "_data" / "mappings").mkdir(parents=True)
    (tmp_path / "mappings").mkdir()
    assert find("mappings", tmp_path / "pkg") == tmp_path / "pkg" / "_data" / "mappings"
    with pytest.raises(AuthoringError, match="no folder fixtures"):
        find("fixtures", tmp_path / "pkg")
