"""A thread that looks for user code that does not return, and lets another one take the place of the one it holds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from edgesdk_agent.delivery.watched_calls import UserCode, Watched
from edgesdk_agent.pipeline.crew import Crew

log = logging.getLogger(__name__)

# Often enough that a hang is told soon after its time, and seldom enough to cost nothing.
_LOOKS_IN_TIMEOUT = 4
_LONGEST_S = 1.0
_SHORTEST_S = 0.02


class HangWatch:
    """Look at user code that the pipeline's threads call, until the pipeline has ended; without any, do nothing.

    Args:
        user_code: all that may hold the pipeline, also what is watched otherwise.
        crew: whose threads call it.
    """

    def __init__(self, user_code: Iterable[UserCode], crew: Crew) -> None:
        self._user_code = tuple(user_code)
        self._watched = tuple(one for one in self._user_code if isinstance(one, Watched))
        self._crew = crew

    def start(self) -> None:
        """Begin to look."""
        if not self._watched:
            return
        try:
            threading.Thread(target=self._run, name="edgesdk-hangs", daemon=True).start()
        except RuntimeError as error:
            log.error("User code that hangs will not be told, and will hold the pipeline: %s", error)  # noqa: TRY400  (it says all)

    def under_way(self) -> list[str]:
        """Return the names of the user code that holds a thread just now."""
        return [name for one in self._user_code if (name := one.under_way())]

    def left_out(self) -> dict[str, str]:
        """Return the cameras whose frames are lost while user code hangs with one of them, and that code's name."""
        return {camera: name for one in self._user_code for camera, name in one.left_out().items()}

    def _run(self) -> None:
        quickest_s = min(one.timeout_s for one in self._watched) / _LOOKS_IN_TIMEOUT
        interval_s = max(_SHORTEST_S, min(_LONGEST_S, quickest_s))
        while not self._crew.over.wait(interval_s):
            for one in self._watched:
                try:
                    one.look(self._crew.replace)
                except Exception:  # who is told of a hang may raise; the next one is looked for all the same
                    log.exception("A hang could not be told")
