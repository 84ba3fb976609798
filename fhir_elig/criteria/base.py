"""What all kinds of criterion share: the models' base, the context of an evaluation, its outcome, windows.

A kind is a frozen pydantic model with `bind` (names and limits resolved once, when the protocol is loaded), `needs` and
`evaluate`. An evaluation reads the record and the context only; the context's `marks` gather the days on which the same
chart could give another verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from fhir_elig import times
from fhir_elig.concepts import Concepts, Match
from fhir_elig.errors import Finding
from fhir_elig.quantity import Analyte, Interval
from fhir_elig.record import Answer, Fact, Flaw, Need, Problem, Record, Result
from fhir_elig.times import Bounds, Place, Span, When
from fhir_elig.verdict import (
    MET,
    NOT_MET,
    UNKNOWN,
    CriterionResult,
    Evidence,
    Reason,
    SetAside,
    SettledBy,
    Verdict,
)

if TYPE_CHECKING:
    from fhir_elig.criteria.logic import Node

Path = tuple[str | int, ...]


class Model(BaseModel):
    """Base of everything that a protocol file holds: unknown keys are errors, keys are written in kebab case."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=lambda name: name.rstrip("_").replace("_", "-"),
        populate_by_name=False,
        arbitrary_types_allowed=True,
    )


def _as_text(value: object) -> object:
    return str(value) if not isinstance(value, (str, bool, dict, list)) and value is not None else value


