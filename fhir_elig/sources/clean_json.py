"""JSON at the speed of C, where it can be proved that nothing is wrong with it.

msgspec takes the last of two equal keys and numbers of any size. Here its document is used only if it accounts for the whole
text: written again, it is exactly as long (no token grows when it is written again, so none was dropped), or has as many
colons (each member has one, and none came out of an escape). Numbers and depth are bounded by cheap tests that may doubt
sound data. Whoever gets a `Doubt` reads with `strict_json`, which finds the defect, if there is one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import Raw

MAX_DEPTH = 100
MAX_DIGITS = 40
_MAX_INNER = MAX_DEPTH - 2  # levels of an entry below a Bundle and its list of entries
_BEGINNING = 8192
_STEP = 4  # a run of digits that is too long shows in one byte of so many
_DIGITS = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
_TOO_LONG = b"0" * (MAX_DIGITS + 1)
_TOO_LONG_SAMPLED = b"0" * ((MAX_DIGITS + 1) // _STEP)

# What a decoder or encoder raises for data that it cannot take; the stack may be nearly used up.
_TROUBLE = (msgspec.MsgspecError, ValueError, RecursionError)


class Doubt(Exception):
    """It is not proved that the text is clean."""


class _Bundle(msgspec.Struct, forbid_unknown_fields=True):
    """A Bundle's members as bytes; any but the usual ones is a Doubt."""

    resourceType: Literal["Bundle"]
    entry: list[Raw]
    id: Raw = Raw()
    meta: Raw = Raw()
    type: Raw = Raw()
    timestamp: Raw = Raw()
    total: Raw = Raw()
    link: Raw = Raw()
    identifier: Raw = Raw()
    language: Raw = Raw()


_HEAD = _Bundle.__struct_fields__[2:]


def _decimal(text: str) -> Decimal:
    """Plain digits only: a number with an exponent may grow when it is written again."""
    if len(text) > MAX_DIGITS or "e" in text or "E" in text:
        raise ValueError
    return Decimal(text)


# None of them keeps anything of what it reads, so threads may share them.
_decode = msgspec.json.Decoder(float_hook=_decimal).decode
_decode_bundle = msgspec.json.Decoder(_Bundle).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def read(data: bytes) -> Any:
    """The document, as `strict_json.parse` gives it; integers as int, all other numbers as Decimal. Raises Doubt."""
    try:
        if _may_hold_long_numbers(data) or not (_is_shallow(data) or _is_shallow_bundle(data)):
            raise Doubt
        document = _decode(data)
        written = _encode(document)
    except _TROUBLE:
        raise Doubt from None
    if len(written) != len(data.strip()) and (b"\\u003" in data or written.count(b":") != data.count(b":")):
        raise Doubt
    return document


def _may_hold_long_numbers(data: bytes) -> bool:
    """Whether there is a run of more than MAX_DIGITS digits; a sample is faster where there is none."""
    return _TOO_LONG_SAMPLED in data[::_STEP].translate(_DIGITS) and _TOO_LONG in data.translate(_DIGITS)


def _brackets(text: bytes) -> int:
    """The number of opening brackets, those in strings included: nothing nests deeper."""
    return text.count(b"{") + text.count(b"[")


def _is_shallow(data: bytes) -> bool:
    """Whether there are too few brackets to be deep; a long document shows at its beginning that there are not."""
    return _brackets(data[:_BEGINNING]) <= MAX_DEPTH and _brackets(data) <= MAX_DEPTH


def _is_shallow_bundle(data: bytes) -> bool:
    """Whether it is a Bundle each member of which has too few brackets to be deep."""
    bundle = _decode_bundle(data)
    members = [*bundle.entry, *(getattr(bundle, name) for name in _HEAD)]
    return max(map(_brackets, map(bytes, members))) <= _MAX_INNER
