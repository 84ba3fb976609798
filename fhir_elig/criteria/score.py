"""Scores: points for items that people answer or that criteria tell, against a threshold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field, PrivateAttr, StrictInt, model_validator

from fhir_elig import derive
from fhir_elig.concepts import Concepts
from fhir_elig.criteria.attestation import answered
from fhir_elig.criteria.base import Binder, Kind, Name, Path
from fhir_elig.criteria.context import Context
from fhir_elig.criteria.logic import outcome_of, shown, strict
from fhir_elig.criteria.outcome import Outcome, unknown
from fhir_elig.record import Need
from fhir_elig.verdict import MET, NOT_APPLICABLE, NOT_MET, UNKNOWN, Reason, SettledBy

if TYPE_CHECKING:
    from fhir_elig.criteria.context import Child  # to pydantic it is that of `node`, which ties the models together


class Score(Kind):
    """Points for items; of a group the highest counts once. Unknown items may or may not be there.

    An item under `computed` is there if its criterion is met; people are asked for the others, and for one of those only where
    its criterion is unknown.
    """

    items: dict[Name, StrictInt] = Field(min_length=1)
    groups: tuple[tuple[Name, ...], ...] = ()
    base: StrictInt = Field(0, description="Points that everybody has")
    at_least: StrictInt | None = None
    at_most: StrictInt | None = None
    computed: dict[Name, Child] = Field(default_factory=dict, description="Items that the chart tells, each by a criterion")
    answers_of: Name | None = Field(None, description="The criterion under whose id the items are answered; else the nearest one")
    source: str = ""

    @model_validator(mode="after")
    def _known_items(self) -> Score:
        named = [*(item for group in self.groups for item in group), *self.computed]
        strange = sorted({item for item in named if item not in self.items})
        if strange:
            raise ValueError(f"a group or a computed item has no points: {', '.join(strange)}")
        if self.at_least is None and self.at_most is None:
            raise ValueError("a score needs a limit: at-least or at-most")
        points = self._points([], [])
        if self.at_least is not None and max(points) < self.at_least:
            raise ValueError(f"the items give {max(points)} points at most: nobody can meet {self.at_least}")
        if self.at_most is not None and min(points) > self.at_most:
            raise ValueError(f"the items give {min(points)} points at least: nobody can meet {self.at_most}")
        return self

    _criterion: str = PrivateAttr(default="")

    def parts(self) -> Iterable[tuple[Path, Child]]:
        return ((("computed", name), child) for name, child in self.computed.items())

    def bind(self, binder: Binder, path: Path) -> None:
        self.keep(_criterion=self.answers_of or binder.owner)
        if self.answers_of is not None:
            binder.criterion(self.answers_of, (*path, "answers-of"))

    def needs(self, concepts: Concepts) -> Iterable[Need]:
        yield Need("QuestionnaireResponse")

    def _points(self, yes: list[str], no: list[str]) -> frozenset[int]:
        """All points that are possible where these items are there, and those are not."""
        return frozenset(self.base + points for points in derive.score(self.items, self.groups, yes, no))

    def evaluate(self, context: Context) -> Outcome:
        told = {item: strict(outcome_of(child, context)) for item, child in self.computed.items()}
        asked = [item for item in self.items if item not in told or told[item].verdict is UNKNOWN]
        said = {item: answered(f"{self._criterion}/{item}", context, accepts_consent=False) for item in asked}
        known = {item: outcome for item, outcome in told.items() if outcome.verdict is not UNKNOWN}
        known |= {item: outcome for item, outcome in said.items() if outcome is not None and outcome.verdict is not UNKNOWN}
        yes = [item for item in self.items if item in known and known[item].verdict is MET]
        no = [item for item in self.items if item in known and known[item].verdict in (NOT_MET, NOT_APPLICABLE)]
        points = self._points(yes, no)
        enough = {self._is_within(each) for each in points}
        verdict = UNKNOWN if len(enough) > 1 else MET if enough == {True} else NOT_MET
        total = f"{min(points)} points" if len(points) == 1 else f"{min(points)} to {max(points)} points"
        decided = Outcome(verdict=verdict, reason=Reason.IN_RANGE if verdict is MET else Reason.OUT_OF_RANGE)
        if verdict is UNKNOWN:
            decided = self._open(known, told).plus(notes=(total,) if known else ())
        else:
            decided = decided.plus(
                notes=(f"{total}, limit {self.limit_text()}",), when=tuple(w for o in known.values() for w in o.when)
            )
        behind = [*(outcome for outcome in said.values() if outcome is not None), *told.values()]
        return decided.plus(
            evidence=tuple(e for outcome in behind for e in outcome.evidence),
            set_aside=tuple(dict.fromkeys(s for outcome in told.values() for s in outcome.set_aside)),
            provisional=any(outcome.provisional for outcome in told.values()),
            recoverable=decided.verdict is NOT_MET and any(outcome.recoverable for outcome in told.values()),
            children=tuple(result for item, outcome in told.items() for result in shown(self.computed[item], outcome)),
        )

    def _open(self, known: dict[str, Outcome], told: dict[str, Outcome]) -> Outcome:
        """What keeps the points open: items that a person must say, else the first criterion that is unknown."""
        waiting = [item for item in self.items if item not in known]
        people = [item for item in waiting if item not in told]
        if not people:
            first = told[waiting[0]]
            return unknown(first.reason, settled_by=first.settled_by)
        reason = Reason.NEEDS_PERSON if known else Reason.NOT_FOUND
        question = f"which of these are present: {', '.join(people)}?"
        return unknown(reason, settled_by=SettledBy(resource="QuestionnaireResponse", question=question))

    def _is_within(self, points: int) -> bool:
        return (self.at_least is None or points >= self.at_least) and (self.at_most is None or points <= self.at_most)

    def limit_text(self) -> str:
        """`>= 9`, `<= 6`, or both."""
        limits = ((">=", self.at_least), ("<=", self.at_most))
        return " and ".join(f"{sign} {end}" for sign, end in limits if end is not None)
