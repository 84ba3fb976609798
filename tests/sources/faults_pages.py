"""Faults of searches: links, totals, entries, whose they are, what the server says beside them.

`at` names the pages on which the fault stands; `same`: the verdicts must be those of the clean run, else each is that or
`unknown`. `rows` are those of the catalogue of faults; 0 where the catalogue does not name it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.sources.fakes import FHIR, Answer, ok, outcome
from tests.sources.hostile import PATIENT, Ask, Raw, Resource, Ward

FIRST, SECOND, BOTH = ("Observation 1",), ("Observation 2",), ("Observation 1", "Observation 2")
CONDITIONS = ("Condition",)


class PageFault(NamedTuple):
    rows: tuple[int, ...]
    at: tuple[str, ...]
    make: Callable[[Ward, Ask, Resource], Resource | Answer | Raw]
    same: bool
    exit_code: int

    def play(self, ward: Ward, ask: Ask, answer: Answer) -> Answer | Raw:
        if not any(ask.is_(place) for place in self.at) or answer[0] != 200:
            return answer
        made = self.make(ward, ask, json.loads(answer[2]))
        return ok(made) if isinstance(made, dict) else made


def row(change: Callable[..., Any], *rows: int, at: tuple[str, ...] = FIRST, same: bool = False, code: int = 1) -> PageFault:
    """`change` takes the searchset, or the ward and the searchset."""
    wants_ward = change.__code__.co_argcount == 2

    def make(ward: Ward, ask: Ask, bundle: Resource) -> Any:
        return change(ward, bundle) if wants_ward else change(bundle)

    return PageFault(rows or (0,), at, make, same, code)


def following(address: str, *rows: int, same: bool = False, code: int = 1) -> PageFault:
    """Another next link: `{next}` is the true one, `{query}` its query, `{base}`, `{host}` and `{stranger}` the servers."""

    def change(ward: Ward, bundle: Resource) -> Resource:
        true = next(link["url"] for link in bundle["link"] if link["relation"] == "next")
        fields = {"next": true, "query": true.partition("?")[2], "base": ward.base, "host": ward.base.partition("//")[2][:-5]}
        url = address.format(**fields, stranger=ward.stranger.base.partition("//")[2], path=true.partition("/fhir/")[2])
        return linked(bundle, [*others(bundle), {"relation": "next", "url": url}])

    return row(change, *rows, same=same, code=code)


def linked(bundle: Resource, links: Any) -> Resource:
    return {**bundle, "link": links}


def others(bundle: Resource) -> list[Resource]:
    return [link for link in bundle["link"] if link["relation"] != "next"]


def renamed_link(relation: Any) -> Callable[[Resource], Resource]:
    def change(bundle: Resource) -> Resource:
        return linked(bundle, [link if link["relation"] == "self" else {**link, "relation": relation} for link in bundle["link"]])

    return change


def with_self(change: Callable[[str], Any]) -> Callable[[Resource], Resource]:
    def made(bundle: Resource) -> Resource:
        links = [{**link, "url": change(link["url"])} if link["relation"] == "self" else link for link in bundle["link"]]
        return linked(bundle, links)

    return made


def each(change: Callable[[Resource], Any]) -> Callable[[Resource], Resource]:
    """Every entry's resource changed; None takes the entry away."""

    def made(bundle: Resource) -> Resource:
        new = [(entry, change(entry["resource"])) for entry in bundle["entry"]]
        return {**bundle, "entry": [{**entry, "resource": one} for entry, one in new if one is not None]}

    return made


def modes(mode: Any) -> Callable[[Resource], Resource]:
    return lambda bundle: {**bundle, "entry": [{**entry, "search": {"mode": mode}} for entry in bundle["entry"]]}


def more(*resources: Any, mode: str = "match") -> Callable[[Resource], Resource]:
    added = [{"resource": one, "search": {"mode": mode}} for one in resources]
    return lambda bundle: {**bundle, "entry": [*bundle["entry"], *added]}


def told(**issue: str) -> Callable[[Resource], Resource]:
    return more(outcome(**issue), mode="outcome")


