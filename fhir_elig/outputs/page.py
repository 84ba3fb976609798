"""Small parts of an HTML page. Text is escaped unless it was made here, so that no chart text can become markup."""

from __future__ import annotations

import re
from html import escape

from fhir_elig.outputs.words import safe_text
from fhir_elig.verdict import Evidence, Status, Verdict

_VOID = frozenset(("meta", "br", "wbr"))
_TIME_PARTS = re.compile(r"(?=T)|(?<=/)")
_REFERENCE = re.compile(r"([A-Z][A-Za-z]{1,40}/[A-Za-z0-9\-.]{1,64})(#[A-Za-z0-9\-./]*)?")
_VERSION = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_BASE = re.compile(r"https?://[!-~]+")

VERDICT_WORDS: dict[Verdict, str] = {
    Verdict.MET: "Met",
    Verdict.NOT_MET: "Not met",
    Verdict.UNKNOWN: "Unknown",
    Verdict.NOT_APPLICABLE: "Not applicable",
}

_DRAWN: dict[str, str] = {
    "disc": '<circle cx="8" cy="8" r="6.5" fill="currentColor"/>',
    "half": '<circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.6"/>'
    '<path d="M8 2a6 6 0 0 0 0 12z" fill="currentColor"/>',
    "cross": '<path d="M3 3l10 10M13 3L3 13" fill="none" stroke="currentColor" stroke-width="2.6" stroke-linecap="round"/>',
    "question": '<path d="M4 4.9a4 3.9 0 1 1 6 3.3C8.6 9 8 9.4 8 10.4" fill="none" stroke="currentColor" '
    'stroke-width="2.6" stroke-linecap="round"/><circle cx="8" cy="14.2" r="1.6" fill="currentColor"/>',
    "dash": '<path d="M3 8h10" fill="none" stroke="currentColor" stroke-width="2.6" stroke-linecap="round"/>',
}

SHAPES: dict[str, str] = {
    Verdict.MET.value: "disc",
    Verdict.NOT_MET.value: "cross",
    Verdict.UNKNOWN.value: "question",
    Verdict.NOT_APPLICABLE.value: "dash",
    Status.ELIGIBLE.value: "disc",
    Status.CANDIDATE.value: "half",
    Status.POTENTIAL_CANDIDATE.value: "question",
    Status.INELIGIBLE.value: "cross",
}


class Html(str):
    """Markup that was made here and is not escaped again."""

    __slots__ = ()


def text(value: str) -> Html:
    """Text made harmless: escaped, with control and reordering characters shown."""
    return Html(escape(safe_text(value), quote=True))


def join(*children: str) -> Html:
    return Html("".join(child if isinstance(child, Html) else text(child) for child in children))


def el(tag: str, *children: str, **attributes: str) -> Html:
    """An element. Attribute names: `cls` is class, `aria_label` is aria-label; an empty value leaves the attribute out."""
    written = "".join(f' {_attribute(name)}="{text(value)}"' for name, value in attributes.items() if value)
    return Html(f"<{tag}{written}>" if tag in _VOID else f"<{tag}{written}>{join(*children)}</{tag}>")


def _attribute(name: str) -> str:
    return "class" if name == "cls" else name.rstrip("_").replace("_", "-")


def chart(value: str, **attributes: str) -> Html:
    """Text from a chart, kept apart from the direction of the text around it."""
    return el("bdi", value, **attributes)


def time_text(value: str) -> Html:
    """A date or time that breaks, where it must, only before the time of day and after a slash."""
    return el("bdi", Html(el("wbr").join(el("span", part, cls="whole") for part in _TIME_PARTS.split(value) if part)))


def shape(kind: str) -> Html:
    """The shape of a verdict or status, for eyes only: the word beside it says the same."""
    drawn = _DRAWN[SHAPES.get(kind, "dash")]
    return Html(
        f'<svg class="shape" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">{drawn}</svg>'
    )


def badge(kind: str, word: str, cls: str) -> Html:
    return el("span", shape(kind), el("span", word), cls=f"{cls} {kind.replace(' ', '-')}")


def resource(evidence: Evidence, base: str | None) -> Html:
    """The resource and its version; a link where the server's base is known and the reference is a plain one."""
    version = el("span", f" version {evidence.version}", cls="version") if evidence.version else Html("")
    shown = join(chart(evidence.reference), version)
    found = _REFERENCE.fullmatch(evidence.reference)
    if not base or found is None or _BASE.fullmatch(base) is None:
        return shown
    history = f"/_history/{evidence.version}" if _VERSION.fullmatch(evidence.version) else ""
    return el("a", shown, href=f"{base.rstrip('/')}/{found[1]}{history}", rel="noopener noreferrer")
