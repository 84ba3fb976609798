"""Exposure to medications: the days that records cover, united, against a duration.

A record gives certain days and possible ones (an open end, a dose in text, an unknown route). Only certain days make a
criterion `met`; too few are never `not-met`, since therapy elsewhere is not in the chart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple, cast

from pydantic import Field, PrivateAttr, StrictInt

from fhir_elig import times
from fhir_elig.concepts import Concepts, Match
from fhir_elig.criteria.agents import Agent
from fhir_elig.criteria.base import Binder, Kind, Path, SpanText, Window, results_of
from fhir_elig.criteria.condition import Absence
from fhir_elig.criteria.context import Context, Frame
from fhir_elig.criteria.courses import Course, course_of, perhaps_denied, same_drug
from fhir_elig.criteria.days import CLIPPED, Days, Enough, bridge, long_enough, span_days, subtract, to_spare, union
from fhir_elig.criteria.doses import within_dose
from fhir_elig.criteria.outcome import Outcome, flaw_reason, unknown
from fhir_elig.criteria.reach import Reach, Whichever
from fhir_elig.criteria.washout import absent, why_open
from fhir_elig.criteria.weights import WEIGHT, body_weight, by_weight, weight_lost
from fhir_elig.record import MEDICATION_TYPES, Counts, Medication, Need, Strength
from fhir_elig.verdict import MET, UNKNOWN, Evidence, Reason, SetAside, SettledBy


class Method(StrEnum):
    """How days are added up: all drugs together, each drug alone, the longest episode, the last one."""

    UNION = "union"
    PER_DRUG = "per-drug"
    LONGEST = "longest"
    LAST = "last"


class _Matched(NamedTuple):
    """The records that an exposure reads, by agent; of `untold` denials and `unread` records nobody can tell the drug."""

    by_agent: list[tuple[Agent, list[Medication]]]
    untold: list[Medication]
    unread: list[Medication]


class Exposure(Kind):
    """Treated with any of the agents for `more-than` (or `at-least`) a time, by the days that records cover."""

    agents: tuple[Agent, ...] = Field(min_length=1)
    perhaps: tuple[str, ...] = Field((), description="Drugs of an open list: a person is asked")
    more_than: SpanText | None = None
    at_least: SpanText | None = None
    method: Method = Method.UNION
    other_methods: tuple[Method, ...] = Field((), description="Other ways to add up; noted where they would change the verdict")
    gap: SpanText = Field(
        "0 d", description="Gaps up to this join two stretches into one episode; they are not counted as covered"
    )
    strength: Strength = Strength.ORDERED
    window: Window = Window()
    half_lives: StrictInt | None = Field(
        None, ge=1, description="A wash-out of so many half-lives of the drug, beside the window"
    )
    whichever: Whichever = Field(Whichever.LONGER, description="Which of the window and the half-lives counts")
    absence: Absence = Absence.OPEN
    question: str = ""

    _settled: SettledBy = PrivateAttr(default=SettledBy())
    _names: frozenset[str] = PrivateAttr(default=frozenset())
    _others: frozenset[str] = PrivateAttr(default=frozenset())

    def bind(self, binder: Binder, path: Path) -> None:
        self.window.bind(binder, (*path, "window"))
        for index, agent in enumerate(self.agents):
            agent.bind(binder, (*path, "agents", index))
        self.keep(_others=binder.concept_set(self.perhaps, (*path, "perhaps")))
        if (self.more_than is None) == (self.at_least is None):
            binder.finding(path, "FE0203", "a duration is needed", "name more-than or at-least")
        if "all" in (self.more_than, self.at_least):
            binder.finding(path, "FE0210", "nobody can be treated for longer than all of time", "write a span such as 6 mo")
        settled = SettledBy(
            resource="MedicationStatement",
            codes=binder.shown_codes(agent.concept for agent in self.agents),
            window=self.window.text,
            question=self.question,
        )
        self.keep(_settled=settled, _names=frozenset(agent.concept for agent in self.agents))
        if self.absence is Absence.CLOSED and self.method is Method.LAST:
            binder.finding(path, "FE0210", "the absence of a last episode cannot be told", "use another method, or absence: open")

    def needs(self, concepts: Concepts) -> Iterable[Need]:
        yield from (Need(name) for name in (*MEDICATION_TYPES, *(("Encounter",) if self.absence is Absence.CLOSED else ())))
        if any(by_weight(agent) for agent in self.agents):
            yield results_of(WEIGHT, concepts)

    def evaluate(self, context: Context) -> Outcome:
        frame = self.window.frame(context)
        if frame is None:
            return unknown(Reason.PENDING_EVENT, settled_by=self.window.pending)
        reach = Reach(frame, self.half_lives, self.whichever)
        courses = list(self._courses(reach, context))
        outcome = self._judge(courses, reach, context)
        if outcome.verdict is UNKNOWN:
            outcome = weight_lost(courses, outcome, context)
        aside = tuple(SetAside(c.medication.reference, c.why) for c in courses if c.why)
        return outcome.plus(settled_by=outcome.settled_by or self._settled, set_aside=aside, provisional=bool(frame.stand_in))

    def _courses(self, reach: Reach, context: Context) -> Iterator[Course]:
        weakest = self.strength
        if self.absence is Absence.CLOSED and weakest is Strength.ORDERED:  # an order alone is no proof of use
            weakest = Strength.STATED
        for agent, medications in self._matched(context).by_agent:
            mine = [course_of(each, agent, weakest, reach, context) for each in medications]
            if agent.limit is not None:
                weight = body_weight(self.window.milestone, context) if agent.limit.per_kg else None
                within_dose(mine, agent.limit, weight, context)
            yield from mine

    def _matched(self, context: Context) -> _Matched:
        """The records of each agent, looked up once for a chart; and those not taken of which nobody can tell the drug."""
        found = context.facts.matched.get(id(self))
        if found is None:
            names = self._names
            sent = context.record.medications
            by_concept: dict[str, list[Medication]] = {}
            for medication in sent:
                for name in names & context.concepts.held_by(medication.codes):
                    by_concept.setdefault(name, []).append(medication)
            used = (Counts.YES, Counts.SHOWN) if self.absence is Absence.CLOSED else ()
            found = context.facts.matched[id(self)] = _Matched(
                [(agent, by_concept[agent.concept]) for agent in self.agents if agent.concept in by_concept],
                [m for m in sent if m.counts is Counts.NEGATIVE and _could_be(m, names, context)],
                [m for m in sent if m.counts in used and _could_be(m, names, context)] if used else [],
            )
        return cast("_Matched", found)

    def _judge(self, courses: list[Course], reach: Reach, context: Context) -> Outcome:
        broken = context.incomplete(("MedicationStatement", "MedicationAdministration"), self._names)
        taken = [c for c in courses if c.possible and not c.weak]
        not_taken = [c for c in courses if c.denied]
        best = self._best(self.method, taken, not_taken, context)
        counted = sum(last - first + 1 for first, last in self._certain(taken, not_taken, context))
        denied = perhaps_denied(self._matched(context).untold, self.agents, reach, context) if best is Enough.YES else []
        if best is Enough.YES:
            self._mark_shrinking(taken, reach, context, self._to_spare(taken, [*not_taken, *denied], context))
        elif any(course.goes_on for course in courses):
            self._mark_growing([stretch for course in taken for stretch in course.certain], counted, context)
        evidence = () if context.quiet else tuple(c.evidence() for c in taken)
        notes = (f"{counted} days surely covered",)
        when = tuple(c.medication.start for c in taken if c.medication.start is not None)
        if best is Enough.YES:
            if broken is not None:
                return broken.plus(evidence=evidence, notes=notes)
            if denied and self._best(self.method, taken, [*not_taken, *denied], context) is not Enough.YES:
                return unknown(Reason.UNMAPPED, evidence=evidence, notes=(*notes, "a drug that nobody can tell was not taken"))
            others = [m.value for m in self.other_methods if self._best(m, taken, not_taken, context) is not Enough.YES]
            differ = (f"counted otherwise ({', '.join(others)}) it would be unknown",) if others else ()
            passes = self.absence is Absence.CLOSED  # a wash-out ends
            return Outcome(
                verdict=MET, reason=Reason.IN_RANGE, evidence=evidence, notes=(*notes, *differ), when=when, recoverable=passes
            )
        if self.absence is Absence.CLOSED:
            return self._too_few(taken, courses, reach, context).plus(notes=notes)
        if best is Enough.BORDER:
            return unknown(
                Reason.IMPRECISE_DATE, evidence=evidence, notes=(*notes, "several stretches that add up to 182 to 184 days")
            )
        return self._too_short(taken, evidence, notes, reach.frame, context)

    def _mark_growing(self, stretches: Days, counted: int, context: Context) -> None:
        """The first day on which there can be enough, as one more day is covered each day: of a stretch, or of all together."""
        span = times.parse_span(self.more_than or self.at_least or "")
        for days in span_days(span) if span is not None else ():
            context.mark(context.as_of.last + max(days - counted, 1))
        for first, _ in stretches:
            end = span.shift(first, 1) if span is not None else 0
            context.mark(end - 1)
            context.mark(end)

    def _mark_shrinking(self, taken: list[Course], reach: Reach, context: Context, spare: int = 0) -> None:
        """The first day on which a covered day leaves a window that moves on, or another episode may have begun.

        While there are days to spare none that leaves can be missed, and a window moves on by a day each day.
        """
        soonest = context.as_of.last + max(spare - CLIPPED, 0)
        for course in taken if reach.frame.floating else ():
            for first, _ in course.possible if self.absence is Absence.CLOSED else course.certain:
                for day in reach.last_days(first, course.medication, course.agent.concept, context):
                    context.mark(max(day, soonest) + 1)
        if self.method is Method.LAST and any(not course.certain for course in taken):
            gap = times.parse_span(self.gap)
            end = max(last for course in taken for _, last in course.certain)
            context.mark(end + 2 + (span_days(gap)[0] if gap is not None else 0))

    def _best(self, method: Method, taken: list[Course], not_taken: list[Course], context: Context) -> Enough:
        found = [self._enough(method, self._certain(group, not_taken, context), group) for group in self._groups(method, taken)]
        return max(found, default=Enough.NO)

    def _to_spare(self, taken: list[Course], not_taken: list[Course], context: Context) -> int:
        """How many of the days surely covered may go, and there are enough of them all the same."""
        if self.method is Method.LAST:
            return 0
        groups = [self._certain(group, not_taken, context) for group in self._groups(self.method, taken)]
        if self.method is Method.LONGEST:
            groups = [stretch for days in groups for stretch in bridge(days, times.parse_span(self.gap))]
        return max((to_spare(days, self.more_than, self.at_least) for days in groups), default=0)

    def _too_few(self, taken: list[Course], courses: list[Course], reach: Reach, context: Context) -> Outcome:
        """Too few certain days where absence is closed: not met if no possible day can make them enough."""
        concepts = tuple(agent.concept for agent in self.agents)
        broken = context.incomplete(MEDICATION_TYPES, self._names, absence=True)
        if broken is not None:
            return broken
        if reach.frame.open:
            return unknown(Reason.PENDING_EVENT, settled_by=self.window.pending)
        weak = [course for course in courses if course.weak and course.possible]
        unread = self._matched(context).unread  # each may be any of these drugs
        untold = [course_of(m, agent, Strength.ORDERED, reach, context) for m in unread for agent in self.agents]
        untold = [course for course in untold if course.possible]
        self._mark_shrinking([*taken, *weak, *untold], reach, context)
        groups = self._groups(self.method, [*taken, *weak, *untold])
        days = [union(span for course in group for span in course.possible) for group in groups]
        if all(self._enough(self.method, group, ()) is Enough.NO for group in days):
            every = union(span for group in days for span in group)
            if any(last == context.as_of.last for _, last in every):  # use that may go on
                self._mark_growing(every, sum(last - first + 1 for first, last in every), context)
            return absent(concepts, reach, context)
        return why_open(taken, weak, untold)

    def _too_short(
        self, taken: list[Course], evidence: tuple[Evidence, ...], notes: tuple[str, ...], frame: Frame, context: Context
    ) -> Outcome:
        """Never `not-met`: therapy elsewhere is not in this chart."""
        broken = context.incomplete(MEDICATION_TYPES, self._names)
        if broken is not None:
            return broken.plus(evidence=evidence, notes=notes)
        allowed = [union(span for c in group for span in (*c.certain, *c.possible)) for group in self._groups(self.method, taken)]
        if any(self._enough(self.method, days, ()) is not Enough.NO for days in allowed):
            notes = (*notes, "days that are possible, but not certain, would be enough")
        flawed = next((r for course in taken for r in [flaw_reason(course.medication)] if r is not None), None)
        other = list(self._other(context))
        if other and flawed is None:
            return unknown(Reason.NEEDS_PERSON, evidence=(*evidence, *(_not_named(m) for m in other)), notes=notes)
        if frame.open and flawed is None:
            return unknown(Reason.PENDING_EVENT, evidence=evidence, notes=notes, settled_by=self.window.pending)
        return unknown(flawed or Reason.NO_RECORD, evidence=evidence, notes=notes)

    def _other(self, context: Context) -> Iterator[Medication]:
        """Drugs of the open list that were given."""
        for medication, match in context.facts.matching(context.record.medications, self._others, context.concepts):
            if match is Match.YES and medication.counts is Counts.YES and medication.start is not None:
                context.mark_around(medication.start)
                if medication.start.start < context.as_of.end:
                    yield medication

    def _groups(self, method: Method, courses: list[Course]) -> list[list[Course]]:
        if method is not Method.PER_DRUG:
            return [courses] if courses else []
        groups: dict[int, list[Course]] = {}
        for course in courses:  # they come agent by agent
            groups.setdefault(id(course.agent), []).append(course)
        return list(groups.values())

    def _certain(self, courses: Iterable[Course], not_taken: list[Course], context: Context) -> Days:
        """Days surely covered; a record that a drug was not taken removes the days of that drug."""
        sure: Days = []
        for course in courses:
            days = course.certain
            for denial in not_taken:
                if denial.agent is course.agent and same_drug(denial.medication, course.medication, course.agent, context):
                    days = subtract(days, denial.denied)
            sure += days
        return union(sure)

    def _enough(self, method: Method, days: Days, courses: Iterable[Course]) -> Enough:
        gap = times.parse_span(self.gap)
        episodes = bridge(days, gap)
        if method is Method.LONGEST:
            return max((long_enough(stretch, self.more_than, self.at_least) for stretch in episodes), default=Enough.NO)
        if method is Method.LAST:
            later = episodes and any(_begins_later(course, episodes[-1][-1][1], gap) for course in courses)
            return long_enough(episodes[-1], self.more_than, self.at_least) if episodes and not later else Enough.NO
        return long_enough(days, self.more_than, self.at_least)


def _begins_later(course: Course, last: int, gap: times.Span | None) -> bool:
    """Whether a course may begin another episode after that day: one without a certain day, or with days apart from them."""
    later = last + 1 + (span_days(gap)[0] if gap is not None else 0)
    return any(end > later and (first > later or not course.certain) for first, end in course.possible)


def _not_named(medication: Medication) -> Evidence:
    start = medication.start.text if medication.start else ""
    return Evidence(medication.reference, medication.version, medication.text, "", "", start, "not named by the protocol")


def _could_be(medication: Medication, names: frozenset[str], context: Context) -> bool:
    return context.concepts.match(medication.codes, names) in (Match.GAP, Match.UNVERIFIED)
