"""Events in a window, as procedures or as medications given; orders; windows before the specimens of results."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_elig.record import Counts, Flaw, Refused, Strength
from tests.spec.table import (
    EVERYTHING,
    LOCAL,
    TYPES,
    Row,
    check,
    contact,
    drug,
    event,
    lab,
    protocol,
    relma_results,
    result,
    said,
    served,
)
from tests.spec.words import Page

PAGE = Page(
    "Event",
    """
Was something done, or a drug given, inside a window? An order alone is no proof that it was. That nothing was done is said
only if the records were read to the end and the patient was seen in the window.
""",
    {
        "WINDOW": "Inside the window or not",
        "COUNTING": "Which procedures count",
        "GIVING": "Drugs that were given or ordered",
        "ABSENT": "What may be called absent",
        "WHICH": "A window before the result that a criterion used",
        "SPECIMEN": "A window before the specimens of results",
    },
)

SUPPORT = """event:
  procedures: [transfusion_red_cells, transfusion_platelets, transfusion_whole_blood, transfusion_plasma, transfusion_any]
  medications: [transfusion_product, growth_factor_white, growth_factor_red, growth_factor_platelet]
  window: {before: 7 d}
  absence: closed
  confounds: {}
"""
PROCEDURES = "event: {procedures: [transfusion_any, transfusion_red_cells], window: {before: 7 d}, absence: closed}"
DRUGS = "event: {medications: [growth_factor_white], window: {before: 7 d}, absence: closed}"
OPEN = "event: {procedures: [transfusion_any], window: {before: 7 d}}"
LEUKA = "event: {procedures: [transfusion_any], window: {milestone: leukapheresis, before: 7 d}, absence: closed}"
HOURS = "event: {medications: [growth_factor_white], window: {milestone: leukapheresis, before: 48 h}, absence: closed}"
ANY_HB = "{id: hb, text: t, any-of: [{not: {value: {concepts: [hemoglobin], at-least: 90 g/L}}}, {sex: {is: male}}]}"
AROUND = "event: {procedures: [transfusion_any], of-results: [hb], window: {before: 7 d}, absence: closed}"
SEEN = (contact("2025-05-28"), *EVERYTHING)
RBC, GCSF = "transfusion_red_cells", "growth_factor_white"
GIVEN = {"strength": Strength.ADMINISTERED, "single": True}
ORDERED = {"strength": Strength.ORDERED}


def but(*missing: str) -> tuple[Any, ...]:
    """Contact, and every type read to the end but these."""
    return (contact("2025-05-28"), served(*(name for name in TYPES if name not in missing)))


MEDICATIONS = [name for name in TYPES if name.startswith("Medication")]
WINDOW = [
    Row("in the window", (event(RBC, "2025-05-28"), *SEEN), SUPPORT, "met", "present"),
    Row("day 7 counts", (event(RBC, "2025-05-25"), *SEEN), SUPPORT, "met", "present"),
    Row("day 8 does not", (event(RBC, "2025-05-24"), *SEEN), SUPPORT, "not-met", "absent"),
    Row("today counts", (event(RBC, "2025-06-01"), *SEEN), SUPPORT, "met", "present"),
    Row("tomorrow does not", (event(RBC, "2025-06-02"), *SEEN), SUPPORT, "not-met", "absent"),
    Row("a month that the window cuts", (event(RBC, "2025-05"), *SEEN), SUPPORT, "unknown", "imprecise-date"),
    Row("no date at all", (event(RBC, None), *SEEN), SUPPORT, "unknown", "imprecise-date"),
    Row("without a window any time counts", (event("sterile", "2001"),), "event: {procedures: [sterile]}", "met", "present"),
    Row("a milestone without a date", (event("transfusion_any", "2025-05-28"), *SEEN), LEUKA, "unknown", "pending-event"),
    Row(
        "no result of the other criterion, which could be of any time: its window adds nothing",
        SEEN,
        f"all-of: [{ANY_HB}, {{id: e, text: t, {AROUND}}}]",
        "not-met",
        "absent",
    ),
    Row("days still to come", SEEN, LEUKA, "unknown", "pending-event", {"events": {"leukapheresis": "2025-06-03"}}),
    Row(
        "an event before them decides",
        (event("transfusion_any", "2025-05-28"), *SEEN),
        LEUKA,
        "met",
        "present",
        {"events": {"leukapheresis": "2025-06-03"}},
    ),
    Row("without a window no date is needed", (event("sterile", None),), "event: {procedures: [sterile]}", "met", "present"),
]

COUNTING = [
    Row("not done is no event", (event(RBC, counts=Counts.NEGATIVE, status="not-done"), *SEEN), SUPPORT, "not-met", "absent"),
    Row("entered in error is no event", (event(RBC, counts=Counts.NO), *SEEN), SUPPORT, "not-met", "absent"),
    Row("a status that is not confirmed", (event(RBC, counts=Counts.UNCONFIRMED), *SEEN), SUPPORT, "unknown", "unconfirmed"),
    Row("a modifier", (event(RBC, flaws=(Flaw.MODIFIER,)), *SEEN), SUPPORT, "unknown", "modifier"),
    Row("a procedure that nobody maps", (event(LOCAL + "77"), *SEEN), SUPPORT, "unknown", "unmapped"),
    Row(
        "one that was not done, that nobody maps",
        (event(LOCAL + "77", counts=Counts.NEGATIVE), *SEEN),
        SUPPORT,
        "not-met",
        "absent",
    ),
    Row("a procedure in words", (event("", text="blood"), *SEEN), SUPPORT, "unknown", "unmapped"),
    Row("one outside the window", (event(LOCAL + "77", "2025-01-01"), *SEEN), SUPPORT, "not-met", "absent"),
    Row("a drug that nobody maps", (drug(LOCAL + "78", "2025-05-28", **GIVEN), *SEEN), SUPPORT, "unknown", "unmapped"),
    Row("a drug that was not taken", (drug(GCSF, "2025-05-28", counts=Counts.NEGATIVE), *SEEN), SUPPORT, "not-met", "absent"),
    Row(
        "albumin is no transfusion",
        (drug("http://www.whocc.no/atc|B05AA01", "2025-05-28", **GIVEN), *SEEN),
        SUPPORT,
        "not-met",
        "absent",
    ),
]

GIVING = [
    Row("given in the window", (drug(GCSF, "2025-05-28", **GIVEN), *SEEN), DRUGS, "met", "present"),
    Row(
        "begun in the month of the run, to end later",
        (drug(GCSF, "2025-06", "2025-08"), *SEEN),
        DRUGS,
        "unknown",
        "imprecise-date",
    ),
    Row("given before", (drug(GCSF, "2025-05-20", "2025-05-20", **GIVEN), *SEEN), DRUGS, "not-met", "absent"),
    Row("given after", (drug(GCSF, "2025-06-20", **GIVEN), *SEEN), DRUGS, "not-met", "absent"),
    Row("an order alone shows intent", (drug(GCSF, "2025-05-28", **ORDERED), *SEEN), DRUGS, "unknown", "unconfirmed"),
    Row("an order of before", (drug(GCSF, "2025-05-01", "2025-05-10", **ORDERED), *SEEN), DRUGS, "not-met", "absent"),
    Row("an order of before without an end", (drug(GCSF, "2025-05-01", **ORDERED), *SEEN), DRUGS, "unknown", "unconfirmed"),
    Row("use that is shown only", (drug(GCSF, "2025-05-28", counts=Counts.SHOWN), *SEEN), DRUGS, "unknown", "unconfirmed"),
    Row("use that surely reached into the window", (drug(GCSF, "2025-05-01", "2025-05-26"), *SEEN), DRUGS, "met", "present"),
    Row("use that ended before it", (drug(GCSF, "2025-05-01", "2025-05-20"), *SEEN), DRUGS, "not-met", "absent"),
    Row(
        "use that is vouched for up to a day in the window",
        (drug(GCSF, "2025-05-01", certain_until="2025-05-28"), *SEEN),
        DRUGS,
        "met",
        "present",
    ),
    Row(
        "use that is vouched for up to a day before it",
        (drug(GCSF, "2025-05-01", certain_until="2025-05-20"), *SEEN),
        DRUGS,
        "unknown",
        "imprecise-date",
    ),
    Row(
        "use with an end in a month that the window cuts",
        (drug(GCSF, "2025-05-01", "2025-05"), *SEEN),
        DRUGS,
        "unknown",
        "imprecise-date",
    ),
    Row("use that began no one knows when", (drug(GCSF, None, "2025-05-28"), *SEEN), DRUGS, "unknown", "imprecise-date"),
    Row(
        "use that began in a month, and was told of in it",
        (drug(GCSF, "2025-05", certain_until="2025-05-29"), *SEEN),
        DRUGS,
        "met",
        "present",
    ),
    Row(
        "use that began in the window, whenever its month ended",
        (drug(GCSF, "2025-05-29", "2025-05"), *SEEN),
        DRUGS,
        "met",
        "present",
    ),
    Row(
        "use that began in a month and ended in the window, in hours",
        (drug(GCSF, "2025-05", "2025-05-29T12:00:00Z"), contact("2025-05-29"), *EVERYTHING),
        HOURS,
        "met",
        "present",
        {"events": {"leukapheresis": "2025-05-30T10:00:00Z"}},
    ),
    Row(
        "use that was told of after today, begun no one knows when",
        (drug(GCSF, None, certain_until="2025-06-11"), *SEEN),
        DRUGS.replace("window: {", "window: {milestone: enrollment, "),
        "unknown",
        "pending-event",
        {"events": {"enrollment": "2025-06-10"}},
    ),
    Row("use that will begin", (drug(GCSF, "2025-07-01"), *SEEN), DRUGS, "not-met", "absent"),
    Row(
        "a single dose in a month that the window cuts",
        (drug(GCSF, "2025-05", **GIVEN), *SEEN),
        DRUGS,
        "unknown",
        "imprecise-date",
    ),
    Row(
        "use that lasted into hours",
        (drug(GCSF, "2025-05-01", "2025-05-29"), contact("2025-05-29"), *EVERYTHING),
        HOURS,
        "met",
        "present",
        {"events": {"leukapheresis": "2025-05-30T10:00:00Z"}},
    ),
    Row(
        "use that covers the window wherever a month puts it",
        (drug(GCSF, "2025-04-28", "2025-05-30"), *SEEN),
        "event: {medications: [growth_factor_white], window: {milestone: leukapheresis, before: 7 d}}",
        "met",
        "present",
        {"events": {"leukapheresis": "2025-05"}},
    ),
    Row(
        "a window without a beginning",
        (drug("rituximab", "2001-01-01", "2002-01-01"),),
        "event: {medications: [rituximab]}",
        "met",
        "present",
    ),
]

ABSENT = [
    Row("none, read to the end, with contact", SEEN, SUPPORT, "not-met", "absent"),
    Row("no contact in the window", EVERYTHING, SUPPORT, "unknown", "no-record"),
    Row("Procedure not read to the end", but("Procedure"), SUPPORT, "unknown", "no-record"),
    Row("one medication type is enough", but(*MEDICATIONS[1:]), SUPPORT, "not-met", "absent"),
    Row("no medication type", but(*MEDICATIONS), SUPPORT, "unknown", "no-record"),
    Row("procedures alone need no medication type", but(*MEDICATIONS), PROCEDURES, "not-met", "absent"),
    Row("medications alone need no Procedure", but("Procedure"), DRUGS, "not-met", "absent"),
    Row("a lost page", (*SEEN[:1], served("Procedure", note="partial")), SUPPORT, "unknown", "incomplete"),
    Row("a refused type", (*SEEN[:1], served("Procedure", note="refused (403)")), SUPPORT, "unknown", "restricted"),
    Row(
        "without a window no contact is asked for",
        EVERYTHING,
        "event: {procedures: [sterile], absence: closed}",
        "not-met",
        "absent",
    ),
    Row("a refused procedure", (Refused("Procedure/x", "Procedure", "NaN"), *SEEN), SUPPORT, "unknown", "incomplete"),
    Row("where absence is open", SEEN, OPEN, "unknown", "not-found"),
]


@pytest.mark.parametrize("row", [*WINDOW, *COUNTING, *GIVING, *ABSENT], ids=str)
def test_event(row: Row) -> None:
    check(row)


COUNTS = tuple(
    lab(name, sent, "2025-05-20")
    for name, sent in (("anc", "2 K/uL"), ("alc", "1 K/uL"), ("hemoglobin", "120 g/L"), ("platelets", "200 K/uL"))
)
COUNT = "{id: hb, text: t, value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 90 d}}}"
BEFORE = "{not: {event: {procedures: [transfusion_red_cells], of-results: [hb], window: {before: 7 d}, absence: closed}}}"
USED = f"all-of: [{COUNT}, {BEFORE}]"
EVER = USED.replace(", window: {before: 90 d}", "")
MAY_20, NO_DATE = lab("hemoglobin", "100 g/L", "2025-05-20"), lab("hemoglobin", "101 g/L", None, ref="u")
WHICH = [
    Row("before the result that was used", (MAY_20, event(RBC, "2025-05-15"), *SEEN), USED, "not-met", "present"),
    Row("between that and the week before screening", (MAY_20, event(RBC, "2025-05-22"), *SEEN), USED, "met", "in-range"),
    Row(
        "before one that may not be the latest",
        (MAY_20, NO_DATE, event(RBC, "2025-05-15"), *SEEN),
        USED,
        "unknown",
        "imprecise-date",
    ),
    Row(
        "after one, and perhaps before the latest",
        (MAY_20, NO_DATE, event(RBC, "2025-05-22"), *SEEN),
        USED,
        "unknown",
        "imprecise-date",
    ),
    Row(
        "before each that may be the latest",
        (MAY_20, lab("hemoglobin", "99 g/L", "2025-05-20", ref="v"), event(RBC, "2025-05-15"), *SEEN),
        USED,
        "not-met",
        "present",
    ),
    Row("no event at all, whichever is the latest", (MAY_20, NO_DATE, *SEEN), USED, "met", "in-range"),
    Row("a result of no known date", (NO_DATE, event(RBC, "2025-05-15"), *SEEN), EVER, "unknown", "imprecise-date"),
    Row("a result of no known date, and no event", (NO_DATE, *SEEN), EVER, "met", "in-range"),
]


@pytest.mark.parametrize("row", WHICH, ids=str)
def test_a_window_before_the_result_that_was_used(row: Row) -> None:
    check(row)


SPECIMEN = [
    Row("no event: met by both readings", (*COUNTS, *SEEN), "no-recent-support", "met", "absent"),
    Row(
        "within 7 days of the assessment: not met by both",
        (*COUNTS, event(RBC, "2025-05-28"), *SEEN),
        "no-recent-support",
        "not-met",
        "present",
    ),
    Row(
        "before the specimen only: the readings differ",
        (*COUNTS, event(RBC, "2025-05-15"), *SEEN),
        "no-recent-support",
        "unknown",
        "ambiguous-protocol",
    ),
    Row(
        "day 7 before the specimen",
        (*COUNTS, event(RBC, "2025-05-13"), *SEEN),
        "no-recent-support",
        "unknown",
        "ambiguous-protocol",
    ),
    Row("day 8 before the specimen", (*COUNTS, event(RBC, "2025-05-12"), *SEEN), "no-recent-support", "met", "absent"),
    Row("after the specimen, before the week", (*COUNTS, event(RBC, "2025-05-22"), *SEEN), "no-recent-support", "met", "absent"),
    Row(
        "an order before the specimen only",
        (*COUNTS, drug(GCSF, "2025-05-15", "2025-05-16", **ORDERED), *SEEN),
        "no-recent-support",
        "unknown",
        "unconfirmed",
    ),
    Row(
        "an event before a count that is not there yet",
        (event(RBC, "2025-05-15"), *SEEN),
        "no-recent-support",
        "unknown",
        "not-found",
    ),
    Row("no event, no counts", SEEN, "no-recent-support", "met", "absent"),
]


@pytest.mark.parametrize("row", SPECIMEN, ids=str)
def test_no_recent_support_of_the_protocol(row: Row) -> None:
    assert said(relma_results(*row.facts).find(row.criterion)) == (row.verdict, row.reason)


def test_an_event_before_a_specimen_is_met_by_the_literal_reading() -> None:
    facts = (*COUNTS, event(RBC, "2025-05-15"), *SEEN)
    readings = [
        relma_results(*facts, decisions={"no-recent-support": name}).find("no-recent-support")
        for name in ("assessment", "specimen")
    ]
    assert [said(found) for found in readings] == [("met", "absent"), ("not-met", "present")]


def test_the_event_can_be_outwaited_from_the_eighth_day_after_it() -> None:
    found = relma_results(*COUNTS, event(RBC, "2025-05-28"), *SEEN).find("no-recent-support")
    assert found is not None
    assert (found.recoverable, found.recoverable_from) == (True, "2025-06-05")


@pytest.mark.parametrize(
    ("fact", "distorted"),
    [
        (event(RBC), "hemoglobin"),
        (event("transfusion_platelets"), "platelets"),
        (event("transfusion_plasma"), "inr, pt"),
        (drug(GCSF, "2025-05-28", **GIVEN), "alc, anc"),
        (drug("growth_factor_red", "2025-05-28", **GIVEN), "hemoglobin"),
    ],
)
def test_the_results_that_the_event_distorts_are_named(fact: Any, distorted: str) -> None:
    found = relma_results(*COUNTS, fact, *SEEN).find("no-recent-support")
    assert f"confounds {distorted}" in found.notes  # type: ignore[union-attr]


def test_what_was_not_done_is_set_aside_with_its_status() -> None:
    found = result(SUPPORT, event(RBC, counts=Counts.NEGATIVE, status="not-done", ref="n"), *SEEN)
    assert [(s.reference, s.why) for s in found.set_aside] == [("Procedure/n", "status not-done")]


def test_the_evidence_shows_what_was_given_and_how_strong_the_record_is() -> None:
    evidence = result(DRUGS, drug(GCSF, "2025-05-28", text="filgrastim", **GIVEN), *SEEN).evidence[0]
    assert (evidence.received, evidence.time, evidence.note) == ("filgrastim", "2025-05-28", "status active; administered")
    procedure = result(SUPPORT, event(RBC), *SEEN).evidence[0]
    assert (procedure.received, procedure.note) == (event(RBC).codes[0], "status completed")


def test_a_sterilising_operation_of_any_date_counts() -> None:
    assert said(result("event: {procedures: [transfusion_any]}", event("transfusion_any", "1990"))) == ("met", "present")


def test_needs() -> None:
    assert {need.type for need in protocol(SUPPORT).needs()} == {"Patient", "Procedure", "Encounter", *MEDICATIONS}
    assert {need.type for need in protocol(OPEN).needs()} == {"Patient", "Procedure"}
    drugs_only = protocol("event: {medications: [growth_factor_white]}")
    assert {need.type for need in drugs_only.needs()} == {"Patient", *MEDICATIONS}


def test_a_window_in_hours_says_no_day_of_clearance() -> None:
    found = result(
        f"not:\n  {HOURS}", drug(GCSF, "2025-05-29T12:00:00Z", **GIVEN), *SEEN, events={"leukapheresis": "2025-05-30T10:00:00Z"}
    )
    assert (found.verdict.value, found.recoverable_from) == ("not-met", "")
