"""Record where each frame's time goes in a whole run, and write it at the run's end."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesdk_agent.timeline.timeline import Timeline
from edgesdk_agent.timeline.trace_events import trace_events
from edgesdk_targets.errors import InputError
from edgesdk_targets.whole_file import check_writable, write_whole

log = logging.getLogger(__name__)


@contextmanager
def recorded(path: Path) -> Iterator[Timeline]:
    """Give a timeline for the block, and write it as trace events behind it, however it ends.

    Raises:
        InputError: the file's ending is not `.json`, or nothing can be written there.
        NoSpace: there is no room for it.
    """
    if path.suffix != ".json":
        raise InputError(f"A timeline cannot be written as {path.name}.", hint="Use .json, which Perfetto opens.")
    check_writable(path, "--profile")
    timeline = Timeline()
    try:
        yield timeline
    finally:
        write_whole(path, json.dumps(trace_events(timeline.spans()), separators=(",", ":")).encode())
        log.info("Where each frame's time went is in %s", path)
