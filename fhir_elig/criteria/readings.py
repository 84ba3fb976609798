"""Exceptions, evidence for and against a state, and the readings of a doubtful text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from fhir_elig import verdict as kleene
from fhir_elig.criteria.base import Kind, Name, Path
from fhir_elig.criteria.context import Context
from fhir_elig.criteria.logic import Guarded, outcome_of, outcomes_of, shown, strict
from fhir_elig.criteria.outcome import Outcome, unknown
from fhir_elig.times import ALWAYS, When
from fhir_elig.verdict import MET, NOT_APPLICABLE, NOT_MET, UNKNOWN, CriterionResult, Reason

if TYPE_CHECKING:
    from fhir_elig.criteria.context import Child  # to pydantic it is that of `node`, which ties the models together


class Unless(Guarded):
    """An exception: where `when` applies, `then` holds in place of the criterion."""

    note: str = Field("", description="Said where no record of the exception was found, and one would change the verdict")

    def settle(self, main: Outcome, context: Context) -> Outcome:
        guard = strict(outcome_of(self.when, context))
        other = outcome_of(self.then, context)
        if guard.verdict is MET:
            return other.plus(evidence=(*other.evidence, *guard.evidence), notes=(*other.notes, "by exception"))
        if other.verdict is main.verdict:
            return main if guard.verdict is not UNKNOWN else main.plus(guard=main.guard or other.guard)
        if guard.verdict is UNKNOWN and {main.verdict, other.verdict} == {MET, NOT_APPLICABLE}:
            return (main if main.verdict is MET else other).plus(guard=guard.reason)  # it is met, or does not apply
        if guard.verdict is UNKNOWN:
            decided = main if main.verdict is UNKNOWN else other if other.verdict is UNKNOWN else None
            if decided is not None:
                return decided
            return unknown(
                guard.reason, evidence=main.evidence, set_aside=guard.set_aside, notes=guard.notes, settled_by=guard.settled_by
            )
        return main.plus(notes=(*main.notes, self.note)) if self.note else main


# Reasons that say: nothing of the kind was recorded.
_NOTHING = frozenset({Reason.NOT_FOUND, Reason.NO_RECORD, Reason.TOO_OLD, Reason.UNMAPPED})


class Weigh(Kind):
    """Evidence for a state against evidence for its end.

    Only one side found: it decides. Both: the state is over if all evidence for it came before what ended it, else the chart
    contradicts itself. Neither: unknown. What may be evidence, unconfirmed or without a date, must not bear on it.
    """

    for_: list[Child] = Field(min_length=1)
    against: list[Child] = Field(min_length=1)
    question: str = ""

    def parts(self) -> Iterator[tuple[Path, Child]]:
        for key, children in (("for", self.for_), ("against", self.against)):
            for index, child in enumerate(children):
                yield (key, index), child

    def evaluate(self, context: Context) -> Outcome:
        ended = [o for child in self.against for o in [outcome_of(child, context)] if _tells(o)]
        lasting = outcomes_of(self.for_, context)
        settled = lasting[0].settled_by
        lasting = [o for o in lasting if _tells(o)]
        over, going = ([o for o in side if o.verdict is MET] for side in (ended, lasting))
        evidence = tuple(e for o in (*over, *going) for e in o.evidence)
        if over and _all_before(lasting, ended):
            return Outcome(verdict=NOT_MET, reason=Reason.PRESENT, evidence=evidence, when=tuple(w for o in over for w in o.when))
        if going and not ended:
            return Outcome(verdict=MET, reason=Reason.PRESENT, evidence=evidence, when=tuple(w for o in going for w in o.when))
        doubt = next((o for o in (*lasting, *ended) if o.verdict is UNKNOWN), None)
        if over and going and (doubt is None or not _all_before(going, over)):
            return unknown(Reason.CONFLICTING, evidence=evidence)
        return doubt or unknown(Reason.NOT_FOUND, settled_by=settled, notes=(self.question,) if self.question else ())


def _tells(outcome: Outcome) -> bool:
    """Whether it is evidence, or may be: found, but not confirmed, not readable, not dated."""
    return outcome.verdict is MET or outcome.verdict is UNKNOWN and outcome.reason not in _NOTHING


def _all_before(used: Sequence[Outcome], over: Sequence[Outcome]) -> bool:
    """Whether all these times surely lie before every time of what ended it; what has no time may lie anywhere."""
    ends = [when for o in over for when in _times(o)]
    return all(when.before(end) for o in used for when in _times(o) for end in ends)


def _times(outcome: Outcome) -> tuple[When, ...]:
    return (*outcome.when, *outcome.also) or (ALWAYS,)


class Readings(Kind):
    """Readings of a doubtful text, by name. One is `decided` (with the reason, `because`), or all must agree."""

    options: dict[Name, Child] = Field(min_length=2)
    decided: Name | None = None
    because: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Readings:
        if self.decided is not None and self.decided not in self.options:
            raise ValueError(f'"{self.decided}" is none of the readings {", ".join(self.options)}')
        if self.decided is not None and not self.because:
            raise ValueError("a decision on a reading carries its reason: add because")
        return self

    def parts(self) -> Iterable[tuple[Path, Child]]:
        return ((("options", name), child) for name, child in self.options.items())

    def settle(self, decision: str | None, context: Context) -> Outcome:
        outcomes = dict(zip(self.options, outcomes_of(self.options.values(), context), strict=True))
        children = _united(tuple(r for name, child in self.options.items() for r in shown(child, outcomes[name])))
        chosen = decision or self.decided
        if chosen is not None:
            noted = (*outcomes[chosen].notes, *_others(outcomes[chosen], outcomes))
            return outcomes[chosen].plus(reading=chosen, notes=noted, children=children)
        strictly = [strict(o) for o in outcomes.values()]  # one that may not apply does not agree with one that is met
        agreed = kleene.agree([o.verdict for o in strictly])
        if agreed is not None and agreed is not UNKNOWN:
            return strictly[0].plus(children=children)
        open_one = next((o for o in strictly if o.verdict is UNKNOWN), None)
        if open_one is not None:
            return open_one.plus(children=children)
        says = ", ".join(f"{name}: {o.verdict.value}" for name, o in outcomes.items())
        speaking = sorted(strictly, key=lambda outcome: outcome.verdict is not NOT_MET)  # what speaks against it comes first
        return unknown(
            Reason.AMBIGUOUS_PROTOCOL,
            evidence=tuple(dict.fromkeys(e for outcome in speaking for e in outcome.evidence)),
            set_aside=strictly[0].set_aside,
            notes=(f"the readings differ ({says})",),
            children=children,
        )


def _others(chosen: Outcome, outcomes: dict[str, Outcome]) -> list[str]:
    """The readings that would change the verdict."""
    return [
        f"the reading {name} would give {other.verdict.value}"
        for name, other in outcomes.items()
        if other.verdict is not chosen.verdict and other.verdict is not UNKNOWN
    ]


def _united(results: tuple[CriterionResult, ...]) -> tuple[CriterionResult, ...]:
    return tuple({result.id: result for result in results}.values())
