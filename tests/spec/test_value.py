"""A value against limits: units, comparators, intervals, picks, windows, imprecise dates, what counts and what does not."""

from __future__ import annotations

import msgspec
import pytest

from fhir_elig.quantity import Quantity
from fhir_elig.record import Coded, Counts, Flag, Flaw, Odd, Refused
from tests.spec.table import Row, check, concepts, lab, not_final, result, said, served, when
from tests.spec.words import Page

PAGE = Page(
    "Values against limits",
    """
A result is held against a limit after its unit was converted exactly. A value on an inclusive limit is met. A result
without a unit, of an implausible size, not final, or of a date that may lie outside the window does not decide.
""",
    {
        "LIMITS": "Limits and units",
        "COMPARATORS": "Values that are spans",
        "WINDOWS": "Windows and dates",
        "PICKS": "Which result counts",
        "COUNTING": "What counts and what does not",
        "DIFFERENTIAL": "Counts from the differential",
        "BY_VALUE": "The lowest, the highest, the nearest",
    },
)

HB = "value: {concepts: [hemoglobin, hemoglobin_molar], at-least: 90 g/L, window: {before: 28 d}}"
PLT = "value: {concepts: [platelets], at-least: 75 10*9/L, window: {before: 28 d}}"
INR = "value: {concepts: [inr], at-most: '1.5', window: {before: 28 d}}"
LVEF = "value: {concepts: [lvef], at-least: 55 %, window: {before: 90 d}}"
STRICT = "value: {concepts: [hemoglobin], more-than: 90 g/L, less-than: 100 g/L, window: {before: 28 d}}"
ANC = "value: {concepts: [anc], or-derive: {formula: anc-from-differential}, at-least: 1000 /uL, window: {before: 28 d}}"
ANC_EVER = "value: {derive: {formula: anc-from-differential}, at-least: 1000 /uL, window: {before: all}}"
ALC = "value: {concepts: [alc], or-derive: {formula: alc-from-differential}, at-least: 100 /uL, window: {before: 28 d}}"
OPEN_END = "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {milestone: enrollment, before: 0 d, after: all}}"
NEAR = (
    "value: {concepts: [hemoglobin], at-least: 90 g/L, pick: nearest, window: {milestone: enrollment, before: 28 d, after: 28 d}}"
)
MAY_1 = {"events": {"enrollment": "2025-05-01"}}
MET = ("met", "in-range")
ALT = "value: {concepts: [alt], at-most: 100 U/L, window: {before: 28 d}}"
LD = "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {milestone: lymphodepletion, before: 48 h}}"


def hb(sent: str, on: str | None = "2025-05-28", **more: object) -> object:
    return lab("hemoglobin", sent, on, **more)


def picked(pick: str) -> str:
    return HB[:-1] + f", pick: {pick}}}"


LIMITS = [
    Row("a value on an inclusive limit is met", (hb("90 g/L"),), HB, "met", "in-range"),
    Row("just below it is not", (hb("89.99 g/L"),), HB, "not-met", "out-of-range"),
    Row("in another unit, on the limit", (hb("9.0 g/dL"),), HB, "met", "in-range"),
    Row("in another unit, below", (hb("8.99 g/dL"),), HB, "not-met", "out-of-range"),
    Row("molar, by the analyte's own mass", (lab("hemoglobin_molar", "5.59 mmol/L"),), HB, "met", "in-range"),
    Row("molar, below", (lab("hemoglobin_molar", "5.58 mmol/L"),), HB, "not-met", "out-of-range"),
    Row("a strict lower limit", (hb("90 g/L"),), STRICT, "not-met", "out-of-range"),
    Row("between strict limits", (hb("90.01 g/L"),), STRICT, "met", "in-range"),
    Row("a strict upper limit", (hb("100 g/L"),), STRICT, "not-met", "out-of-range"),
    Row("a count that is mislabelled in its unit is not believed", (lab("platelets", "1.5 /uL"),), PLT, "unknown", "implausible"),
    Row("no unit", (hb("10.2"),), HB, "unknown", "no-unit"),
    Row("no unit where the quantity has none", (lab("inr", "1.5"),), INR, "met", "in-range"),
    Row("a unit that nobody understands", (hb("10.2 furlong"),), HB, "unknown", "unit-unknown"),
    Row("a unit of another quantity", (lab("inr", "1.2 %"),), INR, "unknown", "unit-unknown"),
    Row(
        "code and text of the unit contradict each other",
        (lab("hemoglobin", Quantity(100, unit="g/dL", code="g/L", system="http://unitsofmeasure.org")),),
        HB,
        "unknown",
        "unit-conflict",
    ),
    Row("out of what is plausible", (hb("9 g/L"),), HB, "unknown", "implausible"),
    Row("a number as text is read", (lab("hemoglobin", Coded(text="10.2 g/dL")),), HB, "met", "in-range"),
    Row("words are no number", (hb("normal"),), HB, "unknown", "not-numeric"),
    Row("a coded answer without text", (lab("hemoglobin", Coded(codes=("x|y",))),), HB, "unknown", "not-numeric"),
    Row("a boolean", (lab("hemoglobin", Flag(True)),), HB, "unknown", "not-numeric"),
    Row("a date", (lab("hemoglobin", "2025-05-01"),), HB, "unknown", "not-numeric"),
    Row("a ratio", (lab("hemoglobin", Odd("Ratio")),), HB, "unknown", "not-numeric"),
    Row("a quantity without a number", (lab("hemoglobin", Quantity(None, unit="g/L")),), HB, "unknown", "not-numeric"),
]

