"""How completely each patient's types were read from files: what was declared, and what each loss can have touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Literal

from fhir_elig.record import Refused
from fhir_elig.sources.contents import READ_TYPES, Contents, Loss
from fhir_elig.sources.manifest import Voucher
from fhir_elig.verdict import Retrieved

Notes = dict[str | None, str]  # by type; None: every type


class Coverage:
    """Answers, per patient, with `Retrieved` and `Refused`.

    A loss touches the patients that it names. One that names nobody touches the patient whose own file it stands in, else
    every patient of the run: it may be anybody's. After a cut the file counts as one patient's own only if no file of the
    run holds more than one patient.
    """

    def __init__(self, complete: frozenset[str] | Literal["all"], foreign: Sequence[str]) -> None:
        self._complete = complete
        self._foreign = min(foreign, default="")
        self._notes: dict[str | None, Notes] = {}
        self._refused: dict[str | None, set[Refused]] = {}
        self._vouched: dict[str, set[str]] = {}
        self._broken: set[str | None] = set()

    def add_files(self, files: Sequence[Contents], survivors: Mapping[str, str]) -> None:
        one_each = all(len(file.patients) <= 1 for file in files)
        for file in files:
            for loss in file.losses:
                owners = loss.patients
                if owners is None and file.is_own and (one_each or not loss.cut):
                    owners = frozenset(file.patients)
                self.add_loss(loss, owners and {survivors.get(owner, owner) for owner in owners})

    def add_loss(self, loss: Loss, owners: Iterable[str] | None) -> None:
        """A loss of these patients; None: of all."""
        kinds = loss.types or {None}
        for owner in owners if owners is not None else [None]:
            if not loss.unplaced:
                self._broken.add(owner)
            if loss.reference:
                refused = self._refused.setdefault(owner, set())
                refused.update(Refused(loss.reference, kind or "", loss.why, loss.codes) for kind in kinds)
            if loss.codes is None or loss.unplaced:
                notes = self._notes.setdefault(owner, {})
                for kind in kinds:
                    note = f"partial: {loss.why} ({loss.where})"
                    notes[kind] = min(note, notes.get(kind, note))

    def add_voucher(self, voucher: Voucher, files: Iterable[Contents], survivors: Mapping[str, str]) -> None:
        for loss in voucher.losses:
            self.add_loss(loss, None)
        for file in files:
            if not voucher.folder or file.name.startswith(voucher.folder + "/"):
                for patient in file.held:
                    self._vouched.setdefault(survivors.get(patient, patient), set()).update(voucher.types)

    def without_vouchers(self) -> Coverage:
        """The same losses, and no manifest has vouched for anybody yet; so a part of the patients can be looked at alone."""
        other = copy(self)
        other._vouched = {}
        return other

    def is_broken(self, patient: str) -> bool:
        """Whether something could not be read that may have been the patient's."""
        return bool(self._broken & {patient, None})

    def refused(self, patient: str) -> tuple[Refused, ...]:
        found = self._refused.get(patient, set()) | self._refused.get(None, set())
        return tuple(sorted(found, key=lambda one: (one.type, one.reference, one.why, one.codes or ())))

    def retrieved(self, patient: str, met: Iterable[str]) -> tuple[Retrieved, ...]:
        own, shared = self._notes.get(patient, {}), self._notes.get(None, {})
        types = READ_TYPES | set(met) | {kind for kind in (*own, *shared) if kind}
        return tuple(self._entry(patient, kind, _first(own, shared, kind)) for kind in sorted(types))

    def _entry(self, patient: str, kind: str, lost: str) -> Retrieved:
        if lost:
            return Retrieved(kind, False, lost)
        declared = self._complete == "all" or kind in self._complete or kind in self._vouched.get(patient, ())
        if kind == "Patient" or (declared and not self._foreign):
            return Retrieved(kind, True)
        if declared:
            return Retrieved(kind, False, f"not-asked: complete but for what was not taken in ({self._foreign})")
        return Retrieved(kind, False, f"not-asked: not declared complete; --complete {kind}")


def _first(own: Notes, shared: Notes, kind: str) -> str:
    """The note of a type, one of the patient's own before one that is everybody's."""
    return own.get(kind) or own.get(None) or shared.get(kind) or shared.get(None) or ""
