"""What people are told of the cases of the specification, beside verdict and reason: notes, evidence, what was set aside, what
would settle an unknown, until when a verdict stands.

`told.txt` holds it, for the first case of each form of words (numbers, names and codes aside).
`python -m tests.spec.told` writes the file anew: read the difference before it is committed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from fhir_elig.record import Fact, Flaw
from fhir_elig.verdict import Assessment, CriterionResult, Retrieved
from tests.spec.pages import modules, stem, tables
from tests.spec.table import Row, assessed, protocol, relma_results, served

FILE = Path(__file__).with_name("told.txt")
LOST, FLAWED = "; a page of each type was lost", "; each record has a modifier"
# The same for every case that says nothing of its own: left out.
PLAIN = {"valid until None", "decisive c", "decisive ", "id c"}
FORM = [
    (r'"[^"]*"', "Q"),
    (r"[A-Z][A-Za-z]+/\S+", "REF"),
    (r"http\S+", "CODE"),
    (r"\d+", "0"),
    (r"(?<=note )[a-z][a-z-]+$", "NAME"),
]


def cases(module: ModuleType) -> dict[str, Row]:
    """The rows of a module that are held against a protocol, by what they hold."""
    rows = (row for entries in tables(module).values() for row in entries)
    plain = [row for row in rows if set(row.run) <= {"as_of", "events", "zone", "decisions"}]
    return {row.holds: row for row in (*plain, *map(lost, plain), *map(flawed, plain))}


def lost(row: Row) -> Row:
    """The same case in a chart of which a page of each type was lost."""
    kept = tuple(fact for fact in flat(row.facts) if not isinstance(fact, Retrieved))
    return row._replace(holds=f"{row.holds}{LOST}", facts=(*kept, *served(note="partial: a page was lost")))


def flawed(row: Row) -> Row:
    """The same case in a chart whose facts bear a modifier."""
    facts = [
        msgspec.structs.replace(fact, flaws=(Flaw.MODIFIER,)) if isinstance(fact, Fact) else fact for fact in flat(row.facts)
    ]
    return row._replace(holds=f"{row.holds}{FLAWED}", facts=tuple(facts))


def flat(facts: Any) -> Iterator[Any]:
    for fact in facts:
        yield from flat(fact) if type(fact) is tuple else (fact,)


def told(row: Row) -> list[str]:
    """The lines of one case; for a criterion of the shipped protocol those of that criterion alone."""
    facts = tuple(_versioned(row.facts))
    if ":" in row.criterion:
        found, name = assessed(row.criterion, *facts, **row.run), "c"
    else:
        found, name = relma_results(*facts, **row.run), row.criterion
    one = found.find(name)
    assert one is not None
    lines = list(_lines(one))
    if name == "c":
        lines += [needed(row), *_ends(found)]
    return [line for line in lines if line not in PLAIN]


def needed(row: Row) -> str:
    """What the criterion reads."""
    needs = protocol(row.criterion).needs() if ":" in row.criterion else ()
    return "needs " + ", ".join(f"{need.type} {'all' if need.codes is None else 'by code'}" for need in needs)


def _versioned(fact: Any) -> Any:
    """The same facts, each in its second version, which all that is told of it names."""
    if isinstance(fact, tuple):
        return tuple(map(_versioned, fact))
    return msgspec.structs.replace(fact, version="2") if isinstance(fact, Fact) else fact


def _ends(found: Assessment) -> list[str]:
    return [f"valid until {found.valid_until}", f"decisive {' '.join(found.decisive)}", f"status {found.status}"]


def _lines(one: CriterionResult, deep: str = "") -> Iterator[str]:
    for name, entry in msgspec.to_builtins(one).items():
        if name in ("evidence", "set_aside", "notes"):
            yield from (f"{deep}{name} {_flat(part)}" for part in entry)
        elif name not in ("criteria", "text"):
            yield f"{deep}{name} {_flat(entry)}"
    for part in one.criteria:
        yield from _lines(part, deep + "  ")


def _flat(entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return str(entry)
    return " | ".join(f"{name} {_codes(part)}" for name, part in entry.items() if part)


def _codes(part: Any) -> str:
    """Of a list of codes the first and their number: which ones they are is the matter of the mappings."""
    return part if isinstance(part, str) else f"{part[0]} of {len(part)}"


def form(line: str) -> str:
    """The line without what differs from case to case."""
    for pattern, stands_for in FORM:
        line = re.sub(pattern, stands_for, line.strip())
    return line


def read() -> dict[str, list[str]]:
    """The lines of each case in the file, by the page and what holds."""
    found: dict[str, list[str]] = {}
    for block in FILE.read_text(encoding="utf-8").split("\n\n"):
        heading, *lines = block.strip().splitlines()
        found[heading.removeprefix("# ")] = [line.removeprefix("  ") for line in lines]
    return found


def main() -> None:
    """Write the file: the first case of each form."""
    seen: set[tuple[str, ...]] = set()
    blocks = []
    for module in modules():
        for holds, row in cases(module).items():
            lines = told(row)
            forms = tuple(map(form, lines))
            if forms not in seen:
                seen.add(forms)
                blocks.append("\n".join([f"# {stem(module)}: {holds}", *(f"  {line}" for line in lines)]))
    FILE.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
