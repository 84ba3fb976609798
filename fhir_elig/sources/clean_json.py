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
_TROUBLE = (msgspec.MsgspecError, ValueError, RecursionError)


class Doubt(Exception):
    """It is not proved that the text is clean."""


def _decimal(text: str) -> Decimal:
    """Plain digits only: a number with an exponent may grow when it is written again."""
    if len(text) > MAX_DIGITS or "e" in text or "E" in text:
        raise ValueError
    return Decimal(text)


# None of them keeps anything of what it reads, so threads may share them.
_decode = msgspec.json.Decoder(float_hook=_decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def read(data: bytes) -> Any:
    """The document, as `strict_json.parse` gives it; integers as int, all other numbers as Decimal. Raises Doubt."""
    try:
        document = _decode(data)
        if _length(document) != len(data.strip()) and (b"\\u003" in data or _encode(document).count(b":") != data.count(b":")):
            raise Doubt
    except _TROUBLE:
        raise Doubt from None
    return document


def _length(document: Any) -> int:
    """Of the document when it is written again, entry by entry. Raises Doubt if a piece is not surely within bounds."""
    entries = document.get("entry") if type(document) is dict else None
    if type(entries) is not list or not entries:
        return len(_bounded(document, MAX_DEPTH))
    inner = sum([len(_bounded(entry, _MAX_INNER)) for entry in entries])
    return len(_bounded({**document, "entry": []}, MAX_DEPTH)) + inner + len(entries) - 1  # with the commas between them


def _bounded(value: Any, levels: int) -> bytes:
    """The text of a value that nests no deeper and holds no long number, as its brackets and digits show, wherever they stand."""
    text = _encode(value)
    if text.count(b"{") + text.count(b"[") > levels:
        raise Doubt
    if _TOO_LONG_SAMPLED in text[::_STEP].translate(_DIGITS) and _TOO_LONG in text.translate(_DIGITS):
        raise Doubt
    return text
