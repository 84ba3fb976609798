"""The change between two results: absolute or relative, the latest one against a baseline, always of one kind.

Kinds are tried in order (`litres both times, else % predicted both times`); a result belongs to the first kind that can read
its unit, whatever its code says. The baseline is the oldest value of the span before the latest one; where that one gives no
change but a later one does, the text does not decide: `unknown(ambiguous-protocol)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cached_property

import msgspec
from pydantic import Field, PrivateAttr, StrictBool, model_validator

from fhir_elig import derive, times, units
from fhir_elig.concepts import Concepts
from fhir_elig.criteria.base import Binder, Kind, Model, Name, Path, SpanText, Text, Window, near, results_of
from fhir_elig.criteria.candidates import Candidate, Found
from fhir_elig.criteria.context import Context, Frame
from fhir_elig.criteria.limits import show
from fhir_elig.criteria.outcome import Outcome, reason_of, unknown
from fhir_elig.criteria.picks import may_be_earliest, may_be_latest, one_verdict
from fhir_elig.criteria.select import evidence_of, gather, interpret, mark_leaving, newest, superseded
from fhir_elig.quantity import Analyte, Interval, Quantity, compare, parse_number
from fhir_elig.record import Counts, Need, Result
from fhir_elig.times import When
from fhir_elig.verdict import NOT_MET, UNKNOWN, Evidence, Reason, SettledBy
from fhir_elig.windows import BEFORE, INSIDE, PARTLY, Place


class Series(Model):
    """One kind of value: concepts that may carry it, and the analyte whose units tell it."""

    analyte: Name
    concepts: tuple[str, ...] = Field(min_length=1)


class Change(Kind):
    """How much a value rose or fell between a baseline and the latest result."""

    kinds: tuple[Series, ...] = Field(min_length=1)
    direction: str = Field(pattern="^(increase|decrease)$")
    relative: StrictBool = Field(False, description="In % of the baseline; else in the analyte's unit")
    at_least: Text | None = None
    more_than: Text | None = None
    window: Window = Field(description="Where the latest result must lie")
    baseline: SpanText = Field(description="How far before the latest result the baseline may lie")
    measurable: StrictBool = Field(False, description="People may answer with a measured value")

    _criterion: str = PrivateAttr(default="")
    _limit: Interval = PrivateAttr(default=Interval())
    _limit_text: str = PrivateAttr(default="")
    _analytes: tuple[Analyte, ...] = PrivateAttr(default=())
    _settled: SettledBy = PrivateAttr(default=SettledBy())

    @model_validator(mode="after")
    def _one_limit(self) -> Change:
        if (self.at_least is None) == (self.more_than is None):
            raise ValueError("name at-least or more-than")
        return self

    def bind(self, binder: Binder, path: Path) -> None:
        self.keep(_criterion=binder.owner)
        if self.baseline == "all":
            binder.finding((*path, "baseline"), "FE0210", "all of time is no span", "write one such as 6 mo")
        self.window.bind(binder, (*path, "window"))
        analytes = []
        for index, series in enumerate(self.kinds):
            binder.concept_set(series.concepts, (*path, "kinds", index, "concepts"))
            analyte = binder.concepts.analytes.get(series.analyte)
            if analyte is None:
                where = (*path, "kinds", index, "analyte")
                binder.finding(
                    where, "FE0205", f'no analyte is named "{series.analyte}"', near(series.analyte, binder.concepts.analytes)
                )
            else:
                analytes.append(analyte)
        settled = SettledBy(
            resource="Observation",
            codes=binder.shown_codes(self._names),
            window=f"two results, the latest {self.window.text}, the other up to {self.baseline} before it",
        )
        self.keep(_analytes=tuple(analytes), _settled=settled)
        self._bind_limit(binder, path)

    def _bind_limit(self, binder: Binder, path: Path) -> None:
        key = "at-least" if self.at_least is not None else "more-than"
        text = self.at_least if self.at_least is not None else self.more_than or ""
        amount = self._amount(text)
        if amount is None:
            unit = "%" if self.relative else self._analytes[0].canonical if self._analytes else "a unit"
            binder.finding((*path, key), "FE0206", f'"{text}" is no such change', f"write a number in {unit}")
            return
        strict = self.at_least is None
        self.keep(_limit=Interval(low=amount, low_open=strict), _limit_text=f"{'>' if strict else '>='} {text}")

    def _amount(self, text: str) -> Fraction | None:
        if self.relative:
            return parse_number(text.rstrip("% ")) if text.endswith("%") else None
        if not self._analytes:
            return Fraction(0)
        bare = parse_number(text)
        if bare is not None and self._analytes[0].unitless:
            return bare
        amount = units.parse_amount(text, self._analytes[0])
        return amount if isinstance(amount, Fraction) else None

    @cached_property
    def _reads(self) -> tuple[object, ...]:
        """What its results hang on: the same for criteria that read the same values in the same window."""
        kinds = tuple((series.analyte, series.concepts) for series in self.kinds)
        return kinds, self.window.key, self._criterion if self.measurable else None

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(name for series in self.kinds for name in series.concepts)

    def needs(self, concepts: Concepts) -> Iterable[Need]:
        answers = (Need("QuestionnaireResponse"),) if self.measurable else ()
        return (results_of(self._names, concepts), *answers)

    def evaluate(self, context: Context) -> Outcome:
        frame = self.window.frame(context)
        if frame is None:
            return unknown(Reason.PENDING_EVENT, settled_by=self.window.pending)
        outcome = context.incomplete(("Observation",), self._names) or self._by_kind(frame, context)
        if frame.open and outcome.verdict is not NOT_MET:
            return outcome.plus(verdict=UNKNOWN, reason=Reason.PENDING_EVENT, settled_by=self.window.pending)
        return outcome.plus(settled_by=self._settled, provisional=bool(frame.stand_in))

    def _by_kind(self, frame: Frame, context: Context) -> Outcome:
        series = context.series.get(self._reads)
        if series is None:
            series = context.series[self._reads] = self._series(frame, context)
        for found in series:
            mark_leaving((*found.candidates, *found.not_final), frame, context)
        for found, analyte in zip(series, self._analytes, strict=True):
            paired = self._pair(found, analyte, context)
            if paired is not None:
                return paired
        aside = tuple(dict.fromkeys(s for found in series for s in found.aside))
        seen = [c for found in series for c in found.candidates]
        evidence = tuple(e for c in seen for e in c.evidence)
        held = [found for found in series if found.candidates]
        if len(held) > 1:
            notes = ("the results are of different kinds: never held against each other",)
            return unknown(Reason.CONFLICTING, evidence=evidence, set_aside=aside, notes=notes)
        if seen:
            return unknown(Reason.NOT_FOUND, evidence=evidence, set_aside=aside, notes=("one value only",))
        old = [result for found in series for result in found.too_old]
        if old:
            evidence = (evidence_of(newest(old), note=f"older than {frame.text}"),)
            return unknown(Reason.TOO_OLD, evidence=evidence, set_aside=aside)
        reason = Reason.NOT_FINAL if any(found.not_final for found in series) else Reason.NOT_FOUND
        return unknown(reason, set_aside=aside)

    def _series(self, frame: Frame, context: Context) -> list[Found]:
        """The results in the window by kind: each belongs to the first kind whose analyte reads its unit."""
        every = [
            self._gathered(series, analyte, frame, context) for series, analyte in zip(self.kinds, self._analytes, strict=True)
        ]
        home: dict[int, int] = {}
        for readable in (True, False):  # what no kind can read stays with the first that names its concept
            for index, found in enumerate(every):
                for candidate in found.candidates:
                    if not readable or candidate.reading.reason is not Reason.UNIT_UNKNOWN:
                        home.setdefault(id(candidate.result), index)
        for index, found in enumerate(every):
            found.candidates = [c for c in found.candidates if home[id(c.result)] == index]
        return every

    def _gathered(self, series: Series, analyte: Analyte, frame: Frame, context: Context) -> Found:
        def make(result: Result) -> Candidate:
            return self._candidate(result, analyte, context)

        found = gather(series.concepts, frame, context, make)
        for result in self._stated(context) if analyte is self._analytes[0] else ():
            place = context.position(result.time, frame)
            if place in (INSIDE, PARTLY):
                candidate = make(result)
                candidate.sure = place is INSIDE
                found.candidates.append(candidate)
            elif place is BEFORE:
                found.too_old.append(result)
        return found

    def _candidate(self, result: Result, analyte: Analyte, context: Context) -> Candidate:
        reading = interpret(result, analyte, context)
        return Candidate(result=result, time=result.time, reading=reading, evidence=(evidence_of(result),))

    def _stated(self, context: Context) -> list[Result]:
        """Measured values among people's answers to this criterion."""
        if not self.measurable:
            return []
        return [
            Result(
                reference=answer.reference,
                version=answer.version,
                codes=(),
                value=Quantity(answer.value),
                time=answer.on,
                flaws=answer.flaws,
                notes=(answer.by,),
            )
            for answer in context.facts.answers.get(self._criterion, ())
            if answer.value is not None and not isinstance(answer.value, bool) and answer.counts is Counts.YES
        ]

    def _pair(self, found: Found, analyte: Analyte, context: Context) -> Outcome | None:
        """The verdict of one kind, or None if it has no two values of which the latest lies in the window."""
        latest = may_be_latest(found.candidates)
        if not latest:
            return None
        outcomes = [self._against(new, found, analyte, context) for new in latest]
        if any(outcome is None for outcome in outcomes):
            return None
        outcome = one_verdict([o for o in outcomes if o is not None], latest)
        return outcome.plus(set_aside=superseded(found, latest) if outcome.verdict is UNKNOWN else tuple(found.aside))

    def _against(self, new: Candidate, found: Found, analyte: Analyte, context: Context) -> Outcome | None:
        span = times.parse_span(self.baseline)
        if new.time is None or span is None:
            return unknown(Reason.IMPRECISE_DATE, evidence=new.evidence)
        since = span.shift(new.time.first, -1), span.shift(new.time.last, -1)
        values: tuple[Candidate | Result, ...] = (*found.candidates, *found.too_old)
        placed = [(one, _lies(one.time, new.time, since)) for one in values]
        baselines = self._baselines([pair for pair in placed if pair[1] is not BEFORE], new, analyte, context)
        if not baselines:
            return None
        oldest = may_be_earliest(baselines)
        outcome = one_verdict([self._compare(old, new, analyte, context) for old in oldest], oldest)
        if outcome.verdict is not NOT_MET:
            return outcome
        compared = (self._compare(old, new, analyte, context) for old in baselines)
        better = next((other for other in compared if other.verdict is not NOT_MET), None)
        if better is None:
            return outcome
        if better.verdict is UNKNOWN:
            return better
        notes = ("from the oldest value no such change, from a later one there is",)
        return unknown(Reason.AMBIGUOUS_PROTOCOL, evidence=(*outcome.evidence, *better.evidence), notes=notes)

    def _baselines(
        self, placed: list[tuple[Candidate | Result, Place]], new: Candidate, analyte: Analyte, context: Context
    ) -> list[Candidate]:
        """All values that may serve as a baseline: those in the window, and older ones, which are read only here."""
        found = []
        for one, place in placed:
            old = one if isinstance(one, Candidate) else self._candidate(one, analyte, context)
            readable = old.reading.interval is not None or old.reading.reason is not Reason.UNIT_UNKNOWN
            if readable and old.result is not new.result:
                found.append(msgspec.structs.replace(old, sure=place is INSIDE))
        return found

    def _compare(self, old: Candidate, new: Candidate, analyte: Analyte, context: Context) -> Outcome:
        when = tuple(c.time for c in (old, new) if c.time is not None)
        for candidate in (new, old):
            if candidate.reading.interval is None:
                reason = candidate.reading.reason or Reason.NOT_NUMERIC
                return unknown(reason, evidence=(*old.evidence, *new.evidence), when=when)
        assert old.reading.interval is not None and new.reading.interval is not None
        if old.result.method and new.result.method and old.result.method != new.result.method:
            return unknown(Reason.CONFLICTING, evidence=(*old.evidence, *new.evidence), when=when, notes=("different methods",))
        change = derive.change(
            old.reading.interval, new.reading.interval, relative=self.relative, decrease=self.direction == "decrease"
        )
        verdict = compare(change, self._limit)
        evidence = self._evidence(old, new, change, analyte, context)
        return Outcome(verdict=verdict, reason=reason_of(verdict, Reason.COMPARATOR), evidence=evidence, when=when)

    def _evidence(
        self, old: Candidate, new: Candidate, change: Interval, analyte: Analyte, context: Context
    ) -> tuple[Evidence, ...]:
        if context.quiet:
            return ()
        unit = "%" if self.relative else "" if analyte.unitless else analyte.canonical
        limit = self._limit.low
        shown = units.display(change.low, unit, limit) if change.is_point and change.low is not None else show(change, unit)
        what = "fall" if self.direction == "decrease" else "rise"
        note = f"{what} relative to the baseline" if self.relative else f"{what} from the baseline"
        first = msgspec.structs.replace(old.evidence[0], note="baseline", window=f"{self.baseline} before the latest")
        last = msgspec.structs.replace(
            new.evidence[0], compared=shown, limit=self._limit_text, note=note, window=self.window.label
        )
        return first, last


def _lies(when: When | None, new: When, since: tuple[int, int]) -> Place:
    """Where a value lies in the span before the latest one; what may be later is no baseline for sure.

    `since` holds the days on which that span begins, as far back as it may be, and surely.
    """
    if when is None:
        return PARTLY
    perhaps, surely = since
    if when.start >= new.end or when.last < perhaps or when == new:
        return BEFORE  # later than the latest, of its very instant, or too far back: no baseline
    return INSIDE if when.before(new) and when.first >= surely else PARTLY
