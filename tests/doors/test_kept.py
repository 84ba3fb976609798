"""The assessments of a run outside of memory: the order, the very same results, nothing left behind."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import msgspec
import pytest

from fhir_elig.cli.kept import Kept
from fhir_elig.cli.terminal import write
from fhir_elig.errors import FhirEligError
from fhir_elig.verdict import Assessment, CriterionResult, Identified, Reason, Status, Verdict


def assessment(patient: str, note: str = "") -> Assessment:
    result = CriterionResult(id="adult", verdict=Verdict.MET, reason=Reason.IN_RANGE, notes=(note,) if note else ())
    return Assessment(
        patient=f"Patient/{patient}", protocol=Identified("trial", "1", "0" * 64), mappings={}, package={}, base=None, as_of="2025-06-01",
        milestones={}, retrieved=(), verdict=Verdict.MET, status=Status.ELIGIBLE, recoverable=False, valid_until=None,
        decisive=(), criteria=(result,),
    )  # fmt: skip


@pytest.mark.parametrize("in_memory", [1, 10**6], ids=["on the disk", "in memory"])
def test_they_come_back_as_they_were_in_the_order_of_the_patients(in_memory: int) -> None:
    ones = [assessment("b", "first of b"), assessment("c"), assessment("a"), assessment("b", "second of b")]
    with Kept(in_memory) as kept:
        for one in ones:
            kept.keep(one)
        assert list(kept) == [ones[2], ones[0], ones[3], ones[1]]
        kept.keep(assessment("0"))  # reading does not move where the next one is put
        assert [one.patient for one in kept[:3]] == ["Patient/0", "Patient/a", "Patient/b"]
        assert (len(kept), kept[-1]) == (5, ones[1])


def test_one_assessment_at_a_time_is_in_memory() -> None:
    alive: list[weakref.ref[Assessment]] = []

    class Watched(Assessment, frozen=True, weakref=True):
        pass

    most = 0
    with Kept() as kept:
        for number in range(50):
            one = Watched(**msgspec.structs.asdict(assessment(f"p{number:02}")))
            alive.append(weakref.ref(one))
            kept.keep(one)
            del one
            gc.collect()
            most = max(most, sum(reference() is not None for reference in alive))
        assert (most, len(kept)) == (0, 50)


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with Kept() as kept:
        full = Path("/dev/full").open("r+b", buffering=0)  # noqa: SIM115  closed with the others
        monkeypatch.setattr(kept, "_file", full)
        with pytest.raises(FhirEligError, match="No space") as told:
            kept.keep(assessment("a"))
        assert (told.value.code, "TMPDIR" in " ".join(finding.fix for finding in told.value.findings)) == ("FE0701", True)


def test_a_file_whose_text_breaks_off_is_not_there(tmp_path: Path) -> None:
    def pieces() -> object:
        yield "one"
        raise RuntimeError("broken off")

    with pytest.raises(RuntimeError):
        write(pieces(), tmp_path / "out")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
