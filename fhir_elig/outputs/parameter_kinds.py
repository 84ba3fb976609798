"""How the values of a JSON object are written as FHIR parameters and read back: one small class for each kind of value.

A text that a FHIR type does not take (a date range where a dateTime stands, control characters) goes into a wider type, in
the end `valueBase64Binary`, so that nothing is lost and nothing invalid is written. An empty text has no parameter.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from fhir_elig.outputs.fhir_json import LITERAL, RESOURCE_ID, Json, code_text, coding, is_string, read_code


class Kind(Protocol):
    """How one key of the JSON is written: `put` gives what stands beside the name of each parameter, `take` undoes it."""

    def put(self, value: Any, canonical_base: str) -> list[Json]: ...

    def take(self, found: list[Json]) -> Any: ...


class Row(NamedTuple):
    """One key of the JSON, the name of its parameter, how its value is written, and what it is where there is none.

    Without `blank` a key that has no parameter is left out.
    """

    key: str
    name: str
    kind: Kind
    blank: Any = msgspec.UNSET


def write(rows: Iterable[Row], value: Json, canonical_base: str) -> list[Json]:
    """The parameters of an object, in the order of the rows."""
    return [
        {"name": row.name, **held} for row in rows if row.key in value for held in row.kind.put(value[row.key], canonical_base)
    ]


def read(rows: Iterable[Row], parameters: list[Json]) -> Json:
    """The object of these parameters."""
    by_name: dict[str, list[Json]] = {}
    for parameter in parameters:
        by_name.setdefault(parameter["name"], []).append(parameter)
    value = {row.key: row.kind.take(by_name[row.name]) if row.name in by_name else row.blank for row in rows}
    return {name: item for name, item in value.items() if item is not msgspec.UNSET}


class Text:
    """A text in the narrowest type that takes it: `value<type>` where `fits` says so, else string, else base64."""

    def __init__(self, fhir_type: str = "String", fits: Callable[[str], bool] = is_string) -> None:
        self.name, self.fits = f"value{fhir_type}", fits

    def put(self, value: str | None, canonical_base: str) -> list[Json]:
        if not value:
            return []
        if self.fits(value):
            return [{self.name: value}]
        return (
            [{"valueString": value}] if is_string(value) else [{"valueBase64Binary": base64.b64encode(value.encode()).decode()}]
        )

    def take(self, found: list[Json]) -> str:
        return _text(found[0])


_TEXT = Text()


def _text(parameter: Json) -> str:
    for name, value in parameter.items():
        if name == "valueBase64Binary":
            return base64.b64decode(value).decode()
        if name.startswith("value"):
            return str(value)
    raise KeyError(parameter["name"])


class Boolean:
    def put(self, value: bool, canonical_base: str) -> list[Json]:
        return [{"valueBoolean": value}]

    def take(self, found: list[Json]) -> Any:
        return found[0]["valueBoolean"]


class OwnCode:
    """A code of one of the project's own code systems."""

    def __init__(self, system: str) -> None:
        self.system = system

    def put(self, value: str, canonical_base: str) -> list[Json]:
        return [{"valueCoding": coding(f"{canonical_base}/CodeSystem/{self.system}", value)}]

    def take(self, found: list[Json]) -> Any:
        return found[0]["valueCoding"]["code"]


class AnyCode:
    """A code of any system, `system|code` in the JSON; a text that is none stays a text."""

    def put(self, value: str, canonical_base: str) -> list[Json]:
        found = read_code(value)
        return [{"valueCoding": found}] if found else _TEXT.put(value, canonical_base)

    def take(self, found: list[Json]) -> str:
        held = found[0].get("valueCoding")
        return code_text(held) if held else _text(found[0])


class Link:
    """A reference to a resource; a text that is none stays a text."""

    def put(self, value: str, canonical_base: str) -> list[Json]:
        match = LITERAL.fullmatch(value)
        return [{"valueReference": {"reference": value}}] if match and not match[2] else _TEXT.put(value, canonical_base)

    def take(self, found: list[Json]) -> str:
        held = found[0].get("valueReference")
        return str(held["reference"]) if held else _text(found[0])


class Many:
    """A list: one parameter for each element."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def put(self, value: list[Any], canonical_base: str) -> list[Json]:
        return [parameter for item in value for parameter in self.kind.put(item, canonical_base)]

    def take(self, found: list[Json]) -> list[Any]:
        return [self.kind.take([parameter]) for parameter in found]


class Part:
    """An object: one parameter with parts. `rows` may still grow when this is made: a criterion holds criteria."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def put(self, value: Json, canonical_base: str) -> list[Json]:
        parts = write(self.rows, value, canonical_base)
        return [{"part": parts}] if parts else []

    def take(self, found: list[Json]) -> Json:
        return read(self.rows, found[0]["part"])


class Cited(Part):
    """An object that cites a resource: its version goes into the reference, the component of an Observation beside it."""

    def put(self, value: Json, canonical_base: str) -> list[Json]:
        match = LITERAL.fullmatch(value["reference"])
        if match is None:
            return super().put(value, canonical_base)
        version = value.get("version", "")
        in_link = RESOURCE_ID.fullmatch(version) is not None
        parts: list[Json] = [
            {"name": "reference", "valueReference": {"reference": f"{match[1]}/_history/{version}" if in_link else match[1]}}
        ]
        if match[2]:
            parts.append({"name": "component", "valueString": match[2]})
        rest = {name: item for name, item in value.items() if name != "reference" and not (in_link and name == "version")}
        return [{"part": parts + write(self.rows, rest, canonical_base)}]

    def take(self, found: list[Json]) -> Json:
        parts = found[0]["part"]
        value = read(self.rows, parts)
        for parameter in parts:
            if parameter["name"] == "reference" and "valueReference" in parameter:
                reference, bar, version = value["reference"].partition("/_history/")
                value |= {"reference": reference, "version": version} if bar else {}
            if parameter["name"] == "component":
                value["reference"] += f"#{_text(parameter)}"
        return value


class Map:
    """A map of texts whose keys are known names: one parameter, a part for each key."""

    def put(self, value: dict[str, str], canonical_base: str) -> list[Json]:
        parts = [{"name": name, **held} for name, text in value.items() for held in _TEXT.put(text, canonical_base)]
        return [{"part": parts}] if parts else []

    def take(self, found: list[Json]) -> dict[str, str]:
        return {parameter["name"]: _text(parameter) for parameter in found[0]["part"]}


class Entries:
    """A map of texts whose keys are data: one parameter for each entry, key and value as its parts."""

    def __init__(self, key: str, value: str, kind: Kind) -> None:
        self.key, self.value, self.kind = key, value, kind

    def put(self, value: dict[str, str], canonical_base: str) -> list[Json]:
        return [{"part": self._entry(name, item, canonical_base)} for name, item in value.items()]

    def _entry(self, name: str, item: str, canonical_base: str) -> list[Json]:
        sides = ((self.key, _TEXT.put(name, canonical_base)), (self.value, self.kind.put(item, canonical_base)))
        return [{"name": side, **held} for side, puts in sides for held in puts]

    def take(self, found: list[Json]) -> dict[str, str]:
        named = [{part["name"]: part for part in parameter["part"]} for parameter in found]
        return {_text(parts[self.key]): self.kind.take([parts[self.value]]) for parts in named}
