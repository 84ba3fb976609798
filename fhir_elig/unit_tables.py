"""Reads mappings/units into `Analyte`: what each spelling of a unit means, and what an analyte refuses.

`tables.csv` names the alias tables and the unit each is counted in, `<table>.csv` holds one spelling a row, and
`analytes.csv` says which tables an analyte uses and how much of its canonical unit one unit of a table is. A spelling that
only other analytes use is known to mean something else, so it is refused here and not offered to UCUM.
All bad rows of all files are reported together.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import msgspec

from fhir_elig.errors import AuthoringError, Finding
from fhir_elig.quantity import Analyte, Interval, Scale

MAX_LENGTH = 64
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
_LEVEL = str.maketrans(_SUPERSCRIPTS, "0123456789+-")
_LETTERS = str.maketrans({"µ": "u", "μ": "u", "×": "x"})
_POWER_OF_TEN = re.compile(rf"(?<![0-9.,])10(?=[{_SUPERSCRIPTS}])")

TABLE_COLUMNS = ("unit", "means", "factor", "offset", "verdict", "case", "why", "source")
ANALYTE_COLUMNS = (
    "analyte", "canonical", "tables", "plausible", "whole", "unitless", "negative",
    "believed", "usual", "molar", "ucum", "annotations", "source",
)  # fmt: skip
INDEX_COLUMNS = ("table", "base", "holds")


def normal_form(text: str) -> str:
    """One spelling for the same print: no spaces, no final full stop, micro as `u`, times as `x`, superscripts as `10^9`, `mm3`.

    Not NFKC, which turns 10⁹ into 109. A text of more than 64 characters is given back as it is: it is no unit.
    """
    if len(text) > MAX_LENGTH:
        return text
    text = "".join(text.split()).removesuffix(".").translate(_LETTERS)
    return _POWER_OF_TEN.sub("10^", text).translate(_LEVEL)


class Alias(msgspec.Struct, frozen=True):
    """One row of a table: a spelling, and its scale to the table's base (None if refused); `exact` if its case counts."""

    form: str
    scale: Scale | None
    exact: bool

    def forms(self) -> tuple[str, ...]:
        """The litre is written `L` or `l`, whatever else the case means."""
        return (self.form, self.form.replace("L", "l")) if "L" in self.form else (self.form,)


class Table(msgspec.Struct, frozen=True):
    """The rows of a table, and its spellings: exact, and with case folded where case means nothing."""

    readings: tuple[tuple[Alias, Scale], ...]
    known: frozenset[str]
    known_folded: frozenset[str]
    refused: frozenset[str]
    refused_folded: frozenset[str]


def _table(aliases: Sequence[Alias]) -> Table:
    readings = tuple((alias, alias.scale) for alias in aliases if alias.scale is not None)
    return Table(
        readings, *_forms([alias for alias, _ in readings]), *_forms([alias for alias in aliases if alias.scale is None])
    )


def _forms(aliases: Sequence[Alias]) -> tuple[frozenset[str], frozenset[str]]:
    return (
        frozenset(form for alias in aliases for form in alias.forms()),
        frozenset(alias.form.lower() for alias in aliases if not alias.exact),
    )


