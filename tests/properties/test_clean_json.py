"""The fast reading of JSON against the strict one: where it does not doubt, both say the same, defects included."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings, strategies as st

from benchmarks import charts
from fhir_elig.errors import DataError
from fhir_elig.sources import clean_json, strict_json

STYLES: list[dict[str, Any]] = [
    {"separators": (",", ":")},
    {"separators": (",", ":"), "ensure_ascii": False},
    {},
    {"indent": 2, "ensure_ascii": False},
    {"indent": "\t"},
]
SMALL = [one for one in charts.chart(7) if one["id"].endswith(("-1", "-7", "p7"))]
NUMBERS = [
    b"7.50", b"-0", b"-0.0", b"0.0000001", b"1e5", b"1E-3", b"1e400", b"1e9999999", b"NaN", b"-Infinity", b"9" * 40, b"9" * 41,
    b"-" + b"9" * 41, b"0." + b"1" * 39, b"0." + b"1" * 45, b"1" + b"0" * 300, b"01", b"1.", b"+1", b"18446744073709551616",
]  # fmt: skip


def strictly(data: bytes) -> str:
    """What the strict reading alone says, types included."""
    return outcome(lambda: strict_json._parse_strictly(data))


def outcome(read: Any) -> str:
    try:
        parsed = read()
    except DataError as error:
        return f"{error.code} {error}"
    return repr(msgspec.structs.replace(parsed, document=in_order(parsed.document)))


def in_order(value: Any) -> Any:
    """The same, with the members of each object by their names: in JSON their order means nothing."""
    if isinstance(value, dict):
        return {name: in_order(value[name]) for name in sorted(value)}
    return [in_order(one) for one in value] if isinstance(value, list) else value


def same(data: bytes) -> None:
    assert outcome(lambda: strict_json.parse(data)) == strictly(data)


def is_fast(data: bytes) -> bool:
    try:
        clean_json.read(data)
    except clean_json.Doubt:
        return False
    return True


def document(resources: list[Any], style: dict[str, Any]) -> bytes:
    entries = [{"fullUrl": f"urn:uuid:u{index}", "resource": one} for index, one in enumerate(resources)]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}, **style).encode()


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_a_sound_chart_is_read_fast_and_the_same(indent: int | None) -> None:
    data = charts.bundle(3, indent)
    assert is_fast(data) and is_fast(b" \r\n" + data + b"\n")
    same(data)


@pytest.mark.parametrize("resource", charts.chart(5)[::20], ids=lambda one: str(one["id"]))
def test_a_sound_resource_is_read_fast_and_the_same(resource: dict[str, Any]) -> None:
    for style in STYLES:
        data = json.dumps(resource, **style).encode()
        assert is_fast(data)
        same(data)


@pytest.mark.parametrize(
    "inner",
    [
        '"a": 1, "a": 1', '"a": 1, "\\u0061": 1', '"a": {"b": 1, "b": "x:y"}', '"a": ":", "a": 2, "c": "\\u003a\\u003a"',
        '"a": 1e31', '"a": 1e400', '"a": NaN', '"a": ' + "9" * 41, '"a": 0.' + "1" * 41, '"a": "\\ud800"', '"\\udc00": 1',
        '"a": ' + "[" * 100 + "]" * 100, '"a": ' + '{"b":' * 100 + "1" + "}" * 100, '"a": "\x01"', '"a": 01', '"a": "\\x"', '"a": [1,]',
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ['{"resourceType": "A", "id": "1", @}', '{"resourceType": "Bundle", "entry": [{"resource": {"id": "1"}}], @}',
                                   '{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "A", @}}, {"resource": {"id": "2"}}]}',
                                   '{"resourceType": "Bundle", "entry": [{"resource": {"id": "1"}, @}]}'])  # fmt: skip
def test_a_defect_is_never_read_fast(inner: str, place: str) -> None:
    data = place.replace("@", inner).encode()
    assert not is_fast(data)
    assert not is_fast(data.replace(b": ", b":").replace(b", ", b","))
    same(data)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:20].decode())
def test_a_number_is_the_same_or_a_doubt(number: bytes) -> None:
    for text in (b'{"a":@}', b'{"a": [@, @]}', b"@", b'{"resourceType":"Bundle","entry":[{"resource":{"value":@}}]}'):
        same(text.replace(b"@", number))


@pytest.mark.parametrize("name", ["extension", "entry", "issues"])
def test_a_bundle_with_unusual_members_is_read_the_same(name: str) -> None:
    wide = document(charts.chart(2)[::10], {"separators": (",", ":")})
    same(wide[:-1] + f',"{name}":[]}}'.encode())


@pytest.mark.parametrize("length", range(38, 52))
@pytest.mark.parametrize("shift", range(4))
def test_a_run_of_digits_is_found_wherever_it_stands(length: int, shift: int) -> None:
    data = b'{"a' + b"a" * shift + b'":' + b"1" * length + b"}"
    assert is_fast(data) == (length <= 40)
    same(data)


@pytest.mark.parametrize("depth", [20, 44, 93, 94, 95, 96, 97, 98, 99, 120])
@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")])
def test_depth_in_a_bundle_is_bounded_as_the_strict_reading_bounds_it(depth: int, pair: tuple[str, str]) -> None:
    deep = f'{{"resourceType":"A","id":"1","x":{pair[0] * depth}1{pair[1] * depth}}}'.encode()
    parts = [json.dumps(one).encode() for one in SMALL[:8]] + [deep]
    data = b'{"resourceType":"Bundle","entry":[' + b",".join(b'{"resource":' + part + b"}" for part in parts) + b"]}"
    same(data)
    same(data[:-1] + b',"meta":' + pair[0].encode() * depth + b"1" + pair[1].encode() * depth + b"}")


def keys(data: bytes) -> list[int]:
    """Where a member begins, as far as a search can tell."""
    return [
        index for index in range(len(data)) if data[index : index + 1] == b'"' and data[index - 1 : index] in (b"{", b",", b" ")
    ]


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(STYLES), st.integers(1, 8))
@example(0, STYLES[0], 1)
def test_mutilated_reordered_and_doubled_documents_are_read_the_same(seed: int, style: dict[str, Any], size: int) -> None:
    draw = random.Random(seed)
    resources = draw.sample(SMALL, min(size, len(SMALL)))
    data = bytearray(document([shuffled(one, draw) for one in resources], style))
    for _ in range(draw.randint(0, 2)):
        mutilate(data, draw)
    same(bytes(data))


def shuffled(node: Any, draw: random.Random) -> Any:
    if isinstance(node, list):
        return [shuffled(one, draw) for one in node]
    if isinstance(node, dict):
        return {key: shuffled(node[key], draw) for key in draw.sample(sorted(node), len(node))}
    return node


def mutilate(data: bytearray, draw: random.Random) -> None:
    """One change such as transport, storage or a careless writer makes."""
    start = draw.randrange(len(data))
    stop = min(len(data), start + draw.choice((1, 1, 2, 9, 60)))
    member = draw.choice(keys(bytes(data)) or [0])
    change = draw.choice(("lose", "double", "member", "byte", "number", "escape", "swap"))
    if change == "lose":
        del data[start:stop]
    elif change == "double":
        data[start:start] = data[start:stop]
    elif change == "member":
        data[member:member] = data[member : data.find(b'"', data.find(b":", member) + 2) + 1] + b","
    elif change == "byte":
        data[start:stop] = bytes([draw.randrange(256)])
    elif change == "number":
        data[start:stop] = draw.choice(NUMBERS)
    elif change == "escape":
        data[start:stop] = draw.choice((b"\\u003a", b"\\u0061", b"\\ud800", b"\\/", b'\\"', b"\\\\", b"\xff", b"\xed\xa0\x80"))
    else:
        data[start:stop] = reversed(data[start:stop])


TEXT = st.text(alphabet='{}[]":,\\a\u00e9\U0001f600\u2028 /0', max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3).map(float) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=400, deadline=None)
@given(JSON, st.sampled_from(STYLES), st.randoms(use_true_random=False))
def test_any_json_with_any_member_doubled_is_read_the_same(value: Any, style: dict[str, Any], draw: random.Random) -> None:
    data = json.dumps(value, **style).encode()
    same(data)
    places = [index for index in range(len(data)) if data[index : index + 1] == b"{"]
    for place in draw.sample(places, min(3, len(places))):
        same(data[: place + 1] + b'"a":":",' + data[place + 1 :])
        same(data[: place + 1] + b'"a":1,"a":"\\u003a",' + data[place + 1 :])


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=40) | st.text(alphabet='{}[]",:\\u003a0e.-+ntrfals ', max_size=40).map(str.encode))
def test_any_bytes_are_read_the_same(data: bytes) -> None:
    same(data)
    same(b'{"resourceType":"Bundle","entry":[{"resource":' + data + b"}]}")
