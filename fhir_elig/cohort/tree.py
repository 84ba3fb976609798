"""A protocol's criteria as a run's manifest keeps them (outputs.protocol_tree), ready to be walked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

# Picks whose value is one result, whatever the limit is; of the others another result may decide under another limit.
_BY_TIME = frozenset({"latest", "earliest", "nearest"})
_READING = "options-"
LIMITED = ("value", "age")


class Limit(msgspec.Struct, frozen=True):
    """One limit; `value` is None for a multiple of a limit of normal."""

    sign: str
    value: float | None
    unit: str
    text: str


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the tree; `refers` names the node that it stands for, `role` how it serves the node above."""

    id: str = ""
    kind: str = ""
    text: str = ""
    refers: str = ""
    role: str = ""
    count: int = 0
    together: str = ""
    attestable: bool = False
    decided: str = ""
    analyte: str = ""
    pick: str = ""
    window: Mapping[str, str] = {}
    reads: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    criteria: tuple[Part, ...] = ()

    def walk(self) -> Iterator[Part]:
        yield self
        for child in self.criteria:
            yield from child.walk()

    def members(self) -> tuple[Part, ...]:
        """Its parts but those of an exception."""
        return tuple(part for part in self.criteria if not part.role.startswith("unless-"))

    def named(self) -> tuple[Part, ...]:
        """The criteria directly below, those inside nameless parts among them; without those of guards and exceptions,
        which an assessment does not show."""
        shown = [part for part in self.members() if part.role != "when"]
        return tuple(inner for part in shown for inner in ((part,) if part.id else part.named()))

    def part(self, role: str) -> Part | None:
        return next((part for part in self.criteria if part.role == role), None)

    def readings(self) -> dict[str, Part]:
        return {part.role.removeprefix(_READING): part for part in self.criteria if part.role.startswith(_READING)}

    def concepts(self) -> tuple[str, ...]:
        """What it reads, its nameless parts included."""
        found = [*self.reads, *(name for part in self.criteria if not part.id for name in part.concepts())]
        return tuple(dict.fromkeys(found))

    @property
    def exempt(self) -> bool:
        """Whether an exception (`unless`) may take the place of the criterion."""
        return self.part("unless-when") is not None


class Tree(msgspec.Struct, frozen=True):
    """A protocol's criteria: inclusion and exclusion as written, and the definitions that they refer to."""

    inclusion: tuple[Part, ...]
    exclusion: tuple[Part, ...] = ()
    definitions: dict[str, Part] = {}

    @property
    def tops(self) -> tuple[Part, ...]:
        return (*self.inclusion, *self.exclusion)

    def walk(self) -> Iterator[Part]:
        for part in (*self.tops, *self.definitions.values()):
            yield from part.walk()

    def criteria(self) -> dict[str, Part]:
        """By id, what has rows in the matrix, in the order of the protocol."""
        return {part.id: part for top in self.tops for part in shown(top)}


def shown(part: Part) -> Iterator[Part]:
    """A criterion and all below it that an assessment shows, parents first."""
    yield part
    for child in part.named():
        yield from shown(child)


def measured(part: Part) -> Part | None:
    """The part that holds the limits of a criterion: itself, or the readings it is made of where all have the same limits.

    None where it has no limit of a value, or not one that all readings share.
    """
    if part.kind in LIMITED and part.limits:
        return part
    options = list(part.readings().values())
    if not options or any(option.id or option.refers or option.kind not in LIMITED for option in options):
        return None
    alike = {(option.kind, option.limits, option.analyte) for option in options}
    return options[0] if len(alike) == 1 and options[0].limits else None


def fixed(part: Part) -> str:
    """Why a limit of a criterion cannot be moved by what the matrix holds; empty if it can."""
    held = measured(part)
    if held is None:
        return "it has no limit of a value, or its readings have different ones"
    options = list(part.readings().values()) or [part]
    if any(limit.value is None for limit in held.limits):
        return "its limit is a multiple of a limit of normal, which differs from result to result"
    if any(option.pick and option.pick not in _BY_TIME for option in options):
        return f"it reads several results (pick: {held.pick}), and the matrix holds one"
    if part.exempt or any(option.exempt for option in options):
        return "an exception (unless) has a limit of its own"
    if part.attestable or any(option.attestable for option in options):
        return "a person's answer may have settled it"
    return ""


def waits(part: Part) -> bool:
    """Whether the window of a value may reach beyond the day of the run, where screening is that day."""
    windows = [option.window for option in (list(part.readings().values()) or [part]) if option.window]
    return any(window["milestone"] != "screening" or window["after"] != "0 d" for window in windows)
