"""A hook in a process of its own: it can neither slow the pipeline by Python's lock, nor hold it, nor take it down.

    lane ─ bounded queue ─ thread ─ line ─▶ child: hook(result)
                             ▲                  │
                             └──── answer ──────┘

One result is with the child at a time, so that a crash costs exactly that one, and what waits stays here. A child that
crashes or hangs is ended and started again; see `child_call`. The child ends with its parent, however that ends.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgesdk_agent.delivery.child_call import ChildCall
from edgesdk_agent.delivery.hand_off import Waiting
from edgesdk_agent.delivery.hook_limits import WhenFull, check_limits
from edgesdk_agent.delivery.hook_name import HookName
from edgesdk_agent.delivery.picture_memory import SharedPicture
from edgesdk_agent.delivery.queued import QueuedDelivery
from edgesdk_agent.delivery.restart_budget import RestartBudget
from edgesdk_agent.delivery.tally import HookNews, Tally
from edgesdk_agent.frame import FrameResult


class ProcessDelivery(QueuedDelivery[SharedPicture]):
    """Call the hook in a child process.

    A picture is copied once, into shared memory; the hook sees it there, read only, until it returns.

    Args:
        hook: `package.module:function`, or a function that can be imported by its name.
        name: of the hook, for the log and for `on_news`; by the function unless given.
        queue: how many results may wait for it.
        when_full: `wait` or `drop_oldest`; see `hand_off`.
        timeout_s: a hook that takes longer for one result is ended, and started again.
        folder: where to look for the module after everything else.
        pictures: give it those that the pipeline keeps.
        on_news: is told each change of the hook's state.
        budget: how often it may be started again.

    Raises:
        InputError: the hook has no name by which it could be imported, the policy is unknown, or `queue` or `timeout_s`
            is out of its bounds.
    """

    def __init__(
        self,
        hook: str | Callable[[FrameResult], object],
        *,
        name: str = "",
        queue: int = 8,
        when_full: WhenFull = "wait",
        timeout_s: float = 5.0,
        folder: Path | None = None,
        pictures: bool = True,
        on_news: Callable[[HookNews], None] | None = None,
        budget: RestartBudget | None = None,
    ) -> None:
        check_limits(queue=queue, when_full=when_full, timeout_s=timeout_s)
        found = HookName.given(hook)
        tally = Tally(name or str(found), on_news)
        memories = [SharedPicture() for _ in range(queue + 1)]
        child = ChildCall(found, "hook", folder, memories, timeout_s, tally, budget=budget, restarting=self.restarting)
        super().__init__(
            _HookCall(child),
            memories,
            tally,
            when_full=when_full,
            timeout_s=timeout_s,
            ends_by_itself=True,
            pictures=pictures,
        )


class _HookCall:
    """Give each result to the process, and want nothing back."""

    def __init__(self, child: ChildCall) -> None:
        self._child = child
        self.open, self.abort, self.close = child.open, child.abort, child.close

    def __call__(self, waiting: Waiting[SharedPicture]) -> None:
        self._child.ask(waiting.result, waiting.memory)
