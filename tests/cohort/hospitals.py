"""Two invented hospitals whose files hold all that went wrong on the way, and what differs between runs over one of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet

from benchmarks.charts import chart

COMMON = ("--protocol", "relma-cel-ssc", "--as-of", "2025-06-01", "--complete", "all")


def messy(folder: Path, strange: str = "a b 100%+") -> Path:
    """Four patients over many files, with all that an export may hold beside them."""
    lines: dict[str, list[str]] = {}
    for seed in range(4):
        for resource in chart(seed):
            lines.setdefault(resource["resourceType"], []).append(json.dumps(resource, ensure_ascii=False))
    observations = lines.pop("Observation")
    half = len(observations) // 2
    broken = observations[half].replace('"status"', '"status", "id"', 1)
    (folder / "part").mkdir(parents=True)
    odd = _odd(json.loads(observations[0]))
    (folder / "part" / "Observation.1.ndjson").write_text("\n".join([*observations[:half], broken, *odd, ""]))
    packed = [
        gzip.compress("\n".join(some).encode())
        for some in (["", *observations[half + 1 :: 2]], ["", *observations[half + 2 :: 2]])
    ]
    (folder / "part" / "Observation.2.ndjson.gz").write_bytes(b"".join(packed))
    more = {
        "Medication": [{"id": "drug", "code": {"text": "prednisone"}, "ingredient": [{"itemReference": {"reference": "Medication/part"}}]},
                       {"id": "part", "code": {"text": "an ingredient"}}, {"id": "unused"}],
        "MedicationRequest": [{"id": "by-reference", "status": "active", "intent": "order", "subject": {"reference": "Patient/p1"},
                               "authoredOn": "2025-05-20", "medicationReference": {"reference": "Medication/drug"}}],
        "Patient": [{"id": "old", "link": [{"type": "replaced-by", "other": {"reference": "Patient/p2"}}]}],
        "Condition": [{"id": "of-old", "subject": {"reference": "Patient/old"}, "code": {"text": "x"}},
                      {"id": "of-nobody", "subject": {"reference": "Patient/stranger"}, "code": {"text": "x"}}],
    }  # fmt: skip
    for kind, resources in more.items():
        lines.setdefault(kind, []).extend(json.dumps({"resourceType": kind, **one}) for one in resources)
    (folder / strange).mkdir(parents=True)
    for number, text in enumerate([lines["Encounter"].pop() for _ in range(6)]):
        (folder / strange / f"{number}.JSONL").write_text(text, encoding="utf-8")
    for kind, texts in lines.items():
        (folder / f"{kind}.ndjson").write_bytes(("\ufeff" + "".join(f"{text}\r\n\r\n" for text in texts)).encode())
    for name in ("part/empty.ndjson", "blank.ndjson"):
        (folder / name).write_text("\n\r\n" if name == "blank.ndjson" else "")
    return folder


def _odd(one: dict[str, Any]) -> list[str]:
    """Hemoglobins of p0 that are not what most are, and lines that must not be taken for another patient's."""
    plain = {
        **{name: one[name] for name in ("resourceType", "subject")},
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
    }
    changes: list[dict[str, Any]] = [
        {"id": "twice", "effectiveDateTime": "2025-05-29", "valueQuantity": {"value": 9.5, "unit": "g/dL"}},
        {"id": "twice", "effectiveDateTime": "2025-05-29", "valueQuantity": {"value": 9.5, "unit": "g/dL"}},
        {"id": "versions", "meta": {"versionId": "1"}, "effectiveDateTime": "2025-05-28", "valueString": "pending"},
        {"id": "versions", "meta": {"versionId": "2"}, "effectiveDateTime": "2025-05-28", "valueString": "<9,5"},
        {"id": "no-date", "valueQuantity": {"value": 70, "unit": "furlong", "comparator": "<"}},
        {"id": "modified", "effectiveDateTime": "2025", "modifierExtension": [{"url": "http://x.example/not"}]},
        {"id": "of-a-group", "subject": {"reference": "Group/g1"}},
        {"id": "é\u2028\U0001f9ea", "effectiveDateTime": "2025-05-30T24:00:00", "valueQuantity": {"value": -0.0}},
    ]
    nobody = {name: value for name, value in plain.items() if name != "subject"}
    exact = json.dumps({**plain, "id": "exact", "effectiveDateTime": "2025-05-27"})
    spelt = [exact[:-1] + f', "valueQuantity": {{"unit": "g\\u002fdL", "value": {value}}}}}' for value in ("9.50", "95e-1")]
    return [*(json.dumps({**plain, **change}) for change in changes), json.dumps({**nobody, "id": "nobodys"}), *spelt]


def damaged(folder: Path) -> Path:
    """A patient whose files lack much: what is missing may be anybody's."""
    (folder / "inner").mkdir(parents=True)
    lines = [json.dumps(resource) for resource in chart(7)]
    deep = lines[3][:-1] + ', "extension": ' + "[" * 2000 + "]" * 2000 + "}"
    huge = lines[4][:-1] + ', "valueInteger": 1e9999999}'
    wrong = [
        "{",
        "not json",
        "[1]",
        '"text"',
        "null",
        lines[9][:50],
        deep,
        huge,
        lines[6].replace("Patient/p7", "Patient/p\ud87e"),
    ]
    (folder / "all.ndjson").write_bytes("\n".join([*lines, *wrong, ""]).encode(errors="surrogatepass"))
    long = json.dumps({**json.loads(lines[5]), "note": [{"text": "x" * (17 << 20)}]})
    (folder / "inner" / "long.ndjson").write_text("\ufeff" + "\n".join([long, *lines[20:25]]), encoding="utf-8")
    (folder / "cut.ndjson.gz").write_bytes(gzip.compress("\n".join(lines[:40]).encode())[:-99])
    for name in ("empty 100%.json", "inner/empty.ndjson.gz", "empty.zip"):
        (folder / name).touch()
    return folder


HOSPITALS: dict[str, Callable[[Path], Path]] = {"messy": messy, "damaged": damaged}


def differing(one: Path, local: Path, *, offsets: bool = False) -> list[str]:
    """Names of the files whose rows differ; at which byte a piece begins is not known on Spark."""
    names = ["assessments.ndjson", "errors.ndjson", *(["quarantine.ndjson", "matrix.parquet"] if offsets else [])]
    found = [name for name in names if (one / name).read_bytes() != (local / name).read_bytes()]
    theirs, ours = ([{**row, "offset": None} for row in rows(folder / "quarantine.ndjson")] for folder in (local, one))
    found += [] if offsets or ours == theirs else ["quarantine.ndjson"]
    tables = [pyarrow.parquet.read_table(folder / "matrix.parquet") for folder in (one, local)]
    return found + ([] if tables[0].equals(tables[1]) else ["matrix.parquet"])


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
