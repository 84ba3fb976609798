"""Where a recommendation goes: a FHIR store. Nothing is written unless a person asks for it.

A person wins: what a person or another system has set or changed is never overwritten, and nothing is ever deleted.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

Resource = dict[str, Any]


class Outcome(StrEnum):
    """What became of one patient's recommendation."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    LEFT = "left"  # superseded by a person, another system or a newer run
    NOT_CREATED = "not-created"  # the site allows no new record of this state
    CONFLICT = "conflict"
    FAILED = "failed"


class Result(msgspec.Struct, frozen=True):
    """One patient's outcome: the reference of what stands on the server (with its version), a note, an error's code."""

    patient: str
    outcome: Outcome
    reference: str = ""
    note: str = ""
    code: str = ""

    def line(self) -> str:
        """As it is told on stderr."""
        said = ": ".join(part for part in (self.code, self.note) if part)
        return " ".join(part for part in (f"{self.outcome.value:<11}", self.patient, self.reference, said) if part)
