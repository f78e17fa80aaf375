"""A hook on a thread of its own: the pipeline does not wait for it, but it shares Python's lock with the pipeline."""

from __future__ import annotations

from collections.abc import Callable

from edgesdk_agent.delivery.hand_off import Waiting
from edgesdk_agent.delivery.hook_limits import WhenFull, check_limits
from edgesdk_agent.delivery.picture_memory import OwnPicture
from edgesdk_agent.delivery.queued import QueuedDelivery
from edgesdk_agent.delivery.tally import HookNews, Tally
from edgesdk_agent.frame import FrameResult


class ThreadDelivery(QueuedDelivery[OwnPicture]):
    """Call the hook on a thread of its own.

    A picture is copied once when it is handed over, and is the hook's until it returns.

    Args:
        hook: what it raises is counted and told once.
        name: of the hook, for the log and for `on_news`.
        queue: how many results may wait for it.
        when_full: `wait` or `drop_oldest`; see `hand_off`.
        timeout_s: a hook that takes longer for one result is told as hung; while it hangs, results are dropped. A
            thread cannot be ended from outside: only a process can.
        pictures: give it those that the pipeline keeps.
        on_news: is told each change of the hook's state.

    Raises:
        InputError: the policy is unknown, or `queue` or `timeout_s` is out of its bounds.
    """

    def __init__(
        self,
        hook: Callable[[FrameResult], object],
        *,
        name: str = "on_result",
        queue: int = 8,
        when_full: WhenFull = "wait",
        timeout_s: float = 5.0,
        pictures: bool = True,
        on_news: Callable[[HookNews], None] | None = None,
    ) -> None:
        check_limits(queue=queue, when_full=when_full, timeout_s=timeout_s)
        super().__init__(
            _DirectCall(hook),
            [OwnPicture() for _ in range(queue + 1)],
            Tally(name, on_news),
            when_full=when_full,
            timeout_s=timeout_s,
            ends_by_itself=False,
            pictures=pictures,
        )


class _DirectCall:
    """Call a function of this process."""

    def __init__(self, hook: Callable[[FrameResult], object]) -> None:
        self._hook = hook

    def open(self) -> None:
        """Nothing to open."""

    def __call__(self, waiting: Waiting[OwnPicture]) -> None:
        self._hook(waiting.result)

    def abort(self) -> None:
        """A thread cannot be broken off."""

    def close(self) -> None:
        """Nothing to close."""
