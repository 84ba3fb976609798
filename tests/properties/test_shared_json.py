"""Elements that are read once for many resources: the document is the one that any other reading gives, defects included."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from benchmarks import charts
from fhir_elig import adapters
from fhir_elig.errors import DataError
from fhir_elig.sources import clean_json, shared_json, strict_json
from fhir_elig.sources.clean_json import Doubt
from fhir_elig.sources.files import read_bytes
from tests.house.tree import ROOT
from tests.properties.test_clean_json import SMALL, document, mutilate, same, shuffled

COMPACT: dict[str, Any] = {"separators": (",", ":")}
CODE = {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}


def bundle(*resources: str) -> bytes:
    entries = ",".join('{"resource":' + resource + "}" for resource in resources)
    return ('{"resourceType":"Bundle","type":"collection","entry":[' + entries + "]}").encode("utf-8", "surrogateescape")


def result(identity: str, code: Any = CODE, **more: Any) -> str:
    return json.dumps({"resourceType": "Observation", "id": identity, "code": code, **more}, **COMPACT)


def codes(data: bytes) -> list[Any]:
    return [entry["resource"]["code"] for entry in shared_json.read(data)["entry"]]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("indent", [None, 2])
def test_a_chart_is_the_one_that_is_read_without_sharing(seed: int, indent: int | None) -> None:
    data = charts.bundle(seed, indent)
    assert repr(shared_json.read(data)) == repr(clean_json.read(data)) == repr(strict_json._parse_strictly(data).document)


def test_equal_elements_of_one_document_are_one_object() -> None:
    one, two, other = codes(bundle(result("a"), result("b"), result("c", {"text": "x"})))
    assert one is two and one == CODE and other == {"text": "x"}


def test_no_object_is_shared_by_two_documents() -> None:
    data = bundle(result("a"))
    assert codes(data)[0] is not codes(data)[0]


@pytest.mark.parametrize(
    "code",
    [
        {"text": "x" * 3000},
        {"text": 'an "escape"'},
        {"extension": [{"valueReference": {"reference": "Patient/1"}}]},
        {"a": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]},
        None,
    ],
    ids=["long", "escaped", "reference", "deep", "null"],
)
def test_an_element_that_could_be_changed_or_is_unusual_is_read_with_its_resource(code: Any) -> None:
    data = bundle(result("a", code), result("b", code))
    one, two = codes(data)
    assert one == two == code and (one is not two or code is None)
    same(data)


def test_references_of_a_linked_bundle_are_rewritten_in_every_resource() -> None:
    linked = {"extension": [{"url": "x", "valueReference": {"reference": "urn:uuid:p"}}], **CODE}
    resources = [{"resourceType": "Patient", "id": "p1"}]
    resources += [json.loads(result(name, linked, subject={"reference": "urn:uuid:p"})) for name in "ab"]
    urls = ("urn:uuid:p", "urn:uuid:a", "urn:uuid:b")
    entries = [{"fullUrl": url, "resource": one} for url, one in zip(urls, resources, strict=True)]
    data = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}, **COMPACT).encode()
    for _ in range(2):  # what was remembered of the first reading is not what it was rewritten to
        (chart,) = read_bytes(data)
        found = [one["code"]["extension"][0]["valueReference"] for one in chart.resources if "code" in one]
        assert found == [{"reference": "Patient/p1"}] * 2
        assert codes(bundle(result("c", linked)))[0] == linked


def test_what_a_search_says_of_an_entry_is_kept_and_a_change_is_no_usual_entry() -> None:
    resource = json.loads(result("a"))
    entries = [
        {"fullUrl": "https://x/Observation/a", "resource": resource, "search": {"mode": "match", "score": 0.50}},
        {"resource": resource, "search": {"mode": "outcome"}},
        {"resource": resource, "search": None},
        {"resource": resource, "request": {"method": "DELETE", "url": "Observation/a"}},
        {"resource": resource, "link": []},
        {"resource": resource, "response": {"status": "200"}},
        {"resource": {**resource, "code": {"text": "x", "extension": [{"url": "y"}]}, "extension": []}},
    ]
    data = json.dumps({"resourceType": "Bundle", "entry": entries}, **COMPACT).encode()
    assert shared_json.read(data) == json.loads(data, parse_float=Decimal)
    same(data)
    spaced = data.replace(b'"extension":[]', b'"extension": []')
    assert shared_json.read(spaced) == json.loads(data, parse_float=Decimal)
    same(spaced)
    same(data.replace(b'"url":"y"', b'"url":"y","url":"z"'))
    same(data.replace(b'"score":0.5', b'"score":1e400'))


DEFECTS = [
    '{"a":1,"a":1}', '{"coding":[{"code":"x","code":"y"}]}', '{"a":1,"\\u0061":1}', '{"a":1e400}', '{"a":1e31}', '{"a":NaN}',
    '{"a":' + "9" * 41 + "}", '{"a":"\\ud800"}', '{"a":"\x01"}', '{"a":01}', "[1,]", "{" * 60 + "}" * 60,
    '{"a":' + "[" * 100 + "]" * 100 + "}", '{"text":"\udcff"}',
]  # fmt: skip


@pytest.mark.parametrize("element", DEFECTS)
@pytest.mark.parametrize("name", ["code", "interpretation", "referenceRange", "medicationCodeableConcept", "subject"])
def test_a_defect_in_an_element_is_never_read_fast_nor_remembered_as_sound(name: str, element: str) -> None:
    resource = f'{{"resourceType":"Observation","id":"a","{name}":{element}}}'
    data = bundle(result("b"), resource, resource)
    for _ in range(2):
        with pytest.raises(Doubt):
            shared_json.read(data)
    same(data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"resourceType":"Bundle","entry":[],"entry":[{"resource":{"resourceType":"A","id":"1"}}]}',
        b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"A"},"resource":{"resourceType":"B"}}]}',
        b'{"resourceType":"Bundle","entry":[{"fullUrl":"a","fullUrl":"b","resource":{"resourceType":"B"}}]}',
        b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"B","code":{"text":"a"},"code":{"text":"a"}}}]}',
        b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"B","code":1,"c\\u006fde":1}}]}',
        b'{"resourceType":"Bundle","resourceType":"Bundle","entry":[{"resource":{"resourceType":"B"}}]}',
        b'{"resourceType":"Bundle","entry":[{"resource":{"code":1}},{"resource":{"code":1,"code":1}}]}',
    ],
)
def test_a_key_that_stands_twice_is_found_at_every_level(data: bytes) -> None:
    with pytest.raises(Doubt):
        shared_json.read(data)
    same(data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"resourceType":"Bundle"}', b'{"resourceType":"Bundle","entry":[]}', b'{"resourceType":"Bundle","entry":null}',
        b'{"resourceType":"Bundle","entry":[7]}', b'{"resourceType":"Bundle","entry":[{}]}', b'["Bundle"]', b'"Bundle"',
        b'{"resourceType":"Bundle","entry":[{"resource":7}]}', b'{"resourceType":"Bundle","entry":[{"resource":{}}]}',
        b'{"resourceType":"Bundle","entry":[{"resource":{"code":{}},"x":1}]}', b'{"resourceType":"Bundle","entry":[{"resource":{"code":0}}]}',
        b'\xef\xbb\xbf{"resourceType":"Bundle","entry":[]}', b'{"resourceType":"Bundle","entry":[]} x', b'{"resourceType":"Bundle","entry":[',
        b'{"resourceType":"Patient","x":"Bundle"}', b' {"resourceType":"Bundle","entry":[{"resource":{"code":[ 1 , 2 ]}}]}\n',
        b'{"entry":[{"resource":{"resource":{"resource":1}}},{}],"resourceType":"Bundle"}',
    ],
)  # fmt: skip
def test_an_unusual_bundle_is_read_the_same(data: bytes) -> None:
    same(data)


@pytest.mark.parametrize("depth", [38, 39, 40, 41, 46, 60, 93, 94, 95, 96, 97, 98])
@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}"), ('{"resource":', "}"), ('[{"a":', "}]")])
@pytest.mark.parametrize("name", ["code", "x"])
def test_depth_is_bounded_as_the_strict_reading_bounds_it(depth: int, pair: tuple[str, str], name: str) -> None:
    deep = pair[0] * depth + "1" + pair[1] * depth
    same(bundle(*[result(str(number)) for number in range(depth)], f'{{"resourceType":"A","id":"1","{name}":{deep}}}'))


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8), st.booleans())
@example(0, 1, True)
def test_mutilated_reordered_and_doubled_bundles_are_read_the_same(seed: int, size: int, ascii_only: bool) -> None:
    draw = random.Random(seed)
    resources = [shuffled(one, draw) for one in draw.sample(SMALL, min(size, len(SMALL)))]
    data = bytearray(document([one for one in resources for _ in range(2)], {**COMPACT, "ensure_ascii": ascii_only}))
    for _ in range(draw.randint(0, 2)):
        mutilate(data, draw)
    same(bytes(data))


def records(data: bytes) -> list[str]:
    """Every patient's record, or why nothing could be read."""
    try:
        source = read_bytes(data, complete="all")
    except DataError as error:
        return [str(error)]
    made = [
        adapters.read(
            one.resources,
            patient=one.patient,
            settings=adapters.Settings(matters=lambda codes: "|718-7" in codes[0]),
            retrieved=one.retrieved,
            refused=one.refused,
            identity=one.identity,
            errors=one.errors,
        )
        for one in source
    ]
    return [repr(made), repr(source.errors), repr(source.tally)]