COMPARATORS = [
    Row("< on the limit is below it", (hb("<90 g/L"),), HB, "not-met", "out-of-range"),
    Row("<= on the limit may be on it", (hb("<=90 g/L"),), HB, "unknown", "comparator"),
    Row("< above the limit may be either", (hb("<100 g/L"),), HB, "unknown", "comparator"),
    Row(">= on the limit", (hb(">=90 g/L"),), HB, "met", "in-range"),
    Row("> below the limit", (hb(">80 g/L"),), HB, "unknown", "comparator"),
    Row("> on a strict limit", (hb(">90 g/L"),), "value: {concepts: [hemoglobin], more-than: 90 g/L}", "met", "in-range"),
    Row("a comparator that FHIR does not know", (lab("hemoglobin", Quantity(100, "ad", "g/L")),), HB, "unknown", "comparator"),
    Row("a range on both sides of the limit", (lab("lvef", "50-55 %"),), LVEF, "unknown", "comparator"),
    Row("a range from the limit on", (lab("lvef", "55-60 %"),), LVEF, "met", "in-range"),
    Row("a range below the limit", (lab("lvef", "45-50 %"),), LVEF, "not-met", "out-of-range"),
    Row("a share as a number of 1", (lab("lvef", "0.55 1"),), LVEF, "met", "in-range"),
    Row("words for a fraction", (lab("lvef", "preserved"),), LVEF, "unknown", "not-numeric"),
    Row("a fraction without a unit", (lab("lvef", "60"),), LVEF, "unknown", "no-unit"),
]

