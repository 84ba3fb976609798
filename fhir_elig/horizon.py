"""`valid_until`: the first day on which a criterion's verdict would change although nothing new is recorded.

While a protocol is evaluated, each node notes the days on which it could see the same chart differently: a result that grows
too old, a birthday, a milestone that comes. Those days are looked at in order; most of them change nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence

from fhir_elig import times
from fhir_elig.criteria.context import Context
from fhir_elig.criteria.node import Node
from fhir_elig.verdict import CriterionResult, Verdict

Results = Sequence[CriterionResult]

MOST_LOOKS = 1000  # a bound on the looks at later days; charts that come near it are not known


def valid_until(
    owners: Mapping[int, Node], context: Context, results: Results, evaluate: Callable[[Context], Results]
) -> str | None:
    """The first such day after `as_of`, as a date; None if no day is known on which a verdict changes.

    `owners` names the criterion that a node's verdict goes into, where that criterion is shown as it comes out; for any other
    node the whole protocol is looked at (`evaluate`).
    """
    now = {inner.id: inner.verdict for result in results for inner in result.walk()}
    later: dict[int, Context] = {}
    whole: dict[int, bool] = {}
    for count, (day, node, verdict) in enumerate(_looks(context)):
        if count == MOST_LOOKS:
            break
        if day not in later:
            later[day] = context.at(day)
        if node is not None and node.outcome(later[day]).verdict is verdict:
            continue
        owner = owners.get(id(node))
        if owner is not None and owner.id in now:
            if owner.outcome(later[day]).verdict is not now[owner.id]:
                return times.iso(day)
            continue
        if day not in whole:
            whole[day] = _verdicts(evaluate(later[day])) != now
        if whole[day]:
            return times.iso(day)
    return None


def _verdicts(results: Results) -> dict[str, Verdict]:
    return {inner.id: inner.verdict for result in results for inner in result.walk()}


def _looks(context: Context) -> Iterator[tuple[int, Node | None, Verdict | None]]:
    """Days to look at, in order, each with the node that noted it and its verdict today; None is a possible day of death."""
    person = context.record.person
    died = person.died if person is not None else None
    last = context.as_of.last
    deaths = [(day, None, None) for day in sorted({died.first, died.last}) if day > last] if died is not None else []
    noted = [[(day, node, verdict) for day in days] for node, verdict, days in context.probes]
    return heapq.merge(deaths, *noted, key=lambda look: look[0])
