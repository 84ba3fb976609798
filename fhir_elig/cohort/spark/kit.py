"""What a Spark worker needs to assess a patient: protocols, site and answers as bytes, and the options that name them.

The mappings come with the package, which each worker must have installed in the same version: a worker that has others refuses.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from fhir_elig._version import __version__
from fhir_elig.cli.pipeline import Screening, find_protocol
from fhir_elig.cohort.settings import RunOptions, screenings
from fhir_elig.errors import UsageError


class Kit(msgspec.Struct, frozen=True, kw_only=True):
    """`files` by the names by which `options` call them; `mappings` is the SHA-256 of the mapping tables."""

    package: str = __version__
    mappings: str
    options: RunOptions
    files: dict[str, bytes]


def pack(options: RunOptions, mappings: str) -> bytes:
    """A kit of settled options. Raises UsageError if a protocol is not there."""
    protocols = {f"{number}.yaml": find_protocol(name).read_bytes() for number, name in enumerate(options.protocols)}
    files = dict(protocols)
    named = {"site": options.site, "answers": options.answers}
    for name, path in named.items():
        if path:
            files[name + Path(path).suffix] = Path(path).read_bytes()
    own = {name: name + Path(path).suffix for name, path in named.items() if path}
    moved = msgspec.structs.replace(options, protocols=tuple(protocols), **own)
    return msgspec.msgpack.encode(Kit(mappings=mappings, options=moved, files=files))


@lru_cache(maxsize=4)
def unpack(packed: bytes) -> tuple[Screening, ...]:
    """Protocols bound to the mappings of this machine's package, once a process. Raises UsageError if those are others."""
    kit = msgspec.msgpack.decode(packed, type=Kit)
    with TemporaryDirectory(prefix="fhir-elig-") as folder:
        root = Path(folder)
        for name, data in kit.files.items():
            (root / name).write_bytes(data)
        options = kit.options
        found = screenings(
            msgspec.structs.replace(
                options,
                protocols=tuple(str(root / name) for name in options.protocols),
                site=options.site and str(root / options.site),
                answers=options.answers and str(root / options.answers),
            )
        )
    if kit.package != __version__ or found[0].protocol.concepts.sha256 != kit.mappings:
        why = f"a worker has fhir-elig {__version__} with mappings {found[0].protocol.concepts.sha256[:12]}"
        expected = f"fhir-elig {kit.package} with mappings {kit.mappings[:12]}"
        raise UsageError(f"{why}; the session has {expected}", where="Spark worker", fix="install the same package on both")
    return found
