"""JSON as sent: exact numbers, no second meaning, and defects that cost a resource, not a page."""

from __future__ import annotations

import inspect
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from fhir_elig.errors import DataError
from fhir_elig.sources import strict_json
from fhir_elig.sources.strict_json import fragments, loads, parse
from tests import pace

HEMOGLOBIN = {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}
SOUND = {"resourceType": "Observation", "id": "o1", "code": HEMOGLOBIN, "valueQuantity": {"value": 1}}


def bundle(*resources: str) -> bytes:
    entries = ", ".join(f'{{"fullUrl": "urn:uuid:u{number}", "resource": {text}}}' for number, text in enumerate(resources))
    return f'{{"resourceType": "Bundle", "entry": [{entries}]}}'.encode()


def observation(value: str, **more: Any) -> str:
    body = json.dumps({"resourceType": "Observation", "id": "o2", "code": HEMOGLOBIN, **more})
    return f'{body[:-1]}, "valueQuantity": {{"value": {value}}}}}'


@pytest.mark.parametrize(
    "text", ["7.50", "1.5", "1.50", "0.0", "-0.10", "1E+05", "1e30", "1e-30", "74.99999999", "0." + "0" * 39]
)
def test_a_decimal_is_kept_as_it_was_sent(text: str) -> None:
    value = loads(text.encode())
    assert isinstance(value, Decimal) and str(value) == str(Decimal(text))


@pytest.mark.parametrize("text", ["0", "-7", "9" * 40, "-" + "9" * 40])
def test_an_integer_is_an_int(text: str) -> None:
    assert type(loads(text.encode())) is int and loads(text.encode()) == int(text)


@pytest.mark.parametrize(
    "text",
    [
        "NaN", "Infinity", "-Infinity", "1e400", "1e31", "1e-31", "1E+31", "1e9999999", "-1e9999999", "9" * 41, "9" * 5000,
        "0." + "1" * 40, "1." + "0" * 100_000, "1e" + "9" * 60,
    ],
)  # fmt: skip
def test_a_number_out_of_bounds_is_refused_at_once(text: str) -> None:
    data = bundle(json.dumps(SOUND), observation(text), json.dumps(SOUND))
    pace.at_most(10, lambda: parse(data))
    parsed = parse(data)
    assert [entry.get("resource", {}).get("id") for entry in parsed.document["entry"]] == ["o1", None, "o1"]
    assert [(refusal.reference, refusal.full_url) for refusal in parsed.refusals] == [("Observation/o2", "urn:uuid:u1")]
    assert parsed.refusals[0].codes == (("http://loinc.org", "718-7"),)
    with pytest.raises(DataError):
        loads(text.encode())


@pytest.mark.parametrize(
    "resource, reference, codes",
    [
        ('{"resourceType": "Observation", "id": "a", "subject": 1, "subject": 2}', "Observation/a", None),
        ('{"resourceType": "Observation", "id": "a", "id": "b"}', "Observation/?", None),
        ('{"resourceType": "Observation", "resourceType": "Condition", "id": "a"}', "?/a", None),
        ('{"resourceType": "Condition", "id": "a", "code": {"coding": [{"system": "s", "code": "c", "code": "d"}]}}', "Condition/a", None),
        ('{"resourceType": "Condition", "id": "a", "code": {"coding": []}, "onsetAge": {"value": NaN}}', "Condition/a", None),
        ('{"resourceType": "Condition", "id": "a", "code": {"coding": [{"code": "c"}]}, "x": NaN}', "Condition/a", None),
        ('{"resourceType": "Condition", "id": "a", "code": {"text": "c"}, "x": NaN}', "Condition/a", None),
        (
            '{"resourceType": "Condition", "id": "a", "code": {"coding": [{"system": "s", "code": "c"}, {"system": "r", "code": "d"}]}, "x": 1, "x": 2}',
            "Condition/a",
            (("r", "d"), ("s", "c")),
        ),
        ('{"resourceType": "MedicationRequest", "id": "a", "medicationReference": {"reference": "#m"}, "x": NaN}', "MedicationRequest/a", None),
        (
            '{"resourceType": "MedicationRequest", "medication": {"concept": {"coding": [{"system": "s", "code": "c"}]}}, "x": NaN}',
            "MedicationRequest/?",
            (("s", "c"),),
        ),
        (
            '{"resourceType": "Observation", "code": {"coding": [{"system": "s", "code": "panel"}]}, "component": [PART]}',
            "Observation/?",
            (("s", "panel"), ("s", "part")),
        ),
        (
            '{"resourceType": "Observation", "code": {"coding": [{"system": "s", "code": "panel"}]}, "component": [NaN]}',
            "Observation/?",
            None,
        ),
        ('{"resourceType": 7, "id": 8, "x": NaN}', "?/?", None),
        ('{"resourceType": "Observation", "component": 7, "x": NaN}', "Observation/?", None),
    ],
)  # fmt: skip
def test_type_id_and_codes_are_told_only_if_they_are_certain(resource: str, reference: str, codes: object) -> None:
    resource = resource.replace(
        "PART", '{"code": {"coding": [{"system": "s", "code": "part"}]}, "valueQuantity": {"value": NaN}}'
    )
    for parsed in (parse(bundle(resource)), parse(resource.encode())):
        assert [(refusal.reference, refusal.codes) for refusal in parsed.refusals] == [(reference, codes)]


