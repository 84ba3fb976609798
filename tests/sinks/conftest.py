"""One FHIR server of others for all tests of this folder that want one; each uses patients of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sources import sekmet


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sekmet.running(tmp_path_factory.mktemp("store")) as address:
        study = {"resourceType": "ResearchStudy", "id": "77", "status": "active"}
        sekmet.load(address, [study])
        yield address
