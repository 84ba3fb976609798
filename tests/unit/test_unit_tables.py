"""The loader of the unit tables: what the analytes hold, and every fault of every file at once."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from fhir_elig.errors import AuthoringError
from fhir_elig.quantity import Interval, Scale
from fhir_elig.units import load_analytes

UNITS = Path(__file__).parents[2] / "mappings" / "units"
TABLE = "unit,means,factor,offset,verdict,case,why,source"
ANALYTE = "analyte,canonical,tables,plausible,whole,unitless,negative,believed,usual,molar,ucum,annotations,source"
GOOD = {
    "tables": "table,base,holds\nmass,g/L,mass by volume\nmolar,mmol/L,amount\nother,s,time",
    "mass": f"{TABLE}\ng/L,g/L,1,,ok,cs,,\ngm/dL,g/dL,10,,ok,,,\nG/L,,,,refuse,cs,giga,\n%,,,,refuse,,,",
    "molar": f"{TABLE}\nmmol/L,mmol/L,1,,ok,,,",
    "other": f"{TABLE}\nsec,s,1,,ok,,,\nS,s,1,,ok,cs,,",
    "analytes": f"{ANALYTE}\nhb,g/L,mass; molar x molar,0; 20..260,,,,120..200,145..185,16.1145,yes,{{Hb}},\nscore,1,other x 2,0..51,yes,yes,yes,,,,,,",
}


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    def write(**changed: str) -> Path:
        for name, text in (GOOD | changed).items():
            (tmp_path / f"{name}.csv").write_text(text + "\n", encoding="utf-8")
        return tmp_path

    return write


def findings(folder: Path) -> list[tuple[str, str, str]]:
    with pytest.raises(AuthoringError) as error:
        load_analytes(folder)
    assert error.value.exit_code == 10
    assert all(finding.fix for finding in error.value.findings)
    return [(finding.code, Path(finding.where).name, finding.why) for finding in error.value.findings]


def test_a_row_of_each_file_makes_an_analyte(folder: Callable[..., Path]) -> None:
    hb, score = load_analytes(folder()).values()
    assert hb.plausible == (Interval(Fraction(0), Fraction(0)), Interval(Fraction(20), Fraction(260)))
    assert (hb.believed, hb.usual) == (Interval(Fraction(120), Fraction(200)), Interval(Fraction(145), Fraction(185)))
    assert hb.aliases["mmol/L"] == Scale(Fraction("16.1145"))
    assert hb.aliases["gm/dl"] == hb.aliases["gm/dL"] == hb.folded["gm/dl"] == Scale(Fraction(10))
    assert "g/l" not in hb.folded
    assert {"G/L", "%", "sec", "S"} <= hb.refused
    assert {"%", "sec"} <= hb.refused_folded and "s" not in hb.refused_folded
    assert (hb.annotations, hb.ucum, hb.whole, hb.unitless, hb.non_negative) == ({"{hb}"}, True, False, False, True)
    assert (score.ucum, score.whole, score.unitless, score.non_negative, score.molar) == (False, True, True, False, None)
    assert score.aliases["sec"] == Scale(Fraction(2))


def test_a_refusal_outweighs_a_reading_of_another_table(folder: Callable[..., Path]) -> None:
    hb = load_analytes(folder(molar=f"{TABLE}\n%,1,1,,ok,,,\nG/L,1,1,,ok,,,"))["hb"]
    assert "%" not in hb.aliases and "G/L" not in hb.aliases
    assert {"%", "G/L"} <= hb.refused


@pytest.mark.parametrize(("file", "row", "why"), [
    ("mass", "g/L,g/L,1,,maybe,,,", "neither ok nor refuse"),
    ("mass", "g/L,g/L,x,,ok,,,", "the factor `x` is not a rational number"),
    ("mass", "g/L,g/L,1/0,,ok,,,", "is not a rational number"),
    ("mass", "g/L,g/L,-1,,ok,,,", "not above 0"),
    ("mass", "g/L,g/L,1,nan,ok,,,", "the offset `nan`"),
    ("mass", "g/L,g/L,1,,ok,big,,", "`big` stands where"),
    ("mass", "%,,1,,refuse,,,", "a refused spelling has a factor"),
    ("mass", " .,g/L,1,,ok,,,", "the spelling is empty"),
    ("mass", f"{'g' * 65},g/L,1,,ok,,,", "longer than 64"),
    ("mass", "g/L,g/L", "2 cells, 8 columns"),
    ("analytes", "hb,g/L,mess,0..1,,,,,,,,,", "no table `mess`"),
    ("analytes", "hb,g/L,molar x molar,0..1,,,,,,,,,", "without a molar factor"),
    ("analytes", "hb,g/L,mass x ten,0..1,,,,,,,,,", "the factor of a table `ten`"),
    ("analytes", "hb,g/L,mass,2..1,,,,,,,,,", "the interval `2..1` is empty"),
    ("analytes", "hb,g/L,mass,,,,,,,,,,", "the limit `` is not a rational number"),
    ("analytes", "hb,g/L,mass,0..1,no,,,,,,,,", "`no` stands where only `yes`"),
    ("analytes", "hb,g/L,mass,0..1,,,,,,heavy,,,", "the molar factor `heavy`"),
])  # fmt: skip
def test_a_bad_row_is_found_with_its_line(folder: Callable[..., Path], file: str, row: str, why: str) -> None:
    found = findings(folder(**{file: f"{GOOD[file].splitlines()[0]}\n{row}"}))
    assert ("FE0211", f"{file}.csv:2") in {(code, where) for code, where, _ in found}
    assert any(why in reason for _, _, reason in found)


def test_the_same_spelling_or_analyte_twice_is_found(folder: Callable[..., Path]) -> None:
    analyte = "hb,g/L,mass,0..1,,,,,,,,,"
    found = findings(folder(molar=f"{TABLE}\nMMOL/L,,1,,ok,,,\nmmol / L.,,1,,ok,,,", analytes=f"{ANALYTE}\n{analyte}\n{analyte}"))
    assert [(where, why.split("`")[-1]) for _, where, why in found] == [
        ("molar.csv:3", " stands twice"),
        ("analytes.csv:3", " stands twice"),
    ]


def test_two_tables_that_disagree_are_found(folder: Callable[..., Path]) -> None:
    found = findings(folder(molar=f"{TABLE}\nGM/DL,g/dL,1,,ok,,,"))
    assert found == [("FE0211", "analytes.csv:2", "two tables of `hb` read `GM/DL` differently")]


def test_every_fault_of_every_file_is_told_at_once(folder: Callable[..., Path]) -> None:
    path = folder(mass="unit,factor\ng/L,1", other=f'{TABLE}\n"g"x,g/L,1,,ok,,,')
    (path / "molar.csv").unlink()
    places = [(code, where) for code, where, _ in findings(path)]
    assert places == [("FE0211", "mass.csv:1"), ("FE0214", "molar.csv"), ("FE0211", "other.csv")]


def test_a_file_that_is_not_utf8_is_found(folder: Callable[..., Path]) -> None:
    path = folder()
    (path / "other.csv").write_bytes(f"{TABLE}\n".encode() + b"\xff,s,1,,ok,,,\n")
    assert ("FE0211", "other.csv") in [(code, where) for code, where, _ in findings(path)]


def test_every_analyte_of_the_project_accepts_its_canonical_unit() -> None:
    for analyte in load_analytes(UNITS).values():
        assert analyte.aliases[analyte.canonical] == Scale(Fraction(1)), analyte.name
        assert analyte.plausible


def test_the_believed_limits_of_normal_hold_the_usual_ones() -> None:
    for analyte in load_analytes(UNITS).values():
        if analyte.believed is not None:
            assert analyte.usual is not None
            assert analyte.usual.low in analyte.believed and analyte.usual.high in analyte.believed
            assert any(analyte.believed.high in interval for interval in analyte.plausible)
