"""What a server allows a protocol, in words: each criterion with what it lacks, what to ask the vendor for, settings in force."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec

from fhir_elig.criteria.attestation import Attestation
from fhir_elig.criteria.node import Node
from fhir_elig.criteria.score import Score
from fhir_elig.protocol import Protocol
from fhir_elig.record import MEDICATION_TYPES

_WIDTH = 110
_PERSON = "a person's answer"
# Encounters show contact, as other records do; answers are beside what a criterion reads, where it is not for people alone.
_ONLY_SUPPORTS = frozenset({"Encounter", "QuestionnaireResponse"})


class Level(StrEnum):
    """How grave a line is."""

    OK = "ok"
    NOTE = "note"
    WARN = "WARN"
    ERROR = "ERROR"


class Line(msgspec.Struct, frozen=True):
    """One thing that was found at the server, and what follows from it."""

    level: Level
    text: str
    effect: str = ""


class Lack(msgspec.Struct, frozen=True):
    """A type that cannot be read. `why` is as in `Retrieved.note`: it begins with not-served or refused."""

    type: str
    why: str
    ask: str = ""

    def __str__(self) -> str:
        return f"{self.type} is {self.why.replace('not-served', 'not served')}"

    @property
    def refused(self) -> bool:
        """Whether the server has it and does not give it: criteria that read it are then unknown, whatever else was found."""
        return self.why.startswith("refused")


class Setting(msgspec.Struct, frozen=True):
    """A setting in force: its name, its value (`set` for a secret) and where it came from."""

    name: str
    value: str
    origin: str


class State(StrEnum):
    """How far a criterion can be decided from what a server gives."""

    COMPUTED = "computed"
    PART = "in part"
    PERSON = "a person answers"
    UNKNOWN = "unknown"


class Reach(msgspec.Struct, frozen=True):
    """One criterion's state, and what it waits for: types with their reasons, a person."""

    id: str
    state: State
    waits: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that `doctor` says of a server; `reached` is None where it was not got to know what the server offers."""

    server: str
    software: str = ""
    lines: Sequence[Line] = ()
    protocol: str = ""
    reached: Sequence[Reach] | None = None
    asks: Sequence[str] = ()
    settings: Sequence[Setting] = ()
    quirks: Sequence[str] = ()


def reach(protocol: Protocol, lacks: Mapping[str, Lack]) -> tuple[Reach, ...]:
    """Each leaf criterion (one that holds no other criterion), in the protocol's order, with its state."""
    leaves = [node for node in protocol.criteria() if not any(inner.id for inner in _inside(node))]
    return tuple(_reach(node, protocol, lacks) for node in leaves)


def affected(protocol: Protocol, kind: str) -> tuple[str, ...]:
    """The leaf criteria that read a type and are not left to people, in the protocol's order."""
    found = reach(protocol, {kind: Lack(kind, "not-served")})
    return tuple(one.id for one in found if any(wait.startswith(f"{kind} ") for wait in one.waits))


def _inside(node: Node) -> Iterator[Node]:
    for _, child in node.inner():
        if not isinstance(child, str):
            yield child
            yield from _inside(child)


def _reach(node: Node, protocol: Protocol, lacks: Mapping[str, Lack]) -> Reach:
    states: set[State] = set()
    waits: dict[str, None] = {}
    for part in _parts(node, protocol):
        if isinstance(part.kind, Attestation | Score):
            states.add(State.PERSON)
            waits[_PERSON] = None
            continue
        types = {need.type for need in part.kind.needs(protocol.concepts)}
        states.add(_state(types, lacks))
        waits |= {str(lacks[kind]): None for kind in sorted(types & lacks.keys())}
    return Reach(node.id or "", _together(states), tuple(waits))


def _parts(node: Node, protocol: Protocol) -> Iterator[Node]:
    """The parts that read something themselves, those that are named elsewhere included."""
    if any(node.kind.needs(protocol.concepts)):
        yield node
    for _, child in node.inner():
        yield from _parts(protocol.nodes[child] if isinstance(child, str) else child, protocol)


def _state(types: set[str], lacks: Mapping[str, Lack]) -> State:
    """What the types that a kind of criterion reads allow. Of the medication types one that is served stands for the others."""
    missing = types & lacks.keys()
    deciding = {"Condition"} if "Condition" in types else types - _ONLY_SUPPORTS
    if deciding <= missing:
        return State.UNKNOWN
    if types & set(MEDICATION_TYPES) - missing:
        missing = {kind for kind in missing if lacks[kind].refused or kind not in MEDICATION_TYPES}
    return State.PART if missing else State.COMPUTED


def _together(states: set[State]) -> State:
    """The state of a criterion whose parts are in these states."""
    if len(states) == 1:
        return next(iter(states))
    return State.PERSON if states == {State.PERSON, State.UNKNOWN} else State.PART


def render(report: Report) -> str:
    """The report as text, each line at most 110 columns wide where words allow it."""
    lines = [f"server  {report.server}" + (f"  ({report.software})" if report.software else "")]
    for line in report.lines:
        lines += _hung(f"{line.level:<7} ", line.text)
        lines += _hung(" " * 8 + "effect: ", line.effect) if line.effect else []
    if report.reached is not None:
        lines += ["", f"criteria of {report.protocol}", *_criteria(report.reached)]
    for title, entries in (("ask the vendor for", report.asks), ("known of this server", report.quirks)):
        if entries:
            lines += ["", title, *(line for entry in entries for line in _hung("  - ", entry))]
    if report.settings:
        lines += ["", "settings in force", *_settings(report.settings)]
    return "\n".join([*lines, "", _summary(report)]) + "\n"


def _criteria(reached: Sequence[Reach]) -> Iterator[str]:
    """Those that can be computed and those for people by name, the others with what they wait for."""
    for state in State:
        mine = [one for one in reached if one.state is state]
        if mine and state in (State.COMPUTED, State.PERSON):
            yield from _hung(f"  {state} ({len(mine)}): ", ", ".join(one.id for one in mine))
        elif mine:
            yield f"  {state} ({len(mine)})"
            for one in mine:
                yield from _hung(f"    {one.id}: ", "; ".join(one.waits))


def _settings(settings: Sequence[Setting]) -> Iterator[str]:
    wide = [max(len(text) for text in column) for column in zip(*((one.name, one.value) for one in settings), strict=True)]
    for one in settings:
        yield f"  {one.name:<{wide[0]}}  {one.value:<{wide[1]}}  {one.origin}".rstrip()


def _summary(report: Report) -> str:
    warnings = sum(line.level is Level.WARN for line in report.lines)
    errors = sum(line.level is Level.ERROR for line in report.lines)
    counts = f"{_many(warnings, 'warning')}, {_many(errors, 'error')}"
    if report.reached is None:
        return counts
    able = sum(one.state is State.COMPUTED for one in report.reached)
    name = report.protocol.split(" ")[0]
    return f"{counts}   {name}: {able} of {len(report.reached)} leaf criteria can be decided here from data alone"


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _hung(mark: str, text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=mark, subsequent_indent=" " * min(len(mark), 10), break_on_hyphens=False)
