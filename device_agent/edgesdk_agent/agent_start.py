"""Start the agent's pipeline, and break that off where a stop comes first: user code in processes may take long to import."""

from __future__ import annotations

import logging
import threading

from edgesdk_agent.embedding import Pipeline
from edgesdk_targets.errors import EdgeError

log = logging.getLogger(__name__)

_LOOK_S = 0.1


def start_unless_stopped(pipeline: Pipeline, stop: threading.Event) -> bool:
    """Start a pipeline, and say whether it runs: it does not where `stop` was set before it did.

    Raises:
        EdgeError: it cannot start.
    """
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_S):
            if stop.is_set():
                # Once: a pipeline keeps the word, should there be nothing to break off yet.
                pipeline.request_stop()
                return

    threading.Thread(target=look, name="edgesdk-start", daemon=True).start()
    try:
        pipeline.start()
    except EdgeError as error:
        if not stop.is_set():
            raise
        log.warning("Stopped before all had started: %s", error.message)
        return False
    finally:
        over.set()
    return True
