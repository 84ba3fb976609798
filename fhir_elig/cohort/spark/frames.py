"""The data frames of a run on Spark: what was dealt, the rows of each patient. Plain PySpark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce
from typing import Any

import msgspec

from fhir_elig.cohort.parts import Part
from fhir_elig.cohort.spark import deal
from fhir_elig.cohort.spark.ground import all_files, base_of, vouchers_of
from fhir_elig.cohort.spark.listing import STRICT, WHOLE_FILE, Found, binary
from fhir_elig.errors import FhirEligError
from fhir_elig.sources.contents import Contents
from fhir_elig.sources.file_reading import MAX_DOCUMENT

Frame = Any  # pyspark.sql.DataFrame; that of a classic session and that of Spark Connect have no class in common


class Keep:
    """Sees to it that what a frame holds is not computed again for each question: by `persist`, or as Parquet below `work`."""

    def __init__(self, session: Any, work: str) -> None:
        self._session, self._work = session, work.rstrip("/")

    def __call__(self, frame: Frame, name: str) -> Frame:
        if not self._work:
            return frame.persist()
        path = f"{self._work}/{name}"
        frame.write.mode("overwrite").parquet(path)
        return self._session.read.parquet(path)


class Dealt(msgspec.Struct, frozen=True):
    """The rows of all files (`deal.SCHEMA`), the files without their resources, and the base to which references lead."""

    rows: Frame
    files: list[Contents]
    base: str | None

    def of_kind(self, *kinds: str) -> Frame:
        from pyspark.sql import functions as F

        return self.rows.where(F.col("kind").isin(*kinds))

    def links(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(bytes(row["body"])) for row in self.of_kind(deal.LINK).collect()]

    def there(self, names: list[str]) -> set[str]:
        """Which of some ids have a Patient."""
        from pyspark.sql import functions as F

        return {row["name"] for row in self.of_kind(deal.PATIENT).where(F.col("name").isin(names)).select("name").collect()}


def read(session: Any, path: str, found: Found, keep: Keep) -> Dealt:
    """All files, dealt by patient; once more, if a manifest proves to tell to which server absolute references lead.

    Raises FhirEligError if a file was not read, or read twice.
    """
    base = None
    while True:
        rows = keep(reduce(lambda one, other: one.unionByName(other), _dealt(session, path, found, base)), f"dealt-{bool(base)}")
        told = Dealt(rows, [], base).of_kind(deal.PART).collect()
        parts = [msgspec.json.decode(bytes(row["body"]), type=Part) for row in told]
        check(parts, found, path)
        files = all_files(parts, found, base)
        server = base_of(vouchers_of(files))
        if base or not server or not any(file.losses for file in files):
            return Dealt(rows, files, base)
        base = server


def check(parts: list[Part], found: Found, path: str) -> None:
    """Raises FhirEligError unless each file that is read whole gave one part, and each that is read by line at least one."""
    by_line = {name for _, name in found.lines}
    came = [part.name for part in parts if part.name not in by_line]
    if len(came) != found.whole or not by_line <= {part.name for part in parts}:
        why = f"{found.whole + len(by_line)} files were found, and not each of them was read once"
        raise FhirEligError(why, code="FE0301", where=path, fix="run again: the files may have changed while they were read")


def _dealt(session: Any, path: str, found: Found, base: str | None) -> Iterator[Frame]:
    from pyspark.sql import functions as F

    if found.whole or not found.lines:
        by_line = F.lower("path").rlike(r"\.(ndjson|jsonl)(\.gz)?$") & (F.col("length") <= WHOLE_FILE)
        document = F.lower("path").rlike(r"\.json(\.gz)?$") & (F.col("length") <= MAX_DOCUMENT)
        files = binary(session, path).where(by_line | document)
        once = files.dropDuplicates(["path"]) if found.twice else files
        yield once.selectExpr("path AS file", "content AS body").mapInArrow(deal.by_file(base, path), deal.SCHEMA)
    for address, name in found.lines:
        lines = session.read.options(lineSep="\n", **STRICT).text(_literal(address))
        rows = lines.select(F.lit(name).alias("file"), F.col("value").cast("binary").alias("body"))
        yield rows.mapInArrow(deal.by_line(base), deal.SCHEMA)


def _literal(address: str) -> str:
    """The address of one file as a path; signs of a pattern are escaped. Some sessions list paths without their first slash."""
    path = address if ":" in address else f"/{address.lstrip('/')}"
    return re.sub(r"[\[\]{}*?\\]", r"\\\g<0>", path)


class Charts:
    """The rows of all charts: `who` is the person, by the id of the record that holds now."""

    def __init__(self, session: Any, dealt: Dealt, survivors: dict[str, str]) -> None:
        self._dealt, self._session, self._survivors = dealt, session, survivors
        self._own = self._with_who(dealt.of_kind(deal.PATIENT, deal.RESOURCE))

    def _with_who(self, rows: Frame) -> Frame:
        from pyspark.sql import functions as F

        if not self._survivors:
            return rows.withColumn("who", F.col("name"))
        table = self._session.createDataFrame(sorted(self._survivors.items()), "name string, survivor string")
        moved = rows.join(table, "name", "left")
        return moved.withColumn("who", F.coalesce("survivor", "name")).select("kind", "name", "detail", "body", "who")

    def _people(self) -> Frame:
        """who, and whether there is a Patient."""
        from pyspark.sql import functions as F

        return self._own.groupBy("who").agg(F.max(F.col("kind") == deal.PATIENT).alias("there"))

    def patients(self) -> int:
        return int(self._people().where("there").count())

    def orphans(self) -> Frame:
        """reference: the resources of patients who are not there."""
        lost = self._people().where("NOT there").select("who")
        return self._own.join(lost, "who").selectExpr("detail AS reference").distinct()

    def rows(self) -> Frame:
        """who, kind, name, detail, body: the resources of every patient, and the Medications to which they refer."""
        columns = ("who", "kind", "name", "detail", "body")
        medications = self._dealt.of_kind(deal.MEDICATION)
        used = self._used().join(medications, "name").select(*columns)
        return self._own.select(*columns).unionByName(used)

    def _used(self) -> Frame:
        """who, name: the Medications that each patient's records name, and the ingredients of those, to their end."""
        used = self._with_who(self._dealt.of_kind(deal.USE)).selectExpr("who", "detail AS name").distinct()
        parts = self._dealt.of_kind(deal.INGREDIENT).selectExpr("name", "detail AS part").distinct()
        if parts.isEmpty():
            return used
        known = -1
        while (count := used.count()) != known:
            known = count
            used = used.unionByName(used.join(parts, "name").selectExpr("who", "part AS name")).distinct()
        return used
