"""What a result says of a limit: its number in the analyte's unit, the limit itself, and multiples of the upper limit of normal."""

from __future__ import annotations

import re
from fractions import Fraction as F

from tests.reference.numbers import ANALYTES, CONCEPTS, Analyte, Between, compare, exactly
from tests.reference.said import MET, NOT_MET, UNKNOWN, Said, one_for_all, said, unknown
from tests.reference.windows import Data, World

NUMBER = r"[+-]?[0-9]+(?:\.[0-9]+)?"
UNIT = r"(?: ?([A-Za-z%\[{/].*))?"
BOUNDS = {"at-least": (True, False), "more-than": (True, True), "at-most": (False, False), "less-than": (False, True)}


def limit_of(kind: Data, analyte: Analyte, upper: F | None = None) -> Between:
    """The numbers that satisfy the criterion, in the analyte's unit; `upper` is the upper limit of normal."""
    low, high, low_open, high_open = None, None, False, False
    for key, (is_low, is_open) in BOUNDS.items():
        if kind.get(key) is None:
            continue
        number = _amount(str(kind[key]), analyte, upper)
        if is_low:
            low, low_open = number, is_open
        else:
            high, high_open = number, is_open
    return Between(low, high, low_open, high_open)


def _amount(text: str, analyte: Analyte, upper: F | None) -> F:
    number, _, unit = text.partition(" ")
    if unit == "x ULN":
        assert upper is not None
        return F(number) * upper
    return F(number) * (analyte.units[unit] if unit else 1)


def number_of(row: Data, analyte: Analyte) -> Between | Said:
    """The value of a result in the analyte's unit, or why there is none."""
    doubts = {"modifier": "modifier", "restricted": "restricted", "subsetted": "incomplete"}
    if row.get("flaw") or row.get("absent"):
        return unknown(*([doubts[row["flaw"]]] if row.get("flaw") else []), *(["restricted"] if row.get("absent") else []))
    parts = _parts(row)
    if isinstance(parts, Said):
        return parts
    value, unit, sent = parts
    factor = _factor(unit, row, analyte)
    if isinstance(factor, Said):
        return factor
    if not all(analyte.believes(number * factor) for number in sent):
        return unknown("implausible")
    return value.times(factor)


def _parts(row: Data) -> tuple[Between, str, list[F]] | Said:
    """The interval as sent, its unit, and the numbers that were sent."""
    if "text" in row:
        return _read(row["text"])
    if "value" not in row:
        return unknown("not-numeric")
    if "high" in row:
        low, high = F(row["value"]), F(row["high"])
        return (
            (Between(low, high), row.get("unit", ""), [low, high])
            if low <= high
            else unknown("not-numeric", "no-unit", "unit-unknown")
        )
    return _compared(row.get("comparator", ""), F(row["value"]), row.get("unit", ""))


def _compared(comparator: str, number: F, unit: str) -> tuple[Between, str, list[F]] | Said:
    shapes = {
        "": exactly(number),
        "<": Between(F(0), number, False, True),
        "<=": Between(F(0), number),
        ">": Between(number, None, True, False),
        ">=": Between(number, None),
    }
    if comparator not in shapes:
        return unknown("comparator")
    return shapes[comparator], unit, [number]


def _read(text: str) -> tuple[Between, str, list[F]] | Said:
    """A text that is wholly a number with an optional comparator, or a stretch; anything else is none."""
    found = re.fullmatch(rf"(<=|>=|<|>)? ?({NUMBER}){UNIT}", text.strip())
    if found is not None:
        return _compared(found[1] or "", F(found[2]), found[3] or "")
    found = re.fullmatch(rf"({NUMBER}) ?- ?({NUMBER}){UNIT}", text.strip())
    if found is None:
        return unknown("not-numeric")
    low, high = F(found[1]), F(found[2])
    return (Between(low, high), found[3] or "", [low, high]) if low <= high else unknown("not-numeric", "no-unit", "unit-unknown")


