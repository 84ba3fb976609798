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
    if _may_hold_long_numbers(data):
        raise Doubt
    try:
        document = _decode(data)
        written = _written(document)
    except _TROUBLE:
        raise Doubt from None
    if not (_is_as_long(written, data) or _has_as_many_members(written, data)):
        raise Doubt
    return document


def _may_hold_long_numbers(data: bytes) -> bool:
    """Whether there is a run of more than MAX_DIGITS digits; a sample is faster where there is none."""
    return _TOO_LONG_SAMPLED in data[::_STEP].translate(_DIGITS) and _TOO_LONG in data.translate(_DIGITS)


def _written(document: Any) -> list[bytes]:
    """The document as text again; of one that has entries, each by itself. Raises Doubt if a piece may be too deep."""
    entries = document.get("entry") if type(document) is dict else None
    if type(entries) is not list or not entries:
        return [_bounded(document, MAX_DEPTH)]
    return [_bounded({**document, "entry": []}, MAX_DEPTH), *[_bounded(entry, _MAX_INNER) for entry in entries]]


def _bounded(value: Any, levels: int) -> bytes:
    """The text of a value that has so few brackets, those in strings included, that it cannot be deeper."""
    text = _encode(value)
    if text.count(b"{") + text.count(b"[") > levels:
        raise Doubt
    return text


def _is_as_long(written: list[bytes], data: bytes) -> bool:
    commas = max(0, len(written) - 2)  # between the entries
    return sum(map(len, written)) + commas == len(data.strip())


def _has_as_many_members(written: list[bytes], data: bytes) -> bool:
    return b"\\u003" not in data and sum(text.count(b":") for text in written) == data.count(b":")
