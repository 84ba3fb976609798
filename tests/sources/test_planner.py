"""What is asked of a server: what it declares, best way first, never less at a step down."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from fhir_elig.record import Need
from tests.sources.charts import (
    CHART,
    CLEAN,
    HB,
    LABS,
    OTHERS,
    PLT,
    PROCEDURES,
    fetch,
    ids,
    line,
    network,
    procedure,
    source,
)
from tests.sources.fakes import (
    BASE,
    LOINC,
    Answer,
    Fake,
    capability,
    observation,
    ok,
    searchset,
)


def test_a_patient_is_read_with_all_pages_of_what_is_needed() -> None:
    fake = Fake([*CHART, *OTHERS, procedure("a1")])
    chart = fetch(fake, LABS, PROCEDURES)
    assert (ids(chart), ids(chart, "Procedure"), ids(chart, "Patient")) == (CLEAN, ["a1"], ["p1"])
    assert [line(chart, kind) for kind in ("Patient", "Observation", "Procedure")] == ["complete"] * 3
    assert (chart.patient, chart.base, chart.identity, chart.broken, chart.failure, chart.errors) == (
        "p1",
        BASE,
        False,
        False,
        None,
        (),
    )


def test_metadata_is_asked_once_for_all_patients() -> None:
    fake = Fake([*CHART, *OTHERS])
    with network(fake):
        charts = list(source().patients(["Patient/p1", "p2", "p1"]))
    assert [chart.patient for chart in charts] == ["p1", "p2"]
    assert sum(path == "/metadata" for _, path, _ in fake.asked) == 1


def test_codes_and_patient_go_into_the_body_of_post_search() -> None:
    fake = Fake(CHART, page=10)
    fetch(fake)
    method, path, body = fake.asked[-1]
    assert (method, path) == ("POST", "/Observation/_search")
    assert dict(parse_qsl(body)) == {"patient": "p1", "code": f"{HB},{PLT}"}


def test_a_server_without_post_search_is_asked_by_get_and_post_is_not_tried_again() -> None:
    fake = Fake([*CHART, *OTHERS])
    fake.override = lambda method, path, body: (405, {}, "") if method == "POST" else None
    with network(fake):
        charts = list(source().patients(["p1", "p2"]))
    assert (ids(charts[0]), line(charts[0]), ids(charts[1])) == (CLEAN, "complete", ["o77"])
    assert sum(method == "POST" for method, _, _ in fake.asked) == 1


def test_a_server_that_ignores_the_body_of_post_search_is_asked_by_get() -> None:
    fake = Fake([*CHART, *OTHERS])
    fake.override = lambda method, path, body: ok(fake.search("Observation", {})) if method == "POST" else None
    chart = fetch(fake)
    assert (ids(chart), line(chart), chart.identity) == (CLEAN, "complete", False)


def test_get_asks_for_at_most_40_codes_and_1500_bytes_at_a_time() -> None:
    codes = frozenset(f"{LOINC}|{number}-1" for number in range(100)) | {HB}
    fake = Fake(CHART, page=10)
    fake.override = lambda method, path, body: (405, {}, "") if method == "POST" else None
    chart = fetch(fake, Need("Observation", codes))
    searches = [path for method, path, _ in fake.asked if path.startswith("/Observation?")]
    lists = [dict(parse_qsl(urlsplit(path).query))["code"].split(",") for path in searches]
    assert (ids(chart), line(chart)) == (CLEAN, "complete")
    assert {code for part in lists for code in part} == codes
    assert all(len(part) <= 40 for part in lists)
    assert all(len(path.partition("code=")[2]) <= 1500 for path in searches)


def test_a_list_of_codes_that_is_too_long_for_the_server_is_asked_in_smaller_pieces() -> None:
    codes = frozenset(f"{LOINC}|{number}-1" for number in range(30)) | {HB}
    fake = Fake(CHART, page=10)
    fake.override = lambda method, path, body: (405 if method == "POST" else 414, {}, "") if len(path + body) > 600 else None
    chart = fetch(fake, Need("Observation", codes))
    assert (ids(chart), line(chart)) == (CLEAN, "complete")


@pytest.mark.parametrize("status", [400, 404, 405, 415, 422, 501])
def test_a_server_that_cannot_search_by_code_is_asked_for_all_and_filtered_here(status: int) -> None:
    fake = Fake(CHART)
    fake.override = lambda method, path, body: (status, {}, "") if "code=" in path + body else None
    chart = fetch(fake)
    assert (ids(chart), line(chart)) == (CLEAN, "complete")


def test_a_server_that_wants_a_category_is_asked_so_and_the_type_is_not_complete() -> None:
    fake = Fake(CHART)
    fake.override = lambda method, path, body: (400, {}, "") if "Observation" in path and "category=" not in path else None
    need = Need("Observation", frozenset({HB}), categories=frozenset({"laboratory"}))
    assert (ids(fetch(fake, need)), line(fetch(fake, need)).split()[0]) == (CLEAN, "partial:")
    assert line(fetch(fake, need, complete=frozenset({"Observation"}))) == "complete"


def test_a_type_that_no_search_reaches_is_not_served() -> None:
    fake = Fake(CHART)
    fake.override = lambda method, path, body: (400, {}, "") if "Observation" in path else None
    chart = fetch(fake)
    assert line(chart) == "not-served: HTTP 400"
    assert (chart.broken, ids(chart)) == (False, [])


def test_a_type_that_is_not_declared_is_not_asked() -> None:
    fake = Fake(CHART)
    chart = fetch(fake, LABS, Need("MedicationStatement"))
    assert line(chart, "MedicationStatement") == "not-served"
    assert not any("MedicationStatement" in path for _, path, _ in fake.asked)


def test_a_type_that_is_declared_without_a_search_by_patient_is_not_asked() -> None:
    fake = Fake(CHART, declared=capability(Observation=["code"]))
    assert line(fetch(fake)) == "not-served: no search by patient"


def test_subject_is_asked_where_patient_is_not_declared() -> None:
    fake = Fake(CHART, declared=capability(Observation=["subject", "code"]))
    asked: list[dict[str, str]] = []

    def answer(method: str, path: str, body: str) -> Answer | None:
        if "Observation" not in path:
            return None
        asked.append(dict(parse_qsl(body)))
        return ok(searchset(CHART[1:6], self_link=f"{BASE}/Observation?{body}"))

    fake.override = answer
    assert line(fetch(fake)) == "complete"
    assert asked[0]["subject"] == "Patient/p1"


def test_research_subject_is_asked_even_if_it_is_not_declared() -> None:
    subject = {"resourceType": "ResearchSubject", "id": "s1", "individual": {"reference": "Patient/p1"}}
    fake = Fake(CHART)
    fake.override = lambda method, path, body: ok(searchset([subject])) if "ResearchSubject" in path else None
    assert ids(fetch(fake, Need("ResearchSubject")), "ResearchSubject") == ["s1"]


def test_undeclared_parameters_are_not_sent() -> None:
    fake = Fake([*CHART, procedure("a1")], declared=capability(Observation=["patient"], Procedure=["patient"]))
    chart = fetch(fake, Need("Observation", frozenset({HB}), since=739000), Need("Procedure", since=739000), look_back=True)
    assert (ids(chart), ids(chart, "Procedure")) == (CLEAN, ["a1"])
    assert not any("code=" in path + body or "date" in path + body for _, path, body in fake.asked)


def test_a_look_back_asks_for_the_days_since_and_for_what_has_no_date() -> None:
    fake = Fake([*CHART, procedure("a1")])
    chart = fetch(fake, Need("Procedure", since=739000), look_back=True)
    bodies = [dict(parse_qsl(body)) for _, path, body in fake.asked if "Procedure" in path]
    assert bodies == [{"patient": "p1", "date": "ge2024-04-22"}, {"patient": "p1", "date:missing": "true"}]
    assert (ids(chart, "Procedure"), line(chart, "Procedure")) == (["a1"], "complete")


def test_without_a_look_back_no_date_is_sent() -> None:
    fake = Fake(CHART)
    fetch(fake, Need("Observation", since=739000))
    assert not any("date" in path + body for _, path, body in fake.asked)


def test_the_date_of_a_medication_request_is_never_a_look_back() -> None:
    fake = Fake(CHART, declared=capability(MedicationRequest=["patient", "date"]))
    fetch(fake, Need("MedicationRequest", since=739000), look_back=True)
    assert not any("date" in path + body for _, path, body in fake.asked)


def test_codes_of_components_are_a_second_question_where_the_server_has_it() -> None:
    panel = observation("panel", code="panel", component=[{"code": {"coding": [{"system": LOINC, "code": "718-7"}]}}])
    fake = Fake(CHART, declared=capability(Observation=["patient", "code", "component-code"]))

    def answer(method: str, path: str, body: str) -> Answer | None:
        params = dict(parse_qsl(body))
        return ok(searchset([panel], self_link=f"{BASE}/Observation?{body}")) if "component-code" in params else None

    fake.override = answer
    chart = fetch(fake)
    assert (ids(chart), line(chart)) == ([*CLEAN, "panel"], "complete")
