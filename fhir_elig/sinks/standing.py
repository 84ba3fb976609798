"""Whose a ResearchSubject is: ours and untouched, or a person's or another system's by now. Pure.

Ours means all of: our identifier and tag, a state that we set, nothing of an enrolment, and the very version that we wrote last.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from typing import Any

from fhir_elig.references import subject_of, target
from fhir_elig.sinks import Resource

OWN_STATES = frozenset({"potential-candidate", "candidate", "ineligible"})
_ENROLLED = ("period", "consent", "assignedArm", "actualArm", "assignedComparisonGroup", "actualComparisonGroup")


def is_about(subject: Resource, patient: str, study: str, base: str) -> bool:
    """Whether a ResearchSubject is of this patient in this study; an unfiltered answer holds others."""
    return (
        subject.get("resourceType") == "ResearchSubject"
        and _named(subject_of(subject, base)) == patient
        and _named(target(subject.get("study"), base)) == study
    )


def state_of(subject: Resource) -> str:
    """R4: the status. R5: the state of the latest progress, where the publication status is `draft`."""
    if "progress" not in subject:
        return str(subject.get("status", ""))
    states = [code for one in _list(subject["progress"]) for code in _codes(one.get("subjectState"))]
    return states[0] if len(states) == 1 and subject.get("status") == "draft" else "several"


def touched(subject: Resource, key: str, canonical_base: str, versions: Set[str], allow: Set[str]) -> str:
    """Why the subject is not ours any more; empty if it is. `versions` are those that we are known to have written."""
    identifiers = [(one.get("system"), one.get("value")) for one in _list(subject.get("identifier"))]
    if (f"{canonical_base}/NamingSystem/recommendation", key) not in identifiers:
        return "it does not bear our identifier"
    meta = subject.get("meta")
    tags = [(one.get("system"), one.get("code")) for one in _list(meta.get("tag") if isinstance(meta, dict) else None)]
    if (f"{canonical_base}/CodeSystem/output-tag", "machine-recommendation") not in tags:
        return "it does not bear our tag"
    state = state_of(subject)
    if state not in OWN_STATES | (allow & {"eligible"}):
        return f"its state is {state}" if state.replace("-", "").isalpha() else "its state is none of ours"
    if any(name in subject for name in _ENROLLED):
        return "it holds an enrolment"
    if version_of(subject) not in versions - {""}:
        return "its version is not the one that we wrote"
    return ""


def version_of(resource: Resource) -> str:
    """meta.versionId, or an empty text."""
    meta = resource.get("meta")
    found = meta.get("versionId") if isinstance(meta, dict) else None
    return found if isinstance(found, str) else ""


def same(sent: Resource, found: Resource, base: str) -> bool:
    """Whether what was read back is what was sent; narrative, meta and id are the server's to change, references its to spell."""
    names = set(sent) - {"id", "meta", "text"}
    return all(_plain(sent[name], base) == _plain(found.get(name), base) for name in names)


def follows(before: str, now: str) -> bool:
    """Whether one version comes right after another (`""`: none was there), as far as their names tell it."""
    if not now.isdecimal() or not (before.isdecimal() or not before):
        return bool(now) and now != before
    return int(now) == (int(before) if before else 0) + 1


def is_later(instant: str, than: str) -> bool:
    """Whether one instant comes after another; False where one of them cannot be read. Servers may spell them anew."""
    try:
        return datetime.fromisoformat(instant) > datetime.fromisoformat(than)
    except (ValueError, TypeError):  # TypeError: one of the two has no zone
        return False


def _plain(value: Any, base: str) -> Any:
    if isinstance(value, dict):
        named = _named(target(value, base)) if "reference" in value else ""
        return {"reference": named} if named else {name: _plain(item, base) for name, item in value.items()}
    return [_plain(item, base) for item in value] if isinstance(value, list) else value


def _named(found: tuple[str, str] | None) -> str:
    return "/".join(found) if found else ""


def _list(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _codes(concept: Any) -> list[str]:
    return [str(one.get("code", "")) for one in _list(concept.get("coding") if isinstance(concept, dict) else None)]
