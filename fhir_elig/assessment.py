"""`assess`: one protocol, one record, one assessment. Pure: the date is an argument, nothing else is read."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fhir_elig._version import __version__
from fhir_elig.criteria.context import Context, Run
from fhir_elig.criteria.logic import outcome_of
from fhir_elig.criteria.node import Node
from fhir_elig.criteria.outcome import Outcome, flaw_reason
from fhir_elig.decisive import decisive
from fhir_elig.horizon import valid_until
from fhir_elig.protocol import Protocol
from fhir_elig.record import Record
from fhir_elig.verdict import (
    ALIVE,
    MET,
    NOT_APPLICABLE,
    NOT_MET,
    UNKNOWN,
    Assessment,
    CriterionResult,
    Evidence,
    Identified,
    Reason,
    SettledBy,
    Status,
    Verdict,
    all_of,
    negate,
)

# What people settle, and what waits for a date: open ends of a chart that is otherwise complete.
_PEOPLE = frozenset({Reason.NEEDS_PERSON, Reason.PENDING_EVENT})


def assess(protocol: Protocol, record: Record, run: Run) -> Assessment:
    """Hold a record against a protocol at `run.as_of`."""
    context = _context(protocol, record, run)
    results = _results(protocol, context)
    top = [_satisfied(result.verdict) for result in results]
    verdict = all_of(top)
    tops = (*protocol.file.inclusion, *protocol.file.exclusion)
    open_ends = decisive(tops, context, results) if verdict is UNKNOWN else []
    not_met = [result for result in results if result.verdict is NOT_MET]
    return Assessment(
        patient=f"Patient/{record.patient}",
        protocol=Identified(protocol.id, protocol.version, protocol.sha256),
        mappings={"sha256": protocol.concepts.sha256},
        package={"version": __version__},
        base=record.base,
        as_of=run.as_of.text,
        milestones=_milestones(protocol, context),
        retrieved=record.retrieved,
        verdict=verdict,
        status=_status(verdict, open_ends),
        recoverable=bool(not_met) and all(result.recoverable for result in not_met),
        provisional=any(part.provisional and not part.criteria for result in results for part in result.walk()),
        valid_until=valid_until(protocol.users, context, results, lambda later: _results(protocol, later)),
        decisive=tuple(result.id for result in open_ends),
        decisions={name: reading for name, reading in sorted(run.decisions.items()) if name in protocol.nodes},
        notes=_notes(record),
        criteria=results,
        errors=record.errors,
    )


def _context(protocol: Protocol, record: Record, run: Run) -> Context:
    return Context(record, run, protocol.concepts, protocol.nodes, protocol.stand_ins)


def _satisfied(verdict: Verdict) -> Verdict:
    """At the top, what does not apply counts as satisfied."""
    return MET if verdict is NOT_APPLICABLE else verdict


def _results(protocol: Protocol, context: Context) -> tuple[CriterionResult, ...]:
    alive = _alive(context)
    criteria = [node.result(outcome_of(node, context)) for node in protocol.file.inclusion]
    criteria += [_excluded(node, outcome_of(node, context)) for node in protocol.file.exclusion]
    return tuple([alive, *criteria] if alive is not None else criteria)


def _excluded(node: Node, outcome: Outcome) -> CriterionResult:
    """An exclusion criterion as a requirement: met where what it excludes is not there."""
    if outcome.guard is not None:
        outcome = outcome.plus(verdict=UNKNOWN, reason=outcome.guard, guard=None)
    return msgspec.structs.replace(node.result(outcome.plus(verdict=negate(outcome.verdict))), exclusion=True)


def _alive(context: Context) -> CriterionResult | None:
    """The implicit criterion: shown where the patient is recorded as deceased on or before `as_of`, or may be."""
    person = context.record.person
    flaw = flaw_reason(person) if person is not None else None
    if person is not None and flaw is not None:
        return _maybe_alive(flaw, Evidence(person.reference, person.version))
    if person is None or not (person.deceased or person.died is not None):
        return None
    died = person.died
    if died is not None and died.start >= context.as_of.end:
        return None
    sure = died is None or died.last <= context.as_of.last
    evidence = Evidence(
        person.reference, person.version, person.died_text or "true", "deceased", "alive", died.text if died else ""
    )
    return CriterionResult(
        id=ALIVE,
        text="the patient is alive",
        verdict=NOT_MET if sure else UNKNOWN,
        reason=Reason.DECEASED if sure else Reason.IMPRECISE_DATE,
        evidence=(evidence,),
        settled_by=None if sure else SettledBy(resource="Patient", window="the day of death"),
    )


def _maybe_alive(reason: Reason, evidence: Evidence) -> CriterionResult:
    """The Patient cannot be read without doubt."""
    return CriterionResult(
        id=ALIVE,
        text="the patient is alive",
        verdict=UNKNOWN,
        reason=reason,
        evidence=(evidence,),
        settled_by=SettledBy(resource="Patient", question="Is the patient alive?"),
    )


def _notes(record: Record) -> tuple[str, ...]:
    return record.person.notes if record.person is not None else ("no Patient resource",)


def _milestones(protocol: Protocol, context: Context) -> dict[str, str]:
    dated = {}
    for name in protocol.file.milestones:
        milestone = context.milestone(name)
        if milestone.when is not None:
            dated[name] = milestone.when.text
    return dated


def _status(verdict: Verdict, open_ends: Sequence[CriterionResult]) -> Status:
    if verdict is NOT_MET:
        return Status.INELIGIBLE
    if verdict is not UNKNOWN:
        return Status.ELIGIBLE
    waiting = all(result.reason in _PEOPLE for result in open_ends)
    return Status.CANDIDATE if waiting else Status.POTENTIAL_CANDIDATE
