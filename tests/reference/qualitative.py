"""Answers of tests: negative or positive, by codes, by a whole text, by interpretation where there is no value, by bands of numbers."""

from __future__ import annotations

from fractions import Fraction as F

from tests.reference.limits import number_of, uppers_stated
from tests.reference.numbers import ANALYTES, CONCEPTS, Analyte, Between, compare, inside
from tests.reference.said import MET, NOT_MET, Said, said, unknown
from tests.reference.windows import Data

SNOMED, LOINC = "http://snomed.info/sct|", "http://loinc.org|"
ACTS = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation|"
SAYS = {
    SNOMED + "260385009": "negative", SNOMED + "260415000": "negative", LOINC + "LA6577-6": "negative", ACTS + "NEG": "negative",
    SNOMED + "10828004": "positive", LOINC + "LA6576-8": "positive", ACTS + "POS": "positive", ACTS + "DET": "positive",
    SNOMED + "419984006": "unclear", LOINC + "LA11885-3": "unclear", ACTS + "IND": "unclear",
    "negative": "negative", "not detected": "negative", "non-reactive": "negative", "absent": "negative",
    "positive": "positive", "detected": "positive", "reactive": "positive", "+": "positive", "pregnant": "positive",
    "weakly positive": "unclear", "see comment": "unclear", "indeterminate": "unclear",
}  # fmt: skip


def judged(row: Data, kind: Data) -> Said:
    """One result against the answer that is asked for."""
    told = answer_of(row, kind)
    if isinstance(told, Said):
        return told
    return said(MET, "in-range") if told == kind["answer"]["is"] else said(NOT_MET, "out-of-range")


def answer_of(row: Data, kind: Data) -> str | Said:
    """`negative` or `positive`, or why it is neither. The value goes first; an interpretation may only contradict it."""
    if row.get("flaw") or row.get("absent"):
        return unknown("modifier", "restricted", "incomplete")
    shown = {SAYS.get(code) for code in row.get("interpretation", ())} & {"negative", "positive"}
    if row.get("bare"):
        return str(*shown) if len(shown) == 1 else unknown("conflicting" if shown else "not-found")
    told = _of_value(row, kind)
    if isinstance(told, str) and shown - {told}:
        return unknown("conflicting")
    return told


def _of_value(row: Data, kind: Data) -> str | Said:
    if "flag" in row:
        return "positive" if row["flag"] else "negative"
    coded = {SAYS[code] for code in row.get("coded", ()) if code in SAYS}
    number = _number(row)
    if isinstance(number, Between):
        found = _in_bands(number, row, kind)
        if isinstance(found, str) and coded & {"negative", "positive"} - {found}:
            return unknown("conflicting", *(["not-numeric"] if "unclear" in coded else []))
        if "unclear" in coded:
            return unknown("not-numeric", "comparator", *(["conflicting"] if row.get("interpretation") else []))
        return found
    if isinstance(number, Said) and "not-numeric" not in number.reasons:  # it may mean what the code does not
        return number
    word = SAYS.get(row.get("text", "").strip().casefold(), "unclear" if row.get("text") else "")
    words = coded | {word} if row.get("text", "").strip().casefold() in SAYS or not coded else coded
    if {"negative", "positive"} <= words:
        return unknown("conflicting")
    if words in ({"negative"}, {"positive"}):
        return str(*words)
    return number if isinstance(number, Said) and "text" not in row and not coded else unknown("not-numeric", *_why(number))


def _why(number: Between | Said | None) -> frozenset[str]:
    return number.reasons if isinstance(number, Said) else frozenset()


def _analyte(row: Data) -> Analyte | None:
    return ANALYTES[CONCEPTS[row["concept"]]] if row["concept"] in CONCEPTS else None


def _number(row: Data) -> Between | Said | None:
    """The number that the result is in the analyte's unit; None where its test gives none."""
    analyte = _analyte(row)
    if analyte is None or not ("value" in row or "text" in row):
        return None if analyte is None and "value" not in row else unknown("not-numeric")
    return number_of(row, analyte)


def _in_bands(number: Between, row: Data, kind: Data) -> str | Said:
    """Below the band of the negative, and not above the limit that the result states itself; or above that of the positive."""
    analyte = ANALYTES[CONCEPTS[row["concept"]]]
    negative, positive = (band(kind, name, analyte) for name in ("negative", "positive"))
    if negative is not None and compare(number, negative) == MET:
        above = any(not inside(number, Between(None, upper)) for upper in uppers_stated(row, analyte))
        return unknown("comparator") if above else "negative"
    if positive is not None and compare(number, positive) == MET:
        return "positive"
    return unknown("comparator")


def band(kind: Data, name: str, analyte: Analyte) -> Between | None:
    stated = kind["answer"].get(name)
    if not stated:
        return None
    low, high = (_amount(stated[key], analyte) if key in stated else None for key in ("more-than", "less-than"))
    return Between(low, high, True, True)


def _amount(text: str, analyte: Analyte) -> F:
    number, _, unit = text.partition(" ")
    return F(number) * analyte.units[unit]
