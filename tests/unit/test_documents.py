"""The YAML that authors write: what is read as what, what is refused where, and how a model's complaints are told."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator
from pydantic_core import PydanticCustomError

from fhir_elig import yaml_core
from fhir_elig.documents import did_you_mean, load_document, together, validate
from fhir_elig.errors import AuthoringError, Finding
from fhir_elig.yaml_core import shown
from tests import pace


def findings(text: str | bytes | Path) -> tuple[Finding, ...]:
    with pytest.raises(AuthoringError) as caught:
        load_document(text, "x.yaml")
    return caught.value.findings


@pytest.fixture(params=["libyaml", "python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both of PyYAML's parsers: wheels carry libyaml, other builds may not."""
    loader = yaml.SafeLoader if request.param == "python" else yaml.CSafeLoader
    monkeypatch.setattr(yaml_core, "LOADER", loader)
    return str(request.param)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("NO", "NO"),
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("010", 10),
        ("+7", 7),
        ("-0", 0),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1.10", Decimal("1.10")),
        (".5", Decimal("0.5")),
        ("5.", Decimal("5")),
        ("1e3", Decimal("1E+3")),
        ("1.5e-30", Decimal("1.5E-30")),
        ("2025-05-30", "2025-05-30"),
        ("2025-05-30T10:00:00Z", "2025-05-30T10:00:00Z"),
        (">= 90 g/L", None),
        ("90 g/L", "90 g/L"),
        ("-x", "-x"),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'010'", "010"),
        ('"1.0"', "1.0"),
        ("'true'", "true"),
        ("9" * 40, int("9" * 40)),
        ("9" * 40 + "e30", Decimal("9" * 40 + "e30")),
    ],
)
def test_a_plain_scalar_is_read_by_the_core_schema(parser: str, written: str, read: Any) -> None:
    if written.startswith(">"):
        assert findings(f"key: {written}")[0].code == "FE0201"
        return
    value = load_document(f"key: {written}\n").data["key"]
    assert (type(value), str(value)) == (type(read), str(read))


def test_a_decimal_keeps_the_digits_that_were_written() -> None:
    assert str(load_document("a: 1.10").data["a"]) == "1.10"


def test_keys_are_text_as_written() -> None:
    assert load_document("1: a\nno: b\nnull: c\n<<: d").data == {"1": "a", "no": "b", "null": "c", "<<": "d"}