class _Reader:
    """The CSV files of a folder, with the findings gathered on the way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.findings: list[Finding] = []

    def rows(self, name: str, columns: Sequence[str]) -> Iterable[tuple[str, dict[str, str]]]:
        """Place and cells of each row; a missing file, a wrong header or a ragged row is a finding."""
        path = self.folder / f"{name}.csv"
        try:
            with path.open(encoding="utf-8", newline="") as lines:
                reader = csv.reader(lines, strict=True)
                if tuple(next(reader, ())) != tuple(columns):
                    self.bad(f"{path}:1", "the header is not the expected one", f"write {','.join(columns)}")
                    return
                for cells in reader:
                    where = f"{path}:{reader.line_num}"
                    if len(cells) == len(columns):
                        yield where, dict(zip(columns, cells, strict=True))
                    else:
                        self.bad(where, f"{len(cells)} cells, {len(columns)} columns", "quote cells that hold commas")
        except OSError:
            self.bad(str(path), "the file cannot be opened", "add the file, or take its name out of the tables", "FE0214")
        except (UnicodeDecodeError, csv.Error):
            self.bad(str(path), "the file is not CSV in UTF-8", "save it as UTF-8 with commas and double quotes")

    def bad(self, where: str, why: str, fix: str, code: str = "FE0211") -> None:
        self.findings.append(Finding(code, where, why, fix))

    def rational(self, where: str, text: str, what: str) -> Fraction | None:
        if re.fullmatch(r"-?[0-9]{1,30}(\.[0-9]{1,30})?|-?[0-9]{1,30}/[1-9][0-9]{0,29}", text):
            return Fraction(text)
        self.bad(where, f"{what} `{text}` is not a rational number", "write a decimal or a fraction such as 707/62500")
        return None

    def flag(self, where: str, text: str, word: str) -> bool:
        if text not in ("", word):
            self.bad(where, f"`{text}` stands where only `{word}` or nothing may", f"write {word}, or leave the cell empty")
        return text == word


def load_analytes(folder: Path) -> dict[str, Analyte]:
    """The analytes of a folder of unit tables (analytes.csv, tables.csv and one CSV a table), by name.

    Raises AuthoringError with every finding of every file, each with file and line.
    """
    reader = _Reader(folder)
    tables = {row["table"]: _aliases(reader, row["table"]) for _, row in reader.rows("tables", INDEX_COLUMNS)}
    drafts = [_draft(reader, where, row, tables) for where, row in reader.rows("analytes", ANALYTE_COLUMNS)]
    _once(reader, [(where, analyte.name) for where, analyte, _ in drafts])
    cases = _cases(tables.values())
    analytes = {draft[1].name: _compiled(reader, draft, tables, cases) for draft in drafts}
    if reader.findings:
        raise AuthoringError("the unit tables cannot be read", findings=reader.findings)
    return analytes


def _once(reader: _Reader, named: Iterable[tuple[str, str]]) -> None:
    seen: set[str] = set()
    for where, name in named:
        if name in seen:
            reader.bad(where, f"`{name}` stands twice", "keep one row")
        seen.add(name)


def _aliases(reader: _Reader, table: str) -> Table:
    placed = [(where, _alias(reader, where, row)) for where, row in reader.rows(table, TABLE_COLUMNS)]
    _once(reader, [(where, alias.form if alias.exact else alias.form.lower()) for where, alias in placed])
    return _table([alias for _, alias in placed])


def _alias(reader: _Reader, where: str, row: Mapping[str, str]) -> Alias:
    form = normal_form(row["unit"])
    if not form or len(form) > MAX_LENGTH:
        reader.bad(where, "the spelling is empty or longer than 64 characters", "write the unit as it is printed")
    exact = reader.flag(where, row["case"], "cs")
    if row["verdict"] == "refuse":
        if row["factor"] or row["offset"]:
            reader.bad(where, "a refused spelling has a factor", "leave factor and offset empty")
        return Alias(form, None, exact)
    if row["verdict"] != "ok":
        reader.bad(where, f"the verdict `{row['verdict']}` is neither ok nor refuse", "write ok or refuse")
    factor = reader.rational(where, row["factor"], "the factor")
    offset = reader.rational(where, row["offset"] or "0", "the offset")
    if factor is not None and factor <= 0:
        reader.bad(where, "the factor is not above 0", "write how much of the table's base one unit is")
    return Alias(form, Scale(factor or Fraction(1), offset or Fraction(0)), exact)


Use = tuple[str, Fraction]
Draft = tuple[str, Analyte, tuple[Use, ...]]


def _draft(reader: _Reader, where: str, row: Mapping[str, str], tables: Mapping[str, Table]) -> Draft:
    molar = reader.rational(where, row["molar"], "the molar factor") if row["molar"] else None
    analyte = Analyte(
        name=row["analyte"],
        canonical=row["canonical"],
        plausible=tuple(_interval(reader, where, part) for part in row["plausible"].split(";")),
        believed=_interval(reader, where, row["believed"]) if row["believed"] else None,
        usual=_interval(reader, where, row["usual"]) if row["usual"] else None,
        whole=reader.flag(where, row["whole"], "yes"),
        unitless=reader.flag(where, row["unitless"], "yes"),
        non_negative=not reader.flag(where, row["negative"], "yes"),
        molar=molar,
        ucum=reader.flag(where, row["ucum"], "yes"),
        annotations=frozenset(note.lower() for note in row["annotations"].split()),
    )
    return where, analyte, tuple(_use(reader, where, part, molar, tables) for part in row["tables"].split(";"))


def _use(reader: _Reader, where: str, part: str, molar: Fraction | None, tables: Mapping[str, Table]) -> Use:
    """`table` or `table x factor`, where the factor may be the word molar: one mmol/L in the canonical unit."""
    name, _, factor = (piece.strip() for piece in part.partition(" x "))
    if name not in tables:
        reader.bad(where, f"no table `{name}` in tables.csv", "add its row and file, or correct the name")
    if factor == "molar":
        if molar is None:
            reader.bad(where, "a molar table without a molar factor", "fill the column molar")
        return name, molar or Fraction(1)
    return name, reader.rational(where, factor or "1", "the factor of a table") or Fraction(1)


def _interval(reader: _Reader, where: str, text: str) -> Interval:
    """`low..high`, both inclusive, or one number."""
    low, dots, high = text.strip().partition("..")
    ends = reader.rational(where, low, "the limit"), reader.rational(where, high if dots else low, "the limit")
    if ends[0] is not None and ends[1] is not None and ends[0] > ends[1]:
        reader.bad(where, f"the interval `{text.strip()}` is empty", "write low..high")
    return Interval(*ends)


def _cases(tables: Iterable[Table]) -> dict[str, set[str]]:
    """Every spelling by its folded form."""
    cases: dict[str, set[str]] = {}
    for table in tables:
        for form in table.known:
            cases.setdefault(form.lower(), set()).add(form)
    return cases


def _compiled(reader: _Reader, draft: Draft, tables: Mapping[str, Table], cases: Mapping[str, set[str]]) -> Analyte:
    """The analyte with its spellings; a row that refuses outweighs one that reads, whichever table they stand in."""
    where, analyte, used = draft
    own = [tables[name] for name, _ in used if name in tables]
    refused = frozenset().union(*(table.refused for table in own))
    refused_folded = frozenset().union(*(table.refused_folded for table in own))
    aliases: dict[str, Scale] = {}
    folded: dict[str, Scale] = {}
    for alias, scale in _scaled(used, tables):
        if alias.form in refused or alias.form.lower() in refused_folded:
            continue
        if aliases.get(alias.form, scale) != scale or folded.get(alias.form.lower(), scale) != scale:
            reader.bad(where, f"two tables of `{analyte.name}` read `{alias.form}` differently", "keep one of the rows")
        aliases |= dict.fromkeys(alias.forms(), scale)
        folded |= {} if alias.exact else {alias.form.lower(): scale}
    mine = aliases.keys() | {form for low in folded for form in cases[low]}
    elsewhere = [table for table in tables.values() if table not in own]
    return msgspec.structs.replace(
        analyte,
        aliases=aliases,
        folded=folded,
        refused=refused.union(*(table.known - mine for table in elsewhere)),
        refused_folded=refused_folded.union(*(table.known_folded - folded.keys() for table in elsewhere)),
    )


def _scaled(used: tuple[Use, ...], tables: Mapping[str, Table]) -> Iterable[tuple[Alias, Scale]]:
    """The spellings that the used tables read, each with its scale to the canonical unit."""
    for name, times in used:
        for alias, scale in tables[name].readings if name in tables else ():
            yield alias, scale if times == 1 else Scale(scale.factor * times, scale.offset * times)
