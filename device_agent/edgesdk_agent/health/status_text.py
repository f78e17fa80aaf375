"""An agent's status for people, and the exit code that a script reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

# The file is written every few seconds; one that is older belongs to an agent that hangs.
_STALE_S = 900.0


def in_words(status: Mapping[str, Any]) -> str:
    """Return a status in a few lines: the state, what is not well, and the frames of each camera."""
    name, version = status.get("device", "?"), status.get("version", "?")
    if not status.get("running"):
        return f"{name}: does not run; it was {status.get('state', '?')} at {status.get('at', '?')}."
    hours = float(status.get("uptime_s") or 0.0) / 3600
    lines = [f"{name}: {status.get('state', '?')}, for {hours:.1f} h, edgesdk {version}, process {status.get('pid')}"]
    if is_stale(status):
        lines.append("  FAILING  its status is old: the agent hangs, or its status folder cannot be written")
    troubles = [one for one in status.get("findings") or [] if one.get("level") != "ok"]
    for one in troubles:
        lines.append(f"  {one['level'].upper():8} {one['reason']}")
        if one.get("hint"):
            lines.append(f"           → {one['hint']}")
    if not troubles:
        lines.append(f"  all of {len(status.get('findings') or [])} checks are well")
    governor = status.get("governor") or {}
    if governor.get("gives_up"):
        lines.append(f"  gives up: {', '.join(governor['gives_up'])}")
    cameras = (status.get("frames") or {}).get("cameras") or {}
    lines += [f"  {camera}: {_frames(counts)}" for camera, counts in cameras.items()]
    return "\n".join(lines)


def _frames(counts: Mapping[str, Any]) -> str:
    frames = counts["frames"]
    age = counts["age_ms"]["p95"]
    late = "-" if age is None else f"{age:.0f} ms"
    return (
        f"{frames['processed']} of {frames['captured']} frames, {counts['fps']:.1f} a second, age p95 {late}, "
        f"{sum(frames['dropped'].values())} dropped"
    )


def exit_code_of(found: Iterable[Mapping[str, Any]]) -> int:
    """Return 0 where every agent runs and nothing fails, else 1."""
    return 0 if all(one.get("running") and one.get("level") != "failing" and not is_stale(one) for one in found) else 1


def is_stale(status: Mapping[str, Any]) -> bool:
    """Say whether the status was written too long ago; a clock that was set back counts as well."""
    try:
        at = datetime.fromisoformat(str(status["at"]))
    except (KeyError, ValueError):
        return True
    return (datetime.now(timezone.utc) - at).total_seconds() > _STALE_S
