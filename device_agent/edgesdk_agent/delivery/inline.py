"""A hook that is called on the pipeline's own thread: no hand-over, and no protection from a slow one.

One that hangs holds the pipeline, and is told while it does.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from edgesdk_agent.delivery.delivery import Delivery, DeliveryCounts
from edgesdk_agent.delivery.plain_function import check_plain
from edgesdk_agent.delivery.tally import HookNews, Tally
from edgesdk_agent.delivery.watched_calls import USUAL_TIMEOUT_S, Replace, UserCode
from edgesdk_agent.frame import FrameResult
from edgesdk_targets.errors import InputError


class InlineDelivery:
    """Call the hook where the result is.

    Args:
        hook: what it raises is counted and told once, and the pipeline goes on; what it holds up is held up.
        name: of the hook, for the log and for `on_news`.
        timeout_s: a call that takes longer is told as hung.
        on_news: is told when the hook begins to fail or hangs, and when it is well again.
    """

    def __init__(
        self,
        hook: Callable[[FrameResult], object],
        *,
        name: str = "on_result",
        timeout_s: float = USUAL_TIMEOUT_S,
        on_news: Callable[[HookNews], None] | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self._hook = hook
        self._tally = Tally(name, on_news)
        # When the present call began, of which frame; None between calls. Told is the last one that was told as hung.
        self._call: tuple[float, FrameResult] | None = None
        self._told: tuple[float, FrameResult] | None = None

    def start(self) -> None:
        """Nothing to start."""

    def __call__(self, result: FrameResult) -> None:
        """Call the hook."""
        self._tally.given()
        self._call = (time.monotonic(), result)
        try:
            self._hook(result)
        except (Exception, SystemExit):  # noqa: BLE001  (a plug-in's border: whatever a hook does, the camera goes on)
            self._tally.failed(f"at frame {result.seq}: {traceback.format_exc()}")
        else:
            self._tally.delivered()
        finally:
            self._call = None

    def close(self, timeout_s: float) -> None:
        """Nothing waits."""

    def counts(self) -> DeliveryCounts:
        """Return what happened so far."""
        return self._tally.counts()

    def user_code(self) -> Iterable[UserCode]:
        """Return this hook."""
        return (self,)

    def look(self, _replace: Replace, /) -> None:
        """Tell a call that hangs. Its thread stays: who asks to be called here is promised to be called nowhere else."""
        call = self._call
        if call is None or call is self._told or time.monotonic() - call[0] < self.timeout_s:
            return
        self._told = call
        message = f"It has not returned within {self.timeout_s:g} s from frame {call[1].seq} of {call[1].camera}"
        self._tally.trouble("hung", f"{message}; the pipeline waits for it. A thread or a process would hold nothing.")

    def under_way(self) -> str:
        """Return the hook's name while it is being called."""
        return self._tally.hook if self._call is not None else ""

    def left_out(self) -> Mapping[str, str]:
        """No camera is left out: the pipeline waits."""
        return {}


def delivery_of(on_result: object) -> Delivery:
    """Return what was given as a delivery: itself, or a callable on the pipeline's own thread.

    Raises:
        InputError: it is neither, or an `async def`.
    """
    if not callable(on_result):
        message = f"`on_result` is to be a function or a delivery, not {on_result!r}."
        raise InputError(message, hint="Leave it out to take the results in a loop.")
    # A callable object may have a `counts` of its own; a delivery has all three.
    is_delivery = all(callable(getattr(on_result, name, None)) for name in ("start", "close", "counts"))
    if is_delivery:
        return cast("Delivery", on_result)
    check_plain(on_result, "`on_result`")
    return InlineDelivery(on_result)
