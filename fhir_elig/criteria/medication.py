"""Exposure to medications: the days that records cover, united, against a duration.

A record gives certain days and possible ones (an open end, a dose in text, an unknown route). Only certain days make a
criterion `met`; too few are never `not-met`, since therapy elsewhere is not in the chart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum, StrEnum

from pydantic import Field, PrivateAttr

from fhir_elig import times
from fhir_elig.concepts import Concepts, Match
from fhir_elig.criteria.base import Binder, Kind, Path, SpanText, Window, shown_codes
from fhir_elig.criteria.context import Context, Frame
from fhir_elig.criteria.courses import Agent, Course, course_of, mask_heavy_days
from fhir_elig.criteria.days import Days, bridge, span_days, subtract, union
from fhir_elig.criteria.outcome import Outcome, flaw_reason, unknown
from fhir_elig.quantity import Interval, parse_number
from fhir_elig.record import MEDICATION_TYPES, Counts, Medication, Need, Strength
from fhir_elig.verdict import MET, Evidence, Reason, SetAside, SettledBy


class Enough(IntEnum):
    """Whether days suffice: no, on the border of what calendar months are, yes."""

    NO = 0
    BORDER = 1
    YES = 2


class Method(StrEnum):
    """How days are added up: all drugs together, each drug alone, the longest episode, the last one."""

    UNION = "union"
    PER_DRUG = "per-drug"
    LONGEST = "longest"
    LAST = "last"


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
    question: str = ""

    _limits: tuple[Interval | None, ...] = PrivateAttr(default=())

    def bind(self, binder: Binder, path: Path) -> None:
        self.window.bind(binder, (*path, "window"))
        for index, agent in enumerate(self.agents):
            binder.concept_set([agent.concept], (*path, "agents", index, "concept"))
        binder.concept_set(self.perhaps, (*path, "perhaps"))
        if (self.more_than is None) == (self.at_least is None):
            binder.finding(path, "FE0203", "a duration is needed", "name more-than or at-least")
        if "all" in (self.more_than, self.at_least):
            binder.finding(path, "FE0210", "nobody can be treated for longer than all of time", "write a span such as 6 mo")
        limits = []
        for agent in self.agents:
            text = agent.prednisone_equivalent_at_most
            ceiling = None if text is None else parse_number(text.removesuffix("mg/d").strip())
            if text is not None and ceiling is None:
                binder.finding((*path, "agents"), "FE0206", f'"{text}" is no daily dose', "write one such as 15 mg/d")
            limits.append(None if ceiling is None else Interval(high=ceiling))
        self.keep(_limits=tuple(limits))

    def needs(self, concepts: Concepts) -> Iterable[Need]:
        return (Need(name) for name in MEDICATION_TYPES)

    def evaluate(self, context: Context) -> Outcome:
        settled = SettledBy(
            resource="MedicationStatement",
            codes=shown_codes(context.concepts, tuple(a.concept for a in self.agents)),
            window=self.window.text,
            question=self.question,
        )
        frame = self.window.frame(context)
        if frame is None:
            return unknown(Reason.PENDING_EVENT, settled_by=SettledBy(milestone=self.window.milestone, window=self.window.text))
        courses = list(self._courses(frame, context))
        outcome = self._judge(courses, context)
        aside = tuple(SetAside(c.medication.reference, c.why) for c in courses if c.why)
        return outcome.plus(settled_by=settled, set_aside=aside, provisional=bool(frame.stand_in))

    def _courses(self, frame: Frame, context: Context) -> Iterator[Course]:
        for agent, ceiling, medications in self._matched(context):
            mine = [course_of(each, agent, ceiling, self.strength, frame, context) for each in medications]
            yield from mine if ceiling is None else mask_heavy_days(mine, ceiling, context)

    def _matched(self, context: Context) -> list[tuple[Agent, Interval | None, list[Medication]]]:
        """The records of each agent; looked up once for a chart."""
        found = context.facts.matched.get(id(self))
        if found is None:
            found = context.facts.matched[id(self)] = [
                (agent, ceiling, [m for m in context.record.medications if _is(m, agent.concept, context)])
                for agent, ceiling in zip(self.agents, self._limits, strict=True)
            ]
        return found

    def _judge(self, courses: list[Course], context: Context) -> Outcome:
        broken = context.incomplete(
            ("MedicationStatement", "MedicationAdministration"), frozenset(a.concept for a in self.agents)
        )
        taken = [c for c in courses if c.certain or c.possible]
        not_taken = [c for c in courses if c.denied]
        best = self._best(self.method, taken, not_taken)
        if self.window.before != "all" or (best is not Enough.YES and any(course.goes_on for course in taken)):
            self._mark(taken, context)
        counted = sum(last - first + 1 for first, last in union(span for c in taken for span in self._certain([c], not_taken)))
        evidence = tuple(c.evidence() for c in taken)
        notes = (f"{counted} days surely covered",)
        when = tuple(c.medication.start for c in taken if c.medication.start is not None)
        if best is Enough.YES:
            if broken is not None:
                return broken.plus(evidence=evidence, notes=notes)
            others = [m.value for m in self.other_methods if self._best(m, taken, not_taken) is not Enough.YES]
            differ = (f"counted otherwise ({', '.join(others)}) it would be unknown",) if others else ()
            return Outcome(verdict=MET, reason=Reason.IN_RANGE, evidence=evidence, notes=(*notes, *differ), when=when)
        if best is Enough.BORDER:
            return unknown(
                Reason.IMPRECISE_DATE, evidence=evidence, notes=(*notes, "several stretches that add up to 182 to 184 days")
            )
        return self._too_short(taken, evidence, notes, context)

    def _mark(self, taken: list[Course], context: Context) -> None:
        """The days on which the count may pass the limit: it grows while a course goes on and shrinks as days leave a window."""
        span = times.parse_span(self.more_than or self.at_least or "")
        before = times.parse_span(self.window.before)
        if span is None:
            return
        least, most = span_days(span)
        for course in taken:
            for first, last in course.certain:
                context.mark(span.shift(first, 1), *(first + days for days in range(least, most + 3)))
                context.mark(
                    *(context.as_of.last + days for days in range(1, most - (last - first) + 2)) if course.goes_on else ()
                )
                if before is not None:
                    gone = before.shift(first, 1)
                    context.mark(*range(gone + 1, before.shift(last, 1) + 3))

    def _best(self, method: Method, taken: list[Course], not_taken: list[Course]) -> Enough:
        found = [self._enough(method, self._certain(group, not_taken)) for group in self._groups(method, taken)]
        return max(found, default=Enough.NO)

    def _too_short(
        self, taken: list[Course], evidence: tuple[Evidence, ...], notes: tuple[str, ...], context: Context
    ) -> Outcome:
        """Never `not-met`: therapy elsewhere is not in this chart."""
        broken = context.incomplete(MEDICATION_TYPES, frozenset(a.concept for a in self.agents))
        if broken is not None:
            return broken.plus(evidence=evidence, notes=notes)
        allowed = [union(span for c in group for span in (*c.certain, *c.possible)) for group in self._groups(self.method, taken)]
        if any(self._enough(self.method, days) is not Enough.NO for days in allowed):
            notes = (*notes, "days that are possible, but not certain, would be enough")
        flawed = next((r for course in taken for r in [flaw_reason(course.medication)] if r is not None), None)
        other = [m for m in context.record.medications if self._other(m, context)]
        if other and flawed is None:
            return unknown(Reason.NEEDS_PERSON, evidence=(*evidence, *(_not_named(m) for m in other)), notes=notes)
        return unknown(flawed or Reason.NO_RECORD, evidence=evidence, notes=notes)

    def _other(self, medication: Medication, context: Context) -> bool:
        given = medication.counts is Counts.YES and medication.start is not None and medication.start.start < context.as_of.end
        return given and bool(self.perhaps) and context.concepts.match(medication.codes, frozenset(self.perhaps)) is Match.YES

    def _groups(self, method: Method, courses: list[Course]) -> list[list[Course]]:
        if method is not Method.PER_DRUG:
            return [courses] if courses else []
        return [[c for c in courses if c.agent is agent] for agent in self.agents if any(c.agent is agent for c in courses)]

    def _certain(self, courses: Iterable[Course], not_taken: list[Course]) -> Days:
        """Days surely covered; a record that a drug was not taken removes the days of that drug."""
        sure: Days = []
        for course in courses:
            days = course.certain
            for denial in not_taken:
                if set(denial.medication.codes) & set(course.medication.codes):
                    days = subtract(days, denial.denied)
            sure = union((*sure, *days))
        return sure

    def _enough(self, method: Method, days: Days) -> Enough:
        episodes = bridge(days, times.parse_span(self.gap))
        if method is Method.LONGEST:
            return max((self._long(stretch) for stretch in episodes), default=Enough.NO)
        if method is Method.LAST:
            return self._long(episodes[-1]) if episodes else Enough.NO
        return self._long(days)

    def _long(self, days: Days) -> Enough:
        """Whether covered days are more than (at least) the span, counted inclusively; months by the calendar."""
        span = times.parse_span(self.more_than or self.at_least or "")
        if span is None or not days:
            return Enough.NO
        total = sum(last - first + 1 for first, last in days)
        if any(self._reaches(first, last, span) for first, last in days):
            return Enough.YES
        shortest, longest = span_days(span)
        if total > longest or (self.at_least is not None and total >= longest):
            return Enough.YES
        unbroken = len(days) == 1
        return Enough.BORDER if total > shortest and not unbroken else Enough.NO

    def _reaches(self, first: int, last: int, span: times.Span) -> bool:
        end = span.shift(first, 1)
        return last >= end if self.more_than is not None else last >= end - 1


def _not_named(medication: Medication) -> Evidence:
    start = medication.start.text if medication.start else ""
    return Evidence(medication.reference, medication.version, medication.text, "", "", start, "not named by the protocol")


def _is(medication: Medication, concept: str, context: Context) -> bool:
    return context.concepts.match(medication.codes, frozenset((concept,))) is Match.YES