WINDOWS = [
    Row("28 days before is inside", (hb("100 g/L", "2025-05-04"),), HB, "met", "in-range"),
    Row("29 days before is too old", (hb("100 g/L", "2025-05-03"),), HB, "unknown", "too-old"),
    Row("the day itself is inside", (hb("100 g/L", "2025-06-01"),), HB, "met", "in-range"),
    Row("the day after does not count", (hb("80 g/L", "2025-06-02"), hb("100 g/L")), HB, "met", "in-range"),
    Row("only a future result", (hb("100 g/L", "2025-06-02"),), HB, "unknown", "not-found"),
    Row("nothing at all", (), HB, "unknown", "not-found"),
    Row("a month that the window cuts", (hb("100 g/L", "2025-05"),), HB, "unknown", "imprecise-date"),
    Row(
        "a month that the window cuts, with one that is sure and agrees",
        (hb("100 g/L", "2025-05"), hb("95 g/L", "2025-05-10")),
        HB,
        "met",
        "in-range",
    ),
    Row(
        "a month that may hold a later, other result",
        (hb("80 g/L", "2025-05"), hb("95 g/L", "2025-05-10")),
        HB,
        "unknown",
        "imprecise-date",
    ),
    Row("a month that lies before what is sure", (hb("80 g/L", "2025-04"), hb("95 g/L", "2025-05-10")), HB, "met", "in-range"),
    Row("no date at all", (hb("100 g/L", None),), HB, "unknown", "imprecise-date"),
    Row("no date, where it could matter", (hb("80 g/L", None), hb("100 g/L")), HB, "unknown", "imprecise-date"),
    Row("no date, where it cannot matter", (hb("95 g/L", None), hb("100 g/L")), HB, "met", "in-range"),
    Row(
        "without a window all of the past counts",
        (hb("100 g/L", "1999"),),
        "value: {concepts: [hemoglobin], at-least: 90 g/L}",
        "met",
        "in-range",
    ),
    Row(
        "months are those of the calendar",
        (hb("100 g/L", "2025-02-28"),),
        "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 6 mo}}",
        "met",
        "in-range",
        {"as_of": "2025-08-31"},
    ),
    Row(
        "the day before them is too old",
        (hb("100 g/L", "2025-02-27"),),
        "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 6 mo}}",
        "unknown",
        "too-old",
        {"as_of": "2025-08-31"},
    ),
    Row(
        "a window after its milestone",
        (hb("100 g/L", "2025-05-20"),),
        "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {milestone: enrollment, before: 0 d, after: 7 d}}",
        "met",
        "in-range",
        {"events": {"enrollment": "2025-05-13"}},
    ),
    Row(
        "a day after that window",
        (hb("100 g/L", "2025-05-21"),),
        "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {milestone: enrollment, before: 0 d, after: 7 d}}",
        "unknown",
        "not-found",
        {"events": {"enrollment": "2025-05-13"}},
    ),
    Row(
        "a window without an end stays open for what would satisfy it",
        (hb("100 g/L", "2025-05-21"),),
        OPEN_END,
        "unknown",
        "pending-event",
        {"events": {"enrollment": "2025-05-13"}},
    ),
    Row(
        "what contradicts it inside a window that is still open decides",
        (hb("80 g/L", "2025-05-21"),),
        OPEN_END,
        "not-met",
        "out-of-range",
        {"events": {"enrollment": "2025-05-13"}},
    ),
    Row(
        "what would satisfy it waits while days of the window are still to come",
        (hb("100 g/L", "2025-06-01T06:00:00Z"),),
        LD,
        "unknown",
        "pending-event",
        {"events": {"lymphodepletion": "2025-06-02T10:00:00Z"}},
    ),
    Row("a milestone without a date", (hb("100 g/L"),), LD, "unknown", "pending-event"),
    Row(
        "a window that is still open may bring the result",
        (),
        LD,
        "unknown",
        "pending-event",
        {"events": {"lymphodepletion": "2025-06-03"}},
    ),
    Row(
        "a window that is over brings none",
        (),
        LD,
        "unknown",
        "not-found",
        {"events": {"lymphodepletion": "2025-05-30T10:00:00Z"}},
    ),
    Row(
        "counted in hours, inside",
        (hb("100 g/L", "2025-05-28T10:00:01Z"),),
        LD,
        "met",
        "in-range",
        {"events": {"lymphodepletion": "2025-05-30T10:00:00Z"}},
    ),
    Row(
        "counted in hours, before",
        (hb("100 g/L", "2025-05-28T09:59:58Z"),),
        LD,
        "unknown",
        "too-old",
        {"events": {"lymphodepletion": "2025-05-30T10:00:00Z"}},
    ),
    Row(
        "a day against hours that cut it",
        (hb("100 g/L", "2025-05-28"),),
        LD,
        "unknown",
        "imprecise-date",
        {"events": {"lymphodepletion": "2025-05-30T10:00:00Z"}},
    ),
    Row(
        "a milestone of a day: surely inside from the day before",
        (hb("100 g/L", "2025-06-09T00:00:00Z"),),
        LD,
        "met",
        "in-range",
        {"events": {"lymphodepletion": "2025-06-10"}, "as_of": "2025-06-20"},
    ),
    Row(
        "a milestone of a day: two days before is possible only",
        (hb("100 g/L", "2025-06-08T23:59:58Z"),),
        LD,
        "unknown",
        "imprecise-date",
        {"events": {"lymphodepletion": "2025-06-10"}, "as_of": "2025-06-20"},
    ),
    Row(
        "a milestone of a day: on it is possible only",
        (hb("100 g/L", "2025-06-10T08:00:00Z"),),
        LD,
        "unknown",
        "imprecise-date",
        {"events": {"lymphodepletion": "2025-06-10"}, "as_of": "2025-06-20"},
    ),
    Row(
        "a milestone of a day: three days before is out",
        (hb("100 g/L", "2025-06-07T23:59:58Z"),),
        LD,
        "unknown",
        "too-old",
        {"events": {"lymphodepletion": "2025-06-10"}, "as_of": "2025-06-20"},
    ),
    Row(
        "a stand-in gives the window",
        (hb("100 g/L"),),
        "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {milestone: baseline, before: 28 d}}",
        "met",
        "in-range",
    ),
]

