"""What a what-if asks for, read from the command line and held against the protocol: what cannot be recomputed is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache

import msgspec

from fhir_elig import places, units
from fhir_elig.cohort.matrix import Used
from fhir_elig.cohort.tree import Part, fixed, measured
from fhir_elig.cohort.worlds import Change
from fhir_elig.criteria.base import near
from fhir_elig.errors import UsageError
from fhir_elig.quantity import Analyte
from fhir_elig.unit_tables import load_analytes

_SIGNS = {"at-least": ">=", "more-than": ">", "at-most": "<=", "less-than": "<"}
_LIMIT = re.compile(r"(at-least|more-than|at-most|less-than|>=|<=|>|<)?\s*(\S.*)")
_AGE = re.compile(r"([0-9]{1,3}) ?a")
_LISTS = ("all-of", "any-of", "at-least")


class Moved(msgspec.Struct, frozen=True):
    """A criterion under other limits, in the unit of its values; None where it has no lower or no upper one."""

    criterion: str
    kind: str
    unit: str
    lower: float | None
    lower_strict: bool
    upper: float | None
    upper_strict: bool


class Changes(msgspec.Struct, frozen=True):
    """All changes of one what-if, in numbers and in words."""

    change: Change
    moved: tuple[Moved, ...]
    words: tuple[str, ...]


def read_changes(used: Used, drop: Sequence[str], limit: Sequence[str], reading: Sequence[str]) -> Changes:
    """`drop` names criteria, `limit` and `reading` are CRITERION=VALUE. Raises UsageError, with the reason for a refusal."""
    if not (drop or limit or reading):
        raise UsageError("nothing is to be changed", where="what-if", fix="give --drop, --limit or --reading")
    limits, decided = dict(_parted(limit, "--limit")), dict(_parted(reading, "--reading"))
    known = used.tree.criteria()
    for option, names in (("--drop", drop), ("--limit", limits), ("--reading", decided)):
        for name in names:
            if name not in known:
                why = f'{used.id} has no criterion "{name}"'
                raise UsageError(why, code="FE0104", where=option, fix=near(name, known))
    words = [f"drop {name}" for name in dict.fromkeys(drop)]
    for name in drop:
        _check_drop(used, name, drop)
    for option, names in (("--limit", limits), ("--reading", decided)):
        for name in names.keys() & set(drop):
            raise _refused(name, option, "it is to be dropped as well", "ask for one of the two")
    moved = [_moved(used, known[name], texts) for name, texts in limits.items()]
    words += [f"{name}: {text}" for name, texts in limits.items() for text in texts]
    for name, (option, *more) in decided.items():
        _check_reading(known[name], option, more)
        words.append(f"{name}: reading {option}")
    change = Change(frozenset(drop), frozenset(limits), {name: option for name, (option, *_) in decided.items()})
    return Changes(change, tuple(moved), tuple(words))


def _parted(given: Sequence[str], option: str) -> Iterator[tuple[str, list[str]]]:
    """CRITERION=VALUE by criterion, in the order given."""
    found: dict[str, list[str]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise UsageError(f'"{text}" is no CRITERION=VALUE', where=option, fix=f"write  {option} 'hemoglobin=80 g/L'")
        found.setdefault(name.strip(), []).append(value.strip())
    yield from found.items()


def _refused(name: str, option: str, why: str, fix: str) -> UsageError:
    return UsageError(f"{name}: {why}", where=f"{option} {name}", fix=fix)


def _check_drop(used: Used, name: str, drop: Sequence[str]) -> None:
    """A criterion can be dropped from lists that keep a member; where it is more than a member, the text would change."""
    for parent, part in _places(used):
        if name in (part.id, part.refers):
            left = [one for one in parent.criteria if not {one.id, one.refers} & set(drop)]
            if parent.kind not in _LISTS or part not in parent.members():
                why = f"it is a part of {parent.id or parent.kind} that cannot be left out"
                raise _refused(name, "--drop", why, "drop the criterion above it")
            if len(left) < max(parent.count, 1):
                raise _refused(name, "--drop", f"{parent.id or 'its list'} would have too few left", "drop the one above it")
    if not [top for top in used.tree.tops if top.id not in drop]:
        raise _refused(name, "--drop", "no criterion would be left", "keep one")


def _places(used: Used) -> Iterator[tuple[Part, Part]]:
    """Every part with the one that it is in; those at the top are in none."""
    return ((parent, part) for parent in used.tree.walk() for part in parent.criteria)


def _check_reading(part: Part, option: str, more: Sequence[str]) -> None:
    if part.kind != "readings":
        raise _refused(part.id, "--reading", "its text has one reading", "fhir-elig protocol show  lists the readings")
    if more:
        raise _refused(part.id, "--reading", "it is decided twice", "decide on one reading")
    if option not in part.readings():
        raise _refused(part.id, "--reading", f'it has no reading "{option}"', near(option, part.readings()))


def _moved(used: Used, part: Part, texts: Iterable[str]) -> Moved:
    held = measured(part)
    why = fixed(part)
    if part.kind == "readings" and not (part.decided or used.decisions.get(part.id)):
        why = why or "its readings are not decided, and the matrix holds the value of one"
    if why or held is None:
        raise _refused(part.id, "--limit", why, "change the protocol, and run it again")
    limits = {_is_upper(limit.sign): (limit.sign, float(limit.value or 0)) for limit in held.limits}
    for text in texts:
        sign, amount = _limit(part, held, text)
        if _is_upper(sign) not in limits:
            raise _refused(part.id, "--limit", f"it has no limit on that side ({text})", f"it has {_said(held)}")
        limits[_is_upper(sign)] = sign, amount
    lower, upper = limits.get(False), limits.get(True)
    if lower and upper and lower[1] > upper[1]:
        raise _refused(part.id, "--limit", "the lower limit lies above the upper one", "swap or correct them")
    return Moved(
        part.id, held.kind, held.limits[0].unit, *(lower[1], lower[0] == ">") if lower else (None, False),
        *(upper[1], upper[0] == "<") if upper else (None, False),
    )  # fmt: skip


def _is_upper(sign: str) -> bool:
    return sign.startswith("<")


def _said(held: Part) -> str:
    return " and ".join(f"{limit.sign} {limit.text}" for limit in held.limits)


def _limit(part: Part, held: Part, text: str) -> tuple[str, float]:
    """The sign and the amount of a limit as people write it; without a sign it is that of the only limit."""
    found = _LIMIT.fullmatch(text)
    sign = _SIGNS.get(found[1], found[1]) if found and found[1] else held.limits[0].sign if len(held.limits) == 1 else ""
    if found is None or not sign:
        raise _refused(part.id, "--limit", "it has two limits", f"say which: {_said(held)}")
    amount = _age(found[2]) if held.kind == "age" else _amount(held, found[2])
    if amount is None or Fraction(repr(float(amount))) != amount:
        unit = held.limits[0].unit
        raise _refused(
            part.id, "--limit", f'"{found[2]}" is no amount that can be compared', f"write a number and {unit or 'no unit'}"
        )
    return sign, float(amount)


def _age(text: str) -> Fraction | None:
    found = _AGE.fullmatch(text)
    return None if found is None else Fraction(found[1])


def _amount(held: Part, text: str) -> Fraction | None:
    analyte = _analytes().get(held.analyte)
    amount = units.parse_amount(text, analyte) if analyte is not None else None
    return amount if isinstance(amount, Fraction) else None


@cache
def _analytes() -> Mapping[str, Analyte]:
    return load_analytes(places.mapping_root() / "units")
