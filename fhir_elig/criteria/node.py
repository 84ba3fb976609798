"""A node of a protocol: a criterion (it has an id), a named definition, or a nameless part of one.

`KINDS` is the union of the kinds: a new kind is one class in criteria/ and one field here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, cast

import msgspec
from pydantic import Discriminator, Field, StrictBool, StrictInt, Tag, model_validator

from fhir_elig.concepts import Concepts
from fhir_elig.criteria.attestation import Attestation, answered
from fhir_elig.criteria.base import Binder, Kind, Model, Name, Path
from fhir_elig.criteria.change import Change
from fhir_elig.criteria.condition import Condition
from fhir_elig.criteria.context import NEVER, Context
from fhir_elig.criteria.event import EventKind
from fhir_elig.criteria.logic import AllOf, AnyOf, AppliesIf, AtLeast, Guarded, Not
from fhir_elig.criteria.medication import Exposure
from fhir_elig.criteria.observation import Value
from fhir_elig.criteria.outcome import Outcome
from fhir_elig.criteria.patient import Age, Sex
from fhir_elig.criteria.readings import Readings, Unless, Weigh
from fhir_elig.criteria.score import Score
from fhir_elig.criteria.subtype import Subtype
from fhir_elig.record import Need
from fhir_elig.verdict import NOT_MET, UNKNOWN, CriterionResult, Reason, SettledBy

KINDS = (
    "all-of any-of at-least not applies-if weigh readings age sex value change condition subtype exposure event score attestation"
).split()


class Place(Model):
    """Where the criterion stands in the source text."""

    section: str
    item: StrictInt
    part: str = ""
    note: str = ""


class Node(Model):
    """One kind, and what a criterion has beside it."""

    id: Name | None = None
    text: str = Field("", description="The protocol's own words")
    source: Place | None = Field(None, description="Its place in the source text: section, item, part")

    all_of: AllOf | None = None
    any_of: AnyOf | None = None
    at_least: AtLeast | None = None
    not_: Not | None = None
    applies_if: AppliesIf | None = None
    weigh: Weigh | None = None
    readings: Readings | None = None
    age: Age | None = None
    sex: Sex | None = None
    value: Value | None = None
    change: Change | None = None
    condition: Condition | None = None
    subtype: Subtype | None = None
    exposure: Exposure | None = None
    event: EventKind | None = None
    score: Score | None = None
    attestation: Attestation | None = None

    unless: Unless | None = Field(None, description="An exception, reported as one")
    attestable: StrictBool = Field(False, description="A person's answer settles it where it is unknown, and never flips it")
    question: str = Field("", description="What is asked where it is attestable")
    recoverable: bool | None = Field(None, description="Whether a repeat could change a not-met; else the kind decides")
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> Node:
        found = [name for name in KINDS if getattr(self, field_of(name)) is not None]
        if len(found) != 1:
            raise ValueError(f"one kind is needed ({', '.join(KINDS)}), found {' and '.join(found) or 'none'}")
        if self.id and not self.text:
            raise ValueError("a criterion carries the protocol's words: add text")
        if self.attestable and not (self.id and self.question):
            raise ValueError("an attestable criterion needs an id and a question")
        return self

    @cached_property
    def kind_name(self) -> str:
        return next(name for name in KINDS if getattr(self, field_of(name)) is not None)

    @cached_property
    def kind(self) -> Kind:
        kind: Kind = getattr(self, field_of(self.kind_name))
        return kind

    def inner(self) -> Iterator[tuple[Path, Child]]:
        """The nodes directly inside, with their paths."""
        for path, child in self.kind.parts():
            yield (self.kind_name, *path), cast("Child", child)
        if self.unless is not None:
            for path, child in self.unless.parts():
                yield ("unless", *path), cast("Child", child)

    def needs(self, concepts: Concepts) -> Iterator[Need]:
        """All that its own evaluation looks at, without that of the nodes inside."""
        yield from self.kind.needs(concepts)
        if self.attestable:
            yield Need("QuestionnaireResponse")

    def bind(self, binder: Binder, path: Path) -> None:
        """Resolve everything inside; names of other nodes must exist."""
        outer, binder.owner = binder.owner, self.id or binder.owner
        self._bind_parts(binder, path)
        binder.owner = outer

    def _bind_parts(self, binder: Binder, path: Path) -> None:
        self.kind.bind(binder, (*path, self.kind_name))
        for inner_path, child in self.inner():
            if isinstance(child, str):
                binder.criterion(child, (*path, *inner_path))
            else:
                child.bind(binder, (*path, *inner_path))

    def outcome(self, context: Context) -> Outcome:
        """The outcome in this context, which is remembered, as is the day until which it stands."""
        key = id(self)
        found = context.memo.get(key)
        if found is not None:
            return found
        outer, context.due = context.due, context.latest_due
        outcome = context.memo[key] = self._evaluate(context)
        if context.due < NEVER:
            context.dues[key] = (context.due, self)
        context.due = outer
        return outcome

    def _evaluate(self, context: Context) -> Outcome:
        if isinstance(self.kind, Readings):
            outcome = self.kind.settle(context.run.decisions.get(self.id or ""), context)
        else:
            outcome = self.kind.evaluate(context)
        if self.unless is not None:
            outcome = self.unless.settle(outcome, context)
        if self.attestable and outcome.verdict is UNKNOWN:
            outcome = self._attested(outcome, context)
        if self.recoverable is not None:
            outcome = outcome.plus(recoverable=self.recoverable)
        if self.id and outcome.verdict is UNKNOWN and outcome.settled_by is None and not outcome.children:
            outcome = outcome.plus(settled_by=SettledBy(question=_what_is_open(outcome.reason)))
        return outcome

    def _attested(self, outcome: Outcome, context: Context) -> Outcome:
        asked = outcome.settled_by or SettledBy(resource="QuestionnaireResponse")
        outcome = outcome.plus(settled_by=msgspec.structs.replace(asked, question=self.question))
        answer = answered(self.id or "", context, accepts_consent=False)
        if answer is None or outcome.reason is Reason.PENDING_EVENT:  # nobody can answer for days to come
            return outcome
        if answer.verdict is UNKNOWN and not answer.evidence:  # nothing that was said can be used
            return outcome.plus(set_aside=(*outcome.set_aside, *answer.set_aside))
        settled = outcome.settled_by if answer.verdict is UNKNOWN else None
        return answer.plus(evidence=(*answer.evidence, *outcome.evidence), children=outcome.children, settled_by=settled)

    def result(self, outcome: Outcome) -> CriterionResult:
        """The outcome as this criterion's published result."""
        recoverable = outcome.verdict is NOT_MET and outcome.recoverable
        return CriterionResult(
            id=self.id or "",
            text=self.text,
            verdict=outcome.verdict,
            reason=outcome.reason,
            reading=outcome.reading,
            provisional=outcome.provisional,
            recoverable=recoverable,
            recoverable_from=outcome.recoverable_from if recoverable else "",
            near_limit=outcome.near_limit,
            conditional=outcome.guard is not None,
            notes=(*outcome.notes, *self.notes),
            evidence=outcome.evidence,
            set_aside=outcome.set_aside,
            settled_by=outcome.settled_by if outcome.verdict is UNKNOWN else None,
            criteria=outcome.children,
        )


def _what_is_open(reason: Reason) -> str:
    """What to ask where no record is missing."""
    if reason is Reason.AMBIGUOUS_PROTOCOL:
        return "Which reading of the text holds? The site file can decide it under readings."
    return "Which of the records named here is right?"


def field_of(kind_name: str) -> str:
    return "not_" if kind_name == "not" else kind_name.replace("-", "_")


Child = Annotated[
    Annotated[Node, Tag("<node>")] | Annotated[str, Tag("<name>")],
    Discriminator(lambda value: "<name>" if isinstance(value, str) else "<node>"),
]

for _model in (AllOf, AnyOf, AtLeast, Not, AppliesIf, Guarded, Unless, Weigh, Readings, Score, Node):
    _model.model_rebuild(force=True, _types_namespace={"Child": Child, "Node": Node})
