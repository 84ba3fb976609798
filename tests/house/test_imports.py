"""`import fhir_elig` is light, and the command's help comes without the heavy libraries."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.house.tree import ROOT

HEAVY = {
    "requests",
    "pint",
    "ucumvert",
    "fhir",
    "fhir_core",
    "typer",
    "rich",
    "duckdb",
    "pyarrow",
    "fastapi",
    "jinja2",
    "pyspark",
}


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after the statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout))


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import fhir_elig") & HEAVY == set()


@pytest.mark.parametrize("name", ["assessment", "protocol", "site", "adapters", "outputs", "sources.files"])
def test_the_core_and_the_files_do_without_the_heavy_libraries(name: str) -> None:
    assert loaded_by(f"import fhir_elig.{name}") & HEAVY == set()


def test_the_help_does_not_load_servers_units_or_resource_models() -> None:
    loaded = loaded_by("import fhir_elig.cli")
    assert loaded & (HEAVY - {"typer", "rich"}) == set()


def test_a_heavy_import_would_be_seen() -> None:
    assert "requests" in loaded_by("import requests")
