"""What a protocol's whole may be after a change, from the stored verdicts of its criteria.

The matrix holds a verdict for each criterion with an id, as it is shown: a part under a guard that is not known shows `unknown`
where it may be `not-met`, and nameless parts show nothing. So a node has not one verdict here but *worlds*: pairs of what it may
have been and what it then becomes. A world that disagrees with a stored verdict is thrown away. Where all that are left become
the same, that verdict is certain; where they do not, it cannot be told. The rules of combination are those of criteria.logic and
criteria.readings, on verdicts alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import product

import msgspec

from fhir_elig.cohort.tree import Part, Tree

# A verdict is one bit, so that sets of verdicts are sums. PERHAPS is a `met` that holds whether or not a guard applies.
MET, NOT_MET, UNKNOWN, NOT_APPLICABLE, PERHAPS = 1, 2, 4, 8, 16
STORED = {"met": MET, "not-met": NOT_MET, "unknown": UNKNOWN, "not-applicable": NOT_APPLICABLE}
ANY = (MET, NOT_MET, UNKNOWN, NOT_APPLICABLE, PERHAPS)
_LEAF = (MET, NOT_MET, UNKNOWN)

World = tuple[int, int]  # what it was, what it becomes
Worlds = frozenset[World]
Shown = Mapping[int, int]  # a verdict, and as what an assessment shows it

PLAIN: Shown = {MET: MET, PERHAPS: MET, NOT_MET: NOT_MET, UNKNOWN: UNKNOWN, NOT_APPLICABLE: NOT_APPLICABLE}
OPEN: Shown = {MET: MET, PERHAPS: MET, NOT_MET: UNKNOWN, UNKNOWN: UNKNOWN, NOT_APPLICABLE: UNKNOWN}
OFF: Shown = dict.fromkeys(ANY, NOT_APPLICABLE)


EXCLUDED: Shown = {MET: NOT_MET, PERHAPS: UNKNOWN, NOT_MET: MET, UNKNOWN: UNKNOWN, NOT_APPLICABLE: NOT_APPLICABLE}


class Change(msgspec.Struct, frozen=True):
    """What is changed: criteria that are dropped, limits that are moved, readings that are decided."""

    dropped: frozenset[str] = frozenset()
    moved: frozenset[str] = frozenset()
    decided: Mapping[str, str] = {}

    @property
    def names(self) -> frozenset[str]:
        return self.dropped | self.moved | self.decided.keys()


class Row(msgspec.Struct, frozen=True):
    """One person's verdicts: `stored` by criterion (of a bundle, all that are in it); `becomes`, of a criterion whose limit is
    moved, the set that it may become."""

    stored: Mapping[str, int]
    becomes: Mapping[str, int] = {}


class Reader:
    """The worlds of the nodes of one protocol, for one change. `decisions` are the readings that the site decided for the run."""

    def __init__(self, tree: Tree, change: Change, decisions: Mapping[str, str]) -> None:
        self.change = change
        self.decisions = decisions
        self.nodes = {part.id: part for part in tree.walk() if part.id} | tree.definitions
        self._touched: dict[int, bool] = {}
        guarded = [part for part in tree.walk() if part.kind == "applies-if" or part.exempt]
        self._guarded = {id(inner) for part in guarded for below in part.criteria for inner in below.walk()}
        self._excluded = {id(part) for part in tree.exclusion}

    def touched(self, part: Part) -> bool:
        """Whether the change reaches its verdict; what is dropped keeps its own."""
        key = id(part)
        if key not in self._touched:
            self._touched[key] = (
                part.id in self.change.moved
                or part.id in self.change.decided
                or any(self.drops(inner) or self.touched(self.meant(inner)) for inner in part.criteria)
            )
        return self._touched[key]

    def drops(self, part: Part) -> bool:
        return part.id in self.change.dropped or part.refers in self.change.dropped

    def meant(self, part: Part) -> Part:
        return self.nodes[part.refers] if part.refers else part

    def conditional(self, part: Part) -> bool:
        """Whether a guard or an exception inside may leave it out, or make it a `met` that may not apply."""

        def leaves_out(one: Part) -> bool:
            return one.kind == "applies-if" or one.exempt or bool(one.refers and self.conditional(self.meant(one)))

        return any(map(leaves_out, part.walk()))

    def becomes(self, top: Part, row: Row) -> int:
        """The set of verdicts that a criterion at the top may become; what does not apply counts as met."""
        excluded = id(top) in self._excluded
        found = 0
        for old, new in self._of(top, row, PLAIN):
            stored = row.stored.get(top.id, 0)
            if not stored or (EXCLUDED if excluded else PLAIN)[old] & stored:
                verdict = EXCLUDED[new] if excluded else new
                found |= MET if verdict in (PERHAPS, NOT_APPLICABLE) else verdict
        return found

    def worlds(self, part: Part, row: Row, shown: Shown | None) -> Worlds:
        """The worlds of a node; `shown` is how an assessment shows verdicts at its place, None where it shows none."""
        if part.refers:
            target = self.meant(part)
            return self.worlds(target, row, None if id(target) in self._guarded else PLAIN)
        stored = row.stored.get(part.id, 0) if part.id and shown is not None else 0
        found = self._of(part, row, shown)
        return frozenset((old, new) for old, new in found if not stored or shown is None or shown[old] & stored)

    def _of(self, part: Part, row: Row, shown: Shown | None) -> Worlds:
        touched = self.touched(part)
        if not touched and part.id in row.stored:
            return _SAME if self.conditional(part) else _SAME_LEAF
        found = self._kind(part, row, shown)
        if part.exempt:
            when, then = self._two(part, "unless-when", "unless-then")
            guards, others = self.worlds(when, row, None), self.worlds(then, row, None)
            found = _pairs(lambda main, guard, other: _unless(main, _strict(guard), other), found, guards, others)
        if part.attestable:
            found = frozenset(world for one in found for world in _attested(one))
        return found if touched else frozenset((old, old) for old, _ in found)

    def _kind(self, part: Part, row: Row, shown: Shown | None) -> Worlds:
        if part.id in self.change.moved:
            return frozenset((old, new) for old in _LEAF for new in _LEAF if new & row.becomes.get(part.id, 0))
        match part.kind:
            case "all-of" | "any-of" | "at-least":
                return self._list(part, row, shown)
            case "not":
                return _pairs(lambda one: _negated(_strict(one)), self.worlds(part.members()[0], row, shown))
            case "applies-if":
                return self._under_guard(part, row, shown)
            case "readings":
                return self._readings(part, row, shown)
        # A kind that reads the chart, or weighs its parts in a way of its own.
        return frozenset((old, new) for old in _LEAF for new in _LEAF)

    @staticmethod
    def _two(part: Part, *roles: str) -> tuple[Part, Part]:
        first, second = (part.part(role) for role in roles)
        assert first is not None and second is not None
        return first, second

    def _under_guard(self, part: Part, row: Row, shown: Shown | None) -> Worlds:
        when, then = self._two(part, "when", "then")
        found: set[World] = set()
        for old, new in self.worlds(when, row, None):
            was, becomes = _strict(old), _strict(new)
            guard = {MET: PLAIN, UNKNOWN: OPEN}.get(was, OFF)
            inside = self.worlds(then, row, None if shown is None else {verdict: shown[guard[verdict]] for verdict in ANY})
            found |= {(_applies(was, before), _applies(becomes, after)) for before, after in inside}
        return frozenset(found)

    def _readings(self, part: Part, row: Row, shown: Shown | None) -> Worlds:
        options = part.readings()
        used = self.decisions.get(part.id) or part.decided
        decided = self.change.decided.get(part.id) or used
        found: set[tuple[frozenset[int], frozenset[int], int, int]] = {(frozenset(), frozenset(), 0, 0)}
        for name, option in options.items():
            found = {
                (
                    before | {_strict(old)},
                    after | {_strict(new)},
                    old if name == used else was,
                    new if name == decided else becomes,
                )
                for old, new in self.worlds(option, row, shown)
                for before, after, was, becomes in found
            }
        return frozenset((was or _agreed(before), becomes or _agreed(after)) for before, after, was, becomes in found)

    def bundle(self, part: Part) -> tuple[str, ...]:
        """The members of a list of which it is enough to know which verdicts there are: untouched, and shown as they are."""
        if part.kind not in ("all-of", "any-of") or id(part) in self._guarded or not self.touched(part):
            return ()
        plain = (one for one in part.members() if one.id and not self.touched(one) and not self.drops(one))
        return tuple(one.id for one in plain if not self.conditional(one))

    def _list(self, part: Part, row: Row, shown: Shown | None) -> Worlds:
        """The members one after the other; what they came to so far is a set of verdicts, or the counts of `at-least`."""
        counts, strict = part.kind == "at-least", part.kind != "all-of"
        bundle = self.bundle(part) if shown is not None else ()
        start = (0, 0, 0) if counts else row.stored.get(bundle_key(bundle), 0) if bundle else 0
        states: set[tuple[State, State]] = {(start, start)}
        for member in part.members():
            if member.id and member.id in bundle:
                continue
            dropped = self.drops(member)
            steps = {(_strict(old), _strict(new)) if strict else (old, new) for old, new in self.worlds(member, row, shown)}
            states = {
                (_with(before, old), after if dropped else _with(after, new)) for before, after in states for old, new in steps
            }
        made = frozenset((_finished(part, before), _finished(part, after)) for before, after in states)
        return frozenset(world for one in made for world in _in_one_span(one)) if part.together else made

    def needed(self, part: Part) -> tuple[set[str], set[tuple[str, ...]]]:
        """The criteria whose verdicts the worlds of a touched node are made of, each alone, and those in bundles."""
        if part.refers:
            return self.needed(self.meant(part))
        alone = {part.id} - {""}
        if part.id and not self.touched(part) or part.id in self.change.moved:
            return alone, set()
        bundle = self.bundle(part)
        bundles = {bundle} - {()}
        for member in part.criteria:
            if member.id not in bundle or not member.id:
                names, others = self.needed(member)
                alone, bundles = alone | names, bundles | others
        return alone, bundles


State = int | tuple[int, int, int]
_SAME: Worlds = frozenset((verdict, verdict) for verdict in ANY)
_SAME_LEAF: Worlds = frozenset((verdict, verdict) for verdict in _LEAF)


def bundle_key(bundle: tuple[str, ...]) -> str:
    """The name of a bundle among the stored verdicts; no criterion is called so."""
    return "+" + "+".join(bundle)


def _pairs(rule: Callable[..., int], *worlds: Worlds) -> Worlds:
    return frozenset((rule(*(old for old, _ in ones)), rule(*(new for _, new in ones))) for ones in product(*worlds))


def _with(state: State, verdict: int) -> State:
    """A list with one more member: the set of its verdicts, or how many are met, unknown, and apply."""
    if isinstance(state, int):
        return state | verdict
    met, unknown, applying = state
    return met + (verdict == MET), unknown + (verdict == UNKNOWN), applying + (verdict != NOT_APPLICABLE)


def _finished(part: Part, state: State) -> int:
    if not isinstance(state, int):
        met, unknown, applying = state
        decided = MET if met >= part.count else NOT_MET if met + unknown < part.count else UNKNOWN
        return decided if applying else NOT_APPLICABLE
    first = (NOT_MET, UNKNOWN, MET, PERHAPS) if part.kind == "all-of" else (MET, UNKNOWN, NOT_MET)
    return next((verdict for verdict in first if state & verdict), NOT_APPLICABLE)


def _strict(verdict: int) -> int:
    """Where what does not apply behaves otherwise than what is met, a `met` that may not apply is unknown."""
    return UNKNOWN if verdict == PERHAPS else verdict


def _negated(verdict: int) -> int:
    return {MET: NOT_MET, NOT_MET: MET}.get(verdict, verdict)


def _applies(guard: int, body: int) -> int:
    if guard in (NOT_MET, NOT_APPLICABLE):
        return NOT_APPLICABLE
    if guard == MET or body == NOT_APPLICABLE:
        return body
    return PERHAPS if body in (MET, PERHAPS) else UNKNOWN


def _unless(main: int, guard: int, other: int) -> int:
    if guard == MET:
        return other
    if guard != UNKNOWN:
        return main
    if PLAIN[main] == PLAIN[other]:
        return PERHAPS if PERHAPS in (main, other) else main
    return PERHAPS if {PLAIN[main], PLAIN[other]} == {MET, NOT_APPLICABLE} else UNKNOWN


def _agreed(verdicts: frozenset[int]) -> int:
    return next(iter(verdicts)) if len(verdicts) == 1 else UNKNOWN


def _attested(world: World) -> Iterable[World]:
    """A person's answer may have settled what is unknown; it is the same answer afterwards."""
    was, becomes = ((*_LEAF,) if verdict == UNKNOWN else (verdict,) for verdict in world)
    return [(old, new) for old in was for new in becomes if world != (UNKNOWN, UNKNOWN) or old == new or UNKNOWN in (old, new)]


def _in_one_span(world: World) -> Iterable[World]:
    """What is met may fall short of one span of time, and other members may fit where those before did not."""
    was, becomes = ((MET, PERHAPS, UNKNOWN) if verdict in (MET, PERHAPS) else (verdict,) for verdict in world)
    return product(was, becomes)
