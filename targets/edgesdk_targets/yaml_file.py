"""Read YAML so that every complaint about it names the file, the line and the field.

Plain scalars follow YAML 1.2: only `true` and `false` are booleans (a label `no` stays text), `010` is ten,
`1e-3` is a number, and dates stay text. Duplicate keys are refused, since one of the two would silently be
ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from edgesdk_targets.bounded_file import read_bounded
from edgesdk_targets.errors import InputError
from edgesdk_targets.field_problems import FieldPath, Problem, dotted, field_problems

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
# Aliases let a small file expand without end; this many values is far beyond any real card or configuration.
MAX_NODES = 100_000
SHOWN_PROBLEMS = 8

_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """Parsed YAML and the line on which each value stands.

    Attributes:
        data: what the file says, as dicts, lists and scalars; None for an empty file.
        lines: line (from 1) by the value's path, e.g. `("cameras", 0, "name")`.
        source: the file's name, for messages.
    """

    data: Any
    lines: Mapping[FieldPath, int] = field(default_factory=dict)
    source: str = "<text>"

    def line_of(self, path: FieldPath) -> int:
        """Return the line of the value at `path`, or of the nearest enclosing value that is in the file."""
        known: FieldPath = ()
        for part in path:
            # Pydantic puts names of union members into its paths; those are not in the file.
            if (*known, part) in self.lines:
                known = (*known, part)
        return self.lines.get(known, 1)

    def where(self, path: FieldPath) -> str:
        return f"{self.source}:{self.line_of(path)}"


def load_yaml(path: str | Path) -> YamlDocument:
    """Read and parse a YAML file.

    Raises:
        InputError: the file is missing, too large, not UTF-8 or not YAML.
    """
    file = Path(path)
    raw = read_bounded(
        file,
        MAX_BYTES,
        hint="Give a readable file.",
        absent="Check the path.",
        larger="This is no YAML file of edgesdk.",
    )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not text in UTF-8.", hint="Save it as UTF-8.") from error
    return parse_yaml(text, source=str(file))


def parse_yaml(text: str, *, source: str = "<text>") -> YamlDocument:
    """Parse one YAML document.

    Raises:
        InputError: the text is not YAML, has a duplicate key, or expands beyond the limits.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return YamlDocument(None, {}, source)
        lines = dict(_lines(node, source))
        return YamlDocument(loader.construct_document(node), lines, source)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        hint = f"Look at line {line} and the one above it: indentation, quotes, colons, tabs."
        raise InputError(f"{source}:{line}: not valid YAML: {error.problem or error.context}.", hint=hint) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{source}: not valid YAML: {reason}.", hint="Check it with a YAML linter.") from error


def validate(model: type[M], document: YamlDocument) -> M:
    """Turn a document into a model.

    Raises:
        InputError: a field is missing, unknown or wrong; the message holds `FILE:LINE: field a.b: …` for
            each.
    """
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        kind = "a list" if isinstance(data, list) else "a single value"
        raise InputError(f"{document.where(())}: must be fields with values, not {kind}.", hint="Write `name: value`.")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise problems_error(field_problems(model, error), document) from error


def problems_error(problems: list[Problem], document: YamlDocument) -> InputError:
    """Return the InputError that lists `problems` with file, line and field."""
    lines = [f"{document.where(p.path)}: field {dotted(p.path)}: {p.message}" for p in problems[:SHOWN_PROBLEMS]]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"… and {len(problems) - SHOWN_PROBLEMS} more")
    hint = next((p.hint for p in problems if p.hint), f"Correct {document.source} and try again.")
    return InputError("\n".join(lines), hint=hint)


class _Loader(yaml.SafeLoader):
    """The safe loader, with YAML 1.2's plain scalars."""

    # Filled below; a copy, so that other users of PyYAML in the process keep their rules.
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  (as in PyYAML)

    def construct_integer(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node)
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text[2:] if base != 10 else text, base)


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        "-+.0123456789",
    ),
    ("merge", r"^(?:<<)$", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_integer)


def _lines(root: yaml.Node, source: str) -> Iterator[tuple[FieldPath, int]]:
    """Yield each value's path and line, refusing duplicate keys and unbounded expansion."""
    stack: list[tuple[yaml.Node, FieldPath, int]] = [(root, (), root.start_mark.line + 1)]
    count = 0
    while stack:
        node, path, line = stack.pop()
        count += 1
        if count > MAX_NODES or len(path) > MAX_DEPTH:
            raise InputError(
                f"{source}: expands to more than {MAX_NODES} values or {MAX_DEPTH} levels.",
                hint="Remove the aliases (`&name`, `*name`) that repeat each other.",
            )
        yield path, line
        if isinstance(node, yaml.MappingNode):
            stack.extend(_entries(node, path, source))
        elif isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            stack.extend((item, (*path, index), item.start_mark.line + 1) for index, item in items)


def _entries(node: yaml.MappingNode, path: FieldPath, source: str) -> list[tuple[yaml.Node, FieldPath, int]]:
    entries: list[tuple[yaml.Node, FieldPath, int]] = []
    seen: set[str] = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise InputError(f"{source}:{line}: a field's name must be plain text.", hint="Quote the name.")
        name = str(key.value)
        if name in seen:
            raise InputError(
                f"{source}:{line}: field {dotted((*path, name))}: given twice.", hint="Remove one of the two."
            )
        seen.add(name)
        entries.append((value, (*path, name), line))
    return entries


def dump_yaml(document: Mapping[str, Any]) -> str:
    """Write a document of JSON values as YAML that `parse_yaml` reads back as it was."""
    text: str = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=100)
    # PyYAML writes for YAML 1.1, where a text such as `1e-3` needs no quotes; JSON is YAML as well, and leaves no doubt.
    if parse_yaml(text).data != document:
        import json

        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        # What JSON may leave as it is and YAML may not, or would take for the end of a line.
        text = _UNPRINTABLE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
    return text
