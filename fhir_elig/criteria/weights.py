"""The body weight that a dose for each kilogram is held against: all weights of the 90 days before the milestone together."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from fhir_elig.criteria.agents import Agent
from fhir_elig.criteria.base import Window
from fhir_elig.criteria.context import Context
from fhir_elig.criteria.courses import Course
from fhir_elig.criteria.outcome import Outcome
from fhir_elig.criteria.select import RESTRICTED_ABSENCE, hull, interpret
from fhir_elig.quantity import Interval
from fhir_elig.record import Counts
from fhir_elig.windows import INSIDE, PARTLY

WEIGHT = frozenset({"weight"})


def by_weight(agent: Agent) -> bool:
    """Whether its limit is a dose for each kilogram of body weight."""
    return agent.limit is not None and agent.limit.per_kg


@lru_cache(maxsize=64)
def _window(milestone: str) -> Window:
    return Window(milestone=milestone, before="90 d")


def body_weight(milestone: str, context: Context) -> Interval | None:
    """All weights that may be of the 90 days before a milestone, as one interval in kg.

    None if no weight surely is of these days, if one cannot be read, or if one may be missing.
    """
    frame = _window(milestone).frame(context)
    if frame is None or context.incomplete(("Observation",), WEIGHT) is not None:
        return None
    analyte = context.concepts.analytes[context.concepts.by_name["weight"].analyte]
    read: list[Interval | None] = []
    sure = False
    for result in context.facts.of(tuple(WEIGHT)):
        place = context.place(result.time, frame)
        says = result.value is not None or result.absent in RESTRICTED_ABSENCE
        if says and result.counts is Counts.YES and place in (INSIDE, PARTLY):
            read.append(interpret(result, analyte, context).interval)
            sure = sure or place is INSIDE
    known = [interval for interval in read if interval is not None]
    return hull(known) if sure and len(known) == len(read) else None


def weight_lost(courses: Iterable[Course], outcome: Outcome, context: Context) -> Outcome:
    """What is not known of doses for each kilogram is not known since a weight may be missing, where one may."""
    if not any(by_weight(course.agent) and course.possible for course in courses):
        return outcome
    lost = context.incomplete(("Observation",), WEIGHT)
    return outcome if lost is None else lost.plus(evidence=outcome.evidence, notes=outcome.notes)
