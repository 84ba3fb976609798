"""The files that people write (protocols, site files, answers): plain data, where each part stands, its check against a model.

`load_document` reads a file with the narrow YAML of `yaml_core`; `validate` holds it against a pydantic model and turns what is
wrong into findings with place, path, reason and fix, all of them at once.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec
from pydantic import BaseModel, RootModel, ValidationError
from pydantic.fields import FieldInfo

from fhir_elig.errors import AuthoringError, Finding
from fhir_elig.yaml_core import MAX_BYTES, MAX_FINDINGS, Key, Spot, printable, read_yaml, shown

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
KeyPath = tuple[Key, ...]

# What pydantic's error types ask for, in words; a type that is not here is shown by its own message.
_EXPECTED = {
    **dict.fromkeys(("string_type", "string_sub_type"), "text"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("decimal_type", "decimal_parsing", "float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), "a mapping of keys and values"),
}


class Document(msgspec.Struct, frozen=True):
    """A file as plain data (dict, list, str, int, Decimal, bool, None), where each part stands, and the hash of its bytes."""

    name: str
    data: Any
    spot: Spot
    sha256: str = ""

    def place(self, path: Sequence[Key] = ()) -> str:
        """`file:line:column` of the value at that path of keys and positions, or of its nearest ancestor that is there."""
        spot = self.spot
        for step in path:
            child = spot.child(step)
            if child is None:
                break
            spot = child
        return f"{self.name}:{spot.line}:{spot.column}"

    def place_of_key(self, path: Sequence[Key]) -> str:
        """Like `place`, of a mapping's key instead of its value."""
        parent: Spot | None = self.spot
        for step in path[:-1]:
            parent = parent.child(step) if parent else None
        position = (parent.keys or {}).get(str(path[-1])) if parent and path else None
        return f"{self.name}:{position[0]}:{position[1]}" if position else self.place(path)

    def where(self, path: Sequence[Key] = ()) -> str:
        """Place and path as an error shows them: `trial.yaml:41:9   inclusion > organ-function > hemoglobin`."""
        return _joined(self.place(path), self.path_words(path))

    def where_key(self, path: Sequence[Key]) -> str:
        return _joined(self.place_of_key(path), self.path_words(path))

    def at(self, path: Sequence[Key]) -> Any:
        """The value at that path; None if there is none."""
        node = self.data
        for step in path:
            node = _child(node, step)
        return node

    def path_words(self, path: Sequence[Key]) -> str:
        """The path in words; list items go by their `id`, and a key between two of those is left out."""
        words: list[tuple[str, bool]] = []
        node = self.data
        for step in path:
            node = _child(node, step)
            name = node.get("id") if isinstance(step, int) and isinstance(node, dict) else None
            if isinstance(name, str):
                if len(words) > 1 and words[-2][1]:
                    words.pop()
                words.append((shown(name), True))
            else:
                words.append((f"item {step + 1}" if isinstance(step, int) else shown(step), False))
        return " > ".join(word for word, _ in words)


def _joined(place: str, words: str) -> str:
    return f"{place}   {words}" if words else place


def _child(node: Any, step: Key) -> Any:
    if isinstance(node, dict):
        return node.get(step)
    return node[step] if isinstance(node, list) and isinstance(step, int) and 0 <= step < len(node) else None


def load_document(source: Path | str | bytes, name: str = "") -> Document:
    """Reads a file (a Path) or its content (text or UTF-8 bytes); `name` is how errors call it.

    Raises AuthoringError: FE0214 if the file cannot be opened, FE0201 with every place that is not accepted.
    """
    if isinstance(source, Path):
        name = name or str(source)
        source = _bytes_of(source, name)
    name = name or "text"
    data, spot = read_yaml(source, name)
    content = source if isinstance(source, bytes) else source.encode("utf-8")
    return Document(name, data, spot, hashlib.sha256(content).hexdigest())


def together(jobs: Iterable[Callable[[], T]]) -> list[T]:
    """The results of all jobs; if some raise AuthoringError, one with the findings of all of them."""
    results: list[T] = []
    findings: list[Finding] = []
    for job in jobs:
        try:
            results.append(job())
        except AuthoringError as error:
            findings.extend(error.findings)
    if findings:
        raise AuthoringError(findings[0].why, findings=findings)
    return results


def _bytes_of(path: Path, name: str) -> bytes:
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise AuthoringError(shown(why), code="FE0214", where=name, fix="check the path and that the file may be read") from None


