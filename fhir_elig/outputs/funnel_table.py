"""The funnel of a cohort: who is left after each criterion, who is near, what is missing; as records and as a table.

Counts are of persons. A count that is None is hidden because few people stand behind it, or because another hidden one could
be computed from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from fhir_elig.outputs.words import patient_name, safe_text

BANDS = ("met", "not-applicable", "unknown", "not-met")
_AT_MOST = 10  # lines of a list that a terminal shows


class Band(msgspec.Struct, frozen=True, rename="kebab"):
    """Persons by the verdict of one criterion."""

    met: int | None = 0
    not_applicable: int | None = 0
    unknown: int | None = 0
    not_met: int | None = 0

    def counts(self) -> tuple[int | None, ...]:
        """In the order of BANDS."""
        return self.met, self.not_applicable, self.unknown, self.not_met


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One criterion: `sequence` counts those whom no earlier one ruled out (None below the top), `alone` counts all."""

    criterion: str
    text: str
    depth: int
    sequence: Band | None
    alone: Band


class Miss(msgspec.Struct, frozen=True):
    """Somebody whom one criterion alone rules out. `distance` is from the value to the limit, `relative` its ratio."""

    patient: str
    criterion: str
    value: float | None
    unit: str
    limit: str
    distance: float | None
    relative: float | None
    reference: str
    time: str


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A test, record or question that is open: for how many persons, and how many it unlocks (docs/how-to/funnel.md)."""

    test: str
    criteria: tuple[str, ...]
    unlocks: int | None
    open: int | None


class Funnel(msgspec.Struct, frozen=True, kw_only=True):
    """One protocol of a run. `near` counts near misses by criterion; `misses` tells of each, empty where cells are hidden."""

    schema: str = "fhir-elig/funnel/1"
    protocol: str
    version: str
    title: str
    as_of: str
    patients: int | None
    assessed: int | None
    not_assessed: int | None
    statuses: dict[str, int | None]
    steps: tuple[Step, ...]
    near: dict[str, int | None]
    misses: tuple[Miss, ...]
    missing: tuple[Missing, ...]
    min_cell: int = 0


def number(count: int | None) -> str:
    """A count with thousands parted; a hidden one as a word."""
    return "hidden" if count is None else f"{count:,}"


def render_funnel(funnels: Sequence[Funnel]) -> str:
    """All protocols of a run as text, complete in reading order."""
    return "\n".join("\n".join(_lines(funnel)) + "\n" for funnel in funnels)


def _lines(funnel: Funnel) -> Iterator[str]:
    told = f"{number(funnel.patients)} in, {number(funnel.assessed)} assessed, {number(funnel.not_assessed)} not (errors.ndjson)"
    yield safe_text(f"{funnel.protocol} {funnel.version}   as of {funnel.as_of}   persons: {told}")
    if funnel.min_cell:
        yield f"counts from 1 to {funnel.min_cell - 1} are hidden, and what they could be computed from"
    yield ""
    yield from _steps(funnel.steps)
    yield ""
    yield "left: " + ", ".join(f"{number(count)} {status}" for status, count in funnel.statuses.items())
    yield from _near(funnel)
    yield from _missing(funnel)


def _steps(steps: Sequence[Step]) -> Iterator[str]:
    heads = ("MET", "N/A", "UNKNOWN", "NOT MET")
    rows = [(f"{'  ' * step.depth}{safe_text(step.criterion)}", *_cells(step.sequence), *_cells(step.alone)) for step in steps]
    width = max(len(row[0]) for row in [("CRITERION",), *rows])
    cells = [max(8, *(len(row[column]) for row in rows)) if rows else 8 for column in range(1, 9)]
    left = sum(cells[:4]) + 6
    yield f"{'':{width}}  {'IN SEQUENCE':<{left}}  ALONE"
    for row in [("CRITERION", *heads, *heads), *rows]:
        figures = "  ".join(f"{text:>{size}}" for text, size in zip(row[1:], cells, strict=True))
        yield f"{row[0]:<{width}}  {figures}".rstrip()


def _cells(band: Band | None) -> tuple[str, ...]:
    return ("",) * len(BANDS) if band is None else tuple(map(number, band.counts()))


def _near(funnel: Funnel) -> Iterator[str]:
    if funnel.near:
        yield ""
        yield "one criterion from met: " + ", ".join(f"{safe_text(name)} {number(count)}" for name, count in funnel.near.items())
    for miss in funnel.misses[:_AT_MOST]:
        yield f"  {patient_name(miss.patient)}  {safe_text(miss.criterion)}  {miss_text(miss)}"
    if len(funnel.misses) > _AT_MOST:
        yield f"  and {len(funnel.misses) - _AT_MOST} more (--format json has all)"


def miss_text(miss: Miss) -> str:
    """The value, the limit and how far they lie apart, in words."""
    if miss.distance is None:
        return f"limit {safe_text(miss.limit)}" if miss.limit else "no value to compare"
    unit = f" {miss.unit}" if miss.unit else ""
    shown = f"{miss.value:g}{unit}" if miss.value is not None else "an interval"
    share = f" ({100 * miss.relative:.2g} % of the limit)" if miss.relative is not None else ""
    return safe_text(f"{shown}, limit {miss.limit}: {miss.distance:.4g}{unit} away{share}")


def _missing(funnel: Funnel) -> Iterator[str]:
    if funnel.missing:
        yield ""
        yield "missing, by the persons whom it unlocks"
    for one in funnel.missing[:_AT_MOST]:
        criteria = ", ".join(map(safe_text, one.criteria))
        yield f"  {safe_text(one.test)}: unlocks {number(one.unlocks)}, open for {number(one.open)}   ({criteria})"
    if len(funnel.missing) > _AT_MOST:
        yield f"  and {len(funnel.missing) - _AT_MOST} more (--format json has all)"
