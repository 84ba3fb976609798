"""What if: drop a criterion, move a limit, decide a reading, and recompute the whole from the stored matrix.

DuckDB gathers for each person the few verdicts that bear on the change into one number, its signature; persons of one signature
share one answer, which `worlds` works out. An answer that the matrix cannot tell is counted as such, and never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fhir_elig.cohort.changes import Changes, Moved
from fhir_elig.cohort.matrix import Matrix, Used
from fhir_elig.cohort.tree import waits
from fhir_elig.cohort.worlds import MET, NOT_MET, UNKNOWN, Reader, Row, bundle_key
from fhir_elig.outputs.matrix_row import WHOLE
from fhir_elig.outputs.whatif_table import WhatIf
from fhir_elig.verdict import ALIVE

_BITS, _WORD = 4, 15  # bits of a set of verdicts; sets in one 60-bit word of a signature
_TOPS = "+tops"
CANNOT = "cannot be told"
_WORDS: Mapping[int, str] = {MET: "met", UNKNOWN: "unknown", NOT_MET: "not-met"}
_CODE = "CASE verdict WHEN 'met' THEN 1 WHEN 'not-met' THEN 2 WHEN 'unknown' THEN 4 ELSE 8 END"

# The set of verdicts that a value between two bounds may have against a lower and an upper limit. At an end that may be open or
# closed both are possible; results that had to agree (two bounds, two limits) may all fall outside, each on its own side.
_AGAINST = """
    CREATE OR REPLACE TEMP MACRO below(low, high, bound, strict) AS
        CASE WHEN bound IS NULL THEN 1 WHEN NOT strict THEN
            CASE WHEN low >= bound THEN 1 WHEN high < bound THEN 2 WHEN high = bound THEN 6 ELSE 4 END
        ELSE CASE WHEN low > bound THEN 1 WHEN high <= bound THEN 2 WHEN low = bound THEN 5 ELSE 4 END END;
    CREATE OR REPLACE TEMP MACRO together(one, other) AS
        (one & other & 1) | ((one | other) & 2)
        | CASE WHEN (one | other) & 4 <> 0 AND one & 5 <> 0 AND other & 5 <> 0 THEN 4 ELSE 0 END
        | CASE WHEN one & 4 <> 0 AND other & 4 <> 0 THEN 2 ELSE 0 END;
    CREATE OR REPLACE TEMP MACRO against(low, high, lower, lower_strict, upper, upper_strict) AS
        together(below(low, high, lower, lower_strict), below(-high, -low, -upper, upper_strict));
    CREATE OR REPLACE TEMP MACRO pending(found) AS
        (found & 2) | CASE WHEN found & 5 <> 0 THEN 4 ELSE 0 END"""

_MOVED_COLUMNS = """criterion VARCHAR, limit_unit VARCHAR, lower DOUBLE, lower_strict BOOLEAN, upper DOUBLE, upper_strict BOOLEAN,
    waits BOOLEAN, from_age BOOLEAN, turned BOOLEAN"""
# What the verdict of a moved limit becomes, by why it is what it is (7: it cannot be told).
_MOVED = """
    CREATE OR REPLACE TEMP TABLE becomes AS
    WITH held AS (
        SELECT patient, criterion, reason, waits, from_age, coalesce(unit, '') = limit_unit AS comparable,
            CASE WHEN NOT turned THEN verdict WHEN verdict = 'met' THEN 'not-met' WHEN verdict = 'not-met' THEN 'met'
                ELSE verdict END AS verdict,
            value_low IS NOT NULL OR value_high IS NOT NULL AS known,
            against(coalesce(value_low, '-inf'::DOUBLE), coalesce(value_high, 'inf'::DOUBLE),
                lower, lower_strict, upper, upper_strict) AS found
        FROM matrix JOIN moved USING (criterion) WHERE protocol = $protocol)
    SELECT patient, criterion, CASE
        WHEN verdict = 'not-applicable' OR known AND NOT comparable THEN 7
        WHEN NOT known THEN
            CASE WHEN verdict = 'unknown' AND reason NOT IN ('conflicting', 'imprecise-date', 'comparator') THEN 4 ELSE 7 END
        WHEN from_age AND found & 4 <> 0 AND reason = 'imprecise-date' THEN 4  -- both ends of an age are closed
        WHEN verdict = 'met' OR verdict = 'not-met' AND NOT waits OR from_age AND reason = 'imprecise-date' THEN found
        WHEN verdict = 'not-met' OR reason IN ('comparator', 'conflicting') THEN
            CASE WHEN waits AND found & 1 <> 0 THEN found | 4 ELSE found END
        WHEN reason = 'pending-event' THEN pending(found)
        ELSE found | 4 END AS may
    FROM held"""

# One pass over the matrix; the whole is in a word of its own.
_SIGNED = """
    CREATE OR REPLACE TEMP TABLE signed AS
    WITH stored AS (
        SELECT patient, word, {code}::BIGINT << shift AS part FROM matrix JOIN slots USING (criterion)
        WHERE protocol = $protocol AND NOT becoming
        UNION ALL
        SELECT patient, word, may::BIGINT << shift FROM becomes JOIN slots USING (criterion) WHERE becoming)
    SELECT patient, bit_or(part) FILTER (word = {whole}) AS was, {words} FROM stored GROUP BY patient"""


def what_if(matrix: Matrix, used: Used, changes: Changes) -> WhatIf:
    """The whole of every person before and after the changes. `changes` are those of this protocol, checked."""
    reader = Reader(used.tree, changes.change, used.decisions)
    slots = list(_slots(used, reader))
    words = -(-len(slots) // _WORD)
    _sign(matrix, used, changes.moved, slots, words)
    columns = ", ".join(f"w{number}" for number in range(words))
    signatures = matrix.ask(f"SELECT DISTINCT {columns} FROM signed")  # noqa: S608  columns of this program
    answers = [(*signature, _whole(used, reader, slots, signature)) for signature in signatures]
    matrix.table("answers", ", ".join(f"w{number} BIGINT" for number in range(words)) + ", becomes INTEGER", answers)
    joined = f"signed JOIN answers USING ({columns})"
    counted = matrix.ask(f"SELECT was, becomes, count(*) FROM {joined} GROUP BY ALL")  # noqa: S608
    told = "patient, was, becomes"
    changed = matrix.ask(f"SELECT {told} FROM {joined} WHERE was <> becomes ORDER BY patient")  # noqa: S608
    return _answer(used, matrix, changes, counted, changed)


def _slots(used: Used, reader: Reader) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """The sets that make a signature: name, the criteria in it, whether it is what a moved limit may become."""
    alone: set[str] = set()
    bundles: set[tuple[str, ...]] = set()
    touched = [top for top in used.tree.tops if reader.touched(top)]
    for top in touched:
        names, others = reader.needed(top)
        alone, bundles = alone | names, bundles | others
    kept = [top.id for top in used.tree.tops if top not in touched and not reader.drops(top)]
    yield _TOPS, (ALIVE, *kept), False
    yield from ((bundle_key(bundle), bundle, False) for bundle in sorted(bundles))
    yield from ((name, (name,), False) for name in sorted(alone))
    yield from ((name, (name,), True) for name in sorted(reader.change.moved))


def _sign(
    matrix: Matrix, used: Used, moved: Sequence[Moved], slots: Sequence[tuple[str, tuple[str, ...], bool]], words: int
) -> None:
    held = [
        (name, number // _WORD, number % _WORD * _BITS, becoming)
        for number, (_, names, becoming) in enumerate(slots)
        for name in names
    ]
    held.append((WHOLE, words, 0, False))
    matrix.table("slots", "criterion VARCHAR, word INTEGER, shift INTEGER, becoming BOOLEAN", held)
    parts = used.tree.criteria()
    late = "screening" in used.milestones
    excluded = {part.id for part in used.tree.exclusion}
    limits = [
        (
            one.criterion, one.unit, one.lower, one.lower_strict, one.upper, one.upper_strict,
            late or waits(parts[one.criterion]), one.kind == "age", one.criterion in excluded,
        )
        for one in moved
    ]  # fmt: skip
    matrix.table("moved", _MOVED_COLUMNS, limits)
    for statement in _AGAINST.split(";"):
        matrix.ask(statement)
    matrix.ask(_MOVED, {"protocol": used.id})
    columns = ", ".join(f"coalesce(bit_or(part) FILTER (word = {n}), 0) AS w{n}" for n in range(words))
    matrix.ask(_SIGNED.format(code=_CODE, whole=words, words=columns), {"protocol": used.id})


def _whole(used: Used, reader: Reader, slots: Sequence[tuple[str, tuple[str, ...], bool]], signature: Sequence[int]) -> int:
    """The set of verdicts that the whole may become, for all persons of one signature."""
    stored: dict[str, int] = {}
    becomes: dict[str, int] = {}
    for number, (name, _, becoming) in enumerate(slots):
        found = signature[number // _WORD] >> number % _WORD * _BITS & 15
        if found:
            (becomes if becoming else stored)[name] = found
    row = Row(stored, becomes)
    kept = stored.get(_TOPS, 0)
    states = {NOT_MET if kept & NOT_MET else UNKNOWN if kept & UNKNOWN else MET}
    for top in used.tree.tops:
        if reader.touched(top) and not reader.drops(top):
            may = reader.becomes(top, row)
            states = {_worse(state, verdict) for state in states for verdict in (MET, NOT_MET, UNKNOWN) if may & verdict}
    return sum(states)


def _worse(one: int, other: int) -> int:
    return NOT_MET if NOT_MET in (one, other) else UNKNOWN if UNKNOWN in (one, other) else MET


def _answer(
    used: Used,
    matrix: Matrix,
    changes: Changes,
    counted: Sequence[tuple[int, int, int]],
    changed: Sequence[tuple[str, int, int]],
) -> WhatIf:
    before, after = dict.fromkeys(_WORDS.values(), 0), dict.fromkeys([*_WORDS.values(), CANNOT], 0)
    moves: dict[str, int] = {}
    for was, becomes, count in counted:
        old, new = _WORDS[was], _WORDS.get(becomes, CANNOT)
        before[old] += count
        after[new] += count
        if old != new:
            moves[f"{old} -> {new}"] = moves.get(f"{old} -> {new}", 0) + count
    persons: dict[str, list[str]] = {name: [] for name in sorted(moves)}
    for patient, was, becomes in changed:
        persons[f"{_WORDS[was]} -> {_WORDS.get(becomes, CANNOT)}"].append(patient)
    return WhatIf(
        protocol=used.id,
        version=used.version,
        as_of=matrix.manifest.as_of,
        changes=changes.words,
        before=before,
        after=after,
        moves=dict(sorted(moves.items())),
        persons={name: tuple(found) for name, found in persons.items()},
    )
