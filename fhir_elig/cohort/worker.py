"""What one process of a run does: read a piece, count a shard, assess a shard. Nothing here writes to the checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fhir_elig.assessment import assess
from fhir_elig.cli.pipeline import Screening, Tally, record_of
from fhir_elig.cohort.charts import Charts
from fhir_elig.cohort.checkpoint import Failed, Result, Seen, ShardDone
from fhir_elig.cohort.earlier import Earlier, digest_of, why_not
from fhir_elig.cohort.facts.cells import Cells
from fhir_elig.cohort.facts.keep import Kept, entries
from fhir_elig.cohort.folder import FACTS, whole_file
from fhir_elig.cohort.ground import Ground
from fhir_elig.cohort.intake import read_piece
from fhir_elig.cohort.manifest import Input, make_manifest
from fhir_elig.cohort.parts import Part
from fhir_elig.cohort.pieces import Piece
from fhir_elig.cohort.settings import RunOptions, screenings
from fhir_elig.cohort.spill import SpillWriter
from fhir_elig.outputs.matrix import rows, rulers
from fhir_elig.sources import Chart
from fhir_elig.sources.skip import Skip
from fhir_elig.verdict import Assessment

if TYPE_CHECKING:
    from fhir_elig.cohort.facts.file import FactsReader

encode = msgspec.msgpack.encode


class Read(msgspec.Struct, frozen=True):
    """A piece that was read: its spill files, and what its files hold beside resources."""

    piece: Piece
    spills: list[str]
    parts: list[Part]


class Counted(msgspec.Struct, frozen=True):
    """How many patients a shard has, and its orphans."""

    shard: int
    patients: int
    orphans: list[str]


class Worker:
    """Works for one run. Between pieces of work it keeps what they share: the protocols, the ground."""

    def __init__(self, options: RunOptions, work: Path, shards: int, grounds: tuple[Screening, ...] = ()) -> None:
        self._options, self._work, self._shards = options, work, shards
        self._screenings = grounds or screenings(options)
        self._rulers = [rulers(one.protocol) for one in self._screenings]
        matters = self._screenings[0].settings.matters
        self._slim = Skip(matters) if options.skip and matters is not None else None
        self._cells = Cells(self._screenings[0].settings.time_zone)
        self._people: Charts | FactsReader | None = None
        self._earlier = self._before()

    def know(self, ground: Ground | None) -> None:
        """What must be known before shards are looked at; nothing where the input is a facts cache."""
        self._people = Charts(ground, self._work) if ground is not None else self._kept()

    def _kept(self) -> FactsReader:
        from fhir_elig.cohort.facts.file import FactsReader

        settings = self._screenings[0].settings
        return FactsReader(Path(self._options.data) / FACTS, settings.time_zone)

    def read(self, piece: Piece, base: str | None) -> Read:
        spill = SpillWriter(self._work, f"{piece.number}", self._shards)
        parts = read_piece(piece, spill, base, self._slim)
        return Read(piece, spill.close(), parts)

    def count(self, shard: int) -> Counted:
        assert self._people is not None
        return Counted(shard, *self._people.count(shard))

    def assess(self, shard: int) -> ShardDone:
        """Assess the patients of a shard; what an earlier run found is taken over where nothing changed."""
        return self._shard(shard, self._results)

    def keep(self, shard: int) -> ShardDone:
        """Take the facts of the charts, for a cache."""
        return self._shard(shard, self._facts)

    def _shard(self, shard: int, work: Callable[[Any, ShardDone, int], Iterable[tuple[Result, bytes]]]) -> ShardDone:
        """Does it for each patient, and writes what it gives beginning at a byte."""
        assert self._people is not None
        done = ShardDone(shard, [], [], [])
        at = 0
        with whole_file(self._work / results_name(shard)) as stream:
            for one in self._people.of(shard):
                for result, data in work(one, done, at):
                    stream.write(data)
                    at += len(data)
                    done.results.append(result)
        return done

    def _results(self, one: Chart | Kept, done: ShardDone, at: int) -> Iterator[tuple[Result, bytes]]:
        """The assessments of a patient with their rows; none if the patient cannot be assessed, which `done` then says."""
        for number, (assessment, line) in enumerate(self._found(one, done)):
            matrix = encode(list(rows(assessment, self._rulers[number])))
            yield Result(assessment.patient, number, at, len(line), len(matrix)), line + matrix
            at += len(line) + len(matrix)

    def _found(self, one: Chart | Kept, done: ShardDone) -> list[tuple[Assessment, bytes]]:
        digest = digest_of(one) if isinstance(one, Chart) else b""
        taken = self._earlier.of(one.patient, digest) if digest and self._earlier is not None else []
        tally = Tally()
        found = taken or self._assessed(one, tally)
        done.failures.extend(Failed(failure.patient, failure.why) for failure in tally.failures)
        done.codes.extend(sorted(tally.codes - set(done.codes)))
        if digest and not tally.codes:
            done.charts.append(Seen(one.patient, digest, bool(taken)))
        return found

    def _assessed(self, one: Chart | Kept, tally: Tally) -> list[tuple[Assessment, bytes]]:
        found = []
        for screening in self._screenings:
            record = record_of(one, screening, tally) if isinstance(one, Chart) else one.record(screening, tally)
            if record is None:
                return []
            assessment = assess(screening.protocol, record, screening.run)
            found.append((assessment, assessment.to_json() + b"\n"))
        return found

    def _facts(self, chart: Chart, _: ShardDone, at: int) -> list[tuple[Result, bytes]]:
        """The entries of a patient; what makes a chart one that cannot be assessed is kept as well."""
        data = encode(list(entries(chart, self._screenings[0], self._cells)))
        return [(Result(f"Patient/{chart.patient}", 0, at, 0, len(data)), data)]

    def _before(self) -> Earlier | None:
        """The run whose results may be taken over, if it was made with all that this one is made with."""
        if not self._options.after:
            return None
        now = make_manifest(self._options, self._screenings, Input(path="", files=0, bytes=0))
        return None if why_not(now) else Earlier(self._options.after, len(self._screenings))


def results_name(shard: int) -> str:
    return f"{shard}.results"
