"""Conditions: recorded at all or active in a window, records that may be it, and what "no record" may claim."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_elig.record import Coded, Counts, Flaw, Refused, Strength
from fhir_elig.verdict import Retrieved
from tests.spec.table import (
    EVERYTHING,
    LOCAL,
    TYPES,
    Row,
    check,
    code_of,
    contact,
    drug,
    lab,
    not_final,
    problem,
    protocol,
    relma_results,
    result,
    said,
    served,
)
from tests.spec.words import Page

PAGE = Page(
    "Condition",
    """
Is a diagnosis in the chart, or was it active in a window? A record that is not confirmed does not prove the diagnosis, but
it also keeps its absence from being taken for granted. That nothing is recorded means "absent" only if the criterion says
so (`absence: closed`) and the records were read to the end.
""",
    {
        "PRESENT": "Recorded or not",
        "ABSENT": "What may be called absent",
        "IN_WINDOW": "Active in a window",
        "HINTS": "Records that may be it",
        "OTHER": "Further cases",
    },
)

EVER = "condition: {concepts: [gilbert]}"
CLOSED = "condition: {concepts: [gilbert], absence: closed}"
INFECTION = """condition:
  concepts: [infection_systemic, pneumonia, tb_active]
  perhaps: [infection_any, infection_localised]
  not-these: [tb_latent_or_history, not_infection, onychomycosis]
  window: {milestone: leukapheresis, before: 14 d}
  absence: closed
  stale: 90 d
  hint-medications: [systemic_anti_infective]
  hint-results: [culture]
  question: Was there an infection?
