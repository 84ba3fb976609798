"""Windows that hang on the results which another criterion used: whether an event lies before one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from fhir_elig import times
from fhir_elig.criteria.base import Window
from fhir_elig.criteria.context import Branch, Context, Frame
from fhir_elig.criteria.outcome import Outcome, unknown
from fhir_elig.times import When
from fhir_elig.verdict import MET, UNKNOWN, Reason
from fhir_elig.windows import window_bounds

Survey = Callable[[Frame], Outcome]


def before_used(name: str, before: str, frame: Frame, context: Context, survey: Survey) -> Outcome | None:
    """What a survey says of the time `before` each result that a criterion used; None where there is nothing.

    Where none was used, or perhaps none, of the time before any that it could use.
    """
    used = context.nodes[name].outcome(context)
    when, also = used.when, tuple(context.as_of.until() if w == times.ALWAYS else w for w in used.also)
    found = [survey(_around(w, name, before, False, context)) for w in (*when, *also)]
    known = bool(found)
    if used.verdict is UNKNOWN or not known:
        ever, floating = _any_time(context.nodes[name], frame, context)
        found.append(survey(_around(ever, name, before, floating, context)))
    worst = next((o for o in found if o.verdict is MET), None) or next((o for o in found if o.verdict is UNKNOWN), None)
    if worst is None:
        return None
    if used.verdict is UNKNOWN and (worst.verdict is MET or not known):
        return unknown(used.reason, evidence=worst.evidence, notes=(f"the result of {name} is not known",))
    if worst.verdict is MET and not _surely(found[: len(when)], found[len(when) :], used.either):
        return unknown(Reason.IMPRECISE_DATE, evidence=worst.evidence, notes=(f"which result {name} used is not known",))
    return worst.within(_text(before, name))


def _any_time(node: Branch, frame: Frame, context: Context) -> tuple[When, bool]:
    """When a criterion could have a result, and whether that moves on with the day of the run."""
    frames = [one for window in _windows(node) for one in [window.frame(context)] if one is not None]
    low = min((one.bounds.days(context.run.time_zone)[1][0] for one in frames), default=times.FIRST_DAY)
    return times.days(low, max(low, frame.high.last), context.run.time_zone), any(one.floating for one in frames)


def _windows(node: Branch) -> Iterator[Window]:
    """The windows of a criterion and of the nodes in it."""
    own = getattr(node.kind, "window", None)
    if isinstance(own, Window):
        yield own
    for _, child in node.inner():
        if not isinstance(child, str):
            yield from _windows(child)


def _surely(used: Sequence[Outcome], perhaps: Sequence[Outcome], either: bool) -> bool:
    """Whether it is met before a result that was surely used: before each, where nobody knows which of them was."""
    if either:
        return all(o.verdict is MET for o in (*used, *perhaps))
    return any(o.verdict is MET for o in used)


def _around(when: When, name: str, before: str, floating: bool, context: Context) -> Frame:
    span = times.parse_span(before)
    bounds = window_bounds(when, span, times.Span(0, times.Unit.DAY))
    return Frame(bounds=bounds, text=_text(before, name), high=when, floating=floating, before=span, open=False)


def _text(before: str, name: str) -> str:
    return f"{before} before the result of {name}"
