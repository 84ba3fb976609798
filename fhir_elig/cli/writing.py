"""`screen --write`: the plan on stderr first, then each patient's recommendation, one line a patient."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import typer

from fhir_elig.cli.pipeline import PARTIAL, Options, Screening, Tally
from fhir_elig.errors import AuthorisationError, SourceError, UsageError
from fhir_elig.outputs.questionnaire import questionnaire
from fhir_elig.outputs.research_subject import device
from fhir_elig.protocol import Protocol
from fhir_elig.sinks import Outcome, Resource, Result
from fhir_elig.sinks.beside import Beside
from fhir_elig.sinks.declared import read_declared
from fhir_elig.sinks.delivery import delivery
from fhir_elig.sinks.fhir_store import Store
from fhir_elig.sinks.ndjson import Folder, files_plan
from fhir_elig.sinks.outbox import Outbox
from fhir_elig.sinks.plan import SET, How, Plan, Rules, make_plan, plan_text, subject_key
from fhir_elig.sinks.proposals import propose
from fhir_elig.sinks.wire import Wire
from fhir_elig.sources.access import access
from fhir_elig.sources.addresses import parse_base
from fhir_elig.sources.inspection import read_metadata
from fhir_elig.sources.replies import StatusError
from fhir_elig.sources.transport import Transport
from fhir_elig.verdict import Assessment

_VARIABLE = "FHIR_ELIG_OUTBOX"
_CONFLICT = 15
_CHANGE = frozenset("cu")
_ON_LIST = (Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED)


def server_of(screening: Screening, options: Options) -> str:
    own = screening.site.file.server
    return options.server or (own.base if own is not None else "")


def rules_of(screening: Screening, options: Options) -> Rules:
    """What the site file says of writing at the server. Raises UsageError if it does not name the study there."""
    file = screening.site.file
    study = file.study.get(screening.protocol.id, "")
    if not study.startswith("ResearchStudy/"):
        why = f"the site file does not say which study {screening.protocol.id} is on this server"
        raise UsageError(why, code="FE0105", where="--write", fix=f"write  study: {{{screening.protocol.id}: ResearchStudy/ID}}")
    if file.write.store and parse_base(file.write.store) != parse_base(server_of(screening, options)):
        fix = "name the same server, or none"
        raise UsageError("write.store names another server than --server", code="FE0105", where="--write", fix=fix)
    return Rules(
        study=study,
        allow=frozenset(file.write.allow),
        also=file.write.also,
        store=bool(file.write.store),
        proposal=file.write.proposal,
        canonical_base=file.canonical_base,
    )


class Writer:
    """One way to a store, with the plan of what may be written there. Without an outbox the plan is only shown."""

    def __init__(self, wire: Wire, plan: Plan, outbox: Outbox | None, protocol: Protocol) -> None:
        self._wire, self._plan, self._outbox, self._protocol = wire, plan, outbox, protocol

    def write(self, found: Sequence[Assessment], tally: Tally) -> None:
        """Shows the plan and carries it out; what became of each patient goes to stderr and the tally.

        Raises AuthorisationError, and SourceError or WriteConflictError for what is of the study or the software and not of one
        patient.
        """
        typer.echo(plan_text(self._plan, found), err=True)
        if self._outbox is None:
            typer.echo("dry run: nothing was sent", err=True)
        else:
            _carry_out(found, self._wire, self._plan, self._outbox, self._protocol, tally)


@contextmanager
def writer(screening: Screening, options: Options, fhir_version: str, *, dry_run: bool) -> Iterator[Writer | FileWriter]:
    """Everything that can be told before a chart is read: the site file, the server, what was granted, the study, the outbox.

    Raises UsageError, AuthorisationError (FE0403), SourceError (FE0504) and FhirEligError (FE0505).
    """
    rules = rules_of(screening, options)
    where = screening.site.file.write.folder
    if where:
        assert options.site is not None
        plan = files_plan("R5" if fhir_version == "R5" else "R4", rules)
        yield FileWriter(options.site.parent / where, plan, screening.protocol, dry_run=dry_run)
        return
    if options.data is not None:
        fix = "add  --server URL,  or  write: {folder: PATH}  to the site file"
        raise UsageError("--write needs a server or a folder", code="FE0105", where="--write", fix=fix)
    folder = options.site.parent if options.site is not None else Path()
    kinds = ("ServiceRequest",) if rules.proposal else (*SET, *rules.also)
    way = access(server_of(screening, options), screening.site.file.server, SET, folder=folder, write=kinds)
    transport = way.transport(options.timeout)
    declared = read_declared(read_metadata(way, transport, transport.deadline()).statement)
    plan = make_plan(str(transport.base), declared, rules)
    _granted(transport, "ServiceRequest" if rules.proposal else "ResearchSubject")
    wire = Wire(transport)
    if not rules.proposal or declared.offer("ResearchStudy").read:
        _study_is_there(wire, plan)
    outbox = None if dry_run else Outbox(outbox_path(screening, folder))
    try:
        yield Writer(wire, plan, outbox, screening.protocol)
    finally:
        if outbox is not None:
            outbox.close()


class FileWriter:
    """The same for a folder of files, one a type. A dry run makes none."""

    def __init__(self, folder: Path, plan: Plan, protocol: Protocol, *, dry_run: bool) -> None:
        self._path, self._plan, self._protocol, self._dry_run = folder, plan, protocol, dry_run

    def write(self, found: Sequence[Assessment], tally: Tally) -> None:
        """Raises FhirEligError (FE0505, FE0701) if the files cannot be written."""
        rules, recorded = self._plan.rules, _now()
        typer.echo(f"plan: write {', '.join(sorted(self._plan.how))} as NDJSON to {self._path}, study {rules.study}", err=True)
        if self._dry_run:
            typer.echo("dry run: nothing was written", err=True)
            return
        folder = Folder(self._path, rules)
        try:
            results = [folder.deliver(delivery(one, self._plan, recorded)) for one in found]
            if any(one.outcome in _ON_LIST for one in results):
                folder.keep(device(found[0], fhir_version=self._plan.fhir_version, canonical_base=rules.canonical_base))
                if "Questionnaire" in rules.also:
                    folder.keep(_form(self._protocol, self._plan))
            folder.save()
        finally:
            folder.close()
        for one in results:
            _tell(one, tally)


def _granted(transport: Transport, kind: str) -> None:
    """A token that does not tell what it covers is believed. Raises AuthorisationError."""
    grant = transport.credentials.grant(transport.deadline())
    if grant is not None and not (grant.allows(kind, _CHANGE) or grant.narrow(kind)):
        why, fix = "no scope to create and update it was granted", "ask for one, or screen without --write"
        raise AuthorisationError(why, code="FE0403", where=kind, fix=fix)


def outbox_path(screening: Screening, folder: Path) -> Path:
    """FHIR_ELIG_OUTBOX, else the site file's, else a file in the user's state folder."""
    if named := os.environ.get(_VARIABLE):
        return Path(named)
    if screening.site.file.write.outbox:
        return folder / screening.site.file.write.outbox
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "fhir-elig" / "outbox.sqlite"


def _carry_out(found: Sequence[Assessment], wire: Wire, plan: Plan, outbox: Outbox, protocol: Protocol, tally: Tally) -> None:
    if plan.rules.proposal:
        for one in found:
            _tell(propose(one, plan, Beside(wire, plan), wire.deadline()), tally)
        return
    recorded = _now()
    links = _tool(found, wire, plan)
    if plan.how.get("Questionnaire", How.NOT) is not How.NOT:
        Beside(wire, plan).keep(_form(protocol, plan), wire.deadline())
    store = Store(wire, plan, outbox, links)
    results = []
    for result in store.recover(besides={subject_key(one, plan.rules.study) for one in found}):
        _tell(result, tally)
    for one in found:
        results.append(store.deliver(delivery(one, plan, recorded)))
        _tell(results[-1], tally)
    listed = [one.reference.split("/_history/")[0] for one in results if one.outcome in _ON_LIST]
    if listed and plan.how.get("List", How.NOT) is not How.NOT:
        made_by = next(iter(links.values()))
        Beside(wire, plan).list_subjects(protocol.id, listed, made_by, recorded, wire.deadline())


def _study_is_there(wire: Wire, plan: Plan) -> None:
    """A server that does not say (it refuses the type) is believed. Raises SourceError if the study is not there."""
    kind, _, name = plan.rules.study.partition("/")
    try:
        found = wire.read(kind, name, wire.deadline())
    except StatusError:
        return
    if found is None:
        raise SourceError("the study is not there", code="FE0504", where=plan.rules.study, fix="look at study in the site file")


def _tool(found: Sequence[Assessment], wire: Wire, plan: Plan) -> dict[str, str]:
    """Where the Device that stands for this software is on the server."""
    if not found or plan.how["Device"] is How.NOT:
        return {}
    made = device(found[0], fhir_version=plan.fhir_version, canonical_base=plan.rules.canonical_base)
    reference = Beside(wire, plan).keep(made, wire.deadline())
    return {f"Device/{made['id']}": reference.split("/_history/")[0]}


def _form(protocol: Protocol, plan: Plan) -> Resource:
    asked = [(criterion, text) for criterion, text, _ in protocol.questions()]
    return questionnaire(protocol.id, protocol.version, asked, canonical_base=plan.rules.canonical_base)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _tell(result: Result, tally: Tally) -> None:
    typer.echo(f"write {result.line()}", err=True)
    if result.outcome is Outcome.CONFLICT:
        tally.codes.add(_CONFLICT)
    elif result.outcome is Outcome.FAILED:
        tally.codes.add(PARTIAL)
