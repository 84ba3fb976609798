"""Observations of which only the head is kept: record, verdicts and what was set aside are those of the whole chart."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from benchmarks import charts
from fhir_elig import adapters, places
from fhir_elig.assessment import assess
from fhir_elig.cli.pipeline import known_codes
from fhir_elig.concepts import load_concepts
from fhir_elig.criteria.context import Run
from fhir_elig.errors import DataError
from fhir_elig.protocol import load_protocol
from fhir_elig.sources import Chart, skip as skipping, strict_json
from fhir_elig.sources.files import read_bytes
from fhir_elig.sources.skip import Skip
from fhir_elig.times import parse_when
from tests.house.tree import ROOT
from tests.properties.test_clean_json import document, mutilate, shuffled

CONCEPTS = load_concepts(places.mapping_root())
PROTOCOL = load_protocol(places.mapping_root() / "protocols" / "relma-cel-ssc.yaml", CONCEPTS)
MATTERS = known_codes(CONCEPTS)
SKIP = Skip(MATTERS)
COMPACT: dict[str, Any] = {"separators": (",", ":")}
LOINC, LOCAL = "http://loinc.org", "http://hospital.example/codes"
KNOWN, OTHER = {"system": LOINC, "code": "718-7"}, {"system": LOCAL, "code": "X1", "display": "something"}
PATIENT = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01"}
PLAIN = {
    "resourceType": "Observation",
    "id": "o1",
    "meta": {"versionId": "2", "lastUpdated": "2025-05-01T04:00:00Z"},
    "status": "final",
    "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}],
    "code": {"coding": [OTHER], "text": "a test"},
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2025-04-30T08:00:00+02:00",
    "issued": "2025-04-30T09:00:00+02:00",
    "valueQuantity": {"value": 7.5, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"},
    "interpretation": [{"coding": [{"system": "http://x", "code": "H"}]}],
    "referenceRange": [{"low": {"value": 1}, "high": {"value": 9}}],
}


def lines(*resources: Any) -> bytes:
    return (
        b"\n".join(one if isinstance(one, bytes) else json.dumps(one, **COMPACT).encode() for one in (PATIENT, *resources))
        + b"\n"
    )


def patients(data: bytes, slim: Skip | None) -> tuple[list[Chart], str]:
    try:
        source = read_bytes(data, complete="all", slim=slim)
    except DataError as error:
        return [], str(error)
    return list(source), repr((source.errors, source.tally, source.orphans))


def record(chart: Chart) -> Any:
    return adapters.read(
        chart.resources,
        patient=chart.patient,
        settings=adapters.Settings(matters=MATTERS),
        retrieved=chart.retrieved,
        refused=chart.refused,
        identity=chart.identity,
        errors=chart.errors,
    )


def records(data: bytes, slim: Skip | None) -> list[Any]:
    found, rest = patients(data, slim)
    return [*map(record, found), rest]


def nothing_is_lost(data: bytes, slim: Skip = SKIP) -> None:
    assert records(data, slim) == records(data, None)


def test_charts_that_share_elements_give_the_records_of_each_alone() -> None:
    slim, memory = Skip(MATTERS), adapters.Memory(adapters.Settings(matters=MATTERS))
    for seed in (1, 2, 1):
        data = charts.bundle(seed)
        (shared,), (alone,) = patients(data, slim)[0], patients(data, None)[0]
        assert adapters.read(shared.resources, patient=shared.patient, retrieved=shared.retrieved, memory=memory) == record(alone)
    assert len({id(one["code"]) for one in shared.resources if one.get("code") == shared.resources[0]["code"]}) == 1


def is_skipped(resource: Any) -> bool:
    text = resource if isinstance(resource, bytes) else json.dumps(resource, **COMPACT).encode()
    whole, kept = strict_json.parse(text), strict_json.parse(text, slim=SKIP)
    if kept == whole:
        return False
    assert len(kept.document) < len(whole.document)
    return True


def with_(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**PLAIN, **changes}.items() if value is not ...}


def part(*codings: Any, **more: Any) -> dict[str, Any]:
    return {"code": {"coding": list(codings)}, **more}


def test_of_a_test_that_nobody_knows_only_the_head_is_kept() -> None:
    kept = strict_json.parse(json.dumps(PLAIN, **COMPACT).encode(), slim=SKIP).document
    head = {name: PLAIN[name] for name in ("resourceType", "id", "meta", "status", "subject", "effectiveDateTime", "issued")}
    assert kept == {**head, "code": {"coding": [{"system": LOCAL, "code": "X1"}]}}
    nothing_is_lost(lines(PLAIN))


SKIPPED = [
    with_(status="done"), with_(status=...),
    with_(component=[part(OTHER), part(OTHER, valueQuantity={"value": 3})], valueQuantity=...),
    with_(valueQuantity=..., valueCodeableConcept={"coding": [KNOWN]}),
    with_(valueQuantity=..., valueString="718-7"),
    with_(code={"coding": [OTHER, {"system": LOINC, "code": "99999-9"}]}),
    with_(note=..., identifier=[{"system": "http://x", "value": "718-7"}], performer=[{"reference": "Organization/1"}]),
    with_(hasMember=[{"reference": "Observation/o2"}], derivedFrom=[{"reference": "Observation/o3"}], specimen={"reference": "Specimen/1"}),
    with_(meta=...), with_(issued=...), with_(effectiveDateTime=...), with_(effectiveDateTime=..., effectivePeriod={"start": "2025-01"}),
    with_(status="entered-in-error"), with_(status="preliminary"), with_(effectiveDateTime="yesterday"), with_(referenceRange=[7]),
    with_(subject={"reference": "Patient/p2"}), with_(subject={"display": "Doe"}), with_(subject={"reference": "urn:uuid:1"}),
    with_(id="a b"), with_(meta={"versionId": "3", "profile": ["http://x"]}),
]  # fmt: skip


@pytest.mark.parametrize("resource", SKIPPED, ids=range(len(SKIPPED)))
def test_what_cannot_matter_is_skipped_and_tells_the_same(resource: Any) -> None:
    assert is_skipped(resource)
    nothing_is_lost(lines(resource))
    nothing_is_lost(document([PATIENT, resource], COMPACT))


READ = [
    with_(code={"coding": [KNOWN]}), with_(code={"coding": [OTHER, KNOWN]}), with_(code={"coding": [KNOWN, OTHER]}),
    with_(code={"text": "hemoglobin"}), with_(code={"coding": []}), with_(code=...), with_(code=None), with_(code={"coding": [{"display": "x"}]}),
    with_(code={"coding": [OTHER, {"code": "718-7"}]}), with_(code={"coding": [OTHER, {"system": LOINC}]}), with_(code={"coding": [7]}),
    with_(code={"coding": [{"system": LOINC + "/", "code": "718-7 "}]}), with_(code={"coding": [{"system": "urn:oid:2.16.840.1.113883.6.1", "code": "718-7"}]}),
    with_(component=[part(OTHER), part(KNOWN)]), with_(component=[part()]), with_(component=[{"valueQuantity": {"value": 1}}]),
    with_(component=[part(OTHER, modifierExtension=[{"url": "http://x"}])]), with_(component=[part(OTHER, dataAbsentReason={"text": "x"})]),
    with_(contained=[{"resourceType": "Observation", "code": {"coding": [KNOWN]}}]), with_(extension=[{"url": "http://x", "valueString": "718-7"}]),
    with_(modifierExtension=[{"url": "http://x", "valueBoolean": True}]), with_(implicitRules="http://x"), with_(patient={"reference": "Patient/p2"}),
    with_(meta={"security": [{"system": "http://x", "code": "R"}]}), with_(meta={"tag": [{"code": "SUBSETTED"}]}), with_(meta="x"),
    with_(status=None), with_(id=...), with_(id=7), with_(subject=...), with_(subject=[]),
    with_(dataAbsentReason={"text": "unknown"}), with_(valueQuantity=..., valueBoolean=True), with_(_status={"id": "1"}), with_(method={"text": "m"}),
    with_(interpretation=[7]), with_(interpretation=[{"coding": [{"code": 7}]}]), with_(interpretation={"coding": "H"}),
    with_(valueQuantity={"value": "7"}), with_(valueQuantity={"value": 7, "extension": []}), with_(valueQuantity={"value": [1]}),
    with_(valueQuantity=..., valueCodeableConcept={"extension": [], "text": "x"}), with_(valueQuantity=..., valueCodeableConcept=[]),
    with_(category=[{"coding": [{"system": "a\\b"}]}]), with_(referenceRange=[{"text": "x" * 3000}]), with_(effectiveInstant="2025-01-01T00:00:00Z"),
    with_(code={"coding": [{**OTHER, "extension": [{"valueReference": {"reference": "Patient/1"}}]}]}), {**PLAIN, "resourceType": "Condition"},
]  # fmt: skip


@pytest.mark.parametrize("resource", READ, ids=range(len(READ)))
def test_what_may_matter_or_is_unusual_is_read_whole(resource: Any) -> None:
    assert not is_skipped(resource)
    nothing_is_lost(lines(resource))
    nothing_is_lost(document([PATIENT, resource], COMPACT))


TEXT = json.dumps(PLAIN, **COMPACT).encode()
DEFECTS = [
    TEXT.replace(b'"status"', b'"status":"final","status"'), TEXT.replace(b'"versionId"', b'"versionId":"1","versionId"'),
    TEXT.replace(b'"code":"X1"', b'"code":"X1","code":"718-7"'), TEXT.replace(b'"low":', b'"low":1,"low":'), TEXT.replace(b"7.5", b"1e9999999"),
    TEXT.replace(b"7.5", b"7" * 41), TEXT.replace(b"7.5", b"NaN"), TEXT.replace(b'"value":9', b'"value":1e400'), TEXT.replace(b"a test", b"a \xff"),
    TEXT.replace(b"g/dL", b"g\\/dL"), TEXT.replace(b"X1", b"\\u0058\\u0031"), TEXT.replace(b"X1", b"\\ud800"), TEXT.replace(b'"code":{', b'"c\\u006fde":{'),
    TEXT[:-1], TEXT[:-30], TEXT + b"}", TEXT.replace(b'"H"', b"H"), TEXT.replace(b":", b": "), TEXT.replace(b'{"low"', b'{"a":' + b"[" * 99 + b"]" * 99 + b',"low"'),
]  # fmt: skip


@pytest.mark.parametrize("text", DEFECTS, ids=range(len(DEFECTS)))
def test_a_defect_or_an_escape_anywhere_is_met_as_without_skipping(text: bytes) -> None:
    nothing_is_lost(lines(with_(id="o2"), text, text, with_(id="o3")))
    nothing_is_lost(
        b'{"resourceType":"Bundle","entry":[{"resource":' + json.dumps(PATIENT).encode() + b'},{"resource":' + text + b"}]}"
    )


def test_two_copies_that_differ_only_in_what_nobody_reads_tell_of_one_contact() -> None:
    data = lines(PLAIN, with_(valueQuantity={"value": 8}))
    (kept,), (whole,) = patients(data, SKIP)[0], patients(data, None)[0]
    assert [(one.reference, one.time) for one in record(kept).contacts] == [
        (one.reference, one.time) for one in record(whole).contacts[:1]
    ]
    assert verdicts(kept) == verdicts(whole)
    nothing_is_lost(lines(PLAIN, with_(code={"coding": [KNOWN]})))  # one of them may matter


def verdicts(chart: Chart) -> Any:
    as_of = parse_when(charts.AS_OF.isoformat())
    assert as_of is not None
    return assess(PROTOCOL, record(chart), Run(as_of=as_of))


CODES = [
    KNOWN,
    OTHER,
    {"system": LOINC, "code": "99999-9"},
    {"code": "718-7"},
    {"system": LOCAL},
    {"system": LOINC, "code": "2160-0"},
]


def drawn(number: int, draw: random.Random) -> dict[str, Any]:
    """An Observation with codings, components, contained resources and odd elements at random."""
    some = lambda: draw.choices(CODES, (2, 8, 4, 1, 1, 2), k=draw.choice((1, 1, 1, 2, 3)))  # noqa: E731
    changes: dict[str, Any] = {"id": f"o{number}", "code": {"coding": some()}}
    for chance, name, value in (
        (0.3, "component", [part(*some(), valueQuantity={"value": draw.randint(0, 9)}) for _ in range(draw.randint(1, 3))]),
        (0.1, "contained", [{"resourceType": "Observation", "code": {"coding": some()}}]),
        (0.1, "modifierExtension", [{"url": "http://x"}]),
        (0.2, "status", draw.choice(("preliminary", "amended", "cancelled", "done"))),
        (0.2, "effectiveDateTime", draw.choice(("2025", "2025-05", "2024-02-30", "2025-06-01T00:00:00Z", None))),
        (0.1, "interpretation", draw.choice(([{"text": "high"}], [7], "H"))),
        (0.1, "meta", {"security": [{"code": "R"}]}),
        (0.1, "subject", draw.choice(({"reference": "Patient/p2"}, {"reference": "Patient/p1/_history/2"}, {}))),
        (0.1, "text", {"status": "generated", "div": '<div xmlns="x">718-7</div>'}),
    ):
        if draw.random() < chance:
            changes[name] = value
    return with_(**changes)


def chart_of(seed: int, size: int) -> tuple[list[Any], random.Random]:
    draw = random.Random(seed)
    return [PATIENT, *(shuffled(drawn(number, draw), draw) for number in range(size))], draw


STYLES: list[dict[str, Any]] = [COMPACT, {**COMPACT, "ensure_ascii": False}, {}, {"indent": 2}]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8), st.sampled_from(STYLES), st.integers(0, 2), st.booleans())
@example(0, 1, COMPACT, 0, True)
def test_generated_charts_give_the_same_record(seed: int, size: int, style: dict[str, Any], hits: int, by_line: bool) -> None:
    resources, draw = chart_of(seed, size)
    compact = {name: value for name, value in style.items() if name != "indent"}
    text = "\n".join(json.dumps(one, **compact) for one in resources).encode() if by_line else document(resources, style)
    data = bytearray(text)
    for _ in range(hits):
        mutilate(data, draw)
    nothing_is_lost(bytes(data))


@pytest.mark.parametrize("seed", range(3))
def test_a_hospital_s_chart_gives_the_same_record_and_many_results_are_skipped(seed: int) -> None:
    data = charts.bundle(seed)
    nothing_is_lost(data)
    (kept,) = patients(data, SKIP)[0]
    results = [one for one in kept.resources if one["resourceType"] == "Observation"]
    assert sum("category" not in one for one in results) > len(results) / 3
    (whole,) = patients(data, None)[0]
    assert verdicts(kept) == verdicts(whole)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "fixtures" / "patients").rglob("bundle.json"))[::4], ids=lambda path: path.parent.name
)
def test_an_example_patient_gives_the_same_record(path: Any) -> None:
    document = json.loads(path.read_bytes(), parse_float=str)
    nothing_is_lost(path.read_bytes())
    nothing_is_lost(json.dumps(document, **COMPACT).encode())


def corpus() -> Iterator[bytes]:
    for resource in (*READ, *SKIPPED):
        yield lines(resource)
    yield from (lines(text) for text in DEFECTS)
    for seed in range(60):
        yield lines(*chart_of(seed, 4)[0][1:])


def _patched(patch: pytest.MonkeyPatch, **values: Any) -> Skip:
    for name, value in values.items():
        patch.setattr(skipping, name, value)
    return Skip(MATTERS)


def _forgetful(patch: pytest.MonkeyPatch, names: frozenset[str] | None) -> Skip:
    """One that does not see whether the whole text was read, and of which elements it reads these only (None: all)."""
    decode, texts = skipping._decode, [b""]

    def read(text: bytes) -> Any:
        texts[0] = text
        if names is None:
            return decode(text)
        return decode(json.dumps({name: value for name, value in json.loads(text).items() if name in names}).encode())

    return _patched(patch, _decode=read, _encode=lambda seen: texts[0])


def _sure(*_: Any) -> bool:
    return True


NAMES = frozenset(skipping._Observation.__struct_fields__)
EAGER: dict[str, Callable[[pytest.MonkeyPatch], Skip]] = {
    "every code": lambda patch: Skip(lambda codes: False),
    "the first coding alone": lambda patch: Skip(lambda codes: MATTERS(codes[:1])),
    "keys that stand twice": lambda patch: _forgetful(patch, None),
    "whatever else it has": lambda patch: _forgetful(patch, NAMES),
    "the components of any code": lambda patch: _forgetful(patch, NAMES - {"component"}),
    "elements with defects": lambda patch: _patched(patch, is_clean=_sure),
    "flags of any shape": lambda patch: _patched(patch, _is_flag=_sure),
    "answers of any shape": lambda patch: _patched(patch, _is_answer=_sure),
    "any number": lambda patch: _patched(patch, is_number=_sure),
}


@pytest.mark.parametrize("what", EAGER)
def test_these_comparisons_find_a_skip_that_is_too_eager(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    eager = EAGER[what](monkeypatch)
    assert any(records(data, eager) != records(data, None) for data in corpus())


def test_a_test_that_was_seen_before_is_known_by_its_whole_code() -> None:
    long = {"system": LOCAL, "code": "X" * 150}
    for codings in ([long], [long, KNOWN], [long, OTHER], [long], [long, KNOWN]):
        resource = with_(code={"coding": codings})
        assert is_skipped(resource) == (KNOWN not in codings)
        nothing_is_lost(lines(resource))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skipping, "_REMEMBERED", 3)
    slim = Skip(MATTERS)
    for number in range(10):
        text = json.dumps(
            with_(code={"coding": [{"system": LOCAL, "code": f"X{number}"}]}, referenceRange=[{"text": str(number)}]), **COMPACT
        )
        assert slim(text.encode()) is not None
        assert slim(text.replace('"H"', f'"H{number}"').encode()) is not None
        assert len(slim._tests) <= 3
    for number in range(50):
        assert slim(text.replace('"H"', f'"L{number}"').encode()) is not None
    assert max(len(test.flags) for test in slim._tests.values()) == skipping._ALIKE
