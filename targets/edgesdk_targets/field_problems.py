"""Put what pydantic found wrong into words: the field's path, what is wrong with it, and the name that was
meant.

The value itself is never repeated: it may be a password.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong field: where it is, what is wrong, and what to do where that is known."""

    path: FieldPath
    message: str
    hint: str = ""

    @property
    def sentence(self) -> str:
        """The path and what is wrong with it, with one mark at the end."""
        return f"{dotted(self.path)} {self.message}{'' if self.message.endswith(('.', '?', '!')) else '.'}"


def dotted(path: FieldPath) -> str:
    """Write a path as people do: `cameras[0].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "(top level)"


def closest(name: str, known: list[str]) -> str:
    """Return the known name that `name` most resembles, or an empty text."""
    matches = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    return matches[0] if matches else ""


def field_problems(model: type[BaseModel], error: ValidationError) -> list[Problem]:
    """Translate a validation error of `model`, in the order of the fields."""
    problems = []
    entries = error.errors(include_url=False, include_input=False)
    for entry in entries:
        path: FieldPath = tuple(entry["loc"])
        if entry["type"] == "too_short" and any(_is_inside(other["loc"], path) for other in entries):
            # Its values are there, and wrong: that is told by each of them.
            continue
        if entry["type"] in {"union_tag_invalid", "union_tag_not_found"}:
            problems.append(_unknown_kind(path, entry.get("ctx", {})))
        elif entry["type"] == "extra_forbidden":
            problems.append(_unknown_field(model, path))
        elif entry["type"] == "missing":
            problems.append(Problem(path, "is required, but missing"))
        else:
            problems.append(Problem(path, _lower_first(entry["msg"].removeprefix("Value error, "))))
    return problems


def what_fits(model: type[BaseModel], path: FieldPath) -> str:
    """Say which values a field takes and what it is when left out, as far as the model tells it."""
    named = [part for part in path if isinstance(part, str)]
    owners = _models_at(model, tuple(named[:-1]))
    fields = [owner.model_fields[named[-1]] for owner in owners if named and named[-1] in owner.model_fields]
    if not fields:
        return "Leave it out for the usual one."
    info = fields[0]
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    limits = [
        f"{said} {getattr(limit, name)}"
        for limit in info.metadata
        for name, said in words.items()
        if getattr(limit, name, None) is not None
    ]
    default = info.get_default(call_default_factory=False)
    told = f"Give {' and '.join(limits)}" if limits else "Correct it"
    usual = f"; left out, it is {default!r}" if isinstance(default, (bool, int, float)) else ", or leave it out"
    return f"{told}{usual}."


def _is_inside(path: FieldPath, outer: FieldPath) -> bool:
    return len(path) > len(outer) and path[: len(outer)] == outer


def _unknown_kind(path: FieldPath, told: Mapping[str, Any]) -> Problem:
    """Say which kinds a value may be of, one of which it names by a field."""
    # As pydantic writes it: `'kind' | 'pass'`, the name in the file last.
    field = str(told.get("discriminator", "")).rpartition("|")[2].strip(" '")
    if "tag" not in told:
        return Problem(path, f"{field!r} is required, but missing")
    known = [name.strip(" '") for name in str(told.get("expected_tags", "")).split(",")]
    name = str(told["tag"])
    meant = closest(name, known)
    advice = f"did you mean {meant!r}?" if meant else f"one of {', '.join(known)}"
    return Problem(path, f"{field} {name!r} is not known; {advice}")


def _unknown_field(model: type[BaseModel], path: FieldPath) -> Problem:
    known = sorted({name for owner in _models_at(model, path[:-1]) for name in _field_names(owner)})
    meant = closest(str(path[-1]), known)
    if meant:
        return Problem(path, f"is not known; did you mean {meant!r}?", f"Write {meant!r}, or remove the field.")
    return Problem(path, f"is not known; one of {', '.join(known)}" if known else "is not known")


def _field_names(model: type[BaseModel]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield info.alias or name


def _models_at(model: type[BaseModel], path: FieldPath) -> list[type[BaseModel]]:
    """Return the models that a value at `path` may be."""
    owners = [model]
    for part in path:
        found: list[type[BaseModel]] = []
        for owner in owners:
            for name, info in owner.model_fields.items():
                if part in (name, info.alias):
                    found.extend(_models_in(info.annotation))
        # An index, a dictionary's key or a union member's name stays on the same models.
        owners = found or owners
    return owners


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    arguments = typing.get_args(annotation)
    if not arguments and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in arguments:
        yield from _models_in(argument)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
