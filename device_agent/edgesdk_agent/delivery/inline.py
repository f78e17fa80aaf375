"""A hook that is called on the pipeline's own thread: no hand-over, and no protection from a slow one."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import cast

from edgesdk_agent.delivery.delivery import Delivery, DeliveryCounts
from edgesdk_agent.delivery.tally import HookNews, Tally
from edgesdk_agent.frame import FrameResult
from edgesdk_targets.errors import InputError


class InlineDelivery:
    """Call the hook where the result is.

    Args:
        hook: what it raises is counted and told once, and the pipeline goes on; what it holds up is held up.
        name: of the hook, for the log and for `on_news`.
        on_news: is told when the hook begins to fail, and when it is well again.
    """

    def __init__(
        self,
        hook: Callable[[FrameResult], object],
        *,
        name: str = "on_result",
        on_news: Callable[[HookNews], None] | None = None,
    ) -> None:
        self._hook = hook
        self._tally = Tally(name, on_news)

    def start(self) -> None:
        """Nothing to start."""

    def __call__(self, result: FrameResult) -> None:
        """Call the hook."""
        self._tally.given()
        try:
            self._hook(result)
        except (Exception, SystemExit):  # noqa: BLE001  (a plug-in's border: whatever a hook does, the camera goes on)
            self._tally.failed(f"at frame {result.seq}: {traceback.format_exc()}")
        else:
            self._tally.delivered()

    def close(self, timeout_s: float) -> None:
        """Nothing waits."""

    def counts(self) -> DeliveryCounts:
        """Return what happened so far."""
        return self._tally.counts()


def delivery_of(on_result: object) -> Delivery:
    """Return what was given as a delivery: itself, or a callable on the pipeline's own thread.

    Raises:
        InputError: it is neither.
    """
    if not callable(on_result):
        message = f"`on_result` is to be a function or a delivery, not {on_result!r}."
        raise InputError(message, hint="Leave it out to take the results in a loop.")
    # A callable object may have a `counts` of its own; a delivery has all three.
    is_delivery = all(callable(getattr(on_result, name, None)) for name in ("start", "close", "counts"))
    return cast("Delivery", on_result) if is_delivery else InlineDelivery(on_result)
