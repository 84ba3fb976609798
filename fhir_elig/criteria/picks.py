"""Which of many results a criterion reads, over times that are intervals.

All results that may be the one are candidates, and a verdict stands only if each of them gives it (verdicts, section 6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from fhir_elig.criteria.candidates import Candidate
from fhir_elig.criteria.context import Frame
from fhir_elig.criteria.outcome import Outcome, unknown
from fhir_elig.quantity import Interval, Reading
from fhir_elig.times import END, When
from fhir_elig.verdict import MET, NOT_MET, UNKNOWN, Reason, all_of, any_of

_ENDLESS = 10**40  # beyond any number that is read


class Pick(StrEnum):
    """Which of many results a criterion reads."""

    LATEST = "latest"
    EARLIEST = "earliest"
    NEAREST = "nearest"
    HIGHEST = "highest"
    LOWEST = "lowest"
    ANY = "any"
    ALL = "all"


def taken(pick: Pick, candidates: Sequence[Candidate], frame: Frame) -> Sequence[Candidate]:
    """The candidates that the pick may mean; for picks by value, and for any and all, every one."""
    if len(candidates) < 2:
        return candidates
    match pick:
        case Pick.LATEST:
            return may_be_latest(candidates)
        case Pick.EARLIEST:
            return may_be_earliest(candidates)
        case Pick.NEAREST:
            return may_be_nearest(candidates, frame)
        case _:
            return candidates


def picked(pick: Pick, chosen: Sequence[Candidate], judge: Callable[[Candidate], Outcome]) -> Outcome:
    """The verdict of what the pick means (see `taken`), or why it cannot be told."""
    if pick in (Pick.ANY, Pick.ALL):
        return _many(pick, chosen, judge)
    if pick in (Pick.HIGHEST, Pick.LOWEST):
        return _extreme(pick, chosen, judge)
    return one_verdict([judge(candidate) for candidate in chosen], chosen)


def _many(pick: Pick, candidates: Sequence[Candidate], judge: Callable[[Candidate], Outcome]) -> Outcome:
    """One that is not surely in the window counts where its verdict would decide alone; else it changes nothing, in or out."""
    neutral = NOT_MET if pick is Pick.ANY else MET
    some_sure = any(c.sure for c in candidates)
    outcomes = []
    for candidate in candidates:
        outcome = judge(candidate)
        if not candidate.sure and not (some_sure and outcome.verdict is neutral):
            outcome = outcome.plus(verdict=UNKNOWN, reason=Reason.IMPRECISE_DATE)
        outcomes.append(outcome)
    verdict = (any_of if pick is Pick.ANY else all_of)([o.verdict for o in outcomes])
    deciding = [o for o in outcomes if o.verdict is verdict]
    further = [o for o in outcomes if o.verdict is UNKNOWN] if verdict is MET else []
    return deciding[0].plus(
        evidence=tuple(e for o in deciding for e in o.evidence),
        when=tuple(w for o in deciding for w in o.when),
        also=tuple(w for o in deciding for w in o.also) + tuple(w for o in further for w in (*o.when, *o.also)),
    )


def _extreme(pick: Pick, candidates: Sequence[Candidate], judge: Callable[[Candidate], Outcome]) -> Outcome:
    """The highest or lowest value: of those surely inside the window, and with each of the others, which it may be.

    What cannot be read may be any value.
    """
    unread = next((c for c in candidates if c.reading.interval is None), None)
    sure = [c for c in candidates if c.sure and c.reading.interval is not None]
    if unread is not None and not sure:
        return judge(unread)
    others = [c if c.reading.interval is not None else _any_value(c) for c in candidates if c not in sure]
    groups = ([sure] if sure else []) + [[*sure, other] for other in others]
    found = one_verdict([judge(_top(group, pick is Pick.HIGHEST)) for group in groups], candidates)
    return found if unread is None or found.verdict is not UNKNOWN else judge(unread)


def _any_value(candidate: Candidate) -> Candidate:
    return msgspec.structs.replace(candidate, reading=Reading(interval=Interval()))


def _top(candidates: Sequence[Candidate], highest: bool) -> Candidate:
    """One candidate for the highest (lowest) of several: its interval holds what that one may be."""
    sign = 1 if highest else -1
    turned = [_turned(c.reading.interval, sign) for c in candidates if c.reading.interval is not None]
    # Of two lower ends that are the same the open one holds: one value above it is enough.
    low = max(((i.low, i.low_open) for i in turned if i.low is not None), default=None)
    high = None if any(i.high is None for i in turned) else max((i.high, not i.high_open) for i in turned if i.high is not None)
    most = Interval(
        None if low is None else low[0],
        None if high is None else high[0],
        low is not None and low[1],
        high is not None and not high[1],
    )
    best = max(zip(turned, candidates, strict=True), key=lambda pair: (pair[0].low or -_ENDLESS, pair[1].result.reference))
    return msgspec.structs.replace(best[1], reading=Reading(interval=_turned(most, sign)))


def _turned(value: Interval, sign: int) -> Interval:
    """The interval, or its mirror image at zero."""
    if sign == 1:
        return value
    low, high = (None if end is None else -end for end in (value.high, value.low))
    return Interval(low, high, value.high_open, value.low_open)


def may_be_nearest(candidates: Sequence[Candidate], frame: Frame) -> list[Candidate]:
    """Those that no other, surely inside the window, surely lies nearer to the milestone."""
    goal = frame.high
    if all(c.time is None or c.time.start < goal.end for c in candidates):
        return may_be_latest(candidates)  # all before it: whatever its hour, the later one is the nearer
    if all(c.time is not None and c.time.end > goal.start for c in candidates):
        return may_be_earliest(candidates)
    spans = [(c, _distance(c.time, goal)) for c in candidates]
    nearest = min((far for c, (_, far) in spans if c.sure), default=None)
    return [c for c, (near, _) in spans if nearest is None or near <= nearest]


def _distance(when: When | None, goal: When) -> tuple[int, int]:
    """How near and how far a time may lie from another, in microseconds."""
    if when is None:
        return 0, END
    return max(0, when.start - goal.end, goal.start - when.end), max(abs(when.end - goal.start), abs(goal.end - when.start))


def may_be_latest(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that no other, surely inside the window, surely follows."""
    starts = [c.time.start for c in candidates if c.sure and c.time is not None]
    newest = max(starts, default=None)
    return [c for c in candidates if newest is None or c.time is None or c.time.end > newest]


