"""Who the patient is: age in completed years at a milestone, sex."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cached_property

from pydantic import Field, model_validator

from fhir_elig import times
from fhir_elig.concepts import Concepts
from fhir_elig.criteria.base import Binder, Kind, Name, Path, Text
from fhir_elig.criteria.context import Context
from fhir_elig.criteria.outcome import Outcome, flaw_reason, reason_of, unknown
from fhir_elig.quantity import Interval, compare
from fhir_elig.record import Need, Person
from fhir_elig.times import When
from fhir_elig.verdict import MET, NOT_MET, Evidence, Reason, SettledBy

OLDEST = 120  # years; a birth date further back is not believed
AgeText = Text


class Age(Kind):
    """Age in completed years (`18 a`) at a milestone; from the birthday itself to the day before the next one."""

    at_least: AgeText | None = Field(None, pattern=r"^[0-9]{1,3} ?a$")
    at_most: AgeText | None = Field(None, pattern=r"^[0-9]{1,3} ?a$")
    at: Name = "screening"

    @model_validator(mode="after")
    def _some_limit(self) -> Age:
        if self.at_least is None and self.at_most is None:
            raise ValueError("name at-least, at-most or both")
        low, high = self._years
        if low is not None and high is not None and low > high:
            raise ValueError("at-least lies above at-most: nobody can meet it")
        return self

    @cached_property
    def _years(self) -> tuple[int | None, int | None]:
        low, high = (None if text is None else int(text.rstrip("a ")) for text in (self.at_least, self.at_most))
        return low, high

    @cached_property
    def _limit(self) -> Interval:
        low, high = (None if years is None else Fraction(years) for years in self._years)
        return Interval(low, high)

    @cached_property
    def _settled(self) -> SettledBy:
        return SettledBy(resource="Patient", window=f"birthDate, for the age at {self.at}")

    def bind(self, binder: Binder, path: Path) -> None:
        binder.milestone(self.at, (*path, "at"))

    def needs(self, concepts: Concepts) -> Iterable[Need]:
        yield Need("Patient")

    @cached_property
    def limit_text(self) -> str:
        low, high = self._years
        return " and ".join(f"{sign} {years} a" for sign, years in ((">=", low), ("<=", high)) if years is not None)

    def evaluate(self, context: Context) -> Outcome:
        person = context.record.person
        milestone = context.milestone(self.at)
        if milestone.when is None:
            return unknown(Reason.PENDING_EVENT, settled_by=SettledBy(milestone=self.at, window=f"age at {self.at}"))
        if person is None or person.born is None:
            return unknown(Reason.NOT_FOUND, settled_by=self._settled)
        flaw = person_flaw(person)
        if flaw is not None:
            return unknown(flaw, settled_by=self._settled)
        on = milestone.when
        low, high = age_on(person.born, on)
        context.mark_around(person.born)
        at_least, at_most = self._years
        if milestone.floating:
            _mark_birthdays(person.born, (at_least, None if at_most is None else at_most + 1, OLDEST + 1), context)
        if high < 0 or low > OLDEST or person.born.first > context.as_of.last:
            return unknown(Reason.IMPLAUSIBLE, evidence=(self._evidence(person, low, high),), settled_by=self._settled)
        verdict = compare(Interval(Fraction(low), Fraction(high)), self._limit)
        return Outcome(
            verdict=verdict,
            reason=reason_of(verdict, Reason.IMPRECISE_DATE),
            evidence=(self._evidence(person, low, high),),
            settled_by=self._settled,
            provisional=bool(milestone.stand_in),
        )

    def _evidence(self, person: Person, low: int, high: int) -> Evidence:
        compared = f"{low} a" if low == high else f"{low} to {high} a"
        return Evidence(
            reference=person.reference,
            version=person.version,
            received=person.born_text,
            compared=compared,
            limit=self.limit_text,
            time=person.born_text,
            note="birthDate; completed years",
        )


def _mark_birthdays(born: When, ages: Iterable[int | None], context: Context) -> None:
    """The days on which someone born then reaches one of these ages."""
    for years in ages:
        if years is not None:
            for day in {born.first, born.last}:
                context.mark(times.birthday(day, years))


def age_on(born: When, on: When) -> tuple[int, int]:
    """The completed years that someone born then may have on that day, youngest and oldest."""
    youngest = times.completed_years(born.last, on.first)
    exact = born.first == born.last and on.first == on.last
    return youngest, youngest if exact else times.completed_years(born.first, on.last)


class Sex(Kind):
    """Sex, from the first of the named elements that the Patient has: `birth`, `gender`, `clinical`."""

    is_: str = Field(pattern="^(female|male)$")
    by: tuple[str, ...] = ("birth", "gender")

    def needs(self, concepts: Concepts) -> Iterable[Need]:
        yield Need("Patient")

    def evaluate(self, context: Context) -> Outcome:
        person = context.record.person
        element, value = first_sex(person, self.by)
        settled = SettledBy(resource="Patient", window="sex")
        evidence: tuple[Evidence, ...] = ()
        if person is not None and value:
            evidence = (
                Evidence(
                    person.reference,
                    person.version,
                    value,
                    value,
                    self.is_,
                    "",
                    f"{element} sex" if element != "gender" else "gender",
                ),
            )
        flaw = person_flaw(person)
        if flaw is not None:
            return unknown(flaw, evidence=evidence, settled_by=settled)
        if value not in ("female", "male"):
            return unknown(Reason.NOT_FOUND, evidence=evidence, settled_by=settled)
        met = value == self.is_
        return Outcome(verdict=MET if met else NOT_MET, reason=Reason.PRESENT if met else Reason.ABSENT, evidence=evidence)


def person_flaw(person: Person | None) -> Reason | None:
    """Why nothing may be read from the Patient; of two copies that differ only what both say is left, so that is no reason."""
    reason = flaw_reason(person) if person is not None else None
    return None if reason is Reason.CONFLICTING else reason


def first_sex(person: Person | None, order: Iterable[str]) -> tuple[str, str]:
    """The first element in that order that says a sex, and what it says."""
    if person is not None:
        said = {"clinical": person.clinical_sex, "birth": person.birth_sex, "gender": person.gender}
        for element in order:
            if said[element]:
                return element, said[element]
    return "", ""


def sexes_for_ranges(context: Context) -> frozenset[str]:
    """The sexes that formulas and reference ranges must allow for: one, or both where the record says none or two.

    The parameter for clinical use stands alone; birth sex and gender must agree.
    """
    person = context.record.person
    both = frozenset({"female", "male"})
    if person is None:
        return both
    if person.clinical_sex:
        return frozenset({person.clinical_sex}) & both or both
    said = {sex for sex in (person.birth_sex, person.gender) if sex}
    return frozenset(said) if len(said) == 1 and said <= both else both
