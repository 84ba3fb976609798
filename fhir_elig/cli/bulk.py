"""`cohort run --bulk`: the charts come from a bulk export, which is kept in the folder of the run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from fhir_elig.errors import UsageError

if TYPE_CHECKING:
    from fhir_elig.cohort.settings import RunOptions

BulkOption = Annotated[str, typer.Option("--bulk", help="The base of a FHIR server that exports (Bulk Data)", metavar="URL")]
BulkGroupOption = Annotated[str | None, typer.Option("--group", help="With --bulk: the members of this group only", metavar="ID")]
AfterOption = Annotated[
    Path | None,
    typer.Option(
        "--after", help="Screen only whose chart changed since that run; with --bulk, ask only for what changed", metavar="RUN"
    ),
]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", help="With --after: changes since an earlier instant than that export's", metavar="INSTANT"),
]
ExportTimeoutOption = Annotated[
    float, typer.Option("--export-timeout", help="With --bulk: seconds for the whole export", min=1.0, metavar="SECONDS")
]
SIX_HOURS = 21_600.0


class Bulk(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of `cohort run` beside the options that every run has."""

    url: str
    group: str = ""
    after: Path | None = None
    since: str = ""
    timeout: float = SIX_HOURS

    def check(self, data: str) -> None:
        """Raises UsageError unless exactly one source is named, and what belongs to it."""
        if bool(data) == bool(self.url):
            raise _misused("name --data or --bulk", "add  --data PATH  or  --bulk URL")
        if data and (self.group or self.since):
            raise _misused("--group and --since belong to --bulk", "leave them out")
        if self.since and self.after is None:
            raise _misused("what changed is not a chart: --since needs the export before it", "add  --after RUN")
        if self.group and self.after is not None:
            raise _misused("who joined or left a group since is not told", "export the group in full: leave out --after")


def _misused(why: str, fix: str) -> UsageError:
    return UsageError(why, code="FE0105", where="cohort run", fix=fix)


def exported(options: RunOptions, out: Path, bulk: Bulk) -> RunOptions:
    """Options whose data are a finished export in `out/export`. Raises UsageError, AuthoringError, DataError, SourceError."""
    from fhir_elig.cohort.folder import EXPORT, RunFolder, writing
    from fhir_elig.cohort.settings import screenings
    from fhir_elig.sources.access import access
    from fhir_elig.sources.bulk import Asked, BulkClient
    from fhir_elig.sources.bulk_merge import merge

    grounds = screenings(options)
    types = sorted({"Patient", "Medication", *(need.type for ground in grounds for need in ground.protocol.needs())})
    server = grounds[0].site.file.server
    folder = Path(options.site).parent if options.site else Path()
    way = access(bulk.url, server, types, folder=folder)
    hosts: Iterable[str] = server.file_hosts if server is not None else ()
    earlier = bulk.after / EXPORT if bulk.after is not None else None
    since = _since(earlier, bulk.since) if earlier is not None else ""
    place = RunFolder(out).create_export()
    client = BulkClient(way, timeout=bulk.timeout, hosts=hosts, talk=lambda text: typer.echo(text, err=True))
    with writing(place):
        status = client.export(Asked(types=tuple(types), group=bulk.group, since=since), place)
        if earlier is not None:
            typer.echo(f"export: {len(merge(earlier, place))} resources changed since {since}", err=True)
            if not status.tells_deletions:
                why = f"the server does not tell what was deleted since {since}: such records may still stand in this run"
                typer.echo(f"export: {why}; export in full from time to time (leave out --after)", err=True)
    typer.echo(f"export of {status.time}: to ask for what changes after it:  --bulk {bulk.url} --after {out}", err=True)
    return msgspec.structs.replace(options, data=str(place))


def _since(earlier: Path, given: str) -> str:
    """The instant of the export before, or an earlier one. Raises UsageError, DataError."""
    from fhir_elig.sources.bulk_merge import not_later, read_export

    time = str(read_export(earlier)["transactionTime"])
    try:
        fits = not given or not_later(given, time)
    except ValueError:
        fix = "write an instant with its zone, such as 2025-06-01T08:00:00Z"
        raise UsageError(f'"{given}" is no instant', code="FE0106", where="--since", fix=fix) from None
    if not fits:
        raise UsageError("what changed before it would be missing", where="--since", fix=f"name no later instant than {time}")
    return given or time