PICKS = [
    Row("the latest one", (hb("80 g/L", "2025-05-27"), hb("100 g/L", "2025-05-28")), HB, "met", "in-range"),
    Row(
        "the latest one, unreadable, is not skipped for an older one",
        (hb("100", "2025-05-28"), hb("100 g/L", "2025-05-27")),
        HB,
        "unknown",
        "no-unit",
    ),
    Row("two of one instant that agree", (hb("100 g/L"), hb("110 g/L")), HB, "met", "in-range"),
    Row("two of one instant that disagree", (hb("100 g/L"), hb("80 g/L")), HB, "unknown", "conflicting"),
    Row(
        "a day that may hold the later one",
        (hb("100 g/L", "2025-05-28T08:00:00Z"), hb("80 g/L", "2025-05-28")),
        HB,
        "unknown",
        "imprecise-date",
    ),
    Row(
        "the earliest one",
        (hb("80 g/L", "2025-05-27"), hb("100 g/L", "2025-05-28")),
        picked("earliest"),
        "not-met",
        "out-of-range",
    ),
    Row("any of them", (hb("80 g/L", "2025-05-27"), hb("100 g/L", "2025-05-26")), picked("any"), "met", "in-range"),
    Row("none of them", (hb("80 g/L", "2025-05-27"), hb("70 g/L", "2025-05-26")), picked("any"), "not-met", "out-of-range"),
    Row(
        "any, with an unreadable one", (hb("80 g/L", "2025-05-27"), hb("100", "2025-05-26")), picked("any"), "unknown", "no-unit"
    ),
    Row("all of them", (hb("95 g/L", "2025-05-27"), hb("100 g/L", "2025-05-26")), picked("all"), "met", "in-range"),
    Row("not all of them", (hb("80 g/L", "2025-05-27"), hb("100 g/L", "2025-05-26")), picked("all"), "not-met", "out-of-range"),
    Row(
        "all, one perhaps outside the window",
        (hb("80 g/L", "2025-05"), hb("100 g/L", "2025-05-26")),
        picked("all"),
        "unknown",
        "imprecise-date",
    ),
    Row(
        "any, one perhaps outside the window",
        (hb("100 g/L", "2025-05"), hb("80 g/L", "2025-05-26")),
        picked("any"),
        "unknown",
        "imprecise-date",
    ),
]

PICKS += [
    Row(
        "any: one that may lie outside the window and would not decide changes nothing",
        (hb("80 g/L", "2025-05"), hb("70 g/L", "2025-05-26")),
        picked("any"),
        "not-met",
        "out-of-range",
    ),
    Row(
        "all: one that may lie outside the window and would not decide changes nothing",
        (hb("100 g/L", "2025-05"), hb("95 g/L", "2025-05-26")),
        picked("all"),
        "met",
        "in-range",
    ),
    Row("any: one alone that may lie outside", (hb("80 g/L", "2025-05"),), picked("any"), "unknown", "imprecise-date"),
    Row(
        "any of them, in a window with days to come, may still be found",
        (hb("80 g/L", "2025-05-30"),),
        "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 7 d, after: 2 d}, pick: any}",
        "unknown",
        "pending-event",
    ),
    Row(
        "any of them that was found stays, whatever days are to come",
        (hb("100 g/L", "2025-05-30"),),
        "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 7 d, after: 2 d}, pick: any}",
        "met",
        "in-range",
    ),
]

