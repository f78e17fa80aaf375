"""The thread that gives the outbox its time."""

from __future__ import annotations

import logging
import threading

from edgesdk_agent.outbox.outbox import Outbox

log = logging.getLogger(__name__)


class Keeper:
    """Calls the outbox's `step` some times in a sync interval, and closes it at the end."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgesdk-outbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Write the rest and close; a card that does not answer holds it no longer than `timeout_s`. May be called twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.wait(self._outbox.settings.sync_interval_s / 5):
            try:
                self._outbox.step()
            except Exception:  # the thread's top: whatever it is, the next step is tried
                log.exception("The outbox failed")
        self._outbox.close()
