"""The table and `explain`: what stands in them, to the letter for small ones, and what never goes missing."""

from __future__ import annotations

import re

import pytest

from fhir_elig.outputs.digest import decider, first_to_settle, outcome_text, ruling_out, status_counts, status_reason, table_rows
from fhir_elig.outputs.explain import explain, remarks, retrieved_text, valid_text
from fhir_elig.outputs.table import Failure, render_table
from fhir_elig.outputs.words import safe_text
from fhir_elig.verdict import Assessment, CriterionResult, Evidence, Reason, Retrieved, SetAside, SettledBy, Status, Verdict
from tests.people import HOSTILE, RUN, leaf, made, small, with_text

FAILED = [Failure("Patient/p12", "FE0414: the deadline of the patient is used up")]
SGR = re.compile("\x1b\\[[0-9]*m")

TABLE = """\
relma-cel-ssc 1.0.0   6 patients   as of 2025-06-01
PATIENT  STATUS               MET  NOT MET  UNKNOWN  N/A  FIRST TO SETTLE
p01      candidate             17        2        5    5  consent: a person must say
p04      ineligible            13        3        8    5  platelets 62 10*9/L (limit >= 75 10*9/L); a repeat could change it
p07      potential-candidate   14        2        8    5  lvef: no record found (90 d before screening)
p09      eligible              21        2        1    5  nothing
p11      ineligible            14        2        8    5  alive: recorded as deceased (2025-02-11)
p12      not assessed           -        -        -    -  FE0414: the deadline of the patient is used up
1 eligible   1 candidate   1 potential-candidate   2 ineligible   1 not assessed
"""

EXPLAINED = """\
p1   potential-candidate   (nothing rules the patient out; 3 unknown, of which data could settle 2)
  as of 2025-06-01
protocol   my-trial 1.0.0   sha256 abababababababababababababababababababababababababababababababab
milestones   screening 2025-06-01
decisive: lvef, support, consent (most decisive first)

criteria
  UNKNOWN  organ-function   major organ functions
           decided by lvef
    MET      hemoglobin   the words of hemoglobin
             the value is within the limit   10.2 g/dL = 102 g/L   limit >= 90 g/L
               2025-05-28 (4 days before)   Observation/o41 version 2
             set aside: Observation/o12 (superseded)
    UNKNOWN  lvef         the words of lvef
             no record found
             settled by: Observation LOINC 10230-1, 90 d before screening
    UNKNOWN  support      the words of support
             no record found, and the source is not known to be complete: that is no proof of
               absence; not looked at: Procedure (not served)
             settled by: Procedure, 7 d before screening
  UNKNOWN  consent          the words of consent
           a person must say
           question: has the patient signed?
  N/A      pregnancy        the words of pregnancy
           does not apply to this patient

read: complete: Observation
read: not complete: not served: Procedure
package version 0.1.0
  mappings sha256 cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd
with no new data this changes on 2025-06-26
a recommendation, not a determination
"""


def test_the_table_of_a_run_is_as_agreed():
    assert render_table(RUN, FAILED) == TABLE


def test_a_small_assessment_is_explained_as_agreed():
    assert explain(small()) == EXPLAINED


def test_counts_add_up_to_the_same_number_in_every_row_and_statuses_to_the_patients():
    rows = table_rows(RUN, FAILED)
    assert {sum(count or 0 for count in row.counts) for row in rows[:-1]} == {29}
    assert sum(count for _, count in status_counts(rows)) == len(rows)


def test_colour_is_an_addition_and_changes_no_letter_and_no_column():
    painted = render_table(RUN, FAILED, color=True)
    assert painted != TABLE
    assert "\n".join(line.rstrip() for line in SGR.sub("", painted).split("\n")) == TABLE
    for assessment in RUN:
        assert SGR.sub("", explain(assessment, color=True)) == explain(assessment)


def test_a_narrow_table_wraps_its_last_column_and_loses_no_word():
    narrow = render_table(RUN, FAILED, width=90)
    assert all(len(line) <= 90 for line in narrow.split("\n"))
    assert sorted(narrow.split()) == sorted(TABLE.split())
    assert render_table(RUN, FAILED, width=40) == TABLE


def test_a_run_without_patients_says_so_and_one_patient_is_one():
    empty = "0 patients\nPATIENT  STATUS  MET  NOT MET  UNKNOWN  N/A  FIRST TO SETTLE\nno patients\n"
    assert render_table([]) == empty
    assert render_table([small()]).startswith("my-trial 1.0.0   1 patient   as of")


