"""Criteria made of criteria: combinations, guards, exceptions, evidence for and against, readings of a doubtful text.

The words `all-of`, `any-of` and `at-least` are those of FHIR R5 EvidenceVariable.characteristic.definitionByCombination.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec
from pydantic import Field, GetJsonSchemaHandler, StrictInt, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from fhir_elig import times, verdict as kleene
from fhir_elig.criteria.base import Binder, Kind, Path, SpanText
from fhir_elig.criteria.context import Context
from fhir_elig.criteria.outcome import Outcome
from fhir_elig.times import When
from fhir_elig.verdict import (
    MET,
    NOT_APPLICABLE,
    NOT_MET,
    UNKNOWN,
    CriterionResult,
    Reason,
    Verdict,
)

if TYPE_CHECKING:
    from fhir_elig.criteria.context import Child  # to pydantic it is that of `node`, which ties the models together


def outcome_of(child: Child, context: Context) -> Outcome:
    """The outcome of a node, or of the criterion or definition of that name."""
    return (context.nodes[child] if isinstance(child, str) else child).outcome(context)


def shown(child: Child, outcome: Outcome) -> tuple[CriterionResult, ...]:
    """What a parent shows of a child: its criterion, or the criteria in a nameless one; a reference has its own place."""
    if isinstance(child, str):
        return ()
    return (child.result(outcome),) if child.id else outcome.children


def strict(outcome: Outcome) -> Outcome:
    """A `met` under an open guard counts as unknown where `not-applicable` would behave otherwise."""
    return outcome if outcome.guard is None else outcome.plus(verdict=UNKNOWN, reason=outcome.guard, guard=None)


def outcomes_of(children: Iterable[Child], context: Context) -> list[Outcome]:
    """The outcomes of nodes, or of those of these names; what is known already is not asked for again."""
    nodes, memo = context.nodes, context.memo
    named = [nodes[child] if isinstance(child, str) else child for child in children]
    return [memo.get(id(node)) or node.outcome(context) for node in named]


def combine(verdict: Verdict, children: Sequence[Child], outcomes: Sequence[Outcome]) -> Outcome:
    """A parent's outcome: the reason of the first child that decides it, and what its nameless children carry."""
    made = Outcome(verdict=verdict, reason=_reason(verdict, children, outcomes))
    results: list[CriterionResult] = []
    nameless = []
    for child, o in zip(children, outcomes, strict=True):
        if isinstance(child, str):
            continue
        if child.id:
            results.append(child.result(o))
        else:
            nameless.append(o)
            results += o.children
    made.children = tuple(results)
    if nameless:
        made.evidence = tuple([e for o in nameless for e in o.evidence])
        made.set_aside = tuple(dict.fromkeys([s for o in nameless for s in o.set_aside]))
        made.notes = tuple(dict.fromkeys([n for o in nameless for n in o.notes]))
        made.settled_by = next((o.settled_by for o in nameless if o.verdict is UNKNOWN and o.settled_by), None)
    made.when = tuple([w for o in outcomes if o.verdict is verdict for w in o.when])
    made.also = tuple([w for o in outcomes if o.verdict is verdict for w in o.also])
    if verdict is MET:
        made.also += tuple([w for o in outcomes if o.verdict is UNKNOWN for w in (*o.when, *o.also)])
    made.either = True in [o.either for o in outcomes]
    not_met = [o for o in outcomes if o.verdict is NOT_MET]
    if not_met:
        made.recoverable = verdict is NOT_MET and all(o.recoverable for o in not_met)
        made.recoverable_from = max([o.recoverable_from for o in not_met])
    made.provisional = True in [o.provisional for o in outcomes]
    return made


