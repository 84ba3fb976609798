"""The real server of the sources' tests, for the golden cases too."""

from tests.sources.conftest import sekmet_base

__all__ = ["sekmet_base"]