def ineligible(*criteria: CriterionResult) -> Assessment:
    return made(*criteria, status=Status.INELIGIBLE)


def group(criterion: str, verdict: Verdict, reason: Reason, *parts: CriterionResult, **more: bool) -> CriterionResult:
    return CriterionResult(id=criterion, verdict=verdict, reason=reason, criteria=parts, **more)


LOW = Evidence("Observation/o2", "1", "62 K/uL", "62 10*9/L", ">= 75 10*9/L")


def test_what_rules_a_patient_out_is_followed_down_to_the_part_that_decides():
    low = leaf("platelets", Verdict.NOT_MET, Reason.OUT_OF_RANGE, evidence=(LOW,))
    tree = group("organs", Verdict.NOT_MET, Reason.OUT_OF_RANGE, leaf("anc"), group("marrow", Verdict.NOT_MET, low.reason, low))
    assert ruling_out(ineligible(leaf("age"), tree)) == [low]


def test_a_negation_is_followed_to_what_it_turned_round():
    found = leaf("hepatitis", Verdict.MET, Reason.PRESENT)
    turned = group(
        "no-hepatitis", Verdict.NOT_MET, Reason.PRESENT, leaf("skipped", Verdict.NOT_APPLICABLE, Reason.PRESENT), found
    )
    assert decider(turned) is found
    alone = group("few-of-many", Verdict.NOT_MET, Reason.ABSENT, leaf("a"), leaf("b"))
    assert decider(alone) is alone
    assert "no record found in a source that is complete" in explain(made(alone))


def test_the_first_to_settle_of_the_ineligible_is_the_value_against_its_limit():
    low = leaf("platelets", Verdict.NOT_MET, Reason.OUT_OF_RANGE, recoverable=True, evidence=(LOW,))
    young = leaf(
        "age", Verdict.NOT_MET, Reason.OUT_OF_RANGE, evidence=(Evidence("Patient/p1", received="17 a", limit=">= 18 a"),)
    )
    assert first_to_settle(ineligible(low)) == "platelets 62 10*9/L (limit >= 75 10*9/L); a repeat could change it"
    assert first_to_settle(ineligible(young, low)) == "age 17 a (limit >= 18 a); 1 more not met"
    assert status_reason(ineligible(young, low)) == "not met: age, platelets"
    assert status_reason(made(low, status=Status.INELIGIBLE, recoverable=True)).endswith(
        "a repeat could change every one of them"
    )
    assert status_reason(ineligible(leaf("age"))) == "at least one criterion is not met"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (leaf("x", Verdict.UNKNOWN, Reason.NEEDS_PERSON), "x: a person must say"),
        (
            leaf("x", Verdict.UNKNOWN, Reason.NOT_FOUND, settled_by=SettledBy("Observation", window="90 d before screening")),
            "x: no record found (90 d before screening)",
        ),
        (leaf("x", Verdict.UNKNOWN, Reason.NO_UNIT, evidence=(Evidence("Observation/o", received="13.8"),)), "x: no unit (13.8)"),
        (leaf("x", Verdict.UNKNOWN, Reason.MODIFIER, evidence=(LOW,)), "x: modified in an unknown way"),
        (
            leaf("x", Verdict.NOT_MET, Reason.PRESENT, evidence=(Evidence("Condition/c", received="http://snomed.info/sct|1"),)),
            "x: recorded as present (SNOMED CT 1)",
        ),
        (
            leaf(
                "x",
                Verdict.NOT_MET,
                Reason.PRESENT,
                evidence=(Evidence("Condition/c", received="http://snomed.info/sct|1", compared="limited systemic sclerosis"),),
            ),
            "x: recorded as present (limited systemic sclerosis)",
        ),
        (
            leaf("x", Verdict.NOT_MET, Reason.IN_RANGE, exclusion=True, evidence=(LOW,)),
            "x (excluded) 62 10*9/L (limit >= 75 10*9/L)",
        ),
        (leaf("x", Verdict.NOT_MET, Reason.OUT_OF_RANGE), "x: outside the limit"),
    ],
)
def test_a_criterion_is_said_in_a_few_words(result: CriterionResult, text: str):
    assert outcome_text(result) == text


def test_the_reason_of_a_status_counts_what_is_open():
    asked = leaf("consent", Verdict.UNKNOWN, Reason.NEEDS_PERSON)
    assert status_reason(made(asked, status=Status.CANDIDATE)).endswith("1 unknown, of which data could settle none")
    assert status_reason(made(asked, status=Status.ELIGIBLE)).endswith("included; 1 unknown that no longer matter")
    assert (
        status_reason(made(leaf("age"), status=Status.ELIGIBLE))
        == "everything is met or does not apply, people's answers included"
    )
    assert status_reason(made(leaf("alive", Verdict.UNKNOWN, Reason.IMPRECISE_DATE))).startswith(
        "nothing rules the patient out, but"
    )


