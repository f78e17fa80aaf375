"""Results on their way to everybody, with the numbers of the objects in them."""

from __future__ import annotations

import logging
import threading

from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.delivery.wrapping import WrappingDelivery
from edgesdk_agent.events.scenes import Scenes
from edgesdk_agent.frame import FrameResult

log = logging.getLogger(__name__)

_LOOK_S = 0.5


class TrackedDelivery(WrappingDelivery):
    """Deliver each result after the scenes took it in; a thread looks for cameras that give none.

    Args:
        scenes: gives objects their numbers, and tells what happens.
        delivery: gets the results.
    """

    def __init__(self, scenes: Scenes, delivery: Delivery) -> None:
        super().__init__(delivery)
        self._scenes = scenes
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, name="edgesdk-scenes", daemon=True)

    def start(self) -> None:
        """Start what gets the results."""
        super().start()
        self._thread.start()

    def __call__(self, result: FrameResult) -> None:
        """Follow the objects of a result, and deliver it."""
        self._delivery(self._scenes.follow(result))

    def close(self, timeout_s: float) -> None:
        """End all events, and close what gets the results."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self._scenes.close()
        super().close(timeout_s)

    def _look(self) -> None:
        while not self._closed.wait(_LOOK_S):
            try:
                self._scenes.let_time_pass()
            except Exception:  # the thread's top: who looks once less looks again
                log.exception("Looking for cameras that stand still failed")
