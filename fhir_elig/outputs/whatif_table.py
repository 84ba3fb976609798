"""A what-if: the persons by verdict before and after a change, and who moves; as a record and as a table."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fhir_elig.outputs.words import patient_name, safe_text

_NAMES = 10  # persons that a line of the table names


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """Persons by the verdict of the whole, `before` and `after`; `moves` counts and `persons` lists those who change.

    `cannot be told` counts those whose verdict the stored values do not settle.
    """

    schema: str = "fhir-elig/what-if/1"
    protocol: str
    version: str
    as_of: str
    changes: tuple[str, ...]
    before: dict[str, int]
    after: dict[str, int]
    moves: dict[str, int]
    persons: dict[str, tuple[str, ...]]


def render_what_if(found: WhatIf) -> str:
    """The table as text."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: WhatIf) -> Iterator[str]:
    yield safe_text(f"WHAT IF   {found.protocol} {found.version}   as of {found.as_of}")
    yield from (f"  {safe_text(change)}" for change in found.changes)
    yield ""
    width = max(map(len, found.after))
    yield f"{'WHOLE':<{width}}  {'BEFORE':>10}  {'AFTER':>10}"
    for verdict, count in found.after.items():
        before = found.before.get(verdict)
        yield f"{verdict:<{width}}  {'' if before is None else f'{before:,}':>10}  {count:>10,}"
    yield ""
    for move, count in found.moves.items():
        names = [patient_name(patient) for patient in found.persons[move]]
        more = f" and {len(names) - _NAMES} more (--format json has all)" if len(names) > _NAMES else ""
        yield f"{move}: {count:,}   {', '.join(names[:_NAMES])}{more}"
    if not found.moves:
        yield "nobody changes"
    yield "recomputed from stored verdicts and values; no chart was read, and nothing of the run is changed"
