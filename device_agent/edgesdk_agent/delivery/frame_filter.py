"""User code before inference: it may change a picture, or say that the model need not see it.

Here it runs on the preprocessing thread, between capture and the model's own preprocessing: there a frame that is late is
replaced by a newer one. So it is to be quick: drawing over a region, comparing with the last picture. What it holds up, all
cameras wait for, until it counts as hung: then another thread prepares, and only the camera with whose frame it hangs is
left out (docs/decisions/0016). What is not quick, or not to be trusted, is asked in processes: `frame_filter_process`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from typing import Any, Literal

from edgesdk_agent.delivery.delivery import DeliveryCounts
from edgesdk_agent.delivery.stage_returns import is_picture, no_picture
from edgesdk_agent.delivery.tally import HookNews, Tally
from edgesdk_agent.delivery.watched_calls import USUAL_TIMEOUT_S, UserCode, WatchedCalls
from edgesdk_agent.frame import Frame
from edgesdk_targets.tensor import Array

# Why a frame is left out. One with which the function failed is left out too: nobody said that it may be seen.
Left = Literal["filtered", "filter_failed"]


class FrameFilter:
    """Ask the user's code what the model is to see of a frame; a filter is of one pipeline, as it knows cameras by name.

    Args:
        function: is given the frame, whose picture it may write into, and returns a picture, (H, W, 3) uint8 BGR, or
            None where the frame is to be left out. Boxes of the result are in pixels of what it returns. What it returns
            must stay as it is until the frame's result is delivered: the frame's own picture, or a new one.
        name: of the filter, for the log and for `on_news`.
        timeout_s: a call that takes longer is told as hung.
        on_news: is told when it begins to fail or hangs, and when it is well again.
    """

    def __init__(
        self,
        function: Callable[[Frame], Array | None],
        *,
        name: str = "on_frame",
        timeout_s: float = USUAL_TIMEOUT_S,
        on_news: Callable[[HookNews], None] | None = None,
    ) -> None:
        self._function = function
        self._tally = Tally(name, on_news, kind="stage")
        self._calls = WatchedCalls(self._tally, timeout_s, "no frame is shown to the model")

    def __call__(self, frame: Frame) -> Array | Left:
        """Return what the model is to see, or why it is to see nothing.

        Raises:
            LetGo: the call was written off as hung, and another thread does this one's work.
        """
        self._tally.given()
        if not self._calls.begin(frame.camera, frame.seq):
            self._tally.dropped()
            return "filter_failed"
        try:
            try:
                picture: Any = self._function(frame)
            finally:
                self._calls.end(frame.camera)
        except (Exception, SystemExit):  # noqa: BLE001  (a plug-in's border: whatever a filter does, the camera goes on)
            self._tally.failed(f"at frame {frame.seq}: {traceback.format_exc()}")
            return "filter_failed"
        if picture is None:
            self._tally.filtered()
            return "filtered"
        if not is_picture(picture):
            self._tally.failed(f"at frame {frame.seq}: {no_picture(picture)}")
            return "filter_failed"
        self._tally.delivered()
        seen: Array = picture
        return seen

    def user_code(self) -> Iterable[UserCode]:
        """Return the filter's calls."""
        return (self._calls,)

    def counts(self) -> DeliveryCounts:
        """Return how many frames went on (delivered), were left out (filtered), failed, hung, or came meanwhile (dropped)."""
        return self._tally.counts()