def everything() -> Assessment:
    """A result with every remark there is, in an assessment with every line there is."""
    result = leaf(
        "fvc",
        reading="relative",
        recoverable=True,
        recoverable_from="2025-06-15",
        near_limit=True,
        provisional=True,
        conditional=True,
        exclusion=True,
        notes=("the reading absolute would give not-met",),
        evidence=(LOW, Evidence("Observation/o3", "", "", "", "", "2025-05-28", "baseline")),
        set_aside=(SetAside("Observation/o4", "too old"),),
    )
    again = leaf("dlco", Verdict.NOT_MET, Reason.OUT_OF_RANGE, recoverable=True)
    return made(
        result,
        again,
        base="https://ehr.example.org/fhir",
        milestones={},
        provisional=True,
        valid_until=None,
        decisions={"progressive": "any-of"},
        notes=("a note",),
        errors=("FE0302: a piece of the data was set aside",),
    )


def test_nothing_that_an_assessment_says_is_left_out():
    text = explain(everything(), width=200)
    for part in (
        "reading: relative",
        "recoverable: a repeat could change it, from 2025-06-15",
        "near limit: the value lies within 5 % of the limit",
        "conditional: satisfied whether or not",
        "exclusion: an exclusion criterion",
        "note: the reading absolute would give not-met",
        "set aside: Observation/o4 (too old)",
        "server   https://ehr.example.org/fhir",
        "decided: progressive: any-of",
        "note: a note",
        "error: FE0302: a piece of the data was set aside",
        "with no new data no date is known on which this changes",
        "2025-05-28 (4 days before)   Observation/o3   baseline",
    ):
        assert part in text
    assert text.count("provisional: found with a stand-in") == 2
    assert "milestones" not in text
    assert ("recoverable", "a repeat could change it") in remarks(everything().criteria[1])


@pytest.mark.parametrize("width", [40, 80, 100, 200])
@pytest.mark.parametrize("number", range(len(RUN)))
def test_every_criterion_value_and_set_aside_appears_unbroken_at_any_width(number: int, width: int):
    text = explain(RUN[number], width=width)
    words = set(text.split())
    for result in RUN[number].walk():
        assert result.id in words
        for each in result.evidence:
            assert each.received in text and each.compared in text and each.limit in text and each.time in text
        for aside in result.set_aside:
            assert aside.reference in words
    assert "%" not in text.replace(" %", "")  # a per cent sign only as the unit of a value, never a score


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (Retrieved("Observation", True), "complete"),
        (Retrieved("Observation", True, "2 pages"), "complete (2 pages)"),
        (Retrieved("Observation", False), "read, not known to be complete"),
        (Retrieved("Observation", False, "no manifest"), "read, not known to be complete (no manifest)"),
        (Retrieved("Observation", False, "refused"), "not complete: not allowed"),
        (Retrieved("Observation", False, "partial: page 3"), "not complete: broke off (partial: page 3)"),
    ],
)
def test_how_completely_a_type_was_read_is_said(entry: Retrieved, text: str):
    assert retrieved_text(entry) == text


def test_a_group_is_explained_by_its_own_reason_or_by_the_part_that_decides():
    a, b = leaf("a"), leaf("b", Verdict.NOT_MET, Reason.OUT_OF_RANGE)
    ambiguous = group("either", Verdict.UNKNOWN, Reason.AMBIGUOUS_PROTOCOL, a, b)
    assert "the readings disagree" in explain(made(ambiguous))
    unknown = group("all", Verdict.UNKNOWN, Reason.NOT_FOUND, a, leaf("c", Verdict.UNKNOWN, Reason.NOT_FOUND))
    assert "decided by c" in explain(made(unknown))
    met = group("any", Verdict.MET, Reason.IN_RANGE, b, a)
    assert "decided by" not in explain(made(met))


def test_the_date_until_which_it_holds_is_named():
    assert valid_text(small()) == "with no new data this changes on 2025-06-26"


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_never_steers_the_terminal(hostile: str):
    changed = with_text(lambda text: f"{hostile} {text}", everything())
    for text in (explain(changed), render_table([changed], [Failure(f"Patient/{hostile}", hostile)], width=100)):
        assert text.replace("\n", "") == safe_text(text.replace("\n", ""))
        assert len(text.split("\n")) > 3
