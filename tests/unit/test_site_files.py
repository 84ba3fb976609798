"""Site files and answers files: what they say, and what is refused in them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from fhir_elig.errors import AuthoringError, Finding
from fhir_elig.quantity import point
from fhir_elig.record import Answer, Counts
from fhir_elig.site import CANONICAL_BASE, decisions, load_answers, load_site
from fhir_elig.times import parse_when
from tests.spec.table import concepts, relma

GOOD = """site: example
time_zone: Europe/Berlin
codes: {mrss: ["http://hospital.example/codes|MR"], transfusion_any: ["http://hospital.example/procedures|TX01"]}
complete: {transfusion_any: ["http://hospital.example/procedures"]}
units: {"http://hospital.example/codes|HB": g/dL}
upper_limits: [{analyte: alt, sex: female, limit: 34 U/L}, {analyte: alt, sex: male, limit: 45 U/L}, {analyte: bilirubin, limit: 21 umol/L}]
readings: {relma-cel-ssc: {progressive: any-of}}
decimal_comma: true
security_labels: {allow: [R]}
write: {allow: [candidate]}
server: {base: "https://ehr.hospital.example/fhir"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(folder: Path, text: str) -> tuple[Finding, ...]:
    with pytest.raises(AuthoringError) as caught:
        load_site(written(folder, text), concepts())
    return caught.value.findings


def test_without_a_file_everything_is_as_shipped() -> None:
    site = load_site(None, concepts())
    assert (site.concepts, site.sha256, site.file.time_zone, site.file.canonical_base) == (concepts(), "", "UTC", CANONICAL_BASE)
    assert decisions(site, relma()) == {}


def test_a_site_file_says_what_is_true_of_one_hospital(folder: Path) -> None:
    site = load_site(written(folder, GOOD), concepts())
    assert site.concepts.names_of("http://hospital.example/codes|MR")[0] == {"mrss"}
    assert site.upper_limits["alt"] == (("female", point(34)), ("male", point(45)))
    assert site.upper_limits["bilirubin"] == (("", point(21 * Fraction(584673, 10_000_000))),)
    assert site.code_units == {"http://hospital.example/codes|HB": "g/dL"}
    assert decisions(site, relma()) == {"progressive": "any-of"}
    assert (site.file.decimal_comma, site.file.write.allow, len(site.sha256)) == (True, ("candidate",), 64)


def test_a_completed_set_makes_other_codes_of_its_system_a_no(folder: Path) -> None:
    site = load_site(written(folder, GOOD), concepts())
    asked = frozenset({"transfusion_any"})
    assert site.concepts.match(["http://hospital.example/procedures|XX"], asked).value == "no"
    assert concepts().match(["http://hospital.example/procedures|XX"], asked).value == "gap"


def test_every_fault_of_a_site_file_is_found_at_once(folder: Path) -> None:
    text = """time_zone: Middle/Earth
codes: {nothing: ["http://x|1"], mrss: [no-system]}
complete: {gilbert: ["http://hospital.example/codes"]}
upper_limits:
  - {analyte: altt, limit: 34 U/L}
  - {analyte: alt, limit: 34 furlong}
  - {analyte: alt, limit: 4000 U/L}
"""
    found = refused(folder, text)
    assert [(f.code, f.where.rpartition("site.yaml")[2]) for f in found] == [
        ("FE0212", ":1:12   time_zone"),
        ("FE0212", ":5:15   upper_limits > item 1 > analyte"),
        ("FE0212", ":6:27   upper_limits > item 2 > limit"),
        ("FE0212", ":7:27   upper_limits > item 3 > limit"),
        ("FE0205", ": codes.nothing"),
        ("FE0212", ": codes.mrss"),
        ("FE0212", ": complete.gilbert"),
    ]
    assert all(f.why and f.fix for f in found)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("timezone: UTC", "FE0202"),
        ("decimal_comma: maybe", "FE0203"),
        ("upper_limits: [{analyte: alt, sex: other, limit: 34 U/L}]", "FE0203"),
        ("upper_limits: [{analyte: alt}]", "FE0204"),
        ("server: {}", "FE0204"),
        ("- a list", "FE0203"),
    ],
)
def test_shapes_that_a_site_file_does_not_have(folder: Path, text: str, code: str) -> None:
    assert {f.code for f in refused(folder, text)} == {code}


def test_a_decision_on_a_reading_that_is_not_there(folder: Path) -> None:
    site = load_site(
        written(folder, "readings: {relma-cel-ssc: {progressive: both, mrss-increas: x}, other: {a: b}}"), concepts()
    )
    with pytest.raises(AuthoringError) as caught:
        decisions(site, relma())
    first, second = caught.value.findings
    assert first.code == "FE0209"
    assert first.where.endswith("readings > relma-cel-ssc > progressive")
    assert "any-of" in first.fix
    assert "progressive" in second.fix or "use one of" in second.fix


