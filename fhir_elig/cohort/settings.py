"""What a run was asked for, and what it works with: options as text, protocols bound to one mapping and one site."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import msgspec

from fhir_elig import places, times
from fhir_elig.cli.pipeline import Options, Screening, bind, find_protocol
from fhir_elig.concepts import load_concepts
from fhir_elig.criteria.base import near
from fhir_elig.errors import UsageError
from fhir_elig.protocol import Protocol, load_protocol
from fhir_elig.site import Site, load_site

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/")


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `cohort run` that bear on what it writes. Paths are absolute, so that `resume` may stand elsewhere."""

    protocols: tuple[str, ...]
    data: str
    as_of: str | None = None
    events: tuple[str, ...] = ()
    answers: str = ""
    site: str = ""
    complete: str = ""
    skip: bool = True
    after: str = ""
    facts: bool = False

    def settled(self) -> RunOptions:
        """With paths made absolute and today's date (in the site's zone) where none was given. Raises as `screenings`."""
        files = {name: _absolute(getattr(self, name)) for name in ("data", "answers", "site", "after")}
        protocols = tuple(str(find_protocol(name).resolve()) if Path(name).suffix else name for name in self.protocols)
        as_of = self.as_of
        if as_of is None:
            site = load_site(Path(files["site"]) if files["site"] else None, load_concepts(places.mapping_root()))
            as_of = datetime.now(times.zone(site.file.time_zone)).date().isoformat()
        return msgspec.structs.replace(self, **files, protocols=protocols, as_of=as_of)


def _absolute(path: str) -> str:
    """An absolute path; what has a scheme (`s3://`, `dbfs:/`) is an address and stays as it is."""
    return str(Path(path).absolute()) if path and not _ADDRESS.match(path) else path


def screenings(options: RunOptions) -> tuple[Screening, ...]:
    """One for each protocol, in the order of their ids; all share one mapping. Raises UsageError and AuthoringError."""
    site = load_site(Path(options.site) if options.site else None, load_concepts(places.mapping_root()))
    protocols = [load_protocol(find_protocol(name), site.concepts) for name in options.protocols]
    _check(options, protocols)
    return tuple(_screening(options, site, protocol) for protocol in sorted(protocols, key=lambda one: one.id))


def _screening(options: RunOptions, site: Site, protocol: Protocol) -> Screening:
    own = tuple(event for event in options.events if _milestone(event) in protocol.file.milestones)
    asked = Options(
        protocol=protocol.id,
        as_of=options.as_of,
        events=own,
        answers=Path(options.answers) if options.answers else None,
        complete=options.complete,
    )
    return bind(asked, site, protocol)


def _check(options: RunOptions, protocols: list[Protocol]) -> None:
    ids = [protocol.id for protocol in protocols]
    if len(set(ids)) < len(ids):
        raise UsageError("a protocol is named twice", where="--protocol", fix="name each once")
    if options.answers and len(ids) > 1:
        why = "an answers file speaks of the criteria of one protocol"
        raise UsageError(why, code="FE0105", where="--answers", fix="run that protocol alone")
    known = {name for protocol in protocols for name in protocol.file.milestones}
    for event in options.events:
        if _milestone(event) not in known:
            why = f'"{event}" names no milestone of the protocols'
            raise UsageError(why, code="FE0106", where="--event", fix=f"write NAME=DATE; {near(_milestone(event), known)}")


def _milestone(event: str) -> str:
    return event.partition("=")[0].partition("@")[0]
