"""JSON as it is written: numbers keep their digits and an object its repeated keys, so that a chart can be cut up and re-ordered."""

from __future__ import annotations

import json
from typing import Any


class Pairs(list[tuple[str, Any]]):
    """An object: its keys and values in the order written, repeated keys included."""


class Digits(str):
    """A number as written."""


def parse(text: str) -> Any:
    """
    >>> parse('{"a": 7.50, "a": true}')
    [('a', '7.50'), ('a', True)]
    """
    return json.loads(text, object_pairs_hook=Pairs, parse_float=Digits, parse_int=Digits, parse_constant=Digits)


def write(value: Any) -> str:
    """
    >>> write(parse('{"a": 7.50, "a": [true, "x"]}'))
    '{"a": 7.50, "a": [true, "x"]}'
    """
    if isinstance(value, Digits):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{json.dumps(key)}: {write(one)}" for key, one in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(write(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)
