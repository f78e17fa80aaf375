"""A thread that looks for user code that does not return, and lets another one take the place of the one it holds."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from edgesdk_agent.delivery.watched_calls import Watched
from edgesdk_agent.pipeline.crew import Crew

# Often enough that a hang is told soon after its time, and seldom enough to cost nothing.
_LOOKS_IN_TIMEOUT = 4
_LONGEST_S = 1.0


class HangWatch:
    """Look at user code that the pipeline's threads call, until the pipeline has ended; without any, do nothing.

    Args:
        watched: the user code.
        crew: whose threads call it.
    """

    def __init__(self, watched: Iterable[Watched], crew: Crew) -> None:
        self._watched = tuple(watched)
        self._crew = crew

    def start(self) -> None:
        """Begin to look."""
        if self._watched:
            threading.Thread(target=self._run, name="edgesdk-hangs", daemon=True).start()

    def under_way(self) -> list[str]:
        """Return the names of the user code that holds a thread just now."""
        return [name for one in self._watched if (name := one.under_way())]

    def _run(self) -> None:
        interval_s = min(_LONGEST_S, *(one.timeout_s / _LOOKS_IN_TIMEOUT for one in self._watched))
        while not self._crew.over.wait(interval_s):
            for one in self._watched:
                one.look(self._crew.replace)
