"""What a chart leaves open, and the ways in which it may be completed, by every end and every point at which a verdict may turn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction as F
from math import ceil
from typing import Any

from tests.reference.doses import weights_at
from tests.reference.numbers import ANALYTES, CONCEPTS
from tests.reference.spans import SECOND, Span, every_day, moved, of_days, span
from tests.reference.turns import hung_on, inputs, lengths_of, limits_of, normals, one_time

Row = dict[str, Any]
STAND_INS = {"baseline": "screening", "visit": "enrollment"}
EPSILON = F(1, 10**6)


@dataclass(frozen=True)
class Points:
    """Where a verdict of this case may turn: instants, and numbers in the canonical unit by concept."""

    instants: tuple[datetime, ...]
    numbers: dict[str, set[F]]
    zone: str
    as_of: Span
    inputs: frozenset[str]  # concepts that a formula reads
    one_time: bool  # a formula reads them of one specimen or recording: however late that was, it was one time
    stated: frozenset[str]  # analytes whose upper limits of normal are asked for, and are in no table of the site


def points(case: Row) -> Points:
    run, zone, protocol = case["run"], case["run"].get("zone", "UTC"), case["protocol"]
    concepts = {row["concept"] for row in case["rows"] if row.get("concept") in CONCEPTS}
    numbers = {concept: limits_of(protocol, concept) for concept in concepts}
    numbers |= {"weight": weights_at(protocol, case["rows"])} if "weight" in concepts else {}
    formulas = inputs(protocol), one_time(protocol)
    return Points(tuple(_critical(case, zone)), numbers, zone, span(run["as_of"], zone), *formulas, _unstated(case))


def _unstated(case: Row) -> frozenset[str]:
    known = {analyte for analyte, *_ in case["run"].get("limits", ())}
    return normals(case["protocol"]) - known


def variants(row: Row, at: Points, most: int) -> list[Row | None]:
    """Every completion of a row (`None` where it may as well not be there); more than `most` are cut."""
    open_ = row_gaps(row, at)
    if not open_:
        return [row]
    found: list[Row | None] = []
    for filled in open_[0]:
        found += variants(filled, at, most) if filled is not None else [None]
        if len(found) > most:
            break
    return found


def row_gaps(row: Row, at: Points) -> list[list[Row | None]]:
    """The gaps of one row; `None` takes it out."""
    found: list[list[Row | None]] = []
    if row.get("flaw"):
        found.append([_less(row, "flaw")])
    if row["kind"] == "result":
        found += _result_gaps(row, at)
    if row["kind"] == "condition" and not row.get("onset"):
        found.append([{**row, "onset": text} for text in _long_ago(row, at, "recorded")])
    if row["kind"] == "drug" and row.get("start") and not row.get("end") and row.get("strength") != "ordered":
        found.append([{**row, "end": text} for text in _up_to_now(row, at)])
    for key in () if at.one_time and row.get("concept") in at.inputs else TIMES.get(row["kind"], ()):
        if row.get(key):
            found.append([{**row, key: text} for text in instants(row[key], at, row)])
    return [gap for gap in found if gap]


TIMES = {
    "result": ("time",), "condition": ("onset", "abated", "recorded"), "procedure": ("time",), "drug": ("time", "start", "end"),
    "answer": ("on",),
}  # fmt: skip


def _less(row: Row, *keys: str) -> Row:
    return {name: value for name, value in row.items() if name not in keys}


def _result_gaps(row: Row, at: Points) -> list[list[Row | None]]:
    found: list[list[Row | None]] = []
    if not row.get("time"):
        found.append([{**_less(row, "issued"), "time": text} for text in _long_ago(row, at, "issued")])
    analyte = ANALYTES[CONCEPTS[row["concept"]]] if row.get("concept") in CONCEPTS else None
    hidden = row.get("absent") in ("masked", "not-permitted")
    if analyte is None:
        return [*found, *([[{**_less(row, "absent"), "text": text} for text in ("negative", "positive")]] if hidden else [])]
    if hidden:
        unit = next(iter(analyte.units))
        filled = [{**_less(row, "absent"), "value": _text(number), "unit": unit} for number in _turns(row, at, None, None)]
        found.append([*filled])
    elif row.get("comparator") in ("<", "<=", ">", ">=") or "high" in row:
        found.append([*_numbers(row, at)])
    if analyte.believed is not None and not row.get("ranges") and CONCEPTS[row["concept"]] in at.stated:
        unit = next(iter(analyte.units))
        uppers = sorted(
            {*analyte.believed, *(F(45), F("1.25"))}
            if analyte.believed[0] <= F(45) <= analyte.believed[1]
            else {*analyte.believed}
        )
        found.append([{**row, "ranges": [{"high": _text(upper), "unit": unit}]} for upper in uppers])
    return found


def _numbers(row: Row, at: Points) -> list[Row]:
    """Numbers inside an interval: its ends, and every limit of the protocol that it holds, with their neighbours."""
    number, comparator = F(row["value"]), row.get("comparator", "")
    step = EPSILON * max(1, ceil(number))
    low, high = (None, None)
    if "high" in row:
        low, high = number, F(row["high"])
    elif comparator in (">", ">="):
        low = number + (step if comparator == ">" else 0)
    else:
        low, high = F(0), number - (step if comparator == "<" else 0)
    found = _turns(row, at, low, high)
    return [{**_less(row, "comparator", "high"), "value": _text(one)} for one in found]


def _turns(row: Row, at: Points, low: F | None, high: F | None) -> list[F]:
    """Numbers in the row's unit between the ends: where a limit of the protocol lies, and a little beside it."""
    analyte = ANALYTES[CONCEPTS[row["concept"]]]
    factor = analyte.units.get(row.get("unit", ""), F(1))
    bottom, top = (number / factor for number in (analyte.plausible[-1][0], analyte.plausible[-1][1]))
    if row["concept"] in at.inputs:  # so that what is worked out from them can be believed
        sent = F(row.get("value", "1"))
        bottom, top = max(bottom, sent * 2 / 3), min(top, sent * 3 / 2)
    low = bottom if low is None else max(low, bottom)
    high = top if high is None else min(high, top)
    points = {low, high} | {
        limit / factor * part for limit in at.numbers[row["concept"]] for part in (F(1), 1 - EPSILON, 1 + EPSILON)
    }
    return sorted(number for number in points if low <= number <= high and low <= F(_text(number)) <= high)


