"""Errors as people read them: what is wrong, where, why, the fix; one exit code for each class."""

from __future__ import annotations

from fhir_elig.errors import AuthoringError, DataError, Finding

ONE = Finding("FE0204", "", "a key is missing", "write it", "")


def test_a_finding_without_a_place_gets_that_of_the_file() -> None:
    error = AuthoringError("two findings", findings=(ONE, ONE._replace(where="site.yaml:3")))
    error.place("protocol.yaml")
    assert [finding.where for finding in error.findings] == ["protocol.yaml", "site.yaml:3"]


def test_the_effect_stands_after_the_last_finding() -> None:
    text = DataError("not JSON", where="chart.json", fix="send JSON", effect="the patient is left out").text()
    assert text.splitlines()[1:4] == ["  where  chart.json", "  why    not JSON", "  fix    send JSON"]
    assert text.endswith("\n  effect the patient is left out")


def test_without_an_effect_none_is_told() -> None:
    assert "effect" not in DataError("not JSON").text()


def test_the_code_of_the_first_finding_is_that_of_the_error() -> None:
    assert AuthoringError("two findings", findings=(ONE, ONE._replace(code="FE0205"))).code == "FE0204"
