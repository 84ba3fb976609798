"""Fixtures of the sources' tests: a real server, started once a session and only if a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sources import sekmet


@pytest.fixture(scope="session")
def sekmet_base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base address of a running sekmet, empty at first."""
    with sekmet.running(tmp_path_factory.mktemp("sekmet")) as base:
        yield base
