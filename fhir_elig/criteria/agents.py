"""The agents of an exposure: which drugs, by which routes and at which doses of a day their days count."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from typing import Literal, NamedTuple

from pydantic import Field, StrictBool, StrictInt, model_validator

from fhir_elig.concept_tables import ROUTES
from fhir_elig.concepts import SYSTEMIC_ROUTES
from fhir_elig.criteria.base import Binder, Model, Name, Path, Text, near
from fhir_elig.criteria.limits import SIDES
from fhir_elig.quantity import Interval, parse_number

_DOSE = r"^[0-9]+(\.[0-9]+)? ?m?g(/kg)?/d$"
_TO_MILLIGRAMS = {"mg": 1, "g": 1000}


class DayDose(NamedTuple):
    """Doses of a day in mg: for a kilogram of body weight, or as prednisone, where it says so."""

    interval: Interval
    per_kg: bool = False
    as_prednisone: bool = False


class DoseLimit(Model):
    """The doses of a day that count, in `mg/d`, `g/d`, `mg/kg/d` or `g/kg/d`; `as: prednisone` counts equivalents."""

    at_least: Text | None = Field(None, pattern=_DOSE)
    more_than: Text | None = Field(None, pattern=_DOSE)
    at_most: Text | None = Field(None, pattern=_DOSE)
    less_than: Text | None = Field(None, pattern=_DOSE)
    as_: Literal["prednisone"] | None = Field(None, description="Count what equals the dose, not its own milligrams")

    @model_validator(mode="after")
    def _sound(self) -> DoseLimit:
        found = self._limits()
        if not found or len([upper for upper, *_ in found if upper]) > 1 or len([upper for upper, *_ in found if not upper]) > 1:
            raise ValueError("a dose has a lower limit, an upper one, or one of each")
        if len({per_kg for *_, per_kg in found}) > 1:
            raise ValueError("both limits of a dose are per kilogram, or none is")
        return self

    def _limits(self) -> list[tuple[bool, Interval, bool]]:
        found = []
        for key, (upper, strict, _) in SIDES.items():
            text = getattr(self, key)
            if text is not None:
                number, _, unit = text.replace(" ", "").partition("m" if "m" in text else "g")
                amount = (parse_number(number) or Fraction(0)) * _TO_MILLIGRAMS["mg" if "m" in text else "g"]
                end = Interval(high=amount, high_open=strict) if upper else Interval(low=amount, low_open=strict)
                found.append((upper, end, "/kg" in unit))
        return found

    @cached_property
    def dose(self) -> DayDose:
        """Both limits as one interval."""
        found = self._limits()
        low = next((end for upper, end, _ in found if not upper), Interval())
        high = next((end for upper, end, _ in found if upper), Interval())
        return DayDose(Interval(low.low, high.high, low.low_open, high.high_open), found[0][2], self.as_ == "prednisone")


class Persistence(Model):
    """How many days one intake covers, by route class or for all routes, and where that comes from."""

    days: StrictInt = Field(ge=1)
    route: Name | None = None
    source: str = ""


class Agent(Model):
    """One drug or class of an exposure: which routes count, which doses, how long one intake lasts."""

    concept: str
    systemic: StrictBool = Field(False, description="Only systemic use counts; a route that is not recorded gives possible days")
    routes: tuple[str, ...] = Field((), description="Only these classes of routes count")
    dose: DoseLimit | None = Field(None, description="Only days count on which all that is taken of it lies within these limits")
    prednisone_equivalent_at_most: Text | None = Field(
        None, pattern=r"^[0-9.]+ ?mg/d$", description="Short for a dose with at-most, as prednisone"
    )
    persists: tuple[Persistence, ...] = ()

    @cached_property
    def limit(self) -> DayDose | None:
        """The doses a day whose days count; None if all do."""
        if self.dose is not None:
            return self.dose.dose
        text = self.prednisone_equivalent_at_most
        ceiling = None if text is None else parse_number(text.removesuffix("mg/d").strip())
        return None if ceiling is None else DayDose(Interval(high=ceiling), as_prednisone=True)

    @cached_property
    def wanted(self) -> frozenset[str]:
        """The classes of routes that count; empty where all do."""
        return frozenset(self.routes) or (SYSTEMIC_ROUTES if self.systemic else frozenset())

    def bind(self, binder: Binder, path: Path) -> None:
        """Findings for an unknown concept or route, a ceiling that is no dose, or one that is given twice."""
        binder.concept_set([self.concept], (*path, "concept"))
        text = self.prednisone_equivalent_at_most
        if text is not None and (self.limit is None or self.dose is not None):
            binder.finding(path, "FE0206", f'"{text}" is no daily dose, or one of two', "write one such as 15 mg/d")
        for route in self.routes:
            if route not in ROUTES:
                binder.finding((*path, "routes"), "FE0205", f'no route is named "{route}"', near(route, ROUTES))
