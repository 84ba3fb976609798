"""The protocol that is shipped: its ids, its schema, what it reads, what it asks, what may be decided."""

from __future__ import annotations

import hashlib
from typing import Any

import jsonschema
import pytest

from fhir_elig import places
from fhir_elig.criteria.node import KINDS, field_of
from fhir_elig.documents import load_document
from fhir_elig.errors import AuthoringError
from fhir_elig.protocol import build_protocol, load_protocol, protocol_schema
from fhir_elig.record import MEDICATION_TYPES, Need, merge_needs
from tests.spec.table import concepts, protocol, relma

FILE = places.mapping_root() / "protocols" / "relma-cel-ssc.yaml"
# Names that scripts and hospitals rely on; the second column holds the parts of a criterion.
PUBLISHED = {
    "consent": [],
    "age": [],
    "diffuse-ssc": ["ssc-classification", "diffuse-subset"],
    "refractory-or-progressive": ["refractory", "progressive"],
    "refractory": ["conventional-therapy", "inadequate-response"],
    "progressive": ["mrss-increase", "lung-decline"],
    "lung-decline": ["fvc-decline-10", "fvc-dlco-decline"],
    "fvc-dlco-decline": ["fvc-decline-5", "dlco-decline-15"],
    "no-active-infection": [],
    "vascular-access": [],
    "organ-function": ["creatinine-clearance", "bone-marrow", "liver", "coagulation", "lvef"],
    "bone-marrow": ["anc", "alc", "hemoglobin", "platelets", "no-recent-support"],
    "liver": ["alt", "ast", "bilirubin"],
    "coagulation": ["inr", "pt"],
    "pregnancy-test": ["hcg-screening", "hcg-lymphodepletion"],
    "contraception-and-pregnancy": ["contraception", "hcg-enrollment", "not-lactating"],
}


def plain() -> Any:
    return load_document(FILE).data


def test_every_published_id_is_there_and_no_other() -> None:
    names = [node.id for node in relma().criteria()]
    assert len(names) == len(set(names))
    assert set(names) == {*PUBLISHED, *(part for parts in PUBLISHED.values() for part in parts)}


def parts(node: Any) -> list[str]:
    found = []
    for _, child in node.inner():
        if not isinstance(child, str):
            found += [child.id] if child.id else parts(child)
    return found


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_criterion_has_its_published_parts(name: str) -> None:
    assert parts(relma().nodes[name]) == PUBLISHED[name]


def test_the_file_follows_the_schema() -> None:
    schema = protocol_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(as_json(plain()), schema)


def as_json(data: Any) -> Any:
    """Numbers as JSON has them."""
    if isinstance(data, dict):
        return {key: as_json(value) for key, value in data.items()}
    if isinstance(data, list):
        return [as_json(value) for value in data]
    return data if isinstance(data, (str, int, bool)) or data is None else float(data)


