"""Checks of the concept tables beyond what loading needs: check digits, displays, and rows that are retired.

A check digit catches a mistyped code, not a valid code of another thing: compare displays too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from fhir_elig.concept_rows import Row, code_files, read_rows
from fhir_elig.concept_sets import conflicts
from fhir_elig.concepts import read_concepts
from fhir_elig.errors import Finding

# Codes of the LOINC table of 2020 that fail their own check digit.
LOINC_EXCEPTIONS = frozenset(
    "11491-6 11501-6 5895-7 5896-5 5897-3 5928-1 6028-3 6415-5 6580-7 6645-7 6646-5 6647-3 6648-1 6649-9".split()
)
_VERHOEFF_TURN = "0123456789 1576283094 5803796142 8916043527 9453126870 4286573901 2793806415 7046913258".split()


def loinc_digit(stem: str) -> int:
    """The mod 10 check digit of what stands before the hyphen; a letter is worth its ASCII number less 48.

    Source: LOINC Users' Guide, appendix on the check digit (Luhn). Raises ValueError for other characters.
    """
    total = 0
    for place, char in enumerate(reversed(stem)):
        if not (char.isascii() and char.isalnum()):
            raise ValueError(stem)
        value = ord(char) - 48
        total += sum(map(int, str(2 * value))) if place % 2 == 0 else value
    return -total % 10


def is_loinc(code: str) -> bool:
    """Whether a LOINC code or answer code is well formed and its check digit is right (or it is a known exception)."""
    stem, hyphen, digit = code.partition("-")
    if not (stem and hyphen and digit.isascii() and digit.isdigit() and len(digit) == 1) or not stem.isalnum():
        return False
    return code in LOINC_EXCEPTIONS or (stem.isascii() and loinc_digit(stem) == int(digit))


def is_sctid(code: str) -> bool:
    """Whether a SNOMED CT identifier has 6 to 18 digits and a right check digit (Verhoeff 1969, dihedral group of ten)."""
    if not (code.isascii() and code.isdigit() and 6 <= len(code) <= 18 and code[0] != "0"):
        return False
    check = 0
    for place, char in enumerate(reversed(code)):
        check = _dihedral(check, int(_VERHOEFF_TURN[place % 8][int(char)]))
    return check == 0


def _dihedral(one: int, two: int) -> int:
    """The product in the dihedral group of order ten: 0 to 4 are turns, 5 to 9 are reflections."""
    if one < 5:
        return (one + two) % 5 if two < 5 else (one + two) % 5 + 5
    return (one - two) % 5 + 5 if two < 5 else (one - two) % 5


_DIGITS = {"LOINC": is_loinc, "LOINC answer": is_loinc, "SNOMED": is_sctid}


def check_concepts(folder: Path) -> list[Finding]:
    """Everything that is wrong with the tables of a folder `mappings`, in the order of the files.

    Loading's own findings (unknown concept, system or analyte, unreadable rows), codes that two concepts claim which
    exclude each other, wrong check digits, missing displays and sources, and rows that stand twice.
    """
    concepts, findings = read_concepts(folder)
    assert concepts.memory is not None
    for key, one, two in conflicts(concepts.memory):
        findings.append(Finding("FE0211", "concepts", f"{key} is mapped as {one} and as {two}", "keep one of the two"))
    for rows in _tables(folder):
        findings += [finding for row in rows for finding in _row_findings(row)]
        findings += _twice(rows)
    return findings


def retired_rows(folder: Path) -> list[Row]:
    """The rows that a code system has retired: they still decide, because old records keep old codes."""
    return [row for rows in _tables(folder) for row in rows if row.status == "retired"]


def _tables(folder: Path) -> Iterator[list[Row]]:
    for path in code_files(folder / "concepts"):
        yield read_rows(path, [])


def _row_findings(row: Row) -> Iterator[Finding]:
    check = _DIGITS.get(row.system)
    if check and not check(row.code):
        fix = "look the code up again; one digit is wrong"
        yield Finding("FE0211", row.where, f"{row.system} {row.code} has a wrong check digit", fix)
    if not row.display:
        yield Finding("FE0211", row.where, f"{row.code} has no display", "write the name that the code system gives it")
    if not row.source:
        yield Finding("FE0211", row.where, f"{row.code} has no source", "name where code and name were found together")


def _twice(rows: Sequence[Row]) -> Iterator[Finding]:
    seen: dict[tuple[str, str, str], str] = {}
    for row in rows:
        first = seen.setdefault((row.concept, row.system, row.code), row.where)
        if first != row.where:
            yield Finding("FE0211", row.where, f"{row.code} of {row.concept} stands at {first} too", "remove one of the two")
