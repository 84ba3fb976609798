"""What goes back from a process that works for a run: its result, or what went wrong, without a word of a patient's data."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from fhir_elig.errors import DataError, FhirEligError

_DONE, _FAILED = "done", "failed"


def attempt(what: str, work: Callable[..., Any], *arguments: Any) -> tuple[Any, ...]:
    """The result of `work` as a message, or its error as one; `what` names the work to whoever reports a fault."""
    try:
        return _DONE, work(*arguments)
    except FhirEligError as error:
        finding = error.findings[0]
        return _FAILED, type(error).__name__, finding.why, finding.code, finding.where, finding.fix
    except Exception as error:  # its text may hold a patient's data, so only its kind is told
        return _FAILED, "", f"{type(error).__name__} while it worked on {what}", "FE0901", "", "please report this"


def answer(connection: Connection) -> Any:
    """The result that comes. Raises what went wrong there: DataError, or FhirEligError (FE0701 if the process is gone)."""
    try:
        kind, *rest = connection.recv()
    except (EOFError, ConnectionError):
        raise FhirEligError(
            "a process of the run was ended from outside (is the memory used up?)",
            code="FE0701",
            fix="resume the run, with fewer jobs",
        ) from None
    if kind == _DONE:
        return rest[0]
    error, why, code, where, fix = rest
    raise (DataError if error == DataError.__name__ else FhirEligError)(why, code=code, where=where, fix=fix)
