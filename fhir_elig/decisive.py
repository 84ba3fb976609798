"""`decisive`: the unknown criteria whose answer can still change the outcome.

An unknown criterion is one of them if a way leads to it from the top on which everything is unknown. A part without an id that
is settled already closes the way, although a report shows the criteria inside it beside the others; so do readings of a doubtful
text that differ whatever is answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fhir_elig.criteria.context import Branch, Child, Context
from fhir_elig.criteria.logic import AppliesIf, outcome_of, strict
from fhir_elig.criteria.readings import Readings
from fhir_elig.verdict import ALIVE, MET, NOT_APPLICABLE, NOT_MET, UNKNOWN, CriterionResult, Reason

_SETTLED_BY_DATA = frozenset(
    {
        Reason.NOT_FOUND, Reason.TOO_OLD, Reason.NOT_FINAL, Reason.NO_UNIT, Reason.UNIT_UNKNOWN, Reason.UNIT_CONFLICT,
        Reason.NO_REFERENCE_RANGE, Reason.NOT_NUMERIC, Reason.IMPLAUSIBLE, Reason.COMPARATOR, Reason.NO_RECORD,
    }
)  # fmt: skip


def decisive(tops: Iterable[Branch], context: Context, results: Sequence[CriterionResult]) -> list[CriterionResult]:
    """Data comes first, then people's answers, then dates to come; within these the fewest steps from the top.

    `tops` are the protocol's criteria, `results` what is shown of them.
    """
    ways = {ALIVE, *(name for top in tops for name in _ways(top, context, False))}
    ranked = [
        (_rank(result), depth, index, result)
        for index, (result, depth) in enumerate(_deep(results))
        if result.verdict is UNKNOWN and result.id in ways
    ]
    return [result for *_, result in sorted(ranked, key=lambda entry: entry[:3])]


def _deep(results: Sequence[CriterionResult]) -> Iterator[tuple[CriterionResult, int]]:
    """All results in the protocol's order, each with the number of steps from the top."""
    waiting = [(result, 1) for result in reversed(results)]
    while waiting:
        result, depth = waiting.pop()
        yield result, depth
        waiting += [(child, depth + 1) for child in reversed(result.criteria)]


def _ways(child: Child, context: Context, guarded: bool) -> list[str]:
    """The ids at the ends of the open ways through a node. Under an open guard nothing but `met` is known."""
    node = context.nodes[child] if isinstance(child, str) else child
    verdict = node.outcome(context).verdict
    if verdict is MET or verdict is NOT_APPLICABLE or (verdict is NOT_MET and not guarded):
        return []
    if isinstance(node.kind, AppliesIf):
        guarded = guarded or strict(outcome_of(node.kind.when, context)).verdict is not MET
    inside = [name for part in _parts(node, context) for name in _ways(part, context, guarded)]
    return inside or ([node.id] if node.id else [])


def _parts(node: Branch, context: Context) -> Sequence[Child]:
    """The parts whose verdicts make that of the node."""
    if not isinstance(node.kind, Readings):
        return node.kind.children
    chosen = context.run.decisions.get(node.id or "") or node.kind.decided
    if chosen is not None:
        return [node.kind.options[chosen]]
    known = {strict(outcome_of(option, context)).verdict for option in node.kind.options.values()} - {UNKNOWN}
    differ = len(known) > 1 or NOT_APPLICABLE in known  # no answer makes the others not applicable
    return [] if differ else list(node.kind.options.values())


def _rank(result: CriterionResult) -> int:
    if result.reason is Reason.NEEDS_PERSON:
        return 2
    return 3 if result.reason is Reason.PENDING_EVENT else 0 if result.reason in _SETTLED_BY_DATA else 1
