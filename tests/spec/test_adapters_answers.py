"""QuestionnaireResponse and Consent: answers of the protocol's own form, and consents to research."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fhir_elig.adapters import Settings, read
from fhir_elig.record import Answer, Counts, Flaw, Record
from fhir_elig.times import When, iso

FORM = "https://example.org/fhir-elig/Questionnaire/relma-cel-ssc-attestations"
SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"


def chart(resource: dict[str, Any], questionnaire: str = FORM) -> Record:
    settings = Settings(code_key=lambda system, code: f"{system}|{code}", questionnaire=questionnaire)
    return read([resource], patient="p1", settings=settings)


def response(*items: Any, **over: Any) -> dict[str, Any]:
    resource = {
        "resourceType": "QuestionnaireResponse",
        "id": "q1",
        "questionnaire": f"{FORM}|1.0.0",
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "authored": "2025-06-02T09:30:00+02:00",
        "author": {"reference": "Practitioner/7"},
        "item": list(items),
        **over,
    }
    return {name: part for name, part in resource.items() if part is not None}


def item(link: str, *values: dict[str, Any], **over: Any) -> dict[str, Any]:
    return {"linkId": link, "answer": list(values), **over}


def answers(*items: Any, **over: Any) -> tuple[Answer, ...]:
    record = chart(response(*items, **over))
    assert not record.refused
    return record.answers


def test_an_answer_says_what_who_when_and_on_which_form() -> None:
    (found,) = answers(item("consent", {"valueBoolean": True}))
    assert (found.item, found.value, found.by, found.kind, found.counts) == (
        "consent",
        True,
        "Practitioner/7",
        "questionnaire",
        Counts.YES,
    )
    assert found.questionnaire == f"{FORM}|1.0.0" and found.on is not None and iso(found.on.first) == "2025-06-02"


@pytest.mark.parametrize(
    ("over", "counts"),
    [
        ({"status": "completed"}, Counts.YES),
        ({"status": "amended"}, Counts.YES),
        ({"status": "in-progress"}, Counts.NO),
        ({"status": "stopped"}, Counts.NO),
        ({"status": "entered-in-error"}, Counts.NO),
        ({"author": None}, Counts.NO),
        ({"authored": None}, Counts.NO),
        ({"authored": "yesterday"}, Counts.NO),
        ({"author": {"display": "a nurse"}}, Counts.NO),
    ],
)
def test_an_answer_counts_if_it_is_finished_dated_and_signed(over: dict[str, Any], counts: Counts) -> None:
    (found,) = answers(item("consent", {"valueBoolean": True}), **over)
    assert found.counts is counts
    assert bool(found.notes) is ("author" in over or "authored" in over)


@pytest.mark.parametrize("named", [None, "https://example.org/other", f"{FORM}-2", FORM + "/"])
def test_answers_to_another_form_are_none_of_ours(named: Any) -> None:
    assert answers(item("consent", {"valueBoolean": True}), questionnaire=named) == ()


def test_without_a_form_to_look_for_no_answer_is_read() -> None:
    record = chart(response(item("consent", {"valueBoolean": True}), questionnaire=None), questionnaire="")
    assert record.answers == () and record.refused == ()


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ({"valueBoolean": True}, True),
        ({"valueBoolean": False}, False),
        ({"valueDecimal": Decimal("1.50")}, Decimal("1.50")),
        ({"valueInteger": 18}, 18),
        ({"valueQuantity": {"value": 18}}, 18),
        ({"valueQuantity": {"value": 18, "unit": "points", "code": "{score}"}}, 18),
        ({"valueQuantity": {"value": 18, "unit": "mg"}}, None),
        ({"valueQuantity": {"value": 18, "comparator": ">"}}, None),
        ({"valueQuantity": 18}, None),
        ({"valueBoolean": "true"}, None),
        ({"valueBoolean": 1}, None),
        ({"valueBoolean": None}, None),
        ({"valueInteger": True}, None),
        ({"valueDecimal": 1.5}, None),
        ({"valueString": "yes"}, None),
        ({"valueCoding": {"code": "Y"}}, None),
        ({"valueBoolean": True, "valueInteger": 1}, None),
        ({}, None),
    ],
)
def test_a_value_is_a_boolean_or_an_exact_number(sent: dict[str, Any], value: Any) -> None:
    (found,) = answers(item("a", sent))
    assert found.value == value and type(found.value) is type(value)
    assert bool(found.notes) is (value is None)


def test_nested_items_and_repeated_answers_are_all_read() -> None:
    nested = item("score", {"valueInteger": 9, "item": [item("score/raynaud", {"valueBoolean": True})]}, {"valueInteger": 10})
    group = {"linkId": "group", "item": [nested, {"linkId": "open"}]}
    found = [(one.item, one.value) for one in answers(group, item("last", {"valueBoolean": False}))]
    assert found == [("score", 9), ("score/raynaud", True), ("score", 10), ("last", False)]


def test_a_modifier_stands_over_what_is_below_it() -> None:
    mark = [{"url": "x"}]
    found = answers(
        {"linkId": "g", "modifierExtension": mark, "item": [item("a", {"valueBoolean": True})]},
        item("b", {"valueBoolean": True, "modifierExtension": mark}),
        item("c", {"valueBoolean": True}),
    )
    assert [(one.item, one.flaws) for one in found] == [("a", (Flaw.MODIFIER,)), ("b", (Flaw.MODIFIER,)), ("c", ())]
    (whole,) = answers(item("b", {"valueBoolean": True, "modifierExtension": mark}), modifierExtension=mark)
    assert whole.flaws == (Flaw.MODIFIER,)


def deep(levels: int) -> dict[str, Any]:
    found = item("a", {"valueBoolean": True})
    for _ in range(levels):
        found = {"linkId": "g", "item": [found]}
    return found


@pytest.mark.parametrize(
    "items", [[{"answer": [{"valueBoolean": True}]}], [{"linkId": 5, "answer": [{}]}], [5], [deep(40)], [deep(5000)]]
)
def test_a_form_of_an_impossible_shape_is_set_aside(items: list[Any]) -> None:
    record = chart(response(*items))
    assert record.answers == () and record.refused[0].reference == "QuestionnaireResponse/q1"


def test_nesting_within_bounds_is_read() -> None:
    assert len(answers(deep(30))) == 1


# Consent


def consent(**over: Any) -> dict[str, Any]:
    resource = {
        "resourceType": "Consent",
        "id": "c1",
        "status": "active",
        "scope": {"coding": [{"system": SCOPE, "code": "research"}]},
        "patient": {"reference": "Patient/p1"},
        "dateTime": "2025-05-01",
        "performer": [{"reference": "Patient/p1"}],
        "provision": {"type": "permit"},
        **over,
    }
    return {name: part for name, part in resource.items() if part is not None}


def consent_r5(**over: Any) -> dict[str, Any]:
    category = [{"coding": [{"code": "research"}]}]
    r4 = dict.fromkeys(("scope", "patient", "dateTime", "performer", "provision"))
    r5 = {"subject": {"reference": "Patient/p1"}, "date": "2025-05-01", "decision": "permit", "category": category}
    return consent(**{**r4, **r5, **over})


def said(resource: dict[str, Any]) -> Answer:
    record = chart(resource)
    assert not record.refused
    return record.answers[0]


def day(when: When | None) -> str | None:
    return None if when is None else iso(when.first)


def test_a_consent_is_an_answer_without_an_item() -> None:
    found = said(consent())
    assert (found.kind, found.item, found.value, found.counts, found.by) == ("consent", "", True, Counts.YES, "Patient/p1")
    assert (day(found.on), found.expires, found.study) == ("2025-05-01", None, ())
    assert said(consent_r5()).value is True and day(said(consent_r5()).on) == "2025-05-01"


@pytest.mark.parametrize("status", ["draft", "proposed", "rejected", "inactive", "not-done", "unknown", "entered-in-error"])
def test_a_consent_that_is_not_active_does_not_count(status: str) -> None:
    assert said(consent(status=status)).counts is Counts.NO


@pytest.mark.parametrize(
    ("over", "counts"),
    [
        ({"scope": {"coding": [{"code": "treatment"}]}}, Counts.NO),
        ({"scope": {"coding": [{"code": "treatment"}]}, "category": [{"coding": [{"code": "research"}]}]}, Counts.NO),
        ({"scope": None, "category": [{"coding": [{"code": "research"}]}]}, Counts.YES),
        ({"scope": None}, Counts.NO),
    ],
)
def test_only_a_consent_to_research_counts(over: dict[str, Any], counts: Counts) -> None:
    assert said(consent(**over)).counts is counts


@pytest.mark.parametrize(
    ("resource", "value"),
    [
        (consent(provision={"type": "deny"}), False),
        (consent(provision=None), None),
        (consent(provision={}), None),
        (consent(provision={"type": "permit", "provision": [{"type": "deny"}]}), None),
        (consent(provision=[{"type": "permit"}, {"type": "permit"}]), None),
        (consent_r5(decision="deny"), False),
        (consent_r5(decision="perhaps"), None),
        (consent_r5(provision=[{"period": {"end": "2026-01-01"}}]), True),
        (consent_r5(provision=[{"action": [{"text": "share"}]}]), None),
    ],
)
def test_a_decision_with_exceptions_is_left_to_a_person(resource: dict[str, Any], value: bool | None) -> None:
    found = said(resource)
    assert found.value is value and bool(found.notes) is (value is None)


@pytest.mark.parametrize(
    ("resource", "on", "expires"),
    [
        (consent(provision={"type": "permit", "period": {"end": "2026-01-01"}}), "2025-05-01", "2026-01-01"),
        (consent(provision={"type": "permit", "period": {"start": "2025-06-01"}}), "2025-06-01", None),
        (consent(provision={"type": "permit", "period": {"start": "2025-01-01"}}), "2025-05-01", None),
        (consent(dateTime=None, provision={"type": "permit", "period": {"start": "2025-06-01"}}), "2025-06-01", None),
        (consent(dateTime=None), None, None),
        (
            consent_r5(period={"start": "2025-01-01", "end": "2026-01-01"}, provision=[{"period": {"end": "2025-12-01"}}]),
            "2025-05-01",
            "2025-12-01",
        ),
    ],
)
def test_a_consent_holds_from_its_date_to_its_end(resource: dict[str, Any], on: str | None, expires: str | None) -> None:
    found = said(resource)
    assert (day(found.on), day(found.expires)) == (on, expires)


@pytest.mark.parametrize(
    "over",
    [
        {"provision": {"type": "deny", "data": [{"meaning": "instance", "reference": {"reference": "ResearchStudy/77"}}]}},
        {"provision": {"type": "deny", "actor": [{"reference": {"reference": "ResearchStudy/77"}}, {"reference": None}]}},
        {"extension": [{"url": "x", "valueReference": {"reference": "ResearchStudy/77"}}, {"url": "y"}]},
        {"sourceReference": {"reference": "ResearchStudy/77"}},
    ],
)
def test_a_consent_names_its_studies(over: dict[str, Any]) -> None:
    assert said(consent(**over)).study == ("ResearchStudy/77",)


def test_what_is_no_study_is_not_named_and_another_servers_study_keeps_its_address() -> None:
    data = [{"reference": {"reference": text}} for text in ("Observation/1", "https://x.example/fhir/ResearchStudy/5")]
    assert said(consent(provision={"type": "permit", "data": data})).study == ("https://x.example/fhir/ResearchStudy/5",)


@pytest.mark.parametrize(
    ("over", "by"),
    [({"performer": None}, ""), ({"performer": None, "organization": [{"reference": "Organization/1"}]}, "Organization/1")],
)
def test_who_gave_a_consent(over: dict[str, Any], by: str) -> None:
    assert said(consent(**over)).by == by


def test_a_modifier_in_a_provision_is_a_flaw() -> None:
    provision = {"type": "permit", "modifierExtension": [{"url": "x"}]}
    assert said(consent(provision=provision)).flaws == (Flaw.MODIFIER,)
    assert said(consent(provision=provision, modifierExtension=[{"url": "x"}])).flaws == (Flaw.MODIFIER,)
