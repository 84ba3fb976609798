"""Which subtype of a disease is recorded: the rungs of the ladder, one by one, first rung that applies."""

from __future__ import annotations

from collections.abc import Sequence

from tests.reference.absence import FLAWS, known_as_another
from tests.reference.conditions import DROPPED, UNSURE, later
from tests.reference.said import MET, NOT_MET, Said, said, unknown
from tests.reference.windows import Data, World

GROUPS = ("wanted", "other", "open")


def subtype(kind: Data, world: World) -> Said:
    rows = [row for row in world.of("condition") if row.get("verification", "") not in DROPPED and not later(row, world)]
    if "Condition" in world.broken:
        return unknown("incomplete")
    told = {group: [row for row in rows if row.get("concept") in kind.get(group, ())] for group in GROUPS}
    of_it = [row for group in GROUPS for row in told[group]]
    if any(row.get("flaw") for row in of_it):
        return unknown(*(FLAWS[row["flaw"]] for row in of_it if row.get("flaw")))
    sure = {group: [row for row in told[group] if row.get("verification") not in UNSURE] for group in GROUPS}
    if sure["wanted"]:
        return _wanted(told["other"], sure["wanted"], world)
    if sure["other"]:
        return _other(of_it, sure, world)
    if sure["open"]:
        return unknown("needs-person")
    return unknown("unconfirmed") if of_it else _none(kind, rows, world)


def _wanted(others: Sequence[Data], wanted: Sequence[Data], world: World) -> Said:
    """The wanted subtype, unless another one may have been recorded after the first record of it."""
    after = [row for row in others if _may_follow(row, wanted, world)]
    if not after:
        return said(MET, "present")
    return unknown(*("unconfirmed" if row.get("verification") in UNSURE else "conflicting" for row in after))


def _other(of_it: Sequence[Data], sure: dict[str, list[Data]], world: World) -> Said:
    """Another subtype, unless anything is unconfirmed, or one that leaves it open may have been recorded later."""
    if any(row.get("verification") in UNSURE for row in of_it):
        return unknown("unconfirmed")
    if any(_may_follow(row, sure["other"], world) for row in sure["open"]):
        return unknown("conflicting")
    return said(NOT_MET, "present")


def _none(kind: Data, rows: Sequence[Data], world: World) -> Said:
    """No record of the disease: absence only if Conditions were served and every other record is known to be something else."""
    named = [name for group in GROUPS for name in kind.get(group, ())]
    if not all(known_as_another(row, named) for row in rows):
        return unknown("unmapped")
    if kind.get("absence") != "closed":
        return unknown("not-found")
    return said(NOT_MET, "absent") if "Condition" in world.complete else unknown("no-record")


def _may_follow(row: Data, others: Sequence[Data], world: World) -> bool:
    """Whether it may have been recorded on a later day than the first of the others; what has no date may."""
    mine = world.time(row.get("recorded") or row.get("onset"))
    theirs = [world.time(other.get("recorded") or other.get("onset")) for other in others]
    return mine is None or any(other is None or mine.last > other.first for other in theirs)
