"""The commands `protocol list`, `protocol show`, `protocol questionnaire` and `protocol schema`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fhir_elig.cli.options import SiteOption

app = typer.Typer(
    help="Protocols: what is bundled, what one says, the schema of their files.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_protocols() -> int:
    """List the bundled protocols."""
    from fhir_elig import places
    from fhir_elig.concepts import load_concepts
    from fhir_elig.protocol import load_protocol

    concepts = load_concepts(places.mapping_root())
    for file in sorted((places.mapping_root() / "protocols").glob("*.yaml")):
        protocol = load_protocol(file, concepts)
        registry = protocol.file.registry.id if protocol.file.registry else ""
        typer.echo(f"{protocol.id}  {protocol.version}  {registry}  {protocol.title}")
    return 0


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="A bundled protocol's id, or a file", metavar="ID_OR_FILE")]) -> int:
    """Show a protocol in plain words: each criterion, what is computed, what people answer, windows, readings."""
    from fhir_elig import places
    from fhir_elig.cli.pipeline import find_protocol
    from fhir_elig.concepts import load_concepts
    from fhir_elig.outputs.protocol_words import protocol_words
    from fhir_elig.protocol import load_protocol

    typer.echo(protocol_words(load_protocol(find_protocol(name, "ID_OR_FILE"), load_concepts(places.mapping_root()))), nl=False)
    return 0


@app.command("questionnaire")
def questionnaire(
    name: Annotated[str, typer.Argument(help="A bundled protocol's id, or a file", metavar="ID_OR_FILE")],
    site: SiteOption = None,
) -> int:
    """Print the FHIR Questionnaire (R4 and R5) of what only people can say; answers to it are read as theirs.

    fhir-elig protocol questionnaire relma-cel-ssc --site site.yaml > attestations.json
    """
    from fhir_elig import places
    from fhir_elig.cli.pipeline import find_protocol
    from fhir_elig.concepts import load_concepts
    from fhir_elig.outputs.questionnaire import questionnaire as form
    from fhir_elig.protocol import load_protocol
    from fhir_elig.site import load_site

    at = load_site(site, load_concepts(places.mapping_root()))
    protocol = load_protocol(find_protocol(name, "ID_OR_FILE"), at.concepts)
    asked = [(criterion, text) for criterion, text, _ in protocol.questions()]
    made = form(protocol.id, protocol.version, asked, canonical_base=at.file.canonical_base)
    typer.echo(json.dumps(made, indent=1, ensure_ascii=False))
    return 0


@app.command("schema")
def schema() -> int:
    """Print the JSON Schema of protocol files, for completion and checks in an editor."""
    from fhir_elig.protocol import protocol_schema

    typer.echo(json.dumps(protocol_schema(), indent=1, ensure_ascii=False))
    return 0
