"""Read the path of a field as people write it."""

from __future__ import annotations

import re

from edgesdk_targets.errors import InputError
from edgesdk_targets.field_problems import FieldPath

_STEP = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_]*)|\[(\d{1,4})\]|\.(\d{1,4})", re.ASCII)
_LARGEST_PATH = 200


def field_path(text: str) -> FieldPath:
    """Read `cameras[0].detect_fps` (or `cameras.0.detect_fps`).

    Raises:
        InputError: it is no path of a field.
    """
    parts: list[str | int] = []
    at = 0
    while at < len(text) and len(text) <= _LARGEST_PATH:
        step = _STEP.match(text, at)
        if step is None or not _fits(step, first=at == 0):
            break
        parts.append(step[1] if step[1] is not None else int(step[2] or step[3]))
        at = step.end()
    if not parts or at < len(text):
        raise InputError(f"{text[:80]!r} is no field.", hint="Write it as telemetry.interval_s or cameras[0].fps.")
    return tuple(parts)


def _fits(step: re.Match[str], *, first: bool) -> bool:
    """Say whether a step may stand here: the first is a name alone, each other name and number follows a point."""
    if first:
        return step[1] is not None and not step[0].startswith(".")
    return step[0].startswith((".", "["))
