"""JSON at the speed of C, where it can be proved that nothing is wrong with it.

msgspec takes the last of two equal keys and numbers of any size. Here its document is used only if it accounts for the whole
text: written again, it is exactly as long (no token grows when it is written again, so none was dropped), or has as many
colons (each member has one, and none came out of an escape). Numbers and depth are bounded by cheap tests that may doubt
sound data. Whoever gets a `Doubt` reads with `strict_json`, which finds the defect, if there is one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

MAX_DEPTH = 100
MAX_DIGITS = 40
_MAX_INNER = MAX_DEPTH - 2  # levels of an entry below a Bundle and its list of entries
_STEP = 4  # a run of digits that is too long shows in one byte of so many
_DIGITS = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
_TOO_LONG = b"0" * (MAX_DIGITS + 1)
_TOO_LONG_SAMPLED = b"0" * ((MAX_DIGITS + 1) // _STEP)

# What a decoder or encoder raises for data that it cannot take; the stack may be nearly used up.
TROUBLE = (msgspec.MsgspecError, ValueError, RecursionError)


class Doubt(Exception):
    """It is not proved that the text is clean."""


def decimal(text: str) -> Decimal:
    """Plain digits only: a number with an exponent may grow when it is written again."""
    if len(text) > MAX_DIGITS or "e" in text or "E" in text:
        raise ValueError
    return Decimal(text)


# None of them keeps anything of what it reads, so threads may share them.
decode = msgspec.json.Decoder(float_hook=decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def read(data: bytes) -> Any:
    """The document, as `strict_json.parse` gives it; integers as int, all other numbers as Decimal. Raises Doubt."""
    try:
        document = decode(data)
        if _length(document) != len(data.strip()) and (b"\\u003" in data or _encode(document).count(b":") != data.count(b":")):
            raise Doubt
    except TROUBLE:
        raise Doubt from None
    return document


def _length(document: Any) -> int:
    """Of the document when it is written again. Raises Doubt if a piece of it is not surely within bounds."""
    text = _encode(document)
    if _TOO_LONG_SAMPLED in text[::_STEP].translate(_DIGITS) and _TOO_LONG in text.translate(_DIGITS):
        raise Doubt
    entries = document.get("entry") if type(document) is dict else None
    if type(entries) is not list or not entries:
        _bound([text], MAX_DEPTH)
    elif not _is_surely_shallow(entries, text):
        _bound([_encode({**document, "entry": []})], MAX_DEPTH)
        _bound([_encode(entry) for entry in entries], _MAX_INNER)
    return len(text)


def _bound(texts: list[bytes], levels: int) -> None:
    """Raises Doubt if a text may nest deeper, as its brackets show, wherever they stand."""
    if max([text.count(b"{") + text.count(b"[") for text in texts]) > levels:
        raise Doubt


def _is_surely_shallow(entries: list[Any], text: bytes) -> bool:
    """Whether each entry has one `resource`, and there is no other, so that it lies within two neighbours of what they part."""
    parts = text.split(b'"resource":')
    if len(parts) != len(entries) + 1 or not all(type(entry) is dict and "resource" in entry for entry in entries):
        return False
    brackets = [part.count(b"{") + part.count(b"[") for part in parts]
    return max(map(sum, zip(brackets, brackets[1:], strict=False))) <= _MAX_INNER
