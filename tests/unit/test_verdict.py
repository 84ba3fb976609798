"""The four verdicts and how they combine; what a result and an assessment offer to their readers."""

from __future__ import annotations

from itertools import product
from typing import cast

import pytest

from fhir_elig.criteria.base import Kind
from fhir_elig.criteria.context import Context
from fhir_elig.verdict import (
    MET,
    NOT_APPLICABLE,
    NOT_MET,
    UNKNOWN,
    CriterionResult,
    Reason,
    Retrieved,
    Verdict,
    agree,
    all_of,
    any_of,
    at_least,
    negate,
)
from tests.spec.table import assessed, relma_results

FOUR = (MET, NOT_MET, UNKNOWN, NOT_APPLICABLE)


@pytest.mark.parametrize("members", list(product(FOUR, repeat=3)))
def test_the_tables(members: tuple[Verdict, ...]) -> None:
    applying = [member for member in members if member is not NOT_APPLICABLE]
    nothing = not applying
    met, open_ = applying.count(MET), applying.count(UNKNOWN)
    assert all_of(members) is (NOT_APPLICABLE if nothing else NOT_MET if NOT_MET in applying else UNKNOWN if open_ else MET)
    assert any_of(members) is (NOT_APPLICABLE if nothing else MET if met else UNKNOWN if open_ else NOT_MET)
    for count in (1, 2, 3):
        due = NOT_APPLICABLE if nothing else MET if met >= count else NOT_MET if met + open_ < count else UNKNOWN
        assert at_least(count, members) is due


def test_no_members_are_not_applicable() -> None:
    assert (all_of([]), any_of([]), at_least(1, []), agree([])) == (NOT_APPLICABLE, NOT_APPLICABLE, NOT_APPLICABLE, None)


def test_negation_swaps_met_and_not_met_only() -> None:
    assert [negate(verdict) for verdict in FOUR] == [NOT_MET, MET, UNKNOWN, NOT_APPLICABLE]


def test_agreement_needs_all() -> None:
    assert [agree([MET, MET]), agree([MET, UNKNOWN]), agree([UNKNOWN])] == [MET, None, UNKNOWN]


def test_a_result_is_walked_depth_first_and_its_leaves_are_those_without_parts() -> None:
    leaf = CriterionResult(id="b", verdict=MET, reason=Reason.PRESENT)
    tree = CriterionResult(
        id="a", verdict=MET, reason=Reason.PRESENT, criteria=(leaf, CriterionResult(id="c", verdict=MET, reason=Reason.PRESENT))
    )
    assert [result.id for result in tree.walk()] == ["a", "b", "c"]
    assert [result.id for result in tree.leaves()] == ["b", "c"]


def test_a_criterion_is_found_at_any_depth() -> None:
    found = relma_results()
    assert found.find("hemoglobin") is not None
    assert found.find("no-such-criterion") is None
    assert sum(found.counts().values()) == sum(1 for result in found.criteria for _ in result.leaves())


@pytest.mark.parametrize(
    ("note", "broken"),
    [
        ("partial: page 2 lost", True),
        ("refused (403)", True),
        ("withheld", True),
        ("not-served", False),
        ("not-asked", False),
        ("", False),
    ],
)
def test_a_type_of_which_something_did_not_arrive_is_broken(note: str, broken: bool) -> None:
    assert Retrieved("Observation", not note, note).broken is broken


def test_a_kind_that_does_not_say_how_it_is_evaluated_has_no_verdict() -> None:
    with pytest.raises(NotImplementedError):
        Kind().evaluate(cast(Context, None))


def test_the_json_is_one_line_and_leaves_out_what_says_nothing() -> None:
    sent = assessed("sex: {is: male}").to_json()
    assert b"\n" not in sent
    assert b'"near_limit"' not in sent and b'"decisive":[]' in sent
