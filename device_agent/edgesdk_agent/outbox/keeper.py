"""The thread that gives the outbox its time."""

from __future__ import annotations

import logging
import threading
import traceback

from edgesdk_agent.outbox.outbox import Outbox

log = logging.getLogger(__name__)


class Keeper:
    """Calls the outbox's `step` some times in a sync interval, and closes it at the end."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        # What failed last, and how often since it worked.
        self._fault = ""
        self._in_a_row = 0
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
            except Exception as error:  # noqa: BLE001  (the thread's top: whatever it is, the next step is tried)
                self._failed(error)
            else:
                self._works()
        self._outbox.close()

    def _failed(self, error: Exception) -> None:
        """Tell a fault once until it is another one: the same comes several times a second, and would fill the log."""
        self._outbox.failed_steps += 1
        self._in_a_row += 1
        last = traceback.extract_tb(error.__traceback__)[-1]
        fault = f"{type(error).__name__} in {last.filename}:{last.lineno}: {error}"
        if fault != self._fault:
            self._fault = fault
            log.error("The outbox failed, and tries again", exc_info=error)

    def _works(self) -> None:
        if self._in_a_row:
            log.warning("The outbox works again, after %d failed steps", self._in_a_row)
            self._in_a_row, self._fault = 0, ""
