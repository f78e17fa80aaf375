"""Before the agent starts again in the same process: it waits as long as the budget asks, and leaves word to the next run."""

from __future__ import annotations

import logging
import threading
import time

from edgesdk_agent.steering.beginning import Beginning
from edgesdk_agent.steering.run_before import RunBefore, leave_for_next_run

log = logging.getLogger(__name__)


def wait_for_restart(beginning: Beginning, stop: threading.Event) -> bool:
    """Wait until the next run may begin, and say whether it shall; not if `stop` is set meanwhile."""
    wait_s = beginning.budget.wait_s(time.monotonic())
    if wait_s:
        log.warning("Was started again too often within an hour; waits %.0f s", wait_s)
    if stop.wait(wait_s):
        return False
    spent = beginning.budget.spent(time.monotonic())
    leave_for_next_run(RunBefore(runs=beginning.runs + 1, restarts=spent.at, failed=beginning.file.now.failed))
    return True
