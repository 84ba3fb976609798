"""The public names: pinned, importable, and documented where people look."""

from __future__ import annotations

import pytest

import fhir_elig

PINNED: tuple[str, ...] = ()


def test_the_public_names_are_the_pinned_ones() -> None:
    assert tuple(sorted(fhir_elig.__all__)) == tuple(sorted(PINNED))


@pytest.mark.parametrize("name", PINNED)
def test_a_public_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(fhir_elig, name)
    assert name == "__version__" or (value.__doc__ or "").strip()
