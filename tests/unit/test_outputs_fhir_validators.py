"""A second and a third opinion on the R4 output: fhirkit-rs (Rust) and the npm package `fhir` (JavaScript).

`make test` installs the npm package (`npm ci` in tests/validators); without it (or without node) its test is skipped, but
never where the environment says CI=true.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fhirkit
import msgspec
import pytest

from fhir_elig.outputs.fhir_json import encode
from fhir_elig.outputs.questionnaire import code_systems, questionnaire, questionnaire_response_open
from fhir_elig.outputs.research_subject import bundle, not_assessed
from fhir_elig.verdict import Assessment, CriterionResult, Reason, Status, Verdict

HERE = Path(__file__).parents[1]
TOOLS = HERE / "validators"
RECORDED = "2025-09-15T06:00:00Z"
ASSESSMENT = msgspec.convert(json.loads((HERE / "data" / "assessment.json").read_text(encoding="utf-8")), Assessment)
Json = dict[str, Any]
Validate = Callable[[Json], list[str]]


def states() -> list[Json]:
    """The set of resources in each of the four states."""
    failed = CriterionResult(id="platelets", verdict=Verdict.NOT_MET, reason=Reason.OUT_OF_RANGE)
    rows = {Status.INELIGIBLE: (failed,), Status.ELIGIBLE: ASSESSMENT.criteria[:2]}
    shaped = (
        msgspec.structs.replace(ASSESSMENT, status=status, criteria=rows.get(status, ASSESSMENT.criteria)) for status in Status
    )
    return [bundle(one, fhir_version="R4", recorded=RECORDED, site="Organization/site") for one in shaped]


OUTPUT: list[Json] = [
    *states(),
    *code_systems(),
    questionnaire("example-trial", "2.1.0", [("willing", "willing to take part")]),
    questionnaire_response_open(ASSESSMENT, fhir_version="R4", recorded=RECORDED),
    not_assessed("Patient/p2", "FE0601", "another patient's resource", recorded=RECORDED),
]


def resource(name: str) -> Json:
    """One resource of the first Bundle, alone."""
    return next(item["resource"] for item in copy.deepcopy(OUTPUT[0])["entry"] if item["resource"]["resourceType"] == name)


def fhirkit_says(one: Json) -> list[str]:
    return [str(issue) for issue in fhirkit.validate(encode(one).decode())]


def missing_tools() -> str:
    if shutil.which("node") is None:
        return "node is not installed"
    return "" if (TOOLS / "node_modules" / "fhir").is_dir() else "run `make test`, or `npm ci` in tests/validators"


@pytest.fixture(scope="module")
def npm_says() -> Validate:
    missing = missing_tools()
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"the npm validator must run here: {missing}")
    if missing:
        pytest.skip(missing)

    def ask(one: Json) -> list[str]:
        command = [str(shutil.which("node")), "validate.js"]
        answer = subprocess.run(command, cwd=TOOLS, input=encode(one), capture_output=True, check=True, timeout=120)
        found: list[str] = json.loads(answer.stdout)
        return found

    return ask


@pytest.mark.parametrize("one", OUTPUT, ids=lambda one: one["resourceType"])
def test_fhirkit_accepts_what_is_written(one: Json) -> None:
    assert fhirkit_says(one) == []


@pytest.mark.parametrize("one", OUTPUT, ids=lambda one: one["resourceType"])
def test_the_npm_validator_accepts_what_is_written(npm_says: Validate, one: Json) -> None:
    assert npm_says(one) == []


SPOILT: list[tuple[str, Callable[[Json], object]]] = [
    ("missing study", lambda one: one.pop("study")),
    ("unknown element", lambda one: one.update(colour="red")),
]


@pytest.mark.parametrize("spoil", [row[1] for row in SPOILT], ids=[row[0] for row in SPOILT])
def test_both_refuse_a_spoilt_subject(npm_says: Validate, spoil: Callable[[Json], object]) -> None:
    one = resource("ResearchSubject")
    assert fhirkit_says(one) == [] and npm_says(one) == []
    spoil(one)
    assert fhirkit_says(one) and npm_says(one)


def test_the_npm_validator_refuses_a_bad_code(npm_says: Validate) -> None:
    assert npm_says({**resource("ResearchSubject"), "status": "banana"})


def test_fhirkit_refuses_a_bad_date() -> None:
    assert fhirkit_says({**resource("Provenance"), "recorded": "yesterday"})
