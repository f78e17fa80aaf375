"""A command as people write it: `pause door`, `set telemetry.interval_s=5`, `logs count=20 level=warning`."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from edgesdk_targets.errors import InputError
from edgesdk_targets.yaml_file import parse_yaml

# What a single word without `name=` means; of verbs that are not listed it is refused.
_ALONE = {
    "pause": "camera",
    "resume": "camera",
    "snapshot": "camera",
    "clip": "camera",
    "upload": "id",
    "log-level": "level",
    "logs": "count",
    "bundle": "name",
    "update": "address",
}


def arguments_from(verb: str, words: Sequence[str], *, restart: bool = False) -> dict[str, JsonValue]:
    """Read the arguments of a verb; values are YAML, so that `5` is a number and `[a, b]` a list.

    Raises:
        InputError: a word is neither `name=value` nor what the verb takes alone.
    """
    named: dict[str, JsonValue] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            if verb not in _ALONE or len(words) != 1:
                raise InputError(f"{word!r} is no argument of {verb}.", hint="Write name=value.")
            name, text = _ALONE[verb], word
        named[name] = (
            text
            if name in {"camera", "name", "level", "id", "at", "address"}
            else parse_yaml(text, source=f"argument {name}").data
        )
    if verb == "set":
        # Fields of the configuration have names of their own choosing: they travel apart from the verb's arguments.
        return {"values": {**named}, **({"restart": True} if restart else {})}
    return named