def everybody(ward: Ward, bundle: Resource) -> Resource:
    """As of a server that ignores whose records were asked for: nothing is filtered, and the self link says so."""
    kind = "Observation"
    entries = [{"resource": one} for one in ward.resources if one["resourceType"] == kind]
    return {**bundle, "entry": entries, "total": len(entries), "link": [{"relation": "self", "url": f"{ward.base}/{kind}"}]}


def another_patient(bundle: Resource) -> Resource:
    return each(lambda one: {**one, "subject": {"reference": "Patient/other"}})(bundle)


def one_stranger(ward: Ward, bundle: Resource) -> Resource:
    return more(next(one for one in ward.resources if str(one["id"]).startswith("other-")))(bundle)


def twisted(one: Resource) -> Resource:
    """The same id, with a value that would turn the verdict over."""
    return {**one, "valueQuantity": {**one["valueQuantity"], "value": one["valueQuantity"]["value"] * 50}}


def versions(bundle: Resource, old: str, new: str) -> Resource:
    """Each result twice: as an old version with another value, and as it is now."""
    now = each(lambda one: {**one, "meta": {"versionId": new}})(bundle)
    before = [{"resource": {**twisted(entry["resource"]), "meta": {"versionId": old}}} for entry in bundle["entry"]]
    return {**now, "entry": [*before, *now["entry"]]}


def subject(reference: Any) -> Callable[[Resource], Resource]:
    return each(lambda one: {**one, "subject": reference})


def contained(bundle: Resource) -> Resource:
    person = {"resourceType": "Patient", "id": "p", "birthDate": "1979-11-23"}
    return each(lambda one: {**one, "contained": [person], "subject": {"reference": "#p"}})(bundle)


def endless(ward: Ward, bundle: Resource) -> Resource:
    """The same page for ever under a new address each time."""
    number = len(ward.server.requests)
    return linked(bundle, [*others(bundle), {"relation": "next", "url": f"{ward.base}/Observation?cursor=c0&n={number}"}])


def gone(status: int) -> Callable[[Resource], Answer]:
    return lambda bundle: (status, FHIR, json.dumps(outcome(code="not-found", number="4113")))


LINKS = {
    "the second page names itself": row(lambda ward, b: linked(b, [{"relation": "next", "url": f"{ward.base}/Observation?cursor=c0"}]), 15, at=SECOND),
    "the same page for ever, new address": row(endless, 15, at=SECOND),
    "to a stranger": following("http://{stranger}/Observation?{query}", 16),
    "to a stranger without a scheme": following("//{stranger}/Observation?{query}", 16),
    "to a stranger behind a user": following("http://{host}@{stranger}/Observation?{query}", 16),
    "to a stranger before a user": following("http://{stranger}#@{host}/fhir/Observation?{query}", 16),
    "to a stranger behind a backslash": following("http:\\\\{stranger}/Observation?{query}", 16),
    "to a host that begins like the base": following("http://{host}.example.org/fhir/Observation?{query}", 16),
    "to the base with a user": following("http://a:b@{host}/fhir/Observation?{query}", 16),
    "to another scheme": following("https://{host}/fhir/Observation?{query}", 17),
    "to a file": following("file:///etc/passwd", 16),
    "to a script": following("javascript:alert(1)", 16),
    "to another base path": following("http://{host}/other/Observation?{query}", 16),
    "to a path that begins like the base": following("{base}2/Observation?{query}", 16),
    "out of the base by dots": following("{base}/../admin?{query}", 16),
    "out of the base by encoded dots": following("{base}/%2e%2e/admin?{query}", 16),
    "with a line feed": following("{next}\r\nX-Canary: 1", 16),
    "with a blank": following(" {next} ", 16),
    "empty": following("", 16),
    "to another port": following("http://127.0.0.1:1/fhir/Observation?{query}", 16),
    "to no port": following("http://127.0.0.1:port/fhir/Observation?{query}", 16),
    "to no place in brackets": following("http://[::1/fhir/Observation?{query}", 16),
    "relative to the type": following("Observation?{query}", 18, same=True, code=0),
    "relative to the server": following("/fhir/Observation?{query}", 18, same=True, code=0),
    "relative to the page": following("?{query}", 18, same=True, code=0),
    "with a fragment": following("{next}#Canaryname", 18, same=True, code=0),
    "in capitals": following("HTTP://{host}/fhir/Observation?{query}", 18, same=True, code=0),
    "by dots and back": following("{base}/x/../Observation?{query}", 18, same=True, code=0),
    "relation Next": row(renamed_link("Next"), same=True, code=0),
    "relation NEXT with blanks": row(renamed_link(" NEXT "), same=True, code=0),
    "relation by its address": row(renamed_link("http://www.iana.org/assignments/relation/next"), same=True, code=0),
    "relation that is no text": row(renamed_link(["next"])),
    "two next links": row(lambda b: linked(b, [*b["link"], {"relation": "next", "url": "?cursor=c99"}])),
    "the same next link twice": row(lambda b: linked(b, [*b["link"], b["link"][-1]]), same=True, code=0),
    "links that are no list": row(lambda b: linked(b, {"relation": "next", "url": "?cursor=c0"})),
    "a link that is a text": row(lambda b: linked(b, ["?cursor=c0"])),
    "a next link without an address": row(lambda b: linked(b, [*others(b), {"relation": "next"}]), 16),
    "a next link whose address is a number": row(lambda b: linked(b, [*others(b), {"relation": "next", "url": 7}]), 16),
    "the paging session has expired: 410": row(gone(410), 20, at=SECOND),
    "the paging session has expired: 404": row(gone(404), 20, at=SECOND),
    "an empty last page": row(lambda b: linked(b, [*others(b), {"relation": "next", "url": "Procedure?patient=nobody"}]), 21, at=("Observation 4",), same=True, code=0),
}  # fmt: skip

