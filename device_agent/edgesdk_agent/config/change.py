"""What differs between two configurations, and which part of the running agent takes it on.

A field that no part takes on needs a restart. Rule: a change is made whole, or refused whole with the fields that would
need a restart; nobody has to find out which half of a file is in effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, SecretStr

from edgesdk_agent.config.field_table import PARTS, part_of
from edgesdk_agent.config.root import AgentConfig


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs.

    Attributes:
        part: of the agent that can take it on while it runs; empty where it needs a restart.
    """

    path: str
    part: str


def changes(before: AgentConfig, after: AgentConfig) -> tuple[Change, ...]:
    """Return every field that differs, in the order of the configuration."""
    return tuple(Change(path, part_of(path)) for path in _differing(before, after, ""))


def needing_restart(found: Iterable[Change]) -> tuple[str, ...]:
    """Return the fields that no part takes on."""
    return tuple(change.path for change in found if not change.part)


def parts_of(found: Iterable[Change]) -> tuple[str, ...]:
    """Return the parts that have something to take on, in the order in which they do."""
    wanted = {change.part for change in found}
    return tuple(part for part in PARTS if part in wanted)


def _differing(before: object, after: object, path: str) -> list[str]:
    if isinstance(before, BaseModel) and type(before) is type(after):
        return [
            found
            for name in type(before).model_fields
            for found in _differing(getattr(before, name), getattr(after, name), f"{path}.{name}" if path else name)
        ]
    if isinstance(before, tuple) and isinstance(after, tuple) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [found for index, (one, other) in pairs for found in _differing(one, other, f"{path}[{index}]")]
    return [] if _plain(before) == _plain(after) else [path]


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
