"""The facts of a chart in plain words, for the pages of the specification.

`told` puts one fact into words, `aside` what a run says beside the chart. Whatever has no words is refused, so that a page
never leaves out what decides a case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_elig.code_systems import shipped
from fhir_elig.quantity import Interval, Quantity, Range
from fhir_elig.record import (
    Answer,
    Coded,
    Contact,
    Counts,
    Dose,
    Event,
    Fact,
    Flag,
    Flaw,
    Medication,
    Moment,
    Odd,
    Person,
    Problem,
    ReferenceRange,
    Refused,
    Result,
    Strength,
)
from fhir_elig.times import When
from tests.spec.table import AS_OF, LOCAL, code_of, concepts

FLAWS = {
    Flaw.MODIFIER: "with a modifier that is not understood",
    Flaw.RESTRICTED: "restricted by a security label",
    Flaw.SUBSETTED: "sent in part only",
    Flaw.CONFLICT: "sent in one version with two contents",
    Flaw.IDENTITY: "of a patient who cannot be told",
}
STRENGTHS = {
    Strength.ORDERED: "ordered",
    Strength.STATED: "use stated",
    Strength.DISPENSED: "dispensed",
    Strength.ADMINISTERED: "given",
}
USUAL = {"", "final", "active", "completed", "finished"}
LONGEST = 15  # digits of a number that are written out


class Page(NamedTuple):
    """What a page says beside its tables: its title, an introduction in plain words, the headings of its tables."""

    title: str
    words: str
    sections: Mapping[str, str] = {}


def told(fact: Any) -> str:
    """One fact in words; raises KeyError for a kind of fact that has none, ValueError for what its words leave out."""
    left_out = [name for name in _LEFT_OUT.get(type(fact), ()) if getattr(fact, name)]
    if left_out:
        raise ValueError(f"{fact.reference}: no words say its {', '.join(left_out)}; give them some in tests/spec/words.py")
    words = ", ".join(part for part in _WORDS[type(fact)](fact) if part)
    return words[0].upper() + words[1:]


def number(value: Any) -> str:
    """A number as sent; one of very many digits by its power of ten."""
    text = str(value)
    return text if len(text) <= LONGEST or not text.isdecimal() else f"{float(value):.0e}".replace("e+", "e")


def name_of(codes: tuple[str, ...], text: str = "") -> str:
    """What the codes mean; the code too, unless it is the one that stands for its concept in these tables."""
    names = [_name(code) for code in codes]
    return " and ".join(names) if names else f'"{text}" (without a code)' if text else "something without a code or a text"


@lru_cache(maxsize=1024)
def _name(code: str) -> str:
    system, _, bare = code.partition("|")
    names = sorted(concepts().names_of(code)[0])
    titles = " or ".join(_title(name) for name in names)
    if names and any(code_of(name) == code for name in names):
        return titles
    known = next((entry.name for entry in shipped().values() if entry.uri == system), "")
    display = concepts().displays.get(code, "")
    shown = (
        f"{known} {bare} {display}".rstrip()
        if known
        else f"local code {bare}"
        if f"{system}|" == LOCAL
        else f"code {bare} of another system"
    )
    return f"{titles} ({shown.removesuffix(f' {titles}')})" if titles else shown


def _title(name: str) -> str:
    """A concept's title without what it explains."""
    return concepts().by_name[name].title.partition(" (")[0].partition(";")[0]


def value(sent: Any) -> str:
    if isinstance(sent, Quantity):
        return _quantity(sent)
    if isinstance(sent, Coded):
        said = [f'"{sent.text}"'] if sent.text else []
        return ", ".join(said + ([f"coded as {name_of(sent.codes)}"] if sent.codes else []))
    if isinstance(sent, Flag):
        return "yes (a boolean)" if sent.value else "no (a boolean)"
    if isinstance(sent, Odd):
        return f"a value of type {sent.kind}"
    return str(sent) if isinstance(sent, Range | Moment) else "without a value"


