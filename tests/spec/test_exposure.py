"""Treated for more than a time: the days that records cover, certain and possible, by drug, route and dose."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from fhir_elig import derive
from fhir_elig.quantity import Interval
from fhir_elig.record import Counts, Dose, Flaw, Refused, Strength
from tests.spec.table import LOCAL, Row, check, concepts, drug, protocol, relma_results, result, said, served
from tests.spec.words import Page

PAGE = Page(
    "Exposure",
    """
How long was a drug taken? The days that records cover are counted: those that are certain, and those that are possible. The
criterion is met if the certain days are enough, and not met only if the possible ones are not. Drugs, routes and doses may
be limited.
""",
    {
        "DAYS": "Counting days",
        "CERTAIN": "Certain and possible days",
        "ROUTES": "Routes",
        "SINGLE": "Single intakes",
        "DOSES": "Doses",
        "METHODS": "Ways of counting",
    },
)

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())["prednisone_equivalents"]["vectors"]
ATC = "http://www.whocc.no/atc|"
STEROIDS = {
    "prednisone": "H02AB07",
    "prednisolone": "H02AB06",
    "methylprednisolone": "H02AB04",
    "triamcinolone": "H02AB08",
    "hydrocortisone": "H02AB09",
    "cortisone": "H02AB10",
    "dexamethasone": "H02AB02",
    "betamethasone": "H02AB01",
    "deflazacort": "H02AB13",
}
AZA, MTX, MMF, HCQ = "azathioprine", "methotrexate", "mycophenolate", "antimalarial"


def exposure(agents: str = f"[{{concept: {AZA}}}, {{concept: {MMF}}}]", **more: str) -> str:
    given = {"more_than": "6 mo", "gap": "30 d", **more}
    lines = "".join(f"\n  {key.replace('_', '-')}: {text}" for key, text in given.items() if text)
    return f"exposure:\n  agents: {agents}{lines}"


BOTH = exposure()
STEROID = exposure("[{concept: glucocorticoid, systemic: true, prednisone-equivalent-at-most: 15 mg/d}]")
PULSE = exposure(
    "[{concept: cyclophosphamide, persists: [{route: intravenous, days: 28}]}, {concept: methotrexate, persists: [{days: 7}]},"
    " {concept: tocilizumab, persists: [{route: intravenous, days: 28}, {route: subcutaneous, days: 7}]}]"
)


def span(length: int, start: str = "2024-01-01") -> tuple[str, str]:
    """The first and last day of that many days."""
    return start, (date.fromisoformat(start) + timedelta(length - 1)).isoformat()


def aza(length: int, start: str = "2024-01-01", **more: Any) -> Any:
    return drug(AZA, *span(length, start), **more)


def steroid(dose: str, drug_name: str = "prednisone", **more: Any) -> Any:
    return drug(ATC + STEROIDS[drug_name], "2024-01-01", "2024-12-31", dose=dose, **more)


TEN = exposure("[{concept: glucocorticoid, systemic: true, dose: {at-least: 10 mg/d}}]")


def ordered(dose: str, **more: Any) -> Any:
    return drug(ATC + STEROIDS["prednisone"], "2024-01-01", strength=Strength.ORDERED, dose=dose, **more)


def dispensed() -> Any:
    """All year, without a dose."""
    return drug(ATC + STEROIDS["prednisone"], "2024-01-01", "2024-12-31", strength=Strength.DISPENSED, ref="b")


DAYS = [
    Row("185 days are more than six months", (aza(185),), BOTH, "met", "in-range"),
    Row("181 days are not", (aza(181),), BOTH, "unknown", "no-record"),
    Row("to the day start + 6 months: more than six months", (drug(AZA, "2024-03-01", "2024-09-01"),), BOTH, "met", "in-range"),
    Row("to the day before it: six months and no more", (drug(AZA, "2024-03-01", "2024-08-31"),), BOTH, "unknown", "no-record"),
    Row("six months from the end of August are 182 days", (drug(AZA, "2024-08-31", "2025-02-28"),), BOTH, "met", "in-range"),
    Row(
        "at least six months",
        (drug(AZA, "2024-03-01", "2024-08-31"),),
        exposure(more_than="", at_least="6 mo"),
        "met",
        "in-range",
    ),
    Row(
        "a day less than that",
        (drug(AZA, "2024-03-01", "2024-08-30"),),
        exposure(more_than="", at_least="6 mo"),
        "unknown",
        "no-record",
    ),
    Row(
        "stretches of 181 days, as many as the shortest six months have",
        (aza(90), aza(91, "2024-08-01")),
        exposure(more_than="", at_least="6 mo"),
        "unknown",
        "imprecise-date",
    ),
    Row(
        "stretches of 180 days, fewer than any six months have",
        (aza(90), aza(90, "2024-08-01")),
        exposure(more_than="", at_least="6 mo"),
        "unknown",
        "no-record",
    ),
    Row("two drugs add up", (aza(100), drug(MMF, *span(100, "2024-08-01"))), BOTH, "met", "in-range"),
    Row("overlaps count once", (aza(100), drug(MMF, *span(100, "2024-02-01"))), BOTH, "unknown", "no-record"),
    Row("stretches that add up to 182 to 184 days", (aza(92), aza(92, "2024-08-01")), BOTH, "unknown", "imprecise-date"),
    Row("stretches of 182 days", (aza(91), aza(91, "2024-08-01")), BOTH, "unknown", "imprecise-date"),
    Row("stretches of 181 days", (aza(90), aza(91, "2024-08-01")), BOTH, "unknown", "no-record"),
    Row("stretches of 185 days", (aza(93), aza(92, "2024-08-01")), BOTH, "met", "in-range"),
    Row("bridged days are not counted as covered", (aza(90), aza(91, "2024-04-10")), BOTH, "unknown", "no-record"),
    Row("none", (), BOTH, "unknown", "no-record"),
    Row("days after the run do not count", (drug(AZA, "2025-01-01", "2026-01-01"),), BOTH, "unknown", "no-record"),
    Row("a start after the run", (drug(AZA, "2025-07-01", "2026-07-01"),), BOTH, "unknown", "no-record"),
    Row(
        "a window cuts the days before it",
        (drug(AZA, "2023-01-01", "2025-05-01"),),
        exposure(window="{before: 6 mo}"),
        "unknown",
        "no-record",
    ),
    Row(
        "a window of a year holds them",
        (drug(AZA, "2023-01-01", "2025-05-01"),),
        exposure(window="{before: 12 mo}"),
        "met",
        "in-range",
    ),
    Row("a milestone without a date", (aza(300),), exposure(window="{milestone: enrollment}"), "unknown", "pending-event"),
    Row("weeks", (aza(15),), exposure(more_than="2 wk"), "met", "in-range"),
    Row("just two weeks are not more", (aza(14),), exposure(more_than="2 wk"), "unknown", "no-record"),
    Row("days", (aza(30),), exposure(more_than="", at_least="30 d"), "met", "in-range"),
    Row("a day short", (aza(29),), exposure(more_than="", at_least="30 d"), "unknown", "no-record"),
    Row("hours are days here", (aza(3),), exposure(more_than="48 h"), "met", "in-range"),
    Row("years", (drug(AZA, "2023-01-01", "2024-01-01"),), exposure(more_than="1 a"), "met", "in-range"),
    Row("stretches of a year", (aza(183, "2023-01-01"), aza(184, "2024-01-01")), exposure(more_than="1 a"), "met", "in-range"),
    Row("thirteen months", (aza(200, "2023-01-01"), aza(200, "2024-01-01")), exposure(more_than="13 mo"), "met", "in-range"),
]

CERTAIN = [
    Row("an open end without anybody who vouches", (drug(AZA, "2024-01-01"),), BOTH, "unknown", "no-record"),
    Row("an open end that somebody vouches for", (drug(AZA, "2024-01-01", certain_until="2024-12-01"),), BOTH, "met", "in-range"),
    Row("vouched for too few days", (drug(AZA, "2024-01-01", certain_until="2024-02-01"),), BOTH, "unknown", "no-record"),
    Row("vouched for before it began", (drug(AZA, "2024-01-01", certain_until="2023-02-01"),), BOTH, "unknown", "no-record"),
    Row(
        "an end that is later than who vouches",
        (drug(AZA, "2024-01-01", "2025-01-01", certain_until="2024-02-01"),),
        BOTH,
        "unknown",
        "no-record",
    ),
    Row("no start", (drug(AZA, None, "2025-01-01"),), BOTH, "unknown", "no-record"),
    Row("dates of a month count from its last to its first day", (drug(AZA, "2024-01", "2024-08"),), BOTH, "met", "in-range"),
    Row("dates of a year count for nothing sure", (drug(AZA, "2024", "2024"),), BOTH, "unknown", "no-record"),
    Row("a modifier", (aza(300, flaws=(Flaw.MODIFIER,)),), BOTH, "unknown", "modifier"),
    Row("entered in error", (aza(300, counts=Counts.NO),), BOTH, "unknown", "no-record"),
    Row("unconfirmed", (aza(300, counts=Counts.UNCONFIRMED),), BOTH, "unknown", "no-record"),
    Row("an order counts", (aza(300, strength=Strength.ORDERED),), BOTH, "met", "in-range"),
    Row(
        "an order does not count where it must be dispensed",
        (aza(300, strength=Strength.ORDERED),),
        exposure(strength="dispensed"),
        "unknown",
        "no-record",
    ),
    Row(
        "what was given is stronger than dispensed",
        (aza(300, strength=Strength.ADMINISTERED),),
        exposure(strength="dispensed"),
        "met",
        "in-range",
    ),
    Row("a drug that was not taken", (aza(300, counts=Counts.NEGATIVE),), BOTH, "unknown", "no-record"),
    Row(
        "days that were not taken are taken off",
        (aza(300), aza(200, "2024-03-01", counts=Counts.NEGATIVE)),
        BOTH,
        "unknown",
        "no-record",
    ),
    Row(
        "not taken, of another drug",
        (aza(300), drug(MMF, *span(200, "2024-03-01"), counts=Counts.NEGATIVE)),
        BOTH,
        "met",
        "in-range",
    ),
    Row("not taken, at no known time", (aza(300), drug(AZA, counts=Counts.NEGATIVE)), BOTH, "unknown", "no-record"),
    Row("not taken, after the run", (aza(300), drug(AZA, "2025-07-01", counts=Counts.NEGATIVE)), BOTH, "met", "in-range"),
    Row(
        "not taken, ended before",
        (aza(300), drug(AZA, "2023-01-01", "2023-02-01", counts=Counts.NEGATIVE)),
        BOTH,
        "met",
        "in-range",
    ),
    Row(
        "a lost page of statements may say that it was not taken",
        (aza(300), served("MedicationStatement", note="partial")),
        BOTH,
        "unknown",
        "incomplete",
    ),
    Row("a lost page of orders may not", (aza(300), served("MedicationRequest", note="partial")), BOTH, "met", "in-range"),
    Row(
        "too short, and orders are missing", (aza(30), served("MedicationRequest", note="partial")), BOTH, "unknown", "incomplete"
    ),
    Row(
        "too short, and orders are refused",
        (aza(30), served("MedicationRequest", note="refused (403)")),
        BOTH,
        "unknown",
        "restricted",
    ),
    Row(
        "a refused statement of the drug",
        (aza(300), Refused("MedicationStatement/x", "MedicationStatement", "NaN")),
        BOTH,
        "unknown",
        "incomplete",
    ),
    Row("a product that nobody maps", (drug(LOCAL + "78", *span(300)),), BOTH, "unknown", "no-record"),
    Row(
        "another biologic: a person is asked",
        (drug("other_biologic", *span(300)),),
        exposure(perhaps="[other_biologic]"),
        "unknown",
        "needs-person",
    ),
    Row(
        "another biologic that was not taken",
        (drug("other_biologic", *span(300), counts=Counts.NEGATIVE),),
        exposure(perhaps="[other_biologic]"),
        "unknown",
        "no-record",
    ),
    Row(
        "another biologic to come",
        (drug("other_biologic", "2026-01-01"),),
        exposure(perhaps="[other_biologic]"),
        "unknown",
        "no-record",
    ),
]

TACRO = exposure("[{concept: tacrolimus, systemic: true}]")
RXN = "http://www.nlm.nih.gov/research/umls/rxnorm|"
ROUTES = [
    Row("by mouth is systemic", (drug("tacrolimus", *span(300)),), TACRO, "met", "in-range"),
    Row("on the skin is not", (drug("tacrolimus", *span(300), route="topical"),), TACRO, "unknown", "no-record"),
    Row("an ATC code of the systemic class tells it", (drug(ATC + "L04AD02", *span(300), route=""),), TACRO, "met", "in-range"),
    Row("without a route the days are possible", (drug(RXN + "42316", *span(300), route=""),), TACRO, "unknown", "no-record"),
    Row("a route that nobody maps", (drug("tacrolimus", *span(300), route=LOCAL + "route"),), TACRO, "unknown", "no-record"),
    Row(
        "a route in words that nobody maps",
        (drug("tacrolimus", *span(300), route="", route_text="somehow"),),
        TACRO,
        "unknown",
        "no-record",
    ),
    Row("a route in words", (drug("tacrolimus", *span(300), route="", route_text=" By Mouth "),), TACRO, "met", "in-range"),
]


def pulses(name: str, starts: list[str], route: str = "intravenous") -> tuple[Any, ...]:
    return tuple(drug(name, start, start, single=True, strength=Strength.ADMINISTERED, route=route) for start in starts)


MONTHLY = [(date(2024, 1, 1) + timedelta(28 * index)).isoformat() for index in range(8)]
WEEKLY = [(date(2024, 1, 1) + timedelta(7 * index)).isoformat() for index in range(30)]
SINGLE = [
    Row("seven monthly pulses cover 196 days", pulses("cyclophosphamide", MONTHLY[:7]), PULSE, "met", "in-range"),
    Row("six cover 168", pulses("cyclophosphamide", MONTHLY[:6]), PULSE, "unknown", "no-record"),
    Row("one tablet covers one day", pulses("cyclophosphamide", MONTHLY, route="oral"), PULSE, "unknown", "no-record"),
    Row("a weekly dose covers a week", pulses("methotrexate", WEEKLY, route="oral"), PULSE, "met", "in-range"),
    Row("a dose without a route covers the least", pulses("tocilizumab", MONTHLY, route=""), PULSE, "unknown", "no-record"),
    Row(
        "27 weekly doses under the skin cover 189 days",
        pulses("tocilizumab", WEEKLY[:27], route="subcutaneous"),
        PULSE,
        "met",
        "in-range",
    ),
    Row("an intravenous dose covers four weeks", pulses("tocilizumab", MONTHLY[:7]), PULSE, "met", "in-range"),
    Row("a dose on a day that is known to the year", pulses("cyclophosphamide", ["2024"]), PULSE, "unknown", "no-record"),
]

DOSES = [
    Row("15 mg count", (steroid("15"),), STEROID, "met", "in-range"),
    Row("above them they do not", (steroid("15.5"),), STEROID, "unknown", "no-record"),
    Row("a dose that is not told", (drug(ATC + "H02AB07", "2024-01-01", "2024-12-31"),), STEROID, "unknown", "no-record"),
    Row(
        "30 mg every second day are 15",
        (drug(ATC + "H02AB07", "2024-01-01", "2024-12-31", doses=(Dose(numerator=30, times=1, period_days=2, unit="mg"),)),),
        STEROID,
        "met",
        "in-range",
    ),
    Row("a drug as needed", (aza(300, doses=(Dose(per_day=5, unit="mg", as_needed=True),)),), exposure(), "unknown", "no-record"),
    Row("a dose in words only", (aza(300, doses=(Dose(text="as told"),)),), exposure(), "unknown", "no-record"),
    Row(
        "words beside a dose",
        (aza(300, doses=(Dose(numerator=5, unit="mg", text="as told"),)),),
        exposure(),
        "met",
        "in-range",
    ),
    Row(
        "words beside a dose of the day",
        (aza(300, doses=(Dose(per_day=5, unit="mg", text="as told"),)),),
        exposure(),
        "met",
        "in-range",
    ),
    Row(
        "as needed",
        (drug(ATC + "H02AB07", "2024-01-01", "2024-12-31", doses=(Dose(per_day=5, unit="mg", as_needed=True),)),),
        STEROID,
        "unknown",
        "no-record",
    ),
    Row(
        "grams",
        (drug(ATC + "H02AB07", "2024-01-01", "2024-12-31", doses=(Dose(per_day=Decimal("0.01"), unit="g"),)),),
        STEROID,
        "met",
        "in-range",
    ),
    Row(
        "micrograms",
        (drug(ATC + "H02AB07", "2024-01-01", "2024-12-31", doses=(Dose(per_day=5000, unit="µg"),)),),
        STEROID,
        "met",
        "in-range",
    ),
    Row(
        "tablets",
        (drug(ATC + "H02AB07", "2024-01-01", "2024-12-31", doses=(Dose(per_day=1, unit="TAB"),)),),
        STEROID,
        "unknown",
        "no-record",
    ),
    Row(
        "a dose in text",
        (drug(ATC + "H02AB07", "2024-01-01", "2024-12-31", doses=(Dose(text="see plan", unit="mg"),)),),
        STEROID,
        "unknown",
        "no-record",
    ),
    Row(
        "doses that taper",
        (drug(ATC + "H02AB07", "2024-01-01", "2024-12-31", doses=(Dose(per_day=10, unit="mg"), Dose(per_day=5, unit="mg"))),),
        STEROID,
        "unknown",
        "no-record",
    ),
    Row(
        "the same dose written twice",
        (drug(ATC + "H02AB07", "2024-01-01", "2024-12-31", doses=(Dose(per_day=10, unit="mg"), Dose(per_day=10, unit="mg"))),),
        STEROID,
        "met",
        "in-range",
    ),
    Row(
        "a number beyond bounds",
        (drug(ATC + "H02AB07", "2024-01-01", "2024-12-31", doses=(Dose(per_day=10**60, unit="mg"),)),),
        STEROID,
        "unknown",
        "no-record",
    ),
    Row(
        "a steroid without an equivalent",
        (drug("http://www.whocc.no/atc|H02AB14", "2024-01-01", "2024-12-31", dose="5"),),
        STEROID,
        "unknown",
        "no-record",
    ),
    Row(
        "10 mg of one and 10 mg of another on one day",
        (steroid("10"), steroid("10", "prednisolone", ref="b")),
        STEROID,
        "unknown",
        "no-record",
    ),
    Row(
        "10 mg and 5 mg of another on one day", (steroid("10"), steroid("5", "prednisolone", ref="b")), STEROID, "met", "in-range"
    ),
    Row(
        "an order and its dispense are the same tablets",
        (steroid("10", strength=Strength.ORDERED), steroid("10", strength=Strength.DISPENSED, ref="b")),
        STEROID,
        "met",
        "in-range",
    ),
    Row("two statements of one drug add up", (steroid("10"), steroid("10", ref="b")), STEROID, "unknown", "no-record"),
    Row(
        "an active order without an end tells the dose of what was dispensed",
        (ordered("10", status="active"), dispensed()),
        STEROID,
        "met",
        "in-range",
    ),
    Row(
        "one that is over does not",
        (ordered("10", status="completed"), dispensed()),
        STEROID,
        "unknown",
        "no-record",
    ),
    Row(
        "an active order alone is no proof of use",
        (ordered("10", status="active"),),
        STEROID,
        "unknown",
        "no-record",
    ),
    Row("5 mg and 5 mg are 10", (steroid("5"), steroid("5", ref="b")), TEN, "met", "in-range"),
    Row(
        "unless nobody knows how long the second was taken",
        (steroid("5"), drug(ATC + STEROIDS["prednisone"], "2024-01-01", certain_until="2024-01-03", dose="5", ref="b")),
        TEN,
        "unknown",
        "no-record",
    ),
    Row(
        "what is ordered of one drug adds nothing to the days of another",
        (ordered("10", status="active"), drug(ATC + STEROIDS["betamethasone"], "2024-01-01", "2024-12-31", ref="b")),
        TEN,
        "unknown",
        "no-record",
    ),
    Row("inhaled steroids do not count", (steroid("10", route="inhaled"),), STEROID, "unknown", "no-record"),
]

PER_DRUG = exposure(method="per-drug")
LONGEST = exposure(method="longest")
LAST = exposure(method="last")
METHODS = [
    Row("each drug alone", (aza(100), drug(MMF, *span(100, "2024-08-01"))), PER_DRUG, "unknown", "no-record"),
    Row("one of them long enough", (aza(200), drug(MMF, *span(100, "2024-08-01"))), PER_DRUG, "met", "in-range"),
    Row("the longest episode", (aza(200, "2022-01-01"), aza(20)), LONGEST, "met", "in-range"),
    Row("no long one", (aza(100, "2022-01-01"), aza(100)), LONGEST, "unknown", "no-record"),
    Row("the last episode", (aza(200, "2022-01-01"), aza(20)), LAST, "unknown", "no-record"),
    Row("a last one that is long enough", (aza(20, "2022-01-01"), aza(200)), LAST, "met", "in-range"),
    Row(
        "a last one of at least six months",
        (aza(20, "2022-01-01"), aza(184)),
        exposure(method="last", more_than="", at_least="6 mo"),
        "met",
        "in-range",
    ),
    Row("gaps up to 30 days join an episode", (aza(100), aza(100, "2024-05-10")), LAST, "met", "in-range"),
    Row("longer ones do not", (aza(100), aza(100, "2024-05-11")), LAST, "unknown", "no-record"),
    Row(
        "no gap is bridged without a word",
        (aza(100), aza(100, "2024-05-10")),
        exposure(method="last", gap=""),
        "unknown",
        "no-record",
    ),
    Row("none, by the longest", (), LONGEST, "unknown", "no-record"),
    Row("none, by the last", (), LAST, "unknown", "no-record"),
    Row(
        "days whose dose may count, after days of a higher one, may be another episode",
        (
            steroid("10"),
            drug(ATC + STEROIDS["prednisone"], "2024-01-01", certain_until="2024-07-31", dose="4", ref="more"),
            drug(ATC + STEROIDS["prednisone"], "2024-08-01", "2024-09-30", dose="20", ref="pulse"),
        ),
        exposure("[{concept: glucocorticoid, systemic: true, dose: {at-least: 12 mg/d, at-most: 20 mg/d}}]", method="last"),
        "unknown",
        "no-record",
    ),
]


@pytest.mark.parametrize("row", [*DAYS, *CERTAIN, *ROUTES, *SINGLE, *DOSES, *METHODS], ids=str)
def test_exposure(row: Row) -> None:
    check(row)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_the_prednisone_vectors(vector: dict[str, Any]) -> None:
    name, amount = vector["inputs"]["drug"], vector["inputs"]["dose"].partition(" ")[0]
    doses = [Fraction(entry["fraction"]) for entry in vector["expected"]]
    equals = concepts().equivalents[ATC + STEROIDS[name]]
    assert derive.prednisone_equivalent(Fraction(Decimal(amount)), equals) == Interval(min(doses), max(doses))
    found = result(STEROID, steroid(amount, name))
    assert (found.verdict.value == "met") is (vector["at_most_15"] == "yes")
    assert bool(found.set_aside) is (vector["at_most_15"] == "no")
    assert any("possible" in note for note in found.notes) is (vector["at_most_15"] == "unknown")


def test_the_days_found_are_said_and_too_few_are_never_not_met() -> None:
    found = result(BOTH, aza(100))
    assert "100 days surely covered" in found.notes
    assert [e.compared for e in found.evidence] == ["2024-01-01 to 2024-04-09"]


def test_an_order_is_marked_as_not_known_to_be_taken() -> None:
    assert "ordered, not known to be taken" in result(BOTH, aza(300, strength=Strength.ORDERED)).evidence[0].note
    assert "possible, not certain" in result(BOTH, drug(AZA, "2024-01-01")).evidence[0].note


def test_what_does_not_count_is_set_aside_with_the_reason() -> None:
    facts = (
        drug("tacrolimus", *span(300), route="topical", ref="skin"),
        drug("tacrolimus", *span(300), counts=Counts.NO, status="entered-in-error", ref="error"),
        drug("tacrolimus", *span(300), counts=Counts.NEGATIVE, status="not-taken", ref="not"),
        drug("tacrolimus", "2026-01-01", "2026-02-01", ref="later"),
        drug("tacrolimus", *span(300), strength=Strength.ORDERED, ref="order"),
    )
    criterion = exposure("[{concept: tacrolimus, systemic: true}]", strength="stated")
    aside = {s.reference.partition("/")[2]: s.why for s in result(criterion, *facts).set_aside}
    assert aside == {
        "skin": "not systemic use",
        "error": "status entered-in-error",
        "not": "status not-taken",
        "later": "no day of it lies in the window",
        "order": "only ordered",
    }


def test_other_ways_of_adding_up_are_noted_where_they_would_change_the_verdict() -> None:
    found = relma_results(aza(100), drug(MMF, *span(100, "2024-08-01"))).find("conventional-therapy")
    assert found is not None and found.verdict.value == "met"
    assert any("per-drug, longest, last" in note for note in found.notes)
    alone = relma_results(aza(300)).find("conventional-therapy")
    assert not any("counted otherwise" in note for note in alone.notes)  # type: ignore[union-attr]


def test_a_heavy_steroid_day_does_not_cap_the_patient() -> None:
    facts = (drug(ATC + "H02AB07", "2024-01-01", "2024-01-31", dose="60"), aza(200, "2024-02-01"))
    assert said(relma_results(*facts).find("conventional-therapy")) == ("met", "in-range")


def test_a_day_after_which_possible_days_would_suffice_is_said() -> None:
    assert any("possible" in note for note in result(BOTH, drug(AZA, "2024-01-01")).notes)
    assert not any("possible" in note for note in result(BOTH, aza(10)).notes)


def test_a_ceiling_masks_only_the_days_on_which_it_may_be_passed() -> None:
    short = drug(ATC + "H02AB06", "2024-03-01", "2024-03-10", dose="10")
    found = result(STEROID, steroid("10"), short)
    assert "356 days surely covered" in found.notes and found.verdict.value == "met"


def test_needs_and_provisional() -> None:
    assert {n.type for n in protocol(BOTH).needs()} >= {"MedicationRequest", "MedicationDispense"}
    assert result(exposure(window="{milestone: baseline}"), aza(300)).provisional


@pytest.mark.parametrize(
    "name",
    [
        AZA,
        MTX,
        MMF,
        HCQ,
        "leflunomide",
        "ciclosporin",
        "rituximab",
        "belimumab",
        "tocilizumab",
        "telitacicept",
        "tacrolimus",
        "cyclophosphamide",
    ],
)
def test_each_class_of_the_protocol_counts(name: str) -> None:
    assert said(relma_results(drug(name, *span(300))).find("conventional-therapy")) == ("met", "in-range")


def test_a_dose_that_is_not_told_is_said_beside_the_record() -> None:
    untold = result(STEROID, drug(ATC + "H02AB07", "2024-01-01", "2024-12-31"))
    assert "daily dose not recorded" in untold.evidence[0].note
    assert "daily dose not recorded" not in result(STEROID, steroid("5")).evidence[0].note
