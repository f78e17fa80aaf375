"""A model that is suddenly slow, as on a device that is throttled: the agent gets a part of its processor time only.

The whole agent is stopped and let go on many times a second, which is what a processor at a tenth of its clock looks
like from inside. Nothing in the agent knows of it.
"""

from __future__ import annotations

import signal
import threading

from edgesdk.soak.field import Field

_STOPPED_S = 0.18
_RUNS_S = 0.02


class SlowInference:
    """The agent runs a tenth of the time while it lasts."""

    name = "slow-inference"
    lasts_s = 10.0
    may_end_agent = False
    may_lose: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def missing(self, field: Field) -> str:  # noqa: ARG002  (the same for all)
        return ""

    def begin(self, field: Field) -> None:
        self._over.clear()
        self._thread = threading.Thread(target=self._slow_down, args=(field,), name="edgesdk-soak-slow", daemon=True)
        self._thread.start()

    def end(self, field: Field) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(5.0)
        field.agent.signal(signal.SIGCONT)

    def _slow_down(self, field: Field) -> None:
        while not self._over.is_set():
            field.agent.signal(signal.SIGSTOP)
            self._over.wait(_STOPPED_S)
            field.agent.signal(signal.SIGCONT)
            self._over.wait(_RUNS_S)
