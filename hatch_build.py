"""Puts the mappings and the example patients into a wheel; an editable install reads them where they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("mappings", "fixtures")


class DataHook(BuildHookInterface[Any]):
    """Adds the folders as `fhir_elig/_data/<name>`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        for name in FOLDERS:
            build_data["force_include"][str(Path(self.root, name))] = f"fhir_elig/_data/{name}"
