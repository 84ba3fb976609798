"""Medication: one virtual record of four types, by the names of R4 and R5: the drug, what the status says, the days."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_elig.adapters import Settings, read
from fhir_elig.record import Counts, Dose, Flaw, Medication, Record, Strength
from fhir_elig.times import FIRST_DAY, LAST_DAY, When, iso

FIRST, LAST = iso(FIRST_DAY), iso(LAST_DAY)
Days = tuple[str, str] | None


def key(system: str, code: str) -> str:
    return f"{system}|{code}"


def chart(*resources: dict[str, Any]) -> Record:
    return read(resources, patient="p1", base="https://ehr.example/fhir", settings=Settings(code_key=key))


def days(when: When | None) -> Days:
    return None if when is None else (iso(when.first), iso(when.last))


def day(text: str) -> Days:
    return text, text


def coded(*codes: str, text: str = "") -> dict[str, Any]:
    return {"coding": [{"system": "s", "code": code} for code in codes], **({"text": text} if text else {})}


def sent(kind: str, **over: Any) -> dict[str, Any]:
    resource = {
        "resourceType": kind,
        "id": "m1",
        "subject": {"reference": "Patient/p1"},
        "status": {"MedicationRequest": "active", "MedicationStatement": "active"}.get(kind, "completed"),
        "medicationCodeableConcept": coded("mtx"),
        **({"intent": "order"} if kind == "MedicationRequest" else {}),
        **over,
    }
    return {name: part for name, part in resource.items() if part is not None}


def medication(kind: str, *others: dict[str, Any], **over: Any) -> Medication:
    record = chart(sent(kind, **over), *others)
    assert not record.refused
    return record.medications[0]


def course(found: Medication) -> tuple[Days, Days, Days]:
    return days(found.start), days(found.end), days(found.certain_until)


def request(**over: Any) -> Medication:
    return medication("MedicationRequest", **{"authoredOn": "2025-01-10", **over})


def statement(**over: Any) -> Medication:
    return medication("MedicationStatement", **over)


# The drug

DRUG = {"resourceType": "Medication", "id": "d1", "code": coded("mtx", text="Methotrexate")}


@pytest.mark.parametrize(
    ("over", "codes", "text", "noted"),
    [
        ({"medicationCodeableConcept": coded("a", "b", text="T")}, ("s|a", "s|b"), "T", False),
        ({"medicationCodeableConcept": {"coding": [{"display": "D"}]}}, (), "D", True),
        ({"medicationCodeableConcept": None, "medication": {"concept": coded("a")}}, ("s|a",), "", False),
        (
            {"medicationCodeableConcept": None, "medicationReference": {"reference": "Medication/d1"}},
            ("s|mtx",),
            "Methotrexate",
            False,
        ),
        (
            {"medicationCodeableConcept": None, "medication": {"reference": {"reference": "Medication/d1/_history/2"}}},
            ("s|mtx",),
            "Methotrexate",
            False,
        ),
        (
            {"medicationCodeableConcept": None, "medicationReference": {"reference": "https://ehr.example/fhir/Medication/d1"}},
            ("s|mtx",),
            "Methotrexate",
            False,
        ),
        (
            {"medicationCodeableConcept": None, "medicationReference": {"reference": "urn:uuid:d1"}},
            ("s|mtx",),
            "Methotrexate",
            False,
        ),
        (
            {
                "medicationCodeableConcept": None,
                "medicationReference": {"reference": "https://elsewhere.example/fhir/Medication/d1", "display": "X"},
            },
            (),
            "X",
            True,
        ),
        (
            {"medicationCodeableConcept": None, "medicationReference": {"reference": "Medication/d2", "display": "X"}},
            (),
            "X",
            True,
        ),
        ({"medicationCodeableConcept": None, "medicationReference": {"reference": "Substance/d1"}}, (), "", True),
        ({"medicationCodeableConcept": None, "medicationReference": {"display": "X"}}, (), "X", True),
        (
            {"medicationCodeableConcept": None, "medicationReference": {"reference": "#c"}, "contained": [DRUG | {"id": "c"}]},
            ("s|mtx",),
            "Methotrexate",
            False,
        ),
        (
            {
                "medicationCodeableConcept": None,
                "medicationReference": {"reference": "#c"},
                "contained": [{"resourceType": "Substance", "id": "c"}],
            },
            (),
            "",
            True,
        ),
        (
            {
                "medicationCodeableConcept": None,
                "medicationReference": {"reference": "#c"},
                "contained": [DRUG | {"id": "c"}] * 2,
            },
            (),
            "",
            True,
        ),
        ({"medicationCodeableConcept": None, "medicationReference": {"reference": "#c"}}, (), "", True),
        ({"medicationCodeableConcept": None}, (), "", True),
    ],
)
def test_the_drug_is_read_where_it_stands_and_a_gap_is_said(over: dict[str, Any], codes: Any, text: str, noted: bool) -> None:
    found = medication("MedicationRequest", DRUG, **over)
    assert (found.codes, found.text, bool(found.notes)) == (codes, text, noted)


@pytest.mark.parametrize(
    ("drug", "codes", "flaws"),
    [
        ({"ingredient": [{"itemCodeableConcept": coded("i", text="I")}]}, ("s|i",), ()),
        ({"ingredient": [{"item": {"concept": coded("i")}}]}, ("s|i",), ()),
        (
            {"ingredient": [{"itemCodeableConcept": coded("i")}, {"itemCodeableConcept": coded("water"), "isActive": False}]},
            ("s|i",),
            (),
        ),
        ({"ingredient": [{"itemCodeableConcept": coded("i")}, {"itemCodeableConcept": coded("j")}]}, (), ()),
        ({"ingredient": [{}]}, (), ()),
        ({"code": coded("a"), "ingredient": [{"itemCodeableConcept": coded("i")}]}, ("s|a",), ()),
        ({"code": coded("a"), "status": "entered-in-error"}, (), ()),
        ({"code": coded("a"), "modifierExtension": [{"url": "x"}]}, ("s|a",), (Flaw.MODIFIER,)),
    ],
)
def test_a_medication_names_the_drug_by_its_code_or_its_only_ingredient(drug: dict[str, Any], codes: Any, flaws: Any) -> None:
    other = {"resourceType": "Medication", "id": "d9", **drug}
    over = {"medicationCodeableConcept": None, "medicationReference": {"reference": "Medication/d9"}}
    found = medication("MedicationRequest", other, **over)
    assert (found.codes, found.flaws) == (codes, flaws)
    assert bool(found.notes) is not bool(codes)
    inside = medication("MedicationRequest", **over | {"medicationReference": {"reference": "#d9"}, "contained": [other]})
    assert (inside.codes, inside.flaws) == (codes, flaws)


def test_two_copies_of_a_medication_that_disagree_name_no_drug() -> None:
    over = {"medicationCodeableConcept": None, "medicationReference": {"reference": "Medication/d1"}}
    found = medication("MedicationRequest", DRUG, DRUG | {"code": coded("other")}, **over)
    assert (found.codes, found.flaws) == ((), (Flaw.CONFLICT,))


def test_a_drug_that_is_given_twice_costs_the_record() -> None:
    record = chart(sent("MedicationRequest", medicationReference={"reference": "Medication/d1"}), DRUG)
    assert record.medications == () and record.refused[0].codes is None


# What the status says


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("active", Counts.YES),
        ("completed", Counts.YES),
        ("stopped", Counts.YES),
        ("on-hold", Counts.YES),
        ("not-taken", Counts.NEGATIVE),
        ("intended", Counts.NO),
        ("draft", Counts.NO),
        ("entered-in-error", Counts.NO),
        ("unknown", Counts.SHOWN),
        ("recorded", Counts.SHOWN),
    ],
)
def test_a_statement_by_its_status(status: str, counts: Counts) -> None:
    found = statement(status=status)
    assert (found.counts, found.strength, found.status) == (counts, Strength.STATED, status)


@pytest.mark.parametrize(
    ("adherence", "counts", "end"),
    [
        ("taking", Counts.YES, None),
        ("taking-as-directed", Counts.YES, None),
        ("taking-not-as-directed", Counts.YES, None),
        ("not-taking", Counts.NEGATIVE, None),
        ("stopped", Counts.YES, ("2025-01-01", "2025-02-01")),
        ("on-hold", Counts.YES, ("2025-01-01", "2025-01-31")),
        ("unknown", Counts.SHOWN, None),
        ("bogus", Counts.SHOWN, None),
    ],
)
def test_a_statement_of_r5_by_its_adherence(adherence: str, counts: Counts, end: Days) -> None:
    found = statement(
        status="recorded",
        adherence={"code": coded(adherence)},
        effectivePeriod={"start": "2025-01-01"},
        dateAsserted="2025-02-01",
    )
    assert (found.counts, days(found.end)) == (counts, end)
    assert found.notes == (f"adherence: {adherence}",)


def test_a_dose_that_is_not_followed_is_no_dose() -> None:
    dosage = [{"doseAndRate": [{"doseQuantity": {"value": 5, "unit": "mg"}}], "timing": {"code": coded("QD")}}]
    found = statement(status="recorded", adherence={"code": coded("taking-not-as-directed")}, dosage=dosage)
    assert found.doses == (Dose(text="not as directed"),)
    assert statement(dosage=dosage).doses[0].per_day == 5


@pytest.mark.parametrize(
    ("over", "counts"),
    [
        ({"status": "active"}, Counts.YES),
        ({"status": "completed"}, Counts.YES),
        ({"status": "ended"}, Counts.YES),
        ({"status": "stopped"}, Counts.YES),
        ({"status": "on-hold"}, Counts.YES),
        ({"status": "cancelled"}, Counts.NO),
        ({"status": "draft"}, Counts.NO),
        ({"status": "entered-in-error"}, Counts.NO),
        ({"status": "unknown"}, Counts.SHOWN),
        ({"intent": "original-order"}, Counts.YES),
        ({"intent": "reflex-order"}, Counts.YES),
        ({"intent": "instance-order"}, Counts.YES),
        ({"intent": "filler-order"}, Counts.NO),
        ({"intent": "plan"}, Counts.SHOWN),
        ({"intent": "proposal"}, Counts.SHOWN),
        ({"intent": "option"}, Counts.SHOWN),
        ({"intent": "plan", "status": "draft"}, Counts.NO),
        ({"intent": "plan", "reportedBoolean": False}, Counts.SHOWN),
        ({"doNotPerform": True}, Counts.NO),
    ],
)
def test_a_request_by_its_status_and_intent(over: dict[str, Any], counts: Counts) -> None:
    found = request(**over)
    assert (found.counts, found.strength) == (counts, Strength.ORDERED)


@pytest.mark.parametrize(
    "over", [{"reportedBoolean": True}, {"reportedReference": {"reference": "Practitioner/1"}}, {"reported": True}]
)
def test_a_reported_plan_is_use_as_reported(over: dict[str, Any]) -> None:
    found = request(intent="plan", **over)
    assert (found.counts, found.strength) == (Counts.YES, Strength.STATED)
    assert course(found) == ((FIRST, "2025-01-10"), None, day("2025-01-10"))
    assert request(intent="order", **over).strength is Strength.ORDERED
    assert request(intent="plan", status="entered-in-error", **over).counts is Counts.NO


@pytest.mark.parametrize(
    "over", [{"intent": None}, {"intent": "wish"}, {"doNotPerform": "no"}, {"reportedBoolean": "yes"}, {"dosageInstruction": [5]}]
)
def test_a_request_of_an_impossible_shape_is_set_aside(over: dict[str, Any]) -> None:
    over = {"intent": "plan", **over}
    record = chart(sent("MedicationRequest", **over))
    assert record.medications == () and record.refused[0].codes == ("s|mtx",)


@pytest.mark.parametrize(
    ("status", "counts", "strength"),
    [
        ("completed", Counts.YES, Strength.DISPENSED),
        ("in-progress", Counts.YES, Strength.ORDERED),
        ("preparation", Counts.SHOWN, Strength.DISPENSED),
        ("on-hold", Counts.SHOWN, Strength.DISPENSED),
        ("stopped", Counts.SHOWN, Strength.DISPENSED),
        ("unknown", Counts.SHOWN, Strength.DISPENSED),
        ("cancelled", Counts.NO, Strength.DISPENSED),
        ("declined", Counts.NO, Strength.DISPENSED),
        ("entered-in-error", Counts.NO, Strength.DISPENSED),
    ],
)
def test_a_dispense_by_its_status(status: str, counts: Counts, strength: Strength) -> None:
    found = medication("MedicationDispense", status=status)
    assert (found.counts, found.strength) == (counts, strength)


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("completed", Counts.YES),
        ("in-progress", Counts.YES),
        ("not-done", Counts.NEGATIVE),
        ("on-hold", Counts.SHOWN),
        ("stopped", Counts.SHOWN),
        ("unknown", Counts.SHOWN),
        ("entered-in-error", Counts.NO),
    ],
)
def test_an_administration_by_its_status(status: str, counts: Counts) -> None:
    found = medication("MedicationAdministration", status=status)
    assert (found.counts, found.strength, found.single) == (counts, Strength.ADMINISTERED, True)


# The days: (start, end, certain until)

PERIOD = {"start": "2025-01-01", "end": "2025-03-01"}
OPEN = {"start": "2025-01-01"}
ASSERTED = {"dateAsserted": "2025-02-01"}


@pytest.mark.parametrize(
    ("status", "over", "expected"),
    [
        ("active", {"effectivePeriod": PERIOD}, (day("2025-01-01"), day("2025-03-01"), None)),
        ("active", {"effectivePeriod": PERIOD, **ASSERTED}, (day("2025-01-01"), day("2025-03-01"), day("2025-02-01"))),
        ("active", {"effectivePeriod": PERIOD, "dateAsserted": "2025-04-01"}, (day("2025-01-01"), day("2025-03-01"), None)),
        ("active", {"effectivePeriod": OPEN, **ASSERTED}, (day("2025-01-01"), None, day("2025-02-01"))),
        (
            "active",
            {"effectivePeriod": OPEN, "meta": {"lastUpdated": "2025-02-02T00:00:00Z"}},
            (day("2025-01-01"), None, day("2025-02-02")),
        ),
        ("active", {"effectivePeriod": OPEN}, (day("2025-01-01"), None, day("2025-01-01"))),
        ("active", {"effectivePeriod": {**OPEN, "end": "soon"}, **ASSERTED}, (day("2025-01-01"), None, day("2025-01-01"))),
        ("active", {"effectivePeriod": {"end": "2025-03-01"}}, ((FIRST, "2025-03-01"), day("2025-03-01"), None)),
        (
            "active",
            {"effectivePeriod": {"start": "2025-03-01", "end": "2025-01-01"}},
            (("2025-01-01", "2025-03-01"), ("2025-01-01", "2025-03-01"), None),
        ),
        ("active", {"effectivePeriod": {}, **ASSERTED}, ((FIRST, "2025-02-01"), None, day("2025-02-01"))),
        ("active", {"effectiveDateTime": "2025-01-01", **ASSERTED}, (day("2025-01-01"), None, day("2025-01-01"))),
        ("active", {"effectiveTiming": {"event": ["2025-01-01"]}}, (day("2025-01-01"), None, day("2025-01-01"))),
        (
            "active",
            {"effectiveTiming": {"event": ["2025-01-05", "2025-01-01"]}},
            (day("2025-01-01"), ("2025-01-01", "2025-01-05"), None),
        ),
        ("active", {"effectiveTiming": {}, **ASSERTED}, ((FIRST, "2025-02-01"), None, day("2025-02-01"))),
        ("active", ASSERTED, ((FIRST, "2025-02-01"), None, day("2025-02-01"))),
        ("active", {}, (None, None, None)),
        ("completed", {"effectivePeriod": PERIOD, **ASSERTED}, (day("2025-01-01"), day("2025-03-01"), None)),
        ("stopped", {"effectivePeriod": PERIOD}, (day("2025-01-01"), day("2025-03-01"), None)),
        ("stopped", {"effectivePeriod": OPEN, **ASSERTED}, (day("2025-01-01"), ("2025-01-01", "2025-02-01"), None)),
        ("stopped", {"effectivePeriod": OPEN, "dateAsserted": "2024-02-01"}, (day("2025-01-01"), None, day("2025-01-01"))),
        ("stopped", {"effectivePeriod": OPEN}, (day("2025-01-01"), None, day("2025-01-01"))),
        ("completed", {"effectiveDateTime": "2025-01-01", **ASSERTED}, (day("2025-01-01"), ("2025-01-01", "2025-02-01"), None)),
        ("completed", ASSERTED, ((FIRST, "2025-02-01"), (FIRST, "2025-02-01"), None)),
        ("completed", {}, (None, None, None)),
        ("on-hold", {"effectivePeriod": OPEN, **ASSERTED}, (day("2025-01-01"), ("2025-01-01", "2025-01-31"), None)),
        ("on-hold", {"effectivePeriod": PERIOD, **ASSERTED}, (day("2025-01-01"), ("2025-01-01", "2025-01-31"), None)),
        ("on-hold", {"effectivePeriod": PERIOD}, (day("2025-01-01"), ("2025-01-01", "2025-03-01"), None)),
        ("on-hold", {"effectivePeriod": OPEN}, (day("2025-01-01"), None, day("2025-01-01"))),
    ],
)
def test_the_days_of_a_statement(status: str, over: dict[str, Any], expected: tuple[Days, Days, Days]) -> None:
    assert course(statement(status=status, **over)) == expected


def valid(**period: str) -> dict[str, Any]:
    return {"dispenseRequest": {"validityPeriod": period}}


def bounded(**repeat: Any) -> dict[str, Any]:
    return {"dosageInstruction": [{"timing": {"repeat": repeat}}]}


UPDATED = {"meta": {"lastUpdated": "2025-02-02T00:00:00Z"}}
TEN_DAYS = {"value": 10, "code": "d"}


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({}, (day("2025-01-10"), None, day("2025-01-10"))),
        ({"authoredOn": None}, (None, None, None)),
        ({"status": "completed"}, (day("2025-01-10"), None, day("2025-01-10"))),
        (valid(start="2025-01-15", end="2025-02-15"), (day("2025-01-15"), day("2025-02-15"), None)),
        (valid(start="2025-01-15"), (day("2025-01-15"), None, day("2025-01-15"))),
        (valid(end="2025-02-15"), ((FIRST, "2025-02-15"), day("2025-02-15"), None)),
        (valid(start="2025-02-15", end="2025-01-15"), (("2025-01-15", "2025-02-15"), ("2025-01-15", "2025-02-15"), None)),
        (bounded(boundsPeriod={"start": "2025-01-12", "end": "2025-01-20"}), (day("2025-01-12"), day("2025-01-20"), None)),
        (bounded(boundsPeriod={"end": "2025-01-20"}), (day("2025-01-10"), day("2025-01-20"), None)),
        (bounded(boundsPeriod={"end": "2024-01-20"}), (("2024-01-20", "2025-01-10"), ("2024-01-20", "2025-01-10"), None)),
        (bounded(boundsPeriod={"start": "2025-01-12", "end": "soon"}), (day("2025-01-12"), None, day("2025-01-12"))),
        (
            {**bounded(boundsPeriod={"end": "2025-01-20"}), "authoredOn": None},
            ((FIRST, "2025-01-20"), day("2025-01-20"), (FIRST, "2025-01-20")),
        ),
        (bounded(boundsDuration=TEN_DAYS), (day("2025-01-10"), day("2025-01-19"), None)),
        (bounded(boundsDuration={"value": 2, "unit": "weeks"}), (day("2025-01-10"), day("2025-01-23"), None)),
        (bounded(boundsDuration={"value": 1, "code": "mo"}), (day("2025-01-10"), ("2025-02-06", "2025-02-09"), None)),
        (bounded(boundsDuration={"value": 48, "code": "h"}), (day("2025-01-10"), day("2025-01-11"), None)),
        (bounded(boundsDuration={"value": 90, "code": "min"}), (day("2025-01-10"), day("2025-01-10"), None)),
        (bounded(boundsDuration={"value": 10, "code": "d", "comparator": "<"}), (day("2025-01-10"), None, day("2025-01-10"))),
        (bounded(boundsDuration={"value": 0, "code": "d"}), (day("2025-01-10"), None, day("2025-01-10"))),
        (bounded(boundsDuration={"code": "d"}), (day("2025-01-10"), None, day("2025-01-10"))),
        ({**bounded(boundsDuration=TEN_DAYS), "authoredOn": None}, (None, None, None)),
        (
            bounded(boundsRange={"low": TEN_DAYS, "high": {"value": 20, "code": "d"}}),
            (day("2025-01-10"), ("2025-01-19", "2025-01-29"), None),
        ),
        (bounded(boundsRange={"high": {"value": 20, "code": "d"}}), (day("2025-01-10"), ("2025-01-10", "2025-01-29"), None)),
        (bounded(boundsRange={"low": TEN_DAYS}), (day("2025-01-10"), None, day("2025-01-10"))),
        ({"dosageInstruction": [{"timing": {"event": ["2025-01-12"]}}]}, (day("2025-01-12"), day("2025-01-12"), None)),
        (
            {"dosageInstruction": [{"timing": {"event": ["2025-01-12", "2025-01-14"]}}]},
            (day("2025-01-12"), day("2025-01-14"), day("2025-01-12")),
        ),
        (
            {"dosageInstruction": [*bounded(boundsDuration=TEN_DAYS)["dosageInstruction"], {"text": "then as told"}]},
            (day("2025-01-10"), None, day("2025-01-10")),
        ),
        ({"status": "stopped"}, (day("2025-01-10"), None, day("2025-01-10"))),
        ({"status": "stopped", **UPDATED}, (day("2025-01-10"), ("2025-01-10", "2025-02-02"), None)),
        ({"status": "stopped", "meta": {"lastUpdated": "2024-02-02T00:00:00Z"}}, (day("2025-01-10"), None, day("2025-01-10"))),
        (
            {"status": "stopped", **valid(start="2025-01-15", end="2025-02-15"), **UPDATED},
            (day("2025-01-15"), ("2025-01-15", "2025-02-02"), None),
        ),
        ({"status": "stopped", "statusChanged": "2025-01-20"}, (day("2025-01-10"), day("2025-01-20"), None)),
        (
            {"status": "stopped", "statusChanged": "2025-01-20", **valid(start="2025-01-15", end="2025-02-15")},
            (day("2025-01-15"), day("2025-01-20"), None),
        ),
        (
            {"status": "stopped", "statusChanged": "2025-03-20", **valid(start="2025-01-15", end="2025-02-15")},
            (day("2025-01-15"), day("2025-02-15"), None),
        ),
        ({"status": "stopped", "statusChanged": "2025-01-02"}, (day("2025-01-10"), ("2025-01-02", "2025-01-10"), None)),
        ({"status": "on-hold", "statusChanged": "2025-01-20"}, (day("2025-01-10"), day("2025-01-19"), None)),
        ({"status": "on-hold", **UPDATED}, (day("2025-01-10"), ("2025-01-10", "2025-02-02"), None)),
        (
            {"status": "on-hold", **valid(start="2025-01-15", end="2025-02-15"), **UPDATED},
            (day("2025-01-15"), ("2025-01-15", "2025-02-02"), None),
        ),
        (
            {"status": "on-hold", **valid(start="2025-01-15", end="2025-02-15")},
            (day("2025-01-15"), ("2025-01-15", "2025-02-15"), None),
        ),
        ({"status": "on-hold"}, (day("2025-01-10"), None, day("2025-01-10"))),
        ({"intent": "plan", "reported": True, **valid(start="2025-01-01")}, (day("2025-01-01"), None, day("2025-01-10"))),
    ],
)
def test_the_days_of_a_request(over: dict[str, Any], expected: tuple[Days, Days, Days]) -> None:
    assert course(request(**over)) == expected


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        (
            {"whenHandedOver": "2025-01-10", "daysSupply": {"value": 30, "unit": "days"}},
            (day("2025-01-10"), day("2025-02-08"), None),
        ),
        ({"whenHandedOver": "2025-01-10", "daysSupply": {"value": 30}}, (day("2025-01-10"), day("2025-02-08"), None)),
        (
            {"whenHandedOver": "2025-01", "daysSupply": {"value": 1, "code": "d"}},
            (("2025-01-01", "2025-01-31"), ("2025-01-01", "2025-01-31"), None),
        ),
        (
            {"whenHandedOver": "2025-01-10", "daysSupply": {"value": 30, "unit": "tablets"}},
            (day("2025-01-10"), None, day("2025-01-10")),
        ),
        ({"whenHandedOver": "2025-01-10", "daysSupply": {}}, (day("2025-01-10"), None, day("2025-01-10"))),
        ({"whenHandedOver": "2025-01-10"}, (day("2025-01-10"), None, day("2025-01-10"))),
        ({"whenPrepared": "2025-01-10", "daysSupply": {"value": 30}}, (("2025-01-10", LAST), None, None)),
        ({}, (None, None, None)),
    ],
)
def test_the_days_of_a_dispense_are_counted_inclusively(over: dict[str, Any], expected: tuple[Days, Days, Days]) -> None:
    assert course(medication("MedicationDispense", **over)) == expected


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"effectiveDateTime": "2025-01-10"}, (day("2025-01-10"), day("2025-01-10"), None)),
        ({"occurenceDateTime": "2025-01-10"}, (day("2025-01-10"), day("2025-01-10"), None)),
        ({"occurrenceDateTime": "2025-01-10"}, (day("2025-01-10"), day("2025-01-10"), None)),
        ({"effectivePeriod": {"start": "2025-01-10", "end": "2025-01-12"}}, (day("2025-01-10"), day("2025-01-12"), None)),
        ({"effectivePeriod": {"start": "2025-01-10"}}, (day("2025-01-10"), None, day("2025-01-10"))),
        ({"occurenceTiming": {"event": ["2025-01-10", "2025-01-12"]}}, (day("2025-01-10"), ("2025-01-10", "2025-01-12"), None)),
        ({}, (None, None, None)),
    ],
)
def test_the_days_of_an_administration(over: dict[str, Any], expected: tuple[Days, Days, Days]) -> None:
    assert course(medication("MedicationAdministration", **over)) == expected


@pytest.mark.parametrize(
    ("dosages", "single"),
    [
        ([{"timing": {"repeat": {"count": 1}}}], True),
        ([{"timing": {"repeat": {"count": 1, "countMax": 1}}}], True),
        ([{"timing": {"event": ["2025-01-12"]}}], True),
        ([{"timing": {"repeat": {"count": 1, "countMax": 3}}}], False),
        ([{"timing": {"repeat": {"count": True}}}], False),
        ([{"timing": {"repeat": {"frequency": 1}}}], False),
        ([{"timing": {"repeat": {"count": 1}}}, {"text": "and more"}], False),
        ([{"timing": {"code": coded("QD")}}], False),
        ([], False),
    ],
)
def test_an_order_of_one_intake_is_single(dosages: list[Any], single: bool) -> None:
    assert request(dosageInstruction=dosages).single is single


# Doses and routes


def dose(value: Any = 10, unit: str = "mg", **over: Any) -> dict[str, Any]:
    amount = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    return {"doseAndRate": [{"doseQuantity": amount}], **over}


def repeat(**parts: Any) -> dict[str, Any]:
    return {"timing": {"repeat": parts}}


def test_routes_and_their_texts_are_kept() -> None:
    dosages = [{"route": coded("po", text="oral")}, {"route": {"text": "by mouth"}}, {}, {"route": coded("po")}]
    found = request(dosageInstruction=dosages)
    assert (found.routes, found.route_text) == (("s|po",), "oral; by mouth")


def test_an_administration_states_its_dose_itself() -> None:
    found = medication(
        "MedicationAdministration", dosage={"dose": {"value": 500, "unit": "mg"}, "route": coded("iv"), "text": "drip"}
    )
    assert found.doses == (Dose(numerator=500, unit="mg", text="drip"),) and found.routes == ("s|iv",)


def test_rendered_instructions_stand_in_for_missing_ones() -> None:
    assert request(renderedDosageInstruction="1 a day").doses == (Dose(text="1 a day"),)
    assert medication("MedicationDispense", renderedDosageInstruction="1 a day").doses == (Dose(text="1 a day"),)
    assert request().doses == ()


def test_a_modifier_on_a_dosage_is_a_flaw_of_the_record() -> None:
    found = request(dosageInstruction=[dose(modifierExtension=[{"url": "x"}])], modifierExtension=[{"url": "y"}])
    assert found.flaws == (Flaw.MODIFIER,)
