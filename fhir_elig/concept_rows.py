"""The tables of mappings/concepts as rows: reading with all findings at once, and writing.

A table of codes has the columns concept, system, code, display, status, source, and may have route and ingredient
(imported products). Status: `verified` and `retired` decide; `component` and `unverified` do not.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import msgspec

from fhir_elig.code_systems import System, canonical_system, code_key, expand_category, is_category
from fhir_elig.errors import Finding

STATUSES = ("verified", "retired", "component", "unverified")
DECIDING = frozenset({"verified", "retired"})
CODE_TABLES = ("labs.csv", "conditions.csv", "medications.csv", "events.csv")
COLUMNS = ("concept", "system", "code", "display", "status", "source")
OPTIONAL = ("route", "ingredient")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a table of codes; `system` is a name of systems.csv or a URI, `where` is `file:line`."""

    concept: str
    system: str
    code: str
    display: str
    status: str = "verified"
    source: str = ""
    route: str = ""
    ingredient: str = ""
    where: str = ""

    def uri(self, systems: dict[str, System]) -> str:
        named = systems.get(self.system)
        return named.uri if named else canonical_system(self.system)

    def keys(self, systems: dict[str, System]) -> tuple[str, ...]:
        """The code keys of the row: one, or one a prefix for a range or pattern; none if it cannot be read."""
        uri = self.uri(systems)
        if not (is_category(self.code) and uri in hierarchical(systems)):
            return (code_key(uri, self.code),)
        return tuple(code_key(uri, code) for code in expand_category(self.code))


def hierarchical(systems: dict[str, System]) -> frozenset[str]:
    return frozenset(system.uri for system in systems.values() if system.hierarchy)


def read_table(path: Path, columns: Iterable[str], findings: list[Finding], optional: Iterable[str] = ()) -> list[dict[str, str]]:
    """The lines of a CSV file, blanks around cells removed, each with `where`. What is wrong goes to `findings`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        why = problem.strerror or "unreadable" if isinstance(problem, OSError) else "it is not UTF-8"
        findings.append(Finding("FE0214", path.name, why, "put the file there, as UTF-8 text"))
        return []
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    wanted = tuple(columns)
    if tuple(name for name in reader.fieldnames or () if name not in optional) != wanted:
        why = f"its columns are {', '.join(reader.fieldnames or ()) or 'none'}"
        findings.append(Finding("FE0211", f"{path.name}:1", why, f"use the columns {', '.join(wanted)}"))
        return []
    return _lines(reader, path, findings)


def _lines(reader: csv.DictReader[str], path: Path, findings: list[Finding]) -> list[dict[str, str]]:
    lines: list[dict[str, str]] = []
    try:
        for cells in reader:
            where = f"{path.name}:{reader.line_num}"
            if None in cells or None in cells.values():
                findings.append(Finding("FE0211", where, "it has more or fewer cells than columns", "quote cells with commas"))
                continue
            lines.append({name: cell.strip() for name, cell in cells.items()} | {"where": where})
    except csv.Error as problem:
        findings.append(Finding("FE0211", f"{path.name}:{reader.line_num}", str(problem), "mend the quotes of the line"))
    return lines


def code_files(folder: Path) -> list[Path]:
    """The tables of codes of a folder `concepts`: the four that every folder has, then what was imported, by name."""
    return [*(folder / name for name in CODE_TABLES), *sorted((folder / "imported").glob("*.csv"))]


def read_rows(path: Path, findings: list[Finding]) -> list[Row]:
    """The rows of one table of codes; a row that cannot be read goes to `findings`."""
    rows = []
    for cells in read_table(path, COLUMNS, findings, OPTIONAL):
        where = cells["where"]
        missing = [name for name in ("concept", "system", "code") if not cells[name]]
        if missing:
            findings.append(Finding("FE0211", where, f"it has no {missing[0]}", f"fill the column {missing[0]}"))
        elif cells["status"] not in STATUSES:
            why = f"its status is {cells['status'] or 'empty'!r}"
            findings.append(Finding("FE0211", where, why, f"use one of {', '.join(STATUSES)}"))
        else:
            rows.append(Row(**cells))
    return rows


def rows_to_csv(rows: Iterable[Row]) -> str:
    """The rows as a table of codes that `read_rows` reads, sorted, so that the same rows give the same bytes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = (*COLUMNS, *OPTIONAL)
    writer.writerow(names)
    writer.writerows(sorted({tuple(getattr(row, name) for name in names) for row in rows}))
    return out.getvalue()
