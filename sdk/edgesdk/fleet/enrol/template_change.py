"""What a template says now and did not say when a device was given its file, as fields that can be laid over it: pure.

A device's file is its own and is written when it enrols. What has changed since reaches it as a desired state: new values
by dotted path, one path a value. What cannot be said so is named instead: another bundle comes by a roll-out, and a field or
a camera that went away by enrolling again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgesdk.fleet.enrol.templates import Document

# As many as a desired state may hold.
MAX_FIELDS = 256
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_AGAIN = "enrol the device again"
_BUNDLE = "bundle: another one comes by a roll-out"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be laid over a device's file.

    Attributes:
        fields: new values by dotted path, as `telemetry.interval_s` or `cameras[0].fps`.
        left: what cannot be laid over, each with the reason.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    left: tuple[str, ...] = ()


def change(given: Document, wanted: Document) -> Change:
    """Return what leads from the file that a device was given to the one that is wanted."""
    fields: dict[str, Any] = {}
    left: list[str] = []
    for path, value, reason in _differences(given, wanted, ""):
        if reason:
            left.append(f"{path}: {reason}")
        elif path == "bundle":
            left.append(_BUNDLE)
        else:
            fields[path] = value
    if len(fields) > MAX_FIELDS:
        return Change({}, (f"{len(fields)} fields differ: {_AGAIN}", *left))
    return Change(fields, tuple(left))


def _differences(given: Any, wanted: Any, path: str) -> Iterator[tuple[str, Any, str]]:
    """Yield each path that differs with its new value, or with the reason why none can be laid over it."""
    if isinstance(given, dict) and isinstance(wanted, dict):
        yield from _of_section(given, wanted, f"{path}." if path else "")
    elif isinstance(given, list) and isinstance(wanted, list):
        if len(given) != len(wanted):
            yield path, None, f"has {len(wanted)} entries instead of {len(given)}: {_AGAIN}"
            return
        for index, (one, other) in enumerate(zip(given, wanted, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]")
    elif given != wanted or type(given) is not type(wanted):
        yield from _leaves(wanted, path)


def _of_section(given: Document, wanted: Document, above: str) -> Iterator[tuple[str, Any, str]]:
    for name, value in wanted.items():
        if name in given and given[name] == value:
            continue
        if not _NAME.fullmatch(name):
            yield above + name, None, f"is no field of its own: {_AGAIN}"
        elif name in given:
            yield from _differences(given[name], value, above + name)
        else:
            yield from _leaves(value, above + name)
    for name in sorted(given.keys() - wanted.keys()):
        yield above + name, None, f"is not wanted any more: {_AGAIN}"


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any, str]]:
    if isinstance(value, str) and "${" in value:
        yield path, None, f"names a secret of the device: {_AGAIN}"
    elif isinstance(value, dict) and value and all(_NAME.fullmatch(name) for name in value):
        for name, one in value.items():
            yield from _leaves(one, f"{path}.{name}")
    elif isinstance(value, (dict, list)) and _names_secret(value):
        yield path, None, f"names a secret of the device: {_AGAIN}"
    else:
        yield path, value, ""


def _names_secret(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return "${" in value if isinstance(value, str) else any(map(_names_secret, inner))
