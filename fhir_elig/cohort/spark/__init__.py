"""A run on Spark: any session of Spark 3.5 or 4, classic or Spark Connect, by nothing but PySpark's data frames.

    from fhir_elig.cohort.settings import RunOptions
    from fhir_elig.cohort.spark import screen
    from fhir_elig.cohort.spark.output import write_tables

    options = RunOptions(protocols=("relma-cel-ssc",), data="s3://hospital/export", as_of="2025-06-01", complete="all")
    write_tables(spark, screen(spark, options), "s3://hospital/run")

Workers read files and deal them by patient (`deal`), the driver lays the ground (`ground`), each patient is assessed where Spark
puts the group of that patient (`assess`), with the protocols in a `kit`. The verdicts are those of a local run.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from fhir_elig.cohort.manifest import Counts, Input, Manifest, make_manifest
from fhir_elig.cohort.settings import RunOptions, screenings
from fhir_elig.cohort.spark.assess import ASSESSMENT, CODE, FAILURE, MATRIX, MATRIX_COLUMNS, RESULTS, assessing
from fhir_elig.cohort.spark.frames import Charts, Frame, Keep, read
from fhir_elig.cohort.spark.ground import lay, links_of
from fhir_elig.cohort.spark.kit import pack
from fhir_elig.cohort.spark.listing import look
from fhir_elig.errors import DataError, FhirEligError, Finding

_TOLD = 20  # orphans that each assessment names, as `screen` does


class Results(msgspec.Struct, frozen=True):
    """A run's results: `rows` in the columns of `assess.RESULTS`, `orphans` with one column, `reference`; `findings` each with
    its file."""

    manifest: Manifest
    rows: Frame
    orphans: Frame
    findings: tuple[tuple[str, Finding], ...]
    codes: frozenset[int]

    @property
    def assessments(self) -> Frame:
        """protocol, patient, assessment (JSON)."""
        return self.rows.where(f"kind = '{ASSESSMENT}'").selectExpr("protocol", "patient", "body AS assessment")

    @property
    def matrix(self) -> Frame:
        """The columns of `matrix.parquet`, and `position`: the place of a row among those of its patient and protocol."""
        return self.rows.where(f"kind = '{MATRIX}'").select(*MATRIX_COLUMNS, "position")

    @property
    def failures(self) -> Frame:
        """patient, why."""
        return self.rows.where(f"kind = '{FAILURE}'").selectExpr("patient", "body AS why").distinct()


def screen(session: Any, options: RunOptions, work: str = "") -> Results:
    """Hold every chart of `options.data`, a path that the session can read, against the protocols.

    What was read is kept by `persist`; with `work`, as Parquet below that path (which then holds patients' data), for sessions
    that cannot persist. Raises UsageError, AuthoringError, DataError.
    """
    options = options.settled()
    grounds = screenings(options)
    keep = Keep(session, work)
    found = look(session, options.data)
    dealt = read(session, options.data, found, keep)
    if not any(file.read for file in dealt.files):
        raise DataError("nothing that is FHIR could be read", where=options.data, fix="give FHIR JSON: a Bundle, or NDJSON")
    complete: frozenset[str] | Literal["all"] = "all" if "all" in grounds[0].complete else grounds[0].complete
    ground = lay(dealt.files, found.foreign, links_of(dealt.links(), dealt.there, dealt.base), complete, dealt.base)
    charts = Charts(session, dealt, ground.links.survivors)
    orphans = charts.orphans()
    ground = msgspec.structs.replace(ground, remarks=_remarks(orphans))
    kit = pack(options, grounds[0].protocol.concepts.sha256)
    rows = keep(charts.rows().groupBy("who").applyInPandas(assessing(kit, ground), RESULTS), "results")
    findings = [(one.where, one) for one in found.foreign] + [(file.name, one) for file in dealt.files for one in file.aside]
    manifest = make_manifest(options, grounds, Input(path=options.data, files=found.files, bytes=found.bytes))
    counts = _counts(rows, charts.patients(), len(findings), orphans.count())
    codes = rows.where(f"kind = '{CODE}'").select("position").distinct().collect()
    manifest = msgspec.structs.replace(manifest, counts=counts)
    return Results(manifest, rows, orphans, tuple(findings), frozenset(int(row["position"]) for row in codes))


def _remarks(orphans: Frame) -> tuple[str, ...]:
    first = orphans.orderBy("reference").limit(_TOLD).collect()
    return tuple(f"FE0303: {row['reference']} names a patient who is not in the data" for row in first)


def _counts(rows: Frame, patients: int, aside: int, orphans: int) -> Counts:
    """Raises FhirEligError if a patient was lost on the way."""

    def persons(kind: str) -> int:
        return int(rows.where(f"kind = '{kind}'").select("patient").distinct().count())

    assessed, failed = persons(ASSESSMENT), persons(FAILURE)
    if assessed + failed != patients:
        why = f"{patients} patients went in, {assessed} were assessed and {failed} not"
        raise FhirEligError(why, where="Spark", fix="run again: the input may have changed while it was read")
    return Counts(patients=patients, assessed=assessed, not_assessed=failed, quarantined=aside + orphans, orphans=orphans)
