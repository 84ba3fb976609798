"""Random charts around the day of the run, and criteria of every kind to hold them against."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from fhir_elig.record import Counts, Strength
from tests.spec.table import AS_OF, answer, contact, drug, event, lab, person, problem, served

DAY = date.fromisoformat(AS_OF)
DATES = {"events": {"leukapheresis": "2025-06-04", "lymphodepletion": "2025-06-06T08:00:00Z", "enrollment": "2025-05-20"}}

CRITERIA = {
    "age": "age: {at-least: 18 a, at-most: 65 a}",
    "age-later": "age: {at-least: 18 a, at: leukapheresis}",
    "latest": "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 28 d}}",
    "earliest": "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 2 mo}, pick: earliest}",
    "any": "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 3 wk}, pick: any}",
    "all": "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 1 mo}, pick: all}",
    "hours": "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {milestone: lymphodepletion, before: 48 h}}",
    "slot": "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {milestone: leukapheresis, before: 7 d, after: 2 d}}",
    "derived": "value: {concepts: [anc], or-derive: {formula: anc-from-differential}, at-least: 1000 /uL, window: {before: 28 d}}",
    "clearance": "value: {derive: {formula: cockcroft-gault, inputs: {weight: {concepts: [weight], within: 30 d}}}, at-least: 50 mL/min, window: {before: 28 d}}",
    "uln": "value: {concepts: [alt], at-most: 3 x ULN, window: {before: 28 d}}",
    "change": "change: {kinds: [{analyte: mrss, concepts: [mrss]}], direction: increase, at-least: 3, window: {before: 1 mo}, baseline: 1 mo, measurable: true}",
    "infection": "condition: {concepts: [pneumonia], perhaps: [infection_any], window: {milestone: leukapheresis, before: 14 d}, absence: closed, stale: 20 d}",
    "floating": "not: {condition: {concepts: [pneumonia], window: {before: 14 d}, absence: closed, stale: 20 d}}",
    "ever": "condition: {concepts: [pneumonia], absence: closed}",
    "subtype": "subtype: {wanted: [dcssc], other: [ssc_limited], open: [ssc_any], absence: closed}",
    "event": "not: {event: {procedures: [transfusion_any, transfusion_red_cells], medications: [growth_factor_white], window: {before: 7 d}, absence: closed}}",
    "event-milestone": "event: {procedures: [transfusion_any, transfusion_red_cells], window: {milestone: leukapheresis, before: 7 d}, absence: closed}",
    "exposure": "exposure: {agents: [{concept: azathioprine}], more-than: 2 wk, gap: 3 d}",
    "exposure-window": "exposure: {agents: [{concept: azathioprine}], at-least: 10 d, window: {before: 20 d}}",
    "attestation": "attestation: {question: q, expires: 14 d}",
    "score": "score: {items: {a: 4, b: 3}, at-least: 4}",
    "readings": "readings: {options: {a: {value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 7 d}}}, b: {value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 28 d}}}}}",
    "together": "all-of: {of: [{value: {concepts: [hemoglobin], at-least: 90 g/L}}, {condition: {concepts: [pneumonia]}}], together: 10 d}",
    "guarded": "applies-if: {when: {condition: {concepts: [pneumonia], window: {before: 14 d}, absence: closed}}, then: {value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 28 d}}}}",
    "unless": "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 28 d}}\nunless: {when: {condition: {concepts: [pneumonia], window: {before: 14 d}}}, then: {age: {at-least: 18 a}}}",
    "attestable": "value: {concepts: [hemoglobin], at-least: 90 g/L, window: {before: 28 d}}\nattestable: true\nquestion: q",
}


def _text(offset: int, width: str) -> str:
    day = (DAY + timedelta(offset)).isoformat()
    return {"day": day, "month": day[:7], "time": f"{day}T08:30:00Z"}[width]


def days(low: int = -50, high: int = 20) -> st.SearchStrategy[str]:
    """A date, a month or a time near the day of the run."""
    return st.builds(_text, st.integers(low, high), st.sampled_from(("day", "day", "day", "time", "month")))


maybe_days = st.one_of(st.none(), days(high=8))
past = st.one_of(st.none(), days(high=0))
ends = st.one_of(st.none(), days())
sent = st.sampled_from(("80 g/L", "90 g/L", "100 g/L", "10.2 g/dL", "<95 g/L", "100", "see comment"))
counts = st.sampled_from((Counts.YES, Counts.YES, Counts.YES, Counts.NOT_FINAL, Counts.NO))


def results() -> st.SearchStrategy[Any]:
    values = st.one_of(
        st.tuples(st.just("hemoglobin"), sent),
        st.tuples(st.just("mrss"), st.sampled_from(("15", "18", "21"))),
        st.tuples(st.just("alt"), st.sampled_from(("30 U/L", "100 U/L", "500 U/L"))),
        st.tuples(st.just("creatinine"), st.sampled_from(("1.0 mg/dL", "1.8 mg/dL", "160 umol/L"))),
        st.tuples(st.just("weight"), st.sampled_from(("60 kg", "72 kg", "200 [lb_av]"))),
        st.tuples(st.just("leukocytes"), st.sampled_from(("2 K/uL", "5 K/uL"))),
        st.tuples(st.just("neutrophils_percent"), st.sampled_from(("30 %", "50 %"))),
    )
    return st.builds(
        lambda pair, on, kind, ref: lab(pair[0], pair[1], on, counts=kind, ref=ref),
        values,
        maybe_days,
        counts,
        st.uuids(version=4).map(str),
    )


problems = st.builds(
    lambda name, onset, abated, recorded, clinical, ref: problem(
        name, onset, abated, recorded=recorded, clinical=clinical, ref=ref
    ),
    st.sampled_from(("pneumonia", "infection_any", "dcssc", "ssc_limited", "ssc_any", "gilbert")),
    past,
    st.one_of(st.just("?"), ends),
    past,
    st.sampled_from(("active", "resolved", "")),
    st.uuids(version=4).map(str),
)
drugs = st.builds(
    lambda name, start, end, until, single, strength, kind, ref: drug(
        name, start, end, certain_until=until, single=single, strength=strength, counts=kind, ref=ref
    ),
    st.sampled_from(("azathioprine", "azathioprine", "growth_factor_white")),
    maybe_days,
    ends,
    past,
    st.booleans(),
    st.sampled_from(tuple(Strength)),
    st.sampled_from((Counts.YES, Counts.YES, Counts.NEGATIVE, Counts.NO)),
    st.uuids(version=4).map(str),
)
events = st.builds(
    lambda name, on, kind, ref: event(name, on, counts=kind, ref=ref),
    st.sampled_from(("transfusion_any", "transfusion_red_cells")),
    maybe_days,
    st.sampled_from((Counts.YES, Counts.NEGATIVE, Counts.UNCONFIRMED)),
    st.uuids(version=4).map(str),
)
answers = st.builds(
    lambda item, told, on, expires, ref: answer(item, told, on, expires=expires, ref=ref),
    st.sampled_from(("c", "c", "c/a", "c/b")),
    st.one_of(st.booleans(), st.sampled_from((18, 22))),
    maybe_days,
    ends,
    st.uuids(version=4).map(str),
)
people = st.builds(
    lambda born, gender, died: person(born, gender, died=died),
    st.sampled_from(("1980-01-01", "2007-06-10", "2007-06", "2007", "1959-06-20", "1959-07", "1960-02-29", None)),
    st.sampled_from(("female", "male", "unknown")),
    st.one_of(st.none(), st.none(), st.none(), days(1, 20)),
)
contacts = st.builds(contact, days(high=8))
facts = st.lists(st.one_of(results(), problems, drugs, events, answers, contacts), max_size=6)
retrieved = st.sampled_from(
    (
        served(),
        (),
        served("Observation", note="partial"),
        served("Condition"),
        served("Procedure", "MedicationRequest", "Condition"),
    )
)
charts = st.tuples(people, facts, retrieved).map(lambda parts: (parts[0], *parts[1], *parts[2]))
criteria = st.sampled_from(sorted(CRITERIA)).map(CRITERIA.__getitem__)