def _reason(verdict: Verdict, children: Sequence[Child], outcomes: Sequence[Outcome]) -> Reason:
    """That of the first child that decides; of nameless parts that are unknown, one that found something speaks before others."""
    if verdict is NOT_APPLICABLE:
        return Reason.NOT_APPLICABLE
    deciding = [(child, o) for child, o in zip(children, outcomes, strict=True) if o.verdict is verdict]
    first = deciding[0][1] if deciding else outcomes[0]
    if verdict is UNKNOWN and all(not isinstance(child, str) and not child.id for child, _ in deciding):
        return next((o.reason for _, o in deciding if o.reason not in _NOTHING), first.reason)
    return first.reason


_NOTHING = (Reason.NOT_FOUND, Reason.NO_RECORD)


class Group(Kind):
    """A list of criteria; written as the list itself, or as a mapping with `of`."""

    of: list[Child] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _plain_list(cls, data: object) -> object:
        return {"of": data} if isinstance(data, list) else data

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The list itself is as good as the mapping."""
        whole = handler(core_schema)
        members = handler.resolve_ref_schema(whole)["properties"]["of"]
        return {"anyOf": [{key: members[key] for key in ("type", "items", "minItems")}, whole]}

    def parts(self) -> Iterable[tuple[Path, Child]]:
        return (((index,), child) for index, child in enumerate(self.of))

    def outcomes(self, context: Context) -> list[Outcome]:
        return outcomes_of(self.of, context)


class AllOf(Group):
    """Every member; `together` asks that the dates of all that decided fit into one span of that length."""

    together: SpanText | None = None

    def bind(self, binder: Binder, path: Path) -> None:
        if self.together == "all":
            binder.finding((*path, "together"), "FE0210", "all of time is no span", "write one such as 6 mo")

    def evaluate(self, context: Context) -> Outcome:
        outcomes = self.outcomes(context)
        result = combine(kleene.all_of([o.verdict for o in outcomes]), self.of, outcomes)
        counted = [o for o in outcomes if o.verdict is not NOT_APPLICABLE]
        if result.verdict is MET and None not in [o.guard for o in counted]:
            result = result.plus(guard=counted[0].guard)
        if result.verdict is MET and self.together and not self._fits(result.when):
            note = f"the dates behind it fit in no single span of {self.together}"
            return result.plus(verdict=UNKNOWN, reason=Reason.AMBIGUOUS_PROTOCOL, notes=(*result.notes, note))
        if result.verdict is MET and self.together and times.ALWAYS in result.also:
            return result.plus(verdict=UNKNOWN, reason=Reason.IMPRECISE_DATE)
        return result

    def _fits(self, used: tuple[When, ...]) -> bool:
        span = times.parse_span(self.together or "")
        if not used or span is None:
            return True
        return max(when.last for when in used) <= span.shift(min(when.first for when in used), 1)


class AnyOf(Group):
    """At least one member."""

    def evaluate(self, context: Context) -> Outcome:
        outcomes = [o if o.guard is None else strict(o) for o in self.outcomes(context)]
        result = combine(kleene.any_of([o.verdict for o in outcomes]), self.of, outcomes)
        hopeful = [o.recoverable_from for o in outcomes if o.verdict is NOT_MET and o.recoverable]
        result.recoverable = result.verdict is NOT_MET and bool(hopeful)
        result.recoverable_from = min(hopeful, default="")
        return result


class AtLeast(Kind):
    """At least `count` of the members."""

    count: StrictInt = Field(ge=1)
    of: list[Child] = Field(min_length=1)

    def parts(self) -> Iterable[tuple[Path, Child]]:
        return ((("of", index), child) for index, child in enumerate(self.of))

    def evaluate(self, context: Context) -> Outcome:
        outcomes = [strict(o) for o in outcomes_of(self.of, context)]
        verdict = kleene.at_least(self.count, [o.verdict for o in outcomes])
        if verdict is NOT_MET and self._may_be_empty(outcomes, context):
            verdict = UNKNOWN
        return combine(verdict, self.of, outcomes)

    def _may_be_empty(self, outcomes: Sequence[Outcome], context: Context) -> bool:
        """Whether none of the members may apply in the end: then they are not too few, but nothing that counts."""
        left = [(child, o) for child, o in zip(self.of, outcomes, strict=True) if o.verdict is not NOT_APPLICABLE]
        return all(o.verdict is UNKNOWN and _guarded(child, context) for child, o in left)


def _guarded(child: Child, context: Context) -> bool:
    """Whether a criterion, or one inside it, applies to some patients only."""
    node = context.nodes[child] if isinstance(child, str) else child
    return isinstance(node.kind, AppliesIf) or any(_guarded(part, context) for _, part in node.inner())


class Not(Kind):
    """The opposite; written as the criterion itself."""

    body: Child

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: object) -> object:
        return data if isinstance(data, dict) and set(data) == {"body"} else {"body": data}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The criterion itself is as good as the mapping."""
        whole = handler(core_schema)
        body = handler.resolve_ref_schema(whole)["properties"]["body"]
        return {"anyOf": [{key: value for key, value in body.items() if key != "title"}, whole]}

    def parts(self) -> Iterable[tuple[Path, Child]]:
        return (((), self.body),)

    def evaluate(self, context: Context) -> Outcome:
        outcome = strict(outcome_of(self.body, context))
        return outcome.plus(verdict=kleene.negate(outcome.verdict), children=shown(self.body, outcome))


