"""Charts from files: Bundles, single resources and NDJSON, plain or gzip, a file or a folder.

Every resource belongs to the patient that it names, wherever it stands. Nothing is lost in silence: what was not used is
counted and listed.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from fhir_elig.errors import DataError, Finding
from fhir_elig.record import MEDICATION_TYPES
from fhir_elig.references import target
from fhir_elig.sources import Chart, Resource
from fhir_elig.sources.contents import Contents, Loss
from fhir_elig.sources.coverage import Coverage
from fhir_elig.sources.file_reading import read_data, read_file
from fhir_elig.sources.file_walk import FoundFile, Walk, walk
from fhir_elig.sources.manifest import Voucher, read_manifest
from fhir_elig.sources.patient_links import Links, read_links
from fhir_elig.sources.usual_json import Slim

Progress = Callable[[int, int], None]


class Tally(msgspec.Struct, frozen=True):
    """Where the resources went: `read` is the sum of the others (a line that is no JSON counts as one).

    `others` are of patients who were not asked for, `shared` of no patient at all (a Medication, an Organization), `orphans` of
    patients who are not there.
    """

    read: int
    used: int
    others: int
    shared: int
    orphans: int
    set_aside: int


class FileSource:
    """The charts of a file or folder, sorted by patient id; iterate as often as needed.

    `patients` are their ids. `errors` lists, with its place, what was set aside (FE0302), orphans (FE0303), strangers (FE0601)
    and patients who were asked for and are not there (FE0103); `orphans` are references; `ignored` names files of other kinds.
    `medications` are those that no patient owns, by id; a look-up of another kind may be put in their place.
    """

    def __init__(self, files: list[Contents], found: Walk, asked: Sequence[str], links: Links, coverage: Coverage) -> None:
        self.base = files[0].base
        self.ignored = tuple(found.ignored)
        self._coverage = coverage
        self._links = links
        self._groups: dict[str, list[Resource]] = {self._survivor(one): [] for file in files for one in file.held}
        self.medications: Mapping[str, list[Resource]] = {}
        self._asked = {self._survivor(one.removeprefix("Patient/")) for one in asked}
        self._strangers: list[str] = []
        orphans: list[str] = []
        self._group(files, orphans)
        one_bundle = len(files) == 1 and files[0].bundles == 1 and not files[0].by_line
        if one_bundle and len(asked) == 1 and self._asked <= self._groups.keys():
            self._strangers = self._others(files[0])
        self.orphans = tuple(sorted(set(orphans)))
        self.patients = tuple(sorted(self._asked or self._groups))
        self.tally = self._count(files, len(orphans))
        self.errors = self._errors(files, found)

    def __len__(self) -> int:
        return len(self.patients)

    def __iter__(self) -> Iterator[Chart]:
        return map(self.chart, self.patients)

    def chart(self, patient: str) -> Chart:
        """The chart of one of `patients`."""
        resources = self._groups.get(patient)
        if resources is None:
            return Chart(patient=patient, resources=[], base=self.base, failure=("FE0103", "the patient is not in the data"))
        resources = resources + self._medications_of(resources)
        return Chart(
            patient=patient,
            resources=resources,
            retrieved=self._coverage.retrieved(patient, {resource["resourceType"] for resource in resources}),
            refused=self._coverage.refused(patient),
            base=self.base,
            identity=bool(self._strangers) or patient in self._links.doubtful,
            broken=self._coverage.is_broken(patient),
            errors=self._remarks(patient),
        )

    def _survivor(self, patient: str) -> str:
        return self._links.survivors.get(patient, patient)

    def _group(self, files: list[Contents], orphans: list[str]) -> None:
        medications: dict[str, list[Resource]] = {}
        groups, survivors = self._groups, self._links.survivors
        for file in files:
            for resource, subject in file.resources:
                group = groups.get(survivors.get(subject, subject))
                if group is None:
                    orphans.append(_reference(resource))
                else:
                    group.append(resource)
            for resource in file.shared:
                if resource["resourceType"] == "Medication":
                    medications.setdefault(str(resource.get("id")), []).append(resource)
        self.medications = medications

    def _others(self, file: Contents) -> list[str]:
        """What stands in the one Bundle and is not of the one patient who was asked for."""
        strangers = {_reference(one) for one, subject in file.resources if self._survivor(subject) not in self._asked}
        for loss in file.losses:
            if any(self._survivor(patient) not in self._asked for patient in loss.patients or ()):
                strangers.add(loss.reference)
        return sorted(strangers)

    def _medications_of(self, resources: list[Resource]) -> list[Resource]:
        """The Medications to which the records refer, and their ingredients."""
        if not self.medications:
            return []
        found: dict[str, list[Resource]] = {}
        open_ends = [resource for resource in resources if resource["resourceType"] in MEDICATION_TYPES]
        while open_ends:
            for identity in medication_ids(open_ends.pop(), self.base):
                if identity in self.medications and identity not in found:
                    found[identity] = self.medications[identity]
                    open_ends += found[identity]
        return [medication for identity in sorted(found) for medication in found[identity]]

    def _remarks(self, patient: str) -> tuple[str, ...]:
        links = self._links
        replaced = [old for old, new in links.survivors.items() if new == patient]
        merged = [f"Patient/{old} was replaced by Patient/{patient}: read as one" for old in replaced]
        if patient in links.gone:
            merged.append(f"Patient/{patient} was replaced by Patient/{links.gone[patient]}, who is not in the data")
        if patient in links.doubtful:
            merged.append("the links of the Patient form a loop or name two survivors")
        if self._strangers:
            merged.append("another patient's resource stood in the Bundle and was dropped")
        return tuple(sorted(merged))

    def _count(self, files: list[Contents], orphans: int) -> Tally:
        read = sum(file.read for file in files)
        shared = sum(len(file.shared) for file in files)
        grouped = sum(len(group) for group in self._groups.values())
        used = sum(len(self._groups.get(patient, ())) for patient in self.patients)
        return Tally(read, used, grouped - used, shared, orphans, read - grouped - shared - orphans)

    def _errors(self, files: list[Contents], found: Walk) -> tuple[Finding, ...]:
        missing = [patient for patient in self.patients if patient not in self._groups]
        return (
            *found.closed,
            *found.foreign,
            *(finding for file in files for finding in file.aside),
            *(Finding("FE0103", f"Patient/{patient}", "the patient is not in the data", "check the id") for patient in missing),
            *(Finding("FE0303", reference, "its patient is not in the data", "add the Patient") for reference in self.orphans),
            *(Finding("FE0601", reference, "it is not of the patient who was asked for", "") for reference in self._strangers),
        )


def read_files(
    path: Path,
    *,
    patient_ids: Sequence[str] = (),
    complete: frozenset[str] | Literal["all"] = frozenset(),
    base: str | None = None,
    slim: Slim | None = None,
    on_progress: Progress | None = None,
) -> FileSource:
    """Read a file or a folder (recursively) into charts, one per patient, grouped by the patients that the resources name.

    `patient_ids` (`p1` or `Patient/p1`) chooses patients; one id with a single Bundle raises the identity alarm on another
    patient's resource. `complete` names the types that the data hold completely. `base` is the server's base to which absolute
    references lead. `slim` says what to keep of an Observation (`skip.Skip`). `on_progress(done, all)` is called after each file.
    Raises DataError: FE0214 if there is nothing at `path`, FE0301 if nothing of it could be read.
    """
    with _no_collection():
        found = walk(path)
        files = _read_all(found.files, base, slim, on_progress)
        vouchers = _vouchers(files)
        bases = sorted({voucher.base for voucher in vouchers if voucher.base})
        if base is None and len(bases) == 1 and any(file.losses for file in files):
            base = bases[0]  # absolute references of an export lead to the server that made it
            files = _read_all(found.files, base, slim, None)
            vouchers = _vouchers(files)
        if not any(file.resources or file.shared for file in files):
            raise _nothing(found, files)
        return _source(files, found, patient_ids, complete, base, vouchers)


def read_bytes(
    data: bytes,
    *,
    patient_ids: Sequence[str] = (),
    complete: frozenset[str] | Literal["all"] = frozenset(),
    base: str | None = None,
    slim: Slim | None = None,
    name: str = "data",
) -> FileSource:
    """Like `read_files`, for one JSON document (or NDJSON) that is in memory; `name` stands for the file in messages.

    Raises DataError (FE0301) if nothing of it could be read.
    """
    with _no_collection():
        contents = read_data(data, name, base, slim)
        if not (contents.resources or contents.shared):
            raise _nothing(Walk(), [contents])
        return _source([contents], Walk(), patient_ids, complete, base, [])


def _source(
    files: list[Contents],
    found: Walk,
    asked: Sequence[str],
    complete: frozenset[str] | Literal["all"],
    base: str | None,
    vouchers: list[Voucher],
) -> FileSource:
    lose_pages(files)
    coverage = Coverage(complete, [finding.where for finding in found.foreign] + [file.name for file in files if file.foreign])
    patients = [one for file in files for one, _ in file.resources if one["resourceType"] == "Patient"]
    links = read_links(patients, base)
    coverage.add_files(files, links.survivors)
    for closed in found.closed:
        coverage.add_loss(Loss(where=closed.where, why=closed.why), None)
    for voucher in vouchers:
        coverage.add_voucher(voucher, files, links.survivors)
    return FileSource(files, found, asked, links, coverage)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Reading makes many objects and no cycles: searching for cycles takes half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read_all(found: Sequence[FoundFile], base: str | None, slim: Slim | None, on_progress: Progress | None) -> list[Contents]:
    files: list[Contents] = []
    for file in found:
        files.append(read_file(file, base, slim))
        if on_progress:
            on_progress(len(files), len(found))
    return files


def _vouchers(files: list[Contents]) -> list[Voucher]:
    return [read_manifest(file, files) for file in files if file.manifest is not None]


def _nothing(found: Walk, files: list[Contents]) -> DataError:
    findings = [*found.closed, *found.foreign, *(finding for file in files for finding in file.aside)]
    where = findings[0].where if findings else ""
    why = f"nothing that is FHIR could be read: {findings[0].why}" if findings else "there is no FHIR file (*.json, *.ndjson)"
    return DataError(why, where=where, fix="give FHIR JSON: a Bundle, resources, or NDJSON")


def lose_pages(files: list[Contents]) -> None:
    """A search result whose next page is not among the files is only a part."""
    here = {url for file in files for url in file.own_pages}
    for file in files:
        for page in file.next_pages:
            if page.url not in here:
                types = page.types if len(page.types) == 1 else None
                file.lose(Loss(where=page.where, why="the next page of this search is not there", types=types))


def medication_ids(resource: Resource, base: str | None) -> Iterator[str]:
    r5 = resource.get("medication")
    references = [resource.get("medicationReference"), r5.get("reference") if isinstance(r5, dict) else None]
    ingredients = resource.get("ingredient")
    for part in ingredients if isinstance(ingredients, list) else []:
        item = part.get("item") if isinstance(part, dict) else None
        references += [part.get("itemReference")] if isinstance(part, dict) else []
        references += [item.get("reference")] if isinstance(item, dict) else []
    for reference in references:
        found = target(reference, base)
        if found and found[0] == "Medication":
            yield found[1]


def _reference(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource.get('id', '?')}"