COUNTING = [
    Row("a preliminary result does not count", (hb("100 g/L", **not_final()),), HB, "unknown", "not-final"),
    Row(
        "a preliminary result is passed over for a final one",
        (hb("80 g/L", **not_final()), hb("100 g/L", "2025-05-20")),
        HB,
        "met",
        "in-range",
    ),
    Row(
        "entered in error",
        (hb("80 g/L", counts=Counts.NO, status="entered-in-error"), hb("100 g/L", "2025-05-20")),
        HB,
        "met",
        "in-range",
    ),
    Row(
        "only one that was entered in error",
        (hb("80 g/L", counts=Counts.NO, status="entered-in-error"),),
        HB,
        "unknown",
        "not-found",
    ),
    Row(
        "a code that is not verified is set aside", (lab("http://loinc.org|no-such-code", "80 g/L"),), HB, "unknown", "not-found"
    ),
    Row("a modifier that nobody understands", (hb("100 g/L", flaws=(Flaw.MODIFIER,)),), HB, "unknown", "modifier"),
    Row("a label that the site does not allow", (hb("100 g/L", flaws=(Flaw.RESTRICTED,)),), HB, "unknown", "restricted"),
    Row("a resource that is not whole", (hb("100 g/L", flaws=(Flaw.SUBSETTED,)),), HB, "unknown", "incomplete"),
    Row("a resource of nobody", (hb("100 g/L", flaws=(Flaw.IDENTITY,)),), HB, "unknown", "identity"),
    Row(
        "one version with two bodies that agree",
        (hb("100 g/L", flaws=(Flaw.CONFLICT,)), hb("95 g/L", flaws=(Flaw.CONFLICT,))),
        HB,
        "met",
        "in-range",
    ),
    Row("masked", (lab("hemoglobin", None, absent="masked"),), HB, "unknown", "restricted"),
    Row(
        "masked, later than one that is seen",
        (lab("hemoglobin", None, absent="masked"), hb("100 g/L", "2025-05-20")),
        HB,
        "unknown",
        "restricted",
    ),
    Row("no value, for another reason", (lab("hemoglobin", None, absent="error"),), HB, "unknown", "not-found"),
    Row(
        "no value, beside one that has one",
        (lab("hemoglobin", None, absent="error"), hb("100 g/L", "2025-05-20")),
        HB,
        "met",
        "in-range",
    ),
    Row("a code of two analytes at once", (hb("100 g/L", codes=("http://loinc.org|1742-6",)),), HB, "unknown", "conflicting"),
    Row(
        "an observation search that lost a page",
        (hb("100 g/L"), served("Observation", note="partial: page 2 lost")),
        HB,
        "unknown",
        "incomplete",
    ),
    Row(
        "an observation search with withheld data",
        (hb("100 g/L"), served("Observation", note="withheld")),
        HB,
        "unknown",
        "incomplete",
    ),
    Row("an observation search that was refused", (served("Observation", note="refused (403)"),), HB, "unknown", "restricted"),
    Row(
        "a type that the server does not offer: nothing was found",
        (served("Observation", note="not-served"),),
        HB,
        "unknown",
        "not-found",
    ),
    Row(
        "a refused resource that may be one",
        (hb("100 g/L"), Refused("Observation/x", "Observation", "NaN")),
        HB,
        "unknown",
        "incomplete",
    ),
    Row(
        "a refused resource with this code",
        (hb("100 g/L"), Refused("Observation/x", "Observation", "NaN", ("http://loinc.org|718-7",))),
        HB,
        "unknown",
        "incomplete",
    ),
    Row(
        "a refused resource with another code",
        (hb("100 g/L"), Refused("Observation/x", "Observation", "NaN", ("http://loinc.org|1742-6",))),
        HB,
        "met",
        "in-range",
    ),
    Row("a refused resource of another type", (hb("100 g/L"), Refused("Condition/x", "Condition", "NaN")), HB, "met", "in-range"),
    Row("a refused resource of no known type", (hb("100 g/L"), Refused("", "", "NaN")), HB, "unknown", "incomplete"),
]

