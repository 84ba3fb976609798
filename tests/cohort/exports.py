"""Folders of invented charts for runs: as exports write them, and as they arrive when things went wrong."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.charts import chart

PROTOCOL = "relma-cel-ssc"
COMMON = ("--protocol", PROTOCOL, "--as-of", "2025-06-01")

Resource = dict[str, Any]
Lines = dict[str, list[str]]


def people(count: int, each: int = 40) -> list[Resource]:
    """That many invented patients with so many resources each, the Patient among them."""
    found: list[Resource] = []
    for seed in range(count):
        whole = chart(seed)
        found += [*random.Random(seed).sample(whole[:-1], each - 1), whole[-1]]
    return found


def by_type(resources: list[Resource]) -> Lines:
    lines: Lines = {}
    for resource in resources:
        lines.setdefault(resource["resourceType"], []).append(json.dumps(resource))
    return lines


def write(folder: Path, lines: Lines, *, packed: bool = False) -> Path:
    """One NDJSON file a type."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, texts in lines.items():
        data = "".join(f"{text}\n" for text in texts).encode()
        path = folder / f"{kind}.ndjson{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(data, mtime=0) if packed else data)
    return folder


def plain(folder: Path) -> None:
    write(folder, by_type(people(7)))


def packed(folder: Path) -> None:
    write(folder, by_type(people(5)), packed=True)


def a_bundle_each(folder: Path) -> None:
    folder.mkdir()
    for seed in range(4):
        entries = [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in chart(seed)[::6] + chart(seed)[-1:]]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        (folder / f"{seed}.json").write_text(json.dumps(bundle, indent=1))


def bad_lines(folder: Path) -> None:
    """Lines that are cut, doubled or foreign; of somebody, of nobody, of a Group."""
    lines = by_type(people(6))
    seen = lines["Observation"]
    group = {**json.loads(seen[3]), "id": "of-a-group", "subject": {"reference": "Group/g1"}}
    nobody = {name: value for name, value in json.loads(lines["Procedure"][0]).items() if name != "subject"}
    seen[1:1] = [seen[0][:200], json.dumps(group), "", "not json", seen[4] + seen[5], '{"a": 1}']
    lines["Procedure"].append(json.dumps({**nobody, "id": "of-nobody"}))
    lines["Condition"].append(lines["Condition"][0].replace('"id": ', '"id": "twice", "id": ', 1))
    write(folder, lines)


def cut_at_the_end(folder: Path) -> None:
    lines = by_type(people(5))
    write(folder, lines)
    path = folder / "Observation.ndjson"
    path.write_bytes(path.read_bytes()[:-300])
    path = folder / "Condition.ndjson"
    (folder / "Condition.ndjson.gz").write_bytes(gzip.compress(path.read_bytes())[:-200])
    path.unlink()


def replaced(folder: Path) -> None:
    """Records of one person under several ids, in all directions; one whose survivor is not there; a loop."""
    resources = people(8)
    patients = {one["id"]: one for one in resources if one["resourceType"] == "Patient"}
    said = [
        ("p0", "replaced-by", "p1"),
        ("p3", "replaces", "p2"),
        ("p4", "replaced-by", "gone"),
        ("p5", "replaced-by", "p6"),
        ("p6", "replaced-by", "p5"),
    ]
    for one, kind, other in said:
        patients[one].setdefault("link", []).append({"type": kind, "other": {"reference": f"Patient/{other}"}})
    write(folder, by_type(resources))


def shared_drugs(folder: Path) -> None:
    """Orders that name a Medication of nobody's, of which one is made of another."""
    resources = people(4)
    for number, order in enumerate(one for one in resources if one["resourceType"] == "MedicationRequest"):
        concept = order.pop("medicationCodeableConcept", None)
        order["medicationReference"] = {"reference": f"Medication/m{number % 3}"}
        if number < 3:
            resources.append({"resourceType": "Medication", "id": f"m{number}", "code": concept})
    resources.append(
        {"resourceType": "Medication", "id": "m2", "ingredient": [{"itemReference": {"reference": "Medication/m1"}}]}
    )
    write(folder, by_type(resources))


def strangers(folder: Path) -> None:
    """Resources of patients who are not there, and other files in the folder."""
    lines = by_type(people(5))
    lines["Patient"] = lines["Patient"][:3]
    write(folder, lines)
    (folder / "notes.txt").write_text("of no interest")
    (folder / "old.zip").write_bytes(b"PK")


def vouched(folder: Path, address: str = "") -> None:
    """A bulk export with its manifest; with an address, references are absolute."""
    resources = people(4)
    text = json.dumps(resources).replace('"reference": "Patient/', f'"reference": "{address}Patient/')
    lines = by_type(json.loads(text))
    write(folder / "export", lines)
    manifest = {
        "transactionTime": "2025-05-31T00:00:00Z",
        "request": f"{address or 'https://ehr.example/fhir/'}$export",
        "output": [
            {"type": kind, "url": f"https://ehr.example/{kind}.ndjson", "count": len(texts)} for kind, texts in lines.items()
        ],
    }
    (folder / "export" / "manifest.json").write_text(json.dumps(manifest))
    write(folder / "beside", by_type([one for seed in (20, 21) for one in chart(seed)[::9] + chart(seed)[-1:]]))


def absolute(folder: Path) -> None:
    vouched(folder, "https://ehr.example/fhir/")


def pages(folder: Path) -> None:
    """A search result in two pages of three."""
    folder.mkdir()
    resources = people(3)
    third = len(resources) // 3
    for number in (0, 1):
        entries = [{"resource": one} for one in resources[number * third : (number + 1) * third] + resources[-1:]]
        links = [
            {"relation": "self", "url": f"https://ehr.example/p{number}"},
            {"relation": "next", "url": f"https://ehr.example/p{number + 1}"},
        ]
        bundle = {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries}
        (folder / f"page{number}.json").write_text(json.dumps(bundle))


def lines_in_disguise(folder: Path) -> None:
    """Byte-order mark, CRLF, blank lines, no newline at the end, lines under the name of a document, Bundles as lines."""
    lines = by_type(people(4))
    folder.mkdir()
    (folder / "Observation.ndjson").write_bytes(b"\xef\xbb\xbf" + "\r\n\r\n".join(lines.pop("Observation")).encode())
    (folder / "Patient.json").write_text("\n".join(lines.pop("Patient")))
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": json.loads(one)} for one in lines.pop("Procedure")],
    }
    lines["mixed"] = [json.dumps(bundle), *(one for texts in lines.values() for one in texts)]
    write(folder, {"mixed": lines["mixed"]})


FOLDERS: dict[str, Callable[[Path], None]] = {
    make.__name__: make
    for make in (
        plain, packed, a_bundle_each, bad_lines, cut_at_the_end, replaced, shared_drugs, strangers, vouched, absolute, pages,
        lines_in_disguise,
    )
}  # fmt: skip