def _quantity(sent: Quantity) -> str:
    if sent.value is None:
        return f"a quantity in {sent.unit} without a number"
    told_unit = f" (coded {sent.code})" if sent.code and sent.unit not in ("", sent.code) else ""
    unit = sent.unit or sent.code
    return f"{sent.comparator}{number(sent.value)}{' ' if unit else ''}{unit}{told_unit}"


def day(when: When | None) -> str:
    return "of no known date" if when is None else f"of {when.text}" if when.text else "of a date that is not told"


def standing(fact: Fact) -> Iterator[str]:
    """A status other than the usual one, what the record counts for, and why it may not decide."""
    status = "" if fact.status in USUAL else fact.status
    yield status or _COUNTS.get(fact.counts, "")
    yield "does not count" if fact.counts is Counts.NO and status not in ("", "entered-in-error") else ""
    yield from (FLAWS[flaw] for flaw in fact.flaws)


_COUNTS = {
    Counts.NOT_FINAL: "not final",
    Counts.UNCONFIRMED: "not confirmed",
    Counts.SHOWN: "shown, no proof of use",
    Counts.NEGATIVE: "denied",
    Counts.NO: "does not count",
}


def _result(fact: Result) -> Iterator[str]:
    absent = f"no value ({fact.absent})" if fact.absent else ""
    yield f"{name_of(fact.codes, fact.text)}: {absent or value(fact.value)} {day(fact.time)}"
    yield from map(_limits, fact.ranges)
    yield " and ".join(f"flagged {code.rpartition('|')[2]}" for code in fact.interpretation)
    yield f"specimen {fact.specimen}" if fact.specimen else ""
    yield f"method {fact.method}" if fact.method else ""
    yield from standing(fact)


def _limits(limits: ReferenceRange) -> str:
    low, high = (None if end is None else _quantity(end) for end in (limits.low, limits.high))
    span = f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}" if high else "without limits"
    ages = [f"from {limits.low_age} years"] if limits.low_age is not None else []
    ages += [f"up to {limits.high_age} years"] if limits.high_age is not None else []
    kind = "reference range" if limits.kind == "normal" else f'range of the kind "{limits.kind}"'
    quoted = f'"{limits.text}"' if limits.text else ""
    whom = "for people who cannot be told" if limits.fits_unknown else f"for sex {limits.sex}" if limits.sex else ""
    return " ".join(part for part in (kind, span, quoted, whom, *ages) if part)


def _problem(fact: Problem) -> Iterator[str]:
    yield f"diagnosis: {name_of(fact.codes, fact.text)}"
    yield f"began {fact.onset.text}" if fact.onset else ""
    yield f"ended {fact.abated.text or 'at a time that is not told'}" if fact.abated else ""
    yield f"recorded {fact.recorded.text}" if fact.recorded else ""
    yield fact.clinical if fact.clinical and fact.clinical != "active" else ""
    unsure = fact.verification not in ("", "confirmed")
    yield fact.verification if unsure else ""
    yield from (part for part in standing(fact) if not unsure or part not in _COUNTS.values())


def _medication(fact: Medication) -> Iterator[str]:
    start, end = (None if side is None else side.text or "a day that is not told" for side in (fact.start, fact.end))
    span = f"{start or 'from no known day'} to {end}" if end else f"from {start} on" if start else "without dates"
    yield f"{name_of(fact.codes, fact.text)} ({STRENGTHS[fact.strength]}): {span}"
    yield "one intake" if fact.single else ""
    yield f"vouched for until {fact.certain_until.text}" if fact.certain_until else ""
    yield from map(_dose, fact.doses)
    yield from (concepts().routes.get(code) or f"by a route of {name_of((code,))}" for code in fact.routes)
    yield f'route "{fact.route_text}"' if fact.route_text else ""
    yield from standing(fact)