"""
LEUKA = {"events": {"leukapheresis": "2025-05-30"}}  # the window is 2025-05-16 to 2025-05-30
SEEN = (contact("2025-05-20"), *EVERYTHING)
ICD = "http://hl7.org/fhir/sid/icd-10-cm|"
PNEUMONIA = ICD + "J15.9"


def case(holds: str, facts: tuple[Any, ...], verdict: str, reason: str, **run_more: Any) -> Row:
    return Row(holds, facts, INFECTION, verdict, reason, {**LEUKA, **run_more})


def lungs(onset: str | None = None, abated: str | None = None, **more: Any) -> Any:
    return problem(PNEUMONIA, onset, abated, **more)


PRESENT = [
    Row("recorded at any time", (problem("gilbert"),), EVER, "met", "present"),
    Row(
        "resolved long ago is still recorded", (problem("gilbert", "1999", "2000", clinical="resolved"),), EVER, "met", "present"
    ),
    Row("no record says nothing where absence is open", EVERYTHING, EVER, "unknown", "not-found"),
    Row(
        "refuted", (problem("gilbert", counts=Counts.NEGATIVE, verification="refuted"), *EVERYTHING), EVER, "unknown", "not-found"
    ),
    Row(
        "entered in error",
        (problem("gilbert", counts=Counts.NO, verification="entered-in-error"), *EVERYTHING),
        CLOSED,
        "not-met",
        "absent",
    ),
    Row(
        "unconfirmed",
        (problem("gilbert", counts=Counts.UNCONFIRMED, verification="provisional"),),
        EVER,
        "unknown",
        "unconfirmed",
    ),
    Row(
        "unconfirmed beside a confirmed one",
        (problem("gilbert", counts=Counts.UNCONFIRMED), problem("gilbert", ref="b")),
        EVER,
        "met",
        "present",
    ),
    Row("a modifier that nobody understands", (problem("gilbert", flaws=(Flaw.MODIFIER,)),), EVER, "unknown", "modifier"),
    Row("restricted", (problem("gilbert", flaws=(Flaw.RESTRICTED,)),), EVER, "unknown", "restricted"),
    Row("a category of ICD-10 matches its sub-codes", (problem(ICD + "E80.4"),), EVER, "met", "present"),
]

ABSENT = [
    Row("closed and read to the end", EVERYTHING, CLOSED, "not-met", "absent"),
    Row("nobody vouches for Condition", (), CLOSED, "unknown", "no-record"),
    Row("the server does not serve it", served("Condition", note="not-served"), CLOSED, "unknown", "no-record"),
    Row("a page was lost", served("Condition", note="partial"), CLOSED, "unknown", "incomplete"),
    Row("refused by the server's policy", served("Condition", note="refused (403)"), CLOSED, "unknown", "restricted"),
    Row("another disease, known as such", (problem(ICD + "I10"), *EVERYTHING), CLOSED, "not-met", "absent"),
    Row("a text without a code", (problem("", text="Gilbert?"), *EVERYTHING), CLOSED, "unknown", "unmapped"),
    Row("a local code without a mapping", (problem("http://local.example|77"), *EVERYTHING), CLOSED, "unknown", "unmapped"),
    Row(
        "a code of a system where the set is not complete",
        (problem("http://snomed.info/sct|38341003"), *EVERYTHING),
        CLOSED,
        "unknown",
        "unmapped",
    ),
    Row("a broader code may be meant", (problem("gilbert_unclear"), *EVERYTHING), CLOSED, "unknown", "unmapped"),
    Row(
        "a refused resource that may be one",
        (Refused("Condition/x", "Condition", "NaN"), *EVERYTHING),
        CLOSED,
        "unknown",
        "incomplete",
    ),
    Row(
        "a refused resource whose code nobody maps",
        (Refused("Condition/x", "Condition", "NaN", ("http://local.example|77",)), *EVERYTHING),
        CLOSED,
        "unknown",
        "incomplete",
    ),
    Row(
        "a refused resource of another disease",
        (Refused("Condition/x", "Condition", "NaN", (ICD + "I10",)), *EVERYTHING),
        CLOSED,
        "not-met",
        "absent",
    ),
]

IN_WINDOW = [
    case("active through the window", (lungs("2025-05-10"), *SEEN), "met", "present"),
    case("ended on its first day", (lungs("2025-05-01", "2025-05-16"), *SEEN), "met", "present"),
    case("ended on the day before", (lungs("2025-05-01", "2025-05-15"), *SEEN), "not-met", "absent"),
    case("began on its last day", (lungs("2025-05-30"), *SEEN), "met", "present"),
    case("began on the day after", (lungs("2025-05-31"), *SEEN), "not-met", "absent"),
    case("ended in a month that the window cuts", (lungs("2025-05-01", "2025-05"), *SEEN), "unknown", "imprecise-date"),
    case("began in a month that holds the window's end", (lungs("2025-05", "2025-06-01"), *SEEN), "unknown", "imprecise-date"),
    case("ended at no known time", (lungs("2025-05-01", "?", clinical="resolved"), *SEEN), "unknown", "imprecise-date"),
    case("resolved, with no date of its end", (lungs("2025-05-01", clinical="resolved"), *SEEN), "unknown", "imprecise-date"),
    case("resolved, and begun inside the window", (lungs("2025-05-20", clinical="resolved"), *SEEN), "met", "present"),
    case("no clinical status: open until now", (lungs("2025-05-01", clinical=""), *SEEN), "met", "present"),
    case("no onset, but recorded before the window", (lungs(recorded="2025-05-10"), *SEEN), "met", "present"),
    case("no onset, recorded inside the window", (lungs(recorded="2025-05-20"), *SEEN), "met", "present"),
    case("no onset, recorded after the window", (lungs(recorded="2025-05-31"), *SEEN), "unknown", "imprecise-date"),
    case("no date at all", (lungs(), *SEEN), "unknown", "imprecise-date"),
    case(
        "open, but nobody has looked at it for 90 days",
        (lungs("2025-01-01", recorded="2025-02-10"), *SEEN),
        "unknown",
        "needs-person",
    ),
    case("open, recorded 90 days before the window", (lungs("2025-01-01", recorded="2025-02-15"), *SEEN), "met", "present"),
    case(
        "an end to come is not known to be reached, where the window may begin after today",
        (lungs("2025-05-20", "2025-06-25"), *SEEN),
        "unknown",
        "pending-event",
        events={"leukapheresis": "2025-06"},
    ),
    case("open, begun in a month that may be as long ago", (lungs("2025-02"), *SEEN), "unknown", "needs-person"),
    case(
        "something else, dated in the future",
        (problem("onychomycosis", "2025-07-01"), problem(LOCAL + "X77", "2025-07-01"), *SEEN),
        "not-met",
        "absent",
    ),
    case(
        "an end that lies in the future does not reach beyond now", (lungs("2025-05-20", "2025-07-01"), *SEEN), "met", "present"
    ),
    case("perhaps an infection", (problem(ICD + "N39.0", "2025-05-20"), *SEEN), "unknown", "needs-person"),
    case(
        "perhaps an infection, over before the window",
        (problem(ICD + "N39.0", "2025-04-20", "2025-05-01"), *SEEN),
        "not-met",
        "absent",
    ),
    case("latent tuberculosis is none", (problem("tb_latent_or_history", "2025-05-20"), *SEEN), "not-met", "absent"),
    case("a fungus of the nails is none", (problem("onychomycosis", "2025-05-20"), *SEEN), "not-met", "absent"),
    case("a text without a code, in the window", (problem("", "2025-05-20", text="fever"), *SEEN), "unknown", "unmapped"),
    case(
        "a text without a code, over before the window",
        (problem("", "2025-04-20", "2025-05-01", text="fever"), *SEEN),
        "not-met",
        "absent",
    ),
    case(
        "a doubt that a person settles goes after one of the record",
        (problem(ICD + "N39.0", "2025-05-20"), lungs("2025-05-20", flaws=(Flaw.MODIFIER,)), *SEEN),
        "unknown",
        "modifier",
    ),
    case("no contact in the window", EVERYTHING, "unknown", "no-record"),
    case("contact on another day", (contact("2025-05-15"), *EVERYTHING), "unknown", "no-record"),
    case("a result in the window is contact", (lab("hemoglobin", "100 g/L", "2025-05-20"), *EVERYTHING), "not-met", "absent"),
    case("a drug in the window is contact", (drug("azathioprine", "2025-05-20"), *EVERYTHING), "not-met", "absent"),
    case(
        "a cancelled result is none",
        (lab("hemoglobin", "100 g/L", "2025-05-20", counts=Counts.NO), *EVERYTHING),
        "unknown",
        "no-record",
    ),
    case("another condition in the window is contact", (problem(ICD + "I10", "2025-05-20"), *EVERYTHING), "not-met", "absent"),
    case(
        "the recorded day of one is contact",
        (problem(ICD + "I10", "2020", recorded="2025-05-20"), *EVERYTHING),
        "not-met",
        "absent",
    ),
    case("a month of contact may lie outside", (contact("2025-05"), *EVERYTHING), "unknown", "no-record"),
    case(
        "an earlier contact behind an imprecise one",
        (contact("2025-05-20"), contact("2025-05"), *EVERYTHING),
        "not-met",
        "absent",
    ),
    case("nobody vouches for Condition", (contact("2025-05-20"),), "unknown", "no-record"),
    case("the milestone has no date", SEEN, "unknown", "pending-event", events={}),
    case("days of the window are still to come", SEEN, "unknown", "pending-event", events={"leukapheresis": "2025-06-03"}),
    case(
        "an infection inside them decides already",
        (lungs("2025-05-25"), *SEEN),
        "met",
        "present",
        events={"leukapheresis": "2025-06-03"},
    ),
    case("the window ends today", SEEN, "not-met", "absent", events={"leukapheresis": "2025-06-01"}),
]

HINTS = [
    case(
        "a systemic anti-infective without an infection",
        (drug("systemic_anti_infective", "2025-05-20", "2025-05-25"), *SEEN),
        "unknown",
        "needs-person",
    ),
    case("one that is still being taken", (drug("systemic_anti_infective", "2025-05-01"), *SEEN), "unknown", "needs-person"),
    case("one that ended before", (drug("systemic_anti_infective", "2025-05-01", "2025-05-15"), *SEEN), "not-met", "absent"),
    case("one with no dates at all", (drug("systemic_anti_infective"), *SEEN), "unknown", "needs-person"),
    case(
        "one that was not taken",
        (drug("systemic_anti_infective", "2025-05-20", counts=Counts.NEGATIVE), *SEEN),
        "not-met",
        "absent",
    ),
    case(
        "one that is shown only",
        (drug("systemic_anti_infective", "2025-05-20", counts=Counts.SHOWN, strength=Strength.ORDERED), *SEEN),
        "unknown",
        "needs-person",
    ),
    case("one that begins after", (drug("systemic_anti_infective", "2025-06-20"), *SEEN), "not-met", "absent"),
    case("a positive culture", (lab("culture", "positive", "2025-05-20"), *SEEN), "unknown", "needs-person"),
    case("a negative culture", (lab("culture", "negative", "2025-05-20"), *SEEN), "not-met", "absent"),
    case("a positive culture before the window", (lab("culture", "positive", "2025-05-10"), *SEEN), "not-met", "absent"),
    case(
        "a culture that grew something, in words",
        (lab("culture", Coded(text="E. coli"), "2025-05-20"), *SEEN),
        "unknown",
        "needs-person",
    ),
]

ALWAYS_HINT = "condition: {concepts: [pneumonia], hint-medications: [systemic_anti_infective], hint-results: [culture]}"
ASKED = "condition: {concepts: [lactation], window: {before: 0 d}, stale: 12 mo, ask: true}"
HOURS = "condition: {concepts: [pneumonia], window: {milestone: leukapheresis, before: 48 h}}"
CLOSED_HINT = ALWAYS_HINT.replace("[culture]}", "[culture], absence: closed}")
INFECTION_HINT = CLOSED_HINT.replace("absence", "window: {before: 7 d}, absence")
READ = (EVERYTHING, contact())


def lost(kind: str) -> tuple[Retrieved, ...]:
    """All types were read to the end, but for one."""
    return (*served(*(name for name in TYPES if name != kind)), *served(kind, note="partial"))


def refused(kind: str, *names: str) -> Refused:
    """A resource that could not be read, with the codes of these concepts."""
    return Refused(f"{kind}/x", kind, "broken", tuple(map(code_of, names)))


OTHER = [
    Row("read to the end, and no hint", READ, CLOSED_HINT, "not-met", "absent"),
    Row("a positive culture", (*READ, lab("culture", "positive", "2025-05-20")), CLOSED_HINT, "unknown", "needs-person"),
    Row(
        "a positive culture that is not final is no proof, and is looked at",
        (*READ, lab("culture", "positive", "2025-05-20", **not_final())),
        CLOSED_HINT,
        "unknown",
        "needs-person",
    ),
    Row("a culture without a result", (*READ, lab("culture", None, "2025-05-20")), CLOSED_HINT, "not-met", "absent"),
    Row(
        "a drug that is begun tomorrow",
        (*READ, drug("systemic_anti_infective", "2025-06-02")),
        INFECTION_HINT,
        "not-met",
        "absent",
    ),
    Row("a negative culture", (*READ, lab("culture", "negative", "2025-05-20")), CLOSED_HINT, "not-met", "absent"),
    Row(
        "a culture that is kept back may say anything",
        (*READ, lab("culture", None, "2025-05-20", absent="masked")),
        CLOSED_HINT,
        "unknown",
        "needs-person",
    ),
    Row(
        "a negative culture under a modifier may say something else",
        (*READ, lab("culture", "negative", "2025-05-20", flaws=(Flaw.MODIFIER,))),
        CLOSED_HINT,
        "unknown",
        "needs-person",
    ),
    Row("a broken culture", (*READ, refused("Observation", "culture")), CLOSED_HINT, "unknown", "incomplete"),
    Row("a broken result of another kind", (*READ, refused("Observation", "hemoglobin")), CLOSED_HINT, "not-met", "absent"),
    Row(
        "a broken record of a drug that hints",
        (*READ, refused("MedicationStatement", "systemic_anti_infective")),
        CLOSED_HINT,
        "unknown",
        "incomplete",
    ),
    Row(
        "a broken record of another drug",
        (*READ, refused("MedicationStatement", "azathioprine")),
        CLOSED_HINT,
        "not-met",
        "absent",
    ),
    Row("a page of results was lost", (*READ[1:], *lost("Observation")), CLOSED_HINT, "unknown", "incomplete"),
    Row("a page of drugs was lost", (*READ[1:], *lost("MedicationRequest")), CLOSED_HINT, "unknown", "incomplete"),
    Row("a page of procedures was lost", (*READ[1:], *lost("Procedure")), CLOSED_HINT, "not-met", "absent"),
    Row("hints without a window", (drug("systemic_anti_infective", "2001", "2002"),), ALWAYS_HINT, "unknown", "needs-person"),
    Row(
        "a positive culture without a window", (lab("culture", "positive", "2001-01-01"),), ALWAYS_HINT, "unknown", "needs-person"
    ),
    Row("no hint", (), ALWAYS_HINT, "unknown", "not-found"),
    Row("nothing recorded: a person is asked", EVERYTHING, ASKED, "unknown", "needs-person"),
    Row("lactation now", (problem("lactation", "2025-04-01"),), ASKED, "met", "present"),
    Row("lactation of no known date: it may be forgotten", (problem("lactation", None),), ASKED, "unknown", "needs-person"),
    Row("lactation of long ago that nobody closed", (problem("lactation", "2023-04-01"),), ASKED, "unknown", "needs-person"),
    Row("lactation that ended", (problem("lactation", "2023-04-01", "2024-01-01"),), ASKED, "unknown", "needs-person"),
    Row(
        "a window counted in hours",
        (lungs("2025-05-28T12:00:00Z", "2025-05-29"),),
        HOURS,
        "met",
        "present",
        {"events": {"leukapheresis": "2025-05-30T10:00:00Z"}},
    ),
    Row(
        "before those hours",
        (lungs("2025-05-20", "2025-05-27"),),
        HOURS,
        "unknown",
        "not-found",
        {"events": {"leukapheresis": "2025-05-30T10:00:00Z"}},
    ),
    Row(
        "a window without a beginning",
        (lungs("2001", "2002"),),
        "condition: {concepts: [pneumonia], window: {before: all}}",
        "met",
        "present",
    ),
    Row(
        "a window without an end",
        (lungs("2025-05-20", "2025-05-21"),),
        "condition: {concepts: [pneumonia], window: {milestone: leukapheresis, before: 0 d, after: all}}",
        "met",
        "present",
        {"events": {"leukapheresis": "2025-05-10"}},
    ),
]


@pytest.mark.parametrize("row", [*PRESENT, *ABSENT, *IN_WINDOW, *HINTS, *OTHER], ids=str)
def test_condition(row: Row) -> None:
    check(row)


def test_the_evidence_names_code_status_and_time() -> None:
    evidence = result(EVER, problem("gilbert", "2020-01-01", ref="a", version="3")).evidence[0]
    assert (evidence.reference, evidence.version, evidence.time) == ("Condition/a", "3", "2020-01-01")
    assert evidence.received.endswith("E80.4")
    assert evidence.note == "verificationStatus confirmed, clinicalStatus active"


def test_a_claim_of_absence_names_the_contact_that_carries_it() -> None:
    found = result(INFECTION, *SEEN, **LEUKA)
    assert [e.reference for e in found.evidence] == ["Encounter/2025-05-20"]
    assert found.evidence[0].limit == "none 14 d before leukapheresis"


def test_what_was_looked_at_and_set_aside_is_said() -> None:
    facts = (
        lungs("2025-01-01", "2025-02-01", ref="old"),
        lungs("2025-05-20", ref="refuted", counts=Counts.NEGATIVE, verification="refuted"),
        problem("onychomycosis", "2025-05-20", ref="nail"),
        problem(ICD + "I10", "2025-05-20", ref="other"),
    )
    aside = {s.reference.partition("/")[2]: s.why for s in result(INFECTION, *facts, *SEEN, **LEUKA).set_aside}
    assert aside == {
        "old": "not within 14 d before leukapheresis",
        "refuted": "verificationStatus refuted",
        "nail": "not what is asked for",
    }


def test_an_infection_can_pass_a_disease_cannot() -> None:
    assert result(f"not:\n  {INFECTION.replace(chr(10), chr(10) + '  ')}", lungs("2025-05-20"), *SEEN, **LEUKA).recoverable
    assert not result(f"not: {{{EVER}}}", problem("gilbert")).recoverable


def test_an_unknown_asks_its_question_and_names_codes_and_window() -> None:
    settled = result(INFECTION, **LEUKA).settled_by
    assert settled is not None
    assert (settled.resource, settled.question, settled.window) == (
        "Condition",
        "Was there an infection?",
        "14 d before leukapheresis",
    )
    assert settled.codes


def test_a_hint_is_shown_beside_the_question() -> None:
    found = result(
        INFECTION,
        drug("systemic_anti_infective", "2025-05-20", ref="m"),
        lab("culture", "positive", "2025-05-20", ref="o"),
        *SEEN,
        **LEUKA,
    )
    assert [(e.reference, e.note) for e in found.evidence] == [("MedicationStatement/m", "hint"), ("Observation/o", "hint")]


def test_no_active_infection_of_the_protocol_is_the_opposite() -> None:
    assert said(relma_results(*SEEN, **LEUKA).find("no-active-infection")) == ("met", "absent")
    sick = relma_results(lungs("2025-05-20"), *SEEN, **LEUKA).find("no-active-infection")
    assert said(sick) == ("not-met", "present") and sick.recoverable  # type: ignore[union-attr]
    assert said(relma_results(*SEEN).find("no-active-infection")) == ("unknown", "pending-event")


def test_needs_of_a_closed_window_ask_for_contacts_too() -> None:
    types = {need.type for need in protocol(INFECTION).needs()}
    assert {"Condition", "Encounter", "Observation", "MedicationRequest"} <= types
    assert {need.type for need in protocol(EVER).needs()} == {"Patient", "Condition"}


def test_zones_move_the_days_of_a_window_in_hours() -> None:
    found = result(
        HOURS, lungs("2025-05-28", "2025-05-29"), zone="Europe/Berlin", events={"leukapheresis": "2025-05-30T00:30:00+02:00"}
    )
    assert found.verdict.value == "met"
