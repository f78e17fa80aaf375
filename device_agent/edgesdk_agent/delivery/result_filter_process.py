"""User code after inference, in a process of its own: it can neither hold the pipeline, nor take it down.

    lane ─ bounded queue ─ thread ─ line ─▶ child: on_result(result)
                             │ ▲                  │
     delivery ◀─ in order ───┘ └──── answer ──────┘

The lane goes on as soon as a result is in the queue; what comes through is delivered by the queue's thread, one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from edgesdk_agent.delivery.child_call import ChildCall
from edgesdk_agent.delivery.delivery import Delivery, DeliveryCounts
from edgesdk_agent.delivery.hand_off import Waiting
from edgesdk_agent.delivery.hook_limits import WhenFull, check_limits
from edgesdk_agent.delivery.hook_name import HookName
from edgesdk_agent.delivery.picture_memory import SharedPicture
from edgesdk_agent.delivery.queued import QueuedDelivery
from edgesdk_agent.delivery.restart_budget import RestartBudget
from edgesdk_agent.delivery.result_filter import with_counts_of
from edgesdk_agent.delivery.stage_answers import returned
from edgesdk_agent.delivery.tally import HookNews, Tally
from edgesdk_agent.delivery.watched_calls import USUAL_TIMEOUT_S, UserCode
from edgesdk_agent.delivery.wrapping import WrappingDelivery
from edgesdk_agent.frame import FrameResult


class ProcessFilteredDelivery(WrappingDelivery):
    """Deliver what a filter in a child process lets through; a result with which it fails is kept back.

    Args:
        stage: `package.module:function`, or a function that can be imported by its name; see `FilteredDelivery` for what it
            returns.
        delivery: gets what comes through, on this one's own thread; its picture lies in memory shared with the process, and is
            lent until it returns.
        name: of the filter, for the log and for `on_news`; by the function unless given.
        timeout_s: a call that takes longer hangs: its result is lost, and the process ended and started again.
        queue: how many results may wait for it.
        when_full: `wait` or `drop_oldest`; see `hand_off`.
        folder: where to look for the module after everything else.
        on_news: is told each change of state.
        budget: how often the process may be started again.

    Raises:
        InputError: the stage has no name by which it could be imported, the policy is unknown, or `queue` or `timeout_s`
            is out of its bounds.
    """

    def __init__(
        self,
        stage: str | Callable[[FrameResult], object],
        delivery: Delivery,
        *,
        name: str = "",
        timeout_s: float = USUAL_TIMEOUT_S,
        queue: int = 8,
        when_full: WhenFull = "wait",
        folder: Path | None = None,
        on_news: Callable[[HookNews], None] | None = None,
        budget: RestartBudget | None = None,
    ) -> None:
        super().__init__(delivery)
        check_limits(queue=queue, when_full=when_full, timeout_s=timeout_s)
        found = HookName.given(stage)
        self._name = name or str(found)
        tally = Tally(self._name, on_news, kind="stage")
        memories = [SharedPicture() for _ in range(queue + 1)]
        self._child = ChildCall(
            found,
            "on_result",
            folder,
            memories,
            timeout_s,
            tally,
            lost="results are kept back",
            budget=budget,
            restarting=self._restarting,
        )
        self._queue = QueuedDelivery(
            _FilterCall(self._child, delivery),
            memories,
            tally,
            when_full=when_full,
            timeout_s=timeout_s,
            ends_by_itself=True,
            pictures=True,
        )
        self._cameras: set[str] = set()

    def start(self) -> None:
        """Start what gets the results, and the process.

        Raises:
            EdgeError: one of them cannot be started.
        """
        super().start()
        try:
            self._queue.start()
        except BaseException:
            super().close(0.0)
            raise

    def __call__(self, result: FrameResult) -> None:
        """Queue a result for the filter."""
        self._cameras.add(result.camera)
        self._queue(result)

    def close(self, timeout_s: float) -> None:
        """Filter and deliver what waits, within the time; drop the rest, and end."""
        ends_at = time.monotonic() + timeout_s
        self._queue.close(timeout_s)
        super().close(max(0.0, ends_at - time.monotonic()))

    def counts(self) -> DeliveryCounts:
        """Return what became of all results: those kept back here, those with which the filter failed or hung, and the rest."""
        return with_counts_of(self._queue.counts(), super().counts())

    def passed(self) -> DeliveryCounts:
        """Return how many results came through (delivered), were kept back (filtered), failed, hung or found no room (dropped)."""
        return self._queue.counts()

    def is_current(self) -> bool:
        """Say whether the caller is the thread that delivers, or one of what gets the results."""
        return self._queue.is_current() or super().is_current()

    def user_code(self) -> Iterable[UserCode]:
        """Return this filter, and the user code behind it."""
        return (self, *super().user_code())

    def _restarting(self, now: bool) -> None:
        self._queue.restarting(now)

    def under_way(self) -> str:
        """No thread of the pipeline is held here."""
        return ""

    def left_out(self) -> dict[str, str]:
        """Return all cameras, once the process was given up, and the stage's name."""
        return dict.fromkeys(self._cameras, self._name) if self._child.given_up else {}


class _FilterCall:
    """Ask the process about a result, and say how what comes of it is delivered."""

    def __init__(self, child: ChildCall, delivery: Delivery) -> None:
        self._child = child
        self._delivery = delivery
        self.open, self.abort, self.close = child.open, child.abort, child.close

    def __call__(self, waiting: Waiting[SharedPicture]) -> Callable[[], object]:
        answer = returned(self._child.ask(waiting.result, waiting.memory))
        return partial(self._delivery, self._child.result_in(answer))
