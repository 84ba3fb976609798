"""The version, stated once: the package, every assessment and the wheel read it here."""

__version__ = "0.1.0"
