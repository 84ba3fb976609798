"""A patient's record: facts read from FHIR resources, slim and frozen, and how completely each type was read.

Facts know nothing of protocols. Codes are text, `system|code`, with the system's canonical URI (see `concepts.code_key`).
A fact keeps what the chart says, odd or not; what it means for a criterion is decided in `criteria`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from fhir_elig.quantity import Number, Quantity, Range
from fhir_elig.times import When
from fhir_elig.verdict import Retrieved


class Flaw(StrEnum):
    """Why a fact may not decide, whatever it says."""

    MODIFIER = "modifier"  # a modifierExtension or implicitRules that is not understood, a focus on somebody else
    RESTRICTED = "restricted"  # a security label that the site does not allow
    SUBSETTED = "subsetted"  # the resource is not whole
    CONFLICT = "conflict"  # one version, two bodies
    IDENTITY = "identity"  # no subject, or one that cannot be resolved


class Counts(StrEnum):
    """What a status says of a record (verdicts, section 6)."""

    YES = "yes"
    NOT_FINAL = "not-final"  # preliminary, registered: listed, used by nothing
    UNCONFIRMED = "unconfirmed"  # would decide if it were confirmed
    SHOWN = "shown"  # speaks against "takes none", never for "takes"
    NEGATIVE = "negative"  # says that it did not happen: not-done, not-taken, refuted
    NO = "no"  # cancelled, entered-in-error, draft


class Fact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all facts share. `reference` is `Type/id`, `version` is meta.versionId; `flaws` keep it from deciding."""

    reference: str
    version: str = ""
    status: str = ""
    counts: Counts = Counts.YES
    flaws: tuple[Flaw, ...] = ()
    notes: tuple[str, ...] = ()


class Person(Fact, frozen=True, kw_only=True):
    """The Patient. Sexes are `male`, `female`, `other`, `unknown` or empty; `born` may be as wide as a year."""

    born: When | None = None
    born_text: str = ""
    gender: str = ""
    birth_sex: str = ""
    clinical_sex: str = ""
    deceased: bool = False
    died: When | None = None
    died_text: str = ""
    active: bool = True
    aliases: tuple[str, ...] = ()


class Coded(msgspec.Struct, frozen=True, gc=False):
    """A coded or textual answer (valueCodeableConcept, or a text that is not a number)."""

    codes: tuple[str, ...] = ()
    text: str = ""

    def __str__(self) -> str:
        return self.text or ", ".join(self.codes)


class Flag(msgspec.Struct, frozen=True):
    """A boolean answer."""

    value: bool

    def __str__(self) -> str:
        return str(self.value).lower()


class Odd(msgspec.Struct, frozen=True, gc=False):
    """A value of a kind that no criterion reads as a number (ratio, sampled data, attachment), or one that is broken."""

    kind: str

    def __str__(self) -> str:
        return self.kind


class Moment(msgspec.Struct, frozen=True, gc=False):
    """A date or time as the value of an observation."""

    when: When

    def __str__(self) -> str:
        return self.when.text


Value = Quantity | Range | Coded | Flag | Moment | Odd


class ReferenceRange(msgspec.Struct, frozen=True, gc=False):
    """One referenceRange of a result. `kind` is `normal`, or the code of another type; `sex` and `ages` say whom it fits."""

    low: Quantity | None = None
    high: Quantity | None = None
    kind: str = "normal"
    sex: str = ""
    low_age: Number | None = None  # completed years
    high_age: Number | None = None
    text: str = ""
    fits_unknown: bool = False  # appliesTo or age says something that is not understood


class Result(Fact, frozen=True, kw_only=True):
    """An Observation, or one component of it (`reference` then ends in `#component-n`)."""

    codes: tuple[str, ...]
    value: Value | None
    time: When | None
    absent: str = ""  # dataAbsentReason: its code, or `error`
    ranges: tuple[ReferenceRange, ...] = ()
    interpretation: tuple[str, ...] = ()
    specimen: str = ""
    method: str = ""
    body_site: str = ""
    text: str = ""


class Problem(Fact, frozen=True, kw_only=True):
    """A Condition. `onset` is None if not recorded; `abated` is None if open, ALWAYS-wide if it ended at no known time."""

    codes: tuple[str, ...]
    clinical: str = ""
    verification: str = ""
    onset: When | None = None
    abated: When | None = None
    recorded: When | None = None
    text: str = ""
    category: tuple[str, ...] = ()


class Strength(StrEnum):
    """How strong a medication record is, weakest first."""

    ORDERED = "ordered"
    STATED = "stated"
    DISPENSED = "dispensed"
    ADMINISTERED = "administered"


