"""A record's facts, arranged once for all criteria: results by concept, dated contacts, what was found on the way."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cached_property
from operator import itemgetter
from typing import TypeVar, cast

from fhir_elig.concepts import Concepts, Match
from fhir_elig.quantity import Reading
from fhir_elig.record import Answer, Contact, Counts, Event, Fact, Medication, Problem, Record, Result
from fhir_elig.times import When

# Members of an Enum that are asked for often: in Python 3.11 they are found more slowly in their class than here.
_YES, _OTHER = Counts.YES, Match.NO
_SEEN = (_YES, Counts.NOT_FINAL)
Placed = tuple[int, int, Result]  # its day, and its place in the record
Matched = TypeVar("Matched", Event, Medication, Problem)


class Facts:
    """A record's facts, arranged once for all criteria: results by concept, dated contacts, who the patient is.

    `answers` are those that people gave beside the chart, `now` is the instant at which the date of the assessment ends.
    """

    def __init__(self, record: Record, concepts: Concepts, now: int, answers: Iterable[Answer] = ()) -> None:
        self.results: dict[str, list[Result]] = {}
        self.doubtful: dict[str, list[Result]] = {}
        self.mixed: set[str] = set()
        self.readings: dict[tuple[int, str], Reading] = {}
        self.matched: dict[object, object] = {}  # what was found once among the records, by who looks for it
        self.by_names: dict[tuple[str, ...], list[Result]] = {}
        for result in record.results:
            deciding, doubtful, mixed = concepts.filed(result.codes)
            for name in deciding:
                self.results.setdefault(name, []).append(result)
            for name in doubtful:
                self.doubtful.setdefault(name, []).append(result)
            if mixed:
                self.mixed.add(result.reference)
        self.any_missing = bool(record.refused) or any(entry.broken for entry in record.retrieved)
        self.answers: dict[str, list[Answer]] = {}
        for answer in (*record.answers, *answers):
            self.answers.setdefault(answer.item, []).append(answer)
        self._record = record
        self._now = now

    @cached_property
    def contacts(self) -> list[tuple[When, Fact]]:
        """What proves that the patient was seen, with its time."""
        return _contacts(self._record)

    @cached_property
    def newest_first(self) -> list[tuple[When, Fact]]:
        """The same, by when each began, the latest first; of those that began at once by reference."""
        ranked = [(when.start, fact.reference, place, when, fact) for place, (when, fact) in enumerate(self.contacts)]
        return [(when, fact) for *_, when, fact in sorted(ranked, reverse=True)]

    def contacts_around(self, end: int) -> tuple[tuple[When, Fact] | None, When | None]:
        """The latest contact that began before that instant, and when the next one begins; without putting all in order."""
        newest: tuple[When, Fact] | None = None
        coming: tuple[When, Fact] | None = None
        for one in self.contacts:
            when, fact = one
            if when.start < end:
                if newest is None or (when.start, fact.reference) >= (newest[0].start, newest[1].reference):
                    newest = one
            elif coming is None or (when.start, fact.reference) < (coming[0].start, coming[1].reference):
                coming = one
        return newest, None if coming is None else coming[0]

    def matching(self, sent: Sequence[Matched], names: frozenset[str], concepts: Concepts) -> list[tuple[Matched, Match]]:
        """The records of one kind that these concepts match, or may; looked up once for a chart."""
        key = (id(sent), names)
        if key not in self.matched:
            found = [(fact, concepts.match(fact.codes, names)) for fact in sent] if names else []
            self.matched[key] = [(fact, match) for fact, match in found if match is not _OTHER]
        return cast("list[tuple[Matched, Match]]", self.matched[key])

    def of(self, names: tuple[str, ...]) -> list[Result]:
        """The results of any of these concepts, each once, in the record's order."""
        found = self.by_names.get(names)
        if found is None:
            found = self.by_names[names] = self._of(names)
        return found

    def said(self, names: tuple[str, ...]) -> frozenset[Counts]:
        """How the results of these concepts that have a value count."""
        found = self.matched.get(("said", names))
        if found is None:
            found = self.matched["said", names] = frozenset(r.counts for r in self.of(names) if r.value is not None)
        return cast("frozenset[Counts]", found)

    def beside(self, names: tuple[str, ...], first: int, last: int) -> list[Result]:
        """The results of these concepts that may lie on these days, in the record's order, and all that are still to come.

        Those of one day are found without a look at the others, so that a long history costs no more than its length.
        """
        found = self.matched.get(("beside", names))
        if found is None:
            found = self.matched["beside", names] = self._by_day(names)
        by_day, wide = cast("tuple[list[Placed], list[Placed]]", found)
        near = by_day[bisect_left(by_day, (first,)) : bisect_left(by_day, (last + 1,))]
        return [result for *_, result in sorted([*near, *wide], key=itemgetter(1))]

    def _by_day(self, names: tuple[str, ...]) -> tuple[list[Placed], list[Placed]]:
        by_day: list[Placed] = []
        wide: list[Placed] = []
        for place, result in enumerate(self.of(names)):
            when = result.time
            precise = when is not None and when.one_day and when.end <= self._now
            (by_day if precise else wide).append((when.first if when is not None else 0, place, result))
        return sorted(by_day, key=itemgetter(0)), wide

    def _of(self, names: tuple[str, ...]) -> list[Result]:
        lists = [self.results[name] for name in names if name in self.results]
        if len(lists) < 2:
            return lists[0] if lists else []
        unique = {id(result): result for found in lists for result in found}
        return sorted(unique.values(), key=lambda result: (result.reference, result.version))


def _contacts(record: Record) -> list[tuple[When, Fact]]:
    timed: tuple[Contact | Result | Event, ...] = (*record.contacts, *record.results, *record.events)
    dated: list[tuple[When | None, Fact]] = [(fact.time, fact) for fact in timed if fact.counts in _SEEN]
    for problem in record.problems:
        if problem.counts is _YES or problem.counts is Counts.UNCONFIRMED:
            dated += ((problem.onset, problem), (problem.recorded, problem))
    dated += [(medication.start, medication) for medication in record.medications if medication.counts is _YES]
    return [(when, fact) for when, fact in dated if when is not None]
