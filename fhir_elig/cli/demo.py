"""The demo: bundled patients, bundled protocol, a table and a report."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import typer

from fhir_elig import places
from fhir_elig._version import __version__
from fhir_elig.cli.pipeline import Options, Tally, assessments, charts, prepare
from fhir_elig.cli.terminal import make_folder, write
from fhir_elig.documents import load_document
from fhir_elig.outputs.report import render_report
from fhir_elig.outputs.table import render_table


def demo_options(patients: tuple[str, ...] = ()) -> Options:
    """The demo's run: fixtures/demo holds the charts, the answers and the run's dates."""
    folder = places.fixtures_root() / "demo"
    run = load_document(folder / "run.yaml").data
    return Options(
        protocol=run["protocol"],
        data=folder / "charts",
        patients=patients,
        as_of=run["as-of"],
        events=tuple(run.get("events", ())),
        answers=folder / "answers.yaml",
        site=folder / "site.yaml",
        complete=run["complete"],
    )


def example(given: Options) -> Options:
    """The demo's run for one of its patients; what was given on the command line goes before what the demo gives.

    Another protocol than the demo's comes without the demo's answers and dates, which belong to the demo's protocol.
    """
    demo = demo_options(given.patients)
    same = given.protocol == demo.protocol
    return msgspec.structs.replace(
        demo,
        protocol=given.protocol,
        as_of=demo.as_of if given.as_of is None else given.as_of,
        events=_events(demo.events if same else (), given.events),
        answers=given.answers or (demo.answers if same else None),
        complete=given.complete or demo.complete,
    )


def _events(demo: tuple[str, ...], given: tuple[str, ...]) -> tuple[str, ...]:
    """The demo's dates, but for those of milestones that are given."""
    names = {_milestone(event) for event in given}
    return (*(event for event in demo if _milestone(event) not in names), *given)


def _milestone(event: str) -> str:
    return event.partition("=")[0].partition("@")[0]


def run_demo(out: Path, color: bool, width: int | None) -> int:
    """Print the table, write the report, say where it is and what to do next."""
    options = demo_options()
    tally = Tally()
    screening = prepare(options)
    found = sorted(assessments(charts(options, screening, tally), screening, tally), key=lambda one: one.patient)
    sys.stdout.write(render_table(found, tally.failures, width=width, color=color))
    report = out / "index.html"
    recorded = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    page = render_report(
        found, protocol_title=screening.protocol.title, failures=tally.failures, recorded=recorded, version=__version__
    )
    make_folder(out)
    write([page], report)
    most_open = max(found, key=lambda one: (len(one.decisive), one.patient))
    typer.echo(f"report  {report}")
    typer.echo(f"next    {_program()} explain {most_open.patient.removeprefix('Patient/')}")
    return tally.exit_code()


def _program() -> str:
    """How the reader calls this program: by its name where the shell finds it, else as it was called now."""
    called = Path(sys.argv[0])
    if shutil.which("fhir-elig"):
        return "fhir-elig"
    return str(called) if called.stem == "fhir-elig" else "python -m fhir_elig"
