"""References: addresses are parsed, ids are checked, what cannot be resolved is None."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from fhir_elig.references import is_id, is_type, parse_reference, subject_of, target

BASE = "https://ehr.example/fhir"


@pytest.mark.parametrize(
    ("text", "base", "expected"),
    [
        ("Patient/1", None, ("Patient", "1", "")),
        ("Patient/1", BASE, ("Patient", "1", "")),
        ("Patient/a_b", None, ("Patient", "a_b", "")),
        ("Patient/1/_history/3", None, ("Patient", "1", "3")),
        ("https://ehr.example/fhir/Patient/1", BASE, ("Patient", "1", "")),
        ("https://ehr.example/fhir/Patient/1", BASE + "/", ("Patient", "1", "")),
        ("HTTPS://EHR.example:443/fhir/Patient/1/_history/2", BASE, ("Patient", "1", "2")),
        ("http://ehr.example:80/fhir/Patient/1", "http://ehr.example/fhir", ("Patient", "1", "")),
        ("https://ehr.example:8443/fhir/Patient/1", "https://ehr.example:8443/fhir", ("Patient", "1", "")),
        ("https://ehr.example/Patient/1", "https://ehr.example", ("Patient", "1", "")),
    ],
)
def test_a_reference_names_type_id_and_version(text: str, base: str | None, expected: tuple[str, str, str]) -> None:
    assert parse_reference(text, base) == expected


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("", None),
        ("#p1", BASE),
        ("Patient", BASE),
        ("Patient/", BASE),
        ("/Patient/1", BASE),
        ("patient/1", BASE),
        ("Patient/1#x", BASE),
        ("Patient/..", BASE),
        ("Patient/.", BASE),
        ("Patient/%2e%2e", BASE),
        ("Patient/a/b", BASE),
        ("Patient/1/_history/", BASE),
        ("Patient/1/_history/../x", BASE),
        ("Patient/1/other/3", BASE),
        ("Patient/" + "x" * 65, BASE),
        ("Patient?identifier=x", BASE),
        ("Patient/1 ", BASE),
        ("Patient/1\n", BASE),
        ("urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7", BASE),
        ("https://ehr.example/fhir/Patient/1", None),
        ("https://other.example/fhir/Patient/1", BASE),
        ("http://ehr.example/fhir/Patient/1", BASE),
        ("https://ehr.example:444/fhir/Patient/1", BASE),
        ("https://ehr.example/fhir2/Patient/1", BASE),
        ("https://ehr.example/fhir//Patient/1", BASE),
        ("https://ehr.example/fhir/../x/Patient/1", BASE),
        ("https://me@ehr.example/fhir/Patient/1", BASE),
        ("https://ehr.example/fhir/Patient/1?x=1", BASE),
        ("https://ehr.example/fhir/Patient/1#x", BASE),
        ("https://ehr.example/fhir", BASE),
        ("https://[::1/fhir/Patient/1", BASE),
        ("https://ehr.example:99999/fhir/Patient/1", BASE),
        ("https:///fhir/Patient/1", BASE),
        ("https://ehr.example/fhir/Patient/1", "not an address"),
        ("https://ehr.example/fhir/Pat\tient/1", BASE),
        ("Patient/" + "x" * 3000, BASE),
    ],
)
def test_what_cannot_be_resolved_is_none(text: str, base: str | None) -> None:
    assert parse_reference(text, base) is None


@given(st.text(max_size=80), st.sampled_from([None, BASE, "x"]))
def test_any_text_is_answered_and_an_answer_holds_safe_parts(text: str, base: str | None) -> None:
    found = parse_reference(text, base)
    assert found is None or (is_type(found[0]) and is_id(found[1]) and (not found[2] or is_id(found[2])))


@pytest.mark.parametrize("text", ["", ".", "..", "...", "a/b", "a b", "a\n", "ä", "x" * 65, None, 5, "%2e"])
def test_an_id_is_no_path(text: object) -> None:
    assert not is_id(text)


@pytest.mark.parametrize("text", ["1", "a.b", "a-b", "a_b", "..a", "x" * 64])
def test_an_id_is_up_to_64_plain_characters(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize(
    "reference", [None, 5, "Patient/1", [], {}, {"reference": 5}, {"identifier": {"value": "1"}}, {"reference": "#x"}]
)
def test_a_broken_or_logical_reference_has_no_target(reference: object) -> None:
    assert target(reference) is None


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"resourceType": "Patient", "id": "1"}, ("Patient", "1")),
        ({"resourceType": "Patient", "id": ".."}, None),
        ({"resourceType": "Patient"}, None),
        ({"resourceType": "Observation", "subject": {"reference": "Patient/1"}}, ("Patient", "1")),
        ({"resourceType": "Consent", "patient": {"reference": f"{BASE}/Patient/1/_history/2"}}, ("Patient", "1")),
        ({"resourceType": "ResearchSubject", "individual": {"reference": "Patient/1"}}, ("Patient", "1")),
        ({"resourceType": "Observation", "subject": {"reference": "Group/1"}}, ("Group", "1")),
        ({"resourceType": "X", "subject": {"reference": "Patient/1"}, "patient": {"reference": "Patient/1"}}, ("Patient", "1")),
        ({"resourceType": "X", "subject": {"reference": "Patient/1"}, "patient": {"reference": "Patient/2"}}, None),
        ({"resourceType": "Observation"}, None),
    ],
)
def test_a_resource_is_about_its_subject_patient_or_individual(
    resource: dict[str, object], expected: tuple[str, str] | None
) -> None:
    assert subject_of(resource, BASE) == expected
