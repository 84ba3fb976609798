"""A type is called complete only if the whole question was answered with this patient's records."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sources.charts import (
    CHART,
    CLEAN,
    HB,
    OTHERS,
    P1,
    PLT,
    fetch,
    ids,
    line,
    network,
    observations,
    source,
)
from tests.sources.fakes import (
    BASE,
    FHIR,
    Fake,
    observation,
    outcome,
    searchset,
)


def test_a_server_that_ignores_codes_is_filtered_here() -> None:
    link = f"{BASE}/Observation?patient=p1"
    chart = fetch(observations(Fake(CHART), searchset([*CHART[1:6], observation("z", code="9-9")], self_link=link)))
    assert (ids(chart), line(chart)) == (CLEAN, "complete")


def test_a_server_that_ignores_the_patient_is_incomplete_and_nothing_of_others_is_kept() -> None:
    link = f"{BASE}/Observation?code={HB},{PLT}"
    chart = fetch(observations(Fake(CHART), searchset([*CHART[1:6], *OTHERS[1:]], self_link=link)))
    assert (ids(chart), chart.identity) == (CLEAN, False)
    assert line(chart) == "partial: the server ignored whose records were asked for"


def test_a_self_link_without_the_patient_is_a_doubt_that_can_be_overruled_if_nobody_elses_records_came() -> None:
    link = f"{BASE}/Observation"
    alone = observations(Fake(CHART), searchset(CHART[1:6], self_link=link))
    mixed = observations(Fake(CHART), searchset([*CHART[1:6], *OTHERS[1:]], self_link=link))
    assert line(fetch(alone)) == "partial: the self link does not show whose records were asked for"
    assert line(fetch(alone, complete="all")) == "complete"
    assert line(fetch(mixed, complete="all")) == "partial: the server ignored whose records were asked for"


@pytest.mark.parametrize("link", [None, f"{BASE}/Observation?patient=p1&code={HB},{PLT}"])
def test_another_patients_resource_is_dropped_and_an_alarm(link: str | None) -> None:
    chart = fetch(observations(Fake(CHART), searchset([*CHART[1:6], *OTHERS[1:]], self_link=link)))
    assert (ids(chart), chart.identity) == (CLEAN, True)


def test_a_hundred_patients_with_mixed_answers_use_nothing_of_each_other() -> None:
    people = [{"resourceType": "Patient", "id": f"q{number}"} for number in range(100)]
    everything = [observation(f"o{number}", f"q{number}") for number in range(100)]
    with network(observations(Fake(people), searchset(everything))):
        charts = list(source().patients([str(one["id"]) for one in people]))
    assert [ids(chart) for chart in charts] == [[f"o{number}"] for number in range(100)]
    assert all(chart.identity for chart in charts)


@pytest.mark.parametrize(
    "subject",
    [None, {"reference": "Group/g1"}, {"identifier": {"value": "1"}}, {"reference": "https://elsewhere.example.org/Patient/p1"}],
)
def test_a_resource_whose_subject_cannot_be_read_is_handed_on_and_makes_the_type_incomplete(subject: Any) -> None:
    odd = {**observation("odd"), "subject": subject}
    chart = fetch(observations(Fake(CHART), searchset([*CHART[1:6], odd])))
    assert (ids(chart), line(chart)) == ([*CLEAN, "odd"], "partial: a resource whose subject cannot be read")
    assert chart.identity is False


def test_absolute_references_under_the_base_are_the_patients() -> None:
    own = {**observation("own"), "subject": {"reference": "HTTPS://ehr.example.org:443/fhir/Patient/p1/_history/3"}}
    assert ids(fetch(observations(Fake(CHART), searchset([own])))) == ["own"]


@pytest.mark.parametrize(
    "link",
    [
        f"{BASE}/Observation?patient=p2&code={HB},{PLT}",
        f"{BASE}/Observation?patient=p1&code={HB}",
        f"{BASE}/Observation?patient=p1&code={HB}&code={PLT}",
        f"{BASE}/Observation?patient=p1&code={HB},{PLT}&status=final",
        f"{BASE}/Observation?patient=p1&code={HB},{PLT}&_lastUpdated=ge2025",
    ],
)
def test_a_question_that_the_server_changed_is_not_complete(link: str) -> None:
    assert line(fetch(observations(Fake(CHART), searchset(CHART[1:6], self_link=link)))).startswith("partial: the server ")


@pytest.mark.parametrize(
    "link",
    [
        f"{BASE}/Observation?subject=Patient/p1&code=718-7,777-3,1-1&_count=20&_getpages=7&page=1&_format=json",
        f"Observation?patient:Patient=p1&code={HB},{PLT}",
        f"{BASE}/Observation?patient={BASE}/Patient/p1&code=urn:oid:2.16.840.1.113883.6.1|718-7,{PLT}",
    ],
)
def test_a_self_link_in_other_words_is_complete(link: str) -> None:
    assert line(fetch(observations(Fake(CHART), searchset(CHART[1:6], self_link=link)))) == "complete"


def test_a_self_link_that_cannot_be_read_shows_that_nothing_was_honoured() -> None:
    assert line(fetch(observations(Fake(CHART), searchset(CHART[1:6], self_link="http://[x")))).startswith("partial: ")


@pytest.mark.parametrize(
    ("total", "note"), [(5, "complete"), (4, "complete"), ("7", "complete"), (6, "partial: the server counts more")]
)
def test_a_total_above_what_came_is_not_complete(total: Any, note: str) -> None:
    assert line(fetch(observations(Fake(CHART), searchset(CHART[1:6], total=total)))).startswith(note)


def remarked(issue: dict[str, Any]) -> dict[str, Any]:
    page = searchset(CHART[1:6])
    page["entry"].append({"resource": issue, "search": {"mode": "outcome"}})
    return page


@pytest.mark.parametrize(
    ("issue", "note"),
    [
        (outcome("information", "informational", "4101"), "complete"),
        (outcome("warning", "processing", "4101"), "complete"),
        (outcome("information", "informational", text="the search took 3 ms"), "complete"),
        (outcome("warning", "processing", "4119"), "withheld: "),
        (outcome("warning", "suppressed"), "withheld: "),
        (outcome("error", "suppressed"), "withheld: "),
        (outcome("information", "informational", text="Additional data may be present"), "withheld: "),
        (outcome("information", "informational", text="sensitive records were withheld"), "withheld: "),
        (outcome("information", "processing", "59133"), "partial: "),
        (outcome("information", "processing", "4127"), "partial: "),
        (outcome("warning", "not-supported", "59100"), "partial: "),
        (outcome("information", "too-costly"), "partial: "),
        (outcome("information", "informational", text="Result truncated at 100"), "partial: "),
        (outcome("error", "processing"), "partial: the server reports an error (processing)"),
        (outcome("fatal", "4711 canary"), "partial: the server reports an error"),
        (outcome("warning", "processing", text="something"), "partial: the server warns"),
        ({"resourceType": "OperationOutcome"}, "partial: the server sent a message without issues"),
    ],
)
def test_an_outcome_among_the_entries_is_read_for_completeness(issue: dict[str, Any], note: str) -> None:
    chart = fetch(observations(Fake(CHART), remarked(issue)))
    assert ids(chart) == CLEAN
    assert line(chart).startswith(note)
    assert "canary" not in line(chart)


def test_a_display_that_speaks_of_withheld_data_counts_too() -> None:
    issue = {
        "severity": "information",
        "code": "informational",
        "details": {"coding": [{"display": "Data suppressed"}, 3], "text": "x"},
    }
    assert line(fetch(observations(Fake(CHART), remarked({"resourceType": "OperationOutcome", "issue": [issue]})))).startswith(
        "withheld"
    )


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (remarked(outcome("warning", "processing", text="something")), "complete"),
        (remarked(outcome("warning", "suppressed")), "withheld"),
        (searchset(CHART[1:6], total=9), "partial"),
        ((500, {}, ""), "partial"),
        ((403, {}, ""), "refused"),
    ],
)
@pytest.mark.parametrize("complete", [frozenset({"Observation"}), "all"])
def test_declaring_a_type_complete_overrules_doubts_and_never_a_lack(answer: Any, note: str, complete: Any) -> None:
    assert line(fetch(observations(Fake(CHART), answer), complete=complete)).startswith(note)


@pytest.mark.parametrize(
    "entry",
    [
        {"fullUrl": "x"},
        7,
        {"resource": P1, "search": {"mode": "match"}},
        {"resource": CHART[1], "search": {"mode": "surprise"}},
        {"resource": observation("s", meta={"tag": [{"code": "SUBSETTED"}]}), "search": {"mode": "match"}},
    ],
)
def test_an_odd_entry_makes_the_type_incomplete(entry: Any) -> None:
    page = searchset(CHART[1:6])
    page["entry"].append(entry)
    assert line(fetch(observations(Fake(CHART), page))).startswith("partial: ")


@pytest.mark.parametrize("entries", [{}, "x", None, 3])
def test_entries_that_are_no_list_make_the_type_incomplete(entries: Any) -> None:
    assert line(fetch(observations(Fake(CHART), {**searchset([]), "entry": entries}))).startswith("partial: ")


def test_an_included_resource_that_was_not_asked_for_is_left_out() -> None:
    page = searchset(CHART[1:6])
    page["entry"].append({"resource": {"resourceType": "Practitioner", "id": "d1"}, "search": {"mode": "include"}})
    page["entry"].append({"resource": observation("late")})
    chart = fetch(observations(Fake(CHART), page))
    assert (ids(chart), line(chart), ids(chart, "Practitioner")) == (["late", *CLEAN], "complete", [])


def broken_entry(patient: str) -> str:
    text = json.dumps(searchset([*CHART[1:5], observation("bad", patient)], total=5))
    return text.replace('"id": "bad"', '"valueInteger": 1, "valueInteger": 2, "id": "bad"')


def test_a_resource_that_is_refused_is_listed_with_its_codes() -> None:
    chart = fetch(observations(Fake(CHART), (200, FHIR, broken_entry("p1"))))
    assert [(one.reference, one.type, one.codes) for one in chart.refused] == [("Observation/bad", "Observation", (HB,))]
    assert (ids(chart), line(chart)) == (CLEAN[:4], "complete")


def test_a_refused_resource_of_another_patient_is_an_alarm() -> None:
    chart = fetch(observations(Fake(CHART), (200, FHIR, broken_entry("p2"))))
    assert (chart.refused, chart.identity) == ((), True)


def test_decimals_stay_as_sent() -> None:
    text = json.dumps(searchset([observation("o0", valueQuantity={"value": 1})])).replace('"value": 1', '"value": 7.50')
    chart = fetch(observations(Fake(CHART), (200, FHIR, text)))
    assert str(chart.resources[1]["valueQuantity"]["value"]) == "7.50"