class Dose(msgspec.Struct, frozen=True, gc=False):
    """A daily dose as far as it can be read: `per_day` in its own unit; None if it is text, as needed or tapering."""

    per_day: Number | None = None
    numerator: Number | None = None  # dose of one intake
    times: Number | None = None
    period_days: Number | None = None
    unit: str = ""
    text: str = ""
    as_needed: bool = False


class Medication(Fact, frozen=True, kw_only=True):
    """One medication record of any of the four types, as an interval of days.

    `start` is where use surely or possibly began; `end` is None for an open end; `certain_until` is the last day to which the
    record vouches for use (dateAsserted of a statement; None: up to `end`). `single` marks one intake (an administration,
    or an order of one dose) whose covered days a protocol's persistence decides.
    """

    codes: tuple[str, ...]
    strength: Strength
    start: When | None = None
    end: When | None = None
    certain_until: When | None = None
    single: bool = False
    routes: tuple[str, ...] = ()
    route_text: str = ""
    doses: tuple[Dose, ...] = ()
    text: str = ""


class Event(Fact, frozen=True, kw_only=True):
    """A Procedure (or Immunization): something that happened, or did not (`counts` negative)."""

    codes: tuple[str, ...]
    time: When | None = None
    text: str = ""


class Contact(Fact, frozen=True, kw_only=True):
    """An Encounter, or a result that no mapping knows: the patient was seen."""

    time: When | None = None


class Answer(Fact, frozen=True, kw_only=True):
    """What a person said: one item of a QuestionnaireResponse, a Consent, or a row of an answers file.

    `item` is the linkId: a criterion id, or `criterion/item` for an item of a score. `value` is a boolean, or a number
    (a measured score). `questionnaire` is the canonical that was answered; empty for the other two kinds.
    """

    item: str
    value: bool | Number | None
    on: When | None
    by: str = ""
    questionnaire: str = ""
    study: tuple[str, ...] = ()  # a Consent: the studies it names
    expires: When | None = None
    kind: str = "answer"  # answer, questionnaire, consent
    note: str = ""


# Why a sound resource is set aside: it says of nobody that it is theirs.
NO_SUBJECT = "it names no patient"


class Refused(msgspec.Struct, frozen=True):
    """A resource that could not be read. `codes` is None if its codes cannot be told: then it may be anything of its type."""

    reference: str
    type: str
    why: str
    codes: tuple[str, ...] | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one patient. Facts are sorted by reference, so that input order changes nothing."""

    patient: str
    person: Person | None
    results: tuple[Result, ...] = ()
    problems: tuple[Problem, ...] = ()
    medications: tuple[Medication, ...] = ()
    events: tuple[Event, ...] = ()
    contacts: tuple[Contact, ...] = ()
    answers: tuple[Answer, ...] = ()
    refused: tuple[Refused, ...] = ()
    retrieved: tuple[Retrieved, ...] = ()
    base: str | None = None
    time_zone: str = "UTC"
    decimal_comma: bool = False
    identity: bool = False  # another patient's resource stood in this patient's answer
    errors: tuple[str, ...] = ()

    def retrieval(self, resource_type: str) -> Retrieved:
        """How completely that type was read; a type that nobody spoke of was not asked for."""
        for entry in self.retrieved:
            if entry.type == resource_type:
                return entry
        return Retrieved(resource_type, False, "not-asked")


class Need(msgspec.Struct, frozen=True):
    """What a protocol must read: a resource type, its codes (None: all), and how far back (a day; None: all of it).

    `concepts` names what the codes were expanded from: it has the categories and patterns of codes too, which no search lists.
    """

    type: str
    codes: frozenset[str] | None = None
    since: int | None = None
    categories: frozenset[str] = frozenset()
    concepts: frozenset[str] = frozenset()


MEDICATION_TYPES = ("MedicationRequest", "MedicationStatement", "MedicationDispense", "MedicationAdministration")


def merge_needs(needs: Iterable[Need]) -> tuple[Need, ...]:
    """One need a type: codes united, the longest look-back, sorted by type."""
    merged: dict[str, Need] = {}
    for need in needs:
        old = merged.get(need.type)
        if old is None:
            merged[need.type] = need
            continue
        codes = None if old.codes is None or need.codes is None else old.codes | need.codes
        since = None if old.since is None or need.since is None else min(old.since, need.since)
        merged[need.type] = Need(need.type, codes, since, old.categories | need.categories, old.concepts | need.concepts)
    return tuple(merged[name] for name in sorted(merged))
