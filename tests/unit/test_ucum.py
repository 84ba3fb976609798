"""UCUM: every atom that converts is worth what UCUM's own definitions say, and no text costs more than it should."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path

import pytest
import ucumvert

from fhir_elig import ucum
from tests import pace

ESSENCE = Path(ucumvert.__file__).parent / "vendor" / "ucum-essence.xml"
SPACE = "{http://unitsofmeasure.org/ucum-essence}"
BASES = {"m": Fraction(1), "s": Fraction(1), "g": Fraction(1), "mol": Fraction(1), "[iU]": Fraction(1)}


def definitions() -> tuple[dict[str, Fraction], dict[str, tuple[Fraction, str]]]:
    """UCUM's prefixes, and the value and defining unit of each atom."""
    root = ET.parse(ESSENCE).getroot()
    prefixes = {p.attrib["Code"]: Fraction(p.find(f"{SPACE}value").attrib["value"]) for p in root.iter(f"{SPACE}prefix")}
    units = {}
    for unit in root.iter(f"{SPACE}unit"):
        value = unit.find(f"{SPACE}value")
        if value is not None and "value" in value.attrib:
            units[unit.attrib["Code"]] = (Fraction(value.attrib["value"]), value.attrib["Unit"])
    return prefixes, units


PREFIXES, UNITS = definitions()


def defined(expression: str) -> Fraction:
    """A defining expression in base units, worked out from UCUM's own file alone."""
    total, sign = Fraction(1), 1
    for piece in re.split(r"([./])", expression):
        if piece in (".", "/"):
            sign = -1 if piece == "/" else 1
        elif piece.isdigit():
            total *= Fraction(int(piece)) ** sign
        else:
            name, power = re.fullmatch(r"(.*?\D)(\d*)", piece).groups()
            total *= atom_by_definition(name) ** (sign * int(power or 1))
    return total


def atom_by_definition(name: str) -> Fraction:
    if name in BASES:
        return BASES[name]
    if name in UNITS:
        value, unit = UNITS[name]
        return value * defined(unit)
    prefix = next(p for p in PREFIXES if name.startswith(p) and (name[len(p) :] in UNITS or name[len(p) :] in BASES))
    return PREFIXES[prefix] * atom_by_definition(name[len(prefix) :])


@pytest.mark.parametrize("atom", sorted(ucum.ATOMS))
def test_every_atom_that_converts_is_worth_what_ucum_defines(atom: str) -> None:
    meaning = ucum.read(atom)
    assert meaning is not None
    assert isinstance(meaning.factor, Fraction)
    assert meaning.factor == atom_by_definition(atom)
    assert not meaning.foreign


@pytest.mark.parametrize("prefix", sorted(ucum.PREFIXES))
def test_every_prefix_is_the_power_of_ten_that_ucum_defines(prefix: str) -> None:
    assert Fraction(10) ** ucum.PREFIXES[prefix] == PREFIXES[prefix]
    meaning = ucum.read(f"{prefix}mol")
    assert meaning is not None
    assert meaning.factor == PREFIXES[prefix]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("10*9/L", "10*3/uL"),
        ("10^9/L", "10*9/l"),
        ("1000/uL", "10*3/uL"),
        ("{cells}/uL", "/uL"),
        ("(/uL)", "/uL"),
        ("U/L", "umol/min/L"),
        ("nkat/L", "nmol.s-1.L-1"),
        ("mL/(min.mm[Hg])", "mL/min/mm[Hg]"),
        ("m[IU]/mL", "[iU]/L"),
        ("g/(24.h)", "g/d"),
        ("mg/(100.mL)", "mg/dL"),
        ("L{BTPS}", "L"),
    ],
)
def test_two_spellings_of_one_unit_mean_the_same(one: str, two: str) -> None:
    first, second = ucum.read(one), ucum.read(two)
    assert first is not None and second is not None
    assert (first.factor, first.dimension, first.foreign) == (second.factor, second.dimension, second.foreign)


@pytest.mark.parametrize(
    "text", ["K/uL", "G/L", "N/A", "g%", "mg%", "%", "Cel", "[degF]", "eq/L", "Kim", "%/L", "osm/kg", "[arb'U]/mL"]
)
def test_an_atom_that_does_not_convert_is_legal_and_foreign(text: str) -> None:
    meaning = ucum.read(text)
    assert meaning is not None
    assert meaning.foreign


def test_a_normalised_rate_is_never_an_absolute_one() -> None:
    normal, plain = ucum.read("mL/min/{1.73_m2}"), ucum.read("mL/min")
    assert normal is not None and plain is not None
    assert normal.dimension != plain.dimension
    assert not normal.annotations


def test_an_international_unit_is_no_number() -> None:
    international, count = ucum.read("[IU]/L"), ucum.read("/L")
    assert international is not None and count is not None
    assert international.dimension != count.dimension


def test_annotations_are_given_back_to_be_judged() -> None:
    assert ucum.read("mmol/L{tetramer}").annotations == {"{tetramer}"}
    assert ucum.read("{INR}").annotations == {"{INR}"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "103/uL",
        "109/L",
        "1012/L",
        "10-3",
        "24-2.h",
        "24h",
        "2.mL",
        "10*31/L",
        "10*-31/L",
        "m31",
        "10*99999999/L",
        "9**9**9",
        "/m.s",
        "/uL/d",
        "(/m.s)/g",
        "((((U/L))))",
        "mg/dL{" + "x" * 70 + "}",
        "mg dL",
        "mg/dl\n",
        "µmol/L",
        "mL/min/1.73m2",
        "See comment",
        "{a}{",
        "IU/L",
        "sec",
    ],
)
def test_what_is_not_certain_ucum_has_no_meaning(text: str) -> None:
    assert ucum.read(text) is None


def test_a_hostile_text_costs_next_to_nothing() -> None:
    ucum.read("mg/dL")  # the registry is built once, on the first unit that no table holds
    hostile = ["9**9**9", "10*99999999/L", "a" * 50_000, "(" * 40 + "m" + ")" * 20, "{" * 64, "(" * 500, "m" * 64]
    hostile += [
        "/".join(["m"] * 32),
        ".".join(["((m))"] * 10),
        ".".join(["{a}"] * 16),
        "10*30" + ".10*30" * 9,
        "Ym30" + ".Ym30" * 11,
    ]
    for text in hostile:
        pace.at_most(10, lambda text=text: ucum.read(text))
