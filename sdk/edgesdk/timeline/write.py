"""Write a timeline to a file whose ending says what it is to be."""

from __future__ import annotations

import json
from pathlib import Path

from edgesdk.timeline.page import timeline_page
from edgesdk_agent.timeline.timeline import Timeline
from edgesdk_agent.timeline.trace_events import trace_events
from edgesdk_targets.errors import InputError
from edgesdk_targets.whole_file import check_writable, write_whole


def check_timeline_path(path: Path) -> None:
    """Refuse a file that could not be written later.

    Raises:
        InputError: its ending is unknown, or nothing can be written there.
    """
    if path.suffix not in {".html", ".json"}:
        raise InputError(f"A timeline cannot be written as {path.name}.", hint="Use .html, or .json for Perfetto.")
    check_writable(path, "--profile")


def write_timeline(timeline: Timeline, path: Path, *, title: str) -> None:
    """Write the page (`.html`) or the trace events (`.json`).

    Raises:
        InputError, NoSpace: the file cannot be written.
        MissingExtra: the page's libraries are not installed.
    """
    spans = timeline.spans()
    if path.suffix == ".json":
        write_whole(path, json.dumps(trace_events(spans), separators=(",", ":")).encode())
    else:
        timeline_page(spans, title=title, lost=timeline.lost).write(path)
