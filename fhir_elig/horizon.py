"""`valid_until`: the first day on which a criterion's verdict would change although nothing new is recorded.

While a node is evaluated it notes the earliest day on which it could see the same chart differently: a result that grows too
old, a birthday, a milestone that comes. On that day it is evaluated anew, and notes the next one; what it gives into is
evaluated anew where it gave something else than before. All other nodes stand as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fhir_elig import times
from fhir_elig.criteria.context import Branch, Context
from fhir_elig.verdict import CriterionResult, Verdict

Results = Sequence[CriterionResult]
Users = Mapping[int, Sequence[Branch]]

MOST_DAYS = 1000  # a bound on the later days that are looked at


def valid_until(users: Users, context: Context, results: Results, show: Callable[[Context], Results]) -> str | None:
    """The first such day after `as_of`, as a date; None if no verdict ever changes. Where too many days would have to be looked
    at it is the last one that was: up to it the verdicts stand, and what is after it nobody has seen.

    `users` names the nodes that use a node's outcome, by its identity; `show` gives the results of a context.
    """
    deaths, verdicts, day = _deaths(context), _verdicts(results), None
    for _ in range(MOST_DAYS):
        day = min([due for due, _ in context.dues.values()] + deaths, default=None)
        if day is None:
            return None
        later = context.at(day)
        changed = _evaluate_anew(users, later, [node for due, node in context.dues.values() if due == day])
        if (changed or day in deaths) and _verdicts(show(later)) != verdicts:
            return times.iso(day)
        deaths = [death for death in deaths if death > day]
    return None if day is None else times.iso(day)


def _verdicts(results: Results) -> dict[str, Verdict]:
    return {inner.id: inner.verdict for result in results for inner in result.walk()}


def _deaths(context: Context) -> list[int]:
    """The days after `as_of` from which a recorded death is possible, and sure."""
    person = context.record.person
    died = person.died if person is not None else None
    return [day for day in (died.first, died.last) if day > context.as_of.last] if died is not None else []


def _evaluate_anew(users: Users, later: Context, nodes: Sequence[Branch]) -> bool:
    """Evaluate these nodes on a later day, and all that use one which gives something else; whether any of them did."""
    changed = False
    anew = {id(node): node for node in nodes}
    while anew:
        before = {key: later.memo.pop(key) for key in anew}
        for key in anew:
            later.dues.pop(key, None)
        other = [key for key, node in anew.items() if node.outcome(later).bearing != before[key].bearing]
        using = (user for key in other for user in users.get(key, ()))
        anew = {id(user): user for user in using if id(user) in later.memo}  # another has not looked at the node yet
        changed = changed or bool(other)
    return changed
