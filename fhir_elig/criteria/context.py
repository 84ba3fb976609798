"""The context of one evaluation: a record at a date, its facts arranged, the milestones, what was remembered on the way."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import msgspec

from fhir_elig import times
from fhir_elig.concepts import Concepts, Match
from fhir_elig.criteria.candidates import Found
from fhir_elig.criteria.facts import Facts
from fhir_elig.criteria.outcome import Outcome, unknown
from fhir_elig.quantity import Interval
from fhir_elig.record import NO_SUBJECT, Answer, Fact, Record
from fhir_elig.times import LAST_DAY, Span, When
from fhir_elig.verdict import CriterionResult, Reason, SetAside
from fhir_elig.windows import AFTER, BEFORE, INSIDE, PARTLY, Bounds, Place

NEVER = LAST_DAY + 1


class Milestone(msgspec.Struct, frozen=True, gc=False):
    """A milestone's time, if it has one, and whether a stand-in gave it."""

    name: str
    when: When | None
    stand_in: str = ""
    floating: bool = False  # follows as_of


class Frame(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A window around a milestone that has a date."""

    bounds: Bounds
    text: str
    high: When  # the milestone itself
    floating: bool
    before: Span | None
    open: bool  # part of it lies after as_of
    edges: tuple[int, ...] = ()  # the days on which it begins or ends, and those after, where they do not follow as_of
    stand_in: str = ""
    default: bool = False


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What one run says beside the chart: its date, milestones, decisions on readings, people's answers, the site's limits.

    `milestones` holds events for all patients, `own_milestones` those of one patient. `upper_limits` maps an analyte to
    (sex, limit in canonical units).
    """

    as_of: When
    milestones: Mapping[str, When] = {}
    own_milestones: Mapping[str, Mapping[str, When]] = {}
    decisions: Mapping[str, str] = {}
    answers: Mapping[str, tuple[Answer, ...]] = {}
    upper_limits: Mapping[str, tuple[tuple[str, Interval], ...]] = {}
    code_units: Mapping[str, str] = {}
    study: str = ""
    time_zone: str = "UTC"


class Part(Protocol):
    """What others see of a kind of criterion."""

    @property
    def children(self) -> tuple[Child, ...]: ...


class Branch(Protocol):
    """What others see of a node of the protocol (`node.Node`), without knowing all kinds of criterion."""

    @property
    def id(self) -> str | None: ...

    @property
    def text(self) -> str: ...

    @property
    def kind(self) -> Part: ...

    @property
    def kind_name(self) -> str: ...

    def inner(self) -> Iterator[tuple[tuple[str | int, ...], Child]]: ...

    def outcome(self, context: Context, /) -> Outcome: ...

    def result(self, outcome: Outcome, /) -> CriterionResult: ...


Child = Branch | str  # a node, or the name of one


class Context:
    """One evaluation of one record at one date.

    `memo` holds what each node gave, `dues` the day up to which that stands although nothing new is recorded: both by the
    node's identity. While a node is evaluated, `due` is the earliest such day that was noted so far.
    """

    def __init__(
        self,
        record: Record,
        run: Run,
        concepts: Concepts,
        nodes: Mapping[str, Branch],
        stand_ins: Mapping[str, str],
    ) -> None:
        self.record = record
        self.run = run
        self.concepts = concepts
        self.nodes = nodes
        self.stand_ins = stand_ins
        self.facts = Facts(record, concepts, run.as_of.end, run.answers.get(record.patient, ()))
        self.as_of = run.as_of
        self.quiet = False  # only the verdicts matter: nothing is written out for people
        self.frames: dict[tuple[str, str, str], Frame | None] = {}
        self.series: dict[tuple[object, ...], list[Found]] = {}  # results by kind, by who reads them
        self.seen: tuple[tuple[When, Fact] | None, When | None] | None = None  # the latest contact, and the next one to come
        self.memo: dict[int, Outcome] = {}
        self.dues: dict[int, tuple[int, Branch]] = {}
        # A part of a day, or several days, look different from the day after as a whole.
        self.latest_due = NEVER if _is_one_day(run.as_of, run.time_zone) else run.as_of.last + 1
        self.due = self.latest_due

    def at(self, day: int) -> Context:
        """The same chart on a later day, for its verdicts alone; what stands until then is not evaluated again."""
        later = copy.copy(self)
        later.as_of = times.days(day, day, self.run.time_zone)
        later.quiet = True
        later.frames, later.series, later.seen = {}, {}, None
        later.latest_due = later.due = NEVER
        return later

    def milestone(self, name: str) -> Milestone:
        own = self.run.own_milestones.get(self.record.patient, {}).get(name)
        dated = own or self.run.milestones.get(name)
        if dated is not None:
            return Milestone(name, dated)
        if name == "screening":
            return Milestone(name, self.as_of, floating=True)
        other = self.stand_ins.get(name)
        if other is None:
            return Milestone(name, None)
        stand_in = self.milestone(other)
        return Milestone(name, stand_in.when, other, stand_in.floating)

    def mark(self, day: int) -> None:
        """Note a day after `as_of` on which this chart could be seen differently; until the earliest one it is not."""
        if self.as_of.last < day < self.due:
            self.due = day

    def mark_around(self, when: When) -> None:
        """The days on which a time to come begins to have come, and surely has."""
        if when.end > self.as_of.end:
            today = self.as_of.last
            self.mark(when.first if when.first > today else max(when.last, today + 1))

    def mark_leaving(self, when: When, frame: Frame) -> None:
        """The day on which an end of a time may fall out of a window that ends on `as_of`; it is looked at anew on that day."""
        tomorrow = self.as_of.last + 1
        if not frame.floating or frame.before is None or tomorrow >= self.due:
            return
        low = frame.bounds.low_early
        if frame.bounds.exact_low or frame.bounds.exact_high:  # counted in hours: a day later the same time may lie otherwise
            if low is None or when.until_instant >= low:
                self.mark(max(when.first, tomorrow))
            return
        for day in (when.first,) if when.first == when.last else (when.first, when.last):
            if low is None or day >= low:
                self.mark(max(frame.before.shift(day, 1) + 1, tomorrow))  # months may be clipped, so it can still be inside

    def place(self, when: When | None, frame: Frame) -> Place:
        """Where a time lies against a window, and the day on which that changes."""
        place = self.position(when, frame)
        if when is not None and (place is INSIDE or place is PARTLY):
            self.mark_leaving(when, frame)
        return place

    def position(self, when: When | None, frame: Frame) -> Place:
        """Where a time lies against a window, for what may leave it without consequence.

        A time after `as_of` lies after it; none at all may lie anywhere up to now.
        """
        if when is None:
            when = self.as_of.until()
        if when.end > self.as_of.end:
            self.mark_around(when)
            if when.start >= self.as_of.end:
                return AFTER
        place = frame.bounds.place(when)
        return PARTLY if place is INSIDE and when.last > self.as_of.last else place

    def contact(self, frame: Frame) -> tuple[When, Fact] | None:
        """The latest dated record inside the window: proof that the chart was kept then."""
        newest, coming = self.seen = self.seen or self.facts.contacts_around(self.as_of.end)
        if coming is not None:
            self.mark_around(coming)
        if newest is None:
            return None
        place = self.place(newest[0], frame)
        if place is INSIDE:
            return newest
        if place is BEFORE and newest[0].one_day:
            return None  # no earlier one can lie inside
        for when, fact in self.facts.newest_first:
            place = AFTER if when.start >= self.as_of.end else self.place(when, frame)
            if place is INSIDE:
                return when, fact
            if place is BEFORE and when.one_day:
                return None
        return None

    def incomplete(self, types: Iterable[str], names: frozenset[str], absence: bool = False) -> Outcome | None:
        """Whether a resource that these concepts are read from may be missing: a lost page, a refusal, a broken resource.

        Where `absence` is claimed, a refused resource counts too whose codes nobody can tell.
        """
        if not self.facts.any_missing:
            return None
        for resource_type in types:
            entry = self.record.retrieval(resource_type)
            if entry.broken and NO_SUBJECT not in entry.note:
                reason = Reason.RESTRICTED if entry.note.startswith("refused") else Reason.INCOMPLETE
                return unknown(reason, notes=(f"{resource_type}: {entry.note}",))
            for refused in self.record.refused:
                if refused.type in (resource_type, "") and self._could_be(refused.codes, names, absence):
                    aside = (SetAside(refused.reference or refused.type, refused.why),)
                    return unknown(Reason.IDENTITY if refused.why == NO_SUBJECT else Reason.INCOMPLETE, set_aside=aside)
        return None

    def _could_be(self, codes: tuple[str, ...] | None, names: frozenset[str], absence: bool) -> bool:
        if codes is None:
            return True
        match = self.concepts.match(codes, names)
        return match in (Match.YES, Match.UNVERIFIED) or (absence and match is Match.GAP)


def _is_one_day(when: When, time_zone: str) -> bool:
    day = times.days(when.first, when.first, time_zone)
    return (when.start, when.end) == (day.start, day.end)
