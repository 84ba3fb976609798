"""Hints that a condition was there without a record of it: a drug that is given for it, a result that is not negative."""

from __future__ import annotations

from tests.reference.absence import known_as_another
from tests.reference.events import NOT_COUNTED, place
from tests.reference.qualitative import SAYS, answer_of
from tests.reference.results import FINAL, HIDDEN, NOT_YET, time_of
from tests.reference.windows import IN, MAYBE, Data, Window, World


def hinted(kind: Data, world: World, asked: Window | None) -> list[str]:
    """Why a person is asked, or which drug nobody can tell; nothing where there is no hint."""
    drugs = [row for row in world.of("drug") if kind.get("hint-medications") and _taken(row, world, asked)]
    named = [row for row in drugs if row.get("concept") in kind["hint-medications"]]
    results = [row for row in world.of("result") if row.get("concept") in kind.get("hint-results", ())]
    if named or any(_speaks(row, world, asked) for row in results):
        return ["needs-person"]
    return ["unmapped"] if any(not known_as_another(row, kind["hint-medications"]) for row in drugs) else []


def _taken(row: Data, world: World, asked: Window | None) -> bool:
    return row.get("status") not in NOT_COUNTED and (asked is None or place(row, world, asked) in (IN, MAYBE))


def _speaks(row: Data, world: World, asked: Window | None) -> bool:
    """Whether it may say something else than negative."""
    if row.get("status", "final") not in (*FINAL, *NOT_YET):
        return False
    if asked is not None and asked.place(time_of(row, world)) not in (IN, MAYBE):
        return False
    if row.get("flaw") or row.get("absent"):
        return bool(row.get("flaw")) or row["absent"] in HIDDEN
    shown = {SAYS.get(code) for code in row.get("interpretation", ())} & {"negative", "positive"}
    if row.get("bare"):
        return bool(row.get("interpretation")) and shown != {"negative"}
    return answer_of(row, {"answer": {}}) != "negative"
