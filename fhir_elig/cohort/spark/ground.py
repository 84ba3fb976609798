"""What the driver makes of all that the workers saw beside resources: losses, vouchers, links, files that are not read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from fhir_elig.cohort.parts import Part, merged
from fhir_elig.cohort.spark.assess import Ground
from fhir_elig.cohort.spark.listing import Found, walk_order
from fhir_elig.errors import DataError, Finding
from fhir_elig.references import target
from fhir_elig.sources.contents import Contents, Loss
from fhir_elig.sources.coverage import Coverage
from fhir_elig.sources.file_reading import MAX_DOCUMENT, take_file
from fhir_elig.sources.files import lose_pages
from fhir_elig.sources.manifest import Voucher, read_manifest
from fhir_elig.sources.patient_links import Links, read_links

MOST_LOSSES = 100_000  # that may be anybody's: with more, nothing could be said of any patient


def all_files(parts: Iterable[Part], found: Found, base: str | None) -> list[Contents]:
    """The files, each as a reader of the whole of it would have found it but for its resources, in the order of such a reader."""
    by_name: dict[str, list[Part]] = {}
    for part in parts:
        by_name.setdefault(part.name, []).append(part)
    files = [*map(_merged, by_name.values()), *map(_too_large, found.too_large), *(_empty(name, base) for name in found.empty)]
    return sorted(files, key=lambda file: walk_order(file.name))


def _merged(parts: list[Part]) -> Contents:
    contents, aside = merged(parts)
    contents.aside = [one.finding for one in aside]
    return contents


def _too_large(name: str) -> Contents:
    """A file that is not read because one worker would have to hold all of it."""
    contents = Contents(name)
    why = f"larger than {MAX_DOCUMENT} bytes: split it, or use NDJSON"
    contents.lose(Loss(where=name, why=why, cut=True))
    return contents


def _empty(name: str, base: str | None) -> Contents:
    contents = Contents(name, base)
    take_file(b"", contents)
    return contents


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
