"""What a vendor's row changes in what is asked, against the answer of that vendor that made the row."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from fhir_elig import places
from fhir_elig.record import Need
from fhir_elig.sources.planner import Served, ladder, read_served
from fhir_elig.sources.servers import VENDORS, Asks, Quirk, Vendor
from tests.sources.charts import CHART, CLEAN, HB, LABS, P1, fetch, ids, line, procedure
from tests.sources.fakes import FHIR, Answer, Fake, capability, observation, ok, searchset
from tests.sources.plans import Limits, metadata

CONDITIONS, DRUGS = Need("Condition"), Need("MedicationRequest")
ACTIVE = {"coding": [{"code": "active"}]}


def recorded(vendor: str, name: str) -> Any:
    return json.loads((places.fixtures_root() / "servers" / vendor / f"answer-to-{name}.json").read_text("utf-8"))


def condition(name: str, category: str = "problem-list-item") -> dict[str, Any]:
    return {
        "resourceType": "Condition", "id": name, "subject": {"reference": "Patient/p1"},
        "category": [{"coding": [{"code": category}]}],
    }  # fmt: skip


def params(path: str, body: str) -> dict[str, str]:
    return dict(parse_qsl(body or urlsplit(path).query))


def test_each_row_that_changes_a_question_has_an_answer_that_made_it() -> None:
    for vendor in VENDORS:
        rows = [quirk for quirk in vendor.quirks if quirk.asks]
        folder = places.fixtures_root() / "servers" / vendor.name.split()[0].lower()
        assert len(list(folder.glob("answer-to-*.json"))) == len(rows), vendor.name


def test_a_step_that_leaves_out_what_a_vendor_hides_says_so_on_every_rung() -> None:
    hidden = ("status", "stopped")
    vendor = Vendor("any", "any", (Quirk("hides", "2026-01-01", "none", Asks("MedicationRequest", also=(hidden,))),))
    served = Served("4.0.1", {"MedicationRequest": frozenset({"patient", "status", "intent"})}, frozenset(), {}, vendor)
    steps = ladder(DRUGS, "p1", served, Limits(), count=200, look_back=False)
    assert any(("patient", "p1") in search and "intent" in dict(search) for step in steps for search in step.searches)
    assert all(step.note for step in steps if not any(hidden in search for search in step.searches))


def test_epic_is_never_asked_for_results_without_category_or_code() -> None:
    served = read_served(metadata("epic"))
    for need in (LABS, Need("Observation")):
        steps = ladder(need, "p1", served, Limits(), count=200, look_back=False)
        names = [{name for name, _ in search} for step in steps for search in step.searches]
        assert names
        assert all({"category", "code", "component-code"} & one for one in names)


def test_epic_shows_a_contact_by_a_result_of_any_code_because_a_category_is_asked_for() -> None:
    fake = Fake([P1, observation("x1", code="9-9")], declared=metadata("epic"))

    def answer(method: str, path: str, body: str) -> Answer | None:
        refused = path.startswith("/Observation") and not {"code", "component-code", "category"} & params(path, body).keys()
        return (400, FHIR, json.dumps(recorded("epic", "neither-category-nor-code"))) if refused else None

    fake.override = answer
    assert ids(fetch(fake, LABS, Need("Encounter"))) == ["x1"]


@pytest.mark.parametrize(("refuses", "found", "said"), [(False, ["now", "over"], "complete"), (True, ["now"], "partial:")])
def test_epics_conditions_are_complete_only_with_those_that_are_over(refuses: bool, found: list[str], said: str) -> None:
    fake = Fake([P1], declared=metadata("epic"))

    def answer(method: str, path: str, body: str) -> Answer | None:
        if not path.startswith("/Condition"):
            return None
        if "clinical-status" in params(path, body):
            return (
                (400, FHIR, "{}")
                if refuses
                else ok(searchset([condition("now") | {"clinicalStatus": ACTIVE}, condition("over")]))
            )
        return ok(recorded("epic", "conditions-without-status"))

    fake.override = answer
    chart = fetch(fake, CONDITIONS)
    assert sorted(set(ids(chart, "Condition"))) == found
    assert line(chart, "Condition").split()[0] == said


def test_medplum_is_told_that_the_patient_is_a_patient() -> None:
    fake = Fake(CHART, declared=metadata("medplum"))

    def answer(method: str, path: str, body: str) -> Answer | None:
        asked = params(path, body)
        if asked.get("patient") == "p1":
            return ok(recorded("medplum", "codes-with-a-bare-id"))
        return ok(searchset(CHART[1:6])) if asked.get("patient") == "Patient/p1" else None

    fake.override = answer
    chart = fetch(fake)
    assert (ids(chart), line(chart)) == (CLEAN, "complete")


def test_oracles_days_have_a_time_of_day() -> None:
    fake = Fake([P1, procedure("a1")], declared=metadata("oracle"))

    def answer(method: str, path: str, body: str) -> Answer | None:
        day = params(path, body).get("date", "T")
        return None if "T" in day else (400, FHIR, json.dumps(recorded("oracle", "a-date-without-time")))

    fake.override = answer
    chart = fetch(fake, Need("Procedure", since=739000), look_back=True)
    assert [params(path, body).get("date") for _, path, body in fake.asked if "Procedure" in path] == [
        "ge2024-04-22T00:00:00Z",
        None,
    ]
    assert (ids(chart, "Procedure"), line(chart, "Procedure")) == (["a1"], "complete")


def test_drugs_come_with_the_records_that_name_them_where_that_is_declared_and_are_read_one_by_one_else() -> None:
    drug = {"resourceType": "Medication", "id": "m1"}
    order = {"resourceType": "MedicationRequest", "id": "r1", "subject": {"reference": "Patient/p1"}}
    order["medicationReference"] = {"reference": "Medication/m1"}
    for included in (["*"], ["MedicationRequest:medication"], ["MedicationRequest:subject", 7], None):
        declared = capability(MedicationRequest=["patient"], Medication=["_id"])
        declared["rest"][0]["resource"][0]["searchInclude"] = included
        fake = Fake([P1, order, drug], declared=declared)

        def answer(method: str, path: str, body: str) -> Answer | None:
            if "_include" not in params(path, body):
                return None
            page = searchset([order], total=1)
            page["entry"].append({"resource": drug, "search": {"mode": "include"}})
            return ok(page)

        fake.override = answer
        chart = fetch(fake, DRUGS)
        assert (ids(chart, "Medication"), line(chart, "MedicationRequest")) == (["m1"], "complete")
        read = any(path == "/Medication/m1" for _, path, _ in fake.asked)
        assert read is (included not in (["*"], ["MedicationRequest:medication"]))


# What a server that nobody knows demands, and how complete the answer is then.
DEMANDS = [
    (LABS, {"status"}, "complete"),
    (LABS, {"category", "code"}, "partial: the server searches this type by category only"),
    (LABS, {"category"}, "partial: the server searches this type by category only"),
    (CONDITIONS, {"category"}, "partial: the server searches this type by category only"),
    (DRUGS, {"intent"}, "complete"),
    (DRUGS, {"intent", "status"}, "complete"),
]


@pytest.mark.parametrize(("need", "wanted", "said"), DEMANDS)
def test_a_server_that_demands_more_than_a_patient_is_given_it_and_what_may_hide_records_is_not_complete(
    need: Need, wanted: set[str], said: str
) -> None:
    declared = capability(
        Observation=["patient", "code", "category", "status"],
        Condition=["patient", "category"],
        MedicationRequest=["patient", "intent", "status"],
    )
    fake = Fake(
        [*CHART, condition("c1"), {"resourceType": "MedicationRequest", "id": "r1", "subject": {"reference": "Patient/p1"}}],
        page=20,
        declared=declared,
    )

    def answer(method: str, path: str, body: str) -> Answer | None:
        asked = params(path, body)
        if "patient" not in asked or (wanted <= asked.keys() and not (wanted == {"category"} and "code" in asked)):
            return None
        return 400, FHIR, "{}"

    fake.override = answer
    chart = fetch(fake, need)
    assert line(chart, need.type) == said
    assert ids(chart, need.type) == {"Observation": CLEAN, "Condition": ["c1"], "MedicationRequest": ["r1"]}[need.type]


def test_a_server_that_takes_two_intents_only_is_not_complete() -> None:
    declared = capability(MedicationRequest=["patient", "intent"])
    fake = Fake([P1], declared=declared)
    fake.override = lambda method, path, body: (
        (400, FHIR, "{}") if "/MedicationRequest" in path and params(path, body).get("intent") != "order,plan" else None
    )
    assert line(fetch(fake, DRUGS), "MedicationRequest") == "partial: the server searches this type by two intents only"


def test_all_codes_of_a_status_are_those_of_the_servers_version() -> None:
    for version, has, lacks in (("4.0.1", "onleave", "discharged"), ("5.0.0", "discharged", "onleave")):
        declared = {**capability(Encounter=["patient", "status"]), "fhirVersion": version}
        steps = ladder(Need("Encounter"), "p1", read_served(declared), Limits(), count=None, look_back=False)
        named = dict(steps[-1].searches[0])["status"].split(",")
        assert has in named
        assert lacks not in named


def test_a_category_that_the_need_names_is_asked_for_first() -> None:
    need = Need("Observation", frozenset({HB}), categories=frozenset({"genomics"}))
    steps = ladder(need, "p1", read_served(metadata("athenahealth")), Limits(), count=None, look_back=False)
    assert [dict(search)["category"] for search in steps[-1].searches] == ["genomics", "laboratory"]
