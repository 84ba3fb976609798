"""Exposure as a wash-out: what was not taken, by days or half-lives, by route, by the dose of a day, and what absence may claim."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from textwrap import indent
from typing import Any

import msgspec
import pytest

from fhir_elig.criteria.doses import tablet_strength
from fhir_elig.errors import CODES, AuthoringError
from fhir_elig.record import Counts, Dose, Flaw, Refused, Strength
from tests.spec.table import (
    EVERYTHING,
    LOCAL,
    Row,
    assessed,
    check,
    code_of,
    concepts,
    contact,
    drug,
    lab,
    protocol,
    result,
    said,
    served,
)
from tests.spec.test_exposure import ATC, AZA, STEROIDS
from tests.spec.words import Page

PAGE = Page(
    "Exposure as a wash-out",
    """
A protocol may ask that a drug was not taken for some days or half-lives. That no use is recorded is taken for "not taken"
only where the criterion says so, the records were read to the end, and the patient was seen in that time.
""",
    {
        "ABSENT": "What may be called not taken",
        "DOSES": "Above a dose of a day",
        "BODY": "Doses for each kilogram",
        "ROUTES": "Routes",
        "LIVES": "Half-lives",
    },
)

PRED, HYDRO = ATC + STEROIDS["prednisone"], ATC + STEROIDS["hydrocortisone"]
SEEN = (EVERYTHING, contact("2025-05-30"))


def washout(agents: str = f"[{{concept: {AZA}}}]", before: str = "30 d", **more: str) -> str:
    given = {"at_least": "1 d", "absence": "closed", "window": f"{{before: {before}}}", **more}
    return f"exposure:\n  agents: {agents}" + "".join(f"\n  {k.replace('_', '-')}: {v}" for k, v in given.items() if v)


def taken(name: str, start: str, end: str | None = None, **more: Any) -> Any:
    return drug(name, start, end or start, **more)


AZA_30 = washout()
ABSENT = [
    Row("nothing on record of a chart that was kept", SEEN, AZA_30, "not-met", "absent"),
    Row("absence that the criterion does not claim", SEEN, washout(absence="open"), "unknown", "no-record"),
    Row("no contact in the window", (EVERYTHING, contact("2025-01-01")), AZA_30, "unknown", "no-record"),
    Row("no type of medication was served", (contact("2025-05-30"),), AZA_30, "unknown", "no-record"),
    Row("one whole type is enough", (served("MedicationStatement"), contact("2025-05-30")), AZA_30, "not-met", "absent"),
    Row(
        "a page of another is missing",
        (served("MedicationStatement"), served("MedicationRequest", note="partial"), contact("2025-05-30")),
        AZA_30,
        "unknown",
        "incomplete",
    ),
    Row("taken inside", (*SEEN, taken(AZA, "2025-05-10")), AZA_30, "met", "in-range"),
    Row("taken on the first day of the window", (*SEEN, taken(AZA, "2025-05-02")), AZA_30, "met", "in-range"),
    Row("taken the day before it", (*SEEN, taken(AZA, "2025-05-01")), AZA_30, "not-met", "absent"),
    Row("taken until after the window began", (*SEEN, taken(AZA, "2024-01-01", "2025-05-02")), AZA_30, "met", "in-range"),
    Row("taken from a day of May until some day of May", (*SEEN, taken(AZA, "2025-05-10", "2025-05")), AZA_30, "met", "in-range"),
    Row(
        "taken since some day of May, as was told on 20 May",
        (*SEEN, drug(AZA, "2025-05", certain_until="2025-05-20")),
        AZA_30,
        "met",
        "in-range",
    ),
    Row(
        "taken since some day of May, as was told in May",
        (*SEEN, drug(AZA, "2025-05", certain_until="2025-05")),
        AZA_30,
        "unknown",
        "imprecise-date",
    ),
    Row("taken until some day of May", (*SEEN, taken(AZA, "2024-01-01", "2025-05")), AZA_30, "unknown", "imprecise-date"),
    Row("an open end that nobody vouches for", (*SEEN, drug(AZA, "2024-01-01")), AZA_30, "unknown", "imprecise-date"),
    Row("an order alone", (*SEEN, taken(AZA, "2025-05-10", strength=Strength.ORDERED)), AZA_30, "unknown", "unconfirmed"),
    Row(
        "an order of a day before the window that is done with",
        (*SEEN, drug(AZA, "2025-04-10", strength=Strength.ORDERED, status="completed")),
        AZA_30,
        "not-met",
        "absent",
    ),
    Row(
        "an order that goes on",
        (*SEEN, drug(AZA, "2025-04-10", strength=Strength.ORDERED)),
        AZA_30,
        "unknown",
        "unconfirmed",
    ),
    Row("shown only", (*SEEN, taken(AZA, "2025-05-10", counts=Counts.SHOWN)), AZA_30, "unknown", "unconfirmed"),
    Row("shown only, at another time", (*SEEN, taken(AZA, "2025-03-10", counts=Counts.SHOWN)), AZA_30, "not-met", "absent"),
    Row("not taken", (*SEEN, taken(AZA, "2025-05-10", counts=Counts.NEGATIVE)), AZA_30, "not-met", "absent"),
    Row("in error", (*SEEN, taken(AZA, "2025-05-10", counts=Counts.NO)), AZA_30, "not-met", "absent"),
    Row("a drug that nobody can tell", (*SEEN, taken(LOCAL + "80", "2025-05-10")), AZA_30, "unknown", "unmapped"),
    Row("a drug that nobody can tell, at another time", (*SEEN, taken(LOCAL + "80", "2025-03-10")), AZA_30, "not-met", "absent"),
    Row(
        "a drug that nobody can tell, which lasts if it is the one",
        (*SEEN, drug(LOCAL + "80", "2025-03-10", "2025-03-10", single=True, strength=Strength.ADMINISTERED)),
        washout("[{concept: azathioprine}, {concept: rituximab, persists: [{days: 180}]}]"),
        "unknown",
        "unmapped",
    ),
    Row(
        "a drug that nobody can tell, by a route that does not count",
        (*SEEN, taken(LOCAL + "80", "2025-05-10", route="oral")),
        washout("[{concept: rituximab, routes: [intravenous]}]"),
        "not-met",
        "absent",
    ),
    Row("a modifier", (*SEEN, taken(AZA, "2025-05-10", flaws=(Flaw.MODIFIER,))), AZA_30, "unknown", "modifier"),
    Row(
        "a record that could not be read",
        (*SEEN, Refused("MedicationStatement/x", "MedicationStatement", "NaN")),
        AZA_30,
        "unknown",
        "incomplete",
    ),
    Row("a milestone without a date", SEEN, washout(window="{milestone: enrollment}"), "unknown", "pending-event"),
    Row(
        "days of the window are to come",
        SEEN,
        washout(window="{milestone: enrollment, before: 30 d}"),
        "unknown",
        "pending-event",
        {"events": {"enrollment": "2025-06-20"}},
    ),
    Row(
        "over two weeks in total: 14 days",
        (*SEEN, taken(AZA, "2025-03-01", "2025-03-10"), taken(AZA, "2025-05-01", "2025-05-04")),
        washout(before="24 wk", at_least="", more_than="2 wk"),
        "not-met",
        "absent",
    ),
    Row(
        "over two weeks in total: 15 days",
        (*SEEN, taken(AZA, "2025-03-01", "2025-03-10"), taken(AZA, "2025-05-01", "2025-05-05")),
        washout(before="24 wk", at_least="", more_than="2 wk"),
        "met",
        "in-range",
    ),
    Row(
        "over two weeks in total: 14 days, and a day of an order",
        (
            *SEEN,
            taken(AZA, "2025-03-01", "2025-03-10"),
            taken(AZA, "2025-05-01", "2025-05-04"),
            taken(AZA, "2025-05-07", strength=Strength.ORDERED),
        ),
        washout(before="24 wk", at_least="", more_than="2 wk"),
        "unknown",
        "unconfirmed",
    ),
]

STEROID = "[{concept: glucocorticoid, systemic: true, dose: {more-than: 5 mg/d, as: prednisone}}]"
HIGH = washout(STEROID, before="5 d")
MAY_28 = ("2025-05-28", "2025-05-29")
DOSES = [
    Row("5 mg are not more than 5", (*SEEN, taken(PRED, *MAY_28, dose="5")), HIGH, "not-met", "absent"),
    Row("5.5 mg are", (*SEEN, taken(PRED, *MAY_28, dose="5.5")), HIGH, "met", "in-range"),
    Row(
        "two that add up to more",
        (*SEEN, taken(PRED, *MAY_28, dose="4"), taken(HYDRO, *MAY_28, dose="8")),
        HIGH,
        "met",
        "in-range",
    ),
    Row("at no known dose", (*SEEN, taken(PRED, *MAY_28)), HIGH, "unknown", "no-record"),
    Row(
        "as needed",
        (*SEEN, taken(PRED, *MAY_28, doses=(Dose(numerator=20, unit="mg", as_needed=True),))),
        HIGH,
        "unknown",
        "no-record",
    ),
    Row(
        "an order of more alone",
        (*SEEN, taken(PRED, *MAY_28, dose="20", strength=Strength.ORDERED)),
        HIGH,
        "unknown",
        "unconfirmed",
    ),
    Row("an order of less", (*SEEN, taken(PRED, *MAY_28, dose="5", strength=Strength.ORDERED)), HIGH, "not-met", "absent"),
    Row(
        "a little taken, and a little ordered of another, are more together",
        (*SEEN, taken(PRED, *MAY_28, dose="5"), taken(HYDRO, *MAY_28, dose="20", strength=Strength.ORDERED)),
        HIGH,
        "unknown",
        "unconfirmed",
    ),
    Row("on the skin", (*SEEN, taken(PRED, *MAY_28, dose="40", route="topical")), HIGH, "not-met", "absent"),
    Row("before the window", (*SEEN, taken(PRED, "2025-05-01", "2025-05-20", dose="40")), HIGH, "not-met", "absent"),
    Row(
        "a dose in milligrams of its own",
        (*SEEN, taken("mycophenolate", *MAY_28, dose="2500")),
        washout("[{concept: mycophenolate, dose: {more-than: 2 g/d}}]"),
        "met",
        "in-range",
    ),
    Row(
        "no more than that",
        (*SEEN, taken("mycophenolate", *MAY_28, dose="2000")),
        washout("[{concept: mycophenolate, dose: {more-than: 2 g/d}}]"),
        "not-met",
        "absent",
    ),
    Row(
        "between two limits",
        (*SEEN, taken("mycophenolate", *MAY_28, dose="1500")),
        washout("[{concept: mycophenolate, dose: {at-least: 1 g/d, less-than: 2 g/d}}]"),
        "met",
        "in-range",
    ),
]

PER_KG = washout("[{concept: glucocorticoid, systemic: true, dose: {more-than: 1.5 mg/kg/d, as: prednisone}}]")
WEIGHT = (*SEEN, lab("weight", "60 kg", "2025-05-20"))
BODY = [
    Row("90 mg at 60 kg are not more", (*WEIGHT, taken(PRED, *MAY_28, dose="90")), PER_KG, "not-met", "absent"),
    Row("91 mg are", (*WEIGHT, taken(PRED, *MAY_28, dose="91")), PER_KG, "met", "in-range"),
    Row("without a weight", (*SEEN, taken(PRED, *MAY_28, dose="91")), PER_KG, "unknown", "no-record"),
    Row(
        "with two weights on both sides of it",
        (*WEIGHT, lab("weight", "62 kg", "2025-05-10"), taken(PRED, *MAY_28, dose="91")),
        PER_KG,
        "unknown",
        "no-record",
    ),
    Row(
        "a weight of no known date may be of these days",
        (*WEIGHT, lab("weight", "62 kg", None), taken(PRED, *MAY_28, dose="91")),
        PER_KG,
        "unknown",
        "no-record",
    ),
    Row(
        "a weight of no known date alone may be of long ago",
        (*SEEN, lab("weight", "60 kg", None), taken(PRED, *MAY_28, dose="91")),
        PER_KG,
        "unknown",
        "no-record",
    ),
    Row(
        "a weight of a month in which the 90 days begin",
        (*SEEN, lab("weight", "60 kg", "2025-03"), taken(PRED, *MAY_28, dose="91")),
        PER_KG,
        "unknown",
        "no-record",
    ),
    Row(
        "a weight that is kept back",
        (*WEIGHT, lab("weight", None, "2025-05-22", absent="masked"), taken(PRED, *MAY_28, dose="91")),
        PER_KG,
        "unknown",
        "no-record",
    ),
    Row(
        "a weight that was not taken",
        (*WEIGHT, lab("weight", None, "2025-05-22", absent="not-performed"), taken(PRED, *MAY_28, dose="91")),
        PER_KG,
        "met",
        "in-range",
    ),
    Row("of more than 61 kg", (*SEEN, lab("weight", ">61 kg"), taken(PRED, *MAY_28, dose="91")), PER_KG, "not-met", "absent"),
    Row("of less than 60 kg", (*SEEN, lab("weight", "<60 kg"), taken(PRED, *MAY_28, dose="91")), PER_KG, "met", "in-range"),
    Row("of more than 60 kg", (*SEEN, lab("weight", ">60 kg"), taken(PRED, *MAY_28, dose="91")), PER_KG, "unknown", "no-record"),
    Row(
        "another weight may be in a resource that could not be read",
        (*WEIGHT, Refused("Observation/x", "Observation", "NaN"), taken(PRED, *MAY_28, dose="91")),
        PER_KG,
        "unknown",
        "incomplete",
    ),
    Row(
        "no weight is in one with another code",
        (*WEIGHT, Refused("Observation/x", "Observation", "NaN", (code_of("hemoglobin"),)), taken(PRED, *MAY_28, dose="91")),
        PER_KG,
        "met",
        "in-range",
    ),
    Row(
        "nothing taken is no dose, whatever the weight",
        (*SEEN, Refused("Observation/x", "Observation", "NaN")),
        PER_KG,
        "not-met",
        "absent",
    ),
    Row(
        "a weight of last year says nothing",
        (*SEEN, lab("weight", "60 kg", "2024-01-01"), taken(PRED, *MAY_28, dose="91")),
        PER_KG,
        "unknown",
        "no-record",
    ),
]

INJECTED = washout("[{concept: glucocorticoid, routes: [intravenous, intramuscular]}]")
ROUTES = [
    Row("into a vein", (*SEEN, taken(PRED, *MAY_28, route="intravenous")), INJECTED, "met", "in-range"),
    Row("by mouth", (*SEEN, taken(PRED, *MAY_28, route="oral")), INJECTED, "not-met", "absent"),
    Row("by a route that is not told", (*SEEN, taken(PRED, *MAY_28, route="")), INJECTED, "unknown", "no-record"),
]

# pegfilgrastim: 15 to 80 hours; five half-lives are 3.1 to 16.7 days.
PEG = ATC + "L03AA13"


def lives(which: str, before: str, name: str = "growth_factor_white") -> str:
    return washout(f"[{{concept: {name}}}]", before=before, half_lives="5", whichever=which)


LIVES = [
    Row(
        "three days are within five half-lives of it",
        (*SEEN, taken(PEG, "2025-05-29")),
        lives("longer", "0 d"),
        "met",
        "in-range",
    ),
    Row("ten days may be", (*SEEN, taken(PEG, "2025-05-22")), lives("longer", "0 d"), "unknown", "imprecise-date"),
    Row(
        "17 days may be, for a part of the day",
        (*SEEN, taken(PEG, "2025-05-15")),
        lives("longer", "0 d"),
        "unknown",
        "imprecise-date",
    ),
    Row("18 days are not", (*SEEN, taken(PEG, "2025-05-14")), lives("longer", "0 d"), "not-met", "absent"),
    Row(
        "a drug that nobody can tell is gone as soon as the only one that counts",
        (*SEEN, taken(LOCAL + "80", "2025-05-29")),
        lives("longer", "0 d", "azathioprine"),
        "not-met",
        "absent",
    ),
    Row(
        "of a class nobody can tell when it is gone",
        (*SEEN, taken(LOCAL + "80", "2025-05-01")),
        lives("longer", "0 d"),
        "unknown",
        "unmapped",
    ),
    Row(
        "the longer of 30 days and five half-lives", (*SEEN, taken(PEG, "2025-05-02")), lives("longer", "30 d"), "met", "in-range"
    ),
    Row("past both", (*SEEN, taken(PEG, "2025-05-01")), lives("longer", "30 d"), "not-met", "absent"),
    Row(
        "the shorter of 2 days and five half-lives",
        (*SEEN, taken(PEG, "2025-05-29")),
        lives("shorter", "2 d"),
        "not-met",
        "absent",
    ),
    Row(
        "the shorter of 14 days and five half-lives may be over",
        (*SEEN, taken(PEG, "2025-05-22")),
        lives("shorter", "14 d"),
        "unknown",
        "imprecise-date",
    ),
    Row(
        "the shorter of 30 days and five half-lives is over",
        (*SEEN, taken(PEG, "2025-05-14")),
        lives("shorter", "30 d"),
        "not-met",
        "absent",
    ),
    Row(
        "no half-life known: the days of the longer one",
        (*SEEN, taken(ATC + "L03AA09", "2025-05-10")),
        lives("longer", "30 d"),
        "met",
        "in-range",
    ),
    Row(
        "no half-life known: past the days the longer one may still run",
        (*SEEN, taken(ATC + "L03AA09", "2024-05-10")),
        lives("longer", "30 d"),
        "unknown",
        "imprecise-date",
    ),
    Row(
        "no half-life known: within the days the shorter one may be over",
        (*SEEN, taken(ATC + "L03AA09", "2025-05-10")),
        lives("shorter", "30 d"),
        "unknown",
        "imprecise-date",
    ),
    Row(
        "no half-life known: past the days the shorter one is over",
        (*SEEN, taken(ATC + "L03AA09", "2025-04-10")),
        lives("shorter", "30 d"),
        "not-met",
        "absent",
    ),
]


@pytest.mark.parametrize("row", [*ABSENT, *DOSES, *BODY, *ROUTES, *LIVES], ids=str)
def test_wash_out(row: Row) -> None:
    check(row)


def test_a_wash_out_ends_on_the_day_after_its_last_day() -> None:
    taken_in_may = (*SEEN, taken(AZA, "2025-05-10"))
    assert assessed(f"not:\n{indent(AZA_30, '  ')}", *taken_in_may).valid_until == "2025-06-10"
    for day, verdict in (("2025-06-09", "not-met"), ("2025-06-10", "met")):
        found = result(f"not:\n{indent(AZA_30, '  ')}", *taken_in_may, contact("2025-06-08"), as_of=day)
        assert found.verdict.value == verdict
        assert found.recoverable is (verdict == "not-met")


def test_a_dose_for_each_kilogram_stands_as_long_as_the_weight_does() -> None:
    long_ago = lab("weight", "60 kg", "2025-03-10")  # its 90 days end on 8 June
    daily = taken(PRED, "2025-05-01", "2025-05-29", dose="91")
    assert said(result(PER_KG, *SEEN, long_ago, daily)) == ("met", "in-range")
    assert assessed(PER_KG, *SEEN, long_ago, daily).valid_until == "2025-06-09"
    assert said(result(PER_KG, *SEEN, long_ago, daily, as_of="2025-06-08")) == ("met", "in-range")
    assert said(result(PER_KG, *SEEN, long_ago, daily, as_of="2025-06-09")) == ("unknown", "no-record")


def test_half_lives_end_too() -> None:
    found = assessed(lives("longer", "0 d"), *SEEN, taken(PEG, "2025-05-22"))
    assert found.valid_until == "2025-06-09"  # 18 days on, all of five half-lives are over


@pytest.mark.parametrize(("before", "until"), [("10 d", "2025-06-15"), ("30 d", "2025-06-28")])
def test_a_contact_stands_as_long_as_the_longer_of_days_and_half_lives(before: str, until: str) -> None:
    seen = (EVERYTHING, contact("2025-05-28"))
    assert assessed(lives("longer", before), *seen).valid_until == until
    day_before = (date.fromisoformat(until) - timedelta(1)).isoformat()
    assert said(result(lives("longer", before), *seen, as_of=day_before)) == ("not-met", "absent")
    assert said(result(lives("longer", before), *seen, as_of=until)) == ("unknown", "no-record")


def test_the_shorter_of_two_needs_contact_in_its_own_window_only() -> None:
    old = (EVERYTHING, contact("2025-05-20"))
    assert said(result(lives("longer", "7 d"), *old)) == ("not-met", "absent")
    assert said(result(lives("shorter", "7 d"), *old)) == ("unknown", "no-record")


def test_an_imported_product_has_the_half_life_of_its_ingredient() -> None:
    known = concepts().half_lives
    assert known[PEG] == (15, 80) and known[ATC + "L04AX01"] == (5,)


WRONG = [
    ("[{concept: glucocorticoid, routes: [intravenus]}]", "", "did you mean intravenous or"),
    ("[{concept: glucocorticoid, dose: {at-most: 5 mg/d}, prednisone-equivalent-at-most: 15 mg/d}]", "", "one of two"),
    (f"[{{concept: {AZA}}}]", "last", "the absence of a last episode cannot be told"),
    (f"[{{concept: {AZA}, dose: {{as: prednisone}}}}]", "", "a dose has a lower limit"),
    (f"[{{concept: {AZA}, dose: {{at-most: 5 mg/d, less-than: 6 mg/d}}}}]", "", "a dose has a lower limit"),
    (f"[{{concept: {AZA}, dose: {{more-than: 1 mg/kg/d, less-than: 6 mg/d}}}}]", "", "both limits of a dose are per kilogram"),
    (f"[{{concept: {AZA}, dose: {{more-than: 1 tablet}}}}]", "", "more-than"),
]


@pytest.mark.parametrize(("agents", "method", "said"), WRONG)
def test_what_cannot_be_meant_is_said_when_the_protocol_is_loaded(agents: str, method: str, said: str) -> None:
    with pytest.raises(AuthoringError) as raised:
        protocol(washout(agents, method=method))
    assert said in str(raised.value.findings)
    assert {finding.code for finding in raised.value.findings} <= set(CODES)


RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm|"
CAPSULES = washout("[{concept: ciclosporin, dose: {more-than: 100 mg/d}}]", before="5 d")


def capsules(code: str, count: float, unit: str = "{capsule}", **more: Any) -> Any:
    doses = (Dose(numerator=Decimal(str(count)), times=2, period_days=1, unit=unit),)
    return drug(RXNORM + code, *MAY_28, doses=doses, **more)


TABLETS = [
    Row("two of 25 mg twice a day are 100 mg", (*SEEN, capsules("197553", 2)), CAPSULES, "not-met", "absent"),
    Row("three are 150 mg", (*SEEN, capsules("197553", 3)), CAPSULES, "met", "in-range"),
    Row("in words", (*SEEN, capsules("197553", 3, "Capsules")), CAPSULES, "met", "in-range"),
    Row("half of one", (*SEEN, capsules("197552", 0.5)), CAPSULES, "not-met", "absent"),
    Row("of an ingredient that names no product", (*SEEN, capsules("3008", 3)), CAPSULES, "unknown", "no-record"),
    Row("of a solution", (*SEEN, capsules("309632", 3)), CAPSULES, "unknown", "no-record"),
    Row(
        "of two products of different strength",
        (*SEEN, msgspec.structs.replace(capsules("197553", 3), codes=(RXNORM + "197553", RXNORM + "205168"))),
        CAPSULES,
        "unknown",
        "no-record",
    ),
    Row("drops", (*SEEN, capsules("197553", 3, "drop")), CAPSULES, "unknown", "no-record"),
]


@pytest.mark.parametrize("row", TABLETS, ids=str)
def test_tablets_count_by_what_the_coded_product_holds(row: Row) -> None:
    check(row)


@pytest.mark.parametrize(
    ("product", "milligrams"),
    [
        ("prednisone 5 MG Oral Tablet", "5"),
        ("mycophenolate mofetil 250 MG Oral Capsule [Cellcept]", "250"),
        ("prednisone 2.5 MG Delayed Release Oral Tablet [Rayos]", "2.5"),
        ("cyclosporine 100 MG/ML Oral Solution", None),
        ("24 HR tacrolimus 1 MG Extended Release Oral Capsule", None),
        ("amlodipine 5 MG / olmesartan 20 MG Oral Tablet", None),
        ("prednisone", None),
        ("prednisone 5 mg oral tablet", None),
    ],
)
def test_the_strength_of_a_tablet_is_read_from_a_normalised_name_only(product: str, milligrams: str | None) -> None:
    assert tablet_strength(product) == (None if milligrams is None else Fraction(milligrams))
