"""Results as candidates: what each one means, and which of them a criterion may take.

A pick such as `latest` is taken over times that are intervals: all results that may be the one are candidates, and a
verdict stands only if each of them gives it (verdicts, section 6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from fhir_elig import units
from fhir_elig.criteria.candidates import Candidate, Found
from fhir_elig.criteria.context import Context, Frame
from fhir_elig.criteria.outcome import Outcome, flaw_reason, unknown
from fhir_elig.quantity import Analyte, Interval, Quantity, Range, Reading
from fhir_elig.record import Coded, Counts, Result
from fhir_elig.verdict import Evidence, Reason, SetAside
from fhir_elig.windows import AFTER, BEFORE, INSIDE, PARTLY, Place

_YES, _NEVER = Counts.YES, (Counts.NO, Counts.NEGATIVE)  # in Python 3.11 a member is found more slowly in its class
RESTRICTED_ABSENCE = frozenset({"masked", "not-permitted"})


def interpret(result: Result, analyte: Analyte, context: Context) -> Reading:
    """What a result's value means in the analyte's canonical unit; read once for all criteria."""
    key = (id(result), analyte.name)
    found = context.facts.readings.get(key)
    if found is None:
        found = context.facts.readings[key] = _interpret(result, analyte, context)
    return found


def _interpret(result: Result, analyte: Analyte, context: Context) -> Reading:
    reason = flaw_reason(result)
    if reason is not None and reason is not Reason.CONFLICTING:  # two bodies of one version: both are read, and must agree
        return Reading(reason=reason)
    if result.reference in context.facts.mixed:
        return Reading(reason=Reason.CONFLICTING)
    value = _quantity(result, context)
    return units.read_quantity(value, analyte) if value is not None else Reading(reason=Reason.NOT_NUMERIC)


def _quantity(result: Result, context: Context) -> Quantity | Range | None:
    value = result.value
    if isinstance(value, Coded):
        if not value.text:
            return None
        value = units.read_text(value.text, context.record.decimal_comma)
    if isinstance(value, Quantity) and not (value.unit.strip() or value.code.strip()):
        stated = next((context.run.code_units[code] for code in result.codes if code in context.run.code_units), "")
        return msgspec.structs.replace(value, unit=stated) if stated else value
    return value if isinstance(value, (Quantity, Range)) else None


def evidence_of(result: Result, compared: str = "", limit: str = "", note: str = "") -> Evidence:
    return Evidence(
        reference=result.reference,
        version=result.version,
        received="" if result.value is None else str(result.value),
        compared=compared,
        limit=limit,
        time=result.time.text if result.time else "",
        note=note,
    )


def gather(
    names: tuple[str, ...],
    frame: Frame,
    context: Context,
    make: Callable[[Result], Candidate],
    interpreted: bool = False,
) -> Found:
    """Sort the results of these concepts against a window; `make` reads each one that counts.

    With `interpreted` a result that has an interpretation and no value counts too. Which of them the verdict rests on the
    caller knows, so it is for the caller to note when those leave the window (`mark_leaving`).
    """
    found = Found(candidates=[], aside=[], too_old=[], not_final=[])
    for result in context.facts.of(names):
        place = context.position(result.time, frame)
        if place is not BEFORE:
            _sort_in(result, place, frame, make, found, interpreted)
        elif result.counts is _YES and (result.value is not None or (interpreted and result.interpretation)):
            found.too_old.append(result)
    for name in names:
        for result in context.facts.doubtful.get(name, ()):
            if context.position(result.time, frame) in (INSIDE, PARTLY):
                found.aside.append(SetAside(result.reference, "code not verified"))
    return found


def _sort_in(
    result: Result, place: Place, frame: Frame, make: Callable[[Result], Candidate], found: Found, interpreted: bool
) -> None:
    if result.counts in _NEVER:
        found.aside.append(SetAside(result.reference, f"status {result.status}"))
    elif place is AFTER:
        found.aside.append(SetAside(result.reference, f"dated after {frame.high.text}"))
    elif result.counts is not _YES:
        found.not_final.append(result)
        found.aside.append(SetAside(result.reference, f"status {result.status}: not final"))
    elif result.absent or (result.value is None and not (interpreted and result.interpretation)):
        found.aside.append(SetAside(result.reference, f"no value: {result.absent or 'none sent'}"))
        if result.absent in RESTRICTED_ABSENCE:
            found.candidates.append(
                Candidate(
                    result=result,
                    time=result.time,
                    reading=Reading(reason=Reason.RESTRICTED),
                    evidence=(evidence_of(result),),
                    sure=place is INSIDE,
                )
            )
    else:
        candidate = make(result)
        candidate.sure = candidate.sure and place is INSIDE
        found.candidates.append(candidate)


def mark_leaving(found: Iterable[Candidate | Result], frame: Frame, context: Context) -> None:
    """Note when the first of these leaves the window."""
    for one in found:
        if one.time is not None:
            context.mark_leaving(one.time, frame)


def nothing_found(found: Found, window: str) -> Outcome:
    """Why there is no candidate, and what was seen instead."""
    if found.not_final:
        return unknown(Reason.NOT_FINAL, evidence=tuple(evidence_of(r, note=f"status {r.status}") for r in found.not_final))
    if found.too_old:
        return unknown(Reason.TOO_OLD, evidence=(evidence_of(newest(found.too_old), note=f"older than {window}"),))
    return unknown(Reason.NOT_FOUND)


def newest(results: Iterable[Result]) -> Result:
    """The one that began last; of those that began at once the last by reference."""
    return max(results, key=lambda r: (r.time.start if r.time else 0, r.reference))


def superseded(found: Found, taken: Sequence[Candidate]) -> tuple[SetAside, ...]:
    """What was set aside, and the candidates that a newer one replaced."""
    if len(taken) == len(found.candidates):
        return tuple(dict.fromkeys(found.aside)) if found.aside else ()
    used = {id(c) for c in taken}
    older = [SetAside(c.result.reference, "superseded") for c in found.candidates if id(c) not in used]
    return tuple(dict.fromkeys((*older, *found.aside)))


def hull(intervals: Sequence[Interval]) -> Interval:
    whole = intervals[0]
    for interval in intervals[1:]:
        whole = whole.hull(interval)
    return whole