def test_lists_mappings_and_block_texts_are_read() -> None:
    assert load_document("a: [1, {b: x}]\nc:\n  - d\n  - |\n    two\n    lines\n").data == {
        "a": [1, {"b": "x"}],
        "c": ["d", "two\nlines\n"],
    }


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n"])
def test_an_empty_file_holds_nothing(parser: str, text: str) -> None:
    assert load_document(text).data is None


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)
REFUSED = [
    ("alias", "a: x\nb: *a", "x.yaml:2:4", "aliases"),
    ("anchor", "a: &a x", "x.yaml:1:4", "anchors"),
    ("alias bomb", BOMB, "x.yaml:1:4", "anchors"),
    ("tag", "a: !!python/object:os.system x", "x.yaml:1:4", "tags"),
    ("tag on a list", "a: !!set [x]", "x.yaml:1:4", "tags"),
    ("tag on a key", "!!str a: x", "x.yaml:1:1", "key must be"),
    ("lone tag", "a: ! x", "x.yaml:1:4", "tags"),
    ("duplicate key", "a:\n  b: 1\n  c: 2\n  b: 3", "x.yaml:4:3", '"b" stands at 2:3'),
    ("duplicate key in quotes", "{a: 1, 'a': 2}", "x.yaml:1:8", '"a" stands at 1:2'),
    ("list as key", "? [a]\n: b", "x.yaml:1:3", "key must be"),
    ("tab", "a:\n\tb: 1", "x.yaml:2:1", "tab"),
    ("tab after spaces", "a:\n  b: 1\n  \tc: 2", "x.yaml:3:1", "tab"),
    ("directive", "%YAML 1.1\n---\na: 1", "x.yaml:1:1", "directives"),
    ("second document", "a: 1\n---\nb: 2", "x.yaml:2:1", "second document"),
    ("open bracket", "a: [1,", "x.yaml:", "expected"),
    ("infinity", "a: -.inf", "x.yaml:1:4", "not a number"),
    ("not a number", "a: .nan", "x.yaml:1:4", "not a number"),
    ("long number", "a: " + "9" * 5000, "x.yaml:1:4", "more than 40 digits"),
    ("just too long a number", "a: " + "9" * 41, "x.yaml:1:4", "more than 40 digits"),
    ("just too long a decimal", "a: 1." + "0" * 40, "x.yaml:1:4", "more than 40 digits"),
    ("padded exponent", "a: 1e" + "0" * 5000, "x.yaml:1:4", "more than 40 digits"),
    ("large exponent", "a: 1e9999999", "x.yaml:1:4", "exponent"),
    ("small exponent", "a: 1e-31", "x.yaml:1:4", "exponent"),
    ("NUL", "a: \x00", "x.yaml:1:4", "U+0000"),
    ("escape code", "a: 1\nb: \x1b[2J", "x.yaml:2:4", "U+001B"),
    ("lone surrogate", "a: \ud800", "x.yaml:1:4", "U+D800"),
    ("line separator", "a: 'x\u2028y'", "x.yaml:1:6", "U+2028"),
    ("carriage return alone", "a: 1\rb: 2", "x.yaml:1:5", "U+000D"),
    ("deep brackets", "[" * 100_000, "x.yaml:1:33", "32 levels"),
    ("deep mappings", "{a: " * 50_000, "x.yaml:1:129", "32 levels"),
    ("deep dashes", "- " * 100_000, "x.yaml:1:65", "32 levels"),
    ("ten megabytes", "x" * 10_000_000, "x.yaml:1:1", "larger than 1 MiB"),
    ("ten megabytes of letters that are wide", "\u20ac" * 400_000, "x.yaml:1:1", "larger than 1 MiB"),
]


