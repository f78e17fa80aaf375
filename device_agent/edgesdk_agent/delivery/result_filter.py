"""User code after inference: it may change a result, or keep it back, before anybody gets it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace

from edgesdk_agent.delivery.delivery import Delivery, DeliveryCounts
from edgesdk_agent.delivery.stage_returns import no_result
from edgesdk_agent.delivery.tally import HookNews, Tally
from edgesdk_agent.delivery.watched_calls import USUAL_TIMEOUT_S, UserCode, WatchedCalls, user_code_in
from edgesdk_agent.delivery.wrapping import WrappingDelivery
from edgesdk_agent.frame import FrameResult


class FilteredDelivery(WrappingDelivery):
    """Deliver what a filter lets through.

    A result with which the filter fails is kept back: nobody said that it may be told.

    Args:
        function: returns the result, another one (`dataclasses.replace(frame, result=…)`), or None to keep it back.
            It runs on the pipeline's lane, so it is to be quick. Where it hangs, another lane goes on, and the results of
            the camera with whose result it hangs are kept back.
        delivery: gets what comes through.
        name: of the filter, for the log and for `on_news`.
        timeout_s: a call that takes longer is told as hung.
        on_news: is told when the filter begins to fail or hangs, and when it is well again.
    """

    def __init__(
        self,
        function: Callable[[FrameResult], object],
        delivery: Delivery,
        *,
        name: str = "result_filter",
        timeout_s: float = USUAL_TIMEOUT_S,
        on_news: Callable[[HookNews], None] | None = None,
    ) -> None:
        super().__init__(delivery)
        self._function = function
        self._tally = Tally(name, on_news, kind="stage")
        self._calls = WatchedCalls(self._tally, timeout_s, "results are kept back")

    def __call__(self, result: FrameResult) -> None:
        """Filter a result, and deliver what comes of it.

        Raises:
            LetGo: the call was written off as hung, and another lane does this one's work.
        """
        self._tally.given()
        if not self._calls.begin(result.camera, result.seq):
            self._tally.dropped()
            return
        try:
            try:
                filtered = self._function(result)
            finally:
                self._calls.end(result.camera)
        except (Exception, SystemExit):  # noqa: BLE001  (a plug-in's border: whatever a filter does, the camera goes on)
            self._tally.failed(f"at frame {result.seq}: {traceback.format_exc()}")
            return
        if filtered is None:
            self._tally.filtered()
        elif not isinstance(filtered, FrameResult):
            self._tally.failed(f"at frame {result.seq}: {no_result(filtered)}")
        else:
            self._tally.delivered()
            self._delivery(filtered)

    def counts(self) -> DeliveryCounts:
        """Return what became of all results: those kept back here, those with which the filter failed or hung, and the rest."""
        return with_counts_of(self._tally.counts(), super().counts())

    def user_code(self) -> Iterable[UserCode]:
        """Return the filter's calls, and the user code behind it."""
        return (self._calls, *user_code_in(self._delivery))

    def passed(self) -> DeliveryCounts:
        """Return how many results came through (delivered), were kept back (filtered), failed, hung or came meanwhile (dropped)."""
        return self._tally.counts()


def with_counts_of(stage: DeliveryCounts, rest: DeliveryCounts) -> DeliveryCounts:
    """Return what became of all results, where a stage stands before the rest: what it let through is in the rest's."""
    return replace(
        rest,
        filtered=rest.filtered + stage.filtered,
        failed=rest.failed + stage.failed,
        hung=rest.hung + stage.hung,
        dropped=rest.dropped + stage.dropped,
        waiting=rest.waiting + stage.waiting,
    )
