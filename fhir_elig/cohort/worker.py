"""What one process of a run does: read a piece, count a shard, assess a shard. Nothing here writes to the checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from fhir_elig.assessment import assess
from fhir_elig.cli.pipeline import Screening, Tally
from fhir_elig.cohort.charts import Charts
from fhir_elig.cohort.checkpoint import Failed, Place, Result, Seen, ShardDone
from fhir_elig.cohort.earlier import Earlier, digest_of, why_not
from fhir_elig.cohort.facts.cells import Cells
from fhir_elig.cohort.facts.keep import Charted, Kept
from fhir_elig.cohort.folder import FACTS, whole_file
from fhir_elig.cohort.ground import Ground
from fhir_elig.cohort.intake import read_piece
from fhir_elig.cohort.manifest import Input, make_manifest
from fhir_elig.cohort.parts import Part
from fhir_elig.cohort.pieces import Piece
from fhir_elig.cohort.settings import RunOptions, screenings
from fhir_elig.cohort.spill import SpillWriter
from fhir_elig.outputs.digest import Failure
from fhir_elig.outputs.matrix import rows, rulers
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
        self._facts_stand = False

    def know(self, ground: Ground | None, facts: bool = False) -> None:
        """What must be known before shards are looked at; no ground where the input is a facts cache. `facts` says whether those
        of the earlier run stand for charts that did not change."""
        self._people = Charts(ground, self._work) if ground is not None else self._kept()
        self._facts_stand = facts

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
        done = ShardDone(shard, [], [], [])
        with _out(self._work / results_name(shard)) as results, self._facts_out(shard) as facts:
            for one in self._patients(shard):
                found, taken = self._found(one, done)
                for number, (assessment, line) in enumerate(found):
                    matrix = encode(list(rows(assessment, self._rulers[number])))
                    at = results.add(line, matrix)
                    done.results.append(Result(assessment.patient, number, at, len(line), len(matrix)))
                if facts is not None and isinstance(one, Charted):
                    done.facts.append(Place(one.patient, 0, 0) if taken and self._facts_stand else self._kept_in(facts, one))
        return done

    def keep(self, shard: int) -> ShardDone:
        """Take the facts of the charts, for a cache; what makes a chart one that cannot be assessed is kept as well."""
        done = ShardDone(shard, [], [], [])
        with _out(self._work / facts_name(shard)) as facts:
            done.facts.extend(self._kept_in(facts, one) for one in self._patients(shard) if isinstance(one, Charted))
        return done

    def _facts_out(self, shard: int) -> AbstractContextManager[_Out | None]:
        return _out(self._work / facts_name(shard)) if self._options.facts else nullcontext()

    def _kept_in(self, facts: _Out, one: Charted) -> Place:
        data = encode(list(one.entries(self._cells)))
        return Place(one.patient, facts.add(data), len(data))

    def _patients(self, shard: int) -> Iterator[Charted | Kept]:
        assert self._people is not None
        for one in self._people.of(shard):
            yield one if isinstance(one, Kept) else Charted(*one, self._screenings[0])

    def _found(self, one: Charted | Kept, done: ShardDone) -> tuple[list[tuple[Assessment, bytes]], bool]:
        """The assessments of a patient with their lines, and whether an earlier run made them; none if the patient cannot be
        assessed, which `done` then says."""
        digest = digest_of(one.chart, one.lines) if isinstance(one, Charted) else b""
        taken = self._earlier.of(one.patient, digest) if digest and self._earlier is not None else []
        tally = Tally()
        found = taken or self._assessed(one, tally)
        done.failures.extend(Failed(failure.patient, failure.why) for failure in tally.failures)
        done.codes.extend(sorted(tally.codes - set(done.codes)))
        if digest and not tally.codes:
            done.charts.append(Seen(one.patient, digest, bool(taken)))
        return found, bool(taken)

    def _assessed(self, one: Charted | Kept, tally: Tally) -> list[tuple[Assessment, bytes]]:
        found = []
        for screening in self._screenings:
            record, codes, why = one.read(screening.settings.questionnaire)
            tally.codes.update(codes)
            if record is None:
                tally.failures.append(Failure(f"Patient/{one.patient}", why))
                return []
            assessment = assess(screening.protocol, record, screening.run)
            found.append((assessment, assessment.to_json() + b"\n"))
        return found

    def _before(self) -> Earlier | None:
        """The run whose results may be taken over, if it was made with all that this one is made with."""
        if not self._options.after:
            return None
        now = make_manifest(self._options, self._screenings, Input(path="", files=0, bytes=0))
        return None if why_not(now) else Earlier(self._options.after, len(self._screenings))


class _Out:
    """A file of a shard that is being written."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._at = stream, 0

    def add(self, *parts: bytes) -> int:
        """Gives the byte at which they begin."""
        at = self._at
        for part in parts:
            self._at += self._stream.write(part)
        return at


@contextmanager
def _out(path: Path) -> Iterator[_Out]:
    with whole_file(path) as stream:
        yield _Out(stream)


def results_name(shard: int) -> str:
    return f"{shard}.results"


def facts_name(shard: int) -> str:
    return f"{shard}.facts"
