"""The floors of the house: who may import whom, and what the pure floors do without."""

from __future__ import annotations

import statistics

import pytest

from tests.house import rules, tree
from tests.house.tree import Module, modules, names, parse

MODULES = pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)


def test_every_room_has_its_floor() -> None:
    assert {module.room for module in modules()} - set(rules.FLOOR_OF) == set()


@MODULES
def test_a_module_imports_only_from_its_floor_or_below(module: Module) -> None:
    assert list(rules.floors(module, names())) == []


@MODULES
def test_heavy_libraries_and_the_network_stay_in_their_rooms(module: Module) -> None:
    assert list(rules.libraries(module)) == []


@MODULES
def test_the_pure_floors_read_no_clock_and_write_nothing(module: Module) -> None:
    assert list(rules.purity(module)) == []


@MODULES
def test_files_and_functions_stay_small_and_say_what_they_are(module: Module) -> None:
    assert list(rules.size(module)) == []


@MODULES
def test_nothing_is_left_unfinished(module: Module) -> None:
    assert list(rules.unfinished(module)) == []


def test_the_usual_function_is_under_ten_lines() -> None:
    lengths = [(f.end_lineno or 0) - f.lineno + 1 for module in modules() for f in module.functions()]
    assert statistics.median(lengths) < 10


def test_there_are_no_import_cycles() -> None:
    """Not for a type either, but in the package's own `__init__`, which hands out names when they are asked for."""
    known = names()
    graph = {
        module.name: {found.module for found in module.imports(known) if found.module in known} - {module.name, "fhir_elig"}
        for module in modules()
    }
    assert rules.cycles(graph) == []


BROKEN = [
    (rules.libraries, "fhir_elig.times", "import requests", "belongs to sources"),
    (rules.libraries, "fhir_elig.cli", "from requests import get", "belongs to sources"),
    (rules.libraries, "fhir_elig.outputs.page", "from fhir.resources import patient", "inside functions"),
    (rules.libraries, "fhir_elig.units", "import pint", "inside functions"),
    (rules.libraries, "fhir_elig.record", "import os", "do without os"),
    (rules.libraries, "fhir_elig.record", "def f():\n    import logging", "do without logging"),
    (rules.purity, "fhir_elig.criteria.logic", "x = datetime.now()", "do not call"),
    (rules.purity, "fhir_elig.criteria.logic", "x = datetime.datetime.now(UTC)", "do not call"),
    (rules.purity, "fhir_elig.criteria.logic", "x = date.today()", "do not call"),
    (rules.purity, "fhir_elig.outputs.page", "print(1)", "do not call"),
    (rules.purity, "fhir_elig.outputs.page", "path.write_text('x')", "write nothing"),
    (rules.purity, "fhir_elig.documents", "open(path, 'w')", "write nothing"),
    (rules.purity, "fhir_elig.documents", "path.open(mode='ab')", "write nothing"),
    (rules.purity, "fhir_elig.outputs.page", "open(path)", "reads no files"),
    (rules.purity, "fhir_elig.record", "path.read_bytes()", "reads no files"),
    (rules.purity, "fhir_elig.sources.files", "sys.exit(1)", "command line"),
    (rules.size, "fhir_elig.times", '"""T."""\n' + "x = 1\n" * 300, "301 lines"),
    (rules.size, "fhir_elig.times", '"""T."""\ndef f():\n' + "    x = 1\n" * 60, "61 lines"),
    (rules.size, "fhir_elig.times", "x = 1\n", "no docstring"),
    (rules.unfinished, "fhir_elig.times", "# TO" + "DO: later", ":1: TO" + "DO"),
]


@pytest.mark.parametrize(("rule", "name", "text", "complaint"), BROKEN)
def test_each_rule_sees_what_breaks_it(rule: object, name: str, text: str, complaint: str) -> None:
    assert callable(rule)
    assert [complaint in found for found in rule(parse(name, text))] == [True]


ACCEPTED = [
    (rules.libraries, "fhir_elig.units", "def f():\n    import pint"),
    (rules.libraries, "fhir_elig.units", "if TYPE_CHECKING:\n    import pint"),
    (rules.libraries, "fhir_elig.sources.transport", "import requests, os, time"),
    (rules.purity, "fhir_elig.documents", "path.open('rb')"),
    (rules.purity, "fhir_elig.units", "read_text('GT 45 mL/min')"),
    (rules.purity, "fhir_elig.cli", "print(date.today())"),
    (rules.size, "fhir_elig.times", '"""T."""\ndef f():\n' + "    x = 1\n" * 59),
]


@pytest.mark.parametrize(("rule", "name", "text"), ACCEPTED)
def test_no_rule_complains_of_what_is_allowed(rule: object, name: str, text: str) -> None:
    assert callable(rule)
    assert list(rule(parse(name, text))) == []


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("fhir_elig.times", "from fhir_elig.record import Fact", "floor 0 imports fhir_elig.record of floor 1"),
        ("fhir_elig.record", "def f():\n    from fhir_elig import protocol", "floor 1 imports fhir_elig.protocol of floor 2"),
        ("fhir_elig.outputs.page", "if TYPE_CHECKING:\n    import fhir_elig.sources", "floor 3 imports"),
        ("fhir_elig.times", "from fhir_elig import assess_bundle", "floor 0 imports fhir_elig of floor 5"),
        ("fhir_elig.sources.files", "from fhir_elig.adapters import read", "do not import each other"),
    ],
)
def test_an_import_up_the_stairs_is_seen(name: str, text: str, complaint: str) -> None:
    (found,) = rules.floors(parse(name, text), frozenset({"fhir_elig.protocol"}))
    assert complaint in found


def test_cycles_are_found_and_straight_lines_are_not() -> None:
    assert rules.cycles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert rules.cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == [["a", "b", "c"]]
    assert rules.cycles({"a": {"a"}}) == [["a"]]


def test_the_trees_are_those_of_this_checkout() -> None:
    assert "fhir_elig.verdict" in names()
    assert tree.PACKAGE.is_dir()
