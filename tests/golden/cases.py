"""The golden cases: folders of a patient, what is expected and why; found by themselves, run through the whole pipeline.

A case is `fixtures/patients/<protocol>/<case>/` with `bundle.json`, `expected.yaml`, `why.md`, and `answers.yaml` or `site.yaml`
where it needs them. `expected.yaml`: `patient`, `as-of`, `events`, `complete`, `status`, `valid-until`, `verdicts`; `failure`
(an error code) where the patient cannot be assessed; `files-only` (the reason) where no server can hold such a chart.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from fhir_elig.cli import pipeline
from fhir_elig.concepts import Concepts, load_concepts
from fhir_elig.protocol import Protocol, load_protocol
from fhir_elig.site import Site, load_site
from fhir_elig.verdict import Assessment
from tests.golden.raw import Pairs, parse, write

PROTOCOL = "relma-cel-ssc"
ROOT = Path(__file__).parents[2] / "fixtures" / "patients"


class Case(msgspec.Struct, frozen=True):
    """One folder. `expected` is its YAML, every scalar as text."""

    name: str
    folder: Path
    expected: dict[str, Any]

    @property
    def patient(self) -> str:
        return str(self.expected["patient"])

    @property
    def failure(self) -> str:
        return str(self.expected.get("failure", ""))

    @property
    def verdicts(self) -> dict[str, tuple[str, str]]:
        return {criterion: (said[0], said[1]) for criterion, said in self.expected.get("verdicts", {}).items()}

    def file(self, name: str) -> Path | None:
        path = self.folder / name
        return path if path.exists() else None

    def options(self, **changes: Any) -> pipeline.Options:
        wanted: dict[str, Any] = {
            "protocol": self.folder.parent.name,
            "data": self.folder / "bundle.json",
            "patients": (self.patient,),
            "as_of": self.expected["as-of"],
            "events": tuple(self.expected.get("events", ())),
            "answers": self.file("answers.yaml"),
            "site": self.file("site.yaml"),
            "complete": self.expected.get("complete", ""),
        }
        return pipeline.Options(**{**wanted, **changes})

    def resources(self) -> list[Any]:
        """The resources as they stand in the Bundle, numbers and repeated keys as written, references by type and id."""
        bundle = parse((self.folder / "bundle.json").read_text(encoding="utf-8"))
        entries = [dict(entry) for entry in dict(bundle)["entry"]]
        names = {str(entry.get("fullUrl", "")): reference_of(entry["resource"]) for entry in entries}
        return [renamed(entry["resource"], lambda text: names.get(text, text)) for entry in entries]


def find(protocol: str = "*") -> list[Case]:
    """All cases, by name."""
    folders = sorted(path.parent for path in ROOT.glob(f"{protocol}/*/expected.yaml"))
    return [Case(folder.name, folder, _plain(folder / "expected.yaml")) for folder in folders]


def _plain(path: Path) -> dict[str, Any]:
    """YAML with every scalar as it is written: a date stays text, `no` stays no."""
    found: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return found


def reference_of(resource: Any) -> str:
    held = dict(resource)
    return f"{held['resourceType']}/{held.get('id', '')}"


def renamed(value: Any, new: Callable[[str], str]) -> Any:
    """The same JSON with every `reference` looked up."""
    if isinstance(value, Pairs):
        return Pairs((key, new(one) if key == "reference" and type(one) is str else renamed(one, new)) for key, one in value)
    return [renamed(one, new) for one in value] if isinstance(value, list) else value


def screened(options: pipeline.Options) -> tuple[list[Assessment], pipeline.Tally]:
    """What the command `screen` does, without its printing."""
    tally = pipeline.Tally()
    screening = pipeline.prepare(options)
    return list(pipeline.assessments(pipeline.charts(options, screening, tally), screening, tally)), tally


def assessed(options: pipeline.Options) -> Assessment:
    found, tally = screened(options)
    assert len(found) == 1, tally.failures
    return found[0]


def verdicts_of(assessment: Assessment) -> dict[str, tuple[str, str]]:
    return {result.id: (result.verdict.value, result.reason.value) for result in assessment.walk()}


def comparable(assessment: Assessment) -> bytes:
    """The assessment without what may differ between sources: the base, and how the types were read."""
    return msgspec.structs.replace(assessment, base=None, retrieved=()).to_json()


def write_bundle(resources: Sequence[Any], folder: Path) -> Path:
    text = ",\n".join(f'{{"resource": {write(one)}}}' for one in resources)
    path = folder / "bundle.json"
    path.write_text(f'{{"resourceType": "Bundle", "type": "collection", "entry": [{text}]}}', encoding="utf-8")
    return path


def write_ndjson(resources: Sequence[Any], folder: Path) -> Path:
    """One file a type, as a bulk export writes them."""
    for kind in sorted({dict(one)["resourceType"] for one in resources}):
        lines = [write(one) + "\n" for one in resources if dict(one)["resourceType"] == kind]
        (folder / f"{kind}.ndjson").write_text("".join(lines), encoding="utf-8")
    return folder


def shuffled(resources: Sequence[Any], seed: str) -> list[Any]:
    """Every resource once, about half of them twice, in another order."""
    chance = random.Random(seed)
    twice = [*resources, *(one for one in resources if chance.random() < 0.5)]
    chance.shuffle(twice)
    return twice


class OnServer(msgspec.Struct, frozen=True):
    """A case under ids of its own, so that many fit on one server."""

    case: Case
    prefix: str

    @property
    def patient(self) -> str:
        return self.prefix + self.case.patient

    def resources(self) -> list[dict[str, Any]]:
        """The newest version of each resource, ids and references with the prefix."""
        plain = [json.loads(write(one)) for one in self.case.resources()]
        known = {reference_of(one) for one in plain}
        newest: dict[str, dict[str, Any]] = {}
        for one in sorted(plain, key=lambda r: int(r.get("meta", {}).get("versionId", "0"))):
            newest[reference_of(one)] = one
        return [self._own(one, known) for one in newest.values() if one["resourceType"] != "QuestionnaireResponse"]

    def _own(self, resource: dict[str, Any], known: set[str]) -> dict[str, Any]:
        def new(text: str) -> str:
            kind, _, name = text.partition("/")
            return f"{kind}/{self.prefix}{name}" if text in known else text

        own: dict[str, Any] = json.loads(write(renamed(parse(json.dumps(resource)), new)))
        return {**own, "id": self.prefix + resource["id"]}

    def answers(self, folder: Path) -> Path | None:
        """The case's answers under the new id. Forms, which the server does not serve, are given by file as well."""
        file = self.case.file("answers.yaml")
        said = file.read_text(encoding="utf-8") if file else ""
        rows = re.sub(rf"\bpatient: *{self.case.patient}\b", f"patient: {self.patient}", said) + "".join(self._forms())
        path = folder / f"{self.patient}.yaml"
        path.write_text(rows, encoding="utf-8")
        return path if rows else None

    def _forms(self) -> Iterator[str]:
        """The forms of the chart as rows of an answers file."""
        for form in (json.loads(write(one)) for one in self.case.resources()):
            ours = str(form.get("questionnaire", "")).partition("|")[0].endswith(f"/{PROTOCOL}-attestations")
            if not (ours and form["status"] in ("completed", "amended") and "author" in form):
                continue
            for item in form["item"]:
                criterion, _, part = item["linkId"].partition("/")
                row = {"patient": self.patient, "criterion": criterion, "answer": item["answer"][0]["valueBoolean"]}
                row |= {"on": form["authored"], "by": form["author"]["reference"]}
                yield f"- {json.dumps(row | ({'item': part} if part else {}))}\n"


def share_what_is_loaded(patch: pytest.MonkeyPatch) -> None:
    """Let `prepare` load concepts, protocols and site files once for all cases."""
    by_text: dict[bytes, Site] = {}
    protocols: dict[tuple[Path, int], Protocol] = {}

    def site(path: Path | None, loaded: Concepts) -> Site:
        text = b"" if path is None else path.read_bytes()
        if text not in by_text:
            by_text[text] = load_site(path, loaded)
        return by_text[text]

    def protocol(path: Path, loaded: Concepts) -> Protocol:
        key = path, id(loaded)  # kept alive by its site
        if key not in protocols:
            protocols[key] = load_protocol(path, loaded)
        return protocols[key]

    patch.setattr(pipeline, "load_concepts", lru_cache(load_concepts))
    patch.setattr(pipeline, "load_site", site)
    patch.setattr(pipeline, "load_protocol", protocol)
