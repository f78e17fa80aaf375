"""What one hook or stage did with its results, and how it is: counted always, told only when it changes.

A hook that raises once a frame must not fill the log or the broker, and one that raises every other frame must not be
told as well and failing in turns: it counts as well again after a while without any trouble.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edgesdk_agent.delivery.delivery import DeliveryCounts, HookState

log = logging.getLogger(__name__)

# A hook is given results beside the pipeline; a stage stands in their way.
HookKind = Literal["hook", "stage"]

# Without trouble for so long, a hook is well again.
_WELL_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class HookNews:
    """A hook's or a stage's state changed.

    Attributes:
        hook: its name.
        state: from now on.
        message: what happened, one line.
        kind: which of both it is.
    """

    hook: str
    state: HookState
    message: str
    kind: HookKind = "hook"


class Tally:
    """Counts what became of results, and tells a change of state once; any thread may call.

    Args:
        hook: its name, for the log and for `on_news`.
        kind: what the log is to call it.
        on_news: is told each change of state, on the thread that met it.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        hook: str,
        on_news: Callable[[HookNews], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        kind: HookKind = "hook",
    ) -> None:
        self.hook = hook
        self.kind = kind
        self._on_news = on_news
        self._clock = clock
        self._lock = threading.Lock()
        self._delivered = self._failed = self._hung = self._dropped = self._filtered = self._waiting = 0
        self._held = 0
        self._state: HookState = "well"
        self._trouble_at = 0.0

    @property
    def state(self) -> HookState:
        return self._state

    def given(self) -> None:
        """Count a result that was handed over."""
        with self._lock:
            self._waiting += 1

    def dropped(self, results: int = 1) -> None:
        """Count results that the hook never saw."""
        with self._lock:
            self._waiting -= results
            self._dropped += results

    def filtered(self) -> None:
        """Count what a stage kept back on purpose."""
        with self._lock:
            self._waiting -= 1
            self._filtered += 1

    def delivered(self) -> None:
        """Count a result that the hook took."""
        with self._lock:
            self._waiting -= 1
            self._delivered += 1
            in_trouble = self._state not in {"well", "given_up"}
            well_again = in_trouble and not self._held and self._clock() - self._trouble_at >= _WELL_AFTER_S
            if well_again:
                self._state = "well"
        if well_again:
            self._tell("well", "It works again.")

    def failed(self, message: str) -> None:
        """Count a result with which the hook raised."""
        with self._lock:
            self._waiting -= 1
            self._failed += 1
        self.trouble("failing", message)

    def crashed(self, message: str) -> None:
        """Count a result with which the hook's process ended."""
        with self._lock:
            self._waiting -= 1
            self._failed += 1
        self.trouble("crashed", message)

    def hung(self, message: str) -> None:
        """Count a result from which the hook did not return in time."""
        with self._lock:
            self._waiting -= 1
            self._hung += 1
        self.trouble("hung", message)

    def held(self, calls: int) -> None:
        """Count calls that hang from now on, or, below 0, that are back: while one hangs, nothing is well again."""
        with self._lock:
            self._held += calls

    def trouble(self, state: HookState, message: str) -> None:
        """Note that the hook is in this state, and tell it if it is a change."""
        with self._lock:
            self._trouble_at = self._clock()
            if self._state in {state, "given_up"}:
                return
            self._state = state
        self._tell(state, message)

    def counts(self) -> DeliveryCounts:
        """Return what happened so far."""
        with self._lock:
            return DeliveryCounts(
                delivered=self._delivered,
                failed=self._failed,
                hung=self._hung,
                dropped=self._dropped,
                waiting=self._waiting,
                filtered=self._filtered,
            )

    def _tell(self, state: HookState, message: str) -> None:
        lines = message.splitlines() or [""]
        level = logging.INFO if state == "well" else logging.WARNING
        log.log(level, "%s %s is %s: %s", self.kind, self.hook, state.replace("_", " "), message)
        if self._on_news is None:
            return
        try:
            self._on_news(HookNews(self.hook, state, lines[-1].strip(), self.kind))
        except (
            Exception
        ):  # a plug-in's border: what is told happened, whoever hears it, and others are still to be told
            log.exception("Whoever is told of the %s %s raised", self.kind, self.hook)
