"""A narrow, bounded YAML: plain data out of a text, and where every part of it stands.

Accepted is YAML 1.2's core schema without what makes YAML surprising: no anchors, aliases, tags, directives, second documents,
duplicate keys, or tabs in an indentation. `NO` and `1:30` are text, `010` is ten, dates stay text, decimals keep their digits.
A text has at most 1 MiB, 32 levels and 100,000 values. Whatever is refused is an `AuthoringError` with `file:line:column`.

Source: YAML 1.2.2, section 10.3 (core schema).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec
import yaml

from fhir_elig.errors import AuthoringError, Finding

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 100_000
MAX_FINDINGS = 50
MAX_DIGITS = 40
MAX_EXPONENT = 30

Key = str | int
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# YAML's printable characters without the line breaks that editors count differently: a lone CR, NEL, U+2028, U+2029.
_PRINTABLE = "\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff"
_UNPRINTABLE = re.compile(f"[^{_PRINTABLE}]|\r(?!\n)")
_TAB = re.compile(r"^ *\t[ \t]*[^\s]", re.MULTILINE)
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)(?:[eE]([-+]?[0-9]+))?")
_WHOLE = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o([0-7]+)|0x([0-9a-fA-F]+)")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NO_NUMBERS = {f"{sign}{word}" for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")} | {".nan", ".NaN", ".NAN"}


class Spot(msgspec.Struct, frozen=True):
    """Where a value begins, and the spots of what it holds; `keys` are where a mapping's keys stand. Counted from 1."""

    line: int
    column: int
    items: dict[str, Spot] | list[Spot] | None = None
    keys: dict[str, tuple[int, int]] | None = None

    def child(self, step: Key) -> Spot | None:
        if isinstance(self.items, dict) and isinstance(step, str):
            return self.items.get(step)
        if isinstance(self.items, list) and isinstance(step, int):
            return self.items[step] if 0 <= step < len(self.items) else None
        return None


def shown(text: str) -> str:
    """A piece of a file, safe to print: no control characters, at most 60 characters."""
    return printable(text[:60]) + ("..." if len(text) > 60 else "")


def printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)


def read_yaml(source: str | bytes, name: str) -> tuple[Any, Spot]:
    """The data of a text or its UTF-8 bytes (None if it is empty), and its spots; `name` is how errors call it.

    Raises AuthoringError (FE0201) with every place that is not accepted, as far as the text can be read.
    """
    return _Reader(name).read(_text_of(source, name))


def _text_of(source: str | bytes, name: str) -> str:
    """The content as text that YAML allows; raises AuthoringError for size, encoding, control characters and tabs."""
    if len(source if isinstance(source, bytes) else source.encode("utf-8", "replace")) > MAX_BYTES:
        raise _refusal(name, 1, 1, "the file is larger than 1 MiB", "split the file")
    if isinstance(source, bytes):
        try:
            source = source.decode("utf-8")
        except UnicodeDecodeError as error:
            place = _position(error.object[: error.start].decode("utf-8"))
            raise _refusal(name, *place, "the bytes here are not UTF-8", "save the file as UTF-8") from None
    text = source.removeprefix("\ufeff")
    if bad := _UNPRINTABLE.search(text):
        why = f"the character U+{ord(bad[0]):04X} is not allowed"
        raise _refusal(name, *_position(text[: bad.start()]), why, "remove it, or write it as an escape in double quotes")
    if tab := _TAB.search(text):
        raise _refusal(name, *_position(text[: tab.start()]), "a tab stands in the indentation", "indent with spaces")
    return text