def test_a_defect_beside_the_resource_costs_its_entry_only() -> None:
    data = b'{"entry": [{"search": {"score": NaN}, "resource": {"resourceType": "A", "id": "1"}}, {"resource": {"id": "2"}}]}'
    parsed = parse(data)
    assert parsed.document == {"entry": [{}, {"resource": {"id": "2"}}]}
    assert [refusal.reference for refusal in parsed.refusals] == ["A/1"]


def test_an_entry_with_two_resources_gives_up_both() -> None:
    parsed = parse(b'{"entry": [{"resource": {"resourceType": "A", "id": "1"}, "resource": {"resourceType": "B", "id": "2"}}]}')
    assert parsed.document == {"entry": [{}]}
    assert [refusal.reference for refusal in parsed.refusals] == ["A/1", "B/2"]


@pytest.mark.parametrize(
    "data",
    [
        b'{"resourceType": "Bundle", "total": NaN, "entry": [{"fullUrl": "a"}, {"resource": {"resourceType": "A", "id": "1"}}]}',
        b'{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "A", "id": "1"}}], "type": "a", "type": "b"}',
        b'{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "A", "id": "1"}}, NaN]}',
    ],
)
def test_a_defect_outside_of_every_entry_refuses_the_whole_and_names_what_is_lost(data: bytes) -> None:
    parsed = parse(data)
    assert parsed.document is None and parsed.refused
    assert "A/1" in [refusal.reference for refusal in parsed.refusals]


def test_a_key_named_resource_that_holds_no_resource_contains_nothing() -> None:
    assert parse(b'{"rest": [{"resource": [{"type": NaN}]}]}').refused


@pytest.mark.parametrize(
    "text", ['"\\ud800"', '"\\udc00 b"', '["a", "\\uDFFF"]', '{"\\ud800": 1}', '{"a": "\\ud83d"}', '{"a": {"b": ["\\ude00"]}}']
)
def test_half_a_character_is_refused(text: str) -> None:
    assert parse(text.encode()).refused


def test_bytes_that_are_no_utf8_cost_the_resource_that_holds_them() -> None:
    broken = b'{"resourceType": "Patient", "id": "p", "name": "\xff"}'
    data = bundle(json.dumps(SOUND), "@", json.dumps(SOUND)).replace(b"@", broken)
    parsed = parse(data)
    assert [refusal.reference for refusal in parsed.refusals] == ["Patient/p"]
    assert [entry.get("resource") for entry in parsed.document["entry"]] == [SOUND, None, SOUND]


def test_odd_but_valid_text_is_kept() -> None:
    text = '\u0000 \u202e \U0001f600 \u2028 ]}{[ \\ " \ufeff'
    for data in (json.dumps({"a": text}), json.dumps({"a": text}, ensure_ascii=False)):
        assert loads(data.encode()) == {"a": text}


@pytest.mark.parametrize(
    "data", [b"", b" ", b"{", b'{"a": 1', b'{"a" 1}', b"{} {}", b"\xef\xbb\xbf{}", b"[1,]", b'"\n"', b"tru", b"\xff", b"{'a': 1}"]
)
def test_what_is_no_json_is_a_typed_error_without_content(data: bytes) -> None:
    with pytest.raises(DataError) as caught:
        parse(data)
    assert caught.value.code == "FE0301" and "offset" in str(caught.value) and "'a'" not in str(caught.value)


def test_a_document_past_the_limit_is_an_error() -> None:
    assert loads(b"[1]", limit=3) == [1]
    with pytest.raises(DataError, match="larger"):
        loads(b"[1]", limit=2)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_depth_up_to_the_limit_is_read_and_one_more_is_refused() -> None:
    assert parse(nested(100).encode()).refused == ""
    assert parse(nested(101).encode()).refused
    assert parse(('{"a":' * 100 + "1" + "}" * 100).encode()).refused == ""
    assert parse(('{"a":' * 101 + "1" + "}" * 101).encode()).refused


