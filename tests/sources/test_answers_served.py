"""People's answers as a server gives them: searched over a real connection, page by page, and used with author, time and end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fhir_elig.cli import run
from tests.golden import cases
from tests.sources import hostile
from tests.sources.hostile import PATIENT, Ward

Resource = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def _loaded_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        hostile.loaded_once(patch)
        yield


@pytest.fixture
def form(capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["protocol", "questionnaire", cases.PROTOCOL]) == 0
    printed = json.loads(capsys.readouterr().out)
    return f"{printed['url']}|{printed['version']}"


def said(name: str, form: str, value: bool, patient: str = PATIENT, **more: Any) -> Resource:
    return {
        "resourceType": "QuestionnaireResponse", "id": name, "status": "completed", "questionnaire": form,
        "subject": {"reference": f"Patient/{patient}"}, "authored": "2025-05-20T10:00:00Z",
        "author": {"reference": "Practitioner/7"},
        "item": [{"linkId": "vascular-access", "answer": [{"valueBoolean": value}]}], **more,
    }  # fmt: skip


def asked(place: Ward, capsys: pytest.CaptureFixture[str], *more: str, code: int = 0) -> tuple[Resource, Resource]:
    """The criterion that only a person can tell, and what is said of the type that answers come in."""
    as_of = hostile.golden()[0].case.expected["as-of"]
    command = ["screen", "--protocol", cases.PROTOCOL, "--server", place.base, "--patient", PATIENT, "--as-of", as_of]
    assert run([*command, "--format", "ndjson", *more]) == code
    (line,) = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
    found = [one for one in criteria(line) if one["id"] == "vascular-access"]
    return found[0], next(one for one in line["retrieved"] if one["type"] == "QuestionnaireResponse")


def criteria(node: Resource) -> Iterator[Resource]:
    for one in node.get("criteria", []):
        yield one
        yield from criteria(one)


def test_the_newest_answer_of_all_pages_decides_and_its_author_and_time_are_told(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with hostile.ward() as place:
        older = [said(f"a{day}", form, False, authored=f"2025-05-{day}T10:00:00Z") for day in range(10, 18)]
        place.resources = [*place.resources, *older, said("last", form, True), said("other", form, False, "other")]
        found, retrieved = asked(place, capsys)
    assert (found["verdict"], found["reason"]) == ("met", "attested")
    (evidence,) = found["evidence"]
    told = evidence["reference"], evidence["time"], evidence["note"]
    assert told == ("QuestionnaireResponse/last", "2025-05-20T10:00:00Z", "answered by Practitioner/7")
    assert retrieved["complete"]


@pytest.mark.parametrize(
    "changed",
    [{"status": "in-progress"}, {"status": "entered-in-error"}, {"questionnaire": "https://example.org/Questionnaire/x"}],
)
def test_an_answer_that_is_not_one_to_this_form_leaves_the_question_open(
    changed: Resource, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with hostile.ward() as place:
        place.resources = [*place.resources, {**said("last", form, True), **changed}]
        found, retrieved = asked(place, capsys)
    assert (found["verdict"], found["reason"], retrieved["complete"]) == ("unknown", "needs-person", True)


def test_an_answer_on_a_page_that_is_lost_decides_nothing(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    with hostile.ward() as place:
        place.resources = [*place.resources, *(said(f"a{day}", form, True) for day in range(10, 18))]
        place.fault = lambda ward, ask, answer: (500, {}, "") if ask.kind == "QuestionnaireResponse" and ask.page == 2 else answer
        found, retrieved = asked(place, capsys, "--timeout", "5", code=1)
    assert (found["verdict"], retrieved["complete"]) == ("unknown", False)