def validate(model: type[M], document: Document, *, private: bool = False) -> M:
    """The document as an instance of the model.

    Raises AuthoringError with every finding: FE0202 unknown key, FE0204 missing key, FE0203 any other, or the code that a
    validator names by `PydanticCustomError("FE0207", why, {"fix": fix})`; a validator's `ValueError(why, fix)` is FE0203. With
    `private` no value of the document is repeated in a finding (answers hold patients' data).
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        details = error.errors(include_url=False)
    checker = _Findings(model, document, private)
    findings = list(dict.fromkeys(checker.finding(path, detail) for path, detail in _telling(document, details)))[:MAX_FINDINGS]
    raise AuthoringError(findings[0].why, findings=findings)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The fix for a mistyped name: the nearest known one, or what there is to choose from."""
    names = sorted(known)
    close = difflib.get_close_matches(word[:64], names, 1, 0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"use one of: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}" if names else "remove it"


def _telling(document: Document, details: Sequence[Any]) -> list[tuple[KeyPath, Any]]:
    """Errors with their paths in the document, without what other members of a union say where one of them got further."""
    placed = [(_path_of(document.spot, detail["loc"]), detail) for detail in details]
    reached = {path[:length] for path, detail in placed for length in range(len(path) + (detail["type"] not in _EXPECTED))}
    return [(path, detail) for path, detail in placed if detail["type"] not in _EXPECTED or path not in reached]


def _path_of(spot: Spot, location: Sequence[Key]) -> KeyPath:
    """pydantic's location without the names of union members, which stand in no document."""
    found: dict[KeyPath, Spot] = {(): spot}
    for step in location:
        for path, place in list(found.items()):
            if child := place.child(step):
                found[(*path, step)] = child
    return max(found, key=len)


class _Findings:
    """Turns pydantic's errors about one document into findings."""

    def __init__(self, model: type[BaseModel], document: Document, private: bool) -> None:
        self.model = model
        self.document = document
        self.private = private

    def finding(self, path: KeyPath, detail: Any) -> Finding:
        kind, context = detail["type"], detail.get("ctx") or {}
        if kind == "extra_forbidden":
            return self._unknown_key(path)
        where = self.document.where(path)
        if kind == "missing":
            key = str(detail["loc"][-1])
            return Finding("FE0204", where, f'"{key}" is missing', f"add  {key}: ...")
        if kind.startswith("FE"):
            return Finding(kind, where, printable(detail["msg"]), str(context.get("fix") or "correct it as said above"))
        if kind == "value_error":
            arguments = [printable(str(argument)) for argument in context["error"].args] or [detail["msg"]]
            return Finding("FE0203", where, arguments[0], arguments[1] if len(arguments) > 1 else "correct it as said above")
        return Finding("FE0203", where, *self._wrong_value(path, kind, detail, context))

    def _unknown_key(self, path: KeyPath) -> Finding:
        known = self._known_keys(path[:-1])
        why = f'no key is called "{shown(str(path[-1]))}" here'
        return Finding("FE0202", self.document.where_key(path), why, did_you_mean(str(path[-1]), known))

    def _wrong_value(self, path: KeyPath, kind: str, detail: Any, context: Mapping[str, Any]) -> tuple[str, str]:
        value = detail["input"]
        what = _kind_of(value) if self.private else _in_words(value)
        if kind in _EXPECTED:
            expected = _EXPECTED[kind]
            quoted = expected == "text" and not self.private and isinstance(value, (int, Decimal))
            fix = f'write it in quotes: "{_plain(value)}"' if quoted else f"write {expected}"
            return f"{what} stands where {expected} is expected", fix
        if kind in ("enum", "literal_error"):
            names = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
            return f"{what} is not one of the values that are known here", did_you_mean("" if self.private else str(value), names)
        examples = self._examples(path)
        if examples:
            return f"{what} is not of the form that is read here", f"write it like  {'  or  '.join(examples)}"
        return f"{what} does not fit: {printable(detail['msg'][0].lower() + detail['msg'][1:])}", "correct the value"

    def _models(self, path: KeyPath) -> list[type[BaseModel]]:
        """The models that may stand at that path."""
        models = list(_classes(self.model))
        for step in path:
            if isinstance(step, str):
                below = [inner for field in _fields(models, step) for inner in _classes(field.annotation)]
                models = below or models
        return models

    def _known_keys(self, path: KeyPath) -> set[str]:
        """The keys of the model that fits best what stands there."""
        present = self.document.at(path)
        choices = [{field.alias or name for name, field in model.model_fields.items()} for model in self._models(path)]
        best = max((len(keys & present.keys()) for keys in choices), default=0)
        nearest = [keys for keys in choices if len(keys & present.keys()) == best]
        return set().union(*nearest) - set(present)

    def _examples(self, path: KeyPath) -> list[str]:
        steps = [index for index, step in enumerate(path) if isinstance(step, str)]
        if not steps:
            return []
        fields = _fields(self._models(path[: steps[-1]]), str(path[steps[-1]]))
        return [str(example) for field in fields for example in _examples_of(field)]


def _fields(models: Iterable[type[BaseModel]], key: str) -> Iterator[FieldInfo]:
    return (field for model in models for name, field in model.model_fields.items() if (field.alias or name) == key)


def _classes(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside a type: members of unions, items of lists, values of mappings."""
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        yield from _classes(annotation.model_fields["root"].annotation)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _classes(argument)


def _examples_of(field: Any) -> list[Any]:
    """The examples of a field, or of the types that its annotation is made of."""
    if isinstance(field, FieldInfo):
        return list(field.examples or ()) or _examples_of(field.annotation)
    return [example for argument in get_args(field) for example in _examples_of(argument)]


def _kind_of(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    names = {dict: "a mapping", list: "a list", str: "a text", int: "a number", Decimal: "a number"}
    return names.get(type(value), "the value")


def _in_words(value: Any) -> str:
    """A value as an error shows it, safe and short."""
    if isinstance(value, (bool, int, Decimal)):
        return _plain(value)
    return f'"{shown(value)}"' if isinstance(value, str) else _kind_of(value)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
