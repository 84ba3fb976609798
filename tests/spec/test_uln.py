"""Multiples of the upper limit of normal: the result's own range, the site's table, the limits that are believed."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_elig import adapters
from fhir_elig.assessment import assess
from fhir_elig.quantity import Quantity, Range, point
from fhir_elig.record import Coded, Counts, ReferenceRange
from fhir_elig.verdict import Retrieved
from tests.spec.table import (
    Row,
    chart,
    check,
    code_of,
    lab,
    limits,
    person,
    problem,
    protocol,
    relma,
    relma_results,
    result,
    run,
    said,
    served,
)
from tests.spec.words import Page

PAGE = Page(
    "Multiples of the upper limit of normal",
    """
A limit such as `3 x ULN` needs the laboratory's own limit. It is taken from the result's reference range if that fits the
patient, else from the site's table, and only if it is plausible. Without a limit that can be believed the criterion stays
unknown.
""",
    {
        "OWN": "The result's own range",
        "FITTING": "Whom a range fits",
        "SEVERAL": "Several results",
        "TABLE": "The site's table",
        "EXCEPTION": "An exception with its own limit",
    },
)

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text(), parse_float=str)["uln"]["vectors"]
ALT = "value: {concepts: [alt], at-most: 3 x ULN, window: {before: 28 d}}"
INR = "value: {concepts: [inr], at-most: 1.5 x ULN, window: {before: 28 d}}"
LLN = "value: {concepts: [alt], at-least: 1 x LLN, window: {before: 28 d}}"
HB = "value: {concepts: [hemoglobin], at-least: 1 x LLN, window: {before: 28 d}}"
FEMALE, MALE = person(gender="female"), person(gender="male")
BILIRUBIN = """value: {concepts: [bilirubin], at-most: 2 x ULN, window: {before: 28 d}}
unless:
  when: {condition: {concepts: [gilbert], absence: closed}}
  then: {value: {concepts: [bilirubin], at-most: 3 x ULN, window: {before: 28 d}}}
  note: a record of Gilbert syndrome would change this
