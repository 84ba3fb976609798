"""The words that people read: verdicts, reasons and what would settle an unknown, in plain English, and safe text.

One place for the wording, so that the table, `explain` and the report say the same thing. Units, dates, values and the
protocol's own sentences are never changed here, apart from `safe_text`, which makes characters harmless that nobody can see.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import msgspec

from fhir_elig.times import parse_when
from fhir_elig.verdict import ALIVE, CriterionResult, Evidence, Reason, Retrieved, SettledBy, Status, Verdict

DISCLAIMER = "a recommendation, not a determination"

VERDICTS: dict[Verdict, str] = {
    Verdict.MET: "MET",
    Verdict.NOT_MET: "NOT MET",
    Verdict.UNKNOWN: "UNKNOWN",
    Verdict.NOT_APPLICABLE: "N/A",
}

STATUSES: dict[Status, str] = {
    Status.ELIGIBLE: "everything is met or does not apply, people's answers included",
    Status.CANDIDATE: "nothing rules the patient out; only people's answers and dates are open",
    Status.POTENTIAL_CANDIDATE: "nothing rules the patient out, but data or decisions are missing",
    Status.INELIGIBLE: "at least one criterion is not met",
}


class Wording(msgspec.Struct, frozen=True):
    """A reason in a few words, as a sentence, and what in general settles an unknown of this reason."""

    short: str
    sentence: str
    remedy: str = ""


REASONS: dict[Reason, Wording] = {
    Reason.IN_RANGE: Wording("within the limit", "the value is within the limit"),
    Reason.OUT_OF_RANGE: Wording("outside the limit", "the value is outside the limit"),
    Reason.PRESENT: Wording("recorded as present", "recorded as present"),
    Reason.ABSENT: Wording("recorded as absent", "recorded as absent"),
    Reason.NOT_FOUND: Wording("no record found", "no record found", "a record that answers it"),
    Reason.TOO_OLD: Wording("too old", "the newest record is older than the window", "a new record inside the window"),
    Reason.NOT_FINAL: Wording("not final yet", "there is a result, but it is not final", "the final result"),
    Reason.NO_UNIT: Wording("no unit", "the result has no unit", "the unit of the result, from the laboratory or the site file"),
    Reason.UNIT_UNKNOWN: Wording("unit not understood", "the unit of the result is not understood", "the result in a known unit"),
    Reason.UNIT_CONFLICT: Wording(
        "two units that disagree", "the result states two units that disagree", "the right unit, from the laboratory"
    ),
    Reason.NO_REFERENCE_RANGE: Wording(
        "no reference range",
        "the upper limit of normal is not known",
        "a reference range in the result, or the site's upper limit for this test",
    ),
    Reason.NOT_NUMERIC: Wording("not a number", "the result is not a number that can be compared", "the result as a number"),
    Reason.IMPLAUSIBLE: Wording(
        "not plausible", "the value lies outside what is plausible; it may be an error", "a corrected or repeated result"
    ),
    Reason.CONFLICTING: Wording(
        "records disagree", "records of the same rank disagree", "a person who says which record is right"
    ),
    Reason.COMPARATOR: Wording(
        "value given as a range",
        "the value is known only as a range, and the limit lies inside it",
        "the exact value, or a repeat",
    ),
    Reason.IMPRECISE_DATE: Wording(
        "date not exact enough", "a date is missing or not exact enough for the window", "the exact date of the record"
    ),
    Reason.UNCONFIRMED: Wording("not confirmed", "recorded, but not confirmed", "a confirmed record, or its refutation"),
    Reason.NO_RECORD: Wording(
        "no record found, source not known complete",
        "no record found, and the source is not known to be complete: that is no proof of absence",
        "a complete source, or a record that says present or absent",
    ),
    Reason.INCOMPLETE: Wording(
        "not looked at completely", "not looked at completely: part of the data did not arrive", "reading the source again"
    ),
    Reason.RESTRICTED: Wording(
        "not looked at (restricted)",
        "not looked at: the record is restricted by a security label",
        "the site's permission to read the record",
    ),
    Reason.IDENTITY: Wording(
        "whose record is not certain", "it is not certain whose record this is", "the patient's identity, checked"
    ),
    Reason.MODIFIER: Wording(
        "modified in an unknown way",
        "the record carries a modifier that is not understood",
        "a person who reads the record with its modifier",
    ),
    Reason.UNMAPPED: Wording(
        "record not understood",
        "there is a record whose code is not known to mean this or anything else",
        "a person who reads the record, or a mapping of its code",
    ),
    Reason.DECEASED: Wording("recorded as deceased", "the patient is recorded as deceased"),
    Reason.PENDING_EVENT: Wording("waits for a date", "it waits for an event that has no date yet", "the date of the event"),
    Reason.NEEDS_PERSON: Wording("a person must say", "a person must say", "an answer by a person"),
    Reason.ATTESTED: Wording("answered by a person", "a person has answered"),
    Reason.AMBIGUOUS_PROTOCOL: Wording(
        "protocol can be read in two ways",
        "the protocol's text can be read in more than one way, and the readings disagree",
        "a decision of the sponsor or the site on the reading",
    ),
    Reason.NOT_APPLICABLE: Wording("does not apply", "does not apply to this patient"),
    Reason.DERIVED: Wording("worked out from other values", "worked out from other values"),
}

LOOKED: dict[str, str] = {
    "partial": "broke off",
    "refused": "not allowed",
    "not-served": "not served",
    "not-asked": "not asked for",
    "withheld": "withheld",
}

# Reasons that neither more data nor an answer settles, and those that a record (or an answer) of its own settles.
_DECISIONS = frozenset((Reason.AMBIGUOUS_PROTOCOL, Reason.RESTRICTED, Reason.MODIFIER, Reason.INCOMPLETE, Reason.IDENTITY))
_FOUND_BY_RECORD = frozenset((Reason.NOT_FOUND, Reason.NO_RECORD, Reason.TOO_OLD, Reason.NEEDS_PERSON, Reason.PENDING_EVENT))

_FORM = "QuestionnaireResponse"  # the form on which people answer: asking is how to get one

_SYSTEMS: dict[str, str] = {
    "http://loinc.org": "LOINC",
    "http://snomed.info/sct": "SNOMED CT",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD-10-CM",
    "http://hl7.org/fhir/sid/icd-10": "ICD-10",
    "http://fhir.de/CodeSystem/bfarm/icd-10-gm": "ICD-10-GM",
    "http://www.cms.gov/Medicare/Coding/ICD10": "ICD-10-PCS",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
    "http://www.whocc.no/atc": "ATC",
}

# Control sequences of terminals: CSI with its parameters, strings that end (titles, links), and other two-character escapes.
_TERMINAL = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\\\|\x9c)"
    "|\x1b[ -/]*[0-Z\\\\^-~]"
)
_SPACES = "\t\n\r\x0b\x0c\x85\u2028\u2029"
_JOINERS = "\u200c\u200d"  # needed by several scripts; they reorder nothing


def safe_text(text: str) -> str:
    """The text without terminal control codes; invisible and reordering characters are shown as `[U+202E]`, breaks as spaces."""
    if text.isprintable():
        return text
    return "".join(_safe_char(char) for char in _TERMINAL.sub("", text))


def _safe_char(char: str) -> str:
    if char in _SPACES:
        return " "
    if char in _JOINERS or unicodedata.category(char) not in ("Cc", "Cf", "Cs"):
        return char
    return f"[U+{ord(char):04X}]"


def patient_name(reference: str) -> str:
    """The patient's id without `Patient/`."""
    return safe_text(reference.removeprefix("Patient/"))


