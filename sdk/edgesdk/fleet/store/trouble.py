"""What work in rounds says of a store that is locked, full or away: one line, once, until the trouble is over or another one."""

from __future__ import annotations

import logging

from edgesdk.fleet.store.failures import passing


class Trouble:
    """Tells a log what went wrong in one kind of work, which is done again.

    Args:
        what: in words, "roll-outs" …
    """

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log, self._what = log, what
        self._said = ""

    def say(self, error: Exception) -> None:
        """Tell what went wrong; with all that Python knows of it only where it is no passing trouble of the store."""
        words = passing(error)
        if not words:
            self._log.error("%s failed, and is tried again", self._what, exc_info=error)
        elif words != self._said:
            self._log.warning("%s: %s. It is tried again.", self._what, words)
        self._said = words

    def over(self) -> None:
        """Note that the work was done."""
        self._said = ""
