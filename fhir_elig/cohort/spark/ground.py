"""What the driver makes of all that the workers saw beside resources: losses, vouchers, links, files that are not read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec

from fhir_elig.cohort.parts import Part, merged
from fhir_elig.cohort.spark.assess import Ground
from fhir_elig.cohort.spark.deal import name_below
from fhir_elig.errors import DataError, Finding
from fhir_elig.references import target
from fhir_elig.sources.contents import Contents, Loss
from fhir_elig.sources.coverage import Coverage
from fhir_elig.sources.file_reading import MAX_DOCUMENT
from fhir_elig.sources.file_walk import DOCUMENTS, FOREIGN, LINES, aside
from fhir_elig.sources.files import lose_pages
from fhir_elig.sources.manifest import Voucher, read_manifest
from fhir_elig.sources.patient_links import Links, read_links

WHOLE_FILE = 64 << 20  # bytes of an NDJSON file that one worker reads as a whole
MOST_LOSSES = 100_000  # that may be anybody's: with more, nothing could be said of any patient


class Found(msgspec.Struct, frozen=True):
    """The files of a path: read whole, or line by line (address and name); too large to be read; in a form that is not read."""

    whole: int
    lines: tuple[tuple[str, str], ...]
    too_large: tuple[str, ...]
    foreign: tuple[Finding, ...]
    files: int
    bytes: int


def sort_in(listing: Iterable[tuple[str, int]], root: str) -> Found:
    """Files by address and size in bytes. Raises DataError (FE0301) if nothing of it can be FHIR."""
    whole, size, count = 0, 0, 0
    lines, large, foreign = [], [], []
    for address, length in sorted(listing):
        name, lower = name_below(root, address), address.lower()
        if not lower.endswith(DOCUMENTS + LINES):
            foreign += [aside(name, "a kind of file that is not read (JSON and NDJSON are)")] if lower.endswith(FOREIGN) else []
            continue
        count, size = count + 1, size + length
        if length <= (WHOLE_FILE if lower.endswith(LINES) else MAX_DOCUMENT):
            whole += 1
        elif lower.endswith(LINES):
            lines.append((address, name))
        else:
            large.append(name)
    if not count:
        raise DataError("there is no FHIR file (*.json, *.ndjson)", where=root, fix="give FHIR JSON: a Bundle, or NDJSON")
    return Found(whole, tuple(lines), tuple(large), tuple(foreign), count, size)


def by_name(parts: Iterable[Part]) -> list[Contents]:
    """The files, each as a reader of the whole of it would have found it but for its resources."""
    files: dict[str, list[Part]] = {}
    for part in parts:
        files.setdefault(part.name, []).append(part)
    found = []
    for name in sorted(files):
        contents, aside = merged(files[name])
        contents.aside = [one.finding for one in aside]
        found.append(contents)
    return found


def with_too_large(files: list[Contents], names: Iterable[str]) -> list[Contents]:
    """The files, and those that are not read because one worker would have to hold all of it."""
    for name in names:
        files.append(Contents(name))
        why = f"larger than {MAX_DOCUMENT} bytes: split it, or use NDJSON"
        files[-1].lose(Loss(where=name, why=why, cut=True))
    return files


def vouchers_of(files: Sequence[Contents]) -> list[Voucher]:
    return [read_manifest(file, files) for file in files if file.manifest is not None]


def base_of(vouchers: Iterable[Voucher]) -> str | None:
    """The base of the one server that made the export, to which absolute references lead."""
    bases = {voucher.base for voucher in vouchers if voucher.base}
    return bases.pop() if len(bases) == 1 else None


def lay(
    files: list[Contents],
    foreign: Sequence[Finding],
    links: Links,
    complete: frozenset[str] | Literal["all"],
    base: str | None,
) -> Ground:
    """The ground of the second pass. Raises DataError if more was lost than anything could be said of."""
    lose_pages(files)
    anybodys = [loss for file in files for loss in file.losses if loss.patients is None]
    if len(anybodys) > MOST_LOSSES:
        why = f"more than {MOST_LOSSES} pieces cannot be read or name no patient, so they may be anybody's"
        raise DataError(why, where=anybodys[0].where, fix="see the first of them, and export again")
    coverage = Coverage(complete, [one.where for one in foreign] + [file.name for file in files if file.foreign])
    coverage.add_files(files, links.survivors)
    vouchers = vouchers_of(files)
    for voucher in vouchers:
        coverage.add_voucher(voucher, (), links.survivors)
    return Ground(base=base, coverage=coverage, links=links, vouchers=tuple(vouchers))


def links_of(linked: list[dict[str, Any]], there: Callable[[list[str]], set[str]], base: str | None) -> Links:
    """Records that replace others. A survivor need not have a link itself: `there` tells which of some ids have a Patient."""
    if not linked:
        return Links({}, frozenset(), {})
    named = {one["id"] for one in linked}
    for one in linked:
        for link in one["link"] if isinstance(one["link"], list) else []:
            found = target(link.get("other"), base) if isinstance(link, dict) else None
            if found and found[0] == "Patient":
                named.add(found[1])
    return read_links([*linked, *({"id": name} for name in sorted(there(sorted(named))))], base)