Text = Annotated[str, BeforeValidator(_as_text)]
SpanText = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^([0-9]{1,5} ?(h|d|wk|mo|a)|all)$", examples=["28 d", "48 h", "6 mo", "all"])]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Outcome(msgspec.Struct, kw_only=True):
    """What an evaluation gives before it is dressed as a criterion's result. `when` holds the times of what decided."""

    verdict: Verdict
    reason: Reason
    evidence: tuple[Evidence, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    notes: tuple[str, ...] = ()
    settled_by: SettledBy | None = None
    when: tuple[When, ...] = ()
    near_limit: bool = False
    recoverable: bool = False
    recoverable_from: str = ""
    guard: Reason | None = None  # a `met` that holds whether or not its guard applies; why the guard is not known
    provisional: bool = False
    reading: str = ""
    children: tuple[CriterionResult, ...] = ()

    def plus(self, **changes: Any) -> Outcome:
        return msgspec.structs.replace(self, **changes)


def unknown(reason: Reason, **details: Any) -> Outcome:
    return Outcome(verdict=UNKNOWN, reason=reason, **details)


class Binder:
    """Resolves the names in a protocol and gathers every finding, each with its path in the document."""

    def __init__(self, concepts: Concepts, nodes: Mapping[str, Node], milestones: Iterable[str]) -> None:
        self.concepts = concepts
        self.nodes = nodes
        self.milestones = frozenset(milestones)
        self.findings: list[tuple[Path, Finding]] = []

    def finding(self, path: Path, code: str, why: str, fix: str) -> None:
        self.findings.append((path, Finding(code, "", why, fix)))

    def concept_set(self, names: Sequence[str], path: Path) -> frozenset[str]:
        for index, name in enumerate(names):
            if name not in self.concepts.by_name:
                self.finding((*path, index), "FE0205", f'no concept is named "{name}"', near(name, self.concepts.by_name))
        return frozenset(names) & frozenset(self.concepts.by_name)

    def analyte(self, names: Sequence[str], path: Path) -> Analyte | None:
        """The one analyte that all these concepts measure; a finding if there is none or more than one."""
        known = [self.concepts.by_name[name].analyte for name in names if name in self.concepts.by_name]
        found = sorted({name for name in known if name})
        if len(found) == 1 and found[0] in self.concepts.analytes:
            return self.concepts.analytes[found[0]]
        if known:
            self.finding(path, "FE0205", f"{', '.join(names)} measure {', '.join(found) or 'nothing'}", "name concepts of one analyte")
        return None

    def milestone(self, name: str, path: Path) -> None:
        if name not in self.milestones:
            self.finding(path, "FE0209", f'no milestone is named "{name}"', near(name, self.milestones))

    def criterion(self, name: str, path: Path) -> None:
        if name not in self.nodes:
            self.finding(path, "FE0209", f'no criterion or definition is named "{name}"', near(name, self.nodes))


def near(word: str, known: Iterable[str]) -> str:
    """The fix for a mistyped name."""
    import difflib

    names = sorted(known)
    close = difflib.get_close_matches(word, names, 3, 0.6)
    return f"did you mean {' or '.join(close)}?" if close else f"use one of: {', '.join(names[:12])}"


class Kind(Model):
    """One kind of criterion."""

    repeatable: ClassVar[bool] = False  # whether a repeat could change a `not-met` (verdicts, section 12)

    def bind(self, binder: Binder, path: Path) -> None:
        """Resolve names and limits; called once, when the protocol is loaded."""

    def needs(self, concepts: Concepts) -> Iterable[Need]:
        return ()

    def parts(self) -> Iterable[tuple[Path, Node | str]]:
        """The nodes inside, with their paths."""
        return ()

    def evaluate(self, context: Context) -> Outcome:
        raise NotImplementedError


class Milestone(msgspec.Struct, frozen=True):
    """A milestone's time, if it has one, and whether a stand-in gave it."""

    name: str
    when: When | None
    stand_in: str = ""
    floating: bool = False  # follows as_of


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """A window around a milestone that has a date."""

    bounds: Bounds
    text: str
    high: When  # the milestone itself
    floating: bool
    before: Span | None
    open: bool  # part of it lies after as_of
    stand_in: str = ""
    default: bool = False


class Window(Model):
    """A stretch of time that hangs on a milestone: `before` it (or all of the past) and, if named, `after` it."""

    milestone: Name = "screening"
    before: SpanText = "all"
    after: SpanText = "0 d"
    default: bool = Field(False, description="The protocol's text names no window; this one is the project's proposal")

    def bind(self, binder: Binder, path: Path) -> None:
        binder.milestone(self.milestone, (*path, "milestone"))

    @property
    def text(self) -> str:
        before = "any time" if self.before == "all" else self.before
        after = "" if self.after == "0 d" else f" to {self.after} after"
        return f"{before} before{after} {self.milestone}"

    def frame(self, context: Context) -> Frame | None:
        """The window in time; None if its milestone has no date."""
        milestone = context.milestone(self.milestone)
        if milestone.when is None:
            return None
        context.mark_around(milestone.when)
        before = None if self.before == "all" else times.parse_span(self.before)
        after = None if self.after == "all" else times.parse_span(self.after)
        bounds = times.window_bounds(milestone.when, before, after)
        return Frame(
            bounds=bounds,
            text=self.text,
            high=milestone.when,
            floating=milestone.floating,
            before=before,
            open=_reaches_beyond(bounds, context.as_of),
            stand_in=milestone.stand_in,
            default=self.default,
        )


def _reaches_beyond(bounds: Bounds, as_of: When) -> bool:
    if bounds.high_late is None:
        return True
    return bounds.high_late > (as_of.end - 1 if bounds.exact else as_of.last)


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


class Context:
    """One evaluation of one record at one date."""

    def __init__(
        self,
        record: Record,
        run: Run,
        concepts: Concepts,
        nodes: Mapping[str, Node],
        stand_ins: Mapping[str, str],
        facts: Facts | None = None,
        as_of: When | None = None,
    ) -> None:
        self.record = record
        self.run = run
        self.concepts = concepts
        self.nodes = nodes
        self.stand_ins = stand_ins
        self.facts = facts or Facts(record, run, concepts)
        self.as_of = as_of or run.as_of
        self.memo: dict[str, Outcome] = {}
        self.marks: set[int] = set()
        self.probes: list[tuple[Node, Verdict, tuple[int, ...]]] = []

    def at(self, day: int) -> Context:
        """The same chart on a later day."""
        as_of = times.days(day, day, self.run.time_zone)
        return Context(self.record, self.run, self.concepts, self.nodes, self.stand_ins, self.facts, as_of)

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

    def mark(self, *days: int) -> None:
        """Remember days after `as_of` on which this chart could be seen differently."""
        today = self.as_of.last
        self.marks.update(day for day in days if day > today)

    def mark_around(self, when: When) -> None:
        self.mark(when.first, when.last, when.last + 1)

    def place(self, when: When | None, frame: Frame) -> Place:
        """Where a time lies against a window. A time after `as_of` lies after it; none at all may lie anywhere up to now."""
        if when is None:
            when = self.as_of.until()
        if when.end > self.as_of.end:
            self.mark_around(when)
            if when.start >= self.as_of.end:
                return Place.AFTER
        place = frame.bounds.place(when)
        if frame.floating and frame.before is not None and place is not Place.BEFORE:
            first = frame.before.shift(when.first, 1)
            last = frame.before.shift(when.last, 1)
            self.mark(*range(first, first + 4), *range(last, last + 4))
        return Place.PARTLY if place is Place.INSIDE and when.last > self.as_of.last else place

    def contact(self, frame: Frame) -> tuple[When, Fact] | None:
        """The latest dated record inside the window: proof that the chart was kept then."""
        inside = [pair for pair in self.facts.contacts if self.place(pair[0], frame) is Place.INSIDE]
        return inside[-1] if inside else None

    def incomplete(self, types: Iterable[str], names: frozenset[str]) -> Outcome | None:
        """Whether a resource that these concepts are read from may be missing: a lost page, a refusal, a broken resource."""
        for resource_type in types:
            entry = self.record.retrieval(resource_type)
            if entry.broken:
                reason = Reason.RESTRICTED if entry.note.startswith("refused") else Reason.INCOMPLETE
                return unknown(reason, notes=(f"{resource_type}: {entry.note}",))
            for refused in self.record.refused:
                if refused.type in (resource_type, "") and self._could_be(refused.codes, names):
                    aside = (SetAside(refused.reference or refused.type, refused.why),)
                    return unknown(Reason.INCOMPLETE, set_aside=aside)
        return None

    def _could_be(self, codes: tuple[str, ...] | None, names: frozenset[str]) -> bool:
        return codes is None or self.concepts.match(codes, names) in (Match.YES, Match.UNVERIFIED)


class Facts:
    """A record's facts, arranged once for all criteria: results by concept, dated contacts, who the patient is."""

    def __init__(self, record: Record, run: Run, concepts: Concepts) -> None:
        self.results: dict[str, list[Result]] = {}
        self.doubtful: dict[str, list[Result]] = {}
        self.mixed: set[str] = set()
        for result in record.results:
            self._file(result, concepts)
        self.contacts: list[tuple[When, Fact]] = sorted(_contacts(record), key=lambda pair: (pair[0].start, pair[1].reference))
        self.answers: dict[str, list[Answer]] = {}
        for answer in (*record.answers, *run.answers.get(record.patient, ())):
            self.answers.setdefault(answer.item, []).append(answer)

    def _file(self, result: Result, concepts: Concepts) -> None:
        deciding: set[str] = set()
        doubtful: set[str] = set()
        for code in result.codes:
            sure, unsure = concepts.names_of(code)
            deciding |= sure
            doubtful |= unsure
        for name in deciding:
            self.results.setdefault(name, []).append(result)
        for name in doubtful - deciding:
            self.doubtful.setdefault(name, []).append(result)
        if len({concepts.by_name[name].analyte or name for name in deciding}) > 1:
            self.mixed.add(result.reference)

    def of(self, names: Iterable[str]) -> list[Result]:
        """The results of any of these concepts, each once, in the record's order."""
        lists = [self.results[name] for name in names if name in self.results]
        if len(lists) < 2:
            return lists[0] if lists else []
        unique = {id(result): result for found in lists for result in found}
        return sorted(unique.values(), key=lambda result: (result.reference, result.version))


def _contacts(record: Record) -> Iterable[tuple[When, Fact]]:
    for fact in (*record.contacts, *record.results, *record.events):
        if fact.time is not None and fact.counts.value in ("yes", "not-final"):
            yield fact.time, fact
    for problem in record.problems:
        if problem.counts.value in ("yes", "unconfirmed"):
            for when in _problem_times(problem):
                yield when, problem
    for medication in record.medications:
        if medication.start is not None and medication.counts.value == "yes":
            yield medication.start, medication


def _problem_times(problem: Problem) -> Iterable[When]:
    return (when for when in (problem.onset, problem.recorded) if when is not None)


FLAW_REASONS = {
    Flaw.MODIFIER: Reason.MODIFIER,
    Flaw.RESTRICTED: Reason.RESTRICTED,
    Flaw.SUBSETTED: Reason.INCOMPLETE,
    Flaw.CONFLICT: Reason.CONFLICTING,
    Flaw.IDENTITY: Reason.IDENTITY,
}


def flaw_reason(fact: Fact) -> Reason | None:
    """Why a fact may not decide; a version conflict decides if both bodies agree, so it is no reason by itself."""
    return next((FLAW_REASONS[flaw] for flaw in fact.flaws if flaw is not Flaw.CONFLICT), None)


def present(verdict: bool) -> tuple[Verdict, Reason]:
    return (MET, Reason.PRESENT) if verdict else (NOT_MET, Reason.ABSENT)