TOTALS = {
    "total above what came": row(lambda b: {**b, "total": 999}, 24, code=0),
    "the next link was lost, and the total tells": row(lambda b: {**linked(b, others(b)), "total": 14}, 24, code=0),
    "total below what came": row(lambda b: {**b, "total": 1}, same=True, code=0),
    "a negative total": row(lambda b: {**b, "total": -3}, same=True, code=0),
    "a total in words": row(lambda b: {**b, "total": "many"}, same=True, code=0),
    "another type of Bundle": row(lambda b: {**b, "type": "collection"}, 9),
    "no type of Bundle": row(lambda b: {name: value for name, value in b.items() if name != "type"}, 9),
    "a type of Bundle in capitals": row(lambda b: {**b, "type": "SearchSet"}, 9),
    "no entries in spite of a total": row(lambda b: {**b, "entry": [], "total": 4}, 8, code=0),
    "entries that are an object": row(lambda b: {**b, "entry": b["entry"][0]}, 8, code=0),
    "entries that are null": row(lambda b: {**b, "entry": None}, 8, code=0),
    "an entry that is a text": row(lambda b: {**b, "entry": [*b["entry"], "Canaryname"]}, 45, code=0),
    "an entry without a resource": row(lambda b: {**b, "entry": [*b["entry"], {"fullUrl": "urn:x"}]}, 45, code=0),
    "a resource without an id": row(each(lambda one: {name: value for name, value in one.items() if name != "id"}), 45, same=True, code=0),
    "an id that is a path": row(each(lambda one: {**one, "id": "../../" + one["id"]}), 48),
    "an id that is a number": row(each(lambda one: {**one, "id": 7}), 48),
    "an id of 65 characters": row(each(lambda one: {**one, "id": "a" * 65}), 48),
    "all entries marked include": row(modes("include"), at=("Observation 1", "Observation 2", "Observation 3", "Observation 4"), same=True, code=0),
    "conditions marked include": row(modes("include"), at=CONDITIONS, same=True, code=0),
    "a mode in capitals": row(modes("MATCH"), code=0),
    "a mode that is a number": row(modes(7), code=0),
    "all entries marked outcome": row(modes("outcome"), 9, code=0),
    "entries of a batch": row(lambda b: {**b, "entry": [{"response": {"status": "200"}} for _ in b["entry"]]}, 45, code=0),
    "the page twice": row(lambda b: {**b, "entry": b["entry"] * 2}, 22, same=True, code=0),
    "SUBSETTED": row(each(lambda one: {**one, "meta": {"tag": [{"code": "SUBSETTED"}]}}), code=0),
}  # fmt: skip

