"""What stands where nothing is written: defaults are values that their fields may have, names of enumerations are their words."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from fhir_elig import protocol, record, site, verdict
from fhir_elig.criteria.medication import Whichever
from fhir_elig.criteria.picks import Pick
from fhir_elig.record import Counts, Flaw
from fhir_elig.verdict import Reason, Status
from fhir_elig.windows import Place


def models(of: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in of.__subclasses__():
        yield model
        yield from models(model)


ROOMS = (protocol.__name__, site.__name__)
FIELDS = [
    pytest.param(field, id=f"{model.__name__}.{name}")
    for model in sorted(
        {model for model in models(BaseModel) if model.__module__ in ROOMS or model.__module__.startswith("fhir_elig.criteria.")},
        key=lambda model: (model.__module__, model.__name__),
    )
    for name, field in model.model_fields.items()
    if not field.is_required()
]


@pytest.mark.parametrize("field", FIELDS)
def test_a_default_is_a_value_that_could_be_written(field: FieldInfo) -> None:
    written: TypeAdapter[Any] = TypeAdapter(field.annotation or type(None))
    written.validate_python(field.get_default(call_default_factory=True))


STRUCTS = [
    pytest.param(struct, id=struct.__name__)
    for module in (record, verdict)
    for struct in vars(module).values()
    if isinstance(struct, type) and issubclass(struct, msgspec.Struct) and struct.__module__ == module.__name__
]


@pytest.mark.parametrize("struct", STRUCTS)
def test_what_a_fact_leaves_out_is_none_only_where_it_may_be(struct: type[msgspec.Struct]) -> None:
    hints: dict[str, Any] = get_type_hints(struct)
    empty = [field.name for field in msgspec.structs.fields(struct) if field.default is None]
    assert [name for name in empty if type(None) not in get_args(hints[name])] == []


def test_words_that_are_left_out_are_empty_but_for_these() -> None:
    structs = [param.values[0] for param in STRUCTS]
    told = {f"{struct.__name__}.{f.name}": f.default for struct in structs for f in msgspec.structs.fields(struct)}  # type: ignore
    assert {name: words for name, words in told.items() if type(words) is str and words} == {
        "ReferenceRange.kind": "normal",
        "Answer.kind": "answer",
        "Record.time_zone": "UTC",
        "Assessment.schema": "fhir-elig/assessment/1",
    }


@pytest.mark.parametrize("words", [Counts, Flaw, Pick, Place, Reason, Status, Whichever])
def test_a_member_is_written_as_it_is_named(words: type[Enum]) -> None:
    assert [member.value for member in words] == [member.name.lower().replace("_", "-") for member in words]
