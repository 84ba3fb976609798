"""What an evaluation gives before it is dressed as a criterion's published result."""

from __future__ import annotations

from typing import Any

import msgspec

from fhir_elig.record import Fact, Flaw
from fhir_elig.times import When
from fhir_elig.verdict import MET, NOT_MET, UNKNOWN, CriterionResult, Evidence, Reason, SetAside, SettledBy, Verdict


class Outcome(msgspec.Struct, kw_only=True, gc=False):
    """What an evaluation gives before it is dressed as a criterion's result.

    `when` holds the times of what decided, `also` those at which further records say the same, or may (`ALWAYS` for any time).
    With `either` one of them decided, and nobody knows which.
    """

    verdict: Verdict
    reason: Reason
    evidence: tuple[Evidence, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    notes: tuple[str, ...] = ()
    settled_by: SettledBy | None = None
    when: tuple[When, ...] = ()
    also: tuple[When, ...] = ()
    either: bool = False
    near_limit: bool = False
    recoverable: bool = False
    recoverable_from: str = ""
    guard: Reason | None = None  # a `met` that holds whether or not its guard applies; why the guard is not known
    provisional: bool = False
    reading: str = ""
    children: tuple[CriterionResult, ...] = ()

    def within(self, window: str) -> Outcome:
        """Its first evidence marked with the window that it was found in."""
        if self.evidence:
            first, *rest = self.evidence
            self.evidence = (msgspec.structs.replace(first, window=window), *rest)
        return self

    @property
    def bearing(self) -> tuple[object, ...]:
        """What of it can bear on a verdict: its own, or that of a node that uses it."""
        shown = [(inner.id, inner.verdict) for child in self.children for inner in child.walk()]
        return self.verdict, self.reason, self.guard, self.when, self.also, self.either, shown

    def plus(self, **changes: Any) -> Outcome:
        return msgspec.structs.replace(self, **changes)


def unknown(reason: Reason, **details: Any) -> Outcome:
    return Outcome(verdict=UNKNOWN, reason=reason, **details)


def reason_of(verdict: Verdict, doubt: Reason) -> Reason:
    """Why a value gives that verdict against a limit; `doubt` where it is unknown."""
    return Reason.IN_RANGE if verdict is MET else Reason.OUT_OF_RANGE if verdict is NOT_MET else doubt


FLAW_REASONS = {
    Flaw.MODIFIER: Reason.MODIFIER,
    Flaw.RESTRICTED: Reason.RESTRICTED,
    Flaw.SUBSETTED: Reason.INCOMPLETE,
    Flaw.CONFLICT: Reason.CONFLICTING,
    Flaw.IDENTITY: Reason.IDENTITY,
}


def flaw_reason(fact: Fact) -> Reason | None:
    """Why a fact may not decide."""
    return FLAW_REASONS[fact.flaws[0]] if fact.flaws else None