def reason_text(result: CriterionResult, retrieved: tuple[Retrieved, ...] = ()) -> str:
    """Why, in a sentence. Tells apart: recorded as absent, no record found, not looked at, a person must say."""
    sentence = REASONS[result.reason].sentence
    if result.reason is Reason.ABSENT and not result.evidence:
        return "no death recorded" if result.id == ALIVE else "no record found in a source that is complete: counted as absent"
    if result.verdict is Verdict.UNKNOWN and result.reason in (Reason.NOT_FOUND, Reason.NO_RECORD, Reason.INCOMPLETE):
        missing = not_looked_at(result, retrieved)
        if missing:
            return f"{sentence}; not looked at: {', '.join(missing)}"
    return sentence


def not_looked_at(result: CriterionResult, retrieved: tuple[Retrieved, ...]) -> list[str]:
    """The resource types that would settle it and were not, or not wholly, read: `Procedure (not served)`."""
    wanted = re.findall(r"[A-Za-z]+", result.settled_by.resource) if result.settled_by else []
    return [f"{entry.type} ({how})" for entry in retrieved if entry.type in wanted and (how := looked(entry))]


def looked(entry: Retrieved) -> str:
    """How the reading of a type fell short, in words; empty if it did not."""
    return next((words for start, words in LOOKED.items() if entry.note.startswith(start)), "")


