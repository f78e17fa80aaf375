"""What somebody asks from afar to be set: by dotted path, flat, and nothing that is closed to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from edgesdk_agent.config.commands import CommandsSection
from edgesdk_agent.config.field_path import field_path
from edgesdk_agent.config.loading import LoadedConfig
from edgesdk_agent.config.origin import leaves
from edgesdk_agent.config.overlay import checked_values
from edgesdk_targets.errors import InputError
from edgesdk_targets.field_problems import dotted


def flat(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a value for each field, by its path as it is written once and for all; None stays what it is.

    Raises:
        InputError: a path is none, or a value is not for this door; see `checked_values`.
    """
    checked_values(values)
    found: dict[str, JsonValue] = {}
    for text, value in values.items():
        path = field_path(text)
        if value is None:
            found[dotted(path)] = None
        for rest, leaf in leaves(value):
            found[dotted((*path, *rest))] = leaf  # type: ignore[assignment]  # a leaf of JSON is JSON
    return found


def beside(known: Mapping[str, JsonValue], new: Iterable[str]) -> dict[str, JsonValue]:
    """Return what stays of the values known so far: those that are neither above nor below a new one."""
    asked = tuple(new)
    return {path: value for path, value in known.items() if not any(_overlap(path, one) for one in asked)}


def check_allowed(asked: Iterable[str], commands: CommandsSection, loaded: LoadedConfig) -> None:
    """Refuse fields that may not be set from afar, or that a stronger place fixes.

    Raises:
        InputError: one is such a field.
    """
    for path in asked:
        # A bundle has a door of its own, which takes names and no paths.
        if path != "bundle" and not commands.may_set(path):
            allowed = ", ".join(commands.settable)
            raise InputError(f"{path} may not be set from afar.", hint=f"commands.settable allows {allowed}.")
        setting = loaded.settings.get(field_path(path))
        if setting is not None and setting.origin.startswith(("flag ", "environment ")):
            raise InputError(f"{path} is fixed by {setting.origin}.", hint="Change it there.")


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith((f"{other}.", f"{other}[")) or other.startswith((f"{one}.", f"{one}["))