PEOPLE = {
    "another patient's page": row(another_patient, 50, code=16),
    "another patient's second page": row(another_patient, 50, at=SECOND, code=16),
    "another patient's conditions": row(another_patient, 50, at=CONDITIONS, code=16),
    "one result of another patient": row(one_stranger, 50, code=16),
    "everybody's results, and the self link says so": row(everybody, 24, code=0),
    "the patient in another case": row(subject({"reference": f"Patient/{PATIENT.upper()}"}), 50, code=16),
    "the type in small letters": row(subject({"reference": f"patient/{PATIENT}"}), 51),
    "an absolute subject": row(lambda ward, b: subject({"reference": f"{ward.base}/Patient/{PATIENT}"})(b), 46, same=True, code=0),
    "an absolute subject in capitals": row(lambda ward, b: subject({"reference": f"{ward.base.replace('http', 'HTTP')}/Patient/{PATIENT}"})(b), 46, same=True, code=0),
    "an absolute subject elsewhere": row(lambda ward, b: subject({"reference": f"{ward.stranger.base}/Patient/{PATIENT}"})(b), 47),
    "a versioned subject": row(subject({"reference": f"Patient/{PATIENT}/_history/3"}), 46, same=True, code=0),
    "a group as subject": row(subject({"reference": "Group/1"}), 51),
    "a subject by identifier": row(subject({"identifier": {"value": "MRN-Canary-0815"}}), 51),
    "a subject that is a text": row(subject(f"Patient/{PATIENT}"), 51),
    "two subjects": row(each(lambda one: {**one, "patient": {"reference": "Patient/other"}}), 51),
    "no subject": row(each(lambda one: {name: value for name, value in one.items() if name != "subject"}), 51),
    "a contained patient": row(contained, 46),
    "a later version on the same page": row(lambda b: versions(b, "1", "2"), 23, same=True, code=0),
    "an earlier version that comes later": row(lambda b: {**(new := versions(b, "1", "10")), "entry": new["entry"][::-1]}, 23, same=True, code=0),
    "two bodies of one version": row(lambda b: versions(b, "2", "2"), 23, code=0),
}  # fmt: skip

WORDS = {
    "an error among the entries": row(told(text="Canaryname"), 9, code=0),
    "a code of withheld data": row(told(severity="warning", number="4119"), code=0),
    "break the glass": row(told(severity="information", code="suppressed", number="4130"), code=0),
    "words of withheld data": row(told(severity="information", text="some results were redacted"), code=0),
    "cut at a limit": row(told(severity="warning", number="59133"), code=0),
    "none found": row(told(severity="information", number="4101"), same=True, code=0),
    "the self link without the patient": row(with_self(lambda url: url.replace("patient=", "x=")), 24, code=0),
    "the self link names another patient": row(with_self(lambda url: url.replace(PATIENT, "other")), 24, code=0),
    "the self link with fewer codes": row(with_self(lambda url: url.split("code=")[0] + "code=1"), 24, code=0),
    "the self link narrowed": row(with_self(lambda url: url + "&_lastUpdated=gt2025"), 24, code=0),
    "the self link that is no address": row(with_self(lambda url: "http://[::"), 24, code=0),
    "the self link that is a list": row(with_self(lambda url: [url]), 24, code=0),
    "a result with a modifier": row(each(lambda one: {**one, "modifierExtension": [{"url": "urn:x", "valueBoolean": True}]}), code=0),
    "a value twice": row(lambda b: (200, FHIR, json.dumps(b).replace('"valueQuantity": {', '"valueQuantity": {"value": 1, ', 1)), 41, code=0),
    "a value without end": row(lambda b: (200, FHIR, json.dumps(b).replace('"value": ', '"value": 1e99999', 1)), 42, code=0),
}  # fmt: skip

PAGES: dict[str, PageFault] = {
    **{f"next link {name}": fault for name, fault in LINKS.items()}, **TOTALS, **PEOPLE, **WORDS,
}  # fmt: skip
