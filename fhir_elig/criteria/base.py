"""What all kinds of criterion share: the models' base, windows, and the binding of names when a protocol is loaded.

A kind is a frozen pydantic model with `bind` (names and limits resolved once), `needs` and `evaluate`. An evaluation reads
the record and the context only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, WithJsonSchema

from fhir_elig import times
from fhir_elig.concepts import Concepts
from fhir_elig.criteria.context import Branch, Child, Context, Frame
from fhir_elig.criteria.outcome import Outcome
from fhir_elig.errors import Finding
from fhir_elig.quantity import Analyte
from fhir_elig.record import Need
from fhir_elig.times import When
from fhir_elig.verdict import SettledBy
from fhir_elig.windows import Bounds, window_bounds

Path = tuple[str | int, ...]


class Model(BaseModel):
    """Base of everything that a protocol file holds: unknown keys are errors, keys are written in kebab case."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=lambda name: name.rstrip("_").replace("_", "-"),
        populate_by_name=False,
        arbitrary_types_allowed=True,
    )


class Plain(BaseModel):
    """Base of site and answers files: unknown keys are errors, keys are written as the fields are named."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _as_text(value: object) -> object:
    return str(value) if not isinstance(value, (str, bool, dict, list)) and value is not None else value


Text = Annotated[str, BeforeValidator(_as_text), WithJsonSchema({"type": ["string", "number"]})]
SpanText = Annotated[
    str, BeforeValidator(_as_text), Field(pattern=r"^([0-9]{1,5} ?(h|d|wk|mo|a)|all)$", examples=["28 d", "48 h", "6 mo", "all"])
]
Reach = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(pattern=r"^([0-9]{1,5} ?(h|d|wk|mo|a)|all|same-time)$", examples=["90 d", "all", "same-time"]),
]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Binder:
    """Resolves the names in a protocol and gathers every finding, each with its path in the document."""

    def __init__(self, concepts: Concepts, nodes: Mapping[str, Branch], milestones: Iterable[str]) -> None:
        self.concepts = concepts
        self.nodes = nodes
        self.milestones = frozenset(milestones)
        self.findings: list[tuple[Path, Finding]] = []
        self.owner = ""  # the criterion that is being bound: people answer under its id

    def finding(self, path: Path, code: str, why: str, fix: str) -> None:
        self.findings.append((path, Finding(code, "", why, fix)))

    def concept_set(self, names: Sequence[str], path: Path) -> frozenset[str]:
        for index, name in enumerate(names):
            if name not in self.concepts.by_name:
                self.finding((*path, index), "FE0205", f'no concept is named "{name}"', near(name, self.concepts.by_name))
        return frozenset(names) & frozenset(self.concepts.by_name)

    def shown_codes(self, names: Iterable[str]) -> tuple[str, ...]:
        """The first few codes of these concepts, as far as they are known: what to look for where a record is missing."""
        return tuple(sorted(self.concepts.expand(name for name in names if name in self.concepts.by_name))[:8])

    def analyte(self, names: Sequence[str], path: Path) -> Analyte | None:
        """The one analyte that all these known concepts measure; a finding if there is none or more than one."""
        known = [self.concepts.by_name[name].analyte for name in names]
        found = sorted({name for name in known if name})
        if len(found) == 1 and found[0] in self.concepts.analytes:
            return self.concepts.analytes[found[0]]
        why = f"{', '.join(names)} measure {', '.join(found) or 'nothing'}"
        self.finding(path, "FE0205", why, "name concepts of one analyte")
        return None

    def milestone(self, name: str, path: Path) -> None:
        if name not in self.milestones:
            self.finding(path, "FE0209", f'no milestone is named "{name}"', near(name, self.milestones))

    def criterion(self, name: str, path: Path) -> None:
        if name not in self.nodes:
            self.finding(path, "FE0209", f'no criterion or definition is named "{name}"', near(name, self.nodes))


def near(word: str, known: Iterable[str]) -> str:
    """The fix for a mistyped name."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, 3, 0.6)
    return f"did you mean {' or '.join(close)}?" if close else f"use one of: {', '.join(names[:12])}"


