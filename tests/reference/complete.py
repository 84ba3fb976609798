"""Soundness: a verdict that is determined holds in every completion of the chart; one that holds in all should be determined."""

from __future__ import annotations

from itertools import product
from math import prod
from random import Random
from typing import Any

from tests.reference.evaluate import evaluate
from tests.reference.gaps import Points, choices, enumerable, points, row_gaps, updated, variants
from tests.reference.said import MET, NOT_APPLICABLE, UNKNOWN, Said
from tests.reference.spans import span

Row = dict[str, Any]
Verdicts = dict[str, tuple[str, str, bool]]
MOST = 48  # completions of a case that are enumerated


def sampled(case: Row, rng: Random) -> Row:
    """One completion: every gap filled as chance decides; milestones first, since windows hang on them."""
    case = updated(case, [rng.choice(gap) for gap in choices(case, points(case))])
    at = points(case)
    rows = [_sampled_row(row, at, rng) for row in case["rows"]]
    return {**case, "rows": [row for row in rows if row is not None]}


def possible(case: Row) -> bool:
    """Whether nothing in the chart ends, or was told, before it began, and no disease that is recorded is still to come."""
    zone = case["run"].get("zone", "UTC")
    today = span(case["run"]["as_of"], zone).end
    for row in case["rows"]:
        began = row.get("start") or row.get("onset")
        if any(row.get(key) and span(row[key], zone).start > today for key in ("onset", "recorded")):
            return False
        for key in ("end", "asserted", "abated", "recorded"):
            if began and row.get(key, "?") != "?" and span(row[key], zone).latest < span(began, zone).start:
                return False
    return True


def _sampled_row(row: Row | None, at: Points, rng: Random) -> Row | None:
    while row is not None and (open_ := row_gaps(row, at)):
        row = rng.choice(rng.choice(open_))
    return row


def every(case: Row, most: int = MOST) -> list[Row]:
    """All completions, if they are few; else none."""
    at = points(case)
    open_ = choices(case, at)
    if prod(map(len, open_)) > most or not enumerable(case):
        return []
    rows: list[list[Row | None]] = []
    for row in case["rows"]:
        rows.append(variants(row, at, most))
        if prod([*map(len, open_), *map(len, rows)]) > most:
            return []
    runs = [updated(case, updates) for updates in product(*open_)]
    made = [{**run, "rows": [row for row in chosen if row is not None]} for run in runs for chosen in product(*rows)]
    made = [one for one in made if possible(one)]
    return made if len(made) > 1 else []


def unsound(found: Verdicts, completed: Row) -> list[str]:
    """Criteria whose verdict was determined, and is another one in this completion."""
    wrong = []
    for name, says in evaluate(completed).items():
        verdict, reason, conditional = found[name]
        if verdict != UNKNOWN and not _holds(verdict, conditional, says):
            wrong.append(f"{name}: package {verdict} ({reason}), completed {says.verdict} {sorted(says.reasons)}")
    return wrong


def _holds(verdict: str, conditional: bool, says: Said) -> bool:
    if "implausible" in says.reasons:
        return True  # a completion that nobody believes is none
    return says.verdict == verdict or (conditional and says.verdict in (MET, NOT_APPLICABLE))


def needless(found: Verdicts, completions: list[Row]) -> list[str]:
    """Criteria that are unknown although every completion gives one and the same verdict."""
    told = [evaluate(one) for one in completions]
    return [
        f"{name}: package unknown ({reason}), every completion {told[0][name].verdict}"
        for name, (verdict, reason, _) in found.items()
        if verdict == UNKNOWN and name in told[0] and _one(told, name)
    ]


def _one(told: list[dict[str, Said]], name: str) -> bool:
    verdicts = {one[name].verdict for one in told}
    return len(verdicts) == 1 and UNKNOWN not in verdicts
