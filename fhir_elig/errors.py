"""The exception tree, its exit codes and the catalogue of error codes.

    FhirEligError                 1   anything of ours
    ├── UsageError                2   the command line, an unknown id or option
    ├── AuthoringError           10   what an author wrote: protocol, mapping, site, answers
    ├── ProtocolTestError        13   a protocol's own tests failed
    ├── DataError                11   input that could not be read at all
    ├── SourceError              14   a server, the network, a deadline
    │   ├── AuthorisationError   12   no valid token, renewal failed
    │   └── DeadlineError        14   the total time of a patient was used up
    ├── WriteConflictError       15   somebody else was there
    └── IdentityError            16   another patient's resource

The chart's own trouble (an odd unit, no range) is never raised: it is a reason code of `verdict.Reason`.
Every error says what, where, why and the fix. No message holds a patient's data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

# One line a code; docs/errors/<code>.md is its page (a test holds the two together).
CODES: dict[str, str] = {
    "FE0101": "unknown command, option or option value",
    "FE0102": "unknown protocol",
    "FE0103": "unknown patient",
    "FE0104": "unknown criterion",
    "FE0105": "no input was named, or two that exclude each other",
    "FE0106": "a date, an event or a type of the command line cannot be read",
    "FE0201": "the file is not YAML that this project accepts",
    "FE0202": "unknown key",
    "FE0203": "a value of the wrong type or form",
    "FE0204": "a required key is missing",
    "FE0205": "unknown concept",
    "FE0206": "unknown unit",
    "FE0207": "limit without a unit",
    "FE0208": "the same criterion id twice",
    "FE0209": "unknown reference to a criterion, reading, formula or milestone",
    "FE0210": "limits that contradict each other or the analyte's plausible range",
    "FE0211": "a mapping row that cannot be read",
    "FE0212": "a site file that says something impossible",
    "FE0213": "an answers file that cannot be read",
    "FE0214": "the file cannot be opened",
    "FE0301": "the data cannot be read",
    "FE0302": "a piece of the data was set aside",
    "FE0303": "an orphan: a resource of a patient who is not there",
    "FE0401": "the server cannot be reached",
    "FE0402": "the server refused the token",
    "FE0403": "the server refused a type",
    "FE0404": "the server does not know the patient",
    "FE0410": "a page of a search was lost",
    "FE0411": "a link leads away from the server",
    "FE0412": "the server sent a page that is not FHIR",
    "FE0413": "the server's answer is larger than the limits allow",
    "FE0414": "the deadline of the patient is used up",
    "FE0415": "the server answered with an error",
    "FE0501": "somebody else changed what was to be written",
    "FE0502": "a write was not answered, so that it is not known whether it was done",
    "FE0503": "more than one ResearchSubject of a patient in the study",
    "FE0504": "the server does not take what is to be written",
    "FE0505": "the record of what was written cannot be used",
    "FE0601": "another patient's resource in the answer",
    "FE0701": "the disk is full or the output cannot be written",
    "FE0901": "a fault of the program itself",
}


class Finding(NamedTuple):
    """One thing that is wrong in a file: where it stands, why, and what to do."""

    code: str
    where: str
    why: str
    fix: str
    what: str = ""

    def title(self) -> str:
        return self.what or CODES[self.code]


class FhirEligError(Exception):
    """Base of all errors; `findings` holds one or more, each with code, place, reason and fix."""

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "FE0901"

    def __init__(
        self,
        why: str,
        *,
        code: str = "",
        where: str = "",
        fix: str = "",
        what: str = "",
        effect: str = "",
        findings: Sequence[Finding] = (),
    ) -> None:
        super().__init__(why)
        code = code or (findings[0].code if findings else self.default_code)
        self.findings: tuple[Finding, ...] = tuple(findings) or (Finding(code, where, why, fix, what),)
        self.code = code
        self.effect = effect

    def place(self, where: str) -> None:
        """Say where, in findings that do not say it yet."""
        self.findings = tuple(finding if finding.where else finding._replace(where=where) for finding in self.findings)

    def text(self) -> str:
        """The error as people read it on a terminal."""
        blocks = [_block(finding) for finding in self.findings]
        if self.effect:
            blocks[-1] += f"\n  effect {self.effect}"
        return "\n".join(blocks)


def _block(finding: Finding) -> str:
    lines = [f"error {finding.code}: {finding.title()}"]
    for name, value in (("where", finding.where), ("why", finding.why), ("fix", finding.fix)):
        if value:
            lines.append(f"  {name:<6} {value}")
    lines.append(f"  docs   docs/errors/{finding.code}.md")
    return "\n".join(lines)


class UsageError(FhirEligError):
    """The command line cannot be understood, or names something that is not there."""

    exit_code = 2
    default_code = "FE0101"


class AuthoringError(FhirEligError):
    """A protocol, mapping, site or answers file is wrong; all findings of all files at once."""

    exit_code = 10
    default_code = "FE0203"


class ProtocolTestError(FhirEligError):
    """A protocol's own test patients do not give what its author expects."""

    exit_code = 13


class DataError(FhirEligError):
    """The input could not be read at all."""

    exit_code = 11
    default_code = "FE0301"


class SourceError(FhirEligError):
    """A server or the network failed."""

    exit_code = 14
    default_code = "FE0415"


class AuthorisationError(SourceError):
    """No valid token, or its renewal failed."""

    exit_code = 12
    default_code = "FE0402"


class DeadlineError(SourceError):
    """The total time for one patient is used up."""

    exit_code = 14
    default_code = "FE0414"


class WriteConflictError(FhirEligError):
    """What was to be written was changed by somebody else."""

    exit_code = 15
    default_code = "FE0501"


class IdentityError(FhirEligError):
    """A resource of another patient stood where one patient was asked for."""

    exit_code = 16
    default_code = "FE0601"
