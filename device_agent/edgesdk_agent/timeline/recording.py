"""Record where each frame's time goes in a whole run, and write it at the run's end."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesdk_agent.timeline.timeline import Timeline
from edgesdk_agent.timeline.trace_events import trace_events
from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.whole_file import check_writable, write_whole

log = logging.getLogger(__name__)


@contextmanager
def recorded(path: Path, runs_before: int = 0) -> Iterator[Timeline]:
    """Give a timeline for the block, and write it as trace events behind it, however it ends.

    What cannot be written then is told in the log: the run's own outcome stands.

    Args:
        path: of the first run's file; the second's has `.2` before its ending, and so on, so that no run's is lost.
        runs_before: of the same process.

    Raises:
        InputError: the file's ending is not `.json`, or nothing can be written there at the beginning.
    """
    if path.suffix != ".json":
        raise InputError(f"A timeline cannot be written as {path.name}.", hint="Use .json, which Perfetto opens.")
    if runs_before:
        path = path.with_suffix(f".{runs_before + 1}.json")
    check_writable(path, "--profile")
    timeline = Timeline()
    try:
        yield timeline
    finally:
        events = json.dumps(trace_events(timeline.spans()), separators=(",", ":"))
        try:
            write_whole(path, events.encode())
        except (EdgeError, OSError) as error:
            log.error("Where each frame's time went could not be written: %s", error)  # noqa: TRY400  (a full disk is no fault of ours)
        else:
            log.info("Where each frame's time went is in %s", path)
