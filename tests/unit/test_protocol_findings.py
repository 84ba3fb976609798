"""What is wrong in a protocol's file: found at once, each with its place, its path and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_elig.assessment import assess
from fhir_elig.documents import load_document
from fhir_elig.errors import AuthoringError, Finding
from fhir_elig.protocol import build_protocol, load_protocol
from tests.spec.table import assessed, chart, concepts, run

HEAD = """protocol: bad
version: 1
title: a protocol with faults
milestones:
  screening: {title: screening}
  enrollment: {title: enrollment, else: screning}
inclusion:
"""
SOUND = HEAD.replace("screning", "screening") + "  - {id: sound, text: t, sex: {is: male}}\n"


def findings(text: str) -> tuple[Finding, ...]:
    with pytest.raises(AuthoringError) as caught:
        build_protocol(load_document(text, "bad.yaml"), concepts())
    assert caught.value.exit_code == 10
    return caught.value.findings


def found_in(criterion: str) -> list[tuple[str, str, str]]:
    """Code, why and fix of the findings of one criterion."""
    return [(f.code, f.why, f.fix) for f in findings(f"{SOUND}  - {{id: c, text: t, {criterion}}}\n")]


SEVERAL = (
    HEAD
    + """  - id: one
    text: a concept that is not there
    value: {concepts: [hemoglobine], at-least: 90 g/L}
  - id: two
    text: a limit without a unit
    value: {concepts: [platelets], at-least: '75', window: {milestone: enrolment}}
  - id: two
    text: the same id, and a reference to nothing
    all-of:
      - thre
      - id: four
        text: a unit of something else
        value: {concepts: [platelets], at-least: 75 furlong}
  - id: five
    text: a circle
    all-of: [six]
  - id: six
    text: a circle
    not: five
