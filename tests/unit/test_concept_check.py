"""Check digits and the checks of the concept tables; the shipped tables pass them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from fhir_elig import errors
from fhir_elig.concept_check import LOINC_EXCEPTIONS, check_concepts, is_loinc, is_sctid, loinc_digit, retired_rows
from fhir_elig.places import mapping_root


def test_the_shipped_tables_pass_every_check() -> None:
    assert check_concepts(mapping_root()) == []


def test_retired_rows_are_listed() -> None:
    assert sorted(row.code for row in retired_rows(mapping_root())) == ["L01XC02", "L04AA13", "L04AA26"]


@pytest.mark.parametrize("code", ["718-7", "2160-0", "98979-8", "LA6577-6", "LA11883-8", "LA9663-1", *sorted(LOINC_EXCEPTIONS)])
def test_a_right_loinc_code_passes(code: str) -> None:
    assert is_loinc(code)


@pytest.mark.parametrize(
    "code", ["718-8", "2106-0", "LA6577-7", "7187", "718-", "-7", "718-77", "7 18-7", "71٨-7", "718-٧", "", "LA6577-X", "é-1"]
)
def test_a_wrong_loinc_code_fails(code: str) -> None:
    assert not is_loinc(code)


def test_a_check_digit_is_only_for_letters_and_digits() -> None:
    with pytest.raises(ValueError, match=r"7\.18"):
        loinc_digit("7.18")


@pytest.mark.parametrize("code", ["89155008", "128460000", "322461000119108", "882784691000119100", "2667000"])
def test_a_right_snomed_identifier_passes(code: str) -> None:
    assert is_sctid(code)


@pytest.mark.parametrize("code", ["89155009", "12345", "0089155008", "1" * 19, "8915500x", ""])
def test_a_wrong_snomed_identifier_fails(code: str) -> None:
    assert not is_sctid(code)


@given(st.integers(1, 99_999), st.integers(0, 9))
def test_a_loinc_number_has_exactly_one_check_digit(number: int, digit: int) -> None:
    code = f"{number}-{digit}"
    assert is_loinc(code) == (loinc_digit(str(number)) == digit or code in LOINC_EXCEPTIONS)


@given(st.sampled_from(["89155008", "128460000", "298285004", "1144925008"]), st.integers(0, 9), st.integers(0, 9))
def test_one_wrong_digit_of_a_snomed_identifier_is_caught(code: str, place: int, digit: int) -> None:
    place %= len(code)
    wrong = code[:place] + str(digit) + code[place + 1 :]
    assert is_sctid(wrong) == (wrong == code)


@given(st.sampled_from(["89155008", "128460000", "298285004", "1144925008"]), st.integers(0, 8))
def test_two_neighbours_that_change_places_are_caught(code: str, place: int) -> None:
    place %= len(code) - 1
    wrong = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
    assert is_sctid(wrong) == (wrong == code)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(mapping_root() / "concepts", tmp_path / "concepts")
    shutil.copytree(mapping_root() / "units", tmp_path / "units")
    return tmp_path


@pytest.mark.parametrize(
    ("table", "line", "why"),
    [
        ("labs.csv", "alt,LOINC,1742-7,ALT,verified,x", "LOINC 1742-7 has a wrong check digit"),
        ("labs.csv", "qualitative_negative,LOINC answer,LA6577-7,Negative,verified,x", "LOINC answer LA6577-7 has a wrong"),
        ("conditions.csv", "ssc_any,SNOMED,89155009,Systemic sclerosis,verified,x", "SNOMED 89155009 has a wrong check digit"),
        ("conditions.csv", "gilbert,ICD10CM,E80.49,,verified,x", "E80.49 has no display"),
        ("conditions.csv", "gilbert,ICD10CM,E80.49,Gilbert,verified,", "E80.49 has no source"),
        ("conditions.csv", "gilbert,ICD10CM,E80.4,Gilbert syndrome,verified,x", "E80.4 of gilbert stands at conditions.csv:"),
        ("conditions.csv", "gilbert,ICD10CM,L94.0,Morphea,verified,x", "L94.0 is mapped as gilbert and as not_ssc"),
        ("conditions.csv", "gilberd,ICD10CM,E80.49,Gilbert,verified,x", "there is no concept gilberd"),
        ("conditions.csv", "gilbert,ICDX,E80.49,Gilbert,verified,x", "there is no system ICDX"),
    ],
)
def test_a_wrong_row_is_found(folder: Path, table: str, line: str, why: str) -> None:
    path = folder / "concepts" / table
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    found = check_concepts(folder)
    assert len(found) == 1 and why in found[0].why
    assert found[0].fix and found[0].where and found[0].code in errors.CODES