DIFFERENTIAL = [
    Row(
        "leukocytes times neutrophils", (lab("leukocytes", "2.0 K/uL"), lab("neutrophils_percent", "50 %")), ANC, "met", "derived"
    ),
    Row("just below", (lab("leukocytes", "2.0 K/uL"), lab("neutrophils_percent", "49.9 %")), ANC, "not-met", "derived"),
    Row(
        "segments and bands",
        (lab("leukocytes", "2.0 K/uL"), lab("neutrophils_segmented_percent", "40 %"), lab("bands_percent", "10 %")),
        ANC,
        "met",
        "derived",
    ),
    Row(
        "segments alone are not enough",
        (lab("leukocytes", "2.0 K/uL"), lab("neutrophils_segmented_percent", "40 %")),
        ANC,
        "unknown",
        "not-found",
    ),
    Row(
        "a count goes before the differential",
        (lab("anc", "0.9 K/uL", "2025-05-20"), lab("leukocytes", "5 K/uL"), lab("neutrophils_percent", "90 %")),
        ANC,
        "not-met",
        "out-of-range",
    ),
    Row(
        "another time is another specimen",
        (lab("leukocytes", "2.0 K/uL"), lab("neutrophils_percent", "50 %", "2025-05-27")),
        ANC,
        "unknown",
        "not-found",
    ),
    Row(
        "another specimen",
        (lab("leukocytes", "2.0 K/uL", specimen="a"), lab("neutrophils_percent", "50 %", specimen="b")),
        ANC,
        "unknown",
        "not-found",
    ),
    Row(
        "without a time both may be of any day",
        (lab("leukocytes", "2.0 K/uL", None), lab("neutrophils_percent", "50 %", None)),
        ANC,
        "unknown",
        "imprecise-date",
    ),
    Row(
        "without a time two of one specimen may be of two times",
        (
            lab("leukocytes", "4.0 K/uL", None, specimen="Specimen/1"),
            lab("neutrophils_percent", "50 %", None, specimen="Specimen/1"),
        ),
        ANC_EVER,
        "unknown",
        "imprecise-date",
    ),
    Row(
        "two without a time may be later than two of one day",
        (
            lab("leukocytes", "4.0 K/uL"),
            lab("neutrophils_percent", "50 %"),
            lab("leukocytes", "1.0 K/uL", None),
            lab("neutrophils_percent", "40 %", None),
        ),
        ANC,
        "unknown",
        "imprecise-date",
    ),
    Row(
        "two without a time that say the same",
        (
            lab("leukocytes", "4.0 K/uL"),
            lab("neutrophils_percent", "50 %"),
            lab("leukocytes", "3.0 K/uL", None),
            lab("neutrophils_percent", "40 %", None),
        ),
        ANC,
        "met",
        "derived",
    ),
    Row(
        "a percentage without a unit",
        (lab("leukocytes", "2.0 K/uL"), lab("neutrophils_percent", "50")),
        ANC,
        "unknown",
        "no-unit",
    ),
    Row("leukocytes without a unit", (lab("leukocytes", "2.0"), lab("neutrophils_percent", "50 %")), ANC, "unknown", "no-unit"),
    Row(
        "a preliminary percentage",
        (lab("leukocytes", "2.0 K/uL"), lab("neutrophils_percent", "50 %", **not_final())),
        ANC,
        "unknown",
        "not-found",
    ),
    Row(
        "a percentage without a value",
        (lab("leukocytes", "2.0 K/uL"), lab("neutrophils_percent", None, absent="error")),
        ANC,
        "unknown",
        "not-found",
    ),
    Row(
        "a bound gives an interval", (lab("leukocytes", "2.0 K/uL"), lab("neutrophils_percent", ">=50 %")), ANC, "met", "derived"
    ),
    Row(
        "a bound on both sides",
        (lab("leukocytes", "2.0 K/uL"), lab("neutrophils_percent", "<60 %")),
        ANC,
        "unknown",
        "comparator",
    ),
    Row("lymphocytes", (lab("leukocytes", "1.0 K/uL"), lab("lymphocytes_percent", "10 %")), ALC, "met", "derived"),
    Row(
        "lymphocytes, just below", (lab("leukocytes", "1.0 K/uL"), lab("lymphocytes_percent", "9.9 %")), ALC, "not-met", "derived"
    ),
]


@pytest.mark.parametrize("row", [*LIMITS, *COMPARATORS, *WINDOWS, *PICKS, *COUNTING, *DIFFERENTIAL], ids=str)
def test_value(row: Row) -> None:
    check(row)


def test_segments_without_bands_are_no_count_of_neutrophils() -> None:
    assert said(result(ANC, lab("anc_segmented_only", "5 K/uL"))) == ("unknown", "not-found")


LOOKALIKES = [("platelets", PLT, "platelets_in_plasma"), ("hemoglobin", HB, "not_hemoglobin"), ("anc", ANC, "not_anc")]


@pytest.mark.parametrize(("name", "criterion", "other"), LOOKALIKES)
def test_what_only_sounds_alike_never_counts(name: str, criterion: str, other: str) -> None:
    sent = {"platelets": "200 K/uL", "hemoglobin": "140 g/L", "anc": "5 K/uL"}[name]
    assert said(result(criterion, lab(name, sent)))[0] == "met"
    assert said(result(criterion, lab(other, sent))) == ("unknown", "not-found")


def test_the_evidence_shows_the_value_as_sent_and_as_compared() -> None:
    evidence = result(HB, lab("hemoglobin", "10.2 g/dL", version="2", ref="o41")).evidence[0]
    assert (evidence.reference, evidence.version, evidence.received, evidence.compared, evidence.limit, evidence.time) == (
        "Observation/o41",
        "2",
        "10.2 g/dL",
        "102 g/L",
        ">= 90 g/L",
        "2025-05-28",
    )


