"""The public names: pinned, importable, and documented where people look."""

from __future__ import annotations

import pytest

import fhir_elig

PINNED: tuple[str, ...] = (
    "Assessment",
    "AuthoringError",
    "Concepts",
    "CriterionResult",
    "DataError",
    "Evidence",
    "FhirEligError",
    "Protocol",
    "Reason",
    "Record",
    "Run",
    "Settings",
    "SourceError",
    "Status",
    "UsageError",
    "Verdict",
    "When",
    "__version__",
    "assess",
    "load_answers",
    "load_concepts",
    "load_protocol",
    "load_site",
    "mapping_root",
    "parse_when",
    "protocol_schema",
    "read_record",
)


def test_the_public_names_are_the_pinned_ones() -> None:
    assert tuple(sorted(fhir_elig.__all__)) == tuple(sorted(PINNED))


@pytest.mark.parametrize("name", PINNED)
def test_a_public_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(fhir_elig, name)
    assert name == "__version__" or (value.__doc__ or "").strip()
