"""JSON as sent: exact decimals, no second meaning, every size bounded.

Python's `json` takes the last of two equal keys, `NaN` and `1e400`. Here such a defect is *marked* while the C scanner runs,
and the smallest whole thing that holds it is refused: the resource of a Bundle entry (or of any object with the key
`resource`), else the whole document. Later entries are not affected. Text that is no JSON at all raises `DataError`.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from fhir_elig.errors import DataError
from fhir_elig.sources import clean_json, shared_json
from fhir_elig.sources.refusals import Bad, Refusal, defects, entries, refusal
from fhir_elig.sources.usual_json import Slim

__all__ = ["LIMIT", "Parsed", "Refusal", "fragments", "loads", "parse"]

LIMIT = 64 * 1024 * 1024  # bytes of one document
MAX_DEPTH = 100
MAX_DIGITS = 40
MAX_EXPONENT = 30
HOPELESS_DEPTH = 5_000  # from here on the place is not looked for: the whole document is refused
MAX_BRACKETS = 1_000_000  # of a document that is too deep: with more the place is not looked for either

_BRACKETS = b"{}[]"
_TO_BRACES = bytes.maketrans(b"[]", b"{}")
_NOT_STRUCTURE = bytes(byte for byte in range(256) if byte not in _BRACKETS + b'"')
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SPACE = re.compile(r"[ \t\r\n]*")
_NOT_FINITE = "a number that is not finite, or nesting past 100 levels"


class Parsed(msgspec.Struct, frozen=True):
    """A document. `refused` says why nothing of it may be used (`document` is None then); else `refusals` lists the resources
    that were taken out of their entries, and the document holds the rest. Equal parts of it may be one object."""

    document: Any
    refusals: tuple[Refusal, ...] = ()
    refused: str = ""


def parse(data: bytes, *, limit: int = LIMIT, slim: Slim | None = None) -> Parsed:
    """One JSON document of at most `limit` bytes; integers as int, all other numbers as Decimal.

    `slim` may give the little that is kept of an Observation (see `skip`); defects are found in what is not kept too.

    Raises DataError (FE0301) for text that is cut, is no JSON or is too large; the message holds an offset, no content.
    """
    if len(data) > limit:
        raise DataError(f"larger than {limit} bytes")
    try:
        return Parsed(shared_json.read(data, slim))
    except clean_json.Doubt:
        return _parse_strictly(data)


def _parse_strictly(data: bytes) -> Parsed:
    """Byte by byte, with a mark at each defect."""
    text, careful = _text(_shallow(data))
    reader = _reader(careful)
    try:
        document = reader.decoder.decode(text)
    except json.JSONDecodeError as error:
        raise DataError(f"no JSON: the text breaks off or is not valid at offset {_offset(text, error.pos)}") from None
    except RecursionError:
        raise DataError("nested too deep") from None
    if careful and not isinstance(document, dict):
        document = reader.checked(document)
    return _finish(document, reader)


def loads(data: bytes, *, limit: int = LIMIT) -> Any:
    """Like `parse`, for documents that must be whole: any defect raises DataError (FE0301)."""
    parsed = parse(data, limit=limit)
    if parsed.refused or parsed.refusals:
        raise DataError(parsed.refused or parsed.refusals[0].why)
    return parsed.document


def _finish(document: Any, reader: _Reader) -> Parsed:
    if not reader.open:
        return Parsed(document, tuple(reader.refusals))
    why = reader.open[0].why
    lost = [refusal(resource, why, url) for resource, url in entries(document)]
    return Parsed(None, (*reader.refusals, *(lost or [refusal(document, why)])), why)


def fragments(data: bytes) -> tuple[list[Refusal], bool]:
    """What can be told of text that is no JSON document: its whole objects, and the members before a cut.

    The second value is true if the bounds are sure: the text is objects side by side, or one that only lacks its end. Nothing
    of it may be used as data; it serves to say whose data are missing.
    """
    text, careful = _text(_shallow(data))
    reader = _reader(careful)
    found: list[Refusal] = []
    position = _skip(text, 0)
    try:
        while position < len(text):
            tree, end = reader.decoder.raw_decode(text, position)
            found.append(refusal(tree, "two objects in one place"))
            position = _skip(text, end)
    except json.JSONDecodeError as error:
        cut = refusal(Bad("", _members(text, position, reader)), "cut")
        found.append(msgspec.structs.replace(cut, codes=None))  # what was lost may have held more codes
        return found, error.pos >= len(text) or error.msg.startswith("Unterminated string")
    return found, True


def _members(text: str, position: int, reader: _Reader) -> list[tuple[str, Any]]:
    """The members of an object that breaks off, up to the break."""
    pairs: list[tuple[str, Any]] = []
    try:
        while text[position] == ("," if pairs else "{"):
            key, position = reader.decoder.raw_decode(text, _skip(text, position + 1))
            position = _skip(text, position)
            if not isinstance(key, str) or text[position] != ":":
                break
            value, position = reader.decoder.raw_decode(text, _skip(text, position + 1))
            pairs.append((key, reader.checked(value)))
            position = _skip(text, position)
    except (json.JSONDecodeError, IndexError):
        pass
    return pairs


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _offset(text: str, position: int) -> int:
    return len(text[:position].encode("utf-8", "surrogatepass"))


def _text(data: bytes) -> tuple[str, bool]:
    """The text, and whether strings must be searched for broken characters (bytes that are no UTF-8, lone surrogates)."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape"), True
    return text, "\\u" in text and _ESCAPED_SURROGATE.search(text) is not None


# Depth -----------------------------------------------------------------------------------------------------------------


