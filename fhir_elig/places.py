"""Where the mappings and the example patients lie: inside an installed wheel, or at the root of a checkout.

A wheel carries both under `fhir_elig/_data`; an editable install and a checkout have them beside the package.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from fhir_elig.errors import AuthoringError

PACKAGE = Path(__file__).resolve().parent


@lru_cache(maxsize=8)
def find(name: str, package: Path = PACKAGE) -> Path:
    """The folder of that name in the wheel's data, else in the checkout. Raises AuthoringError if there is none."""
    for candidate in (package / "_data" / name, package.parent / name):
        if candidate.is_dir():
            return candidate
    raise AuthoringError(
        f"there is no folder {name} in the installed package or beside it",
        code="FE0214",
        where=name,
        fix="install the package again; a wheel carries the folder as fhir_elig/_data",
    )


def mapping_root() -> Path:
    """The folder `mappings`: concepts, units, protocols and sites."""
    return find("mappings")


def fixtures_root() -> Path:
    """The folder `fixtures`: example patients and recorded answers of servers."""
    return find("fixtures")
