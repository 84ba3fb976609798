"""Two runs compared, as a record and as text: persons who are new, who left, who changed, and what changed them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from fhir_elig.outputs.words import patient_name, safe_text

_PERSONS = 20  # persons that the text names in each list


class ChangedCriterion(msgspec.Struct, frozen=True):
    """A criterion whose verdict is another one; empty or None where a run has no row of it."""

    criterion: str
    old_verdict: str | None
    new_verdict: str | None
    old_reason: str | None
    new_reason: str | None
    old_value: float | None
    new_value: float | None
    unit: str
    old_reference: str
    new_reference: str


class ChangedPerson(msgspec.Struct, frozen=True):
    """Somebody whose status is another one, and the criteria behind it; none where only what is still open differs."""

    patient: str
    old_status: str
    new_status: str
    criteria: tuple[ChangedCriterion, ...]


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """One protocol in two runs."""

    schema: str = "fhir-elig/cohort-diff/1"
    protocol: str
    old_version: str
    new_version: str
    same_protocol: bool
    old_as_of: str
    new_as_of: str
    new: tuple[str, ...]
    left: tuple[str, ...]
    changed: tuple[ChangedPerson, ...]


def render_diff(found: Sequence[Diff]) -> str:
    """All protocols as text."""
    return "\n".join("\n".join(_lines(one)) + "\n" for one in found)


def _lines(found: Diff) -> Iterator[str]:
    versions = f"{found.old_version} -> {found.new_version}" if found.old_version != found.new_version else found.new_version
    yield safe_text(f"{found.protocol} {versions}   as of {found.old_as_of} -> {found.new_as_of}")
    if not found.same_protocol:
        yield "the protocol's file is another one"
    for word, people in (("new", found.new), ("left", found.left)):
        yield f"{word}: {len(people):,}   {_names(people)}".rstrip()
    yield f"changed: {len(found.changed):,}"
    moves = Counter((one.old_status, one.new_status) for one in found.changed)
    yield from (f"  {old} -> {new}: {count:,}" for (old, new), count in sorted(moves.items()))
    for one in found.changed[:_PERSONS]:
        yield f"{patient_name(one.patient)}   {one.old_status} -> {one.new_status}"
        yield from (f"  {safe_text(_told(criterion))}" for criterion in one.criteria)
    if len(found.changed) > _PERSONS:
        yield f"and {len(found.changed) - _PERSONS} more (--format json has all)"


def _names(people: Sequence[str]) -> str:
    more = f" and {len(people) - _PERSONS} more" if len(people) > _PERSONS else ""
    return ", ".join(map(patient_name, people[:_PERSONS])) + more


def _told(one: ChangedCriterion) -> str:
    return f"{one.criterion}: {_side(one, old=True)} -> {_side(one, old=False)}"


def _side(one: ChangedCriterion, old: bool) -> str:
    verdict, reason = (one.old_verdict, one.old_reason) if old else (one.new_verdict, one.new_reason)
    value, reference = (one.old_value, one.old_reference) if old else (one.new_value, one.new_reference)
    if verdict is None:
        return "not a criterion"
    shown = "" if value is None else f" {value:g} {one.unit}".rstrip()
    return f"{verdict} ({reason}){shown}{f' {reference}' if reference else ''}"
