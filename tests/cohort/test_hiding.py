"""Small cells stay hidden: somebody who knows how the counts add up cannot compute one from those that are shown."""

from __future__ import annotations

from itertools import product

from hypothesis import given, strategies as st

from fhir_elig.cohort.hiding import Cell, Equation, computable, hidden_cells

ROWS, COLUMNS = ("a", "b"), ("x", "y", "z")
INSIDE: list[Cell] = [(row, column) for row in ROWS for column in COLUMNS]
MOST = 3


def table(counts: tuple[int, ...]) -> dict[Cell, int]:
    """A table of two rows and three columns with its sums."""
    cells = dict(zip(INSIDE, counts, strict=True))
    sums = {(row, "sum"): sum(cells[row, column] for column in COLUMNS) for row in ROWS}
    sums |= {("sum", column): sum(cells[row, column] for row in ROWS) for column in COLUMNS}
    return cells | sums | {("sum", "sum"): sum(counts)}


def equations() -> list[Equation]:
    found: list[Equation] = [{(row, "sum"): 1, **{(row, column): -1 for column in COLUMNS}} for row in (*ROWS, "sum")]
    return found + [{("sum", column): 1, **{(row, column): -1 for row in ROWS}} for column in (*COLUMNS, "sum")]


def possible(cells: dict[Cell, int], hidden: set[Cell]) -> dict[Cell, set[int]]:
    """What each hidden cell may be, by trying every table: zeros are shown, so that a hidden cell is at least 1."""
    found: dict[Cell, set[int]] = {cell: set() for cell in hidden}
    spans = [range(1, MOST + 3) if cell in hidden else (cells[cell],) for cell in INSIDE]
    for counts in product(*spans):
        other = table(counts)
        if all(other[cell] == cells[cell] for cell in cells if cell not in hidden) and all(other[cell] for cell in hidden):
            for cell in hidden:
                found[cell].add(other[cell])
    return found


@given(st.tuples(*[st.integers(0, MOST)] * len(INSIDE)), st.integers(2, 4))
def test_each_hidden_cell_could_be_another_number(counts: tuple[int, ...], minimum: int) -> None:
    cells = table(counts)
    hidden = hidden_cells(cells, equations(), minimum)
    assert {cell for cell, count in cells.items() if 0 < count < minimum} <= hidden
    assert not {cell for cell in hidden if not cells[cell]}
    if len(hidden) < len([cell for cell in cells if cells[cell]]):
        assert [cell for cell, values in possible(cells, hidden).items() if len(values) < 2] == []


def test_one_small_cell_takes_others_with_it() -> None:
    cells = table((1, 20, 30, 40, 50, 60))
    assert ("a", "x") in hidden_cells(cells, equations(), 5)
    assert len(hidden_cells(cells, equations(), 5)) >= 4  # a row, a column and their crossing


def test_nothing_is_hidden_where_no_cell_is_small() -> None:
    assert hidden_cells(table((10, 20, 30, 40, 50, 60)), equations(), 5) == set()


def test_two_hidden_ones_of_a_sum_of_two_are_both_one() -> None:
    cells: dict[Cell, int] = {("a",): 1, ("b",): 1, ("sum",): 2}
    sums: list[Equation] = [{("sum",): 1, ("a",): -1, ("b",): -1}]
    assert computable(cells, sums, {("a",), ("b",)}) == {("a",), ("b",)}
    assert hidden_cells(cells, sums, 2) == set(cells)