@pytest.mark.parametrize(("text", "where", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_makes_yaml_surprising_is_refused_at_its_place(parser: str, text: str, where: str, why: str) -> None:
    first = findings(text)[0]
    assert first.code == "FE0201"
    assert first.where.startswith(where)
    assert why in first.why
    assert first.fix


@pytest.mark.parametrize("text", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_hostile_file_is_refused_at_once(text: str) -> None:
    pace.at_most(10, lambda: findings(text))


def test_the_largest_file_is_accepted_and_one_byte_more_is_not() -> None:
    text = "a: " + "x" * (yaml_core.MAX_BYTES - 3)
    assert len(load_document(text).data["a"]) == yaml_core.MAX_BYTES - 3
    assert "larger" in findings(text + "x")[0].why
    assert "larger" in findings((text + "x").encode())[0].why


def test_thirty_two_levels_are_accepted_and_thirty_three_are_not(parser: str) -> None:
    assert load_document("[" * 32 + "]" * 32).data
    assert "32 levels" in findings("[" * 33 + "]" * 33)[0].why


def test_a_file_of_too_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_core, "MAX_VALUES", 4)
    assert load_document("[1, 2, 3]").data == [1, 2, 3]
    assert "more than 4 values" in findings("[1, 2, 3, 4]")[0].why


def test_all_that_is_wrong_is_told_at_once_up_to_a_bound() -> None:
    assert [f.where for f in findings("a: &x 1\nb: !t 2\na: *x\n")] == ["x.yaml:1:4", "x.yaml:2:4", "x.yaml:3:1", "x.yaml:3:4"]
    assert len(findings("a: 1\n" * 1000)) == yaml_core.MAX_FINDINGS


def test_bytes_are_utf8_and_a_mark_at_the_head_is_skipped() -> None:
    assert load_document(b"\xef\xbb\xbfa: \xc3\xa4").data == {"a": "\u00e4"}
    first = findings(b"a: 1\nb: \xff")[0]
    assert (first.where, first.why) == ("x.yaml:2:4", "the bytes here are not UTF-8")


def test_windows_line_ends_count_as_one_line() -> None:
    assert load_document("a: 1\r\nb: 2\r\n").place(["b"]) == "text:2:4"


def test_a_file_is_called_by_its_path_or_by_the_given_name(tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    path.write_text("a: 1", "utf-8")
    assert load_document(path).place() == f"{path}:1:1"
    assert load_document(path, "trial").place() == "trial:1:1"


def test_the_hash_is_that_of_the_bytes_that_were_read(tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa4\r\n")
    assert load_document(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_document("a: 1").sha256 == hashlib.sha256(b"a: 1").hexdigest()


def test_a_file_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "folder"), (Path("a\0b"), "null")):
        first = findings(path)[0]
        assert first.code == "FE0214"
        assert why in first.why


def test_a_large_file_on_disk_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 33)
    assert "larger than 1 MiB" in findings(path)[0].why


DOCUMENT = load_document(
    """id: x
inclusion:
  - id: organ-function
    all-of:
      - id: hemoglobin
        value: {of: hb, at-least: 90}
      - {value: {of: inr}}
""",
    "t.yaml",
)


def test_a_place_is_that_of_the_value_or_of_the_nearest_ancestor() -> None:
    path = ["inclusion", 0, "all-of", 0, "value", "at-least"]
    assert DOCUMENT.place(path) == "t.yaml:6:35"
    assert DOCUMENT.place_of_key(path) == "t.yaml:6:25"
    assert DOCUMENT.place([*path, "deeper"]) == "t.yaml:6:35"
    assert DOCUMENT.place(["inclusion", 7]) == "t.yaml:3:3"
    assert DOCUMENT.place_of_key(["inclusion", 0]) == "t.yaml:3:5"
    assert DOCUMENT.place_of_key([]) == "t.yaml:1:1"
    assert DOCUMENT.place_of_key(["nothing", "here", "at all"]) == "t.yaml:1:1"
    assert DOCUMENT.where() == "t.yaml:1:1"


def test_a_path_names_list_items_by_their_id() -> None:
    words = DOCUMENT.path_words
    assert words(["inclusion", 0, "all-of", 0, "value"]) == "inclusion > organ-function > hemoglobin > value"
    assert words(["inclusion", 0, "all-of", 1, "value", "of"]) == "inclusion > organ-function > all-of > item 2 > value > of"
    assert words(["inclusion", 9, "x"]) == "inclusion > item 10 > x"


def test_a_value_is_found_by_its_path() -> None:
    assert DOCUMENT.at(["inclusion", 0, "all-of", 1, "value", "of"]) == "inr"
    assert DOCUMENT.at(["inclusion", 0, "of"]) is None
    assert DOCUMENT.at(["inclusion", "0"]) is None


def test_what_is_shown_of_a_file_is_short_and_cannot_steer_a_terminal() -> None:
    assert shown("a\x1b[2Jb") == "a\\u001b[2Jb"
    assert shown("x" * 61) == "x" * 60 + "..."


class Base(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"))


class Value(Base):
    of: str
    at_least: int | None = None
    before: Annotated[str, Field(pattern="^[0-9]+ d$", examples=["28 d"])] | None = None
    pick: Literal["latest", "any or all"] = "latest"
    weight: float | None = Field(None, gt=0)
    ratio: Annotated[int, Field(gt=0)] | None = Field(None, examples=[3])


class Score(Base):
    score: str
    points: int


class Node(Base):
    id: str = ""
    value: Value | Score | None = None
    all_of: list[Node | str] | None = None

    @model_validator(mode="after")
    def _sound(self) -> Node:
        if self.id == "one":
            raise ValueError("one argument")
        if self.id == "two":
            raise ValueError("two arguments", "the fix\x1b")
        if self.id == "none":
            raise ValueError
        if self.id == "coded":
            raise PydanticCustomError("FE0207", "names no unit", {"fix": "write 90 g/L"})
        if self.id == "coded-without-fix":
            raise PydanticCustomError("FE0207", "names no unit")
        return self


class Protocol(Base):
    id: str
    version: str = ""
    ready: bool = False
    names: dict[str, Node] = {}
    inclusion: list[Node] = []


class Names(RootModel[list[Score]]):
    """A file that is a list."""


def told(text: str, model: type[BaseModel] = Protocol, private: bool = False) -> list[tuple[str, str, str, str]]:
    with pytest.raises(AuthoringError) as caught:
        validate(model, load_document(text, "x.yaml"), private=private)
    assert caught.value.exit_code == 10
    return [(f.code, f.where, f.why, f.fix) for f in caught.value.findings]


def test_a_sound_document_becomes_the_model() -> None:
    protocol = validate(Protocol, load_document("id: x\ninclusion: [{id: a, value: {of: hb, at-least: 90}}]"))
    assert protocol.inclusion[0].value == Value(**{"of": "hb", "at-least": 90})
    assert validate(Names, load_document("- {score: a, points: 2}")).root[0].points == 2


def test_an_unknown_key_comes_with_the_nearest_known_one() -> None:
    assert told("id: x\ninclusion:\n - id: a\n   valu: {of: hb}") == [
        ("FE0202", "x.yaml:4:4   inclusion > a > valu", 'no key is called "valu" here', 'did you mean "value"?')
    ]
    (row,) = [row for row in told("id: x\ninclusion:\n - id: a\n   value: {of: hb, atleast: 90}") if "atleast" in row[2]]
    assert row[1] == "x.yaml:4:20   inclusion > a > value > atleast"
    assert row[3] == 'did you mean "at-least"?'


def test_an_unknown_key_in_a_mapping_of_names_and_in_a_list_is_placed_too() -> None:
    assert told("id: x\nnames: {a: {idd: b}}")[0][1:] == (
        "x.yaml:2:13   names > a > idd",
        'no key is called "idd" here',
        'did you mean "id"?',
    )
    assert told("- {score: a, points: 2, pints: 3}", Names)[0][3] == "remove it"


def test_a_missing_key_is_placed_where_it_should_stand() -> None:
    assert told("version: '1'") == [("FE0204", "x.yaml:1:1", '"id" is missing', "add  id: ...")]


def test_several_findings_come_at_once() -> None:
    assert [row[0] for row in told("version: 1\nother: 2\nready: maybe")] == ["FE0204", "FE0203", "FE0203", "FE0202"]


def test_a_number_where_text_is_expected_is_to_be_quoted() -> None:
    assert told("id: x\nversion: 1.0")[0][2:] == ("1.0 stands where text is expected", 'write it in quotes: "1.0"')
    assert told("id: [x]")[0][2:] == ("a list stands where text is expected", "write text")
    assert told("id: {x: 1}")[0][2] == "a mapping stands where text is expected"
    assert told("id: true")[0][2] == "true stands where text is expected"
    assert told("")[0][2] == "nothing stands where a mapping of keys and values is expected"


def test_the_readings_of_yaml_1_1_are_refused_where_the_field_wants_another_type() -> None:
    assert told("id: 010")[0][2] == "10 stands where text is expected"
    assert told("id: x\nready: 1:30")[0][2] == '"1:30" stands where true or false is expected'


def test_a_union_tells_what_the_nearest_member_lacks() -> None:
    rows = told("id: x\ninclusion: [{id: a, all-of: [{id: b, value: 5}]}]")
    assert {row[1] for row in rows} == {"x.yaml:2:45   inclusion > a > b > value"}
    rows = told("id: x\ninclusion: [{id: a, all-of: [7]}]")
    assert [row[3] for row in rows] == ["write a mapping of keys and values", 'write it in quotes: "7"']


def test_a_value_of_another_form_comes_with_examples() -> None:
    def why(value: str) -> list[tuple[str, str]]:
        rows = told(f"id: x\ninclusion: [{{value: {{of: hb, {value}}}}}]")
        return [row[2:] for row in rows if row[0] == "FE0203"]

    assert ('"28 days" is not of the form that is read here', "write it like  28 d") in why("before: 28 days")
    assert ("-1 is not of the form that is read here", "write it like  3") in why("ratio: -1")
    assert ("-1 does not fit: input should be greater than 0", "correct the value") in why("weight: -1")
    assert ('"lates" is not one of the values that are known here', 'did you mean "latest"?') in why("pick: lates")


def test_a_list_item_of_another_form_needs_no_examples() -> None:
    class Numbers(RootModel[list[Annotated[int, Field(gt=0)]]]):
        pass

    assert told("[-1]", Numbers)[0][2:] == ("-1 does not fit: input should be greater than 0", "correct the value")


@pytest.mark.parametrize(
    ("id", "row"),
    [
        ("one", ("FE0203", "one argument", "correct it as said above")),
        ("two", ("FE0203", "two arguments", "the fix\\u001b")),
        ("none", ("FE0203", "Value error, ", "correct it as said above")),
        ("coded", ("FE0207", "names no unit", "write 90 g/L")),
        ("coded-without-fix", ("FE0207", "names no unit", "correct it as said above")),
    ],
)
def test_a_validator_may_give_reason_code_and_fix(id: str, row: tuple[str, str, str]) -> None:
    code, where, why, fix = told(f"id: x\ninclusion: [{{id: {id}}}]")[0]
    assert (code, why, fix) == row
    assert where == f"x.yaml:2:13   inclusion > {id}"


def test_private_findings_repeat_no_value() -> None:
    text = "id: x\nversion: 77.125\ninclusion: [{value: {of: hb, pick: secret, before: hidden}}]"
    assert any("77.125" in row[2] for row in told(text))
    rows = told(text, private=True)
    assert not any(word in " ".join(row) for row in rows for word in ("77.125", "secret", "hidden"))
    assert "a number stands where text is expected" in {row[2] for row in rows}
    assert told("id: [1]", private=True)[0][2] == "a list stands where text is expected"
    assert told("id: true", private=True)[0][2] == "true or false stands where text is expected"


def test_findings_are_bounded() -> None:
    assert len(told("id: x\n" + "".join(f"k{i}: 1\n" for i in range(1000)))) == yaml_core.MAX_FINDINGS


def test_a_nearest_word_or_the_choice_is_offered() -> None:
    assert did_you_mean("platelet", ["platelets", "anc"]) == 'did you mean "platelets"?'
    assert did_you_mean("zzz", ["b", "a"]) == "use one of: a, b"
    assert did_you_mean("zzz", [f"n{i:02}" for i in range(20)]).endswith("n11, ...")
    assert did_you_mean("zzz", []) == "remove it"
    assert did_you_mean("x" * 1_000_000, ["y"]) == "use one of: y"


def test_the_findings_of_several_files_come_together() -> None:
    with pytest.raises(AuthoringError) as caught:
        together([lambda: load_document("a: *b", "one"), lambda: load_document("a: 1"), lambda: load_document("\tb", "two")])
    assert [f.where for f in caught.value.findings] == ["one:1:4", "two:1:1"]
    assert [document.data for document in together([lambda: load_document("1"), lambda: load_document("2")])] == [1, 2]


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(alphabet=st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet="abcxyz-_", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_what_a_yaml_writer_writes_is_read_back(value: Any) -> None:
    text = yaml.safe_dump(value, allow_unicode=False, default_flow_style=True, sort_keys=False, width=10_000)
    assert load_document(text).data == value


@settings(max_examples=300)
@given(st.text(alphabet="ab:-?[]{},&*!|>'\"%@#~ \n\t0.1e", max_size=60) | st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_code_by_either_parser(text: str) -> None:
    for loader in (yaml.CSafeLoader, yaml.SafeLoader):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(yaml_core, "LOADER", loader)
            try:
                document = load_document(text)
            except AuthoringError as error:
                assert {finding.code for finding in error.findings} == {"FE0201"}
            else:
                assert document.place() == f"text:{document.spot.line}:{document.spot.column}"
