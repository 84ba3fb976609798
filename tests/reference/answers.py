"""What people say: a question, the items of a score, an answer that settles what could not be computed."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from tests.reference.said import MET, NOT_MET, UNKNOWN, Said, merged, plain, said, unknown
from tests.reference.spans import moved
from tests.reference.windows import Data, World


def newest(item: str, world: World) -> list[Data]:
    """The answers that may be the newest: dated, not after the day of the run, not surely before another one."""
    found = []
    for row in world.of("answer"):
        on = world.time(row.get("on"))
        if row["item"] == item and isinstance(row["value"], bool) and on is not None and on.start <= world.as_of.end:
            found.append((row, on))
    return [row for row, on in found if not any(other.start > on.end for _, other in found)]


def answered(item: str, world: World, expires: str = "all") -> Said | None:
    """What the newest answer says; None where nobody answered, or the answer holds no longer."""
    rows = newest(item, world)
    if not rows:
        return None
    if any(row.get("flaw") for row in rows):
        return unknown("modifier", "restricted", "conflicting")
    if any(not _holds(row, world, expires) for row in rows):
        return None
    values = {row["value"] for row in rows}
    if len(values) > 1:
        return unknown("conflicting")
    return said(MET if values == {True} else NOT_MET, "attested")


def _holds(row: Data, world: World, expires: str) -> bool:
    on = world.time(row["on"])
    return on is not None and (expires == "all" or world.as_of.last <= moved(on.last, expires, 1))


def attestation(kind: Data, world: World, owner: str) -> Said:
    if "QuestionnaireResponse" in world.broken:
        return unknown("incomplete")
    return answered(owner, world, kind.get("expires") or "all") or unknown("needs-person")


def settled(computed: Said, owner: str, world: World) -> Said:
    """An answer settles what is unknown, and changes nothing else."""
    told = answered(owner, world) if computed.verdict == UNKNOWN else None
    if told is None:
        return computed
    return Said(UNKNOWN, merged([told, computed])) if told.verdict == UNKNOWN else told


def score(kind: Data, world: World, owner: str, computed: Mapping[str, Said]) -> Said:
    """The points of each way in which the items that nobody can tell turn out, against the limits.

    An item is what its criterion says of it, if it has one that says something; else what people say.
    """
    under = kind.get("answers-of") or owner
    told: dict[str, Said | None] = {}
    for item in kind["items"]:
        by_chart = plain(computed[item]) if item in computed else None
        told[item] = by_chart if by_chart and by_chart.verdict != UNKNOWN else answered(f"{under}/{item}", world) or by_chart
    present = {item for item, one in told.items() if one is not None and one.verdict == MET}
    waiting = [item for item, one in told.items() if one is None or one.verdict == UNKNOWN]
    ways = [present | set(some) for count in range(len(waiting) + 1) for some in combinations(waiting, count)]
    verdicts = {kind.get("at-least", -99) <= _points(kind, way) <= kind.get("at-most", 99) for way in ways}
    if len(verdicts) == 1:
        return said(MET, "in-range") if verdicts == {True} else said(NOT_MET, "out-of-range")
    if set(waiting) <= set(computed):
        return Said(UNKNOWN, plain(computed[waiting[0]]).reasons)
    return unknown("needs-person", "not-found")


def _points(kind: Data, present: set[str]) -> int:
    """Of a group the highest counts once."""
    groups = [set(group) for group in kind.get("groups", ())]
    grouped = set().union(*groups) if groups else set()
    alone = sum(kind["items"][item] for item in present - grouped)
    return int(kind.get("base", 0) + alone + sum(max((kind["items"][i] for i in present & group), default=0) for group in groups))