def value_text(evidence: Evidence) -> str:
    """The value as received, and as compared where that differs; neither is altered.

    `=` says the same value in another unit. Where a note explains the comparison, something else was worked out from it.
    """
    received, compared = safe_text(evidence.received), safe_text(evidence.compared)
    if received and compared and received != compared:
        return f"{received}, compared as {compared}" if evidence.note else f"{received} = {compared}"
    return received or compared


def resource_text(evidence: Evidence) -> str:
    version = f" version {evidence.version}" if evidence.version else ""
    return safe_text(f"{evidence.reference}{version}")


def age_of(evidence: Evidence, as_of: str) -> str:
    """How old a value is on `as_of`; empty for a fact of the Patient, such as the birth date, which does not age."""
    return "" if evidence.reference.startswith("Patient/") else age_text(evidence.time, as_of)


def age_text(time: str, as_of: str) -> str:
    """How many calendar days a date lies before `as_of`, by the dates as written; empty if either is not one date."""
    then, now = (None if "/" in text else parse_when(text[:10]) for text in (time, as_of))
    if then is None or now is None or not now.one_day:
        return ""
    longest, shortest = now.first - then.first, now.first - then.last
    if longest == shortest == 0:
        return "same day"
    if longest < 0:
        return f"{_days(-longest)} after" if longest == shortest else ""
    if shortest < 0:
        return f"at most {_days(longest)} before"
    return f"{_days(longest)} before" if longest == shortest else f"{shortest} to {_days(longest)} before"


def _days(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"


def codes_text(codes: Sequence[str]) -> str:
    """Code keys under the usual names of their systems: `LOINC 718-7, 30350-3, SNOMED CT 259695003`."""
    by_system: dict[str, list[str]] = {}
    for code in codes:
        system, _, value = code.rpartition("|")
        by_system.setdefault(_SYSTEMS.get(system, system), []).append(value)
    return safe_text(", ".join(f"{system} {', '.join(values)}".strip() for system, values in by_system.items()))


def settle_kind(result: CriterionResult) -> str:
    """Who settles it: `question` (a person), `date` (a milestone), `decision` (neither data nor answers), `record`."""
    by = result.settled_by
    if result.reason is Reason.PENDING_EVENT:
        return "date"
    if result.reason is Reason.NEEDS_PERSON or (by and by.question and by.resource in ("", _FORM)):
        return "question"
    return "decision" if result.reason in _DECISIONS else "record"


def settle_text(result: CriterionResult, codes: int = 6) -> str:
    """What would settle an unknown, in words; at most that many codes are spelled out."""
    remedy = REASONS[result.reason].remedy or "a person who looks at the records named here"
    by = result.settled_by
    if by is None:
        return remedy
    record = _record(by, codes) if by.codes or by.resource not in ("", _FORM) else ""
    if by.milestone:
        then = f", then {record}" if record else f" (window: {safe_text(by.window)})" if by.window else ""
        first = f"the date of {safe_text(by.milestone)}{then}"
    elif result.reason in _FOUND_BY_RECORD:
        first = record or ("" if by.question else remedy)
    else:
        first = f"{remedy}; or {record}" if record else remedy
    question = f"ask: {safe_text(by.question)}" if by.question else ""
    return "; or ".join(part for part in (first, question) if part)


def _record(by: SettledBy, codes: int) -> str:
    names = codes_text(by.codes[:codes])
    more = f" and {len(by.codes) - codes} more codes" if len(by.codes) > codes else ""
    text = " ".join(part for part in (safe_text(by.resource) or "a record", names + more) if part)
    return f"{text}, {safe_text(by.window)}" if by.window else text
