"""One file, read strictly and within bounds: a JSON document or NDJSON, plain or gzip."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from typing import IO, Protocol, cast

import msgspec

from fhir_elig.errors import DataError, Finding
from fhir_elig.sources.contents import Contents, Loss, patient_of
from fhir_elig.sources.file_walk import LINES, FoundFile
from fhir_elig.sources.strict_json import LIMIT, Parsed, Refusal, fragments, parse
from fhir_elig.sources.usual_json import Slim

MAX_LINE = 16 * 1024 * 1024  # bytes of one NDJSON line, decoded
MAX_DOCUMENT = 256 * 1024 * 1024  # bytes of a JSON file; of one that was packed, at most strict_json.LIMIT
# What reading a packed file raises where it is damaged.
DAMAGED = (gzip.BadGzipFile, zlib.error, EOFError)
_BOM = b"\xef\xbb\xbf"
_LINKED = re.compile(rb'"reference"\s*:\s*"(?:urn|https?):')
_TYPE = re.compile(rb'"resourceType"\s*:\s*"([A-Z][A-Za-z]{1,63})"')
_PATIENT = re.compile(rb"\bPatient\\?/([A-Za-z0-9\-._]{1,64})")
_SUBJECT = re.compile(rb'"(?:subject|patient|individual)"\s*:\s*\{[^{}]*?"reference"\s*:\s*"[^"]*?([A-Za-z0-9\-._]{1,64})"')


def read_file(file: FoundFile, base: str | None = None, slim: Slim | None = None) -> Contents:
    """All that can be read of a file; `slim` says what to keep of an Observation. Never raises: what cannot be read is in
    `losses`."""
    contents = Contents(file.name, base, slim)
    try:
        with opened(file) as stream:
            _read_stream(stream, contents)
    except DAMAGED:
        give_up(contents, "the compressed file is damaged or cut")
    except OSError as error:
        give_up(contents, f"the file cannot be read: {(error.strerror or 'input error').lower()}")
    return contents


def take_file(data: bytes, contents: Contents) -> None:
    """Like `read_file`, of a file whose bytes are in memory, plain or gzip. Never raises."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) if _is_packed(data[:2], contents.name) else io.BytesIO(data) as stream:
            _read_stream(cast(IO[bytes], stream), contents)
    except DAMAGED:
        give_up(contents, "the compressed file is damaged or cut")


def _read_stream(stream: IO[bytes], contents: Contents) -> None:
    if contents.name.lower().endswith(LINES):
        _read_lines(stream, contents)
    else:
        _read_document(stream, contents, LIMIT if isinstance(stream, gzip.GzipFile) else MAX_DOCUMENT)


def read_data(data: bytes, name: str, base: str | None = None, slim: Slim | None = None) -> Contents:
    """All that can be read of a document, or of NDJSON, that is in memory. Never raises."""
    contents = Contents(name, base, slim)
    _read_document(io.BytesIO(data), contents, MAX_DOCUMENT)
    return contents


def opened(file: FoundFile) -> IO[bytes]:
    """The decoded stream. The first bytes tell whether it is packed, whatever the name says."""
    with file.path.open("rb") as stream:
        packed = _is_packed(stream.read(2), file.path.name)
    return cast(IO[bytes], gzip.open(file.path)) if packed else file.path.open("rb")


def _is_packed(head: bytes, name: str) -> bool:
    """Of the first two bytes. Raises EOFError where a packed file has not even those."""
    if len(head) < 2 and name.lower().endswith(".gz"):
        raise EOFError
    return head == b"\x1f\x8b"


def give_up(contents: Contents, why: str) -> None:
    """Use nothing of a file that breaks off in its midst."""
    contents.discard()
    contents.lose(Loss(where=contents.name, why=why, types=_types(contents), cut=True))


def _types(contents: Contents) -> frozenset[str] | None:
    """The one type that a bulk export's file holds: its name and every line must say so. None if that cannot be told."""
    types = frozenset(contents.counts) - {""}
    named = re.split(r"[^A-Za-z]+", contents.name.rpartition("/")[2])
    return types if len(types) == 1 and types <= set(named) else None


# A document ------------------------------------------------------------------------------------------------------------


def _read_document(stream: IO[bytes], contents: Contents, limit: int) -> None:
    data = stream.read(limit + 1)
    if len(data) > limit:
        _lose_document(contents, data, f"larger than {limit} bytes: split it, or use NDJSON")
        return
    data = data.removeprefix(_BOM)
    try:
        parsed = parse(data, limit=limit, slim=contents.slim)
    except DataError as error:
        if _starts_with_a_line(data):
            _read_lines(io.BytesIO(data), contents)
        else:
            _lose_document(contents, data, str(error))
        return
    document = parsed.document
    if isinstance(document, dict) and "transactionTime" in document and isinstance(document.get("output"), list):
        contents.manifest = document
    elif b"resourceType" not in data or not contents.take(parsed, contents.name, _is_linked(data, parsed)):
        contents.foreign = b"resourceType" in data
        contents.aside.append(Finding("FE0302", contents.name, "it holds no FHIR resource", ""))


