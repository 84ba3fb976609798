"""The funnel as one HTML page that needs nothing else and runs no script: bars, numbers, and behind each number its list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from fhir_elig.outputs.funnel_table import BANDS, Band, Funnel, Step, miss_text, number
from fhir_elig.outputs.page import Html, badge, chart, el, join
from fhir_elig.outputs.report import POLICY
from fhir_elig.outputs.style import STYLE
from fhir_elig.outputs.words import DISCLAIMER, patient_name

# Bars tell their bands by lightness as well as by colour.
_MORE_STYLE = """
.bar-svg{display:block;width:9rem;height:1.1rem}
.bar-svg .b-met{fill:#17603a}
.bar-svg .b-not-applicable{fill:#9aa5b1}.bar-svg .b-unknown{fill:#e0a43a}.bar-svg .b-not-met{fill:#9c1c14}
.funnel td,.funnel th{padding-right:.9rem}
.funnel .number{padding-right:.9rem}
.scroll .funnel td:last-child{min-width:0}
section>.scroll{margin-top:2rem}
caption{white-space:normal}
.swatch{display:inline-block;width:.7rem;height:.7rem;margin-right:.4em}
@media (max-width:46rem){.funnel th,.funnel td{padding-right:.6rem;font-size:.86rem}.scroll .funnel tbody th{white-space:normal}}
.ids{display:flex;flex-wrap:wrap;gap:.1rem 1rem;list-style:none;padding:0;font-size:.9rem}
.lists h3{margin-top:1.5rem}
.scroll:focus-visible{outline-offset:-3px}
@media screen and (prefers-color-scheme:dark){.bar-svg .b-met{fill:#3fa56c}.bar-svg .b-not-applicable{fill:#5d6977}
.bar-svg .b-unknown{fill:#f2c069}.bar-svg .b-not-met{fill:#d1483d}}
@media print{.bar-svg{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
_WORDS = {"met": "Met", "not-applicable": "Not applicable", "unknown": "Unknown", "not-met": "Not met"}
_VIEWS = {"sequence": "in sequence", "alone": "alone"}
Cell = tuple[str, str, str, str]  # protocol, view (or `status`, `open`), criterion, band


class Listed(msgspec.Struct, frozen=True):
    """Some of the persons behind a number, and how many there are in all."""

    patients: tuple[str, ...]
    total: int


def render_funnel_page(funnels: Sequence[Funnel], lists: Mapping[Cell, Listed], *, more: str = "", version: str = "") -> str:
    """The page as text.

    `lists` holds who stands behind which number, and is empty where small counts are hidden; `more` is the file beside the page
    that holds all of them.
    """
    anchors = {cell: f"list-{place}" for place, cell in enumerate(lists)}
    title = ", ".join(f"{funnel.protocol} {funnel.version}" for funnel in funnels)
    body = join(
        el("a", "Skip to the funnel", href="#funnel", cls="skip"),
        el("header", el("p", "Funnel of a cohort", cls="eyebrow"), el("h1", title), cls="top"),
        el("main", *(_protocol(funnel, anchors) for funnel in funnels), _lists(lists, anchors, more), id="funnel"),
        el("footer", el("p", DISCLAIMER, cls="claim"), el("p", f"fhir-elig {version}. Counts are of persons."), cls="page"),
    )
    return f'<!DOCTYPE html>\n<html lang="en">{_head(title)}{el("body", body)}</html>\n'


def _head(title: str) -> Html:
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("meta", name="robots", content="noindex"),
        el("title", f"Funnel: {title}"),
        el("style", Html(STYLE + _MORE_STYLE)),
    )


def _protocol(funnel: Funnel, anchors: Mapping[Cell, str]) -> Html:
    facts = [("As of", funnel.as_of), ("Persons", number(funnel.patients)), ("Assessed", number(funnel.assessed))]
    facts.append(("Not assessed", number(funnel.not_assessed)))
    tiles = (
        el("li", el("b", _linked(count, (funnel.protocol, "status", "", status), anchors)), badge(status, status, "badge"))
        for status, count in funnel.statuses.items()
    )
    hidden = f"Counts from 1 to {funnel.min_cell - 1} are hidden, and what they could be computed from."
    return el(
        "section",
        el("h2", funnel.title or funnel.protocol),
        el("dl", *(el("div", el("dt", name), el("dd", chart(value))) for name, value in facts), cls="meta"),
        el("p", hidden, cls="holds") if funnel.min_cell else Html(""),
        el("ul", *tiles, cls="tiles", aria_label="Persons by status"),
        _table(funnel, "sequence", "In sequence: who is left after each criterion", anchors),
        _table(funnel, "alone", "Each criterion alone, over all persons who were assessed", anchors),
        _near(funnel),
        _missing(funnel, anchors),
    )


def _table(funnel: Funnel, view: str, caption: str, anchors: Mapping[Cell, str]) -> Html:
    heads = [el("th", "Criterion", scope="col")]
    heads += [el("th", _swatch(band), _WORDS[band], scope="col", cls="number") for band in BANDS]
    heads.append(el("th", "Bands", scope="col"))
    rows = []
    for step in funnel.steps:
        band = step.sequence if view == "sequence" else step.alone
        if band is not None:
            rows.append(_row(funnel, step, band, view, anchors))
    table = el("table", el("caption", caption), el("thead", el("tr", *heads)), el("tbody", *rows), cls="funnel")
    return el("div", table, cls="scroll", role="region", tabindex="0", aria_label=caption)


def _row(funnel: Funnel, step: Step, band: Band, view: str, anchors: Mapping[Cell, str]) -> Html:
    name = join(Html("&nbsp;" * 4 * (step.depth if view == "alone" else 0)), chart(step.criterion, title=step.text))
    cells = (
        el("td", _linked(count, (funnel.protocol, view, step.criterion, key), anchors), cls="number")
        for key, count in zip(BANDS, band.counts(), strict=True)
    )
    return el("tr", el("th", name, scope="row"), *cells, el("td", _bar(band, funnel.assessed)))


def _swatch(band: str) -> Html:
    """The colour of a band beside its name, for eyes only."""
    drawn = f'<rect class="b-{band}" width="6" height="6"/>'
    return Html(f'<svg class="bar-svg swatch" viewBox="0 0 6 6" aria-hidden="true" focusable="false">{drawn}</svg>')


def _bar(band: Band, whole: int | None) -> Html:
    """A bar of the bands, for eyes only: the numbers beside it say the same. None where a count is hidden."""
    counts = band.counts()
    if whole is None or None in counts or not whole:
        return Html("")
    drawn, left = [], 0.0
    for key, count in zip(BANDS, counts, strict=True):
        width = 100 * (count or 0) / whole
        drawn.append(f'<rect class="b-{key}" x="{left:.3f}" y="0" width="{width:.3f}" height="6"/>')
        left += width
    shapes = "".join(drawn)
    return Html(
        f'<svg class="bar-svg" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false">{shapes}</svg>'
    )


def _linked(count: int | None, cell: Cell, anchors: Mapping[Cell, str]) -> Html:
    if not count or cell not in anchors:
        return el("span", number(count))
    what = " ".join(part for part in (cell[2], _WORDS.get(cell[3], cell[3]), _VIEWS.get(cell[1], "")) if part)
    return el("a", number(count), href=f"#{anchors[cell]}", aria_label=f"{number(count)}: {what}")


def _near(funnel: Funnel) -> Html:
    if not funnel.near:
        return Html("")
    counts = ", ".join(f"{name} {number(count)}" for name, count in funnel.near.items())
    items = (el("li", chart(f"{patient_name(miss.patient)}: {miss.criterion}, {miss_text(miss)}")) for miss in funnel.misses)
    shown = el("ul", *items) if funnel.misses else Html("")
    return el("section", el("h3", "One criterion from met"), el("p", chart(counts)), shown)


def _missing(funnel: Funnel, anchors: Mapping[Cell, str]) -> Html:
    if not funnel.missing:
        return Html("")
    heads = el("tr", *(el("th", word, scope="col") for word in ("Test, record or question", "Unlocks", "Open for", "Criteria")))
    rows = (
        el(
            "tr",
            el("th", chart(one.test), scope="row"),
            el("td", _linked(one.unlocks, (funnel.protocol, "unlocks", one.test, ""), anchors), cls="number"),
            el("td", _linked(one.open, (funnel.protocol, "open", one.test, ""), anchors), cls="number"),
            el("td", chart(", ".join(one.criteria))),
        )
        for one in funnel.missing
    )
    caption = "What is missing, by the persons whom it unlocks"
    table = el("table", el("caption", caption), el("thead", heads), el("tbody", *rows), cls="read")
    return el("div", table, cls="scroll", role="region", tabindex="0", aria_label=caption)


def _lists(lists: Mapping[Cell, Listed], anchors: Mapping[Cell, str], more: str) -> Html:
    if not lists:
        return Html("")
    return el(
        "section", el("h2", "Lists"), *(_list(cell, found, anchors[cell], more) for cell, found in lists.items()), cls="lists"
    )


def _list(cell: Cell, found: Listed, anchor: str, more: str) -> Html:
    return el("section", *_list_parts(cell, found, more), id=anchor)


def _list_parts(cell: Cell, found: Listed, more: str) -> Iterator[Html]:
    protocol, view, criterion, band = cell
    words = [protocol, criterion, _WORDS.get(band, band), _VIEWS.get(view, view if view != "status" else "")]
    yield el("h3", chart(f"{' · '.join(word for word in words if word)}: {number(found.total)}"))
    yield el("ul", *(el("li", chart(patient_name(patient))) for patient in found.patients), cls="ids")
    if found.total > len(found.patients):
        yield el("p", f"The first {len(found.patients)}; ", el("a", "all of them", href=more), ".", cls="more")
