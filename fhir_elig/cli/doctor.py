"""The command `doctor`: asks a server what it offers and says what a protocol can do with it. Reads no patient."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_elig.cli.options import DEMO_PROTOCOL, ProtocolOption, ServerOption, SiteOption
from fhir_elig.errors import CODES, SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_elig.outputs.doctor import Lack, Level, Line, Report, Setting
    from fhir_elig.protocol import Protocol
    from fhir_elig.site import Site
    from fhir_elig.sources.inspection import Metadata, Trial
    from fhir_elig.sources.scopes import Grant
    from fhir_elig.sources.transport import Transport

_TIMEOUT = 60.0
_AUTHORISATION, _SERVER = 12, 14
_SKEW = 60.0  # seconds; a signed assertion is valid for some minutes only


def doctor(
    server: ServerOption = "",
    protocol: ProtocolOption = DEMO_PROTOCOL,
    site: SiteOption = None,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Total seconds for all that is asked", min=1.0, metavar="SECONDS")
    ] = _TIMEOUT,
) -> int:
    """Look at a FHIR server: what it offers, which criteria can be computed there, what to ask its vendor for.

    No patient is read. Exit code 0: it can be used; 12: signing in failed; 14: it cannot be reached or used.

    fhir-elig doctor --server https://ehr.example.org/fhir --protocol relma-cel-ssc --site site.yaml
    """
    from fhir_elig import places
    from fhir_elig.cli.pipeline import find_protocol
    from fhir_elig.cli.settings import in_force
    from fhir_elig.concepts import load_concepts
    from fhir_elig.protocol import load_protocol
    from fhir_elig.site import load_site

    loaded = load_site(site, load_concepts(places.mapping_root()))
    held = load_protocol(find_protocol(protocol), loaded.concepts)
    base = server or (loaded.file.server.base if loaded.file.server is not None else "")
    if not base:
        raise UsageError("name the server", code="FE0105", where="doctor", fix="add  --server URL")
    given = {
        "server": (server, ""),
        "protocol": (protocol, DEMO_PROTOCOL),
        "site": (str(site or ""), ""),
        "timeout": (f"{timeout:g} s", f"{_TIMEOUT:g} s"),
    }
    return _Visit(base, held, timeout, in_force(given, base, loaded.file)).run(loaded, site.parent if site else Path())


class _Visit:
    """One look at one server: what was found so far, told even where the server then fails."""

    def __init__(self, base: str, protocol: Protocol, timeout: float, settings: Sequence[Setting]) -> None:
        self._base, self._protocol, self._timeout, self._settings = base, protocol, timeout, settings
        self._lines: list[Line] = []
        self._codes: set[int] = set()
        self._software = ""
        self._quirks: list[str] = []

    def run(self, site: Site, folder: Path) -> int:
        from fhir_elig.outputs.doctor import Level
        from fhir_elig.sources.access import access
        from fhir_elig.sources.inspection import read_metadata, try_types

        needs = self._protocol.needs()
        types = {"Patient", "Medication", *(need.type for need in needs)}
        way = access(self._base, site.file.server, types, folder=folder)
        transport = way.transport(self._timeout)
        deadline = transport.deadline()
        try:
            metadata = read_metadata(way, transport, deadline)
            self._say_server(metadata, transport)
            grant = transport.credentials.grant(deadline)
            asked = [need for need in needs if need.type != "Patient"]
            trials = try_types(asked, metadata.served, grant, transport, deadline)
        except SourceError as error:
            self._say(Level.ERROR, f"{CODES[error.code]}: {error}")
            self._write(None)
            raise
        self._say_token(metadata, trials, grant, secret=way.credentials.secret)
        lacks = self._say_types(metadata, trials, grant)
        self._say_links(transport, metadata, trials)
        self._write(lacks)
        return max(self._codes, default=0)

    def _say(self, level: Level, text: str, effect: str = "", code: int = 0) -> None:
        from fhir_elig.outputs.doctor import Line

        self._lines.append(Line(level, text, effect))
        self._codes |= {code} - {0}

    def _say_server(self, metadata: Metadata, transport: Transport) -> None:
        from fhir_elig.outputs.doctor import Level
        from fhir_elig.sources.servers import recognise, software

        vendor, base = recognise(metadata.statement), transport.base
        self._software = software(metadata.statement) or (vendor.name if vendor else "")
        self._quirks = [f"{quirk.what} ({quirk.seen}, {quirk.source})" for quirk in vendor.quirks] if vendor else []
        version = metadata.served.fhir_version
        way = "certificate valid" if base.scheme == "https" else "plain http"
        if base.scheme == "https" or base.loopback:
            self._say(Level.OK, f"reachable, {way}")
        else:
            self._say(Level.WARN, "reachable, plain http", "charts travel unencrypted: ask for an https address")
        if version and metadata.served.is_read():
            self._say(Level.OK, f"FHIR {version}")
        elif not version:
            self._say(Level.WARN, "the server does not say which FHIR version it speaks", "it is read as R4, R4B or R5")
        else:
            self._say(Level.ERROR, f"FHIR {version[:20]!r} is not read", "ask for the base address of R4, R4B or R5", _SERVER)
        if metadata.skew is None:
            self._say(Level.NOTE, "the server does not tell the time: its clock could not be compared")
        elif abs(metadata.skew) > _SKEW:
            effect = "signed assertions and fresh tokens may be refused: set the clocks"
            self._say(Level.WARN, f"clock differs by {metadata.skew:+.0f} s (server less ours)", effect)
        else:
            self._say(Level.OK, f"clock differs by less than {int(abs(metadata.skew)) + 2} s")  # it tells whole seconds

    def _say_token(self, metadata: Metadata, trials: Sequence[Trial], grant: Grant | None, *, secret: bool) -> None:
        from fhir_elig.outputs.doctor import Level

        answered = [trial for trial in trials if not trial.why and not trial.doubt.startswith("a test search")]
        refused = [trial for trial in trials if trial.why.startswith("refused")]
        if refused and not answered:
            self._say(Level.ERROR, "signed in, but no type may be read" if secret else "nothing may be read without a token",
                      "no patient can be assessed", _AUTHORISATION)  # fmt: skip
        elif secret and (answered or metadata.signed):
            self._say(Level.OK, "token accepted")
        elif secret:
            self._say(Level.NOTE, "whether the token is accepted could not be tried")
        elif answered:
            self._say(Level.OK, "no token is sent, and the server asks for none")
        if grant is None:
            return
        self._say(Level.OK, f"scopes granted: {' '.join(sorted({*grant.permissions, *grant.narrowed})) or 'none'}")
        if not grant.reads("Patient"):
            self._say(Level.ERROR, "no scope for Patient was granted", "no patient can be assessed", _AUTHORISATION)

    def _say_types(self, metadata: Metadata, trials: Sequence[Trial], grant: Grant | None) -> dict[str, Lack]:
        from fhir_elig.outputs.doctor import Level

        served = metadata.served
        lacks = {trial.type: _lack(trial) for trial in trials if trial.why}
        able = [trial.type for trial in trials if not trial.why]
        self._say(Level.OK, f"types that can be searched by patient: {' '.join(able) or 'none'}")
        for lack in lacks.values():
            self._say_lack(lack, able)
        for trial in trials:
            if trial.doubt:
                self._say(Level.WARN, f"{trial.type}: {trial.doubt}", self._effect(trial.type, "may be unknown: "))
        if "Patient" not in served.reads:
            self._say(Level.WARN, "reading a Patient is not declared", "if it is refused, no patient can be assessed")
        if "Medication" not in served.reads or (grant is not None and not grant.reads("Medication")):
            self._say(Level.NOTE, "Medication cannot be read: a drug that a record names by reference only stays unknown")
        if "Group" not in served.reads:
            self._say(Level.NOTE, "Group cannot be read: name patients by --patient or --patients")
        return lacks

    def _say_lack(self, lack: Lack, able: Sequence[str]) -> None:
        from fhir_elig.outputs.doctor import Level
        from fhir_elig.record import MEDICATION_TYPES

        others = [kind for kind in MEDICATION_TYPES if kind in able]
        text = str(lack)
        if lack.type in ("QuestionnaireResponse", "Consent"):
            self._say(Level.NOTE, text, "people's answers come from an answers file")
        elif lack.type in MEDICATION_TYPES and others and not lack.refused:
            self._say(Level.NOTE, f"{text}; medication is read from {' and '.join(others)}")
        else:
            self._say(Level.WARN, text, self._effect(lack.type, "in part or wholly unknown: "))

    def _effect(self, kind: str, words: str) -> str:
        from fhir_elig.outputs.doctor import affected

        names = affected(self._protocol, kind)
        return words + ", ".join(names) if names else "shown beside questions only"

    def _say_links(self, transport: Transport, metadata: Metadata, trials: Sequence[Trial]) -> None:
        from fhir_elig.outputs.doctor import Level

        if metadata.named_elsewhere(transport) or any(trial.astray for trial in trials):
            effect = "pages there are not read: name that address under server > aliases in the site file"
            self._say(Level.WARN, "the server names itself by another address", effect)
        else:
            self._say(Level.OK, "links stay on this server")

    def _write(self, lacks: dict[str, Lack] | None) -> None:
        from fhir_elig.outputs.doctor import render

        typer.echo(render(self._report(lacks)), nl=False)

    def _report(self, lacks: dict[str, Lack] | None) -> Report:
        from fhir_elig.outputs.doctor import Report, reach

        return Report(
            server=self._base,
            software=self._software,
            lines=self._lines,
            protocol=f"{self._protocol.id} {self._protocol.version}",
            reached=None if lacks is None else reach(self._protocol, lacks),
            asks=[lack.ask for lack in (lacks or {}).values() if lack.ask],
            settings=self._settings,
            quirks=self._quirks,
        )


def _lack(trial: Trial) -> Lack:
    """A type that cannot be read, and what would mend it."""
    from fhir_elig.outputs.doctor import Lack

    if trial.why == "not-served":
        ask = f"{trial.type}: reading it, and searching it by patient"
    elif trial.why.startswith("not-served"):
        ask = f"{trial.type}: the search parameter patient"
    elif "scope" in trial.why:
        ask = f"{trial.type}: the scope system/{trial.type}.rs (version 1: system/{trial.type}.read)"
    else:
        ask = f"{trial.type}: leave to search it, which the server's policy refuses (403)"
    return Lack(trial.type, trial.why, ask)