@pytest.mark.parametrize(
    "fault",
    [
        {"inclusion": []},
        {"protocol": "with a space"},
        {"titel": "x"},
        {"inclusion": [{"id": "c", "text": "t", "sex": {"is": "maybe"}}]},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(fault: dict[str, Any]) -> None:
    small = {
        "protocol": "p",
        "version": "1",
        "title": "t",
        "milestones": {},
        "inclusion": [{"id": "c", "text": "t", "sex": {"is": "male"}}],
    }
    jsonschema.validate(small, protocol_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(small | fault, protocol_schema())


def test_the_schema_knows_every_kind_and_describes_its_keys() -> None:
    schema = protocol_schema()
    node = schema["$defs"]["Node"]["properties"]
    assert set(KINDS) <= set(node)
    assert schema["$schema"].endswith("2020-12/schema")
    assert [field_of(name) for name in ("not", "all-of")] == ["not_", "all_of"]


def test_needs_name_the_types_with_their_codes() -> None:
    needs = {need.type: need for need in relma().needs()}
    assert set(needs) == {
        "Patient",
        "Observation",
        "Condition",
        *MEDICATION_TYPES,
        "Procedure",
        "Encounter",
        "QuestionnaireResponse",
        "Consent",
    }
    codes = needs["Observation"].codes
    assert codes is not None
    read = (
        "hemoglobin",
        "creatinine",
        "weight",
        "height",
        "leukocytes",
        "neutrophils_percent",
        "fvc",
        "hcg_serum_quant",
        "mrss",
        "culture",
    )
    assert all(concepts().expand([name]) <= codes for name in read)
    assert needs["Condition"].codes is None
    assert [need.type for need in relma().needs()] == sorted(needs)


def test_concepts_that_are_only_shown_are_not_asked_for() -> None:
    codes = {
        need.type: need.codes
        for need in protocol("value: {concepts: [hemoglobin], at-least: 9 g/dL, set-aside: [not_hemoglobin]}").needs()
    }
    assert codes["Observation"] is not None and concepts().expand(["hemoglobin"]) <= codes["Observation"]


def test_needs_of_one_type_are_merged() -> None:
    merged = merge_needs(
        [Need("A", frozenset("x"), 5), Need("B"), Need("A", frozenset("y"), 3), Need("C", frozenset("z")), Need("C", None, 1)]
    )
    assert merged == (Need("A", frozenset("xy"), 3), Need("B"), Need("C", None, None))


def test_questions_are_those_of_the_published_criteria() -> None:
    asked = {name: question for name, _, question in relma().questions()}
    attested = {"consent", "inadequate-response", "vascular-access", "contraception"}
    attestable = {"ssc-classification", "diffuse-subset", "conventional-therapy", "no-active-infection", "not-lactating"}
    assert set(asked) == attested | attestable
    assert all(question.endswith("?") for question in asked.values())


def test_readings_are_those_that_the_text_leaves_open() -> None:
    readings = relma().readings()
    assert readings["progressive"] == ("any-of", "all-of")
    undecided = {name for name in readings if relma().nodes[name].readings.decided is None}  # type: ignore[union-attr]
    assert undecided == {"progressive", "no-recent-support"}


def test_the_defaults_of_windows_are_marked_as_such() -> None:
    values = {node.id: node.value for node in relma().criteria() if node.value is not None}
    due = {
        "anc": "28 d",
        "alc": "28 d",
        "hemoglobin": "28 d",
        "platelets": "28 d",
        "alt": "28 d",
        "ast": "28 d",
        "bilirubin": "28 d",
        "pt": "28 d",
        "lvef": "90 d",
    }
    assert {name: value.window.before for name, value in values.items() if name in due} == due
    assert all(value.window.default for value in values.values() if value.window.milestone == "screening")


def test_the_protocol_declares_no_stand_in() -> None:
    assert relma().stand_ins == {}
    assert protocol("sex: {is: male}").stand_ins == {"baseline": "screening", "visit": "enrollment"}


def test_the_hash_is_that_of_the_files_bytes() -> None:
    assert relma().sha256 == hashlib.sha256(FILE.read_bytes()).hexdigest()


def test_each_node_is_walked_once_definitions_first() -> None:
    nodes = list(relma().walk())
    assert len({id(node) for node in nodes}) == len(nodes)
    assert nodes[0] is relma().nodes["wocbp"]


def test_a_protocol_that_is_loaded_twice_is_the_same() -> None:
    again = load_protocol(FILE, concepts())
    assert (again.id, again.version, again.sha256) == (relma().id, relma().version, relma().sha256)


def test_every_mutilated_copy_is_refused_or_sound_and_never_breaks_the_loader() -> None:
    """Without any one of its keys the file is refused as an author's, or it is still a protocol."""
    text = FILE.read_text()
    lines = text.splitlines()
    for index in range(0, len(lines), 7):
        cut = "\n".join(lines[:index] + lines[index + 1 :])
        try:
            build_protocol(load_document(cut, "cut.yaml"), concepts())
        except AuthoringError as error:
            assert all(finding.where.startswith("cut.yaml") for finding in error.findings)
