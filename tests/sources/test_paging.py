"""Searches whose pages are lost, loop, lead away or come twice: less is read, and it is said."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_elig.errors import AuthorisationError
from fhir_elig.record import Need
from fhir_elig.sources.replies import Limits
from fhir_elig.sources.rest import RestSource
from tests.sources.charts import (
    CHART,
    CLEAN,
    LABS,
    P1,
    PROCEDURES,
    fetch,
    ids,
    line,
    network,
    observations,
    orders,
    paged,
    procedure,
    source,
)
from tests.sources.fakes import (
    BASE,
    FHIR,
    Answer,
    Fake,
    observation,
    ok,
    outcome,
    searchset,
    serving,
)


@pytest.mark.parametrize(
    "answer",
    [
        (200, FHIR, ""),
        (204, {}, ""),
        (500, {}, ""),
        (503, {}, ""),
        (302, {"Location": "https://evil.example.org/"}, ""),
        (200, {"Content-Type": "text/html"}, "<html>Sign in</html>"),
        (200, FHIR, '{"resourceType": "Bundle", "type": "sear'),
        outcome(severity="information", code="informational", text="No results"),
        {"resourceType": "Bundle", "type": "collection", "entry": []},
        {"resourceType": "Patient", "id": "p1"},
        (200, FHIR, '{"resourceType": "Bundle", "type": "searchset", "type": "searchset"}'),
    ],
)
def test_no_answer_or_a_strange_one_is_never_has_none(answer: Any) -> None:
    chart = fetch(observations(Fake([*CHART, procedure("a1")]), answer), LABS, PROCEDURES)
    assert line(chart).startswith("partial: ")
    assert (chart.broken, chart.errors != ()) == (True, True)
    assert (ids(chart, "Procedure"), line(chart, "Procedure")) == (["a1"], "complete")


def test_403_on_one_type_is_a_stated_limit_and_the_rest_goes_on() -> None:
    chart = fetch(observations(Fake([*CHART, procedure("a1")]), (403, {}, "")), LABS, PROCEDURES)
    assert (line(chart), line(chart, "Procedure"), chart.broken) == ("refused: 403", "complete", False)


@pytest.mark.parametrize(
    "where", ["/metadata", "/Patient/p1", "/Patient/old", "/Observation", "cursor", "/Medication/m1", "/Group/g1"]
)
def test_401_anywhere_stops_the_run(where: str) -> None:
    link = {"other": {"reference": "Patient/old"}, "type": "replaces"}
    old = {"resourceType": "Patient", "id": "old"}
    fake = Fake([{**P1, "link": [link]}, old, *CHART[1:], *orders("m1"), {"resourceType": "Group", "id": "g1", "member": []}])
    fake.override = lambda method, path, body: (401, {}, "") if where in path else None
    with network(fake), pytest.raises(AuthorisationError):
        list(source(LABS, Need("MedicationRequest")).patients(["p1"], group="g1"))


def test_a_next_link_to_its_own_page_ends_the_search_at_the_second_sight() -> None:
    fake = observations(Fake(CHART), searchset(CHART[1:3], f"{BASE}/Observation?cursor=1"))
    chart = fetch(fake)
    assert (ids(chart), chart.broken) == (["o0", "o1"], True)
    assert line(chart) == "partial: a page of the search could not be read (the search goes round in circles)"
    assert sum("Observation" in path for _, path, _ in fake.asked) == 2


def test_a_search_without_progress_ends() -> None:
    counter = iter(range(1000))
    fake = observations(Fake(CHART), lambda path, body: searchset(CHART[1:3], f"?cursor={next(counter)}"))
    chart = fetch(fake)
    assert line(chart) == "partial: the search made no progress"
    assert sum("Observation" in path for _, path, _ in fake.asked) == 3


@pytest.mark.parametrize("limits", [Limits(pages=3), Limits(entries=5)])
def test_a_search_without_end_meets_the_limits(limits: Limits) -> None:
    counter = iter(range(1000))
    fake = observations(Fake(CHART), lambda path, body: searchset([observation(f"n{(n := next(counter))}"), P1], f"?cursor={n}"))
    chart = fetch(fake, limits=limits)
    assert line(chart) in {"partial: the search passes its limits", "partial: an entry that was not asked for"}
    assert "FE0410 Observation: the search passes its limits" in chart.errors
    assert sum("Observation" in path for _, path, _ in fake.asked) == 3


def test_a_next_link_to_another_host_is_not_asked_and_the_type_is_not_complete() -> None:
    with serving() as evil, serving() as server:
        fake = Fake(CHART)
        fake.override = lambda method, path, body: (
            ok(searchset(CHART[1:3], f"{evil.base}/Observation?c=1")) if "Observ" in path else None
        )
        server.answer = lambda method, path, body: (
            fake.override(method, path, body) or fake.answer(path.removeprefix("/fhir"), body)
        )
        chart = RestSource(server.base, needs=[LABS], token="t").fetch("p1")
    assert evil.requests == []
    assert (ids(chart), chart.broken) == (["o0", "o1"], True)
    assert "FE0411" in chart.errors[0]


def test_a_next_link_with_http_where_the_base_is_https_is_refused() -> None:
    chart = fetch(observations(Fake(CHART), searchset(CHART[1:3], BASE.replace("https", "http") + "/Observation?c=1")))
    assert "FE0411" in chart.errors[0]


@pytest.mark.parametrize(
    "link", ["Observation?cursor=2", "/fhir/Observation?cursor=2", "?cursor=2", f"{BASE}/Observation?cursor=2"]
)
@pytest.mark.parametrize("post", [True, False])
def test_a_relative_next_link_is_followed(link: str, post: bool) -> None:
    fake = Fake(CHART)

    def answer(path: str, body: str) -> Any:
        if "cursor=2" in path:
            return searchset(CHART[3:6])
        return (405, {}, "") if path.endswith("_search") and not post else searchset(CHART[1:3], link)

    chart = fetch(observations(fake, answer))
    assert (ids(chart), line(chart)) == (CLEAN, "complete")


def test_a_next_link_longer_than_the_server_takes_is_asked_by_post() -> None:
    cursor = "x" * 5000

    def answer(path: str, body: str) -> Any:
        if cursor in path:
            return 414, {}, ""
        return searchset(CHART[3:6]) if cursor in body else searchset(CHART[1:3], f"?cursor={cursor}")

    fake = observations(Fake(CHART), answer)
    chart = fetch(fake)
    assert (ids(chart), line(chart)) == (CLEAN, "complete")
    assert fake.asked[-1][:2] == ("POST", "/Observation/_search")


@pytest.mark.parametrize("status", [404, 410])
def test_an_expired_paging_session_restarts_the_search_and_throws_the_half_away(status: int) -> None:
    half = searchset([observation("half"), CHART[1]], "?cursor=1")
    fake = observations(Fake(CHART), paged(half, (status, {}, ""), searchset(CHART[1:3], "?cursor=2"), searchset(CHART[3:6])))
    chart = fetch(fake)
    assert (ids(chart), line(chart), chart.broken) == (CLEAN, "complete", False)


def test_a_paging_session_that_expires_again_and_again_is_given_up_after_two_restarts() -> None:
    fake = observations(Fake(CHART), lambda path, body: (410, {}, "") if "cursor" in path else searchset(CHART[1:3], "?cursor=1"))
    chart = fetch(fake)
    assert (line(chart), ids(chart)) == ("partial: a page of the search was lost", ["o0", "o1"])
    assert sum("cursor" in path for _, path, _ in fake.asked) == 3


@pytest.mark.parametrize("page", [(500, {}, ""), ok(outcome()), (200, {}, "<html/>"), (403, {}, ""), (400, {}, "")])
def test_a_page_that_cannot_be_read_makes_the_type_incomplete(page: Answer) -> None:
    chart = fetch(observations(Fake(CHART), paged(searchset(CHART[1:3], "?cursor=1"), page)))
    assert (ids(chart), line(chart).split()[0], chart.broken) == (["o0", "o1"], "partial:", True)


def test_an_empty_last_page_is_fine() -> None:
    chart = fetch(observations(Fake(CHART), paged(searchset(CHART[1:6], "?cursor=1"), searchset([], total=5))))
    assert (ids(chart), line(chart)) == (CLEAN, "complete")


@pytest.mark.parametrize("url", ["", 7, None])
def test_a_next_link_without_an_address_is_a_lost_page(url: Any) -> None:
    page = {**searchset(CHART[1:3]), "link": [{"relation": "next", "url": url}]}
    assert line(fetch(observations(Fake(CHART), page))).startswith("partial: a page")


def test_the_same_resource_on_two_pages_is_kept_once() -> None:
    chart = fetch(observations(Fake(CHART), paged(searchset(CHART[1:4], "?cursor=1"), searchset(CHART[3:6], total=5))))
    assert (ids(chart), line(chart)) == (CLEAN, "complete")


def test_two_versions_that_came_while_paging_are_both_handed_on() -> None:
    newer = observation("o0", meta={"versionId": "2"})
    chart = fetch(observations(Fake(CHART), paged(searchset(CHART[1:6], "?cursor=1"), searchset([newer]))))
    assert ids(chart) == ["o0", *CLEAN]