class Guarded(Kind):
    """A criterion (`when`) and what holds under it (`then`)."""

    when: Child
    then: Child

    def parts(self) -> Iterable[tuple[Path, Child]]:
        return ((("when",), self.when), (("then",), self.then))


class AppliesIf(Guarded):
    """`then`, for those to whom `when` applies; for all others it is not applicable."""

    def evaluate(self, context: Context) -> Outcome:
        guard = strict(outcome_of(self.when, context))
        if guard.verdict in (NOT_MET, NOT_APPLICABLE):
            return Outcome(
                verdict=NOT_APPLICABLE, reason=Reason.NOT_APPLICABLE, evidence=guard.evidence, children=skeleton(self.then)
            )
        body = outcome_of(self.then, context)
        children = shown(self.then, body)
        if guard.verdict is MET:
            return body.plus(children=children)
        return open_guard(body, guard).plus(children=tuple(_open_result(child, guard) for child in children))


def open_guard(body: Outcome, guard: Outcome) -> Outcome:
    """A body under a guard that is not known: `met` stays (either way it is satisfied), and what never applies; else unknown."""
    if body.verdict is MET:
        return body.plus(guard=guard.reason)
    if body.verdict is NOT_APPLICABLE:
        return body
    notes = (*body.notes, *guard.notes)
    if body.verdict is UNKNOWN:
        return body.plus(notes=notes, settled_by=body.settled_by or guard.settled_by)
    return body.plus(verdict=UNKNOWN, reason=guard.reason, notes=notes, settled_by=guard.settled_by, recoverable=False)


def _open_result(result: CriterionResult, guard: Outcome) -> CriterionResult:
    children = tuple(_open_result(child, guard) for child in result.criteria)
    if result.verdict is MET:
        return msgspec.structs.replace(result, conditional=True, criteria=children)
    if result.verdict is UNKNOWN:
        return msgspec.structs.replace(result, criteria=children)
    return msgspec.structs.replace(
        result,
        verdict=UNKNOWN,
        reason=guard.reason,
        settled_by=guard.settled_by,
        recoverable=False,
        recoverable_from="",
        notes=(*result.notes, *guard.notes),
        criteria=children,
    )


def skeleton(child: Child) -> tuple[CriterionResult, ...]:
    """The criteria inside a node that does not apply."""
    if isinstance(child, str):
        return ()
    inner = tuple(result for _, part in child.inner() for result in skeleton(part))
    if not child.id:
        return inner
    return (CriterionResult(id=child.id, text=child.text, verdict=NOT_APPLICABLE, reason=Reason.NOT_APPLICABLE, criteria=inner),)
