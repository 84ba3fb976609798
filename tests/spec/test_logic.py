"""Combinations of the four verdicts: exhaustive tables against what every completion of the unknown would give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from textwrap import indent

import pytest

from tests.spec.table import Row, assessed, check, lab, result, said
from tests.spec.words import Page

PAGE = Page(
    "Combinations",
    """
Criteria are joined by `all-of`, `any-of`, `at-least`, `not` and `applies-if`. A combination is met or not met only if every
way of learning what is unknown gives that same answer. Members that do not apply are left out. The tests try all
combinations of up to three members; the cases here show which reason a combination gives.
""",
)

MET, NOT_MET, UNKNOWN, NOT_APPLICABLE, CONDITIONAL = "met", "not-met", "unknown", "not-applicable", "conditional"
# One leaf for each verdict, of a man before his enrolment; `conditional` is met whether or not its guard applies.
LEAVES = {
    MET: "sex: {is: male}",
    NOT_MET: "sex: {is: female}",
    UNKNOWN: "age: {at-least: 18 a, at: enrollment}",
    NOT_APPLICABLE: "applies-if: {when: {sex: {is: female}}, then: {sex: {is: male}}}",
    CONDITIONAL: "applies-if: {when: {age: {at-least: 18 a, at: enrollment}}, then: {sex: {is: male}}}",
}
PAIRS = [members for length in (1, 2) for members in product(LEAVES, repeat=length)]
TRIPLES = [*PAIRS, *product((MET, NOT_MET, UNKNOWN, NOT_APPLICABLE), repeat=3)]
# What each member may turn out to be, once everything is known.
ENDS = {UNKNOWN: (MET, NOT_MET), CONDITIONAL: (MET, NOT_APPLICABLE)}


def completions(members: Sequence[str]) -> list[tuple[str, ...]]:
    return list(product(*(ENDS.get(member, (member,)) for member in members)))


def ends(members: Sequence[str], rule: Callable[[list[str]], bool]) -> set[str]:
    """All verdicts that a rule over the applying members may come to."""
    found = set()
    for case in completions(members):
        applying = [verdict for verdict in case if verdict != NOT_APPLICABLE]
        found.add(NOT_APPLICABLE if not applying else MET if rule(applying) else NOT_MET)
    return found


def due(possible: set[str]) -> str:
    return possible.pop() if len(possible) == 1 else UNKNOWN


def listed(members: Sequence[str]) -> str:
    return "\n".join(f"  - {LEAVES[member]}" for member in members)


def verdict(criterion: str) -> str:
    return result(criterion).verdict.value


@pytest.mark.parametrize("name", LEAVES)
def test_the_leaves_are_what_they_are_called(name: str) -> None:
    found = result(LEAVES[name])
    assert found.verdict.value == (MET if name == CONDITIONAL else name)
    assert found.conditional is (name == CONDITIONAL)


@pytest.mark.parametrize("members", TRIPLES, ids="+".join)
def test_all_of(members: tuple[str, ...]) -> None:
    possible = ends(members, lambda applying: NOT_MET not in applying)
    found = result(f"all-of:\n{listed(members)}")
    if possible == {MET, NOT_APPLICABLE}:  # satisfied either way
        assert (found.verdict.value, found.conditional) == (MET, True)
    else:
        assert (found.verdict.value, found.conditional) == (due(possible), False)


@pytest.mark.parametrize("members", TRIPLES, ids="+".join)
def test_any_of(members: tuple[str, ...]) -> None:
    found = result(f"any-of:\n{listed(members)}")
    assert (found.verdict.value, found.conditional) == (due(ends(members, lambda applying: MET in applying)), False)


COUNTED = [(members, count) for members in TRIPLES for count in range(1, len(members) + 1)]


@pytest.mark.parametrize(("members", "count"), COUNTED, ids=lambda part: "+".join(part) if isinstance(part, tuple) else None)
def test_at_least(members: tuple[str, ...], count: int) -> None:
    met, open_ = members.count(MET), members.count(UNKNOWN) + members.count(CONDITIONAL)
    rule = MET if met >= count else NOT_MET if met + open_ < count else UNKNOWN
    due_here = NOT_APPLICABLE if set(members) == {NOT_APPLICABLE} else rule
    if rule == NOT_MET and CONDITIONAL in members and set(members) <= {CONDITIONAL, NOT_APPLICABLE}:
        due_here = UNKNOWN  # in the end none of them may apply
    assert verdict(f"at-least:\n  count: {count}\n  of:\n{indent(listed(members), '  ')}") == due_here


@pytest.mark.parametrize(
    ("member", "due_here"),
    [(MET, NOT_MET), (NOT_MET, MET), (UNKNOWN, UNKNOWN), (NOT_APPLICABLE, NOT_APPLICABLE), (CONDITIONAL, UNKNOWN)],
)
def test_not(member: str, due_here: str) -> None:
    assert verdict(f"not: {{{LEAVES[member]}}}") == due_here


@pytest.mark.parametrize("guard", LEAVES)
@pytest.mark.parametrize("body", LEAVES)
def test_applies_if(guard: str, body: str) -> None:
    found = result(f"applies-if:\n  when: {{{LEAVES[guard]}}}\n  then: {{{LEAVES[body]}}}")
    plain = MET if body == CONDITIONAL else body
    if guard in (NOT_MET, NOT_APPLICABLE):
        assert found.verdict.value == NOT_APPLICABLE
    elif guard == MET:
        assert (found.verdict.value, found.conditional) == (plain, body == CONDITIONAL)
    else:
        due = plain if plain in (MET, NOT_APPLICABLE) else UNKNOWN  # what does not apply either way, is not applicable
        assert (found.verdict.value, found.conditional) == (due, plain == MET)


@pytest.mark.parametrize("guard", (MET, NOT_MET, UNKNOWN, NOT_APPLICABLE))
@pytest.mark.parametrize("main", (MET, NOT_MET, UNKNOWN))
@pytest.mark.parametrize("other", (MET, NOT_MET, UNKNOWN))
def test_unless(main: str, guard: str, other: str) -> None:
    """The exception's own verdict where it applies, the criterion's where it does not; both must agree where that is open."""
    found = result(f"{LEAVES[main]}\nunless: {{when: {{{LEAVES[guard]}}}, then: {{{LEAVES[other]}}}}}")
    either = main if main == other else UNKNOWN
    assert found.verdict.value == {MET: other, UNKNOWN: either}.get(guard, main)


@pytest.mark.parametrize(("main", "other"), [(MET, NOT_APPLICABLE), (NOT_APPLICABLE, MET)])
def test_an_exception_that_may_apply_and_is_satisfied_either_way(main: str, other: str) -> None:
    found = result(f"{LEAVES[main]}\nunless: {{when: {{{LEAVES[UNKNOWN]}}}, then: {{{LEAVES[other]}}}}}")
    assert (found.verdict.value, found.conditional) == (MET, True)


def test_an_exception_that_applies_is_reported_as_one() -> None:
    found = result(f"{LEAVES[NOT_MET]}\nunless: {{when: {{{LEAVES[MET]}}}, then: {{{LEAVES[MET]}}}}}")
    assert "by exception" in found.notes


def test_an_exception_that_would_change_the_verdict_is_said() -> None:
    exception = f"{{when: {{{LEAVES[NOT_MET]}}}, then: {{{LEAVES[MET]}}}, note: a record would change this}}"
    assert "a record would change this" in result(f"{LEAVES[NOT_MET]}\nunless: {exception}").notes
    assert "a record would change this" not in result(f"{LEAVES[MET]}\nunless: {exception}").notes


def test_an_exception_without_a_note_says_nothing_more() -> None:
    found = result(f"{LEAVES[NOT_MET]}\nunless: {{when: {{{LEAVES[NOT_MET]}}}, then: {{{LEAVES[MET]}}}}}")
    assert (found.verdict.value, found.notes) == (NOT_MET, ())


TWO = "readings:\n  options:\n    one: {%s}\n    two: {%s}"


@pytest.mark.parametrize("members", list(product((MET, NOT_MET, UNKNOWN, NOT_APPLICABLE), repeat=2)), ids="+".join)
def test_readings_that_nobody_decided_must_agree(members: tuple[str, str]) -> None:
    found = result(TWO % tuple(LEAVES[member] for member in members))
    one, two = members
    if one == two:
        assert found.verdict.value == one
    elif UNKNOWN in members:
        assert said(found) == (UNKNOWN, "pending-event")
    else:
        assert said(found) == (UNKNOWN, "ambiguous-protocol")
        assert f"one: {one}" in found.notes[0] and f"two: {two}" in found.notes[0]


def test_a_decided_reading_is_used_and_the_other_one_noted_where_it_differs() -> None:
    text = TWO % (LEAVES[MET], LEAVES[NOT_MET]) + "\n  decided: one\n  because: a reason"
    found = result(text)
    assert (found.verdict.value, found.reading) == (MET, "one")
    assert found.notes == ("the reading two would give not-met",)
    same = result(TWO % (LEAVES[MET], LEAVES[MET]) + "\n  decided: one\n  because: a reason")
    assert same.notes == ()


def test_a_sites_decision_goes_before_the_protocols_and_is_recorded() -> None:
    text = TWO % (LEAVES[MET], LEAVES[NOT_MET]) + "\n  decided: one\n  because: a reason"
    found = assessed(text, decisions={"c": "two", "elsewhere": "three"})
    assert (found.find("c").verdict.value, found.find("c").reading) == (NOT_MET, "two")  # type: ignore[union-attr]
    assert found.decisions == {"c": "two"}


def test_a_site_decides_readings_that_the_protocol_leaves_open() -> None:
    text = TWO % (LEAVES[MET], LEAVES[NOT_MET])
    assert [assessed(text, decisions={"c": name}).find("c").verdict.value for name in ("one", "two")] == [MET, NOT_MET]  # type: ignore[union-attr]


def test_readings_inside_a_criterion_without_an_id_follow_the_protocols_decision() -> None:
    text = "not:\n  readings:\n    options: {one: {sex: {is: male}}, two: {sex: {is: female}}}\n    decided: one\n    because: x"
    assert said(result(text, decisions={"c": "two"})) == (NOT_MET, "present")


@pytest.mark.parametrize("other", (MET, CONDITIONAL))
def test_a_reading_that_may_not_apply_does_not_agree_with_one_that_is_met(other: str) -> None:
    """Were its guard known, it might not apply, and the readings would differ."""
    assert said(result(TWO % (LEAVES[CONDITIONAL], LEAVES[other]))) == (UNKNOWN, "pending-event")


def test_an_exception_keeps_what_is_met_either_way_from_being_negated() -> None:
    exception = f"{{when: {{{LEAVES[UNKNOWN]}}}, then: {{{LEAVES[CONDITIONAL]}}}}}"
    assert verdict(f"not:\n  {LEAVES[MET]}\n  unless: {exception}") == UNKNOWN


ROWS = [
    Row(
        "a parent's reason is that of the first child that decides it",
        (),
        f"all-of:\n{listed((MET, NOT_MET, UNKNOWN))}",
        NOT_MET,
        "absent",
    ),
    Row(
        "an open all-of gives the reason of the first open one",
        (),
        f"all-of:\n{listed((MET, UNKNOWN))}",
        UNKNOWN,
        "pending-event",
    ),
    Row("a member may be a definition's name", (), "all-of: [{sex: {is: male}}, {not: {sex: {is: female}}}]", MET, "present"),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_reasons(row: Row) -> None:
    check(row)


def test_a_member_may_be_the_name_of_a_definition() -> None:
    definitions = "man:\n  sex: {is: male}"
    assert said(result("all-of: [man, {sex: {is: male}}]", definitions=definitions)) == (MET, "present")
    assert verdict_with("not: man", definitions) == NOT_MET
    assert verdict_with("applies-if: {when: man, then: man}", definitions) == MET
    assert verdict_with("applies-if: {when: {sex: {is: female}}, then: man}", definitions) == NOT_APPLICABLE


def verdict_with(criterion: str, definitions: str) -> str:
    return result(criterion, definitions=definitions).verdict.value


def test_not_may_be_written_with_its_body() -> None:
    assert verdict("not:\n  body: {sex: {is: female}}") == MET


def test_a_list_may_be_written_with_of() -> None:
    assert verdict("all-of:\n  of: [{sex: {is: male}}]") == MET


def test_readings_that_differ_show_what_each_rests_on_what_speaks_against_it_first() -> None:
    high, low = "{value: {concepts: [hemoglobin], at-least: 90 g/L}}", "{value: {concepts: [platelets], at-least: 75 10*9/L}}"
    facts = lab("hemoglobin", "95 g/L"), lab("platelets", "50 10*9/L"), lab("hemoglobin", "95 g/L", "2025-05-01")
    found = result(f"readings: {{options: {{one: {high}, two: {low}}}}}", *facts)
    assert [one.reference for one in found.evidence] == [facts[1].reference, facts[0].reference]
    assert [entry.why for entry in found.set_aside] == ["superseded"]


def test_members_without_dates_fit_in_any_span() -> None:
    both = "all-of: {of: [{sex: {is: male}}, {value: {concepts: [hemoglobin], at-least: 90 g/L}}], together: 7 d}"
    assert said(result("all-of: {of: [{sex: {is: male}}], together: 7 d}")) == (MET, "present")
    assert result(both, lab("hemoglobin", "95 g/L")).verdict.value == MET


def test_dates_that_fit_in_no_span_leave_it_open() -> None:
    hb, plt = "{value: {concepts: [hemoglobin], at-least: 90 g/L}}", "{value: {concepts: [platelets], at-least: 75 10*9/L}}"
    both = f"all-of: {{of: [{hb}, {plt}], together: 7 d}}"
    facts = lab("hemoglobin", "95 g/L", "2025-05-20"), lab("platelets", "80 10*9/L", "2025-05-27")
    assert result(both, *facts).verdict.value == MET
    later = lab("platelets", "80 10*9/L", "2025-05-28")
    assert said(result(both, facts[0], later)) == (UNKNOWN, "ambiguous-protocol")
    undated = lab("platelets", "80 10*9/L", None)
    assert said(result(both, facts[0], undated)) == (UNKNOWN, "imprecise-date")


PARTS = """applies-if:
  when: {%s}
  then:
    all-of:
      - {id: inner, text: t, %s}
      - any-of:
          - {id: deep, text: t, %s}
          - {id: fourth, text: t, %s}
