"""Proof that a search answered the whole question: its self link, its outcome entries and its total.

What cannot be shown to be whole is not complete, and absence in it proves nothing. Notes are this project's own words: what a
server writes may name a patient.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from fhir_elig.sources.bodies import issue_code, issues, vendor_codes

WHOSE = frozenset({"patient", "subject"})
_NARROWING = frozenset(
    {"_lastUpdated", "_id", "_tag", "_security", "_source", "_profile", "_filter", "_has", "_list", "_text", "_content"}
)
_NONE_FOUND = frozenset({"4101"})
_WITHHELD = frozenset({"4119", "4130", "4131", "4134"})
_CUT = frozenset({"59133", "4127", "59100", "4122", "59108", "4113"})
_SPEAKS_OF_WITHHELD = re.compile(
    r"withh[eo]ld|suppress|redact|mask|restrict|confidential|sensitive|break.?the.?glass|permission"
    r"|not (?:be )?(?:shown|included|returned)|additional (?:data|results|records)|consent|privacy|hidden|omitted|excluded",
    re.IGNORECASE,
)
_SPEAKS_OF_CUT = re.compile(
    r"truncat|incomplete|partial|too many|limit|maximum|more results|first \d+|ignored|time.?out", re.IGNORECASE
)


class Remark(msgspec.Struct, frozen=True):
    """Why an answer may not be whole. `soft`: a person who knows the server may overrule it (`--complete`)."""

    note: str
    soft: bool = False


class SelfLink(msgspec.Struct, frozen=True):
    """What the self link shows: parameters that were sent and are not in it, and what else is odd."""

    ignored: frozenset[str] = frozenset()
    remarks: tuple[Remark, ...] = ()


def link(document: Mapping[str, Any], relation: str) -> str | None:
    """The address of a Bundle's link; None if there is none, an empty text if it cannot be told: links that cannot be read,
    a link without an address, two that differ. A relation counts in any case, and by its IANA address (RFC 8288)."""
    links = document.get("link") or []
    found: set[str] = set()
    for entry in links if isinstance(links, list) else [None]:
        named = entry.get("relation") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(named, str):
            found.add("")
        elif named.strip().lower().rsplit("/", 1)[-1] == relation:
            found.add(entry["url"] if isinstance(entry.get("url"), str) else "")
    return None if not found else found.pop() if len(found) == 1 else ""


def read_self(address: str | None, sent: Sequence[tuple[str, str]], declared: frozenset[str]) -> SelfLink:
    """Compares the self link with what was sent. No self link: nothing is known to be ignored. One that cannot be told (two
    that differ, an address that is no text) shows nothing of what was sent."""
    if address is None:
        return SelfLink()
    shown: dict[str, list[str]] = {}
    for name, value in _query(address):
        shown.setdefault(_plain(name), []).append(value)
    asked = {_plain(name): value for name, value in sent if not name.startswith("_")}
    ignored = frozenset(name for name in asked if name not in shown)
    changed = any(name in shown and not _honours(name, asked[name], shown[name]) for name in asked)
    remarks = [Remark("partial: the server changed the question")] if changed else []
    if any(_narrows(name, declared) for name in shown if name not in asked):
        remarks.append(Remark("partial: the server narrowed the question"))
    if ignored & WHOSE:
        remarks.append(Remark("partial: the self link does not show whose records were asked for", soft=True))
    return SelfLink(ignored, tuple(remarks))


def read_outcome(outcome: Mapping[str, Any]) -> list[Remark]:
    """What an OperationOutcome among the entries says against completeness; "no results" says nothing."""
    remarks = [_remark(issue) for issue in issues(outcome)] or [
        Remark("partial: the server sent a message without issues", soft=True)
    ]
    return [remark for remark in remarks if remark is not None]


def _remark(issue: Mapping[str, Any]) -> Remark | None:
    severity, code, numbers, words = issue.get("severity"), issue_code(issue), vendor_codes(issue), _words(issue)
    told = f" ({', '.join(sorted(numbers) or [code])})" if numbers or code else ""
    if code in {"suppressed", "security", "forbidden"} or numbers & _WITHHELD or _SPEAKS_OF_WITHHELD.search(words):
        return Remark(f"withheld: the server says that it does not show all{told}")
    if severity in {"error", "fatal"}:
        return Remark(f"partial: the server reports an error{told}")
    if numbers & _NONE_FOUND:
        return None
    if code in {"incomplete", "too-costly", "timeout", "limited-filter"} or numbers & _CUT or _SPEAKS_OF_CUT.search(words):
        return Remark(f"partial: the server says that the answer is cut or not what was asked{told}")
    return None if severity == "information" else Remark(f"partial: the server warns{told}", soft=True)


def _words(issue: Mapping[str, Any]) -> str:
    """The texts of an issue, to be searched and never to be repeated."""
    details = issue.get("details")
    texts = [issue.get("diagnostics"), details.get("text") if isinstance(details, dict) else None]
    codings = details.get("coding") if isinstance(details, dict) else None
    texts += [coding.get("display") for coding in codings if isinstance(coding, dict)] if isinstance(codings, list) else []
    return " ".join(text for text in texts if isinstance(text, str))


def _query(address: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(urlsplit(address).query, keep_blank_values=True)
    except ValueError:
        return []


def _plain(name: str) -> str:
    """A parameter's name; the modifier stays only where it makes another question (`date:missing`)."""
    base, _, modifier = name.partition(":")
    base = "patient" if base in WHOSE else base
    return f"{base}:missing" if modifier == "missing" else base


def _honours(name: str, sent: str, shown: Sequence[str]) -> bool:
    if name in WHOSE:
        return all(value.rsplit("/", 1)[-1] == sent.rsplit("/", 1)[-1] for value in shown)
    if name.endswith("code"):
        return set(_codes([sent])) <= set(_codes(shown)) and len(shown) == 1
    return sent in shown


def _codes(values: Sequence[str]) -> list[str]:
    """The codes of token lists, without their systems (which a server may leave out or write in another form)."""
    return [token.rsplit("|", 1)[-1] for value in values for token in re.split(r"(?<!\\),", value)]


def _narrows(name: str, declared: frozenset[str]) -> bool:
    return name in _NARROWING or (name in declared and not name.startswith("_"))
