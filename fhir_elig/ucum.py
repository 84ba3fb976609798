"""The meaning of UCUM units: exact, bounded, and asked only for spellings that no table of mappings/units holds.

ucumvert's grammar says whether a text is UCUM (The Unified Code for Units of Measure, version 2.2), pint what an atom
is worth. Both are guarded, because on their own they hang on `10*99999999`, read `mL/min/{1.73_m2}` as mL/min, `[IU]` as
a pure number and `103/uL` (a lost superscript) as 103 per uL. So: length, alphabet, numbers and nesting are checked
before any parser; products are formed here with fractions; and only the atoms of `ATOMS` convert. Every other atom is
legal and foreign: a unit that is understood as something else.
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

import msgspec

MAX_LENGTH = 64
MAX_EXPONENT = 30
MAX_NESTING = 3

# A bare number is only a factor that people mean as one; 103, 106, 109 or 1012 is an exponent that lost its place.
FACTORS = frozenset({1, 10, 24, 100, 1000, 10_000, 100_000, 1_000_000})

ATOMS = frozenset(
    "m s g mol l L t bar Pa kat U min h d wk [in_i] [ft_i] [yd_i] [in_us] [ft_us] [yd_us] "
    "[lb_av] [oz_av] [stone_av] 10* 10^ [IU] [iU] m[Hg]".split()
)

# Normalised to body surface: a kind of its own, so that it never converts to an absolute rate.
NORMALISED = "{1.73_m2}"

PREFIXES: dict[str, int] = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
    "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}  # fmt: skip

Dimension = tuple[tuple[str, int], ...]


class Meaning(msgspec.Struct, frozen=True):
    """What a legal UCUM text means: a factor to base units of `dimension`, its annotations, and whether any atom is foreign."""

    factor: Fraction
    dimension: Dimension
    annotations: frozenset[str]
    foreign: bool


class _NotUcumError(Exception):
    """The text passes the grammar, but has no one meaning."""


class _Product:
    """The product that a walk over the syntax tree gathers."""

    def __init__(self) -> None:
        self.factor = Fraction(1)
        self.powers: Counter[str] = Counter()
        self.annotations: set[str] = set()
        self.foreign = False

    def take(self, factor: Fraction, dimension: Dimension, power: int) -> None:
        self.factor *= factor**power
        for base, exponent in dimension:
            self.powers[base] += exponent * power

    def meaning(self) -> Meaning:
        dimension = tuple(sorted((base, power) for base, power in self.powers.items() if power))
        return Meaning(self.factor, dimension, frozenset(self.annotations), self.foreign)


_ALPHABET = re.compile(r"[!-~]+")
_ASIDE = re.compile(r"\{[^{}]*\}|\[[^][]*\]")
_DIGITS = re.compile(r"[0-9]+")


def is_bounded(text: str) -> bool:
    """Whether a parser may look at the text at all: length, alphabet, size of numbers, depth of brackets."""
    if len(text) > MAX_LENGTH or not _ALPHABET.fullmatch(text):
        return False
    bare = _ASIDE.sub("", text)
    if any(len(run) > 7 or not (int(run) <= MAX_EXPONENT or int(run) in FACTORS) for run in _DIGITS.findall(bare)):
        return False
    return _depth(bare) <= MAX_NESTING


def _depth(text: str) -> int:
    depth = deepest = 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        deepest = max(deepest, depth)
    return deepest


@lru_cache(maxsize=4096)
def _read(text: str) -> Meaning | None:
    from lark.exceptions import LarkError

    product = _Product()
    try:
        _walk(_tools()[0].parse(text), 1, product)
    except (LarkError, _NotUcumError):
        return None
    return product.meaning()


def read(text: str) -> Meaning | None:
    """What a text means in UCUM (case counts), or None if it is not UCUM or not within the bounds.

    >>> read("g/dL").factor / read("g/L").factor
    Fraction(10, 1)
    """
    return _read(text) if is_bounded(text) else None


def _walk(node: Any, power: int, product: _Product) -> None:
    """Multiply what a node of ucumvert's tree means into the product, to the given power."""
    kind = getattr(node, "data", "annotation")
    if kind == "annotation":
        _alone(str(node), power, product)
    elif kind == "simple_unit":
        _simple(node.children, power, product)
    elif kind == "annotatable":
        unit, exponent = node.children
        if unit.children[0].type == "FACTOR":
            raise _NotUcumError  # `10-3` and `24` as 2 to the 4th: a number has no exponent
        _walk(unit, power * int(exponent), product)
    elif kind == "component":
        _walk(node.children[0], power, product)
        product.annotations.add(str(node.children[1]))
    else:
        _term(node.children, power, product)


def _term(children: list[Any], power: int, product: _Product) -> None:
    if len(children) == 2 and getattr(children[1], "data", "") == "term" and len(children[1].children) > 1:
        raise _NotUcumError  # `/a.b`: some read 1/(a.b), some b/a
    sign = 1
    for child in children:
        if getattr(child, "type", "") in ("OPERATOR", "DIVIDE"):
            sign = -1 if child == "/" else 1
        else:
            _walk(child, power * sign, product)


def _alone(annotation: str, power: int, product: _Product) -> None:
    if annotation == NORMALISED:
        product.take(Fraction(1), ((NORMALISED, 1),), power)
    else:
        product.annotations.add(annotation)


def _simple(tokens: list[Any], power: int, product: _Product) -> None:
    name = str(tokens[-1])
    if tokens[-1].type == "FACTOR":
        if int(name) not in FACTORS:
            raise _NotUcumError
        product.take(Fraction(int(name)), (), power)
    elif name not in ATOMS or (len(tokens) > 1 and str(tokens[0]) not in PREFIXES):
        product.foreign = True
    else:
        factor, dimension = _atom(name)
        prefix = PREFIXES[str(tokens[0])] if len(tokens) > 1 else 0
        product.take(factor * Fraction(10) ** prefix, dimension, power)


@cache
def _atom(name: str) -> tuple[Fraction, Dimension]:
    """One atom in base units. `[IU]` is arbitrary, so a base of its own; `m[Hg]` is UCUM's 133.322 kPa, which pint refines."""
    if name in ("[IU]", "[iU]"):
        return Fraction(1), (("[IU]", 1),)
    if name == "m[Hg]":
        factor, dimension = _atom("Pa")
        return factor * 133_322, dimension
    parser, transformer = _tools()
    sent = transformer.transform(parser.parse(name))
    base = (sent * Fraction(1)).to_root_units()
    return base.magnitude, tuple(sorted((str(key), int(value)) for key, value in base.dimensionality.items()))


@cache
def _tools() -> tuple[Any, Any]:
    """ucumvert's parser, and its transformer over an exact registry of pint; about a second, once."""
    from pathlib import Path

    import ucumvert
    from pint import UnitRegistry
    from ucumvert.parser import get_ucum_parser
    from ucumvert.ucum_pint import UcumToPintTransformer

    registry: Any = UnitRegistry(non_int_type=Fraction)
    registry.load_definitions(Path(ucumvert.__file__).parent / "pint_ucum_defs.txt")
    return get_ucum_parser(), UcumToPintTransformer(ureg=registry)