ANSWERS = """- {patient: p1, criterion: consent, answer: true, on: 2025-05-30, by: Practitioner/7, note: "signed form v3"}
- {patient: Patient/p1, criterion: ssc-classification, item: raynaud, answer: false, on: 2025-05-30, by: Practitioner/7}
- {patient: p2, criterion: mrss-increase, value: 18, on: 2025-05-30, by: Practitioner/7, expires: 2025-12-31}
- {patient: p2, criterion: mrss-increase, value: 18.5, on: 2025-05-31T10:00:00Z, by: Practitioner/7}
"""


def load(folder: Path, text: str, zone: str = "UTC") -> dict[str, tuple[Answer, ...]]:
    path = folder / "answers.yaml"
    path.write_text(text, encoding="utf-8")
    return load_answers(path, relma(), zone)


def complaints(folder: Path, text: str) -> list[tuple[str, str, str]]:
    with pytest.raises(AuthoringError) as caught:
        load(folder, text)
    return [(f.code, f.where.rpartition("answers.yaml")[2], f.why) for f in caught.value.findings]


def test_answers_are_read_by_patient_in_the_files_order(folder: Path) -> None:
    found = load(folder, ANSWERS)
    assert {patient: [(a.reference, a.item, a.value) for a in answers] for patient, answers in found.items()} == {
        "p1": [("answers/1", "consent", True), ("answers/2", "ssc-classification/raynaud", False)],
        "p2": [("answers/3", "mrss-increase", 18), ("answers/4", "mrss-increase", Decimal("18.5"))],
    }
    first, expiring = found["p1"][0], found["p2"][0]
    assert (first.by, first.note, first.counts, first.on) == (
        "Practitioner/7",
        "signed form v3",
        Counts.YES,
        parse_when("2025-05-30"),
    )
    assert expiring.expires == parse_when("2025-12-31") and first.expires is None


def test_an_answers_day_is_that_of_the_sites_zone(folder: Path) -> None:
    on = load(folder, ANSWERS, "Europe/Berlin")["p1"][0].on
    assert on == parse_when("2025-05-30", "Europe/Berlin") != parse_when("2025-05-30")


def test_an_empty_file_holds_no_answers(folder: Path) -> None:
    assert load(folder, "") == {}
    assert load(folder, "[]") == {}


ROW = "- {patient: p1, criterion: consent, answer: true, on: 2025-05-30, by: x}"


@pytest.mark.parametrize(
    ("row", "code", "why"),
    [
        (ROW.replace("consent", "consents"), "FE0213", 'no criterion is named "consents"'),
        (ROW.replace("answer: true, ", ""), "FE0213", "an answer (true or false) or a value"),
        (ROW.replace("answer: true", "answer: true, value: 3"), "FE0213", "an answer (true or false) or a value"),
        (ROW.replace("answer: true", "value: many"), "FE0213", "not a number"),
        (ROW.replace("answer: true", "value: true"), "FE0213", "not a number"),
        (ROW.replace("2025-05-30", "soon"), "FE0213", "on is no date"),
        (ROW.replace("by: x", "by: x, expires: 2025-02-30"), "FE0213", "expires is no date"),
        (ROW.replace("by: x", "by: ''"), "FE0203", ""),
        (ROW.replace(", by: x", ""), "FE0204", ""),
        (ROW.replace("by: x", "by: x, who: y"), "FE0202", ""),
        (ROW.replace("answer: true", "answer: yes"), "FE0203", ""),
        ("consent: true", "FE0203", ""),
    ],
)
def test_a_row_that_cannot_be_used(folder: Path, row: str, code: str, why: str) -> None:
    found = complaints(folder, row)
    assert {entry[0] for entry in found} == {code}
    assert why in found[0][2]


def test_all_rows_are_complained_of_at_once_with_their_lines(folder: Path) -> None:
    rows = "\n".join((ROW.replace("consent", "a"), ROW, ROW.replace("2025-05-30", "b")))
    assert [where.partition(" ")[0] for _, where, _ in complaints(folder, rows)] == [":1:3", ":3:3"]


def test_no_complaint_repeats_what_a_patient_said(folder: Path) -> None:
    text = ROW.replace("answer: true", "value: secret").replace("2025-05-30", "hidden").replace("by: x", "by: x, note: quiet")
    assert not any(word in why for _, _, why in complaints(folder, text) for word in ("secret", "hidden", "quiet"))


def test_files_that_are_not_there(folder: Path) -> None:
    for attempt in (
        lambda: load_site(folder / "none.yaml", concepts()),
        lambda: load_answers(folder / "none.yaml", relma(), "UTC"),
    ):
        with pytest.raises(AuthoringError) as caught:
            attempt()
        assert caught.value.code == "FE0214"