def _position(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _refusal(name: str, line: int, column: int, why: str, fix: str) -> AuthoringError:
    return AuthoringError(why, code="FE0201", where=f"{name}:{line}:{column}", fix=fix)


class _Enough(Exception):
    """So much is wrong that nobody reads on; or nothing after this place can be read."""


class _Reader:
    """Builds data and spots from YAML's events, so that nothing is expanded before it has been looked at."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.findings: list[Finding] = []
        self.values = 0
        self.events: Any = iter(())

    def read(self, text: str) -> tuple[Any, Spot]:
        self.events = yaml.parse(text, Loader=LOADER)
        data, spot = None, Spot(1, 1)
        try:
            data, spot = self._stream()
        except yaml.MarkedYAMLError as error:
            why = " ".join(part for part in (error.context, error.problem) if part)
            self._report(error.problem_mark or error.context_mark, why, "check indentation, brackets and quotes here")
        except _Enough:
            pass
        if self.findings:
            raise AuthoringError(self.findings[0].why, findings=self.findings)
        return data, spot

    def _report(self, mark: Any, why: str, fix: str) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        self.findings.append(Finding("FE0201", f"{self.name}:{line}:{column}", why, fix))
        if len(self.findings) >= MAX_FINDINGS:
            raise _Enough

    def _stream(self) -> tuple[Any, Spot]:
        next(self.events)
        start = next(self.events)
        if isinstance(start, yaml.StreamEndEvent):
            return None, Spot(1, 1)
        if start.version or start.tags:
            self._report(start.start_mark, "directives (%YAML, %TAG) are not accepted", "remove the line that begins with %")
        result = self._node(next(self.events), 1)
        next(self.events)
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._report(after.start_mark, "a second document begins here", "keep one document in a file")
        return result

    def _node(self, event: Any, depth: int) -> tuple[Any, Spot]:
        mark = event.start_mark
        self.values += 1
        if self.values > MAX_VALUES:
            self._report(mark, f"the file holds more than {MAX_VALUES} values", "split the file")
            raise _Enough
        if isinstance(event, yaml.AliasEvent):
            self._report(mark, "aliases (*name) are not accepted", "write the value out where it is used")
            return None, Spot(mark.line + 1, mark.column + 1)
        if event.anchor is not None:
            self._report(mark, "anchors (&name) are not accepted", "remove the anchor; write the value out where it is used")
        if event.tag is not None:
            self._report(mark, "tags (!name) are not accepted", "remove the tag; put text in quotes")
        if isinstance(event, yaml.ScalarEvent):
            value = self._plain(event) if event.implicit[0] else event.value
            return value, Spot(mark.line + 1, mark.column + 1)
        if depth > MAX_DEPTH:
            self._report(mark, f"more than {MAX_DEPTH} levels lie inside each other", "flatten the document")
            raise _Enough
        return self._mapping(mark, depth) if isinstance(event, yaml.MappingStartEvent) else self._list(mark, depth)

    def _list(self, mark: Any, depth: int) -> tuple[list[Any], Spot]:
        values: list[Any] = []
        spots: list[Spot] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            value, spot = self._node(event, depth + 1)
            values.append(value)
            spots.append(spot)
        return values, Spot(mark.line + 1, mark.column + 1, spots)

    def _mapping(self, mark: Any, depth: int) -> tuple[dict[str, Any], Spot]:
        values: dict[str, Any] = {}
        spots: dict[str, Spot] = {}
        keys: dict[str, tuple[int, int]] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self._key(event, keys)
            value, spot = self._node(next(self.events), depth + 1)
            values[key], spots[key] = value, spot
            keys[key] = event.start_mark.line + 1, event.start_mark.column + 1
        return values, Spot(mark.line + 1, mark.column + 1, spots, keys)

    def _key(self, event: Any, seen: dict[str, tuple[int, int]]) -> str:
        """A key as it is written: `1` and `no` are text here."""
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None or event.anchor is not None:
            self._report(event.start_mark, "a key must be one word or text", "write  key: value")
            raise _Enough
        key = str(event.value)
        if key in seen:
            line, column = seen[key]
            self._report(event.start_mark, f'the key "{shown(key)}" stands at {line}:{column} already', "keep one of the two")
        return key

    def _plain(self, event: Any) -> Any:
        """The value of a scalar without quotes, by the core schema; numbers are bounded before any arithmetic."""
        text = event.value
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in "+-.0123456789":
            return text
        if text in _NO_NUMBERS:
            self._report(event.start_mark, f"{text} is not a number that can be compared", "write a number, or leave the key out")
        number = _OTHER_BASE.fullmatch(text) or _DECIMAL.fullmatch(text)
        if number is None:
            return text
        mantissa = text if number.re is _OTHER_BASE else text[: number.start(3) - 1] if number[3] else text
        if len(text) > 2 * MAX_DIGITS or sum(letter.isdigit() for letter in mantissa) > MAX_DIGITS:
            self._report(event.start_mark, f"a number of more than {MAX_DIGITS} digits", "write fewer digits, or text in quotes")
            return None
        return self._number(event, text, number)

    def _number(self, event: Any, text: str, number: re.Match[str]) -> int | Decimal | None:
        if number.re is _OTHER_BASE:
            return int(number[1], 8) if number[1] else int(number[2], 16)
        if _WHOLE.fullmatch(text):
            return int(text)
        if abs(int(number[3] or 0)) > MAX_EXPONENT:
            self._report(event.start_mark, f"an exponent outside -{MAX_EXPONENT} to {MAX_EXPONENT}", "write an ordinary number")
            return None
        return Decimal(text)
