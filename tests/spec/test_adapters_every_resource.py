"""What holds for every resource: whose it is, which copy counts, what may not decide, what is set aside."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fhir_elig.adapters import READERS, Settings, read
from fhir_elig.record import Counts, Flaw, Record, Refused
from fhir_elig.verdict import Retrieved

BASE = "https://ehr.example/fhir"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def key(system: str, code: str) -> str:
    return f"{system}|{code}"


def observation(identity: str | None = "o1", value: str = "7", **over: Any) -> dict[str, Any]:
    resource = {
        "resourceType": "Observation",
        "id": identity,
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
        "effectiveDateTime": "2025-05-01",
        "valueQuantity": {"value": Decimal(value), "unit": "g/dL"},
        **over,
    }
    return {name: part for name, part in resource.items() if part is not None}


def patient(identity: str = "p1", **over: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": identity, "birthDate": "1980-02-01", "gender": "female", **over}


def link(kind: str, other: str) -> dict[str, Any]:
    return {"link": [{"type": kind, "other": {"reference": other}}]}


def chart(*resources: Any, **over: Any) -> Record:
    settings = over.pop("settings", Settings(code_key=key))
    return read(resources, **{"patient": "p1", "settings": settings, "base": BASE, **over})


# Whose it is


@pytest.mark.parametrize(
    "reference",
    ["Patient/p1", "Patient/p1/_history/3", f"{BASE}/Patient/p1", "https://EHR.example:443/fhir/Patient/p1"],
)
def test_a_resource_of_the_patient_is_read_however_the_subject_is_written(reference: str) -> None:
    record = chart(observation(subject={"reference": reference}))
    assert [fact.reference for fact in record.results] == ["Observation/o1"]
    assert not record.identity and not record.refused


@pytest.mark.parametrize(
    "subject",
    [
        None,
        {},
        {"reference": "Group/g1"},
        {"reference": "Device/d1"},
        {"reference": "#p"},
        {"reference": "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"},
        {"identifier": {"value": "0042"}},
        {"reference": "https://elsewhere.example/fhir/Patient/p1"},
        {"reference": ["Patient/p1"]},
        "Patient/p1",
        [],
    ],
)
def test_a_resource_whose_subject_cannot_be_told_is_set_aside_with_its_codes(subject: Any) -> None:
    record = chart(observation(subject=subject))
    assert record.results == () and not record.identity
    (refused,) = record.refused
    assert refused.reference == "Observation/o1" and refused.codes == ("http://loinc.org|718-7",)


def test_another_patients_resource_is_dropped_with_an_alarm() -> None:
    record = chart(patient(), observation(), observation("o2", subject={"reference": "Patient/p2"}), patient("p3"))
    assert record.identity
    assert [fact.reference for fact in record.results] == ["Observation/o1"]
    assert record.errors == (
        "FE0601 Observation/o2: another patient's resource, dropped",
        "FE0601 Patient/p3: another patient's resource, dropped",
    )


def test_another_patients_resource_of_a_type_that_is_not_read_raises_the_alarm_too() -> None:
    stranger = {"resourceType": "AllergyIntolerance", "id": "a", "patient": {"reference": "Patient/p2"}}
    assert chart(stranger).errors == ("FE0601 AllergyIntolerance/a: another patient's resource, dropped",)
    assert chart({**stranger, "id": "../x"}).errors == ("FE0601 AllergyIntolerance: another patient's resource, dropped",)
    own = {"resourceType": "AllergyIntolerance", "id": "a", "patient": {"reference": "Patient/p1"}}
    assert chart(own, {"resourceType": "Practitioner", "id": "x"}) == chart()


def test_an_alarm_that_the_source_raised_stays() -> None:
    assert chart(identity=True).identity


def test_the_patient_may_be_named_with_its_type() -> None:
    assert len(chart(observation(), patient="Patient/p1").results) == 1


# Patient.link


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (patient(**link("replaced-by", "Patient/p2")), patient("p2", birthDate="1970-01-01")),
        (patient(), patient("p2", birthDate="1970-01-01", **link("replaces", "Patient/p1"))),
        (
            patient(**link("replaced-by", "Patient/p2")),
            patient("p2", birthDate="1970-01-01", **link("replaces", f"{BASE}/Patient/p1")),
        ),
    ],
)
def test_a_record_that_was_replaced_is_followed_to_the_one_that_stands(own: dict[str, Any], other: dict[str, Any]) -> None:
    record = chart(own, other, observation(subject={"reference": "Patient/p2"}), observation("o2"))
    assert record.person is not None and not record.identity and not record.errors
    assert (record.person.reference, record.person.born_text, record.person.aliases) == ("Patient/p2", "1970-01-01", ("p1",))
    assert record.person.notes == ("Patient/p1 was replaced by Patient/p2",)
    assert len(record.results) == 2


def test_a_record_that_replaces_others_keeps_their_ids() -> None:
    record = chart(patient(**link("replaces", "Patient/p0")), observation(subject={"reference": "Patient/p0"}))
    assert record.person is not None
    assert (record.person.reference, record.person.aliases, len(record.results)) == ("Patient/p1", ("p0",), 1)


@pytest.mark.parametrize(
    "people",
    [
        [patient(**link("replaced-by", "Patient/p2")), patient("p2", **link("replaced-by", "Patient/p1"))],
        [patient(**link("replaced-by", "Patient/p1"))],
        [patient(**link("replaced-by", "Patient/p2")), patient("p3", **link("replaces", "Patient/p1")), patient("p2")],
    ],
)
def test_links_that_contradict_each_other_leave_the_identity_open(people: list[dict[str, Any]]) -> None:
    record = chart(*people)
    assert record.person is not None
    assert record.person.reference == "Patient/p1" and record.person.flaws == (Flaw.IDENTITY,)


def test_a_record_that_two_others_claim_is_nobodys() -> None:
    """Two people who both replace p0 are not one person."""
    record = chart(patient(**link("replaces", "Patient/p0")), patient("p2", **link("replaces", "Patient/p0")), patient("p0"))
    assert record.identity and record.person is not None and record.person.aliases == ()
    assert [error.split(":")[0] for error in record.errors] == ["FE0601 Patient/p0", "FE0601 Patient/p2"]


def test_links_are_followed_over_several_steps_in_both_directions() -> None:
    people = [patient("p0", **link("replaced-by", "Patient/p1")), patient(**link("replaced-by", "Patient/p2")), patient("p2")]
    record = chart(*people, patient("p00", **link("replaced-by", "Patient/p0")))
    assert record.person is not None and not record.identity
    assert (record.person.reference, record.person.aliases) == ("Patient/p2", ("p0", "p00", "p1"))


@pytest.mark.parametrize("other", ["Patient/p2", "https://elsewhere.example/fhir/Patient/p2", "#x"])
def test_a_record_whose_successor_was_not_read_is_incomplete_in_every_type(other: str) -> None:
    record = chart(patient(**link("replaced-by", other)), retrieved=[Retrieved("Observation", True)])
    assert record.person is not None and record.person.reference == "Patient/p1"
    assert all(record.retrieval(kind).note.startswith("partial: the record that replaces") for kind in READERS)
    assert record.errors == ("FE0302 the record that replaces this patient's was not read",)


def test_other_links_are_noted_only() -> None:
    person = chart(patient(**link("seealso", "Patient/p2"))).person
    assert person is not None and person.aliases == () and person.notes == ("linked to another record: seealso",)
    record = chart(patient(**link("seealso", "Patient/p2")), observation(subject={"reference": "Patient/p2"}))
    assert record.identity and record.results == ()


def test_a_chart_without_its_patient_has_no_person() -> None:
    assert chart(observation()).person is None


# Copies


def test_copies_are_one_and_the_newest_version_counts() -> None:
    old, new = observation(value="1", meta={"versionId": "9"}), observation(value="2", meta={"versionId": "10"})
    for order in ([old, new], [new, old], [old, new, old, new]):
        (result,) = chart(*order).results
        assert str(result.value) == "2 g/dL" and result.version == "10" and result.flaws == ()


def test_without_numbered_versions_the_last_update_counts() -> None:
    old = observation(value="1", meta={"versionId": "b", "lastUpdated": "2025-01-01T00:00:00Z"})
    new = observation(value="2", meta={"versionId": "a", "lastUpdated": "2025-01-01T02:00:00+01:00"})
    for order in ([old, new], [new, old]):
        (result,) = chart(*order).results
        assert str(result.value) == "2 g/dL"


def test_where_no_update_is_dated_the_result_that_was_issued_last_counts() -> None:
    old, new = (observation(value=value, meta=None, issued=f"2025-01-0{value}T00:00:00Z") for value in "12")
    for order in ([old, new], [new, old]):
        (result,) = chart(*order).results
        assert str(result.value) == "2 g/dL" and result.flaws == ()
    versions = [{**copy, "meta": {"versionId": "x"}} for copy in (old, new)]  # they cannot both be that version
    assert [result.flaws for result in chart(*versions).results] == [(Flaw.CONFLICT,), (Flaw.CONFLICT,)]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"versionId": "3"}, {"versionId": "3"}),
        ({"versionId": "3", "lastUpdated": "2025-01-01T00:00:00Z"}, {"versionId": "3", "lastUpdated": "2025-01-02T00:00:00Z"}),
        ({"versionId": "x", "lastUpdated": "2025-01-01T00:00:00Z"}, {"versionId": "x", "lastUpdated": "2025-01-02T00:00:00Z"}),
        ({"versionId": "x"}, {"versionId": "y"}),
        (None, None),
        (None, {"versionId": "3"}),
        ({"lastUpdated": "2025-01-01T00:00:00Z"}, {"lastUpdated": "soon"}),
    ],
)
def test_two_bodies_of_one_version_are_both_kept_as_a_conflict(one: Any, two: Any) -> None:
    first, second = observation(value="1", meta=one), observation(value="2", meta=two)
    record = chart(first, second)
    assert sorted(str(result.value) for result in record.results) == ["1 g/dL", "2 g/dL"]
    assert all(result.flaws == (Flaw.CONFLICT,) for result in record.results)
    assert chart(second, first, second) == record


def test_copies_that_differ_in_their_meta_only_are_one() -> None:
    copies = [
        observation(meta={"versionId": "3", "lastUpdated": "2025-01-01T00:00:00Z", "source": "a"}),
        observation(meta={"versionId": "3", "lastUpdated": "2025-01-02T00:00:00Z", "source": "b"}),
    ]
    assert chart(*copies) == chart(*reversed(copies))
    (result,) = chart(*copies).results
    assert result.flaws == ()


def test_a_resource_without_an_id_is_read_and_its_copies_are_one() -> None:
    (result,) = chart(observation(None), observation(None)).results
    assert result.reference.startswith("Observation/no-id-")
    assert len(chart(observation(None), observation(None, value="8")).results) == 2


@pytest.mark.parametrize("identity", ["../../x", "%2e%2e", "a/b", "x" * 65, "..", 5, ""])
def test_a_resource_whose_id_is_none_is_set_aside(identity: Any) -> None:
    record = chart(observation(identity))
    assert record.refused == (Refused("Observation", "Observation", "its id is none", ("http://loinc.org|718-7",)),)


def test_two_copies_of_the_patient_say_only_what_both_say() -> None:
    person = chart(patient(), patient(birthDate="1990-01-01"), patient(deceasedBoolean=True)).person
    assert person is not None
    assert (person.gender, person.born, person.born_text, person.deceased) == ("female", None, "", False)
    assert person.flaws == (Flaw.CONFLICT,)


# What may not decide


@pytest.mark.parametrize(
    ("over", "flaws"),
    [
        ({}, ()),
        ({"modifierExtension": []}, ()),
        ({"modifierExtension": [{"url": "http://x"}]}, (Flaw.MODIFIER,)),
        ({"implicitRules": "http://x"}, (Flaw.MODIFIER,)),
        ({"focus": [{"reference": "Patient/unborn"}]}, (Flaw.MODIFIER,)),
        ({"focus": {"reference": "RelatedPerson/donor"}}, (Flaw.MODIFIER,)),
        ({"focus": [{"display": "the fetus"}]}, (Flaw.MODIFIER,)),
        ({"focus": [{"reference": "Patient/p1"}, {"reference": "Condition/tumour"}]}, ()),
        ({"meta": {"versionId": 4, "security": [{"system": CONFIDENTIALITY, "code": "R"}]}}, (Flaw.RESTRICTED,)),
        ({"meta": {"security": [{"system": CONFIDENTIALITY, "code": "V"}]}}, (Flaw.RESTRICTED,)),
        ({"meta": {"security": [{"code": "R"}]}}, (Flaw.RESTRICTED,)),
        ({"meta": {"security": {"system": "urn:oid:2.16.840.1.113883.5.25", "code": "R"}}}, (Flaw.RESTRICTED,)),
        (
            {"meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "42CFRPart2"}]}},
            (Flaw.RESTRICTED,),
        ),
        ({"meta": {"security": [{"system": CONFIDENTIALITY, "code": "N"}]}}, ()),
        ({"meta": {"security": [{"system": "http://local.example", "code": "R"}]}}, ()),
        ({"meta": {"tag": [{"code": "other"}]}}, ()),
        ({"meta": {"tag": [{"code": "SUBSETTED"}]}}, (Flaw.SUBSETTED,)),
    ],
)
def test_flaws_keep_a_fact_from_deciding(over: dict[str, Any], flaws: tuple[Flaw, ...]) -> None:
    (result,) = chart(observation(**over)).results
    assert result.flaws == flaws


@pytest.mark.parametrize("allowed", ["R", f"{CONFIDENTIALITY}|R"])
def test_a_label_that_the_site_allows_restricts_nothing(allowed: str) -> None:
    settings = Settings(code_key=key, allowed_labels=frozenset({allowed}))
    labelled = observation(meta={"security": [{"system": CONFIDENTIALITY, "code": "R"}]})
    assert chart(labelled, settings=settings).results[0].flaws == ()


def test_a_subsetted_resource_makes_its_type_incomplete() -> None:
    cut = observation(meta={"tag": [{"code": "SUBSETTED"}]})
    for retrieved in ([], [Retrieved("Observation", True)], [Retrieved("Observation", False, "not-asked")]):
        entry = chart(cut, retrieved=retrieved).retrieval("Observation")
        assert not entry.complete and entry.broken and entry.note.startswith("partial: ")
    lost = Retrieved("Observation", False, "refused by the server")
    assert chart(cut, retrieved=[lost, Retrieved("Condition", True)]).retrieved == (Retrieved("Condition", True), lost)


def test_of_two_statements_on_one_type_the_less_complete_one_holds() -> None:
    whole, part = Retrieved("Observation", True), Retrieved("Observation", False, "partial: a page")
    assert chart(retrieved=[whole, part]).retrieval("Observation") == part


# What is set aside


@pytest.mark.parametrize("piece", [None, 5, "x", [], {}, {"resourceType": 5}, {"resourceType": "Observatoin", "id": "1"}])
def test_a_piece_of_no_type_is_named_and_makes_every_type_incomplete(piece: Any) -> None:
    record = chart(piece, observation())
    assert record.errors == ("FE0302 a piece of the data names no resource type of FHIR",)
    assert all(record.retrieval(kind).broken for kind in READERS)
    assert len(record.results) == 1


@pytest.mark.parametrize("kind", sorted(READERS))
def test_entered_in_error_never_counts(kind: str) -> None:
    wrong = {
        "resourceType": kind,
        "id": "x",
        "status": "entered-in-error",
        "verificationStatus": {"coding": [{"code": "entered-in-error"}]},
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "code": {"text": "x"},
        "item": [{"linkId": "a", "answer": [{"valueBoolean": True}]}],
        "questionnaire": "q",
    }
    record = chart(wrong, settings=Settings(code_key=key, questionnaire="q"))
    facts = (*record.results, *record.problems, *record.medications, *record.events, *record.contacts, *record.answers)
    assert not record.refused or kind == "Patient"
    assert all(fact.counts is Counts.NO for fact in facts)
    assert bool(facts) is (kind not in ("Patient", "Medication", "DiagnosticReport"))


@pytest.mark.parametrize("kind", sorted(set(READERS) - {"Patient", "Medication", "DiagnosticReport", "Condition"}))
@pytest.mark.parametrize("status", [None, "bogus", 5, ["final"]])
def test_a_status_that_cannot_be_read_sets_the_resource_aside(kind: str, status: Any) -> None:
    broken = {
        "resourceType": kind,
        "id": "x",
        "status": status,
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{"system": "s", "code": "c"}]},
        "vaccineCode": {"coding": [{"system": "s", "code": "c"}]},
        "medicationCodeableConcept": {"coding": [{"system": "s", "code": "c"}]},
        "questionnaire": "q",
    }
    record = chart(broken, settings=Settings(code_key=key, questionnaire="q|1".partition("|")[0]))
    (refused,) = record.refused
    coded = kind not in ("Encounter", "QuestionnaireResponse", "Consent")
    assert refused.reference == f"{kind}/x" and refused.codes == (("s|c",) if coded else None)


@pytest.mark.parametrize(
    "over",
    [
        {"meta": "x"},
        {"meta": {"security": "R"}},
        {"meta": {"security": [{"code": 5}]}},
        {"meta": {"tag": ["x"]}},
        {"component": "x"},
        {"component": [5]},
        {"component": [{"valueInteger": 5}]},
        {"interpretation": [5]},
    ],
)
def test_an_impossible_shape_costs_the_resource_and_nothing_else(over: dict[str, Any]) -> None:
    record = chart(observation(**over), observation("o2"))
    assert [fact.reference for fact in record.results] == ["Observation/o2"]
    assert [one.reference for one in record.refused] == ["Observation/o1"]


@pytest.mark.parametrize(
    "code",
    [
        None,
        5,
        {},
        {"coding": []},
        {"coding": [5]},
        {"coding": [{"code": 5}]},
        {"coding": [{"system": 5, "code": "c"}]},
        {"coding": "x"},
        {"text": 5},
    ],
)
def test_a_resource_whose_codes_cannot_be_told_may_be_anything_of_its_type(code: Any) -> None:
    (refused,) = chart(observation(code=code)).refused
    assert refused.codes is None


def test_codes_of_all_components_are_told_of_a_resource_that_is_set_aside() -> None:
    parts = [{"code": {"coding": [{"system": "s", "code": "a"}]}}, {"code": {"coding": [{"system": "s", "code": "b"}]}}]
    (refused,) = chart(observation(status="bogus", component=parts)).refused
    assert refused.codes == ("http://loinc.org|718-7", "s|a", "s|b")
    (refused,) = chart(observation(status="bogus", component=[*parts, {}])).refused
    assert refused.codes is None


def test_nesting_beyond_all_bounds_costs_the_resource() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    record = chart(observation(None, note=deep), observation("o2", note=deep), observation("o2"), observation("o3"))
    assert [fact.reference for fact in record.results] == ["Observation/o3"]
    assert {one.reference for one in record.refused} == {"Observation", "Observation/o2"}


def test_what_the_source_said_is_passed_on_in_order() -> None:
    given = [Refused("Observation/z", "Observation", "cut"), Refused("Observation/a", "Observation", "cut")]
    record = chart(refused=given, errors=["b", "a", "b"])
    assert record.refused == tuple(reversed(given)) and record.errors == ("a", "b")
    assert (record.patient, record.base, record.time_zone, record.decimal_comma) == ("p1", BASE, "UTC", False)


def test_the_default_settings_are_used_where_none_are_given() -> None:
    assert read([patient()], patient="p1").person is not None
