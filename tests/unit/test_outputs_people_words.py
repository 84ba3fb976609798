"""The words: one for every reason, what would settle it, ages of values, and text made safe."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, strategies as st

from fhir_elig.outputs.words import (
    REASONS,
    STATUSES,
    VERDICTS,
    age_of,
    age_text,
    codes_text,
    looked,
    patient_name,
    reason_text,
    resource_text,
    safe_text,
    settle_kind,
    settle_text,
    value_text,
)
from fhir_elig.verdict import Evidence, Reason, Retrieved, SetAside, SettledBy, Status, Verdict
from tests.people import leaf

DECIDED_ONLY = {
    Reason.IN_RANGE,
    Reason.OUT_OF_RANGE,
    Reason.PRESENT,
    Reason.ABSENT,
    Reason.DECEASED,
    Reason.ATTESTED,
    Reason.NOT_APPLICABLE,
    Reason.DERIVED,
}


def test_every_reason_verdict_and_status_has_its_words():
    assert set(REASONS) == set(Reason)
    assert len({wording.sentence for wording in REASONS.values()}) == len(Reason) == 30
    assert set(VERDICTS) == set(Verdict)
    assert set(STATUSES) == set(Status)


def test_every_reason_of_an_unknown_names_what_settles_it():
    assert {reason for reason, wording in REASONS.items() if not wording.remedy} == DECIDED_ONLY
    for reason in Reason:
        assert settle_text(leaf("x", Verdict.UNKNOWN, reason))


def test_absence_of_four_kinds_is_told_apart():
    absent = leaf("x", Verdict.NOT_MET, Reason.ABSENT, evidence=(Evidence("Condition/c1"),))
    counted = leaf("x", Verdict.NOT_MET, Reason.ABSENT)
    nothing = leaf("x", Verdict.UNKNOWN, Reason.NOT_FOUND)
    person = leaf("x", Verdict.UNKNOWN, Reason.NEEDS_PERSON)
    procedure = SettledBy("Procedure")
    unserved = leaf("x", Verdict.UNKNOWN, Reason.NO_RECORD, settled_by=procedure)
    read = (Retrieved("Procedure", False, "not-served"), Retrieved("Observation", False, "partial"))
    assert reason_text(absent) == "recorded as absent"
    assert reason_text(counted) == "no record found in a source that is complete: counted as absent"
    assert reason_text(leaf("alive", Verdict.MET, Reason.ABSENT)) == "no death recorded"
    assert reason_text(nothing, read) == "no record found"
    assert reason_text(person, read) == "a person must say"
    assert reason_text(unserved, read).endswith("; not looked at: Procedure (not served)")
    assert "not looked at:" not in reason_text(unserved, (Retrieved("Procedure", False),))


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ("partial: page 3 of 4", "broke off"),
        ("refused", "not allowed"),
        ("not-served", "not served"),
        ("not-asked", "not asked for"),
        ("withheld", "withheld"),
        ("", ""),
    ],
)
def test_how_a_type_was_read_is_said_in_words(note: str, words: str):
    assert looked(Retrieved("Observation", False, note)) == words


LOINC = ("http://loinc.org|10230-1", "http://loinc.org|8806-2", "urn:x|7")


@pytest.mark.parametrize(
    ("reason", "by", "kind", "text"),
    [
        (
            Reason.NOT_FOUND,
            SettledBy("Observation", LOINC[:2], "90 d before screening"),
            "record",
            "Observation LOINC 10230-1, 8806-2, 90 d before screening",
        ),
        (Reason.NO_UNIT, SettledBy("Observation"), "record", f"{REASONS[Reason.NO_UNIT].remedy}; or Observation"),
        (Reason.NEEDS_PERSON, SettledBy(question="signed?"), "question", "ask: signed?"),
        (Reason.NEEDS_PERSON, SettledBy("QuestionnaireResponse", question="signed?"), "question", "ask: signed?"),
        (
            Reason.CONFLICTING,
            SettledBy("QuestionnaireResponse", question="signed?"),
            "question",
            f"{REASONS[Reason.CONFLICTING].remedy}; or ask: signed?",
        ),
        (Reason.NO_RECORD, SettledBy("Procedure", question="any?"), "record", "Procedure; or ask: any?"),
        (Reason.PENDING_EVENT, SettledBy(milestone="infusion"), "date", "the date of infusion"),
        (
            Reason.PENDING_EVENT,
            SettledBy(milestone="infusion", window="2 d before infusion"),
            "date",
            "the date of infusion (window: 2 d before infusion)",
        ),
        (
            Reason.PENDING_EVENT,
            SettledBy("Condition", window="2 d before infusion", milestone="infusion", question="free of it?"),
            "date",
            "the date of infusion, then Condition, 2 d before infusion; or ask: free of it?",
        ),
        (
            Reason.AMBIGUOUS_PROTOCOL,
            SettledBy(codes=("urn:x|7",)),
            "decision",
            f"{REASONS[Reason.AMBIGUOUS_PROTOCOL].remedy}; or a record urn:x 7",
        ),
        (Reason.TOO_OLD, SettledBy(), "record", REASONS[Reason.TOO_OLD].remedy),
    ],
)
def test_what_settles_an_unknown_is_said_with_its_kind(reason: Reason, by: SettledBy, kind: str, text: str):
    result = leaf("x", Verdict.UNKNOWN, reason, settled_by=by)
    assert settle_kind(result) == kind
    assert settle_text(result) == text


def test_long_lists_of_codes_say_how_many_are_left_out():
    by = SettledBy("Observation", tuple(f"http://loinc.org|{n}-0" for n in range(9)))
    assert settle_text(leaf("x", Verdict.UNKNOWN, Reason.NOT_FOUND, settled_by=by)).endswith("5-0 and 3 more codes")
    assert codes_text(LOINC) == "LOINC 10230-1, 8806-2, urn:x 7"
    assert codes_text(["plain"]) == "plain"


@pytest.mark.parametrize(
    ("received", "compared", "note", "text"),
    [
        ("10.2 g/dL", "102 g/L", "", "10.2 g/dL = 102 g/L"),
        ("0.68 mg/dL", "105.0 mL/min", "Cockcroft-Gault", "0.68 mg/dL, compared as 105.0 mL/min"),
        ("7.50", "7.50", "", "7.50"),
        ("", "3 days", "", "3 days"),
        ("<5", "", "", "<5"),
        ("", "", "", ""),
    ],
)
def test_a_value_is_shown_as_received_and_as_compared(received: str, compared: str, note: str, text: str):
    assert value_text(Evidence("Observation/o", "1", received, compared, note=note)) == text


@pytest.mark.parametrize(
    ("time", "age"),
    [
        ("2025-05-28", "4 days before"),
        ("2025-05-31T23:59:00+02:00", "1 day before"),
        ("2025-06-01", "same day"),
        ("2025-06-03", "2 days after"),
        ("2025-05", "1 to 31 days before"),
        ("2025-06", "at most 0 days before"),
        ("2025", "at most 151 days before"),
        ("2026", ""),
        ("2022-02-01/2024-01-09", ""),
        ("", ""),
        ("yesterday", ""),
    ],
)
def test_the_age_of_a_value_is_counted_in_calendar_days(time: str, age: str):
    assert age_text(time, "2025-06-01") == age_text(time, "2025-06-01T08:00:00Z") == age


def test_an_age_needs_a_day_to_count_from_and_a_birth_date_has_none():
    assert age_text("2025-05-28", "2025-06") == ""
    assert age_of(Evidence("Patient/p1", time="1974-03-09"), "2025-06-01") == ""
    assert age_of(Evidence("Observation/o1", time="2025-05-31"), "2025-06-01") == "1 day before"


def test_references_and_patients_are_named_shortly():
    assert resource_text(Evidence("Observation/o1", "3")) == "Observation/o1 version 3"
    assert resource_text(Evidence("Observation/o1")) == "Observation/o1"
    assert patient_name("Patient/p1") == "p1"
    assert SetAside("Observation/o1", "superseded").reference == "Observation/o1"


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("Ähre ≥ 5 µg", "Ähre ≥ 5 µg"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq\x9cafter\x1b(B", "after"),
        ("\x1b", "[U+001B]"),
        ("\x1b]0;open end", "[U+001B]]0;open end"),
        ("a\x00b\x08c", "a[U+0000]b[U+0008]c"),
        ("two\r\nlines\tand\u2028more", "two  lines and more"),
        ("abc\u202edef\u2066", "abc[U+202E]def[U+2066]"),
        ("\ufeffzero\u200bwidth", "[U+FEFF]zero[U+200B]width"),
        ("\ud800", "[U+D800]"),
        ("\u0646\u200c\u0645 \u00a0x", "\u0646\u200c\u0645 \u00a0x"),
    ],
)
def test_what_cannot_be_seen_is_made_harmless_and_visible(raw: str, safe: str):
    assert safe_text(raw) == safe


@given(st.text(max_size=60))
def test_safe_text_holds_nothing_that_steers_a_terminal_or_turns_the_reading_order(text: str):
    safe = safe_text(text)
    assert not [char for char in safe if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")]
    assert not [char for char in safe if unicodedata.category(char) == "Cf" and char not in "\u200c\u200d"]
    assert safe_text(safe) == safe


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=60))
def test_text_that_can_be_seen_is_never_altered(text: str):
    assert safe_text(text) == text
