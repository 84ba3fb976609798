"""The section of one patient in the report: status and its reason, what would settle it, every criterion with its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fhir_elig.outputs.digest import outcome_text, ruling_out, status_reason, still_open
from fhir_elig.outputs.explain import remarks, retrieved_groups, valid_text, why_text
from fhir_elig.outputs.page import VERDICT_WORDS, Html, badge, chart, el, join, resource, shape, time_text
from fhir_elig.outputs.words import age_of, patient_name, settle_kind, settle_text
from fhir_elig.verdict import Assessment, CriterionResult, Evidence

_AT_MOST = 5
_KINDS = {"question": "Ask", "date": "Set a date", "decision": "Decide", "record": "Find or order"}


def patient_section(assessment: Assessment, number: int, statements: Mapping[str, str]) -> Html:
    """An article; its id is `patient-<number>`, and that of a criterion `patient-<number>-<criterion id>`."""
    key = f"patient-{number}"
    return el(
        "article",
        _bar(assessment, key),
        el("p", _upper(status_reason(assessment)) + ".", cls="lead"),
        el("p", _upper(valid_text(assessment)) + ".", cls="holds"),
        _facts(assessment),
        _against(assessment, key),
        _settle(assessment, key),
        el("h3", "Criteria, in the protocol's order"),
        el("ul", *(_item(result, assessment, key, statements) for result in assessment.criteria), cls="tree"),
        _remarks_of(assessment),
        _read(assessment),
        cls="patient",
        id=key,
        aria_labelledby=f"{key}-name",
    )


def anchor(key: str, criterion: str) -> str:
    return f"{key}-{criterion}"


def _upper(words: str) -> str:
    """The words with a capital at the start, the rest as it is."""
    return words[:1].upper() + words[1:]


def _bar(assessment: Assessment, key: str) -> Html:
    counts = assessment.counts()
    tally = (
        el("li", el("span", shape(verdict), f"{count} {VERDICT_WORDS[verdict].lower()}", cls=f"verdict {verdict}"))
        for verdict, count in counts.items()
    )
    return el(
        "header",
        el("h2", el("span", "Patient ", cls="hidden"), chart(patient_name(assessment.patient)), id=f"{key}-name"),
        badge(assessment.status, assessment.status.value, "badge"),
        el("ul", *tally, cls="tally", aria_label="Criteria by verdict"),
        el("a", "All patients", href="#patients", cls="back"),
        cls="bar",
    )


def _facts(assessment: Assessment) -> Html:
    protocol = assessment.protocol
    facts = [("Patient", assessment.patient), ("Protocol", f"{protocol.id} {protocol.version}"), ("As of", assessment.as_of)]
    facts += [(f"Milestone: {name}", date) for name, date in assessment.milestones.items()]
    if assessment.base:
        facts.append(("Server", assessment.base))
    if assessment.provisional:
        facts.append(("Provisional", "found with a stand-in for a date that is not known yet"))
    return el("dl", *(_pair(name, chart(value)) for name, value in facts), cls="meta")


def _pair(name: str, *values: str, cls: str = "") -> Html:
    return el("div", el("dt", name), el("dd", *values), cls=cls)


def _against(assessment: Assessment, key: str) -> Html:
    """What rules the patient out; nothing where nothing does."""
    entries = []
    for result in ruling_out(assessment):
        repeat = f"; a repeat could change it{_from(result)}" if result.recoverable else ""
        entries.append(("Not met", result, outcome_text(result) + repeat))
    return _list("What rules the patient out", entries, key)


def _from(result: CriterionResult) -> str:
    return f", from {result.recoverable_from}" if result.recoverable_from else ""


def _settle(assessment: Assessment, key: str) -> Html:
    entries = [
        (_KINDS[settle_kind(result)], result, settle_text(result).removeprefix("ask: ")) for result in still_open(assessment)
    ]
    return _list("What would settle it", entries, key)


def _list(title: str, entries: Sequence[tuple[str, CriterionResult, str]], key: str) -> Html:
    if not entries:
        return Html("")
    items = (
        el(
            "li",
            el("span", kind, cls="kind"),
            el("span", el("a", result.id, href=f"#{anchor(key, result.id)}"), ": ", chart(words)),
        )
        for kind, result, words in entries[:_AT_MOST]
    )
    rest = ", ".join(result.id for _, result, _ in entries[_AT_MOST:])
    more = el("p", f"Also open: {rest}.", cls="more") if rest else Html("")
    return el("section", el("h3", title), el("ol", *items, cls="todo"), more)


def _item(result: CriterionResult, assessment: Assessment, key: str, statements: Mapping[str, str]) -> Html:
    key_ = anchor(key, result.id)
    head = _head(result, assessment, statements)
    body = join(*(_evidence(evidence, assessment) for evidence in result.evidence), _remarks(result))
    below = el("div", body, cls="body") if body else Html("")
    if not result.criteria:
        return el("li", head, below, cls="leaf", id=key_)
    children = el("ul", *(_item(child, assessment, key, statements) for child in result.criteria))
    return el("li", el("details", el("summary", head), below, children, open="open"), id=key_)


def _head(result: CriterionResult, assessment: Assessment, statements: Mapping[str, str]) -> Html:
    why = why_text(result, assessment)
    statement = statements.get(result.id, "")
    fold = el("span", cls="fold", aria_hidden="true") if result.criteria else Html("")
    return el(
        "div",
        badge(result.verdict, VERDICT_WORDS[result.verdict], "verdict"),
        el(
            "div",
            el("div", el("span", result.text or result.id, cls="sentence"), fold),
            el("div", el("q", statement), cls="registry") if statement and statement != result.text else Html(""),
            el("div", el("code", result.id), why, cls="why"),
        ),
        cls="head",
    )


def _evidence(evidence: Evidence, assessment: Assessment) -> Html:
    return el("dl", *_evidence_pairs(evidence, assessment), cls="evidence")


def _evidence_pairs(evidence: Evidence, assessment: Assessment) -> Iterator[Html]:
    age = age_of(evidence, assessment.as_of)
    if evidence.received:
        yield _pair("Received", chart(evidence.received), cls="received")
    if evidence.compared:
        yield _pair("Compared as", chart(evidence.compared), cls="compared")
    if evidence.limit:
        yield _pair("Limit", chart(evidence.limit), cls="limit")
    if evidence.time:
        yield _pair("Date", time_text(evidence.time), el("span", age, cls="age") if age else Html(""), cls="date")
    if evidence.window:
        yield _pair("Window", chart(evidence.window), cls="window")
    yield _pair("Resource", resource(evidence, assessment.base), cls="resource")
    if evidence.note:
        yield _pair("Note", chart(evidence.note), cls="wide")


def _remarks(result: CriterionResult) -> Html:
    lines = remarks(result)
    if not lines:
        return Html("")
    settle = ("settled by", "question")
    pairs = (
        join(el("dt", _upper(label)), el("dd", chart(words), cls="settle" if label in settle else "")) for label, words in lines
    )
    return el("dl", *pairs, cls="remarks")


def _remarks_of(assessment: Assessment) -> Html:
    lines = [("Decided", f"{name}: {words}") for name, words in assessment.decisions.items()]
    lines += [("Note", note) for note in assessment.notes] + [("Error", error) for error in assessment.errors]
    if not lines:
        return Html("")
    pairs = (join(el("dt", label), el("dd", chart(words))) for label, words in lines)
    return el("section", el("h3", "Decisions, notes and errors"), el("dl", *pairs, cls="remarks"))


def _read(assessment: Assessment) -> Html:
    if not assessment.retrieved:
        return Html("")
    rows = (
        el("tr", el("th", _upper(how), scope="row"), el("td", ", ".join(types))) for how, types in retrieved_groups(assessment)
    )
    head = el("thead", el("tr", el("th", "How completely", scope="col"), el("th", "Resource types", scope="col")))
    table = el(
        "table",
        el("caption", "Resource types, by how completely they were read", cls="hidden"),
        head,
        el("tbody", *rows),
        cls="read",
    )
    return el("section", el("h3", "What was read"), table)
