"""Qualitative results: negative or positive by code, by a whole text, by interpretation; numbers against their own range."""

from __future__ import annotations

from fhir_elig.concepts import folded
from fhir_elig.criteria.candidates import Candidate
from fhir_elig.criteria.context import Context
from fhir_elig.criteria.normal import limit_of_normal
from fhir_elig.quantity import Interval, compare
from fhir_elig.record import Coded, Flag, Result
from fhir_elig.verdict import MET


def qualitative(result: Result, context: Context) -> str | None:
    """`negative` or `positive` as a result says it by code or by its whole text; `conflicting`
    if it says both, None if it says neither clearly. Beside a code only words that the tables know say something."""
    value = result.value
    if isinstance(value, Flag):
        return "positive" if value.value else "negative"
    if not isinstance(value, Coded):
        return None
    said = {context.concepts.answers[code] for code in value.codes if code in context.concepts.answers}
    word = context.concepts.answers.get(folded(value.text)) if value.text else None
    if word is not None or (value.text and not said):
        said.add(word or "unclear")
    if {"negative", "positive"} <= said:
        return "conflicting"
    return next(iter(said)) if len(said) == 1 and said <= {"negative", "positive"} else None


def unclear_by_code(result: Result, context: Context) -> bool:
    """Whether a code of its value says that the test was neither negative nor positive, whatever number stands beside it."""
    codes = result.value.codes if isinstance(result.value, Coded) else ()
    return any(context.concepts.answers.get(code) == "unclear" for code in codes)


def interpreted(result: Result, context: Context) -> set[str]:
    """What a result's interpretation codes say: `negative`, `positive`, both or neither (normal and abnormal are neither)."""
    return {context.concepts.answers.get(code, "") for code in result.interpretation} & {"negative", "positive"}


def above_own_range(candidate: Candidate, context: Context) -> bool:
    """Whether a number may lie above the upper limit of its own reference range."""
    names = {name for code in candidate.result.codes for name in context.concepts.names_of(code)[0]}
    analyte = context.concepts.analytes[context.concepts.by_name[min(names)].analyte]  # one for all, or it was not read
    normal, interval = limit_of_normal("ULN", candidate, analyte, context), candidate.reading.interval
    if interval is None or normal is None or not normal.known or normal.interval.low is None:
        return False
    return compare(interval, Interval(high=normal.interval.low)) is not MET
