"""The report of a run: one HTML file that needs nothing else, asks nobody for anything and runs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fhir_elig.outputs.digest import Failure, Row, status_counts, table_rows
from fhir_elig.outputs.page import Html, badge, chart, el, join
from fhir_elig.outputs.patient_page import patient_section
from fhir_elig.outputs.style import STYLE
from fhir_elig.outputs.words import DISCLAIMER
from fhir_elig.verdict import Assessment

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_NUMBERS = ("Met", "Not met", "Unknown", "Not applicable")
_FIRST = "First to settle"


def render_report(
    assessments: Sequence[Assessment],
    *,
    protocol_title: str,
    statements: Mapping[str, str] | None = None,
    failures: Sequence[Failure] = (),
    recorded: str = "",
    version: str = "",
) -> str:
    """The page as text. `statements` are a registry's own words by criterion id; `recorded` is when the run was made."""
    rows = table_rows(assessments, failures)
    sections = (patient_section(each, number, statements or {}) for number, each in enumerate(assessments, 1))
    body = join(
        el("a", "Skip to the patients", href="#patients", cls="skip"),
        _top(assessments, rows, protocol_title),
        el("main", _index(rows, len(assessments)), *sections),
        _footer(assessments, recorded, version),
    )
    return f'<!DOCTYPE html>\n<html lang="en">{_head(protocol_title)}{el("body", body)}</html>\n'


def _head(title: str) -> Html:
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("meta", name="robots", content="noindex"),
        el("title", f"Screening report: {title}"),
        el("style", Html(STYLE)),
    )


def _top(assessments: Sequence[Assessment], rows: Sequence[Row], title: str) -> Html:
    facts = [("Protocol", name) for name in dict.fromkeys(f"{each.protocol.id} {each.protocol.version}" for each in assessments)]
    facts += [("As of", date) for date in dict.fromkeys(each.as_of for each in assessments)]
    facts.append(("Patients", str(len(rows))))
    tiles = (el("li", el("b", str(count)), badge(status, status, "badge")) for status, count in status_counts(rows))
    return el(
        "header",
        el("p", "Eligibility screening report", cls="eyebrow"),
        el("h1", title),
        el("dl", *(el("div", el("dt", name), el("dd", chart(value))) for name, value in facts), cls="meta"),
        el("ul", *tiles, cls="tiles", aria_label="Patients by status") if rows else Html(""),
        cls="top",
    )


def _index(rows: Sequence[Row], assessed: int) -> Html:
    heads = [el("th", name, scope="col", role="columnheader") for name in ("Patient", "Status")]
    heads += [el("th", name, scope="col", role="columnheader", cls="number") for name in _NUMBERS]
    heads.append(el("th", _FIRST, scope="col", role="columnheader"))
    lines = (_index_row(row, number if number <= assessed else 0) for number, row in enumerate(rows, 1))
    caption = el("caption", "Patients, and the criteria of each by verdict")
    # Narrow windows lay the rows out as blocks; the roles say that it is a table still.
    head = el("thead", el("tr", *heads, role="row"), role="rowgroup")
    table = el("table", caption, head, el("tbody", *lines, role="rowgroup"), role="table", cls="index")
    return el("section", el("div", table, cls="scroll", tabindex="0", role="region", aria_label="Patients"), id="patients")


def _index_row(row: Row, number: int) -> Html:
    """A row; it leads to the patient's section where there is one."""
    name = chart(row.patient)
    counts = (
        el("td", "–" if count is None else str(count), cls="number", role="cell", data_name=verdict)
        for verdict, count in zip(_NUMBERS, row.counts, strict=True)
    )
    return el(
        "tr",
        el("th", el("a", name, href=f"#patient-{number}") if number else name, scope="row", role="rowheader"),
        el("td", badge(row.status, row.status, "verdict"), role="cell"),
        *counts,
        el("td", chart(row.first), role="cell", cls="first", data_name=_FIRST if row.first else ""),
        role="row",
    )


def _footer(assessments: Sequence[Assessment], recorded: str, version: str) -> Html:
    lines: dict[tuple[str, str], None] = {}
    for each in assessments:
        protocol = f"{each.protocol.id} {each.protocol.version}"
        lines["Protocol", f"{protocol}, SHA-256 {each.protocol.sha256}"] = None
        lines.update(dict.fromkeys(("Mappings", f"{name} {value}") for name, value in each.mappings.items()))
        lines.update(dict.fromkeys(("Package", f"{name} {value}") for name, value in each.package.items()))
        lines["Form", each.schema] = None
    facts = [*lines, *((name, value) for name, value in (("fhir_elig", version), ("Recorded", recorded)) if value)]
    return el(
        "footer",
        el("p", f"This is {DISCLAIMER}. A person decides.", cls="claim"),
        el("dl", *(join(el("dt", name), el("dd", value)) for name, value in facts)),
        cls="page",
    )