def results_of(names: Iterable[str], concepts: Concepts) -> Need:
    """The results of these concepts."""
    wanted = frozenset(names)
    return Need("Observation", concepts.expand(sorted(wanted)), concepts=wanted)


class Kind(Model):
    """One kind of criterion."""

    def bind(self, binder: Binder, path: Path) -> None:
        """Resolve names and limits; called once, when the protocol is loaded."""

    def keep(self, **bound: object) -> None:
        """Remember what `bind` resolved: beside the fields, where reading it costs least."""
        self.__dict__.update(bound)

    def needs(self, concepts: Concepts) -> Iterable[Need]:
        """All that its evaluation looks at: what nobody asks for may be missing from a record, and changes nothing."""
        return ()

    def parts(self) -> Iterable[tuple[Path, Child]]:
        """The nodes inside, with their paths."""
        return ()

    @cached_property
    def children(self) -> tuple[Child, ...]:
        """The nodes inside."""
        return tuple(child for _, child in self.parts())

    def refers(self) -> Iterable[str]:
        """Other criteria whose results this one looks at."""
        return ()

    def evaluate(self, context: Context) -> Outcome:
        raise NotImplementedError


class Window(Model):
    """A stretch of time that hangs on a milestone: `before` it (or all of the past) and, if named, `after` it."""

    milestone: Name = "screening"
    before: SpanText = "all"
    after: SpanText = "0 d"
    default: StrictBool = Field(False, description="The protocol's text names no window; this one is the project's proposal")

    def bind(self, binder: Binder, path: Path) -> None:
        binder.milestone(self.milestone, (*path, "milestone"))

    @cached_property
    def text(self) -> str:
        before = "any time" if self.before == "all" else self.before
        after = "" if self.after == "0 d" else f" to {self.after} after"
        return f"{before} before{after} {self.milestone}"

    @cached_property
    def label(self) -> str:
        """The window as evidence shows it; one that the protocol's text does not name says so."""
        return f"{self.text} (default)" if self.default else self.text

    @cached_property
    def key(self) -> tuple[str, str, str]:
        """What tells it from other windows."""
        return self.milestone, self.before, self.after

    @cached_property
    def pending(self) -> SettledBy:
        """What is waited for where its milestone has no date, or part of it is still to come."""
        return SettledBy(milestone=self.milestone, window=self.text)

    def frame(self, context: Context) -> Frame | None:
        """The window in time; None if its milestone has no date."""
        if self.key not in context.frames:
            context.frames[self.key] = self._frame(context)
        found = context.frames[self.key]
        if found is not None:
            for day in found.edges:
                context.mark(day)
        return found

    def _frame(self, context: Context) -> Frame | None:
        milestone = context.milestone(self.milestone)
        if milestone.when is None:
            return None
        before, after = (None if side == "all" else times.parse_span(side) for side in (self.before, self.after))
        bounds = window_bounds(milestone.when, before, after)
        return Frame(
            bounds=bounds,
            text=self.text,
            high=milestone.when,
            floating=milestone.floating,
            before=before,
            open=_reaches_beyond(bounds, context.as_of),
            edges=() if milestone.floating else _edges(bounds, context.run.time_zone),
            stand_in=milestone.stand_in,
            default=self.default,
        )


def _edges(bounds: Bounds, time_zone: str) -> tuple[int, ...]:
    """The calendar days of a window's ends, and the days after."""
    sides = ((bounds.exact_low, bounds.low_early, bounds.low_late), (bounds.exact_high, bounds.high_early, bounds.high_late))
    ends = ((exact, end) for exact, *both in sides for end in both if end is not None)
    days = {times.day_of(end, time_zone) if exact else end for exact, end in ends}
    return tuple(sorted({*days, *(day + 1 for day in days)}))


def _reaches_beyond(bounds: Bounds, as_of: When) -> bool:
    if bounds.high_late is None:
        return True
    return bounds.high_late > (as_of.end - 1 if bounds.exact_high else as_of.last)
