"""The verdict matrix: an assessment as rows, compared values as numbers, a protocol as a tree with its limits."""

from __future__ import annotations

import pytest

from fhir_elig import places
from fhir_elig.concepts import Concepts, load_concepts
from fhir_elig.documents import load_document
from fhir_elig.outputs.matrix import Measure, Ruler, measure, rows, rulers
from fhir_elig.outputs.matrix_row import WHOLE
from fhir_elig.outputs.protocol_tree import Tree, tree
from fhir_elig.protocol import Protocol, build_protocol, load_protocol
from fhir_elig.verdict import Assessment, CriterionResult, Evidence, Identified, Reason, Status, Verdict

EVIDENCE = Evidence("Observation/o1", compared="102 g/L", limit=">= 90 g/L", time="2025-05-28")


def assessment(*criteria: CriterionResult) -> Assessment:
    return Assessment(
        patient="Patient/p1", protocol=Identified("one", "1", "0"), mappings={}, package={}, base=None, as_of="2025-06-01",
        milestones={}, retrieved=(), verdict=Verdict.UNKNOWN, status=Status.CANDIDATE, recoverable=False, valid_until=None,
        decisive=(), criteria=criteria,
    )  # fmt: skip


def result(name: str, *evidence: Evidence, parts: tuple[CriterionResult, ...] = ()) -> CriterionResult:
    return CriterionResult(id=name, verdict=Verdict.MET, reason=Reason.IN_RANGE, evidence=evidence, criteria=parts)


def test_the_whole_comes_first_and_parents_before_their_parts() -> None:
    made = list(rows(assessment(result("a", parts=(result("b"),)), result("c")), {}))
    assert [row.criterion for row in made] == [WHOLE, "a", "b", "c"]
    assert (made[0].verdict, made[0].reason) == ("unknown", "candidate")
    assert (made[1].verdict, made[1].reason, made[1].value, made[1].limit, made[1].unit) == ("met", "in-range", None, "", None)


def test_a_row_holds_the_value_in_the_unit_of_its_limit_and_where_it_came_from() -> None:
    row = list(rows(assessment(result("hb", Evidence("Observation/weight", compared="70 kg"), EVIDENCE)), {}))[1]
    assert (row.value, row.value_low, row.value_high, row.unit, row.limit) == (102.0, 102.0, 102.0, "g/L", ">= 90 g/L")
    assert (row.reference, row.time) == ("Observation/o1", "2025-05-28")


def test_evidence_without_a_limit_gives_its_reference_and_no_number() -> None:
    row = list(rows(assessment(result("x", Evidence("Condition/c", compared="2 a", time="2024"))), {}))[1]
    assert (row.value, row.value_low, row.unit, row.reference, row.time) == (None, None, None, "Condition/c", "2024")


@pytest.mark.parametrize(
    ("text", "low", "high", "unit"),
    [
        ("102 g/L", 102.0, 102.0, "g/L"),
        ("1.02", 1.02, 1.02, ""),
        ("-3.5 Cel", -3.5, -3.5, "Cel"),
        ("50 to 55 %", 50.0, 55.0, "%"),
        ("< 5 mg/L", None, 5.0, "mg/L"),
        (">= 1000 10*3/uL", 1000.0, None, "10*3/uL"),
    ],
)
def test_a_compared_value_is_read_as_an_interval(text: str, low: float | None, high: float | None, unit: str) -> None:
    assert measure(text) == Measure(low, high, unit)


def test_only_a_closed_point_is_one_number() -> None:
    assert Measure(5.0, 5.0, "").point == 5.0
    assert Measure(5.0, 6.0, "").point is None
    assert Measure(None, 6.0, "").point is None


@pytest.mark.parametrize("text", ["", "not clear", "2024-02-07 to 2024-02-07", "diffuse", "5 6", "1 U of blood"])
def test_what_is_no_number_is_not_read_as_one(text: str) -> None:
    assert measure(text) is None


@pytest.fixture(scope="module")
def concepts() -> Concepts:
    return load_concepts(places.mapping_root())


@pytest.fixture(scope="module")
def shipped(concepts: Concepts) -> Protocol:
    return load_protocol(places.mapping_root() / "protocols" / "relma-cel-ssc.yaml", concepts)


def found(node: Tree, name: str) -> list[Tree]:
    here = [node] if node.get("id") == name and "kind" in node else []
    return here + [one for part in node.get("criteria", ()) for one in found(part, name)]


def test_a_tree_has_every_criterion_once_in_the_order_of_the_protocol(shipped: Protocol) -> None:
    def ids(node: Tree) -> list[str]:
        own = [node["id"]] if node.get("id") else []
        return own + [one for part in node.get("criteria", ()) for one in ids(part)]

    made = tree(shipped)
    assert [one for node in (*made["inclusion"], *made["exclusion"]) for one in ids(node)] == [n.id for n in shipped.criteria()]
    assert set(made["definitions"]) == set(shipped.file.definitions)


@pytest.mark.parametrize(
    ("criterion", "sign", "value", "unit"),
    [
        ("anc", ">=", 1.0, "10*9/L"),  # written as 1000 /uL
        ("hemoglobin", ">=", 90.0, "g/L"),
        ("alt", "<=", None, ""),
        ("mrss-increase", ">=", 3.0, ""),
        ("conventional-therapy", ">", 6.0, "mo"),
    ],
)
def test_limits_stand_in_the_unit_of_comparison(
    shipped: Protocol, criterion: str, sign: str, value: float | None, unit: str
) -> None:
    (node,) = [one for root in tree(shipped)["inclusion"] for one in found(root, criterion)]
    assert [(limit["sign"], limit["value"], limit["unit"]) for limit in node["limits"]] == [(sign, value, unit)]


