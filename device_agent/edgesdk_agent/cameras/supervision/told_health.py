"""What is told of a supervised camera's health: by its reader's own word, or, where that hangs, by whoever looks."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgesdk_agent.cameras.camera import CameraInfo
from edgesdk_agent.cameras.supervision.health import CONNECTING, ONLINE, CameraHealth, CameraState

log = logging.getLogger(__name__)

# No reader takes this many times what it may: it hangs inside its driver or decoder.
_HUNG = 3.0
_LEAST_HUNG_S = 30.0


class ToldHealth(ABC):
    """The part of a supervised camera that says how it does.

    Args:
        description: of a camera that has not answered yet, for people; without a password.
        clock: monotonic seconds.

    Attributes:
        on_change: is told each change of `health`, on the reader's thread.
    """

    def __init__(self, description: str, clock: Callable[[], float]) -> None:
        self.on_change: Callable[[CameraHealth], None] | None = None
        self._description = description
        self._clock = clock
        self._health = CONNECTING
        # What the reader's thread is inside of, and since when; others look at it.
        self._busy_since: float | None = None

    @property
    @abstractmethod
    def info(self) -> CameraInfo:
        """What is known of the camera."""

    @property
    @abstractmethod
    def _silent_s(self) -> float:
        """How long it may be silent."""

    @property
    def health(self) -> CameraHealth:
        """How the camera does, also when its reader hangs and can tell nothing itself."""
        since, health = self._busy_since, self._health
        longest = max(_LEAST_HUNG_S, _HUNG * self._silent_s)
        if since is not None and self._clock() - since > longest:
            return CameraHealth("offline", "hung", f"{self.info.description}: its reader does not return.")
        return health

    @property
    def state(self) -> CameraState:
        """The one word of `health`."""
        return self.health.state

    @contextmanager
    def _in_driver(self) -> Iterator[None]:
        """Do what may hang in a driver, so that others see since when."""
        self._busy_since = self._clock()
        try:
            yield
        finally:
            self._busy_since = None

    def _tell(self, health: CameraHealth) -> None:
        changed = (health.state, health.cause) != (self._health.state, self._health.cause)
        self._health = health
        if changed:
            described = f": {health.message}" if health.message else ""
            log.log(
                logging.INFO if health is ONLINE else logging.WARNING,
                "%s is %s%s",
                self.info.description or self._description,
                health.state,
                described,
            )
            if self.on_change is not None:
                self.on_change(health)
