"""What stands in the tests' charts and requests and may never stand in a log: names, record numbers, birth dates, tokens."""

from __future__ import annotations

# The family names of the fixtures' patients, and what the hostile server's patient and the transport's tests are marked with.
PATIENT = "canary-p1"  # the id of the hostile server's patient
NAMES = ("Muster", "Beispiel", "Canaryname", "MRN-Canary-0815", "1979-11-23", PATIENT)
SECRETS = ("canary-token-8a61", "canary-4711", "Bearer ", "client_assertion=")


def found_in(text: str) -> list[str]:
    """Those of them that a text holds."""
    return [canary for canary in (*NAMES, *SECRETS) if canary in text]
