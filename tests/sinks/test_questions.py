"""What only people can say: the form is published, a person answers, the answer is read back and decides its criterion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from fhir_elig.cli import run
from fhir_elig.outputs.checks import check
from tests.sources import sekmet

STUDY = "ResearchStudy/77"
FORM = "Questionnaire/relma-cel-ssc-attestations"
CRITERION = "vascular-access"


def get(base: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{base}/{path}", timeout=30).json()
    return found


def assessed(data: Path, site: Path, as_of: str, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    capsys.readouterr()
    command = ["screen", "--protocol", "relma-cel-ssc", "--as-of", as_of, "--data", str(data), "--site", str(site)]
    assert run([*command, "--complete", "all", "--format", "ndjson"]) == 0
    found: dict[str, dict[str, Any]] = {}

    def gather(criteria: list[dict[str, Any]]) -> None:
        for one in criteria:
            found[one["id"]] = one
            gather(one.get("criteria", []))

    gather(json.loads(capsys.readouterr().out)["criteria"])
    return found


def test_a_form_is_published_answered_read_back_and_decides(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FHIR_ELIG_OUTBOX", raising=False)
    assert run(["protocol", "questionnaire", "relma-cel-ssc"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [check(printed, version) for version in ("R4", "R5")] == [[], []]

    sekmet.load(base, [{"resourceType": "Patient", "id": "asked", "birthDate": "1980-01-02", "gender": "female"}])
    site = tmp_path / "site.yaml"
    site.write_text(f"study: {{relma-cel-ssc: {STUDY}}}\nwrite: {{outbox: o, store: '{base}', also: [Questionnaire]}}\n", "utf-8")
    command = ["screen", "--protocol", "relma-cel-ssc", "--as-of", "2025-06-01", "--server", base, "--patient", "asked"]
    for _ in range(2):
        assert run([*command, "--site", str(site), "--write"]) == 0, capsys.readouterr().err
    form = get(base, FORM)
    assert {name: form[name] for name in ("url", "version", "item")} == {
        name: printed[name] for name in ("url", "version", "item")
    }
    assert form["meta"]["versionId"] == "1", "the second run left it as it is"

    answers = [
        {"linkId": item["linkId"], "answer": [{"valueBoolean": True}]} for item in form["item"] if item["linkId"] == CRITERION
    ]
    response = {
        "resourceType": "QuestionnaireResponse",
        "id": "said",
        "status": "completed",
        "questionnaire": f"{form['url']}|{form['version']}",
        "subject": {"reference": "Patient/asked"},
        "authored": "2025-05-30T10:00:00Z",
        "author": {"reference": "Practitioner/7"},
        "item": answers,
    }
    consent = {
        "resourceType": "Consent",
        "id": "signed",
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "57016-8"}]}],
        "patient": {"reference": "Patient/asked"},
        "dateTime": "2025-05-29",
        "provision": {
            "type": "permit",
            "period": {"start": "2025-05-29", "end": "2025-06-30"},
            "data": [{"meaning": "related", "reference": {"reference": STUDY}}],
        },
    }
    sekmet.load(base, [response, consent])
    data = tmp_path / "chart"
    data.mkdir()
    for path in ("Patient/asked", "QuestionnaireResponse/said", "Consent/signed"):
        (data / f"{path.replace('/', '-')}.json").write_text(json.dumps(get(base, path)), encoding="utf-8")
    found = assessed(data, site, "2025-06-01", capsys)
    access, signed = found[CRITERION], found["consent"]
    assert [(one["verdict"], one["reason"]) for one in (access, signed)] == [("met", "attested")] * 2
    (evidence,) = access["evidence"]
    told = (evidence["reference"], evidence["version"], evidence["time"], evidence["note"])
    assert told == ("QuestionnaireResponse/said", "1", "2025-05-30T10:00:00Z", "answered by Practitioner/7")
    assert [(one["reference"], one["time"]) for one in signed["evidence"]] == [("Consent/signed", "2025-05-29")]

    later = assessed(data, site, "2025-07-05", capsys)
    assert (later["consent"]["verdict"], later["consent"]["reason"]) == ("unknown", "needs-person")
    assert [(one["reference"], one["why"]) for one in later["consent"]["set_aside"]] == [("Consent/signed", "expired")]
    assert later[CRITERION]["reason"] == "attested"