def _is_linked(data: bytes, parsed: Parsed) -> bool:
    """Whether it may refer to entries by their addresses: it has entries, and a reference that is an address."""
    has_entries = b'"entry"' in data or b"\\" in data or bool(parsed.refusals)
    return has_entries and _LINKED.search(data) is not None


def _starts_with_a_line(data: bytes) -> bool:
    """Whether it is NDJSON under another name: its first line is a document of its own."""
    first, newline, _ = data.lstrip().partition(b"\n")
    try:
        return bool(newline) and isinstance(parse(first).document, dict)
    except DataError:
        return False


def _lose_document(contents: Contents, data: bytes, why: str) -> None:
    """Nothing of a broken document is used. Names in it only say whom the loss can touch."""
    contents.patients |= _named(data) | {match.decode() for match in _SUBJECT.findall(data)}
    contents.read += 1
    contents.mentions_patient = b"Patient" in _TYPE.findall(data)
    contents.lose(Loss(where=contents.name, why=why, cut=True))


def _named(data: bytes) -> set[str]:
    return {match.decode() for match in _PATIENT.findall(data)}


# Lines -----------------------------------------------------------------------------------------------------------------


class LineStream(Protocol):
    """Where lines come from: a file, or a stretch of one."""

    def readline(self, limit: int, /) -> bytes: ...


def _read_lines(stream: LineStream, contents: Contents) -> None:
    take_lines(stream, contents)
    settle_types(contents)


def take_lines(stream: LineStream, contents: Contents, *, from_start: bool = True) -> int:
    """Takes every line and gives their number; call `settle_types` when all of the file was taken.

    `from_start` is False for a later stretch of a file, whose first bytes are no mark of byte order.
    """
    contents.by_line = True
    number = 0
    for number, line, ended in _lines(stream, from_start):
        where = f"{contents.name}:{number}"
        if line is None:
            contents.read += 1
            contents.lose(Loss(where=where, why=f"a line of more than {MAX_LINE} bytes", cut=not ended, of_file=True))
        elif line:
            _read_line(line, where, ended, contents)
    return number


def _lines(stream: LineStream, from_start: bool) -> Iterator[tuple[int, bytes | None, bool]]:
    """Number, text (None: too long) and whether a newline ended it; only `\\n` ends a line, so U+2028 may stand in text."""
    number = 0
    while line := stream.readline(MAX_LINE + len(_BOM) + 3):  # one byte more than the longest line with a mark and its end
        number += 1
        if number == 1 and from_start:
            line = line.removeprefix(_BOM)
        ended = line.endswith(b"\n")
        text: bytes | None = line.strip(b" \t\r\n")
        if len(line.rstrip(b"\r\n")) > MAX_LINE:
            text = None
            while not ended and (rest := stream.readline(MAX_LINE)):
                ended = rest.endswith(b"\n")
        yield number, text, ended


def _read_line(line: bytes, where: str, ended: bool, contents: Contents) -> None:
    try:
        parsed = parse(line, limit=MAX_LINE, slim=contents.slim)
    except DataError as error:
        _lose_line(line, where, ended, str(error), contents)
        return
    if b"resourceType" not in line or not contents.take(parsed, where, _is_linked(line, parsed)):
        contents.lose(Loss(where=where, why="a line that holds no FHIR resource", of_file=True))


def _lose_line(line: bytes, where: str, ended: bool, why: str, contents: Contents) -> None:
    """A line that is no JSON: whose it was is told only if its bounds are sure and each object on it says so."""
    contents.patients |= _named(line)
    types = frozenset(match.decode() for match in _TYPE.findall(line))
    contents.counts.update(dict.fromkeys(types, 0))  # the file is not of one type if a broken line speaks of another
    pieces = _pieces(line) if ended else []
    contents.read += max(1, len(pieces))
    owners = [patient_of(piece, piece.known, contents.base) for piece in pieces]
    if not pieces or None in owners:
        contents.lose(Loss(where=where, why=why, cut=not ended, of_file=True))
        return
    patients = frozenset(_named(line)) | frozenset(owner for owner in owners if owner)
    contents.patients |= patients
    for piece in pieces:
        kinds = types | {piece.type}
        contents.lose(Loss(where=where, why=why, types=kinds, patients=patients, reference=piece.reference, codes=None))


def _pieces(line: bytes) -> list[Refusal]:
    try:
        found, sure = fragments(line)
    except DataError:
        return []
    return found if sure else []


def settle_types(contents: Contents) -> None:
    """What cannot be told of a lost line, its file may tell."""
    types = _types(contents)
    if contents.read:
        contents.losses = [_of_types(loss, types) if loss.of_file else loss for loss in contents.losses]
    elif contents.losses:
        contents.losses = []
        contents.aside = [Finding("FE0302", contents.name, "it holds no FHIR resource", "")]


def _of_types(loss: Loss, types: frozenset[str] | None) -> Loss:
    return msgspec.structs.replace(loss, types=types) if loss.types is None else loss