def _factor(unit: str, row: Data, analyte: Analyte) -> F | Said:
    if row.get("code_unit") and row["code_unit"] != unit:
        return unknown("unit-conflict")
    if not unit:
        return F(1) if analyte.unitless else unknown("no-unit")
    return analyte.units[unit] if unit in analyte.units else unknown("unit-unknown")


def judge(row: Data, kind: Data, world: World) -> Said:
    """One result against the limit."""
    analyte = ANALYTES[CONCEPTS[row["concept"]]]
    value = number_of(row, analyte)
    if isinstance(value, Said):
        return value
    return judge_number(value, kind, analyte, row, world)


def judge_number(value: Between, kind: Data, analyte: Analyte, row: Data, world: World) -> Said:
    if not any("ULN" in str(kind.get(key)) for key in BOUNDS):
        return _verdict(compare(value, limit_of(kind, analyte)))
    return one_for_all(
        [_against(value, kind, analyte, row, world, sex) for sex in _sexes(world)], "conflicting", "no-reference-range"
    )


def _against(value: Between, kind: Data, analyte: Analyte, row: Data, world: World, sex: str) -> Said:
    """The value against the limits of normal of a patient of that sex: of the result, else of the site, else all believed."""
    uppers = _stated(row, analyte, sex) or _of_table(row, world)
    if not uppers:
        return _believed(value, kind, analyte)
    found = [_verdict(compare(value, limit_of(kind, analyte, upper))) for upper in uppers]
    same = {one.verdict for one in found}
    decided = len(same) == 1 and (len(found) == 1 or UNKNOWN not in same)
    return found[0] if decided else unknown("conflicting", "comparator", "no-reference-range")


def _believed(value: Between, kind: Data, analyte: Analyte) -> Said:
    """No limit is known: the verdict if it is the same for every one that is believed. Verdicts are monotone in the limit."""
    assert analyte.believed is not None
    found = [_verdict(compare(value, limit_of(kind, analyte, upper))) for upper in analyte.believed]
    if {one.verdict for one in found} in ({MET}, {NOT_MET}):
        return found[0]
    return (
        unknown("no-reference-range", "comparator")
        if UNKNOWN in {one.verdict for one in found}
        else unknown("no-reference-range")
    )


def _verdict(verdict: str) -> Said:
    return {MET: said(MET, "in-range"), NOT_MET: said(NOT_MET, "out-of-range"), UNKNOWN: unknown("comparator")}[verdict]


def _stated(row: Data, analyte: Analyte, sex: str) -> list[F]:
    """Upper limits that the result states for such a patient, as far as they are believed."""
    assert analyte.believed is not None
    found = []
    for stated in row.get("ranges", ()):
        unit = stated.get("unit") or row.get("unit", "")
        if (
            stated.get("type", "normal") != "normal"
            or (not unit and not analyte.unitless)
            or (unit and unit not in analyte.units)
        ):
            continue
        if stated.get("sex") not in (None, sex):
            continue
        upper = F(stated["high"]) * (analyte.units[unit] if unit else 1)
        if analyte.believed[0] <= upper <= analyte.believed[1]:
            found.append(upper)
    return found


def uppers_stated(row: Data, analyte: Analyte) -> list[F]:
    """Upper limits that the result states for everybody."""
    return _stated(row, analyte, "")


def _of_site(row: Data, world: World, asked: str) -> list[F]:
    name = CONCEPTS[row["concept"]]
    return [F(upper) for analyte, sex, upper in world.limits if analyte == name and sex in ("", asked)]


def _of_table(row: Data, world: World) -> list[F]:
    """The site's limits for whatever sex it may be; none if the table has none for one of them."""
    found = [_of_site(row, world, sex) for sex in _sexes(world)]
    return [upper for uppers in found for upper in uppers] if all(found) else []


def _sexes(world: World) -> list[str]:
    """The sex that all that is recorded agree on, else both."""
    told = {(world.person or {}).get(key) for key in ("birth_sex", "gender")} - {None, ""}
    return [str(*told)] if len(told) == 1 and told <= {"female", "male"} else ["female", "male"]