def test_a_resource_that_is_too_deep_leaves_its_neighbours() -> None:
    deep = f'{{"resourceType": "A", "id": "1", "x": {nested(200)}, "y": "]}}"}}'
    parsed = parse(bundle(json.dumps(SOUND), deep, json.dumps(SOUND)))
    assert [entry.get("resource") for entry in parsed.document["entry"]] == [SOUND, None, SOUND]
    assert [refusal.reference for refusal in parsed.refusals] == ["A/1"]


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b"[" * 3_000_000,
        b'["]",' * 100_000, b'{"a":["]",' * 50_000, b"[" * 150 + b"}" * 150, b"]" * 150 + b"[" * 150, b'"' + b"[" * 150,
        b"[" * 150 + b"]" * 20,
    ],
)  # fmt: skip
def test_hopeless_nesting_is_a_typed_error_at_once(data: bytes) -> None:
    def refused() -> None:
        with pytest.raises(DataError):
            parse(data)

    pace.at_most(100, refused)


def test_brackets_inside_of_strings_do_not_count() -> None:
    value = {"a": ["[" * 300, "]" * 300, {"b": '"[' * 50, "{": "\\["}] * 60}
    assert loads(json.dumps(value).encode()) == value


def height(node: object) -> int:
    return 1 + max(map(height, node), default=0) if isinstance(node, list) else 0


@given(st.recursive(st.text(alphabet='[]{}"\\,: a', max_size=6), lambda inner: st.lists(inner, max_size=4)), st.integers(90, 115))
def test_the_depth_is_measured_exactly_whatever_the_strings_hold(value: object, depth: int) -> None:
    noise = ["]" * 150, "[" * 150, value]
    wrapped: Any = noise
    for level in range(height(noise), depth):
        wrapped = [noise, wrapped] if level % 2 else [wrapped, "]["]
    assert bool(parse(json.dumps(wrapped).encode()).refused) == (depth > 100)


def test_a_stack_that_is_nearly_used_up_is_a_typed_error() -> None:
    def sink(left: int) -> object:
        return sink(left - 1) if left else parse(nested(100).encode())

    left = sys.getrecursionlimit() - len(inspect.stack()) - 60
    with pytest.raises(DataError, match="too deep"):
        sink(left)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**39), 10**39) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=30,
)


@given(JSON, st.booleans())
def test_sound_json_is_read_as_the_standard_library_reads_it(value: object, ascii_only: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert loads(data) == value


@settings(max_examples=500)
@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\u0123d89eE.-+ntrfals NaI', max_size=60).map(str.encode))
@example(b'{"a":1,"a":')
@example(b'{"a":1}{"b"')
@example(b'{"a":1,{}:')
@example(b'{"a" 1}')
@example(b'{"a"')
def test_any_bytes_give_a_document_or_a_typed_error(data: bytes) -> None:
    try:
        parsed = parse(data)
    except DataError:
        try:
            found, sure = fragments(data)
        except DataError:
            return
        assert all(isinstance(piece, strict_json.Refusal) for piece in found) and isinstance(sure, bool)
    else:
        assert bool(parsed.refused) <= (parsed.document is None and bool(parsed.refusals))


@pytest.mark.parametrize("cut", range(2, len(json.dumps(SOUND))))
def test_a_cut_resource_tells_only_members_that_are_whole(cut: int) -> None:
    found, sure = fragments(json.dumps(SOUND).encode()[:cut])
    (piece,) = found
    assert piece.type in ("", "Observation") and piece.id in ("", "o1")
    assert piece.known.items() <= SOUND.items()
    assert piece.codes is None
    assert sure or cut < len(json.dumps(SOUND))


def test_two_objects_on_a_line_are_both_told() -> None:
    found, sure = fragments(b'{"resourceType": "A", "id": "1"} {"resourceType": "B", "id": "2"}')
    assert sure and [piece.reference for piece in found] == ["A/1", "B/2"]


def test_a_line_that_breaks_in_its_middle_has_no_sure_bounds() -> None:
    found, sure = fragments(b'{"resourceType": "A", "id": "1", "x": ?, "y": 2}')
    assert not sure and found[0].reference == "A/1"


def test_a_cut_text_with_half_a_character_tells_no_more_than_it_should() -> None:
    found, _ = fragments(b'{"resourceType": "A\xff", "id": "1", "x"')
    assert found[0].reference == "?/1"


def test_threads_do_not_share_their_defects() -> None:
    def work(number: int) -> bool:
        data = bundle(observation("NaN" if number % 2 else "1.5"), json.dumps(SOUND))
        return all(len(parse(data).refusals) == number % 2 for _ in range(200))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(16)))


def test_a_failed_document_leaves_nothing_behind() -> None:
    with pytest.raises(DataError):
        parse(b'{"a": NaN, "b"')
    assert parse(b'{"a": 1}') == strict_json.Parsed({"a": 1})
