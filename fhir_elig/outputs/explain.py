"""One patient in full, as plain text: every criterion in the protocol's order, with its evidence and what would settle it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from fhir_elig.outputs.digest import decider, own_reason, status_reason
from fhir_elig.outputs.table import paint
from fhir_elig.outputs.words import (
    DISCLAIMER,
    VERDICTS,
    age_of,
    looked,
    patient_name,
    reason_text,
    resource_text,
    safe_text,
    settle_text,
    value_text,
)
from fhir_elig.verdict import MET, NOT_APPLICABLE, UNKNOWN, Assessment, CriterionResult, Evidence, Retrieved

_STEP = "  "
_GAP = "   "
_SGR = re.compile("\x1b\\[[0-9]*m")
_WORD = max(len(word) for word in VERDICTS.values())


def explain(assessment: Assessment, *, color: bool = False, width: int = 100) -> str:
    """The whole assessment in words, ending in a line break; values are never split over two lines."""
    lines = _head(assessment, color, width)
    lines += ["", "criteria"]
    lines += _criteria(assessment.criteria, assessment, color, width, 1)
    lines += ["", *_tail(assessment, width)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _head(assessment: Assessment, color: bool, width: int) -> list[str]:
    status = paint(assessment.status.value, assessment.status.value, color)
    name = paint(patient_name(assessment.patient), "title", color)
    reason = f"({status_reason(assessment)})"
    lines = _flow([reason, f"as of {assessment.as_of}"], "", width, f"{name}{_GAP}{status}")
    protocol = assessment.protocol
    lines += _flow(["protocol", f"{protocol.id} {protocol.version}", f"sha256 {protocol.sha256}"], "", width)
    if assessment.base:
        lines += _flow(["server", assessment.base], "", width)
    if assessment.milestones:
        lines += _flow(["milestones", *(f"{name} {date}" for name, date in assessment.milestones.items())], "", width)
    if assessment.provisional:
        lines += _prose("provisional", "found with a stand-in for a date that is not known yet", "", width)
    if assessment.decisive:
        lines += _prose("decisive", ", ".join(assessment.decisive) + " (most decisive first)", "", width)
    return lines


def _criteria(results: Sequence[CriterionResult], assessment: Assessment, color: bool, width: int, depth: int) -> list[str]:
    longest = max((len(safe_text(result.id)) for result in results), default=0)
    return [line for result in results for line in _criterion(result, assessment, color, width, depth, longest)]


def _criterion(result: CriterionResult, assessment: Assessment, color: bool, width: int, depth: int, longest: int) -> list[str]:
    indent = _STEP * depth
    below = indent + " " * (_WORD + len(_STEP))
    word = paint(VERDICTS[result.verdict].ljust(_WORD), VERDICTS[result.verdict], color)
    lead = f"{indent}{word}{_STEP}{safe_text(result.id).ljust(longest)}"
    fits = len(_SGR.sub("", lead)) + len(_GAP) + len(safe_text(result.text)) <= width
    lines = _flow([result.text if fits else ""], below, width, lead)
    if result.text and not fits:
        lines += _prose("", result.text, below, width)
    parts = [evidence_parts(evidence, assessment.as_of) for evidence in result.evidence]
    why = why_text(result, assessment)
    if parts and result.verdict is not UNKNOWN and not result.criteria:
        parts[0].insert(0, why)
    elif why:
        lines += _prose("", why, below, width)
    for part in parts:
        lines += _flow(part, below, width)
    for label, text in remarks(result):
        lines += _prose(label, text, below, width)
    return lines + _criteria(result.criteria, assessment, color, width, depth + 1)


def why_text(result: CriterionResult, assessment: Assessment) -> str:
    """The reason in words; of a group, the part that decides it, and its reason if that is its own."""
    decided = decider(result)
    if decided is result or own_reason(result):
        return reason_text(result, assessment.retrieved)
    return "" if result.verdict in (MET, NOT_APPLICABLE) else f"decided by {decided.id}"


def evidence_parts(evidence: Evidence, as_of: str) -> list[str]:
    """The parts of one piece of evidence, in reading order; each is to be kept whole."""
    age = age_of(evidence, as_of)
    time = f"{evidence.time} ({age})" if age else evidence.time
    limit = f"limit {evidence.limit}" if evidence.limit else ""
    window = f"window {evidence.window}" if evidence.window else ""
    texts = (limit, time, window)
    parts = (value_text(evidence), *map(safe_text, texts), resource_text(evidence), safe_text(evidence.note))
    return [part for part in parts if part]


def remarks(result: CriterionResult) -> list[tuple[str, str]]:
    """Everything said of a criterion beside its reason and evidence, as (label, text): nothing of the result is left out."""
    lines = []
    if result.verdict is UNKNOWN and (result.settled_by or not result.criteria):
        text = settle_text(result)
        lines.append(("question", text.removeprefix("ask: ")) if text.startswith("ask: ") else ("settled by", text))
    if result.exclusion:
        lines.append(("exclusion", "an exclusion criterion: met means that the patient is not excluded by it"))
    if result.reading:
        lines.append(("reading", result.reading))
    if result.recoverable:
        lines.append(
            ("recoverable", "a repeat could change it" + (f", from {result.recoverable_from}" if result.recoverable_from else ""))
        )
    if result.near_limit:
        lines.append(("near limit", "the value lies within 5 % of the limit"))
    if result.provisional:
        lines.append(("provisional", "found with a stand-in for a date that is not known yet"))
    if result.conditional:
        lines.append(("conditional", "satisfied whether or not it applies to this patient"))
    lines += [("note", note) for note in result.notes]
    lines += [("set aside", f"{each.reference} ({each.why})") for each in result.set_aside]
    return [(label, safe_text(text)) for label, text in lines]


def valid_text(assessment: Assessment) -> str:
    """Until when the assessment holds if nothing new is recorded."""
    if assessment.valid_until:
        return f"with no new data this changes on {safe_text(assessment.valid_until)}"
    return "with no new data no date is known on which this changes"


def retrieved_groups(assessment: Assessment) -> list[tuple[str, list[str]]]:
    """How completely each type was read: (in words, the types), in the order in which the words first occur."""
    groups: dict[str, list[str]] = {}
    for entry in assessment.retrieved:
        groups.setdefault(retrieved_text(entry), []).append(safe_text(entry.type))
    return list(groups.items())


def versions(assessment: Assessment) -> list[str]:
    """What made the assessment: `package version 0.1.0`, `mappings sha256 ...`."""
    groups = (("package", assessment.package), ("mappings", assessment.mappings))
    return [f"{group} {name} {text}" for group, entries in groups for name, text in entries.items()]


def retrieved_text(entry: Retrieved) -> str:
    """How completely a type was read: `complete`, or `not complete: not served`."""
    how = looked(entry)
    note = safe_text(entry.note)
    if entry.complete:
        return f"complete ({note})" if note else "complete"
    if not how:
        return f"read, not known to be complete ({note})" if note else "read, not known to be complete"
    return f"not complete: {how}" + (
        f" ({note})" if note not in ("partial", "refused", "not-served", "not-asked", "withheld") else ""
    )


def _tail(assessment: Assessment, width: int) -> list[str]:
    lines = []
    for how, types in retrieved_groups(assessment):
        lines += _prose("read", f"{how}: {', '.join(types)}", "", width)
    for name, text in assessment.decisions.items():
        lines += _prose("decided", f"{name}: {text}", "", width)
    for note in assessment.notes:
        lines += _prose("note", note, "", width)
    for error in assessment.errors:
        lines += _prose("error", error, "", width)
    return [*lines, *_flow(versions(assessment), "", width), valid_text(assessment), DISCLAIMER]


def _flow(parts: Sequence[str], indent: str, width: int, lead: str = "") -> list[str]:
    """The parts side by side, broken only between them; later lines go a step further in. `lead` (may be painted) comes first."""
    lines, used = [lead or indent], len(_SGR.sub("", lead)) or len(indent)
    gap = _GAP if lead else ""
    for part in filter(None, map(safe_text, parts)):
        if gap and used + len(gap) + len(part) > width:
            lines.append(indent + _STEP)
            used, gap = len(lines[-1]), ""
        lines[-1] += gap + part
        used += len(gap) + len(part)
        gap = _GAP
    return lines


def _prose(label: str, text: str, indent: str, width: int) -> list[str]:
    """A labelled sentence, wrapped between words."""
    lead = f"{indent}{label}: " if label else indent
    return textwrap.wrap(
        safe_text(text),
        max(width, len(indent) + 40),
        initial_indent=lead,
        subsequent_indent=indent + _STEP,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [lead]