"""


def resources(vector: dict[str, Any]) -> list[dict[str, Any]]:
    """The vector as a server would send it."""
    name = vector["criterion"].partition("-")[0]
    amount, _, unit = vector["received"].partition(" ")
    quantity: dict[str, Any] = {"value": Decimal(amount)}
    if unit:
        quantity |= {"unit": unit, "code": unit, "system": "http://unitsofmeasure.org"}
    system, _, code = code_of(name).partition("|")
    observation = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{"system": system, "code": code}]},
        "effectiveDateTime": "2025-05-28",
        "valueQuantity": quantity,
        "referenceRange": [sent_range(vector["reference_range"])] if vector["reference_range"] else [],
    }
    gilbert = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E80.4"}]},
    }
    patient = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01", "gender": "male"}
    return [patient, observation, *([gilbert] if vector["criterion"] == "bilirubin-gilbert" else [])]


def sent_range(text: str) -> dict[str, Any]:
    """The range in words, as many laboratories send it; the type beside it where the vector names one."""
    therapeutic = text.endswith(", type therapeutic")
    words = re.sub(r" (U/L|umol/L|mg/dL)$", "", text.partition(",")[0])
    kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/referencerange-meaning", "code": "therapeutic"}]}
    return {"text": words, **({"type": kind} if therapeutic else {})} | numbers(text)


def numbers(text: str) -> dict[str, Any]:
    """Low and high of a range with its own unit, where the vector gives one for both sides."""
    match = re.fullmatch(r"([0-9.]+)-([0-9.]+) (\S+)", text)
    if match is None:
        return {}
    return {side: {"value": Decimal(match[index]), "unit": match[3]} for side, index in (("low", 1), ("high", 2))}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_the_vectors_from_what_a_server_sends(vector: dict[str, Any]) -> None:
    vouched = "not served" not in vector.get("gilbert", "")
    retrieved = [Retrieved("Observation", True), Retrieved("Condition", vouched, "" if vouched else "not-served")]
    record = adapters.read(resources(vector), patient="p1", retrieved=retrieved)
    found = assess(relma(), record, run()).find(vector["criterion"].partition("-")[0])
    assert found is not None
    reason = {"met": "in-range", "not-met": "out-of-range"}.get(vector["verdict"]) or vector["reason"]
    assert said(found) == (vector["verdict"], reason)


OWN = [
    Row("the limit of its own range", (lab("alt", "120 U/L", **limits("0 U/L", "40 U/L")),), ALT, "met", "in-range"),
    Row("just above it", (lab("alt", "120.1 U/L", **limits("0 U/L", "40 U/L")),), ALT, "not-met", "out-of-range"),
    Row("a range in another unit", (lab("alt", "2 ukat/L", **limits(None, "40 U/L")),), ALT, "met", "in-range"),
    Row(
        "a range whose unit stands beside the value only",
        (lab("alt", "121 U/L", **limits(None, "40")),),
        ALT,
        "not-met",
        "out-of-range",
    ),
    Row("a range without an upper limit", (lab("alt", "100 U/L", **limits("5 U/L")),), ALT, "unknown", "no-reference-range"),
    Row(
        "a range in a unit that nobody understands",
        (lab("alt", "100 U/L", **limits(None, "40 furlong")),),
        ALT,
        "unknown",
        "no-reference-range",
    ),
    Row(
        "a range that is not the normal one",
        (lab("alt", "100 U/L", **limits(None, "30 U/L", kind="therapeutic")),),
        ALT,
        "unknown",
        "no-reference-range",
    ),
    Row(
        "a limit that nobody believes", (lab("alt", "100 U/L", **limits(None, "4000 U/L")),), ALT, "unknown", "no-reference-range"
    ),
    Row("the lowest limit that is believed", (lab("alt", "46 U/L", **limits(None, "15 U/L")),), ALT, "not-met", "out-of-range"),
    Row("the highest limit that is believed", (lab("alt", "360 U/L", **limits(None, "120 U/L")),), ALT, "met", "in-range"),
    Row(
        "a bound that the limit does not decide",
        (lab("alt", "<130 U/L", **limits(None, "40 U/L")),),
        ALT,
        "unknown",
        "comparator",
    ),
    Row("a bound that it decides", (lab("alt", "<5 U/L", **limits(None, "40 U/L")),), ALT, "met", "in-range"),
    Row(
        "a number as text, with a range that names its unit",
        (lab("alt", Coded(text="121 U/L"), **limits(None, "40 U/L")),),
        ALT,
        "not-met",
        "out-of-range",
    ),
    Row("a lower limit of normal", (lab("hemoglobin", "130 g/L", **limits("130 g/L", "170 g/L")),), HB, "met", "in-range"),
    Row("below it", (lab("hemoglobin", "129 g/L", **limits("130 g/L", "170 g/L")),), HB, "not-met", "out-of-range"),
    Row("no lower limit is believed without a range", (lab("hemoglobin", "129 g/L"),), HB, "unknown", "no-reference-range"),
]

FITTING = [
    Row(
        "a range for women, of a woman",
        (FEMALE, lab("alt", "100 U/L", **limits(None, "33 U/L", sex="female"))),
        ALT,
        "not-met",
        "out-of-range",
    ),
    Row(
        "a range for women, of a man",
        (MALE, lab("alt", "100 U/L", **limits(None, "33 U/L", sex="female"))),
        ALT,
        "unknown",
        "no-reference-range",
    ),
    Row(
        "ranges for both, of a man: his own",
        (
            MALE,
            lab(
                "alt",
                "100 U/L",
                ranges=(*limits(None, "40 U/L", sex="male")["ranges"], *limits(None, "33 U/L", sex="female")["ranges"]),
            ),
        ),
        ALT,
        "met",
        "in-range",
    ),
    Row(
        "a range for women, of nobody knows whom",
        (person(gender="unknown"), lab("alt", "100 U/L", **limits(None, "33 U/L", sex="female"))),
        ALT,
        "unknown",
        "no-reference-range",
    ),
    Row(
        "ranges for women and for men, of nobody knows whom: one of them is the patient's",
        (
            person(gender="unknown"),
            lab(
                "alt",
                "100 U/L",
                ranges=(*limits(None, "40 U/L", sex="male")["ranges"], *limits(None, "35 U/L", sex="female")["ranges"]),
            ),
        ),
        ALT,
        "met",
        "in-range",
    ),
    Row(
        "birth sex and gender differ: either range",
        (person(gender="male", birth_sex="female"), lab("alt", "100 U/L", **limits(None, "33 U/L", sex="female"))),
        ALT,
        "unknown",
        "no-reference-range",
    ),
    Row(
        "the sex for clinical use stands alone",
        (person(gender="male", clinical_sex="female"), lab("alt", "100 U/L", **limits(None, "33 U/L", sex="female"))),
        ALT,
        "not-met",
        "out-of-range",
    ),
    Row(
        "a range for the patient's age",
        (lab("alt", "100 U/L", **limits(None, "33 U/L", low_age=18, high_age=60)),),
        ALT,
        "not-met",
        "out-of-range",
    ),
    Row(
        "a range for children",
        (lab("alt", "100 U/L", **limits(None, "33 U/L", high_age=17)),),
        ALT,
        "unknown",
        "no-reference-range",
    ),
    Row(
        "a range for the old",
        (lab("alt", "100 U/L", **limits(None, "33 U/L", low_age=61)),),
        ALT,
        "unknown",
        "no-reference-range",
    ),
    Row(
        "the age on the day of the result",
        (person("1960-05-28"), lab("alt", "100 U/L", **limits(None, "33 U/L", low_age=65))),
        ALT,
        "not-met",
        "out-of-range",
    ),
    Row(
        "an age that may fit or not",
        (person("1960"), lab("alt", "100 U/L", **limits(None, "33 U/L", low_age=65))),
        ALT,
        "unknown",
        "no-reference-range",
    ),
    Row(
        "an age that nobody knows",
        (person(None), lab("alt", "100 U/L", **limits(None, "33 U/L", low_age=18))),
        ALT,
        "unknown",
        "no-reference-range",
    ),
    Row(
        "a range for something that nobody understands",
        (lab("alt", "100 U/L", **limits(None, "33 U/L", fits_unknown=True)),),
        ALT,
        "unknown",
        "no-reference-range",
    ),
]


def two(first: str, second: str, **more: Any) -> dict[str, Any]:
    ends = [Quantity(int(end), unit="U/L") for end in (first, second)]
    return {"ranges": tuple(ReferenceRange(None, end, **more) for end in ends)}


FITTING += [
    Row(
        "a range without a unit is in that of the value, which may be a range too",
        (lab("alt", Range(Quantity(101, unit="U/L"), Quantity(105, unit="U/L")), **limits(high="40")),),
        ALT,
        "met",
        "in-range",
    ),
]

SEVERAL = [
    Row("two ranges that give one verdict", (lab("alt", "40 U/L", **two("33", "41")),), ALT, "met", "in-range"),
    Row("two ranges that differ", (lab("alt", "110 U/L", **two("33", "41")),), ALT, "unknown", "conflicting"),
    Row("one of two that nobody believes", (lab("alt", "110 U/L", **two("4000", "41")),), ALT, "met", "in-range"),
]

SITE = {"upper_limits": {"alt": (("female", point(34)), ("male", point(45)))}}
ONE = {"upper_limits": {"alt": (("", point(50)),)}}
TABLE = [
    Row("the site's limit for women", (FEMALE, lab("alt", "110 U/L")), ALT, "not-met", "out-of-range", SITE),
    Row("the site's limit for men", (MALE, lab("alt", "110 U/L")), ALT, "met", "in-range", SITE),
    Row("either, where nobody knows the sex", (person(gender=""), lab("alt", "110 U/L")), ALT, "unknown", "conflicting", SITE),
    Row("both agree, where nobody knows the sex", (person(gender=""), lab("alt", "100 U/L")), ALT, "met", "in-range", SITE),
    Row(
        "the site has none for this sex",
        (MALE, lab("alt", "110 U/L")),
        ALT,
        "unknown",
        "no-reference-range",
        {"upper_limits": {"alt": (("female", point(34)),)}},
    ),
    Row("the site's limit for all", (person(gender=""), lab("alt", "150 U/L")), ALT, "met", "in-range", ONE),
    Row(
        "its own range goes before the site's",
        (lab("alt", "150 U/L", **limits(None, "40 U/L")),),
        ALT,
        "not-met",
        "out-of-range",
        ONE,
    ),
    Row(
        "the site's where its own is not believed",
        (lab("alt", "150 U/L", **limits(None, "4000 U/L")),),
        ALT,
        "met",
        "in-range",
        ONE,
    ),
    Row(
        "the site's table has no lower limits",
        (lab("hemoglobin", "129 g/L"),),
        HB,
        "unknown",
        "no-reference-range",
        {"upper_limits": {"hemoglobin": (("", point(170)),)}},
    ),
]

GILBERT = problem("http://hl7.org/fhir/sid/icd-10-cm|E80.4")
RANGE = limits("0.2 mg/dL", "1.0 mg/dL")
EXCEPTION = [
    Row("three times with Gilbert syndrome", (GILBERT, lab("bilirubin", "3.0 mg/dL", **RANGE)), BILIRUBIN, "met", "in-range"),
    Row(
        "over three times, whatever Gilbert is",
        (GILBERT, lab("bilirubin", "3.1 mg/dL", **RANGE)),
        BILIRUBIN,
        "not-met",
        "out-of-range",
    ),
    Row("at two times without it, whoever vouches", (lab("bilirubin", "2.0 mg/dL", **RANGE),), BILIRUBIN, "met", "in-range"),
    Row("between, without it and nobody vouches", (lab("bilirubin", "2.4 mg/dL", **RANGE),), BILIRUBIN, "unknown", "no-record"),
    Row(
        "between, without it and Condition read to the end",
        (served("Condition"), lab("bilirubin", "2.4 mg/dL", **RANGE)),
        BILIRUBIN,
        "not-met",
        "out-of-range",
    ),
    Row(
        "an unconfirmed Gilbert syndrome leaves it open",
        (
            served("Condition"),
            problem("gilbert", verification="provisional", counts=Counts.UNCONFIRMED),
            lab("bilirubin", "2.4 mg/dL", **RANGE),
        ),
        BILIRUBIN,
        "unknown",
        "unconfirmed",
    ),
    Row(
        "E80.7 may be Gilbert syndrome",
        (served("Condition"), problem("gilbert_unclear"), lab("bilirubin", "2.4 mg/dL", **RANGE)),
        BILIRUBIN,
        "unknown",
        "unmapped",
    ),
    Row("direct bilirubin is not total bilirubin", (lab("bilirubin_direct", "0.2 mg/dL"),), BILIRUBIN, "unknown", "not-found"),
]


@pytest.mark.parametrize("row", [*OWN, *FITTING, *SEVERAL, *TABLE, *EXCEPTION], ids=str)
def test_limits_of_normal(row: Row) -> None:
    check(row)


def test_learning_the_sex_never_flips_a_verdict_that_the_sites_limit_gave() -> None:
    fact = lab("alt", "130 U/L", **limits(None, "34 U/L", sex="female"))
    before = said(result(ALT, person(gender=""), fact, **ONE))
    after = said(result(ALT, FEMALE, fact, **ONE))
    assert after == ("not-met", "out-of-range")
    assert before[0] in ("unknown", after[0])


def test_without_a_patient_the_limits_of_both_sexes_hold() -> None:
    nobody = msgspec.structs.replace(chart(lab("alt", "130 U/L", **limits(None, "34 U/L", sex="female"))), person=None)
    found = assess(protocol(ALT), nobody, run(**ONE)).criteria[0]
    assert found.verdict.value == "unknown"
    assert said(result(ALT, FEMALE, nobody.results[0], **ONE)) == ("not-met", "out-of-range")


def test_a_value_as_text_lends_its_unit_to_a_range_without_one() -> None:
    """Value and range of one result are of one unit where only one of them says it."""
    assert said(result(ALT, lab("alt", "110 U/L", **limits(None, "40"))))[0] == "met"


def test_the_source_of_the_limit_is_said() -> None:
    own = result(ALT, lab("alt", "100 U/L", **limits(None, "40 U/L"))).evidence[0]
    assert (own.limit, own.compared) == ("<= 120 U/L", "100 U/L")
    assert "ULN 40 U/L from referenceRange" in own.note
    assert "from the site's table" in result(ALT, MALE, lab("alt", "100 U/L"), **SITE).evidence[0].note
    assert "no reference range" in result(ALT, lab("alt", "40 U/L")).evidence[0].note


def test_a_range_that_is_set_aside_is_said() -> None:
    assert [s.why for s in result(ALT, lab("alt", "40 U/L", **limits(None, "4000 U/L"))).set_aside] == [
        "its ULN lies outside what is believed"
    ]


def test_what_the_usual_limits_would_say_is_a_note_and_decides_nothing() -> None:
    likely = result(ALT, lab("alt", "50 U/L"))
    assert likely.verdict.value == "unknown" and "likely met" in likely.evidence[0].note
    assert "likely not-met" in result(ALT, lab("alt", "300 U/L")).evidence[0].note
    assert "likely" not in result(ALT, lab("alt", "100 U/L")).evidence[0].note


def test_near_the_limit_needs_one_limit() -> None:
    assert result(ALT, lab("alt", "118 U/L", **limits(None, "40 U/L"))).near_limit
    assert not result(ALT, lab("alt", "44 U/L")).near_limit


def test_a_range_of_values_in_two_units_has_none_to_lend() -> None:
    sent = Range(Quantity(100, unit="U/L"), Quantity(110, unit="IU/L"))
    assert said(result(ALT, lab("alt", sent, **limits(None, "40"))))[1] == "no-reference-range"


def test_a_limit_that_is_no_number_is_none() -> None:
    broken = (ReferenceRange(None, Quantity(None, unit="U/L")), ReferenceRange(None, Quantity(10**50, unit="U/L")))
    assert said(result(ALT, lab("alt", "100 U/L", ranges=broken)))[1] == "no-reference-range"


def test_the_protocols_note_on_gilbert_stands_where_a_record_would_change_the_verdict() -> None:
    note = "a record of Gilbert syndrome would change this"
    between = result(BILIRUBIN, served("Condition"), lab("bilirubin", "2.4 mg/dL", **RANGE))
    over = result(BILIRUBIN, served("Condition"), lab("bilirubin", "3.1 mg/dL", **RANGE))
    assert (note in between.notes, note in over.notes) == (True, False)


def test_the_fixed_form_of_the_inr_limit_is_noted_where_it_differs() -> None:
    found = relma_results(lab("inr", "1.6", **limits("0.9", "1.2"))).find("inr")
    assert found is not None and found.reading == "as-written"
    assert "the reading fixed would give not-met" in found.notes


def test_multiples_are_written_with_x_or_a_multiplication_sign() -> None:
    assert protocol(ALT.replace("3 x ULN", "'3 × ULN'")).id == "test"
    assert said(result(INR, lab("inr", "1.35")))[0] == "met"
    assert said(result(LLN, lab("alt", "10 U/L", **limits("5 U/L", "40 U/L"))))[0] == "met"
