"""What people are told of a case is what `told.txt` holds."""

from __future__ import annotations

from functools import cache
from types import ModuleType

import pytest

from tests.spec.pages import modules, stem
from tests.spec.told import cases, read, told

told_lines = cache(read)


@pytest.mark.parametrize("module", modules(), ids=stem)
def test_a_case_is_told_as_it_was_read_and_found_good(module: ModuleType) -> None:
    """Where a change of words is meant: `python -m tests.spec.told`, and read the difference."""
    rows = {f"{stem(module)}: {holds}": row for holds, row in cases(module).items()}
    held = {heading: lines for heading, lines in told_lines().items() if heading.startswith(f"{stem(module)}: ")}
    assert {heading: told(rows[heading]) for heading in held if heading in rows} == held
