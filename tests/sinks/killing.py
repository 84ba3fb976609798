"""Kills the real command while it writes: a store on loopback that ends its client by SIGKILL at a request of our choice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from fhir_elig.sinks.outbox import Outbox
from tests.sinks.stores import Memory
from tests.sources.fakes import Answer, Loopback, serving

STUDY = "ResearchStudy/77"
_SITE = """\
study: {{relma-cel-ssc: {study}}}
server: {{base: "{base}", auth: none}}
write: {{outbox: outbox.sqlite}}
"""
_SCREEN = ("screen", "--protocol", "relma-cel-ssc", "--as-of", "2025-06-01", "--format", "ndjson", "--write")
_SECONDS = 120.0


class Killing:
    """The store and what is killed. `at` is the number of the request that ends it, of writes or (`looks`) of all requests."""

    def __init__(self, folder: Path, loopback: Loopback, patients: int) -> None:
        self.folder, self.base, self.memory = folder, loopback.base, Memory()
        self.names = [f"p{number}" for number in range(patients)]
        for name in self.names:
            self.memory.held[f"Patient/{name}"] = {"resourceType": "Patient", "id": name, "birthDate": "1980-01-01"}
        self.memory.held[STUDY] = {"resourceType": "ResearchStudy", "id": "77"}
        self.site = folder / "site.yaml"
        self.site.write_text(_SITE.format(study=STUDY, base=self.base), encoding="utf-8")
        self.at, self.applied, self.looks = 0, True, False
        self._loopback = loopback
        self._process: subprocess.Popen[bytes] | None = None
        loopback.answer = self._answer

    def command(self) -> list[str]:
        whom = [word for name in self.names for word in ("--patient", name)]
        return [*_SCREEN, "--server", self.base, "--site", str(self.site), *whom]

    def killed(self, at: int, *, applied: bool, looks: bool = False) -> bool:
        """Runs the command until its request number `at`; `applied` tells whether the store still does what was asked.

        False if the command came to its end before.
        """
        self.at, self.applied, self.looks = at, applied, looks
        command = [sys.executable, "-m", "fhir_elig", *self.command()]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=quiet, stderr=quiet, env=_environment())
        status = self._process.wait(_SECONDS)
        self.at = 0
        return status == -signal.SIGKILL

    def _answer(self, method: str, path: str, body: str) -> Answer:
        headers = self._loopback.requests[-1][2]
        is_look = method == "GET" or path.endswith("_search")
        ends = self._process is not None and self.at > 0 and (self.looks or not is_look)
        self.at -= ends
        if ends and not self.at and not self.applied:
            self._end()
            return 503, {}, ""
        answer = self.memory.answer(method, path.removeprefix("/fhir/"), body, headers)
        if ends and not self.at:
            self._end()
        return answer

    def _end(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)

    def faults(self) -> list[str]:
        """What a run that came to its end must not leave: a lost or a doubled resource, a row that is not finished."""
        count = len(self.names)
        wanted = {"ResearchSubject": count, "GuidanceResponse": count, "Provenance": count, "Device": 1}
        found = [f"{len(self.memory.of(kind))} {kind}" for kind, many in wanted.items() if len(self.memory.of(kind)) != many]
        told = {target["reference"] for one in self.memory.of("Provenance") for target in one["target"]}
        standing = (
            f"ResearchSubject/{one['id']}/_history/{one['meta']['versionId']}" for one in self.memory.of("ResearchSubject")
        )
        found += [f"no Provenance names {one}" for one in standing if one not in told]
        with closing(Outbox(self.folder / "outbox.sqlite")) as outbox:
            return found + [f"not finished: {one.patient}" for one in outbox.unfinished(self.base, STUDY)]


def _environment() -> dict[str, str]:
    left = {name: value for name, value in os.environ.items() if name not in ("FHIR_ELIG_OUTBOX", "FHIR_ELIG_TOKEN")}
    return {**left, "PYTHONPATH": str(Path(__file__).parents[2])}


@contextmanager
def killing(folder: Path, patients: int = 1) -> Iterator[Killing]:
    with serving() as loopback:
        yield Killing(folder, loopback, patients)
