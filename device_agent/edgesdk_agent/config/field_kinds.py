"""Which fields of the configuration are paths, and which are secret: read off their types, so that no list can forget one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr

from edgesdk_agent.config.root import AgentConfig
from edgesdk_targets.field_problems import FieldPath

# Stands for any place of a list.
ANY_PLACE = "[]"


def is_path(path: FieldPath) -> bool:
    """Say whether a field names a file or a folder, which in the file is relative to it."""
    return _pattern(path) in _fields(Path)


def is_secret(path: FieldPath) -> bool:
    """Say whether a field's value must not be shown."""
    return _pattern(path) in _fields(SecretStr)


def _pattern(path: FieldPath) -> tuple[str, ...]:
    return tuple(ANY_PLACE if isinstance(part, int) else part for part in path)


@cache
def _fields(kind: type) -> frozenset[tuple[str, ...]]:
    return frozenset(_below(AgentConfig, kind, ()))


def _below(annotation: Any, kind: type, at: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if annotation is kind:
        yield at
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield from _below(field.annotation, kind, (*at, name))
    elif get_origin(annotation) in {tuple, list}:
        for inner in get_args(annotation):
            yield from _below(inner, kind, (*at, ANY_PLACE))
    else:
        # `X | None`, and what is annotated; of a mapping the values, under whatever name.
        for inner in get_args(annotation):
            yield from _below(inner, kind, at)
