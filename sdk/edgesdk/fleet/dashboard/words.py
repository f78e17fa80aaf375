"""Figures, times and states as people read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

# Where there is no figure.
NONE = "\N{EN DASH}"
STATES: Mapping[str, str] = {
    "online": "Online",
    "degraded": "Degraded",
    "updating": "Updating",
    "offline": "Offline",
    "never_seen": "Never seen",
    "revoked": "Revoked",
}


def figure(value: float | None, digits: int = 0, unit: str = "") -> str:
    """Write a figure with its unit; a dash where there is none."""
    return NONE if value is None else f"{value:,.{digits}f}{f' {unit}' if unit else ''}"


def size(value: float | None) -> str:
    """Write a number of bytes."""
    if value is None:
        return NONE
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if unit in ("B", "kB") else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def ago(at_ms: int | None, now_ms: int) -> str:
    """Say how long ago something was."""
    if at_ms is None:
        return "never"
    seconds = (now_ms - at_ms) / 1000
    if seconds < -5:
        return "in " + duration(-seconds)
    return "now" if seconds < 5 else f"{duration(seconds)} ago"


def duration(seconds: float) -> str:
    """Say how long something lasts, in its largest unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def iso(at_ms: int | None) -> str:
    """Write a time for machines; pages turn it into the reader's own time."""
    return "" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, timezone.utc).isoformat(timespec="seconds")


def clock(at_ms: int | None) -> str:
    """Write a time in UTC, for who has no scripts."""
    return NONE if at_ms is None else datetime.fromtimestamp(at_ms / 1000, timezone.utc).strftime("%d %b %H:%M:%S")


def plain(value: Any) -> str:
    """Write a JSON value on one line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def alert_says(rule: str, kind: str, value: float | None) -> str:
    """Say what an alert is about: its rule, and the figure at its worst."""
    if value is None:
        return rule
    figures = {
        "offline_for": lambda: f"offline for {duration(value)}",
        "age_over": lambda: f"results {value:,.0f} ms old",
        "temperature_over": lambda: f"{value:.1f} °C",
        "fps_under": lambda: f"{value:.0%} of its usual rate",
    }
    return f"{rule}: {figures[kind]()}" if kind in figures else rule
