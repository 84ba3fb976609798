"""Hiding small counts in a funnel that is shared, so that no hidden one can be computed from what is shown.

Counts from 1 to N - 1 are hidden; 0 is shown. Then more are hidden, the smallest first, until neither the sums of the tables nor
the knowledge that a hidden count is at least 1 gives any of them (complementary cell suppression: Hundepool et al., Statistical
Disclosure Control, 2012, section 4.4).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import msgspec

from fhir_elig.outputs.funnel_table import Band, Funnel, Step
from fhir_elig.verdict import Status

Cell = tuple[str, ...]
Equation = Mapping[Cell, int]  # coefficients of counts that add up to 0

_PASSED = ("met", "not_applicable", "unknown")
_BANDS = (*_PASSED, "not_met")
PATIENTS: Cell = ("patients",)


def hide(funnels: Sequence[Funnel], minimum: int) -> list[Funnel]:
    """The funnels of one run with small counts, and those that would tell of them, as None; without lists of people."""
    cells = {cell: count for funnel in funnels for cell, count in _cells(funnel)}
    equations = [equation for funnel in funnels for equation in _equations(funnel, cells)]
    hidden = hidden_cells(cells, equations, minimum)
    return [_without(funnel, hidden, minimum) for funnel in funnels]


def hidden_cells(cells: Mapping[Cell, int], equations: Sequence[Equation], minimum: int) -> set[Cell]:
    """The cells to hide: all from 1 to `minimum` - 1, and what protects them."""
    hidden = {cell for cell, count in cells.items() if 0 < count < minimum}
    while told := computable(cells, equations, hidden):
        beside = {cell for equation in equations if told & equation.keys() for cell in equation}
        shown = [(cells[cell], cell) for cell in beside - hidden if cells[cell]]
        if not shown:
            return hidden
        hidden.add(min(shown)[1])
    return hidden


def computable(cells: Mapping[Cell, int], equations: Sequence[Equation], hidden: set[Cell]) -> set[Cell]:
    """The hidden cells that somebody who sees all others, and knows how they add up, can compute."""
    rows = []
    for equation in equations:
        left = {cell: Fraction(factor) for cell, factor in equation.items() if cell in hidden}
        known = -sum(factor * cells[cell] for cell, factor in equation.items() if cell not in hidden)
        if left:
            rows.append((left, Fraction(known)))
    return _solved([dict(left) for left, _ in rows]) | _squeezed(rows)


def _solved(rows: list[dict[Cell, Fraction]]) -> set[Cell]:
    """Cells that the equations alone determine: in their reduced form they stand by themselves."""
    done: list[tuple[Cell, dict[Cell, Fraction]]] = []
    for row in rows:
        for pivot, other in done:
            _take_away(row, other, pivot)
        if not row:
            continue
        pivot = min(row)
        row = {cell: factor / row[pivot] for cell, factor in row.items()}
        for _, other in done:
            _take_away(other, row, pivot)
        done.append((pivot, row))
    return {pivot for pivot, row in done if len(row) == 1}


def _take_away(row: dict[Cell, Fraction], other: Mapping[Cell, Fraction], pivot: Cell) -> None:
    factor = row.get(pivot)
    if factor:
        for cell, amount in other.items():
            row[cell] = row.get(cell, Fraction(0)) - factor * amount
            if not row[cell]:
                del row[cell]


def _squeezed(rows: Sequence[tuple[Mapping[Cell, Fraction], Fraction]]) -> set[Cell]:
    """Cells that only one number fits, since each hidden one is at least 1."""
    ends: dict[Cell, list[float]] = {cell: [1, math.inf] for row, _ in rows for cell in row}
    changed = True
    while changed:
        changed = sum(_narrow(row, total, ends) for row, total in rows) > 0
    return {cell for cell, (low, high) in ends.items() if low == high}


def _narrow(row: Mapping[Cell, Fraction], total: Fraction, ends: dict[Cell, list[float]]) -> bool:
    changed = False
    for cell, factor in row.items():
        others = [_span(other_factor, ends[other]) for other, other_factor in row.items() if other != cell]
        least, most = float(total) - sum(high for _, high in others), float(total) - sum(low for low, _ in others)
        low, high = (least, most) if factor > 0 else (-most, -least)
        old = ends[cell]
        new = [max(old[0], low), min(old[1], high)]
        if new != old:
            ends[cell], changed = new, True
    return changed


def _span(factor: Fraction, ends: Sequence[float]) -> tuple[float, float]:
    low, high = ends
    return (low, high) if factor > 0 else (-high, -low)


def _cells(funnel: Funnel) -> Iterator[tuple[Cell, int]]:
    name = funnel.protocol
    yield PATIENTS, funnel.patients or 0
    yield (name, "assessed"), funnel.assessed or 0
    yield (name, "not-assessed"), funnel.not_assessed or 0
    for status, count in funnel.statuses.items():
        yield (name, "status", status), count or 0
    for step in funnel.steps:
        for view, band in (("alone", step.alone), ("sequence", step.sequence)):
            if band is not None:
                yield from (((name, view, step.criterion, key), getattr(band, key)) for key in _BANDS)
    yield from (((name, "near", criterion), count or 0) for criterion, count in funnel.near.items())
    for one in funnel.missing:
        yield (name, "unlocks", one.test), one.unlocks or 0
        yield (name, "open", one.test), one.open or 0


def _equations(funnel: Funnel, cells: Mapping[Cell, int]) -> Iterator[Equation]:
    """How the counts of one funnel add up. Rows of equal counts may be one row twice (a part that is its whole)."""
    name = funnel.protocol
    assessed: Cell = (name, "assessed")
    yield {PATIENTS: 1, assessed: -1, (name, "not-assessed"): -1}
    yield {assessed: 1, **{(name, "status", status): -1 for status in funnel.statuses}}
    rows = [(view, step.criterion) for step in funnel.steps for view in ("alone", "sequence") if view == "alone" or step.sequence]
    for view, criterion in rows:
        if view == "alone" and sum(cells[name, view, criterion, key] for key in _BANDS) == cells[assessed]:
            yield {assessed: 1, **{(name, view, criterion, key): -1 for key in _BANDS}}
    ordered = [step.criterion for step in funnel.steps if step.sequence]
    yield {assessed: 1, **{(name, "sequence", ordered[0], key): -1 for key in _BANDS}}
    for before, after in pairwise(ordered):
        left: dict[Cell, int] = {(name, "sequence", before, key): 1 for key in _PASSED}
        yield {**left, **{(name, "sequence", after, key): -1 for key in _BANDS}}
    left = {(name, "sequence", ordered[-1], key): 1 for key in _PASSED}
    yield {**left, **{(name, "status", status): -1 for status in funnel.statuses if status != Status.INELIGIBLE}}
    alike: dict[tuple[int, ...], tuple[str, str]] = {}
    for view, criterion in rows:
        counts = tuple(cells[name, view, criterion, key] for key in _BANDS)
        twin = alike.setdefault(counts, (view, criterion))
        if twin != (view, criterion):
            for key in _BANDS:
                yield {(name, *twin, key): 1, (name, view, criterion, key): -1}


def _without(funnel: Funnel, hidden: set[Cell], minimum: int) -> Funnel:
    name = funnel.protocol

    def shown(count: int | None, *cell: str) -> int | None:
        return None if cell in hidden else count

    return msgspec.structs.replace(
        funnel,
        patients=shown(funnel.patients, *PATIENTS),
        assessed=shown(funnel.assessed, name, "assessed"),
        not_assessed=shown(funnel.not_assessed, name, "not-assessed"),
        statuses={status: shown(count, name, "status", status) for status, count in funnel.statuses.items()},
        steps=tuple(_step(name, step, hidden) for step in funnel.steps),
        near={criterion: shown(count, name, "near", criterion) for criterion, count in funnel.near.items()},
        misses=(),
        missing=tuple(
            msgspec.structs.replace(
                one, unlocks=shown(one.unlocks, name, "unlocks", one.test), open=shown(one.open, name, "open", one.test)
            )
            for one in funnel.missing
        ),
        min_cell=minimum,
    )


def _step(name: str, step: Step, hidden: set[Cell]) -> Step:
    def shown(view: str, band: Band | None) -> Any:
        if band is None:
            return None
        counts = {key: None if (name, view, step.criterion, key) in hidden else getattr(band, key) for key in _BANDS}
        return Band(**counts)

    return msgspec.structs.replace(step, sequence=shown("sequence", step.sequence), alone=shown("alone", step.alone))
