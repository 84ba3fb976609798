"""Patient.link: which records are of one person, because one replaced the other."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fhir_elig.references import target
from fhir_elig.sources import Resource


class Links(msgspec.Struct, frozen=True):
    """`survivors` maps the id of a replaced record to that of the record that holds now; `doubtful` are ids whose links form a
    loop or name two survivors; `gone` maps an id to a survivor that is not there."""

    survivors: dict[str, str]
    doubtful: frozenset[str]
    gone: dict[str, str]


def read_links(patients: Iterable[Resource], base: str | None = None) -> Links:
    """Follow `replaced-by` and `replaces` (the same, told by the survivor) to their end."""
    edges: dict[str, set[str]] = {}
    there: set[str] = set()
    for patient in patients:
        identity = patient["id"]
        there.add(identity)
        links = patient.get("link")
        for link in links if isinstance(links, list) else []:
            other = target(link.get("other"), base) if isinstance(link, dict) else None
            if other and other[0] == "Patient" and link.get("type") == "replaced-by":
                edges.setdefault(identity, set()).add(other[1])
            elif other and other[0] == "Patient" and link.get("type") == "replaces":
                edges.setdefault(other[1], set()).add(identity)
    survivors: dict[str, str] = {}
    doubtful: set[str] = set()
    gone: dict[str, str] = {}
    for start in sorted(edges):
        path = _follow(start, edges)
        if path is None:
            doubtful.add(start)
        elif path[-1] in there:
            survivors[start] = path[-1]
        else:
            gone[start] = path[-1]
    return Links(survivors, frozenset(doubtful), gone)


def _follow(start: str, edges: dict[str, set[str]]) -> list[str] | None:
    """The chain of records from one to its survivor; None for a loop or a fork."""
    path = [start]
    while nexts := edges.get(path[-1]):
        (step, *more) = nexts
        if more or step in path:
            return None
        path.append(step)
    return path
