"""Holds what authors are told of their faults against `findings.txt`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit import findings


@pytest.fixture(autouse=True)
def told(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every finding of the test is as it was read and found good; `python -m tests.unit.findings` writes them anew."""
    asks = findings.module(request.node.nodeid) in findings.ASKING and not hasattr(request.function, "hypothesis")
    if not asks:
        yield
        return
    with findings.heard() as errors:
        yield
    test, found = findings.key(request.node.nodeid), findings.lines(errors, request.node.funcargs.get("tmp_path"))
    writer = request.config.stash.get(findings.WRITER, None)
    if writer is not None:
        writer.told[test] = found
        return
    assert found == findings.read().get(test, []), f"what {test} is told is not what findings.txt holds"