def test_both_limits_are_shown() -> None:
    assert result(STRICT, lab("hemoglobin", "95 g/L")).evidence[0].limit == "> 90 g/L and < 100 g/L"


@pytest.mark.parametrize(("sent", "near"), [("94.5 g/L", True), ("94.6 g/L", False), ("85.5 g/L", True), (">=90 g/L", False)])
def test_within_five_percent_of_the_limit_is_noted(sent: str, near: bool) -> None:
    assert result(HB, lab("hemoglobin", sent)).near_limit is near


def test_what_was_set_aside_is_said_with_the_reason() -> None:
    facts = (
        hb("100 g/L", ref="new"),
        hb("80 g/L", "2025-05-27", ref="old"),
        hb("70 g/L", "2025-06-09", ref="future"),
        hb("60 g/L", ref="wrong", counts=Counts.NO, status="entered-in-error"),
        hb("50 g/L", ref="early", **not_final()),
        lab("hemoglobin", None, ref="empty", absent="error"),
    )
    aside = {entry.reference.partition("/")[2]: entry.why for entry in result(HB, *facts).set_aside}
    assert aside == {
        "old": "superseded",
        "future": "dated after 2025-06-01",
        "wrong": "status entered-in-error",
        "early": "status preliminary: not final",
        "empty": "no value: error",
    }


def test_a_concept_that_is_set_aside_is_listed_and_never_used() -> None:
    found = result(
        "value: {concepts: [hemoglobin], at-least: 90 g/L, set-aside: [not_hemoglobin], window: {before: 28 d}}",
        lab("not_hemoglobin", "140 g/L"),
        lab("not_hemoglobin", "141 g/L", "2020-01-01"),
    )
    assert (said(found), len(found.set_aside)) == (("unknown", "not-found"), 1)


def test_a_result_that_is_too_old_is_shown_with_its_value() -> None:
    found = result(HB, hb("100 g/L", "2025-01-01"), hb("90 g/L", "2025-02-01"))
    assert [(e.received, e.time) for e in found.evidence] == [("90 g/L", "2025-02-01")]


def test_a_missing_result_says_what_would_settle_it() -> None:
    settled = result(HB).settled_by
    assert settled is not None
    assert (settled.resource, settled.window) == ("Observation", "28 d before screening")
    assert set(settled.codes) <= concepts().expand(["hemoglobin", "hemoglobin_molar"])


def test_a_pending_milestone_is_what_settles_it() -> None:
    settled = result(LD).settled_by
    assert settled is not None and (settled.milestone, settled.window) == ("lymphodepletion", "48 h before lymphodepletion")


def test_a_failed_laboratory_limit_can_be_repeated_from_now_on() -> None:
    found = result(HB, hb("80 g/L"))
    assert (found.recoverable, found.recoverable_from) == (True, "2025-06-01")


def test_a_protocol_may_say_that_a_repeat_changes_nothing() -> None:
    assert not result(HB + "\nrecoverable: false", hb("80 g/L")).recoverable


def test_a_default_window_is_said() -> None:
    found = result("value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 28 d, default: true}}", hb("100 g/L"))
    assert found.evidence[0].window == "28 d before screening (default)"


def test_a_stand_in_is_said_and_makes_the_verdict_provisional() -> None:
    found = result(
        "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {milestone: baseline, before: 28 d}}", hb("100 g/L")
    )
    assert found.provisional
    assert "screening stands in for baseline" in found.notes


def test_a_day_is_that_of_the_sites_zone() -> None:
    """23:30 UTC on 3 May is 4 May in Berlin, 28 days before 1 June."""
    fact = hb("100 g/L", "2025-05-03T23:30:00Z")
    assert said(result(HB, fact)) == ("unknown", "too-old")
    berlin = lab("hemoglobin", "100 g/L", None)
    moved = msgspec.structs.replace(berlin, time=when("2025-05-03T23:30:00Z", "Europe/Berlin"))
    assert said(result(HB, moved, zone="Europe/Berlin")) == ("met", "in-range")


def test_a_unit_that_a_site_states_for_a_local_code_is_used_only_where_none_is_sent() -> None:
    local = "http://hospital.example/codes|HB"
    stated = {"code_units": {local: "g/dL"}}
    assert said(result(HB, hb("10.2", codes=(local,)), **stated)) == ("met", "in-range")
    assert said(result(HB, hb("102 g/L", codes=(local,)), **stated)) == ("met", "in-range")
    assert said(result(HB, hb("10.2"), **stated)) == ("unknown", "no-unit")


