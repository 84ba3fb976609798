"""Derived values: the candidates that a named formula gives, and the findings on what a protocol says of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from pydantic import Field

from fhir_elig.concepts import Concepts
from fhir_elig.criteria.base import Binder, Model, Path, near
from fhir_elig.criteria.candidates import Candidate, Found
from fhir_elig.criteria.context import Context, Frame
from fhir_elig.criteria.formula import SKIP, Formula
from fhir_elig.criteria.formulary import FORMULAS
from fhir_elig.criteria.nearest import Input, analyte_of as analyte_of_input
from fhir_elig.criteria.select import gather, interpret
from fhir_elig.quantity import Analyte, Interval, Reading
from fhir_elig.record import Result
from fhir_elig.verdict import Reason, SetAside
from fhir_elig.windows import INSIDE, PARTLY

__all__ = ["FORMULAS", "Derivation", "Input", "analyte_of", "bind", "candidates"]


class Derivation(Model):
    """A named formula and where its inputs come from; inputs that are not named come from the formula's own concepts."""

    formula: str
    inputs: dict[str, Input] = Field(default_factory=dict)

    @cached_property
    def sources(self) -> Mapping[str, Input]:
        """Where each input comes from; empty where there is no such formula."""
        return FORMULAS[self.formula].sources(self.inputs) if self.formula in FORMULAS else {}

    @cached_property
    def concepts(self) -> frozenset[str]:
        """All concepts that it reads."""
        return frozenset(concept for source in self.sources.values() for concept in source.concepts)

    @cached_property
    def supporting(self) -> frozenset[str]:
        """All concepts that it lists and never uses."""
        return frozenset(concept for source in self.sources.values() for concept in source.supporting)


def candidates(derivation: Derivation, frame: Frame, context: Context) -> Found:
    """One candidate for each result of the formula's first input in the window."""
    formula, sources = FORMULAS[derivation.formula], derivation.sources
    first = sources[formula.inputs[0]]
    found = gather(first.concepts, frame, context, lambda result: _made(formula, sources, result, frame, context))
    found.candidates = [candidate for candidate in found.candidates if candidate.reading is not SKIP]
    for concept in (name for source in sources.values() for name in source.supporting):
        for result in context.facts.of((concept,)):
            if context.position(result.time, frame) in (INSIDE, PARTLY):
                found.aside.append(SetAside(result.reference, "supporting only"))
    return found


def _made(formula: Formula, sources: Mapping[str, Input], result: Result, frame: Frame, context: Context) -> Candidate:
    reading = interpret(result, analyte_of_input(sources[formula.inputs[0]], result, context), context)
    made = formula.build(sources, result, reading, frame, context)
    if made is None:
        return Candidate(result=result, time=result.time, reading=SKIP, evidence=())
    interval = made.reading.interval
    analyte = context.concepts.analytes[formula.analyte]
    if interval is not None and not _plausible(interval, analyte):
        made.reading = Reading(reason=Reason.IMPLAUSIBLE)
    return made


def _plausible(value: Interval, analyte: Analyte) -> bool:
    """Whether its ends are plausible; 0 below a higher end is where the value cannot fall further, not one that was found."""
    low = None if value.low == 0 != value.high else value.low
    ends = [end for end in (low, value.high) if end is not None]
    return not analyte.plausible or all(any(end in interval for interval in analyte.plausible) for end in ends)


def analyte_of(name: str, concepts: Concepts) -> Analyte | None:
    formula = FORMULAS.get(name)
    return None if formula is None else concepts.analytes.get(formula.analyte)


def bind(derivation: Derivation, binder: Binder, path: Path) -> None:
    """Findings for an unknown formula or input, and for concepts that no analyte ties to a unit."""
    name, inputs = derivation.formula, derivation.inputs
    formula = FORMULAS.get(name)
    if formula is None:
        binder.finding((*path, "formula"), "FE0209", f'no formula is named "{name}"', near(name, FORMULAS))
        return
    for key in formula.inputs:
        if key not in inputs and key not in formula.concepts:
            binder.finding(
                (*path, "inputs"), "FE0204", f"{name} needs the input {key}", f"name its concepts under inputs > {key}"
            )
    for key, source in inputs.items():
        if key not in formula.inputs:
            binder.finding((*path, "inputs", key), "FE0209", f'{name} has no input "{key}"', near(key, formula.inputs))
        known = binder.concept_set(source.concepts, (*path, "inputs", key, "concepts"))
        usual = [name for name in formula.concepts.get(key, ()) if name in binder.concepts.by_name][:1]
        for concept in sorted(known):
            binder.analyte([concept, *usual], (*path, "inputs", key, "concepts"))
        binder.concept_set(source.supporting, (*path, "inputs", key, "supporting"))
    if name == "ratio":
        _comparable(inputs, binder, path)


def _comparable(inputs: Mapping[str, Input], binder: Binder, path: Path) -> None:
    """A ratio is a pure number only if both its sides are counted in one unit."""
    known = binder.concepts
    names = [known.by_name[c].analyte for source in inputs.values() for c in source.concepts if c in known.by_name]
    units = sorted({known.analytes[name].canonical for name in names if name in known.analytes})
    if len(units) > 1:
        binder.finding((*path, "inputs"), "FE0206", f"its sides are counted in {' and '.join(units)}", "divide what has one unit")
