"""A protocol in plain words: every kind of criterion as one sentence, with its place, readings, exception and milestones."""

from __future__ import annotations

import pytest

from fhir_elig.documents import load_document
from fhir_elig.outputs.protocol_words import protocol_words
from fhir_elig.protocol import build_protocol
from tests.spec.table import concepts

HEAD = """
protocol: words
version: 1.0.0
title: in words
milestones: {screening: {title: the first visit}}
"""
HB, SEX = "{value: {concepts: [hemoglobin], at-least: 90 g/L}}", "{sex: {is: male}}"
EVENT = "event: {procedures: [leukapheresis], medications: [growth_factor_white], window: {before: 7 d}, absence: closed}"
CHANGE = "change: {kinds: [{analyte: fvc, concepts: [fvc]}], direction: decrease, relative: true, more-than: 10 %, baseline: 6 mo, window: {before: 6 mo}}"
MRSS = "change: {kinds: [{analyte: mrss, concepts: [mrss]}], direction: increase, at-least: '3', baseline: 6 mo, window: {before: 6 mo}}"
HCG = "value: {concepts: [hcg_serum_qual], answer: {is: negative}, window: {before: 28 d, default: true}}"

KINDS = [
    ("age: {at-least: 18 a, at-most: 65 a}", "age in completed years at screening, >= 18 a and <= 65 a"),
    ("sex: {is: male}", "sex is male (by birth, then gender)"),
    ("value: {concepts: [hemoglobin], at-least: 90 g/L}", "latest hemoglobin >= 90 g/L, any time before screening"),
    ("value: {derive: {formula: bmi}, less-than: 30 kg/m2}", "latest bmi < 30 kg/m2, any time before screening"),
    (HCG, "latest hcg_serum_qual is negative, 28 d before screening (the project's default window)"),
    (CHANGE, "relative decrease of fvc > 10 %; the latest 6 mo before screening, the baseline up to 6 mo before it"),
    (MRSS, "increase of mrss >= 3; the latest 6 mo before screening, the baseline up to 6 mo before it"),
    ("condition: {concepts: [gilbert]}", "recorded condition: gilbert; absence is open"),
    (
        "condition: {concepts: [gilbert], window: {before: 7 d}}",
        "recorded condition: gilbert, 7 d before screening; absence is open",
    ),
    ("subtype: {wanted: [dcssc], other: [ssc_limited]}", "recorded subtype dcssc, not ssc_limited"),
    ("exposure: {agents: [{concept: azathioprine}], more-than: 6 mo}", "treated more than 6 mo with any of azathioprine"),
    ("exposure: {agents: [{concept: azathioprine}], at-least: 1 d}", "treated at least 1 d with any of azathioprine"),
    (EVENT, "done or given 7 d before screening: leukapheresis, growth_factor_white; absence is closed"),
    ("score: {items: {a: 2, b: 1}, at-least: 2}", "score of people's answers >= 2"),
    (f"score: {{items: {{a: 2}}, at-most: 1, computed: {{a: {SEX}}}}}", "score of the chart and people's answers <= 1"),
    ("attestation: {question: is it so?}", "a person answers: is it so?"),
    (f"any-of: [{SEX}, {{id: inner, text: words, sex: {{is: female}}}}]", "any-of: sex is male (by birth, then gender); inner"),
    (f"applies-if: {{when: {SEX}, then: other}}", "only if sex is male (by birth, then gender): other"),
]


def words(criterion: str, more: str = "") -> str:
    other = "  - {id: other, text: another, sex: {is: female}}"
    text = f"{HEAD}{more}\ninclusion:\n  - {{id: c, text: the text, {criterion}}}\n{other}\n"
    return protocol_words(build_protocol(load_document(text, "words.yaml"), concepts()))


def said(criterion: str) -> str:
    """What is said of the criterion itself, on one line."""
    lines = words(criterion).split("the text\n")[1].split("  other\n")[0]
    return " ".join(lines.split()).removeprefix("= ")


@pytest.mark.parametrize(("criterion", "sentence"), KINDS, ids=[criterion for criterion, _ in KINDS])
def test_each_kind_is_one_sentence(criterion: str, sentence: str) -> None:
    assert said(criterion).startswith(sentence)


def test_readings_name_the_decided_one_or_that_none_is() -> None:
    both = f"options: {{one: {SEX}, two: {HB}}}"
    decided = said(f"readings: {{{both}, decided: two, because: of the text}}")
    assert (
        decided
        == "latest hemoglobin >= 90 g/L, any time before screening - decided: two, because of the text; other readings: one"
    )
    open_ = said(f"readings: {{{both}}}")
    assert open_.endswith("- not decided; readings: one, two; a verdict stands only if all agree, or a site decides")


def test_an_answer_and_an_exception_are_remarked() -> None:
    found = said(f"sex: {{is: male}}, attestable: true, question: is he?, unless: {{when: {HB}, then: other}}")
    assert "- where it is unknown a person may answer: is he?" in found
    assert "- unless latest hemoglobin >= 90 g/L, any time before screening: then other" in found


def test_the_head_the_places_and_the_other_lists_are_there() -> None:
    more = """registry: {system: ClinicalTrials.gov, id: NCT00000000}
about: what it is about
definitions: {healthy: {sex: {is: male}}}
not-computed: [the weather]
exclusion: [{id: e, text: left out, source: {section: exclusion, item: 2, part: b}, sex: {is: female}}]"""
    found = words("source: {section: inclusion, item: 1}, sex: {is: male}", more)
    for line in ("words 1.0.0   ClinicalTrials.gov NCT00000000", "what it is about", "  screening: the first visit"):
        assert f"{line}\n" in found
    for line in (
        "  c   [inclusion 1]",
        "  e   [exclusion 2, b]",
        "  healthy: sex is male (by birth, then gender)",
        "  the weather",
    ):
        assert f"{line}\n" in found


def test_criteria_inside_nameless_parts_are_shown_once() -> None:
    inner = "{id: inner, text: words, sex: {is: female}}"
    assert words(f"any-of: [{{all-of: [{inner}, other]}}, {SEX}]").count("    words\n") == 1
