"""The commands `concepts list`, `concepts check` and `concepts import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_elig.cli.terminal import make_folder, write
from fhir_elig.errors import DataError, UsageError

if TYPE_CHECKING:
    from fhir_elig.concept_rows import Row
    from fhir_elig.concepts import Concepts

app = typer.Typer(help="Concepts: what is mapped, whether the tables hold, imports.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_concepts(name: Annotated[str, typer.Argument(help="One concept; all if not given")] = "") -> int:
    """List the concepts, or the codes of one."""
    from fhir_elig import places
    from fhir_elig.concepts import load_concepts
    from fhir_elig.criteria.base import near

    concepts = load_concepts(places.mapping_root())
    if name:
        if name not in concepts.by_name:
            fix = near(name, concepts.by_name)
            raise UsageError(f'no concept is named "{name}"', code="FE0205", where="concepts list", fix=fix)
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
    from fhir_elig.concept_check import check_concepts, retired_rows
    from fhir_elig.errors import AuthoringError

    findings = check_concepts(folder or places.mapping_root())
    if findings:
        raise AuthoringError(findings[0].why, findings=findings)
    retired = retired_rows(folder or places.mapping_root())
    for row in retired:
        typer.echo(f"retired: {row.system} {row.code} {row.display} ({row.concept})")
    typer.echo("the concept tables hold", err=True)
    return 0


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="An RxNorm release (folder or zip), a FHIR ValueSet or a FHIR ConceptMap (JSON)")],
    concept: Annotated[str, typer.Option("--concept", help="The concept that a ValueSet's codes belong to", metavar="NAME")] = "",
    out: Annotated[Path | None, typer.Option("--out", help="The table to write, if not imported/FILE.csv")] = None,
) -> int:
    """Import codes: RxNorm products to ingredients, ValueSets, ConceptMaps. The table is read with the next command.

    fhir-elig concepts import RxNorm_full_prescribe.zip
    fhir-elig concepts import valueset.json --concept lvef
    """
    from fhir_elig import places
    from fhir_elig.concept_rows import rows_to_csv
    from fhir_elig.concepts import load_concepts

    root = places.mapping_root()
    concepts = load_concepts(root)
    rows = _rows(file, concept, concepts)
    target = out or root / "concepts" / "imported" / f"{file.stem}.csv"
    make_folder(target.parent)
    write([rows_to_csv(rows)], target)
    names = sorted({row.concept for row in rows})
    typer.echo(f"{len(rows)} codes of {len(names)} concepts written to {target}", err=True)
    return 0


def _rows(file: Path, concept: str, concepts: Concepts) -> list[Row]:
    from fhir_elig.concept_import import import_conceptmap, import_rxnorm, import_valueset
    from fhir_elig.sources.strict_json import loads

    if not file.exists():
        raise UsageError("there is no such file", code="FE0214", where=str(file), fix="check the path")
    if file.is_dir() or file.suffix.lower() in (".zip", ".rrf"):
        return import_rxnorm(file if file.suffix.lower() != ".rrf" else file.parent, concepts)
    try:
        resource = loads(file.read_bytes())
    except DataError as error:
        raise DataError(str(error), where=str(file), fix="give a ValueSet or a ConceptMap in JSON") from None
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if kind == "ConceptMap":
        return import_conceptmap(resource, concepts)
    if kind == "ValueSet" and concept:
        return import_valueset(resource, concept, concepts)
    fix = "name the concept with --concept" if kind == "ValueSet" else "give an RxNorm release, a ValueSet or a ConceptMap"
    raise UsageError(f"this is {kind or 'no FHIR resource'}", code="FE0301", where=str(file), fix=fix)
