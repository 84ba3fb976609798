"""What authors are told of their faults: code, place, reason and fix of every finding of every test of these modules.

`findings.txt` holds it by test. `python -m tests.unit.findings` writes the file anew: read the difference before it is committed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from fhir_elig.errors import AuthoringError, Finding

HERE = Path(__file__).parent
FILE = HERE / "findings.txt"
ASKING = ("protocol_findings", "site_files", "unit_tables", "concepts", "concept_import", "code_systems", "documents")


@contextmanager
def heard() -> Iterator[list[AuthoringError]]:
    """The errors that are made inside it."""
    made: list[AuthoringError] = []
    plain = AuthoringError.__init__

    def listening(self: AuthoringError, *words: str, **more: object) -> None:
        plain(self, *words, **more)  # type: ignore[arg-type]
        made.append(self)

    AuthoringError.__init__ = listening  # type: ignore[method-assign]
    try:
        yield made
    finally:
        AuthoringError.__init__ = plain  # type: ignore[method-assign]


def lines(errors: list[AuthoringError], folder: Path | None) -> list[str]:
    """Each finding once, in the order of their making; the folder of the test has no name."""
    told = (_line(finding).replace(f"{folder}/", "") for error in errors for finding in error.findings)
    return list(dict.fromkeys(told))


def _line(finding: Finding) -> str:
    words = " | ".join([finding.code, finding.where, finding.why, finding.fix, finding.what]).rstrip(" |")
    return re.sub(r"(?<=\.csv:)[0-9]{2,}", "N", words.encode("unicode_escape").decode("ascii"))  # tables grow


def key(test: str) -> str:
    return test.partition("unit/test_")[2]


def module(test: str) -> str:
    return key(test).partition(".py")[0]


@cache
def read() -> dict[str, list[str]]:
    """The lines of each test in the file."""
    found: dict[str, list[str]] = {}
    for block in FILE.read_text(encoding="utf-8").split("\n\n"):
        heading, *told = block.strip().splitlines()
        found[heading.removeprefix("# ")] = [line.removeprefix("  ") for line in told]
    return found


class Writer:
    """Takes what is told for what is due, and keeps it."""

    def __init__(self) -> None:
        self.told: dict[str, list[str]] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[WRITER] = self

    def write(self) -> None:
        blocks = ["\n".join([f"# {test}", *(f"  {line}" for line in told)]) for test, told in sorted(self.told.items()) if told]
        FILE.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


WRITER = pytest.StashKey[Writer]()


def main() -> int:
    """Run the tests that ask, and write what they heard."""
    writer = Writer()
    failed = pytest.main(["-q", *(str(HERE / f"test_{name}.py") for name in ASKING)], plugins=[writer])
    if not failed:
        writer.write()
    return int(failed)


if __name__ == "__main__":
    from tests.unit import findings  # the module that the fixture knows

    raise SystemExit(findings.main())
