"""One file of a bulk export onto the disk: gone on with after a break, whole or not at all, readable by its owner only."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from fhir_elig.errors import SourceError
from fhir_elig.sources.bodies import Garbled
from fhir_elig.sources.channel import Channel
from fhir_elig.sources.replies import Reply, Trouble

_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
_TRIES = 4


class Download:
    """A file that is being fetched from one address. `attempt` may be called again until it gives None: then it is there."""

    def __init__(self, channel: Channel, address: str, path: Path) -> None:
        self._channel, self._address, self._path = channel, address, path
        self._part = path.with_name(path.name + ".part")
        self._mark = ""  # the ETag of what came so far

    def attempt(self, headers: Mapping[str, str], deadline: float) -> Reply | Trouble | None:
        """None if the whole file is there; else the answer that is no file, or why there is none. Raises OSError."""
        sent = {"Accept": "application/fhir+ndjson", "Accept-Encoding": "identity", **headers}
        with open(self._part, "ab", opener=_private) as stream:
            at = stream.tell()
            if at and self._mark:
                sent |= {"Range": f"bytes={at}-", "If-Range": self._mark}
            elif at:
                stream.truncate(0)
            result = self._channel.fetch(self._address, sent, deadline, lambda reply: self._place(reply, stream, at))
            stream.flush()
            os.fsync(stream.fileno())
        if isinstance(result, Reply) and result.status in (200, 206):
            self._part.replace(self._path)
            return None
        if isinstance(result, Reply) and result.status == 416:
            self._mark = ""  # the file is not what it was: from its start
            return Trouble(SourceError("the file changed while it was fetched", code="FE0401", fix="try again"), _TRIES)
        if isinstance(result, Trouble) and isinstance(result.error, Garbled):
            self._mark = ""
            return Trouble(result.error, _TRIES)
        return result

    def _place(self, reply: Reply, stream: BinaryIO, at: int) -> BinaryIO | None:
        """Where the bytes of this answer go; None if it is no answer to what was asked."""
        found = _RANGE.fullmatch(reply.headers.get("content-range", ""))
        if reply.status == 206 and not (found and int(found[1]) == at):
            return None
        if reply.status == 200:
            stream.truncate(0)
        mark = reply.headers.get("etag", "")
        # What is on the disk is decoded: where a packed answer broke off cannot be told from its length.
        packed = reply.headers.get("content-encoding", "identity") != "identity"
        self._mark = "" if packed or mark.startswith("W/") else mark
        return stream


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
