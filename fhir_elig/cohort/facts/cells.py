"""A patient's record as rows of text, and back: a row for each fact, a cell for each field, none where a field has its default.

A text stands as it is, a time as it was written, a value as JSON behind the name of its kind, all else as JSON. What comes back
is what went in, but for contacts that no criterion can see: those without a time, and those that did not happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from types import NoneType
from typing import Any, get_args, get_type_hints

import msgspec

from fhir_elig import record as facts
from fhir_elig.record import Contact, Counts, Record, Value
from fhir_elig.times import When, parse_when

Cell = str | None
Row = list[Cell]  # the kind, then the cells of its fields

RECORD, PERSON = "record", "person"  # the kinds of the rows that are no list's
# The lists of a record, and what their facts are called.
LISTS = {
    "results": "result",
    "problems": "problem",
    "medications": "medication",
    "events": "event",
    "contacts": "contact",
    "answers": "answer",
    "refused": "refused",
}
_KINDS: dict[str, type[msgspec.Struct]] = {
    PERSON: facts.Person,
    "result": facts.Result,
    "problem": facts.Problem,
    "medication": facts.Medication,
    "event": facts.Event,
    "contact": facts.Contact,
    "answer": facts.Answer,
    "refused": facts.Refused,
}
# The fields of each kind of row, in the order of its cells.
FIELDS: dict[str, tuple[str, ...]] = {
    RECORD: tuple(name for name in Record.__struct_fields__ if name not in ("patient", PERSON, *LISTS)),
    **{name: kind.__struct_fields__ for name, kind in _KINDS.items()},
}
_SEEN = frozenset({Counts.YES, Counts.NOT_FINAL})
_MOST = 4096  # cells that are remembered for each field

_encode = msgspec.json.encode


class _Text:
    """Texts and enumerations: as they are."""

    def __init__(self, kind: type[str]) -> None:
        self._kind = kind

    def write(self, value: Any) -> str:
        return str(value)

    def read(self, text: str) -> Any:
        return self._kind(text)


class _Json:
    """Everything that needs no form of its own."""

    def __init__(self, kind: Any) -> None:
        self.read = msgspec.json.Decoder(kind).decode

    def write(self, value: Any) -> str:
        return _encode(value).decode()


class _Time:
    """A time as it was written, where that gives it; two with a stroke between them, where their hull does; else as JSON."""

    def __init__(self, time_zone: str) -> None:
        self._zone = time_zone
        self._json = msgspec.json.Decoder(When).decode

    def write(self, when: When) -> str:
        return when.text if self._written(when.text) == when else _encode(when).decode()

    def read(self, text: str) -> When:
        found = self._written(text)
        return self._json(text) if found is None else found

    def _written(self, text: str) -> When | None:
        if "/" not in text:
            return parse_when(text, self._zone)
        first, last = (parse_when(part, self._zone) for part in text.split("/", 1))
        return None if first is None or last is None else first.hull(last)


class _Value:
    """A value of one of several kinds: the name of the kind, then JSON."""

    def __init__(self) -> None:
        self._readers = {kind.__name__: msgspec.json.Decoder(kind).decode for kind in get_args(Value)}

    def write(self, value: Value) -> str:
        return f"{type(value).__name__} {_encode(value).decode()}"

    def read(self, text: str) -> Value:
        kind, _, rest = text.partition(" ")
        found: Value = self._readers[kind](rest)
        return found


class _Column:
    """One field of one kind of fact."""

    def __init__(self, kind: type[msgspec.Struct], name: str, time_zone: str) -> None:
        self.name = name
        hint = get_type_hints(kind)[name]
        self._form = _form(hint, time_zone)
        self._plain = hint is str
        default = {field.name: field.default for field in msgspec.structs.fields(kind)}[name]
        self.default = None if default is msgspec.NODEFAULT else default
        self._known: dict[str, Any] = {}

    def write(self, value: Any) -> Cell:
        return None if value == self.default and type(value) is type(self.default) else self._form.write(value)

    def read(self, cells: Iterable[Cell]) -> Iterator[Any]:
        known, read = self._known, self._form.read
        if self._plain:
            yield from (self.default if cell is None else cell for cell in cells)
            return
        for cell in cells:
            if cell is None:
                yield self.default
                continue
            value = known.get(cell, known)
            if value is known:
                if len(known) >= _MOST:
                    known.clear()
                value = known[cell] = read(cell)
            yield value


def _form(hint: Any, time_zone: str) -> Any:
    if hint == Value | None:
        return _Value()
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not NoneType]
    if kinds == [When]:
        return _Time(time_zone)
    if kinds == [str] or (isinstance(hint, type) and issubclass(hint, StrEnum)):
        return _Text(kinds[0])
    return _Json(hint)


class Cells:
    """Writes and reads the rows of records whose times were read in one time zone."""

    def __init__(self, time_zone: str) -> None:
        kinds: dict[str, type[msgspec.Struct]] = {RECORD: Record, **_KINDS}
        self._columns = {name: [_Column(kinds[name], field, time_zone) for field in FIELDS[name]] for name in kinds}

    def write(self, record: Record) -> list[Row]:
        """The rows of a record, that of the record itself first."""
        found = [self._row(RECORD, record)]
        if record.person is not None:
            found.append(self._row(PERSON, record.person))
        for name, kind in LISTS.items():
            found += [self._row(kind, fact) for fact in getattr(record, name) if type(fact) is not Contact or _is_seen(fact)]
        return found

    def _row(self, kind: str, fact: msgspec.Struct) -> Row:
        return [kind, *(column.write(getattr(fact, column.name)) for column in self._columns[kind])]

    def read(self, kind: str, columns: Iterable[Iterable[Cell]]) -> list[Any]:
        """The facts of one kind, of whose rows these are the columns; of records the fields as a dict."""
        values = [column.read(cells) for column, cells in zip(self._columns[kind], columns, strict=True)]
        make: Callable[..., Any] = _KINDS.get(kind, dict)
        names = FIELDS[kind]
        return [make(**dict(zip(names, row, strict=True))) for row in zip(*values, strict=True)]


def _is_seen(contact: Contact) -> bool:
    """Whether the contact can prove that the patient was seen, the one thing that is asked of it."""
    return contact.time is not None and contact.counts in _SEEN
