"""The four verdicts, how they combine (strong Kleene logic with `not-applicable`), and what each one carries.

Semantics: Kleene, Introduction to Metamathematics (1952), section 64, extended by `not-applicable` members that are left out
of a combination. An assessment is a tree of `CriterionResult`; `to_json` gives the published form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    """What is known of a criterion."""

    MET = "met"
    NOT_MET = "not-met"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not-applicable"


class Reason(StrEnum):
    """Why a verdict is what it is."""

    IN_RANGE = "in-range"
    OUT_OF_RANGE = "out-of-range"
    PRESENT = "present"
    ABSENT = "absent"
    NOT_FOUND = "not-found"
    TOO_OLD = "too-old"
    NOT_FINAL = "not-final"
    NO_UNIT = "no-unit"
    UNIT_UNKNOWN = "unit-unknown"
    UNIT_CONFLICT = "unit-conflict"
    NO_REFERENCE_RANGE = "no-reference-range"
    NOT_NUMERIC = "not-numeric"
    IMPLAUSIBLE = "implausible"
    CONFLICTING = "conflicting"
    COMPARATOR = "comparator"
    IMPRECISE_DATE = "imprecise-date"
    UNCONFIRMED = "unconfirmed"
    NO_RECORD = "no-record"
    INCOMPLETE = "incomplete"
    RESTRICTED = "restricted"
    IDENTITY = "identity"
    MODIFIER = "modifier"
    UNMAPPED = "unmapped"
    DECEASED = "deceased"
    PENDING_EVENT = "pending-event"
    NEEDS_PERSON = "needs-person"
    ATTESTED = "attested"
    AMBIGUOUS_PROTOCOL = "ambiguous-protocol"
    NOT_APPLICABLE = "not-applicable"
    DERIVED = "derived"


class Status(StrEnum):
    """The recommendation; the four states of FHIR R4 research-subject-status that a machine may propose."""

    INELIGIBLE = "ineligible"
    POTENTIAL_CANDIDATE = "potential-candidate"
    CANDIDATE = "candidate"
    ELIGIBLE = "eligible"


MET, NOT_MET, UNKNOWN, NOT_APPLICABLE = Verdict.MET, Verdict.NOT_MET, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """One resource behind a verdict: as it was sent, and as it was compared."""

    reference: str
    version: str = ""
    received: str = ""
    compared: str = ""
    limit: str = ""
    time: str = ""
    note: str = ""
    window: str = ""


class SetAside(msgspec.Struct, frozen=True, gc=False):
    """A resource that was looked at and not used, and why."""

    reference: str
    why: str


class SettledBy(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What would settle an unknown: a record to find or make, a question to ask, or a date to set."""

    resource: str = ""
    codes: tuple[str, ...] = ()
    window: str = ""
    question: str = ""
    milestone: str = ""


class CriterionResult(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """The verdict of one criterion; `criteria` are its parts, in the protocol's order.

    `conditional` marks a `met` that holds whether or not its guard applies: it satisfies an `all-of`, and counts as
    unknown where `not-applicable` would behave otherwise (`not`, `any-of`, `at-least`).
    """

    id: str
    text: str = ""
    verdict: Verdict
    reason: Reason
    reading: str = ""
    provisional: bool = False
    recoverable: bool = False
    recoverable_from: str = ""
    near_limit: bool = False
    conditional: bool = False
    exclusion: bool = False
    notes: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    settled_by: SettledBy | None = None
    criteria: tuple[CriterionResult, ...] = ()

    def walk(self) -> Iterator[CriterionResult]:
        """Itself and all inside it, in the protocol's order."""
        waiting = [self]
        while waiting:
            one = waiting.pop()
            yield one
            waiting += one.criteria[::-1]

    def leaves(self) -> Iterator[CriterionResult]:
        return (result for result in self.walk() if not result.criteria)


class Retrieved(msgspec.Struct, frozen=True):
    """How completely one resource type was read; `note` starts with partial, refused, not-served, not-asked or withheld."""

    type: str
    complete: bool
    note: str = ""

    @property
    def broken(self) -> bool:
        """Whether part of what was asked for did not arrive (not the same as: nobody vouches for the whole)."""
        return self.note.startswith(("partial", "refused", "withheld"))


class Identified(msgspec.Struct, frozen=True):
    """The protocol that was used."""

    id: str
    version: str
    sha256: str


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """One patient held against one protocol; the order of the fields is that of the published JSON."""

    schema: str = "fhir-elig/assessment/1"
    patient: str
    protocol: Identified
    mappings: dict[str, str]
    package: dict[str, str]
    base: str | None
    as_of: str
    milestones: dict[str, str]
    retrieved: tuple[Retrieved, ...]
    verdict: Verdict
    status: Status
    recoverable: bool
    provisional: bool = False
    valid_until: str | None
    decisive: tuple[str, ...]
    decisions: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    criteria: tuple[CriterionResult, ...]
    errors: tuple[str, ...] = ()

    def walk(self) -> Iterator[CriterionResult]:
        for result in self.criteria:
            yield from result.walk()

    def find(self, criterion: str) -> CriterionResult | None:
        return next((result for result in self.walk() if result.id == criterion), None)

    def counts(self) -> dict[Verdict, int]:
        """Leaf criteria of the protocol by verdict; the implicit criterion `alive` is not one of them."""
        tally = dict.fromkeys(Verdict, 0)
        for result in self.criteria:
            if result.id != ALIVE:
                for leaf in result.leaves():
                    tally[leaf.verdict] += 1
        return tally

    def to_json(self) -> bytes:
        """The published JSON object, in UTF-8, on one line."""
        return msgspec.json.encode(self)


ALIVE = "alive"


def all_of(verdicts: Sequence[Verdict]) -> Verdict:
    """`not-met` if any is; else `unknown` if any is; else `met`; members that do not apply are left out."""
    applying = [verdict for verdict in verdicts if verdict is not NOT_APPLICABLE]
    if not applying:
        return NOT_APPLICABLE
    return NOT_MET if NOT_MET in applying else UNKNOWN if UNKNOWN in applying else MET


def any_of(verdicts: Sequence[Verdict]) -> Verdict:
    """`met` if any is; else `unknown` if any is; else `not-met`; members that do not apply are left out."""
    applying = [verdict for verdict in verdicts if verdict is not NOT_APPLICABLE]
    if not applying:
        return NOT_APPLICABLE
    return MET if MET in applying else UNKNOWN if UNKNOWN in applying else NOT_MET


def at_least(count: int, verdicts: Sequence[Verdict]) -> Verdict:
    """With m met and u unknown: `met` if m >= count, `not-met` if m + u < count, else `unknown`."""
    applying = [verdict for verdict in verdicts if verdict is not NOT_APPLICABLE]
    if not applying:
        return NOT_APPLICABLE
    met, unknown = applying.count(MET), applying.count(UNKNOWN)
    return MET if met >= count else NOT_MET if met + unknown < count else UNKNOWN


def negate(verdict: Verdict) -> Verdict:
    """Swaps `met` and `not-met`; keeps the other two."""
    return NOT_MET if verdict is MET else MET if verdict is NOT_MET else verdict


def agree(verdicts: Sequence[Verdict]) -> Verdict | None:
    """The one verdict that all give, or None."""
    return verdicts[0] if verdicts and all(verdict is verdicts[0] for verdict in verdicts) else None