def test_a_result_later_than_the_moment_of_the_run_does_not_count() -> None:
    facts = (hb("100 g/L", "2025-06-01T09:00:00Z"), hb("80 g/L", "2025-06-01T11:00:00Z"))
    assert said(result(HB, *facts, as_of="2025-06-01T10:00:00Z")) == ("met", "in-range")
    assert said(result(HB, *facts, as_of="2025-06-01")) == ("not-met", "out-of-range")


def test_the_differentials_inputs_are_the_evidence() -> None:
    found = result(ANC, lab("leukocytes", "2.0 K/uL"), lab("neutrophils_percent", "50 %"))
    assert [e.note.split(";")[0] for e in found.evidence] == ["leukocytes", "neutrophils"]
    assert "derived from the differential" in found.notes


BY_VALUE = [
    Row("the highest", (hb("80 g/L", "2025-05-27"), hb("100 g/L", "2025-05-26")), picked("highest"), "met", "in-range"),
    Row("the lowest", (hb("80 g/L", "2025-05-27"), hb("100 g/L", "2025-05-26")), picked("lowest"), "not-met", "out-of-range"),
    Row(
        "the highest of two that may be of the window, one of them inside the band and one above it",
        (hb("80 g/L"), hb("95 g/L", "2025", ref="b"), hb("120 g/L", "2025", ref="c")),
        HB[:-1] + ", at-most: 100 g/L, pick: highest}",
        "unknown",
        "imprecise-date",
    ),
    Row("the highest is at least one that can be read", (hb("100 g/L"), hb("12")), picked("highest"), "met", "in-range"),
    Row("the highest may be one that cannot be read", (hb("80 g/L"), hb("12")), picked("highest"), "unknown", "no-unit"),
    Row("the lowest is at most one that can be read", (hb("80 g/L"), hb("12")), picked("lowest"), "not-met", "out-of-range"),
    Row("the highest of none that can be read", (hb("12"),), picked("highest"), "unknown", "no-unit"),
    Row(
        "the nearest to the milestone",
        (hb("80 g/L", "2025-05-27"), hb("100 g/L", "2025-05-26")),
        picked("nearest"),
        "not-met",
        "out-of-range",
    ),
    Row("the nearer one of before and after", (hb("80 g/L", "2025-04-20"), hb("95 g/L", "2025-05-05")), NEAR, *MET, MAY_1),
    Row("the nearer one of two after", (hb("80 g/L", "2025-05-20"), hb("95 g/L", "2025-05-10")), NEAR, *MET, MAY_1),
    Row(
        "one before and one after that may be as near",
        (hb("80 g/L", "2025-04-28"), hb("95 g/L", "2025-05-04")),
        NEAR,
        "unknown",
        "imprecise-date",
        MAY_1,
    ),
    Row(
        "one without a time beside one before and one after",
        (hb("80 g/L", None), hb("95 g/L", "2025-04-28"), hb("95 g/L", "2025-05-20")),
        NEAR,
        "unknown",
        "imprecise-date",
        MAY_1,
    ),
]


def test_a_result_whose_code_is_not_verified_is_named_and_not_used() -> None:
    found = result(ALT, lab("http://loinc.org|1743-4", "20 U/L"), lab("http://loinc.org|1744-2", "20 U/L", "2024-01-01"))
    assert said(found) == ("unknown", "not-found")
    assert [entry.why for entry in found.set_aside] == ["code not verified"]


@pytest.mark.parametrize("row", BY_VALUE, ids=str)
def test_picks_by_value_and_by_nearness(row: Row) -> None:
    check(row)


def test_any_that_is_met_needs_no_lost_page() -> None:
    lost = served("Observation", note="partial")
    assert said(result(picked("any"), hb("100 g/L"), lost)) == ("met", "in-range")
    assert said(result(picked("any"), hb("80 g/L"), lost)) == ("unknown", "incomplete")
    assert said(result(picked("all"), hb("80 g/L"), lost)) == ("not-met", "out-of-range")
    assert said(result(picked("all"), hb("100 g/L"), lost)) == ("unknown", "incomplete")


def test_a_preliminary_count_is_passed_over_for_the_differential() -> None:
    facts = (lab("anc", "2 K/uL", **not_final()), lab("leukocytes", "2.0 K/uL"), lab("neutrophils_percent", "50 %"))
    assert said(result(ANC, *facts)) == ("met", "derived")