def _text(number: F) -> str:
    """A decimal close to the number; exact wherever it has at most eight places."""
    scaled = round(number * 10**8)
    text = f"{scaled:09d}"
    return f"{text[:-8]}.{text[-8:]}".rstrip("0").rstrip(".")


def instants(text: str, at: Points, row: Row) -> list[str]:
    """Instants inside an imprecise time: its ends, and beside every other time of the case that it holds."""
    if row.get("until") or text == "?":
        return []
    whole = span(text, at.zone)
    if whole.instant:
        return []
    return _beside(at, whole.start, whole.end)


def _beside(at: Points, start: datetime, end: datetime) -> list[str]:
    near = {turn + step for turn in at.instants for step in (-SECOND, 0 * SECOND, SECOND)}
    return sorted({_stamp(one) for one in near | {start, end} if start <= one <= end})


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").replace(".000000Z", "Z")


def _critical(case: Row, zone: str) -> list[datetime]:
    """Times at which something may turn: ends of all rows' times, milestones, and windows before them."""
    run = case["run"]
    spans = [span(text, zone) for text in (run["as_of"], *run.get("events", {}).values())]
    ends = [at for one in spans for at in (one.start, one.end)]
    lengths = lengths_of(case["protocol"])
    for one in spans:
        ends += [_back(one, length, zone) for length in lengths]
    for other in case["rows"]:
        if other.get("time"):
            inner = span(other["time"], zone)
            ends += [inner.start, inner.end]
    return ends


def _back(one: Span, length: str, zone: str) -> datetime:
    if length.endswith(" h"):
        return one.start - timedelta(hours=int(length.split()[0]))
    return span(moved(one.first, length, -1).isoformat(), zone).start


def _long_ago(row: Row, at: Points, told: str) -> list[str]:
    """Times up to the issue of a result or the record of a disease, or up to the day of the run."""
    latest = span(row[told], at.zone).end if row.get(told) else at.as_of.end
    return _beside(at, min([latest - timedelta(400), *at.instants]), latest)


def _up_to_now(row: Row, at: Points) -> list[str]:
    """Ends of use that is said to have gone on: since it was said, or since it began, to the day of the run."""
    since = max(span(row[key], at.zone).start for key in ("start", "asserted") if row.get(key))
    return _beside(at, since, at.as_of.end)


def choices(case: Row, at: Points) -> list[list[Row]]:
    """What the run and the person leave open, each a list of updates: a sex, a milestone not dated or not to the second."""
    person, run = case.get("person"), case["run"]
    found: list[list[Row]] = []
    if person is not None and person.get("gender") in (None, "unknown"):
        found.append([{"gender": sex} for sex in ("female", "male", "other") if person.get("birth_sex", sex) == sex])
    used = hung_on(case["protocol"])
    for name in sorted(used | {STAND_INS[name] for name in used if name in STAND_INS} - {"screening"}):
        if name in run.get("events", {}):
            found.append([{name: stamp} for stamp in _days_too(run["events"][name], at)])
        elif name not in STAND_INS and name != "screening":
            found.append([{name: _stamp(at.as_of.start + timedelta(step))} for step in (-60, -20, -7, -2, 0)])
    return [gap for gap in found if gap]


def _days_too(text: str, at: Points) -> list[str]:
    """Instants at which a milestone may be, with noon of each of its days, unless the hour is known."""
    found, whole = instants(text, at, {}), span(text, at.zone)
    noons = [of_days(day, day, at.zone).start + timedelta(hours=12) for day in every_day(whole.first, whole.last)]
    return sorted({*found, *(_stamp(noon) for noon in noons if whole.start <= noon <= whole.end)}) if found else []


def enumerable(case: Row) -> bool:
    """Whether all that is open can be enumerated: not the days of a milestone to come, what a modifier means, a second sex.

    Nor what a formula's input may be that has one bound: only those are drawn near it of which the result can be believed.
    Nor a weight that is kept back, of which a dose for each kilogram takes nothing for granted, not even that it can be believed.
    """
    events, person = case["run"].get("events", {}), case.get("person") or {}
    undated = any(STAND_INS.get(name, name) not in {"screening", *events} for name in hung_on(case["protocol"]) - set(events))
    one_sex = person.get("gender", "unknown") == "unknown" and person.get("birth_sex")
    bounded = any(row.get("comparator") and row.get("concept") in inputs(case["protocol"]) for row in case["rows"])
    hidden = any(row.get("absent") and row.get("concept") == "weight" for row in case["rows"])
    return not undated and not one_sex and not bounded and not hidden and not any(row.get("flaw") for row in case["rows"])


def updated(case: Row, updates: Iterable[Row]) -> Row:
    """The case with a sex or milestones filled in."""
    for update in updates:
        if "gender" in update:
            case = {**case, "person": {**case["person"], **update}}
        else:
            case = {**case, "run": {**case["run"], "events": {**case["run"].get("events", {}), **update}}}
    return case
