"""Events: something done, or a drug given, inside a window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from tests.reference.absence import FLAWS, absent, known_as_another
from tests.reference.said import MET, Said, said, unknown
from tests.reference.spans import FAR_PAST, day_of
from tests.reference.windows import AFTER, BEFORE, IN, MAYBE, Data, Window, World, until, window

DONE, NOT_COUNTED = ("completed", "in-progress"), ("not-done", "entered-in-error", "not-taken", "cancelled")
MEDICATIONS = ("MedicationRequest", "MedicationStatement", "MedicationDispense", "MedicationAdministration")


@dataclass(frozen=True)
class Use:
    """Days of a medication record: it surely began by the first sure day and lasted to the last; the days that are possible."""

    sure: tuple[date, date]
    possible: tuple[date, date]


def event(kind: Data, world: World) -> Said:
    asked = window(kind.get("window", {}), world)
    if asked is None:
        return unknown("pending-event")
    reasons: set[str] = set()
    for row in [*world.of("procedure"), *world.of("drug")]:
        found = one_record(row, kind, world, asked)
        if found == MET:
            return said(MET, "present")
        reasons |= {found} if found else set()
    if reasons:
        return unknown(*reasons, *(["pending-event"] if asked.open else []))
    gap = any(may_be(row, kind, world, asked) for row in world.rows)
    if asked.open:
        return unknown("pending-event", *(["unmapped"] if gap else []), "no-record", "not-found")
    return absent(kind, world, asked if _bounded(kind) else None, _served(kind, world), gap)


def _bounded(kind: Data) -> bool:
    return bool(kind.get("window"))


def _served(kind: Data, world: World) -> bool:
    """Procedures to the end, and one kind of medication record, as far as either is asked for."""
    procedures = not kind.get("procedures") or "Procedure" in world.complete
    return procedures and (not kind.get("medications") or any(name in world.complete for name in MEDICATIONS))


def one_record(row: Data, kind: Data, world: World, asked: Window) -> str:
    wanted = kind.get("procedures" if row["kind"] == "procedure" else "medications", ())
    if row.get("concept") not in wanted or row.get("status") in NOT_COUNTED:
        return ""
    where = place(row, world, asked)
    if where in (BEFORE, AFTER):
        return ""
    if row.get("flaw"):
        return FLAWS[row["flaw"]]
    if row["kind"] == "drug" and row.get("strength") == "ordered":
        return "unconfirmed"
    return MET if where == IN else "imprecise-date"


def may_be(row: Data, kind: Data, world: World, asked: Window) -> bool:
    """A record in the window that may be anything of what is asked for."""
    wanted = {"procedure": kind.get("procedures"), "drug": kind.get("medications")}.get(row["kind"])
    if not wanted or row.get("status") in NOT_COUNTED or row.get("concept") in wanted or known_as_another(row, wanted):
        return False
    return place(row, world, asked) in (IN, MAYBE)


def place(row: Data, world: World, asked: Window) -> str:
    """Where a procedure, a single intake or a stretch of use lies."""
    if row["kind"] == "procedure" or row.get("time"):
        return asked.place(world.time(row.get("time")) or until(world.as_of))
    return touches(use(row, world), world, asked)


def use(row: Data, world: World) -> Use:
    """From its start to its end; an open end is sure up to the day of the assertion, and possible up to the day of the run."""
    start, end, today = world.time(row.get("start")), world.time(row.get("end")), world.as_of.last
    told = world.time(row.get("asserted"))
    latest = (end or told or world.as_of).last  # whoever used it until then, or was said to, had begun
    begin = (start.first, min(start.last, max(start.first, latest))) if start else (FAR_PAST, latest)
    last = end.last if end else today
    vouched = end.first if end else min(told.first, today) if told else begin[0]
    vouched = max(min(vouched, today), begin[0]) if start else FAR_PAST  # begun on any day, it is sure of none
    return Use((begin[1], vouched), (begin[0], min(last, today)))


def touches(days: Use, world: World, asked: Window) -> str:
    low = [day_of(ends.start, world.zone) for ends in asked.ends]
    high = [min(day_of(ends.end, world.zone), world.as_of.last) for ends in asked.ends]
    if days.possible[0] > max(high) or days.possible[1] < min(low) or days.possible[1] < days.possible[0]:
        return AFTER
    sure = days.sure[0] <= min(high) and days.sure[1] >= max(low)
    return IN if sure else MAYBE