def _dose(dose: Dose) -> str:
    amount = dose.per_day if dose.per_day is not None else dose.numerator
    often = f" x {number(dose.times)}" if dose.times is not None else ""
    often += f" in {number(dose.period_days)} days" if dose.period_days is not None else ""
    often = " a day" if dose.per_day is not None else often
    return (
        ("a dose that is not told" if amount is None else f"{number(amount)} {dose.unit}".strip())
        + often
        + (" as needed" if dose.as_needed else "")
        + (f' ("{dose.text}")' if dose.text else "")
    )


def _event(fact: Event) -> Iterator[str]:
    yield f"{name_of(fact.codes, fact.text)} {day(fact.time)}"
    yield from standing(fact)


def _answer(fact: Answer) -> Iterator[str]:
    said = {True: "yes", False: "no", None: "no plain yes or no"}[fact.value] if _is_boolean(fact.value) else number(fact.value)
    what = "consent" if fact.kind == "consent" else "answer" + (f" to {fact.item.partition('/')[2]}" if "/" in fact.item else "")
    what += "" if fact.kind == "consent" or fact.item.partition("/")[0] == "c" else f' to another question ("{fact.item}")'
    yield f"{what}: {said}"
    yield day(fact.on)
    yield "" if fact.by == "Practitioner/7" else f"by {fact.by or 'nobody who is named'}"
    yield f"for {' and '.join(fact.study)}" if fact.study else ""
    yield f"expires {fact.expires.text}" if fact.expires else ""
    yield from standing(fact)


def _is_boolean(answered: Any) -> bool:
    return answered is None or isinstance(answered, bool)


def _person(fact: Person) -> Iterator[str]:
    sex = f"gender {fact.gender}" if fact.gender else "no gender"
    yield f"patient born {fact.born_text}" if fact.born_text else "patient without a birth date"
    yield sex
    yield f"birth sex {fact.birth_sex}" if fact.birth_sex else ""
    yield f"clinical sex {fact.clinical_sex}" if fact.clinical_sex else ""
    yield from standing(fact)


def _contact(fact: Contact) -> Iterator[str]:
    yield f"visit {day(fact.time)}"
    yield from standing(fact)


def _refused(fact: Refused) -> Iterator[str]:
    yield f"a record that cannot be read, {f'of type {fact.type}' if fact.type else 'of no known type'}"
    yield "its codes cannot be told" if fact.codes is None else name_of(fact.codes)


_WORDS: dict[type[Any], Callable[[Any], Iterator[str]]] = {
    Result: _result,
    Problem: _problem,
    Medication: _medication,
    Event: _event,
    Answer: _answer,
    Person: _person,
    Contact: _contact,
    Refused: _refused,
}


# What no case depends on so far.
_LEFT_OUT: dict[type[Any], tuple[str, ...]] = {
    Result: ("body_site", "notes"),
    Problem: ("category", "notes"),
    Medication: ("notes",),
    Event: ("notes",),
    Answer: ("questionnaire", "note", "notes"),
    Person: ("deceased", "died", "aliases", "notes"),
}


def aside(said: Mapping[str, Any]) -> list[str]:
    """What a run says beside the chart; raises KeyError for what has no words."""
    return [words for key, told_so in said.items() for words in _ASIDE[key](told_so)]


def _upper(limits: Mapping[str, tuple[tuple[str, Interval], ...]]) -> list[str]:
    return [
        f"Site's upper limit of {analyte}{f' for sex {sex}' if sex else ''}: {interval.low} {concepts().analytes[analyte].canonical}"
        for analyte, rows in limits.items()
        for sex, interval in rows
    ]


_ASIDE: dict[str, Callable[[Any], list[str]]] = {
    "events": lambda dates: [f"Milestone {name}: {text}" for name, text in dates.items()],
    "as_of": lambda text: [] if text == AS_OF else [f"Day of the run: {text}"],
    "study": lambda reference: [f"Study of the run: {reference}"],
    "upper_limits": _upper,
    "zone": lambda name: [] if name == "UTC" else [f"Time zone of the site: {name}"],
    "decisions": lambda made: [f"Decided reading of {name}: {option}" for name, option in made.items()],
}
