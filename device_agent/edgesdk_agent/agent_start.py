"""Start the agent's pipeline, and break that off where a stop comes first: user code in processes may take long to import."""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue

from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.stop_request import StopRequest
from edgesdk_targets.errors import EdgeError

log = logging.getLogger(__name__)


def start_unless_stopped(pipeline: Pipeline, stop: StopRequest) -> bool:
    """Start a pipeline, and say whether it runs: it does not where `stop` was set before it did.

    Raises:
        EdgeError: it cannot start.
    """
    # What comes first of both. Not an event: a signal handler may interrupt this queue's `put`, and put something itself.
    stopped_first = SimpleQueue[bool]()

    def break_off() -> None:
        if stopped_first.get():
            # Not in the signal handler, which may have interrupted who holds what this needs. Once: a pipeline keeps the
            # word, should there be nothing to break off yet.
            pipeline.request_stop()

    threading.Thread(target=break_off, name="edgesdk-start", daemon=True).start()
    try:
        with stop.telling(lambda: stopped_first.put(True)):
            pipeline.start()
    except EdgeError as error:
        if not stop.is_set():
            raise
        log.warning("Stopped before all had started: %s", error.message)
        return False
    finally:
        stopped_first.put(False)
    return True
