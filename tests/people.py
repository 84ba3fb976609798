"""Assessments made by hand for the tests of what people read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from fhir_elig.verdict import (
    Assessment,
    CriterionResult,
    Evidence,
    Identified,
    Reason,
    Retrieved,
    SetAside,
    SettledBy,
    Status,
    Verdict,
)

# Five patients of one trial: candidate, ineligible (recoverable), potential-candidate, eligible, ineligible (deceased).
RUN = msgspec.json.decode((Path(__file__).parent / "data" / "people_run.json").read_bytes(), type=list[Assessment])

HOSTILE = (
    "<script>window.x=1</script>",
    '"><img src="http://192.0.2.1/a.png" onerror="window.x=1">',
    "</style><svg onload=window.x=1>",
    "javascript:window.x=1",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "abc\u202edcba\u2066x",
    "nul\x00 bell\x07 back\x08 c1\x9b31m",
    "&lt;b&gt; ' ` {{x}}",
)


def leaf(criterion: str, verdict: Verdict = Verdict.MET, reason: Reason = Reason.IN_RANGE, **more: Any) -> CriterionResult:
    return CriterionResult(id=criterion, verdict=verdict, reason=reason, **{"text": f"the words of {criterion}", **more})


def made(*criteria: CriterionResult, status: Status = Status.POTENTIAL_CANDIDATE, **more: Any) -> Assessment:
    fields: dict[str, Any] = {
        "patient": "Patient/p1",
        "protocol": Identified("my-trial", "1.0.0", "ab" * 32),
        "mappings": {"sha256": "cd" * 32},
        "package": {"version": "0.1.0"},
        "base": None,
        "as_of": "2025-06-01",
        "milestones": {"screening": "2025-06-01"},
        "retrieved": (Retrieved("Observation", True),),
        "verdict": Verdict.UNKNOWN,
        "recoverable": False,
        "valid_until": "2025-06-26",
        "decisive": (),
    }
    return Assessment(**{**fields, "status": status, "criteria": criteria, **more})


def small() -> Assessment:
    """One of everything: a group, a value, an unknown with a window, a question, something set aside, something not read."""
    hemoglobin = leaf(
        "hemoglobin",
        evidence=(Evidence("Observation/o41", "2", "10.2 g/dL", "102 g/L", ">= 90 g/L", "2025-05-28"),),
        set_aside=(SetAside("Observation/o12", "superseded"),),
    )
    lvef = leaf(
        "lvef",
        Verdict.UNKNOWN,
        Reason.NOT_FOUND,
        settled_by=SettledBy("Observation", ("http://loinc.org|10230-1",), "90 d before screening"),
    )
    support = leaf("support", Verdict.UNKNOWN, Reason.NO_RECORD, settled_by=SettledBy("Procedure", window="7 d before screening"))
    consent = leaf("consent", Verdict.UNKNOWN, Reason.NEEDS_PERSON, settled_by=SettledBy(question="has the patient signed?"))
    organs = CriterionResult(
        id="organ-function",
        text="major organ functions",
        verdict=Verdict.UNKNOWN,
        reason=Reason.NOT_FOUND,
        criteria=(hemoglobin, lvef, support),
    )
    pregnancy = leaf("pregnancy", Verdict.NOT_APPLICABLE, Reason.NOT_APPLICABLE)
    return made(
        organs,
        consent,
        pregnancy,
        decisive=("lvef", "support", "consent"),
        retrieved=(Retrieved("Observation", True), Retrieved("Procedure", False, "not-served")),
    )


def with_text(change: Callable[[str], str], assessment: Assessment) -> Assessment:
    """The assessment with every text that a chart, a server or an author could have written changed."""
    kept = {"verdict", "reason", "status", "schema"}

    def walk(node: Any, key: str = "") -> Any:
        if isinstance(node, dict):
            return {name: walk(value, name) for name, value in node.items()}
        if isinstance(node, (list, tuple)):
            return [walk(value, key) for value in node]
        return change(node) if isinstance(node, str) and key not in kept else node

    return msgspec.convert(walk(msgspec.to_builtins(assessment)), Assessment)