"""


def test_what_does_not_apply_shows_its_criteria_as_not_applicable() -> None:
    found = assessed(PARTS % (LEAVES[NOT_MET], LEAVES[MET], LEAVES[MET], LEAVES[UNKNOWN]))
    assert {part.id: part.verdict.value for part in found.walk()} == dict.fromkeys(
        ("c", "inner", "deep", "fourth"), NOT_APPLICABLE
    )


def test_under_an_open_guard_no_part_is_shown_as_not_met() -> None:
    found = assessed(PARTS % (LEAVES[UNKNOWN], LEAVES[NOT_MET], LEAVES[MET], LEAVES[UNKNOWN]))
    inner = found.find("inner")
    assert inner is not None and inner.settled_by is not None and inner.settled_by.milestone == "enrollment"
    assert [(part.id, part.verdict.value, part.conditional) for part in found.walk()] == [
        ("c", UNKNOWN, False),
        ("inner", UNKNOWN, False),
        ("deep", MET, True),
        ("fourth", UNKNOWN, False),
    ]


def test_an_open_guard_keeps_open_what_is_inside_it_however_deep() -> None:
    deep = "{id: mid, text: t, all-of: [{id: low, text: t, sex: {is: female}}, {id: well, text: t, sex: {is: male}}]}"
    then = f"{{id: outer, text: t, all-of: [{deep}]}}"
    found = assessed(f"applies-if: {{when: {{attestation: {{question: q}}}}, then: {then}}}")
    assert [(part.id, *said(part), part.conditional) for part in found.walk()] == [
        ("c", UNKNOWN, "needs-person", False),
        ("outer", UNKNOWN, "needs-person", False),
        ("mid", UNKNOWN, "needs-person", False),
        ("low", UNKNOWN, "needs-person", False),
        ("well", MET, "present", True),
    ]


def test_an_open_guard_gives_its_reason_and_what_settles_it() -> None:
    found = result(f"applies-if: {{when: {{{LEAVES[UNKNOWN]}}}, then: {{{LEAVES[NOT_MET]}}}}}")
    assert said(found) == (UNKNOWN, "pending-event")
    assert found.settled_by is not None and found.settled_by.milestone == "enrollment"


def test_at_the_top_what_does_not_apply_counts_as_satisfied() -> None:
    found = assessed(LEAVES[NOT_APPLICABLE])
    assert (found.verdict.value, found.status.value, found.find("c").verdict.value) == (MET, "eligible", NOT_APPLICABLE)  # type: ignore[union-attr]
