"""Scores whose items people answer: of a group the highest counts once, unknown ones may or may not be there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_elig import derive
from tests.spec.table import Row, answer, check, relma, relma_results, result, said
from tests.spec.words import Page

PAGE = Page(
    "Score",
    """
Points are counted for items that people answer. Of a group only the highest item counts. An item without an answer may or
may not give its points: the criterion is unknown as long as these points could change the verdict.
""",
)

DATA = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())["acr_eular_2013"]
WEIGHTS: dict[str, int] = DATA["weights"]
GROUPS: list[list[str]] = DATA["groups_counted_once_at_their_highest"]
SCORE = "score: {items: {a: 4, b: 3, c: 5}, groups: [[a, b]], at-least: 7}"


def answers(vector: dict[str, Any], criterion: str = "ssc-classification") -> list[Any]:
    """Present items are answered yes, unknown ones not at all, all others no."""
    known = [item for item in WEIGHTS if item not in vector["unknown"]]
    return [answer(f"{criterion}/{item}", item in vector["present"]) for item in known]


def items(**told: bool) -> tuple[Any, ...]:
    return tuple(answer(f"c/{item}", yes) for item, yes in told.items())


def test_the_protocol_has_the_published_weights_groups_and_threshold() -> None:
    node = next(node for node in relma().walk() if node.score is not None)
    assert node.score is not None
    assert (node.score.items, [list(group) for group in node.score.groups], node.score.at_least) == (WEIGHTS, GROUPS, 9)


@pytest.mark.parametrize("vector", DATA["vectors"], ids=lambda vector: vector["id"])
def test_the_points_of_the_vectors(vector: dict[str, Any]) -> None:
    absent = [item for item in WEIGHTS if item not in (*vector["present"], *vector["unknown"])]
    points = derive.score(WEIGHTS, GROUPS, vector["present"], absent)
    assert (min(points), max(points)) == (vector["expected"]["low"], vector["expected"]["high"])


@pytest.mark.parametrize("vector", DATA["vectors"], ids=lambda vector: vector["id"])
def test_the_verdicts_of_the_vectors(vector: dict[str, Any]) -> None:
    text = f"score: {{items: {json.dumps(WEIGHTS)}, groups: {json.dumps(GROUPS)}, at-least: 9}}"
    assert result(text, *answers(vector, "c")).verdict.value == vector["verdict"]
    if vector["verdict"] == "met":
        assert said(relma_results(*answers(vector)).find("ssc-classification")) == ("met", "in-range")


ROWS = [
    Row("nothing answered", (), SCORE, "unknown", "not-found"),
    Row("a group counts once, at its highest", items(a=True, b=True, c=False), SCORE, "not-met", "out-of-range"),
    Row("exactly enough", items(a=False, b=True, c=True), SCORE, "met", "in-range"),
    Row("enough, whatever the open item is", items(a=True, c=True), SCORE, "met", "in-range"),
    Row("not enough, whatever the open item is", items(a=True, c=False), SCORE, "not-met", "out-of-range"),
    Row("open: a person is asked", items(a=True), SCORE, "unknown", "needs-person"),
    Row("answers to another criterion", (answer("other/a", True), answer("other/c", True)), SCORE, "unknown", "not-found"),
    Row(
        "two answers of one day that disagree",
        (*items(a=True), answer("c/c", True, ref="1"), answer("c/c", False, ref="2")),
        SCORE,
        "unknown",
        "needs-person",
    ),
    Row(
        "the newest answer to an item counts",
        (*items(a=True), answer("c/c", True, "2025-01-01"), answer("c/c", False, "2025-02-01")),
        SCORE,
        "not-met",
        "out-of-range",
    ),
    Row("an item answered after the run", (*items(a=True), answer("c/c", True, "2025-07-01")), SCORE, "unknown", "needs-person"),
    Row(
        "4 points or 9, and none between them",
        items(a=True),
        SCORE.replace("at-least: 7", "at-least: 5, at-most: 8"),
        "not-met",
        "out-of-range",
    ),
    Row(
        "items under another id",
        (answer("c/a", True),),
        SCORE.replace("at-least", "answers-of: c, at-least"),
        "unknown",
        "needs-person",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_score(row: Row) -> None:
    check(row)


def test_the_points_and_the_open_items_are_said() -> None:
    found = result(SCORE, *items(a=True))
    assert "4 to 9 points" in found.notes
    assert found.settled_by is not None and found.settled_by.question == "which of these are present: b, c?"
    assert "9 points, limit >= 7" in result(SCORE, *items(a=True, b=False, c=True)).notes


def test_the_whole_criterion_may_be_answered_where_the_items_leave_it_open() -> None:
    for told, verdict in ((True, "met"), (False, "not-met")):
        found = relma_results(answer("ssc-classification", told)).find("ssc-classification")
        assert said(found) == (verdict, "attested")