def may_be_earliest(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that no other, surely inside the window, surely precedes."""
    ends = [c.time.end for c in candidates if c.sure and c.time is not None]
    oldest = min(ends, default=None)
    return [c for c in candidates if oldest is None or c.time is None or c.time.start < oldest]


def one_verdict(outcomes: Sequence[Outcome], candidates: Sequence[Candidate]) -> Outcome:
    """The verdict that all candidates give; else why it cannot be told."""
    first = outcomes[0]
    some_sure = any(c.sure for c in candidates)
    whens, also = tuple(w for o in outcomes for w in o.when), tuple(w for o in outcomes for w in o.also)
    settled = first.verdict is not UNKNOWN and some_sure and all(o.verdict is first.verdict for o in outcomes)
    if settled and len(outcomes) == 1:
        return first
    evidence = tuple(dict.fromkeys(e for o in outcomes for e in o.evidence))  # what agrees is evidence too
    if settled:
        return first.plus(evidence=evidence, when=whens, also=also, either=True)
    unread = next((o for o in outcomes if o.verdict is UNKNOWN), None)
    if unread is not None and (some_sure or len(outcomes) == 1 and candidates[0].sure):
        return unread.plus(evidence=evidence, when=whens, also=also, either=True)
    reason = Reason.IMPRECISE_DATE if not some_sure or not _one_instant(candidates) else Reason.CONFLICTING
    return unknown(reason, evidence=evidence, when=whens, also=also, either=True)


def _one_instant(candidates: Sequence[Candidate]) -> bool:
    spans = {(c.time.start, c.time.end) if c.time else None for c in candidates}
    return len(spans) == 1
