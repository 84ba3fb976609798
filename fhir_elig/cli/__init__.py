"""The command line: `fhir-elig`, also `python -m fhir_elig`. stdout is data, stderr is talk; scripts read exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click
import typer

from fhir_elig.errors import FhirEligError, UsageError

app = typer.Typer(
    name="fhir-elig",
    help="Hold patients' FHIR charts against a clinical trial's eligibility criteria, with the evidence for each verdict.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

from fhir_elig.cli import concepts, protocol, screening  # noqa: E402  the commands register themselves on `app`

app.add_typer(protocol.app, name="protocol")
app.add_typer(concepts.app, name="concepts")
screening.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code. No traceback reaches a user."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; gives its exit code."""
    try:
        code = app(args=None if arguments is None else list(arguments), standalone_mode=False)
        return code if isinstance(code, int) else 0
    except FhirEligError as error:
        return _say(error)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        return _say(_usage(error))
    except (click.Abort, KeyboardInterrupt):
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _say(FhirEligError(error.strerror or "input or output failed", code="FE0701", fix="check the disk and the path"))
    except Exception as error:  # the last guard: its text may hold a patient's data, so only its kind is told
        kind = type(error).__name__
        trouble = FhirEligError(f"{kind} in {_where(error)}", code="FE0901", fix="please report this with the command that you ran")
        return _say(trouble)


def _usage(error: click.UsageError) -> UsageError:
    command = error.ctx.command_path if error.ctx is not None else "fhir-elig"
    return UsageError(error.format_message(), where=command, fix=f"see {command} --help")


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    place = "the program"
    while trace is not None:
        place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _say(error: FhirEligError) -> int:
    print(error.text(), file=sys.stderr)
    return error.exit_code