"""
)


def test_every_fault_is_found_at_once_with_its_place() -> None:
    assert [(f.code, f.where) for f in findings(SEVERAL)] == [
        ("FE0208", "bad.yaml:14:9   inclusion > two > id"),
        ("FE0209", "bad.yaml:6:41   milestones > enrollment > else"),
        ("FE0205", "bad.yaml:10:24   inclusion > one > value > concepts > item 1"),
        ("FE0209", "bad.yaml:13:72   inclusion > two > value > window > milestone"),
        ("FE0207", "bad.yaml:13:46   inclusion > two > value > at-least"),
        ("FE0209", "bad.yaml:17:9   inclusion > two > all-of > item 1"),
        ("FE0206", "bad.yaml:20:50   inclusion > two > four > value > at-least"),
        ("FE0209", "bad.yaml:21:5   inclusion > five"),
        ("FE0209", "bad.yaml:24:5   inclusion > six"),
    ]


def test_every_finding_says_why_and_how_to_mend_it() -> None:
    by_code = {f.code: (f.why, f.fix) for f in findings(SEVERAL)[1:6]}
    assert by_code["FE0205"] == (
        'no concept is named "hemoglobine"',
        "did you mean hemoglobin or not_hemoglobin or hemoglobin_molar?",
    )
    assert by_code["FE0207"][0].startswith('"75" names no unit')
    assert by_code["FE0207"][1] == "write  75 10*9/L"
    assert all(f.fix for f in findings(SEVERAL))


def test_the_error_is_read_on_a_terminal_with_a_block_for_each() -> None:
    with pytest.raises(AuthoringError) as caught:
        build_protocol(load_document(SEVERAL, "bad.yaml"), concepts())
    text = caught.value.text()
    assert text.count("error FE02") == 9
    assert "docs/errors/FE0207.md" in text


SHAPES = [
    ("unknown key", "sexx: {is: male}", "FE0202"),
    ("unknown key inside a kind", "sex: {is: male, whom: x}", "FE0202"),
    ("snake case is not kebab case", "value: {concepts: [alt], at_most: 3 x ULN}", "FE0202"),
    ("required key", "condition: {}", "FE0204"),
    ("a value of another form", "sex: {is: maybe}", "FE0203"),
    ("a number for a truth", "value: {concepts: [alt], at-most: 3 x ULN, window: {default: 1}}", "FE0203"),
    ("a window of no length", "value: {concepts: [alt], at-most: 3 x ULN, window: {before: 28}}", "FE0203"),
    ("two kinds", "sex: {is: male}, age: {at-least: 18 a}", "FE0203"),
    ("no kind", "notes: [x]", "FE0203"),
    ("an empty list", "all-of: []", "FE0203"),
    ("attestable without a question", "attestable: true, sex: {is: male}", "FE0203"),
    ("age without a limit", "age: {at: screening}", "FE0203"),
    ("age limits that nobody meets", "age: {at-least: 66 a, at-most: 18 a}", "FE0203"),
    ("age in months", "age: {at-least: 6 mo}", "FE0203"),
    ("a value of nothing", "value: {at-least: 3 g/L}", "FE0203"),
    ("a value without a limit", "value: {concepts: [alt]}", "FE0203"),
    (
        "a value with a limit and an answer",
        "value: {concepts: [hcg_serum_quant], at-least: 5 mIU/mL, answer: {is: negative}}",
        "FE0203",
    ),
    (
        "a change without a limit",
        "change: {kinds: [{analyte: mrss, concepts: [mrss]}], direction: increase, window: {}, baseline: 6 mo}",
        "FE0203",
    ),
    ("an event of nothing", "event: {absence: closed}", "FE0203"),
    ("one reading", "readings: {options: {a: {sex: {is: male}}}}", "FE0203"),
    (
        "a decision on no reading",
        "readings: {options: {a: {sex: {is: male}}, b: {sex: {is: male}}}, decided: c, because: x}",
        "FE0203",
    ),
    ("a decision without its reason", "readings: {options: {a: {sex: {is: male}}, b: {sex: {is: male}}}, decided: a}", "FE0203"),
    ("a group of items without points", "score: {items: {a: 1}, groups: [[a, b]], at-least: 1}", "FE0203"),
    ("points that are no whole number", "score: {items: {a: 1.5}, at-least: 1}", "FE0203"),
    ("at-least nothing", "at-least: {count: 0, of: [{sex: {is: male}}]}", "FE0203"),
    ("an exposure without a duration", "exposure: {agents: [{concept: azathioprine}]}", "FE0203"),
    ("an exposure with two", "exposure: {agents: [{concept: azathioprine}], more-than: 6 mo, at-least: 6 mo}", "FE0203"),
    ("a resource that answers nothing", "attestation: {question: q, accepts: [Observation]}", "FE0203"),
]
NAMES = [
    ("a concept of a condition", "condition: {concepts: [gilbertt]}", "FE0205"),
    ("a concept that is set aside", "value: {concepts: [alt], at-most: 3 x ULN, set-aside: [nope]}", "FE0205"),
    ("a concept that nobody measures", "value: {concepts: [culture], at-least: 3 g/L}", "FE0205"),
    ("a concept of a subtype", "subtype: {wanted: [dcssc], other: [nope]}", "FE0205"),
    ("a concept of an agent", "exposure: {agents: [{concept: nope}], more-than: 6 mo}", "FE0205"),
    ("a concept of an event", "event: {procedures: [nope]}", "FE0205"),
    ("a concept that confounds", "event: {procedures: [sterile], confounds: {nope: [c]}}", "FE0205"),
    ("a concept of a hint", "attestation: {question: q, hints: [nope]}", "FE0205"),
    (
        "an analyte of a change",
        "change: {kinds: [{analyte: mrs, concepts: [mrss]}], direction: increase, at-least: 3, window: {}, baseline: 6 mo}",
        "FE0205",
    ),
    ("a criterion that is confounded", "event: {procedures: [sterile], confounds: {sterile: [nope]}}", "FE0209"),
    ("a criterion whose results are meant", "event: {procedures: [sterile], of-results: [nope]}", "FE0209"),
    ("a criterion whose items are answered", "score: {items: {a: 1}, at-least: 1, answers-of: nope}", "FE0209"),
    ("a definition", "applies-if: {when: nope, then: {sex: {is: male}}}", "FE0209"),
    ("a formula", "value: {derive: {formula: cockroft-gault}, at-least: 50 mL/min}", "FE0209"),
    (
        "an input of a formula",
        "value: {derive: {formula: cockcroft-gault, inputs: {size: {concepts: [height]}}}, at-least: 50 mL/min}",
        "FE0209",
    ),
    ("a milestone of an age", "age: {at-least: 18 a, at: birth}", "FE0209"),
    ("a milestone of a window", "condition: {concepts: [gilbert], window: {milestone: birth}}", "FE0209"),
    ("itself", "not: c", "FE0209"),
]
AMOUNTS = [
    ("a unit of something else", "value: {concepts: [hemoglobin], at-least: 90 mL}", "FE0206"),
    ("no number", "value: {concepts: [hemoglobin], at-least: a lot of g/L}", "FE0206"),
    (
        "a normalised clearance against an absolute one",
        "value: {derive: {formula: cockcroft-gault}, at-least: '50 mL/min/{1.73_m2}'}",
        "FE0206",
    ),
    (
        "a band in another unit",
        "value: {concepts: [hcg_serum_quant], answer: {is: negative, negative: {less-than: 5 ng/mL}}}",
        "FE0206",
    ),
    (
        "a relative change without its sign",
        "change: {kinds: [{analyte: fvc, concepts: [fvc]}], direction: decrease, relative: true, more-than: '10', window: {}, baseline: 6 mo}",
        "FE0206",
    ),
    (
        "an absolute change without a unit",
        "change: {kinds: [{analyte: fvc, concepts: [fvc]}], direction: decrease, more-than: '1', window: {}, baseline: 6 mo}",
        "FE0206",
    ),
    ("no unit", "value: {concepts: [hemoglobin], at-least: '90'}", "FE0207"),
    ("beyond what is plausible", "value: {concepts: [platelets], at-least: '50000 10*9/L'}", "FE0210"),
    ("a limit per litre for one per microlitre", "value: {concepts: [platelets], at-least: 50000 /L}", "FE0210"),
    ("limits that nobody meets", "value: {concepts: [hemoglobin], at-least: 100 g/L, at-most: 90 g/L}", "FE0210"),
]


@pytest.mark.parametrize(
    ("holds", "criterion", "code"), [*SHAPES, *NAMES, *AMOUNTS], ids=[case[0] for case in (*SHAPES, *NAMES, *AMOUNTS)]
)
def test_a_fault_is_told_by_its_code(holds: str, criterion: str, code: str) -> None:
    found = found_in(criterion)
    assert {entry[0] for entry in found} == {code}
    assert all(why and fix for _, why, fix in found)


def test_a_criterion_without_the_protocols_words() -> None:
    assert "add text" in findings(f"{HEAD}  - {{id: c, sex: {{is: male}}}}\n")[0].why


def test_a_protocol_without_criteria_or_title() -> None:
    assert {f.code for f in findings("protocol: bad\nversion: 1\nmilestones: {}\n")} == {"FE0204"}


def test_a_name_that_is_like_no_other_gets_the_first_names() -> None:
    assert found_in("condition: {concepts: [zzzzzz]}")[0][2].startswith("use one of: ")


PLACES = [
    ("all-of: [nope]", "9:31   inclusion > c > all-of > item 1"),
    ("at-least: {count: 1, of: [nope]}", "9:48   inclusion > c > at-least > of > item 1"),
    ("not: nope", "9:27   inclusion > c > not"),
    ("not: {not: nope}", "9:33   inclusion > c > not > not"),
    ("all-of: {of: [nope]}", "9:36   inclusion > c > all-of > of > item 1"),
    (
        "change: {kinds: [{analyte: fvc, concepts: [nope]}], direction: decrease, at-least: 1 L, window: {before: 6 mo}, baseline: 6 mo}",
        "9:65   inclusion > c > change > kinds > item 1 > concepts > item 1",
    ),
    ("not: {body: nope}", "9:34   inclusion > c > not > body"),
]


@pytest.mark.parametrize(("criterion", "place"), PLACES)
def test_places_and_paths_follow_the_keys_that_the_author_wrote(criterion: str, place: str) -> None:
    assert findings(f"{SOUND}  - {{id: c, text: t, {criterion}}}\n")[0].where == f"bad.yaml:{place}"


def test_a_protocol_without_a_criterion_is_none() -> None:
    head = HEAD.replace("screning", "screening").replace("inclusion:", "inclusion: []")
    assert "a protocol has at least one inclusion criterion" in findings(head)[0].why


def test_a_fault_of_the_only_criterion_is_told_alone() -> None:
    only = HEAD.replace("screning", "screening") + "  - {id: c, text: t, sex: {is: male, whom: x}}\n"
    assert [f.code for f in findings(only)] == ["FE0202"]


def test_a_finding_inside_an_exception_and_a_reading_has_its_path() -> None:
    nested = "sex: {is: male}, unless: {when: nope, then: {readings: {options: {a: nada, b: {sex: {is: male}}}}}}"
    head = HEAD.replace("screning", "screening")
    assert [f.where.split("   ")[1] for f in findings(f"{head}  - {{id: c, text: t, {nested}}}\n")] == [
        "inclusion > c > unless > when",
        "inclusion > c > unless > then > readings > options > a",
    ]


def test_a_circle_through_definitions_is_found() -> None:
    text = HEAD.replace("screning", "screening").replace(
        "inclusion:", "definitions:\n  one: {not: two}\n  two: {not: three}\n  three: {not: one}\ninclusion:"
    )
    assert [f.code for f in findings(text + "  - {id: c, text: t, all-of: [one]}\n")] == ["FE0209"] * 3


def test_a_definition_that_leads_to_a_circle_elsewhere_is_no_circle_itself() -> None:
    text = HEAD.replace("screning", "screening").replace(
        "inclusion:", "definitions:\n  one: {not: two}\n  two: {not: two}\ninclusion:"
    )
    assert [f.why for f in findings(text + "  - {id: c, text: t, all-of: [one, one]}\n")] == ['"two" refers to itself']


def test_an_exclusion_criterion_is_checked_like_the_others() -> None:
    text = SOUND + "  - {id: c, text: t, sex: {is: male}}\nexclusion:\n  - {id: c, text: t, not: nope}\n"
    assert [f.code for f in findings(text)] == ["FE0208", "FE0209"]


def test_a_file_that_is_not_there_is_an_authors_error(tmp_path: Path) -> None:
    with pytest.raises(AuthoringError) as caught:
        load_protocol(tmp_path / "none.yaml", concepts())
    assert caught.value.code == "FE0214"


NOBODY = [
    ("results of two analytes against one limit", "value: {concepts: [hemoglobin, platelets], at-least: 90 g/L}"),
    (
        "an input that measures something else",
        "value: {derive: {formula: cockcroft-gault, inputs: {creatinine: {concepts: [weight]}}}, at-least: 50 mL/min}",
    ),
    ("strict limits that nobody meets", "value: {concepts: [hemoglobin], more-than: 90 g/L, less-than: 90 g/L}"),
    ("more points than there are", "score: {items: {a: 1}, at-least: 9}"),
    (
        "bands that overlap",
        "value: {concepts: [hcg_serum_quant], answer: {is: negative, negative: {less-than: '50 [IU]/L'}, positive: {more-than: '25 [IU]/L'}}}",
    ),
    (
        "a ceiling that is no number",
        "exposure: {agents: [{concept: glucocorticoid, prednisone-equivalent-at-most: 1.5.0 mg/d}], more-than: 6 mo}",
    ),
    ("longer than all time", "exposure: {agents: [{concept: glucocorticoid}], more-than: all}"),
    (
        "a baseline of all time",
        "change: {kinds: [{analyte: mrss, concepts: [mrss]}], direction: increase, at-least: 3, window: {before: 6 mo}, baseline: all}",
    ),
    ("together in all time", "all-of: {of: [{sex: {is: male}}], together: all}"),
    ("an event before the results of itself", "event: {procedures: [sterile], of-results: [c]}"),
]


@pytest.mark.parametrize(("holds", "criterion"), NOBODY, ids=[case[0] for case in NOBODY])
def test_a_protocol_that_says_something_impossible_is_refused(holds: str, criterion: str) -> None:
    assert found_in(criterion)


def test_stand_ins_that_stand_in_for_each_other_are_refused() -> None:
    text = HEAD.replace("else: screning", "else: visit").replace(
        "inclusion:", "  visit: {title: v, else: enrollment}\ninclusion:"
    )
    text += "  - {id: c, text: t, age: {at-least: 18 a, at: visit}}\n"
    try:
        ready = build_protocol(load_document(text, "bad.yaml"), concepts())
    except AuthoringError as error:
        assert [f.code for f in error.findings] == ["FE0209", "FE0209"]
    else:
        assess(ready, chart(), run())


def test_none_of_these_faults_is_in_a_sound_protocol() -> None:
    assert assessed("value: {concepts: [hemoglobin], at-least: 90 g/L, at-most: 90 g/L}").find("c")
