from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from edgesdk_targets.errors import InputError
from edgesdk_targets.yaml_file import MAX_BYTES, dump_yaml, load_yaml, parse_yaml, validate


class Camera(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    fps: float | None = Field(default=None, gt=0)


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    cameras: tuple[Camera, ...] = ()
    by_name: dict[str, Camera] = {}
    threads: int = 1


def _refused(text: str) -> InputError:
    with pytest.raises(InputError) as wrong:
        validate(Settings, parse_yaml(text, source="f.yaml"))
    assert wrong.value.hint
    return wrong.value


def test_a_document_becomes_a_model() -> None:
    text = "threads: 2\ncameras:\n  - {name: door, fps: 5}\n  - name: yard\nby_name:\n  a: {name: x}\n"
    settings = validate(Settings, parse_yaml(text))
    assert settings.threads == 2
    assert [c.name for c in settings.cameras] == ["door", "yard"]
    assert settings.by_name["a"].name == "x"


def test_an_empty_document_takes_the_defaults() -> None:
    assert validate(Settings, parse_yaml("# nothing\n")) == Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("threads: 1\ncameras:\n  - name: a\n    fps: -1\n", "f.yaml:4: field cameras[0].fps:"),
        ("cameras:\n  - fps: 3\n", "f.yaml:2: field cameras[0].name: is required"),
        ("\n\nthread: 3\n", "f.yaml:3: field thread: is not known; did you mean 'threads'?"),
        ("cameras:\n - name: a\n   fsp: 3\n", "f.yaml:3: field cameras[0].fsp: is not known; did you mean 'fps'?"),
        ("by_name:\n  k:\n    nam: x\n", "f.yaml:3: field by_name.k.nam: is not known; did you mean 'name'?"),
        ("cameras: 5\n", "f.yaml:1: field cameras:"),
        ("threads: many\n", "f.yaml:1: field threads:"),
        ("- a\n", "f.yaml:1: must be fields with values, not a list"),
        ("just text\n", "f.yaml:1: must be fields with values, not a single value"),
        ("threads: 1\nthreads: 2\n", "f.yaml:2: field threads: given twice"),
        ("cameras: [1\nthreads: 2\n", "f.yaml:2: not valid YAML"),
        ("threads:\n\t- 1\n", "f.yaml:2: not valid YAML"),
        ("? [a]\n: 1\n", "f.yaml:1: a field's name must be plain text"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("threads: \x01\n", "f.yaml: not valid YAML"),
        ("threads: !!python/object/apply:os.system [true]\n", "f.yaml:1: not valid YAML"),
        ("threads: " + "9" * 5000 + "\n", "f.yaml: not valid YAML"),
        ("a: &a [*a]\n", "expands to more than"),
        ("[" * 5000, "not valid YAML"),
    ],
    ids=range(19),
)
def test_a_wrong_document_is_refused_by_line_and_field(text: str, said: str) -> None:
    assert said in _refused(text).message


def test_aliases_cannot_fill_the_memory() -> None:
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 9) + "]" for i in range(1, 9)]
    assert "expands to more than" in _refused("\n".join(lines)).message


def test_every_wrong_field_is_told_up_to_a_limit() -> None:
    error = _refused("\n".join(f"x{i}: 1" for i in range(20)))
    assert error.message.count("f.yaml:") == 8
    assert "12 more" in error.message


def test_plain_words_stay_words() -> None:
    document = parse_yaml("v: [no, yes, on, 2024-01-31, 12:30, 010, 1e-3, 0x10, 0o17, ~, true, '5', -.inf, 1.0.0, +7]")
    assert document.data["v"] == [
        *("no", "yes", "on", "2024-01-31", "12:30", 10, 0.001, 16, 15, None, True, "5", float("-inf"), "1.0.0", 7)
    ]


def test_merge_keys_still_work() -> None:
    document = parse_yaml("base: &b {k: 1}\nuser:\n  <<: *b\n  j: 2\n")
    assert document.data["user"] == {"k": 1, "j": 2}


def test_a_value_is_not_repeated_in_the_message() -> None:
    assert "secret" not in str(_refused("threads: my-secret-password\n"))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_yaml(text)
    except InputError as error:
        assert error.hint  # noqa: PT017  (either outcome is right; a crash is not)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_yaml(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        load_yaml(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(InputError, match="UTF-8"):
        load_yaml(tmp_path / "latin.yaml")
    (tmp_path / "big.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(InputError, match="larger"):
        load_yaml(tmp_path / "big.yaml")
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfthreads: 3")
    assert load_yaml(tmp_path / "bom.yaml").data == {"threads": 3}


def test_a_path_that_is_not_in_the_file_has_the_line_of_what_encloses_it() -> None:
    document = parse_yaml("a:\n  b:\n    c: 1\n", source="x")
    assert document.line_of(("a", "b", "c")) == 3
    assert document.line_of(("a", "b", "missing")) == 2
    assert document.line_of(("a", "union-member", "b", "c")) == 3
    assert document.where(()) == "x:1"


@pytest.mark.parametrize("letter", ["\x7f", "\x85", "\x99", "\u2028", "\ufeff", "\uffff", "\U0001f600", "\x1a"])
def test_what_json_leaves_as_it_is_and_yaml_may_not_is_written_and_read_back(letter: str) -> None:
    # `1e-3` is a text that only JSON's quotes keep.
    document = {f"a{letter}b": ["1e-3", letter]}
    assert parse_yaml(dump_yaml(document)).data == document
