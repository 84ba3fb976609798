"""Every golden case gives what its folder says: from a Bundle, from NDJSON, in any order, and from a real FHIR server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_elig.outputs.checks import check
from fhir_elig.outputs.fhir_json import FhirVersion
from fhir_elig.outputs.research_subject import bundle
from fhir_elig.verdict import ALIVE, Assessment
from tests.golden import cases
from tests.golden.cases import Case, OnServer
from tests.sources import sekmet

CASES = cases.find()
ASSESSED = [case for case in CASES if not case.failure]
PREFIXES = {case.name: f"g{number}-" for number, case in enumerate(CASES)}
SERVED = [OnServer(case, PREFIXES[case.name]) for case in ASSESSED if "files-only" not in case.expected]
every = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
assessable = pytest.mark.parametrize("case", ASSESSED, ids=[case.name for case in ASSESSED])


@pytest.fixture(scope="module", autouse=True)
def _loaded_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        cases.share_what_is_loaded(patch)
        yield


@pytest.fixture(scope="module")
def from_bundle() -> dict[str, Assessment]:
    return {}


def assessment_of(case: Case, known: dict[str, Assessment]) -> Assessment:
    """The assessment of a case from its Bundle, made once."""
    if case.name not in known:
        known[case.name] = cases.assessed(case.options())
    return known[case.name]


@every
def test_the_folder_says_why_and_what_is_expected(case: Case) -> None:
    why = [line for line in (case.folder / "why.md").read_text(encoding="utf-8").splitlines() if line.strip()]
    assert 2 <= len(why) <= 6
    assert case.failure or (case.verdicts and "status" in case.expected)
    assert {path.name for path in case.folder.iterdir()} <= {
        "bundle.json", "expected.yaml", "why.md", "answers.yaml", "site.yaml"
    }  # fmt: skip


@assessable
def test_verdicts_reasons_status_and_date_are_as_expected(case: Case, from_bundle: dict[str, Assessment]) -> None:
    found = assessment_of(case, from_bundle)
    said = cases.verdicts_of(found)
    assert {criterion: said.get(criterion) for criterion in case.verdicts} == case.verdicts
    assert found.status == case.expected["status"]
    if "valid-until" in case.expected:
        assert found.valid_until == case.expected["valid-until"]


@pytest.mark.parametrize("case", [case for case in CASES if case.failure], ids=lambda case: case.name)
def test_a_patient_who_cannot_be_assessed_is_told_and_not_assessed(case: Case) -> None:
    found, tally = cases.screened(case.options())
    assert found == []
    assert [failure.why.partition(":")[0] for failure in tally.failures] == [case.failure]


@assessable
def test_one_file_a_type_gives_the_same_assessment(case: Case, from_bundle: dict[str, Assessment], tmp_path: Path) -> None:
    found = cases.assessed(case.options(data=cases.write_ndjson(case.resources(), tmp_path)))
    assert cases.comparable(found) == cases.comparable(assessment_of(case, from_bundle))


@assessable
def test_any_order_and_duplicates_give_the_same_assessment(
    case: Case, from_bundle: dict[str, Assessment], tmp_path: Path
) -> None:
    data = cases.write_bundle(cases.shuffled(case.resources(), case.name), tmp_path)
    found = cases.assessed(case.options(data=data))
    assert cases.comparable(found) == cases.comparable(assessment_of(case, from_bundle))


@assessable
@pytest.mark.parametrize("version", ["R4", "R5"])
def test_the_recommendation_is_sound_fhir(case: Case, version: FhirVersion, from_bundle: dict[str, Assessment]) -> None:
    made = bundle(assessment_of(case, from_bundle), fhir_version=version, recorded="2025-06-01T06:00:00Z")
    assert check(made, version) == []


@pytest.fixture(scope="module")
def base(sekmet_base: str) -> str:
    """The address of a server that holds all cases."""
    sekmet.load(sekmet_base, [resource for one in SERVED for resource in one.resources()])
    return sekmet_base


@pytest.mark.parametrize("served", SERVED, ids=[one.case.name for one in SERVED])
def test_a_server_gives_the_same_verdicts_and_reasons_as_files(served: OnServer, base: str, tmp_path: Path) -> None:
    from_files = cases.assessed(served.case.options(complete="all"))
    options = served.case.options(
        data=None, server=base, patients=(served.patient,), answers=served.answers(tmp_path), complete="all"
    )
    found, tally = cases.screened(options)
    assert tally.exit_code() == 0, tally.failures
    assert cases.verdicts_of(found[0]) == cases.verdicts_of(from_files)
    assert found[0].status == from_files.status


def test_every_criterion_is_the_subject_of_a_met_a_not_met_and_an_unknown_case(from_bundle: dict[str, Assessment]) -> None:
    """The criteria are those that an assessment shows; the implicit one, `alive`, is never shown as met."""
    shown = cases.verdicts_of(assessment_of(ASSESSED[0], from_bundle)).keys() - {ALIVE}
    said = {(criterion, verdict) for case in CASES for criterion, (verdict, _) in case.verdicts.items()}
    wanted = {(name, verdict) for name in shown for verdict in ("met", "not-met", "unknown")}
    assert sorted(f"{name}: no case is about {verdict}" for name, verdict in wanted - said) == []