def records_are_the_same(data: bytes) -> None:
    fast = records(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_json, "read", doubtful)
        assert fast == records(data)


def doubtful(data: bytes, slim: Any = None) -> Any:
    raise Doubt


@pytest.mark.parametrize(
    "path", sorted((ROOT / "fixtures" / "patients").rglob("bundle.json"))[::5], ids=lambda path: path.parent.name
)
def test_the_record_of_an_example_patient_is_the_one_of_the_strict_reading(path: Any) -> None:
    data = path.read_bytes()
    records_are_the_same(data)
    records_are_the_same(json.dumps(json.loads(data), **COMPACT).encode())


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12), st.booleans())
def test_the_record_of_a_mutilated_chart_is_the_one_of_the_strict_reading(seed: int, size: int, linked: bool) -> None:
    draw = random.Random(seed)
    chosen = [*draw.sample(SMALL, min(size, len(SMALL))), *(one for one in SMALL if one["resourceType"] == "Patient")]
    data = bytearray(document([shuffled(one, draw) for one in chosen for _ in range(2)], COMPACT))
    if linked:
        data = data.replace(b'"Patient/p7"', b'"urn:uuid:u%d"' % (len(chosen) * 2 - 1))
    for _ in range(draw.randint(0, 2)):
        mutilate(data, draw)
    records_are_the_same(bytes(data))


def test_an_address_is_followed_wherever_an_entry_may_stand() -> None:
    """Also where the key `entry` is written with an escape."""
    resources = [{"resourceType": "Patient", "id": "p1"}, json.loads(result("a", subject={"reference": "urn:uuid:p"}))]
    entries = [{"fullUrl": url, "resource": one} for url, one in zip(("urn:uuid:p", "urn:uuid:a"), resources, strict=True)]
    data = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}, **COMPACT).encode()
    for text in (data, data.replace(b'"entry"', b'"\\u0065ntry"'), data + b"\n" + json.dumps(resources[0]).encode()):
        (chart,) = read_bytes(text)
        assert [one["subject"] for one in chart.resources if "subject" in one] == [{"reference": "Patient/p1"}]
