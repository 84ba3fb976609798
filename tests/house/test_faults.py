"""The catalogue of faults is held to the tests, and its page to the catalogue."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.faults import CATALOGUE, PAGE, text
from tests.sources.faults_answers import ANSWERS
from tests.sources.faults_odd import ODD
from tests.sources.faults_pages import PAGES
from tests.sources.faults_signin import SIGN_INS

TESTS = Path(__file__).parents[1]
PLAYED = {"test_hostile.py": (ANSWERS, PAGES, ODD), "test_hostile_signin.py": (SIGN_INS,)}


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_each_entry_names_tests_that_are_there() -> None:
    for entry in CATALOGUE:
        assert entry.tests
        for named in entry.tests:
            path, _, function = named.partition("::")
            assert function in functions(TESTS / path), f"{entry.number}: {named}"


def test_entries_have_numbers_of_their_own_and_the_tables_name_no_others() -> None:
    numbers = [entry.number for entry in CATALOGUE]
    assert numbers == sorted(set(numbers))
    named = {row for tables in PLAYED.values() for table in tables for fault in table.values() for row in fault.rows}
    assert named - {0} <= set(numbers)


def test_an_entry_that_is_played_by_a_table_has_a_fault_in_it() -> None:
    for entry in CATALOGUE:
        for file, tables in PLAYED.items():
            if any(file in named for named in entry.tests):
                rows = {row for table in tables for fault in table.values() for row in fault.rows}
                assert entry.number in rows, f"{entry.number}: no fault of {file} stands for it"


def test_the_page_is_current() -> None:
    """`make docs` writes it."""
    assert PAGE.read_text("utf-8") == text()
