"""How a hospital's server is reached, from its site file: credentials, certificates, proxy, limits.

bearer         FHIR_ELIG_TOKEN, if it is set
smart-backend  SMART Backend Services with `client_id` and `key`
mutual-tls     our own `certificate` and `key`; FHIR_ELIG_TOKEN beside it, if it is set
none           no credentials: on this machine only
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from fhir_elig.errors import UsageError
from fhir_elig.site import Server
from fhir_elig.sources.addresses import parse_base
from fhir_elig.sources.channel import Connection
from fhir_elig.sources.credentials import TOKEN_VARIABLE, Bearer, Credentials, safe_to_send
from fhir_elig.sources.replies import Limits
from fhir_elig.sources.transport import Transport

_WHERE = "site file, server"


class Access(msgspec.Struct, frozen=True):
    """Everything that a transport needs to reach one server as we may."""

    base: str
    credentials: Credentials
    connection: Connection = Connection()
    limits: Limits = Limits()
    aliases: tuple[str, ...] = ()

    def transport(self, timeout: float, *, allow_http: bool = False) -> Transport:
        """The way itself. Raises UsageError, as `Transport` does."""
        return Transport(
            self.base,
            timeout=timeout,
            limits=self.limits,
            allow_http=allow_http,
            credentials=self.credentials,
            connection=self.connection,
            aliases=self.aliases,
        )


def access(
    base: str,
    server: Server | None,
    types: Iterable[str],
    *,
    folder: Path = Path(),
    write: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Access:
    """The way to `base`. What the site file says counts only if it speaks of that server: a key never goes to another.

    `types` are read and `write` are written: they become scopes. Paths of the site file stand relative to `folder`. Raises
    UsageError.
    """
    environment = os.environ if environment is None else environment
    place = parse_base(base)
    if server is None or parse_base(server.base) != place:
        return Access(base, Bearer(environment.get(TOKEN_VARIABLE) or None))
    connection = Connection(
        ca=_path(server.ca or "", folder),
        certificate=_path(server.certificate, folder) if server.auth == "mutual-tls" else "",
        key=_path(server.key, folder) if server.auth == "mutual-tls" else "",
        proxy=server.proxy or "",
    )
    limits = Limits(**server.limits.model_dump(exclude_none=True))
    credentials: Credentials = Bearer(environment.get(TOKEN_VARIABLE) or None)
    if server.auth == "none":
        if not place.loopback:
            raise UsageError("only a server on this machine is read without signing in", where=_WHERE, fix="name how to sign in")
        credentials = Bearer(None)
    elif server.auth == "mutual-tls":
        if not connection.certificate or not connection.key:
            raise UsageError("no certificate and key are named", where=_WHERE, fix="name certificate and key")
        from fhir_elig.sources.smart_keys import owned

        owned(Path(connection.key))
    elif server.auth == "smart-backend":
        safe_to_send(place, allow_http=False)
        credentials = _backend(server, types, write, folder, environment, connection, limits)
    return Access(base, credentials, connection, limits, server.aliases)


def _backend(
    server: Server,
    types: Iterable[str],
    write: Iterable[str],
    folder: Path,
    environment: Mapping[str, str],
    connection: Connection,
    limits: Limits,
) -> Credentials:
    from fhir_elig.sources.smart import Client, backend_services
    from fhir_elig.sources.smart_keys import load_key

    if not server.client_id:
        raise UsageError("no client id is named", where=f"{_WHERE} > client_id", fix="write the id that the server gave")
    key = load_key(folder / server.key if server.key else None, environment, server.kid)
    return backend_services(
        server.base,
        Client(server.client_id, key),
        types,
        write=write,
        token_endpoint=server.token_endpoint,
        connection=connection,
        limits=limits,
    )


def _path(name: str, folder: Path) -> str:
    return str(folder / name) if name else ""