def test_parts_tell_their_roles_and_names_are_named_once(shipped: Protocol) -> None:
    made = tree(shipped)
    (guarded,) = [one for root in made["inclusion"] for one in found(root, "pregnancy-test")]
    assert guarded["criteria"][0] == {"refers": "wocbp", "role": "when"}
    assert guarded["criteria"][1]["role"] == "then"
    (exception,) = [one for root in made["inclusion"] for one in found(root, "bilirubin")]
    assert [part["role"] for part in exception["criteria"]] == ["unless-when", "unless-then"]


def test_counts_and_derived_values_are_told(concepts: Concepts) -> None:
    text = b"""
protocol: small
version: "1"
title: small
milestones: {screening: {title: screening}}
inclusion:
  - id: two
    text: two of these
    at-least:
      count: 2
      of:
        - {id: alt, text: ALT, value: {concepts: [alt], at-most: 3xULN, window: {milestone: screening, before: 28 d}}}
        - {id: bmi, text: BMI, value: {derive: {formula: bmi}, at-most: 40 kg/m2}}
        - {id: sex, text: female, sex: {is: female}}
"""
    two = tree(build_protocol(load_document(text, "small.yaml"), concepts))["inclusion"][0]
    assert two["count"] == 2
    assert [part.get("role") for part in two["criteria"]] == [None, None, None]
    assert two["criteria"][0]["limits"] == [{"sign": "<=", "value": None, "unit": "", "text": "3xULN"}]
    assert two["criteria"][1]["limits"] == [{"sign": "<=", "value": 40.0, "unit": "kg/m2", "text": "40 kg/m2"}]


@pytest.mark.parametrize(
    ("received", "compared", "low", "high"),
    [
        ("10.2 g/dL", "102 g/L", 102.0, 102.0),
        ("102.25 g/L", "102.25 g/L", 102.25, 102.25),  # five digits, read again: it is exact
        ("", "102.25 g/L", 102.245, 102.255),  # five digits that may be rounded
        ("10.3 g/dL", "102.2 g/L", 102.15, 102.25),  # what was sent is not what is shown
        ("5.55 mmol/L", "89.42 g/L", 89.415, 89.425),
        ("<5 g/L", "< 5 g/L", None, 5.0),  # not plausible: what is shown counts
        ("<50 g/L", "< 50 g/L", 0.0, 50.0),
        (">200 g/L", "> 200 g/L", 200.0, None),
        ("", "80 to 90 g/L", 80.0, 90.0),
    ],
)
def test_bounds_hold_what_was_compared(
    shipped: Protocol, received: str, compared: str, low: float | None, high: float | None
) -> None:
    assert rulers(shipped)["hemoglobin"].bounds(received, compared) == pytest.approx((low, high), abs=1e-9, nan_ok=True)


def test_a_value_that_no_double_is_has_the_doubles_around_it() -> None:
    low, high = Ruler().bounds("", "0.1234567890123456789") or (0, 0)
    assert low is not None
    assert high is not None
    assert low < 0.1234567890123456789 < high


def test_results_that_had_to_agree_are_held_by_one_pair_of_bounds() -> None:
    other = Evidence("Observation/o2", compared="95 to 99 g/L", limit=">= 90 g/L")
    row = list(rows(assessment(result("hb", EVIDENCE, other)), {}))[1]
    assert (row.value, row.value_low, row.value_high, row.reference) == (102.0, 95.0, 102.0, "Observation/o1")
    unread = Evidence("Observation/o2", compared="not clear", limit=">= 90 g/L")
    row = list(rows(assessment(result("hb", EVIDENCE, unread)), {}))[1]
    assert (row.value, row.value_low, row.value_high) == (102.0, None, None)


def test_a_nameless_criterion_has_no_row() -> None:
    assert [row.criterion for row in rows(assessment(result("", parts=(result("b"),))), {})] == [WHOLE, "b"]


def test_a_tree_tells_what_a_value_reads_and_what_was_decided(shipped: Protocol) -> None:
    roots = tree(shipped)["inclusion"]
    (hemoglobin,) = [one for root in roots for one in found(root, "hemoglobin")]
    assert hemoglobin["reads"] == ["hemoglobin", "hemoglobin_molar"]
    assert (hemoglobin["analyte"], hemoglobin["pick"]) == ("hemoglobin", "latest")
    assert hemoglobin["window"] == {"milestone": "screening", "before": "28 d", "after": "0 d"}
    (clearance,) = [one for root in roots for one in found(root, "creatinine-clearance")]
    assert clearance["decided"] == "actual-weight"
    assert "creatinine" in clearance["criteria"][0]["reads"]
    (progressive,) = [one for root in roots for one in found(root, "progressive")]
    assert progressive["criteria"][1]["together"] == "6 mo"
    (subset,) = [one for root in roots for one in found(root, "diffuse-subset")]
    assert subset["attestable"] is True
    (fvc,) = [one for root in roots for one in found(root, "fvc-decline-10")]
    assert fvc["criteria"][1]["reads"] == ["fvc_percent_predicted", "fvc"]
