"""Evidence for a state against evidence for its end: every record that tells of either, or may, with its time."""

from __future__ import annotations

from dataclasses import dataclass

from tests.reference import conditions, events, results
from tests.reference.said import MET, NOT_MET, UNKNOWN, Said, said, unknown
from tests.reference.spans import Span
from tests.reference.windows import IN, MAYBE, Data, World, until, window


@dataclass(frozen=True)
class Piece:
    """One record: when (None where it has no date), and whether it surely tells of the state, or of its end."""

    time: Span | None
    sure: bool


def weigh(kind: Data, world: World) -> Said:
    """One side alone decides; both do only if all that tells of the state is older than all that ended it."""
    lasting = [piece for node in kind["for"] for piece in _pieces(node, world)]
    ended = [piece for node in kind["against"] for piece in _pieces(node, world)]
    going, over = any(one.sure for one in lasting), any(one.sure for one in ended)
    if over and all(_before(one, other) for one in lasting for other in ended):
        return said(NOT_MET, "present")
    if going and not ended:
        return said(MET, "present")
    if going and over and all(one.sure for one in (*lasting, *ended)):
        return unknown("conflicting")
    return unknown("not-found") if not lasting and not ended else Said(UNKNOWN)


def _before(one: Piece, other: Piece) -> bool:
    """Surely earlier."""
    return one.time is not None and other.time is not None and one.time.latest < other.time.start


def _pieces(node: Data, world: World) -> list[Piece]:
    name = next(iter(node))
    found = {"condition": _diagnoses, "event": _done, "value": _measured}[name](node[name], world)
    return found + [Piece(None, False) for _ in READ[name] & world.broken]


READ = {"condition": {"Condition"}, "event": {"Procedure"}, "value": {"Observation"}}


def _diagnoses(kind: Data, world: World) -> list[Piece]:
    found = []
    for row in world.of("condition"):
        if row.get("verification", "") not in conditions.DROPPED and not conditions.later(row, world):
            says = conditions.one_record(row, kind, world, None)
            recorded = world.time(row.get("recorded"))
            began = world.time(row.get("onset")) or (until(recorded) if recorded else None)
            found += [Piece(began, MET in says)] if says else []
    return found


def _done(kind: Data, world: World) -> list[Piece]:
    asked = window(kind.get("window", {}), world)
    assert asked is not None
    rows = [row for row in world.of("procedure") if events.one_record(row, kind, world, asked)]
    return [Piece(world.time(row.get("time")), events.one_record(row, kind, world, asked) == MET) for row in rows]


def _measured(kind: Data, world: World) -> list[Piece]:
    """Results that satisfy, or may: those of the window, or, where there is none, those that are not final yet."""
    asked = window(kind.get("window", {}), world)
    assert asked is not None
    rows = [row for row in world.of("result") if row.get("concept") in kind["concepts"]]
    inside = [one for row in rows for one in results.of_window(row, kind, world, asked)]
    telling = [one for one in inside if one.says.verdict != NOT_MET or not any(other.sure for other in inside)]
    told = [Piece(one.time, one.sure and one.says.verdict == MET) for one in telling]
    waiting = [row for row in rows if _not_final(row) and asked.place(results.time_of(row, world)) in (IN, MAYBE)]
    return told if inside else [Piece(None, False) for _ in waiting]


def _not_final(row: Data) -> bool:
    return row.get("status") in results.NOT_YET
