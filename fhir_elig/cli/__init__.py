"""The command line: `fhir-elig`, also `python -m fhir_elig`. stdout is data, stderr is talk; scripts read exit codes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fhir_elig._version import __version__
from fhir_elig.errors import FhirEligError, UsageError

# What typer raises for a command line that it cannot read; its base has no public name of its own.
_Misused: type[Exception] = typer.BadParameter.__mro__[1]
_STOPPED = 130  # what a shell expects of a program that Ctrl-C ended

app = typer.Typer(
    name="fhir-elig",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

from fhir_elig.cli import (  # noqa: E402  the commands register themselves on `app`
    cohort,
    concepts,
    doctor,
    explaining,
    protocol,
    screening,
)

app.add_typer(protocol.app, name="protocol")
app.add_typer(cohort.app, name="cohort")
app.add_typer(concepts.app, name="concepts")
app.command("demo")(explaining.demo)
app.command("screen")(screening.screen)
app.command("explain")(explaining.explain)
app.command("doctor")(doctor.doctor)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fhir-elig {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Hold patients' FHIR charts against a clinical trial's eligibility criteria, with the evidence for each verdict."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; gives its exit code. No traceback reaches a user."""
    if sys.stdout is None:
        why, fix = "standard output is closed", "do not close it; a file is written with  --out PATH"
        return _say(FhirEligError(why, code="FE0701", where="stdout", fix=fix))
    _set_encoding()
    try:
        code = _run(arguments)
    except FhirEligError as error:
        return _say(error)
    except _Misused as error:
        return _say_usage(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        why, where = error.strerror or "input or output failed", str(error.filename or "stdout")
        return _say(FhirEligError(why, code="FE0701", where=where, fix="check the disk and the path"))
    except Exception as error:  # the last guard: its text may hold a patient's data, so only its kind is told
        kind = type(error).__name__
        trouble = FhirEligError(
            f"{kind} in {_where(error)}", code="FE0901", fix="please report this with the command that you ran"
        )
        return _say(trouble)
    if code == _STOPPED:
        typer.echo("stopped", err=True)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = app(args=None if arguments is None else list(arguments), standalone_mode=False)
        sys.stdout.flush()
    except typer.Exit as stop:
        return stop.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return _STOPPED
    except SystemExit:  # how the command library ends a program whose reader has gone, even where it is to handle no error
        raise BrokenPipeError from None
    return code if isinstance(code, int) else 0


def _set_encoding() -> None:
    """Data in a pipe or a file is UTF-8, as FHIR's JSON is; a terminal that lacks a character shows its number."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            if stream is sys.stdout and not stream.isatty():
                stream.reconfigure(encoding="utf-8")
            else:
                stream.reconfigure(errors="backslashreplace")


def _say_usage(error: Exception) -> int:
    """What is wrong with the command line; for a bare command its help, which is what typer raises then."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "fhir-elig"
    why = error.format_message() if hasattr(error, "format_message") else str(error)
    if why.startswith("Usage: "):
        typer.echo(why, err=True)
        return UsageError.exit_code
    return _say(UsageError(why, where=command, fix=f"see {command} --help"))


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    place = "the program"
    while trace is not None:
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _say(error: FhirEligError) -> int:
    typer.echo(error.text(), err=True)
    return error.exit_code
