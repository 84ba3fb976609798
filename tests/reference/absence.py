"""When "no record" may count as absence: served to the end, every record known to be something else, contact in the window."""

from __future__ import annotations

from tests.reference.results import time_of
from tests.reference.said import NOT_MET, Said, said, unknown
from tests.reference.spans import Span
from tests.reference.windows import IN, Data, Window, World

FLAWS = {"modifier": "modifier", "restricted": "restricted"}
NO_CONTACT = ("entered-in-error", "cancelled", "not-done", "not-taken", "refuted", "unknown")

# Records of the wider concept may be of the narrower one: they are no proof against it.
WIDER = {
    "pneumonia": ("infection_any",),
    "tb_active": ("infection_any",),
    "transfusion_red_cells": ("transfusion_any",),
}  # fmt: skip


def known_as_another(row: Data, wanted: list[str]) -> bool:
    """Whether the record is known not to be any of these: its concept is another one, and no wider one."""
    concept = row.get("concept")
    return bool(concept) and concept not in wanted and not any(concept in WIDER.get(name, ()) for name in wanted)


def absent(kind: Data, world: World, asked: Window | None, served: bool, gap: bool) -> Said:
    """Nothing was found: what that means."""
    if kind.get("absence") != "closed":
        return unknown("not-found", *(["unmapped"] if gap else []), *(["needs-person"] if kind.get("ask") else []))
    if not served:
        return unknown("no-record", *(["unmapped"] if gap else []))
    if gap:
        return unknown("unmapped")
    if asked is not None and not contact(world, asked):
        return unknown("no-record")
    return said(NOT_MET, "absent")


def contact(world: World, asked: Window) -> bool:
    """Whether a dated record shows that the patient was seen inside the window."""
    return any(asked.place(time) == IN for row in world.rows for time in _times(row, world))


def _times(row: Data, world: World) -> list[Span]:
    if row.get("status", row.get("verification")) in NO_CONTACT or row["kind"] in ("answer", "refused"):
        return []
    if row["kind"] == "result":
        return [time_of(row, world)] if row.get("time") or row.get("issued") else []
    keys = {"condition": ("onset", "recorded"), "drug": ("time", "start")}.get(row["kind"], ("time",))
    spans = [world.time(row[key]) for key in keys if row.get(key)]
    stop = world.time(row.get("until"))
    return [Span(one.first, (stop or one).last, one.start, (stop or one).end) for one in spans if one is not None]
