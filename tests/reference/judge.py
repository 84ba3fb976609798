"""One case held against the package and the reference: where they differ, as words that reproduce it."""

from __future__ import annotations

from random import Random
from typing import Any

import yaml

from tests.reference.complete import Verdicts, every, needless, possible, sampled, unsound
from tests.reference.evaluate import doubted, evaluate
from tests.reference.product import verdicts
from tests.reference.said import UNKNOWN

Row = dict[str, Any]


def disagreements(case: Row, product: Verdicts | None = None) -> list[str]:
    """Top criteria on which the two differ, with both verdicts."""
    product, reference = product or verdicts(case), evaluate(case)
    found = []
    for name, says in reference.items():
        if not says.agrees(*product[name][:2]):
            found.append(f"{name}: package {product[name][:2]}, reference {says.verdict} {sorted(says.reasons)}")
    return found


def unsound_in(case: Row, rng: Random, times: int, product: Verdicts | None = None) -> tuple[Row, list[str]] | None:
    """A completion that contradicts a determined verdict, if chance finds one; what nobody would believe is none."""
    product = product or verdicts(case)
    if all(verdict == UNKNOWN for verdict, *_ in product.values()) or _answered(case):
        return None
    for _ in range(times):
        completed = sampled(case, rng)
        found = unsound(product, completed) if completed is not case and possible(completed) else []
        if found and doubted(completed) <= doubted(case):
            return completed, found
    return None


def _answered(case: Row) -> bool:
    """A person's answer settles what could not be computed; what is computed later goes before it, as it should."""
    settles = any(word in str(case["protocol"]) for word in ("attestable", "computed"))
    return settles and any(row["kind"] == "answer" for row in case["rows"])


def enumerated(case: Row, product: Verdicts) -> tuple[int, list[str]]:
    """Unknown verdicts of which every completion was looked at, and those of them that are needless."""
    open_ = sum(verdict == UNKNOWN for verdict, *_ in product.values())
    completions = every(case) if open_ else []
    return (open_, needless(product, completions)) if completions else (0, [])


def needless_in(case: Row) -> list[str]:
    """Needless unknowns, where the completions are few enough to be enumerated."""
    return enumerated(case, verdicts(case))[1]


def shown(case: Row) -> str:
    protocol = {key: case["protocol"][key] for key in ("inclusion", "exclusion") if key in case["protocol"]}
    return yaml.safe_dump({**case, "protocol": protocol}, sort_keys=False, default_flow_style=None, width=150)
