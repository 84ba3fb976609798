"""The plan of what may be written: a pure function of what the server declares, of the site file and of the assessment.

It can be printed, and `--dry-run` prints it and sends nothing. The writer does what stands in it and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from fhir_elig.errors import SourceError
from fhir_elig.outputs.fhir_json import DEFAULT_BASE, FhirVersion, key
from fhir_elig.sinks.declared import Declared, Offer
from fhir_elig.verdict import Assessment, Status

SET = ("Device", "ResearchSubject", "GuidanceResponse", "Provenance")
_NAMELESS = ("Provenance", "AuditEvent", "Questionnaire")  # types without an identifier of ours
_BY_ID = ("AuditEvent", "Questionnaire")  # only under our own id would a second one show
_FALLING = (Status.ELIGIBLE, Status.CANDIDATE, Status.POTENTIAL_CANDIDATE)


class How(StrEnum):
    """How a new resource of a type is made, or that it is not."""

    CONDITIONAL = "POST with If-None-Exist"
    PUT = "PUT with If-None-Match: *"
    POST = "POST"
    NOT = "not written"


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the site file says of writing; `store` tells that it vouches for this server as a research store,
    `proposal` that nothing but a ServiceRequest is written, to propose the referral."""

    study: str
    allow: frozenset[str] = frozenset({"candidate", "potential-candidate"})
    also: tuple[str, ...] = ()
    store: bool = False
    proposal: bool = False
    canonical_base: str = DEFAULT_BASE


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is written at one server.

    `how` tells for each type how a new one is made, `looks` the types that can be searched for what is there already.
    """

    base: str
    fhir_version: FhirVersion
    rules: Rules
    how: Mapping[str, How]
    looks: frozenset[str] = frozenset()


class Step(msgspec.Struct, frozen=True):
    """One thing that is done for a patient, and in which case."""

    case: str
    does: str


def make_plan(base: str, declared: Declared, rules: Rules) -> Plan:
    """Raises SourceError (FE0504) where nothing can be written safely."""
    if declared.fhir_version is None:
        raise _refused("the server speaks neither FHIR R4 nor R5")
    if rules.proposal:
        return _proposing(base, declared.fhir_version, declared, rules)
    subject = declared.offer("ResearchSubject")
    full = rules.store or ((subject.create or subject.update_create) and subject.read)
    if not full:
        raise _refused("it does not take a ResearchSubject from a client")
    how = {name: _how(name, declared, rules) for name in (*SET, *rules.also)}
    looks = frozenset(name for name in how if _can_look(name, declared.offer(name)))
    if how["ResearchSubject"] is How.NOT:
        raise _refused("a ResearchSubject cannot be made there so that a second one is ruled out")
    return Plan(base=base, fhir_version=declared.fhir_version, rules=rules, how=how, looks=looks)


def _proposing(base: str, fhir_version: FhirVersion, declared: Declared, rules: Rules) -> Plan:
    """Where nothing but proposals is written."""
    offer = declared.offer("ServiceRequest")
    how = _how("ServiceRequest", declared, rules)
    if how is How.NOT or not (offer.read or rules.store):
        raise _refused("a ServiceRequest cannot be made there so that a second one is ruled out")
    looks = frozenset({"ServiceRequest"}) if _can_look("ServiceRequest", offer) else frozenset[str]()
    return Plan(base=base, fhir_version=fhir_version, rules=rules, how={"ServiceRequest": how}, looks=looks)


def _refused(why: str) -> SourceError:
    return SourceError(
        why, code="FE0504", where="--write", fix="screen without --write, or name a research store in the site file"
    )


def _can_look(name: str, offer: Offer) -> bool:
    """Whether what is there can be searched for: by patient and study, by target, by identifier."""
    if name == "ResearchSubject":
        return offer.searches("patient", "study")
    return offer.searches("target") if name == "Provenance" else offer.searches("identifier")


def _how(name: str, declared: Declared, rules: Rules) -> How:
    """Never a plain POST of what could be doubled unseen."""
    offer = declared.offer(name)
    if rules.store and name not in declared.offers:
        return How.PUT
    by_condition = offer.conditional_create and _can_look(name, offer) and name not in _NAMELESS
    if by_condition and not (declared.racy and offer.update_create):
        return How.CONDITIONAL
    if offer.update_create:
        return How.PUT
    if name in _BY_ID:
        return How.NOT
    if offer.create and _can_look(name, offer):
        return How.POST
    return How.NOT


def state_to_write(status: Status, allow: frozenset[str]) -> Status | None:
    """The state for a new record or a rise: the assessment's own if the site allows it, else the next lower one; or none."""
    if status is Status.INELIGIBLE:
        return status if status in allow else None
    return next((state for state in _FALLING[_FALLING.index(status) :] if state in allow), None)


def subject_key(assessment: Assessment, study: str) -> str:
    """The name of this patient in this study at this server."""
    return key(assessment.base or "", study, assessment.patient)


def steps(plan: Plan, assessment: Assessment) -> list[Step]:
    """What is done for this patient in each case that the server may turn out to be in."""
    state = state_to_write(assessment.status, plan.rules.allow)
    address = f"ResearchSubject/{subject_key(assessment, plan.rules.study)}"
    looked = "ResearchSubject by patient and study, and " if "ResearchSubject" in plan.looks else ""
    update = state or (Status.INELIGIBLE if assessment.status is Status.INELIGIBLE else None)
    beside = ", ".join(f"{name} ({how.value})" for name, how in plan.how.items() if name in SET[2:] and how is not How.NOT)
    found = [
        Step("first", f"look: {looked}GET {address}"),
        Step(
            "none is there", f"{plan.how['ResearchSubject'].value} ResearchSubject as {state}" if state else "nothing is written"
        ),
        Step("ours, untouched", f"PUT with If-Match as {update}" if update else "it stays as it is"),
        Step("touched by others", "it stays as it is"),
    ]
    return [*found, *([Step("then", beside)] if beside else [])]


def plan_text(plan: Plan, assessments: Sequence[Assessment]) -> str:
    """The plan as it is shown before anything is sent."""
    lines = [f"plan: write at {plan.base}, FHIR {plan.fhir_version}, study {plan.rules.study}"]
    lines.append(f"  states that may be set: {', '.join(sorted(plan.rules.allow)) or 'none'}")
    for name in plan.rules.also:
        lines.append(f"  {name}: {plan.how[name].value}")
    if plan.rules.proposal:
        lines.append(f"  ServiceRequest as a proposal: {plan.how['ServiceRequest'].value}, if none is there")
        return "\n".join(lines)
    for one in assessments:
        lines.append(f"{one.patient}  {one.status}")
        lines += [f"  {step.case:<18} {step.does}" for step in steps(plan, one)]
    return "\n".join(lines)
