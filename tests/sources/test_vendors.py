"""Three vendors' servers, replayed: what is planned for each, and what remains of the verdicts when each does what it is known for."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from fhir_elig import places
from fhir_elig.sources.planner import read_served
from tests.sources import hostile, plans
from tests.sources.fakes import FHIR, Answer, ok, outcome
from tests.sources.hostile import Ask, Command, Play, Ward


@pytest.mark.parametrize("vendor", plans.VENDORS)
def test_the_plan_for_a_vendor_is_the_page_that_was_looked_at(vendor: str) -> None:
    assert plans.plan(vendor) == (plans.FOLDER / f"{vendor}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("vendor", plans.VENDORS)
def test_nothing_that_a_vendor_does_not_declare_is_planned(vendor: str) -> None:
    served = read_served(plans.metadata(vendor))
    asked = {
        (need.type, name)
        for need in plans.needs()
        if served.serves(need.type)
        for step in plans.ladder(need, "p1", served, plans.Limits(), count=200, look_back=True)
        for search in step.searches
        for name, _ in search
    }
    assert asked
    for kind, name in asked:
        if name == "_include":
            assert {"*", f"{kind}:medication"} & served.includes[kind]
        else:
            assert name.partition(":")[0] in {*served.parameters(kind), "_count"}


RECORDED = places.fixtures_root() / "servers" / "epic" / "answer-to-neither-category-nor-code.json"


def refused(number: str, status: int = 400) -> Answer:
    return status, FHIR, json.dumps(outcome(number=number))


def epic(ward: Ward, ask: Ask, answer: Answer) -> Answer:
    """Refuses Observations without category or code (59108); cuts a search by component code at what it has, with a warning."""
    if ask.kind == "Observation" and ask.page and not {"code", "category", "component-code"} & ask.params.keys():
        return 400, FHIR, RECORDED.read_text("utf-8")
    if "component-code" in ask.params:
        page = json.loads(answer[2])
        page["link"] = [link for link in page["link"] if link["relation"] == "self"]
        page["entry"] = [{"resource": outcome("warning", number="4127"), "search": {"mode": "outcome"}}]
        return ok(page)
    return answer


def oracle(ward: Ward, ask: Ask, answer: Answer) -> Answer:
    """Repeats the first resource of a page on the page itself, and knows no POST _search."""
    if ask.method == "POST":
        return refused("not-supported", 405)
    page = json.loads(answer[2])
    if page.get("entry"):
        page["entry"].append(page["entry"][0])
    return answer[0], answer[1], json.dumps(page)


def athenahealth(ward: Ward, ask: Ask, answer: Answer) -> Answer:
    """Has not granted the scope for Encounters."""
    return refused("forbidden", 403) if ask.kind == "Encounter" else answer


# Vendor: what it does, and why types are not complete there.
REPLAYS: dict[str, tuple[Play, dict[str, str]]] = {
    "epic": (
        epic,
        {
            "MedicationStatement": "not-served",
            "Observation": "partial: the server says that the answer is cut or not what was asked (4127)",
        },
    ),
    "oracle": (oracle, {"MedicationStatement": "not-served"}),
    "athenahealth": (
        athenahealth,
        {
            **dict.fromkeys(("Consent", "MedicationAdministration", "MedicationStatement"), "not-served"),
            "Encounter": "refused: 403",
        },
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _loaded_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        hostile.loaded_once(patch)
        yield


@pytest.mark.parametrize("vendor", REPLAYS)
def test_a_vendors_habits_make_verdicts_unknown_and_never_others(
    vendor: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    command = Command(monkeypatch, capsys, caplog)
    fault, unread = REPLAYS[vendor]
    with hostile.ward() as honest:
        clean = command.screen(honest)
    with hostile.ward() as dressed:
        dressed.declared, dressed.fault = plans.metadata(vendor), fault
        dressed.declared.pop("implementation", None)
        found = command.screen(dressed)
    assert found.exit_code == 0
    assert found.unread == unread
    assert {said for name, said in found.verdicts.items() if said != clean.verdicts[name]} <= {"unknown"}
    assert sum(said != "unknown" for said in found.verdicts.values()) >= 10  # it is of use all the same
