"""The commands `concepts list`, `concepts check` and `concepts import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Concepts: what is mapped, whether the tables hold, imports.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_concepts(name: Annotated[str, typer.Argument(help="One concept; all if not given")] = "") -> int:
    """List the concepts, or the codes of one."""
    from fhir_elig import places
    from fhir_elig.concepts import load_concepts

    concepts = load_concepts(places.mapping_root())
    if name:
        concept = concepts.concept(name)
        typer.echo(concepts.describe(name))
        for code in sorted(concept.codes):
            typer.echo(f"  {code}")
        for code in sorted(concept.unverified):
            typer.echo(f"  {code}  (not verified: never decides)")
        return 0
    for each in sorted(concepts.by_name):
        typer.echo(f"{each}: {concepts.describe(each)}")
    return 0


@app.command("check")
def check(folder: Annotated[Path | None, typer.Argument(help="A mapping folder; the bundled one if not given")] = None) -> int:
    """Check codes, displays and the tables; exit code 10 if something is wrong."""
    from fhir_elig import places
    from fhir_elig.concept_check import check_concepts
    from fhir_elig.errors import AuthoringError

    findings = check_concepts(folder or places.mapping_root())
    if findings:
        raise AuthoringError(findings[0].why, findings=findings)
    typer.echo("the concept tables hold", err=True)
    return 0