def _shallow(data: bytes) -> bytes:
    """The data, with `NaN` in the place of what is nested past the limit. Raises DataError if that place cannot be told."""
    if data.count(b"{") + data.count(b"[") <= MAX_DEPTH or _surely_shallow(data):
        return data
    return _cut_deep(data)


def _surely_shallow(data: bytes) -> bool:
    """Whether the brackets outside of strings nest at most MAX_DEPTH deep; False if that cannot be told cheaply.

    Each round takes away the innermost level. Only pairs of quotes are taken out, so a bracket inside a string never cancels
    one outside: if nothing is left, there were no more levels than rounds.
    """
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = data.translate(_TO_BRACES, _NOT_STRUCTURE)
    for _ in range(MAX_DEPTH):
        fewer = marks.replace(b'""', b"").replace(b"{}", b"")
        if len(fewer) == len(marks) or b"{" * (2 * MAX_DEPTH) in fewer:
            break
        marks = fewer
    return not marks


def _cut_deep(data: bytes) -> bytes:
    if data.count(b"{") + data.count(b"[") > MAX_BRACKETS:
        raise DataError("nested past 100 levels")
    kept: list[bytes] = []
    done = start = 0
    opened: list[bytes] = []
    for match in _TOKEN.finditer(data):
        token = match[0]
        if token in (b"{", b"["):
            opened.append(token)
            if len(opened) == MAX_DEPTH + 1:
                start = match.start()
            elif len(opened) > HOPELESS_DEPTH:
                break
        elif token in (b"}", b"]"):
            if not opened or opened.pop() + token not in (b"{}", b"[]"):
                raise DataError(f"no JSON: brackets do not match at offset {match.start()}")
            if len(opened) == MAX_DEPTH:
                kept += (data[done:start], b"NaN")
                done = match.end()
    if len(opened) > MAX_DEPTH:
        raise DataError("nested past 100 levels, with no end to be found")
    return b"".join([*kept, data[done:]])


# The scanner's hooks ---------------------------------------------------------------------------------------------------


class _Reader:
    """A decoder and the defects that it met and that no refused resource holds yet. One per thread: it is not shared."""

    def __init__(self, careful: bool) -> None:
        self.open: list[Bad] = []
        self.refusals: list[Refusal] = []
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self._object_hook(careful),
            parse_float=self._decimal,
            parse_int=self._integer,
            parse_constant=lambda name: self.mark(_NOT_FINITE),
        )

    def clear(self) -> _Reader:
        self.open.clear()
        self.refusals.clear()
        return self

    def mark(self, why: str, pairs: list[tuple[str, Any]] | None = None) -> Bad:
        bad = Bad(why, pairs)
        self.open.append(bad)
        return bad

    def _decimal(self, text: str) -> Decimal | Bad:
        if len(text) <= MAX_DIGITS and "e" not in text and "E" not in text:
            return Decimal(text)
        if len(text) > 2 * MAX_DIGITS:
            return self.mark(f"a number of more than {MAX_DIGITS} digits")
        mantissa, _, exponent = text.replace("E", "e").partition("e")
        if sum(map(str.isdigit, mantissa)) > MAX_DIGITS:
            return self.mark(f"a number of more than {MAX_DIGITS} digits")
        if abs(int(exponent or "0")) > MAX_EXPONENT:
            return self.mark(f"a number with an exponent outside of -{MAX_EXPONENT} to {MAX_EXPONENT}")
        return Decimal(text)

    def _integer(self, text: str) -> int | Bad:
        if len(text) > MAX_DIGITS and len(text.lstrip("-")) > MAX_DIGITS:
            return self.mark(f"a number of more than {MAX_DIGITS} digits")
        return int(text)

    def _object_hook(self, careful: bool) -> Callable[[list[tuple[str, Any]]], Any]:
        opened = self.open

        def build(pairs: list[tuple[str, Any]]) -> Any:
            members = dict(pairs)
            if len(members) != len(pairs):
                return self._contained(self.mark("a key that stands twice", pairs), pairs)
            if opened and "resource" in members:
                return self._contained(members, pairs)
            return members

        def build_carefully(pairs: list[tuple[str, Any]]) -> Any:
            pairs = [(key, self.checked(value)) for key, value in pairs]
            if any(_SURROGATE.search(key) for key, _ in pairs):
                return self._contained(self.mark("a key that is not valid text", pairs), pairs)
            return build(pairs)

        return build_carefully if careful else build

    def checked(self, value: Any) -> Any:
        """The value, with a mark in the place of text that is not valid."""
        if isinstance(value, str):
            return self.mark("text that is not valid UTF-8, or half a character") if _SURROGATE.search(value) else value
        return [self.checked(item) for item in value] if isinstance(value, list) else value

    def _contained(self, tree: Any, pairs: list[tuple[str, Any]]) -> Any:
        """An entry whose resource holds a defect loses its resource; anything else stays as it is."""
        resources = [value for key, value in pairs if key == "resource"]
        inside = {id(bad): bad.why for bad in defects(tree)}
        if not inside or not resources or not all(isinstance(value, (dict, Bad)) for value in resources):
            return tree
        urls = [value for key, value in pairs if key == "fullUrl" and isinstance(value, str)]
        why = next(iter(inside.values()))
        for resource in resources:
            self.refusals.append(refusal(resource, why, urls[0] if len(urls) == 1 else ""))
        self.open[:] = [bad for bad in self.open if id(bad) not in inside]
        return {key: value for key, value in pairs if key != "resource" and not any(defects(value))}


class _Readers(threading.local):
    def __init__(self) -> None:
        self.plain = _Reader(careful=False)
        self.careful = _Reader(careful=True)


_readers = _Readers()


def _reader(careful: bool) -> _Reader:
    return (_readers.careful if careful else _readers.plain).clear()
