"""User code after inference: it may change a result, or keep it back, before anybody gets it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace

from edgesdk_agent.delivery.delivery import Delivery, DeliveryCounts
from edgesdk_agent.delivery.tally import HookNews, Tally
from edgesdk_agent.delivery.wrapping import WrappingDelivery
from edgesdk_agent.frame import FrameResult


class FilteredDelivery(WrappingDelivery):
    """Deliver what a filter lets through.

    A result with which the filter fails is kept back: nobody said that it may be told.

    Args:
        function: returns the result, another one (`dataclasses.replace(frame, result=…)`), or None to keep it back.
            It runs on the pipeline's lane, so it is to be quick.
        delivery: gets what comes through.
        name: of the filter, for the log and for `on_news`.
        on_news: is told when the filter begins to fail, and when it is well again.
    """

    def __init__(
        self,
        function: Callable[[FrameResult], object],
        delivery: Delivery,
        *,
        name: str = "result_filter",
        on_news: Callable[[HookNews], None] | None = None,
    ) -> None:
        super().__init__(delivery)
        self._function = function
        self._tally = Tally(name, on_news, kind="stage")

    def __call__(self, result: FrameResult) -> None:
        """Filter a result, and deliver what comes of it."""
        self._tally.given()
        try:
            filtered = self._function(result)
        except (Exception, SystemExit):  # noqa: BLE001  (a plug-in's border: whatever a filter does, the camera goes on)
            self._tally.failed(f"at frame {result.seq}: {traceback.format_exc()}")
            return
        if filtered is None:
            self._tally.filtered()
        elif not isinstance(filtered, FrameResult):
            self._tally.failed(f"at frame {result.seq}: it returned a {type(filtered).__name__}, not a FrameResult.")
        else:
            self._tally.delivered()
            self._delivery(filtered)

    def counts(self) -> DeliveryCounts:
        """Return what became of all results: those kept back here, those with which the filter failed, and the rest."""
        mine, rest = self._tally.counts(), super().counts()
        return replace(rest, filtered=rest.filtered + mine.filtered, failed=rest.failed + mine.failed)

    def passed(self) -> DeliveryCounts:
        """Return how many results came through (delivered), were kept back (filtered), and failed."""
        return self._tally.counts()
