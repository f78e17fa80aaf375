"""A hook in a process of its own: it can neither slow the pipeline by Python's lock, nor hold it, nor take it down.

    lane ─ bounded queue ─ thread ─ line ─▶ child: hook(result)
                             ▲                  │
                             └──── answer ──────┘

One result is with the child at a time, so that a crash costs exactly that one, and what waits stays here. A child that
crashes or hangs is ended and started again, a few times, later each time; then the hook is given up, and its results
are dropped and counted. The child ends with its parent, however that ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from edgesdk_agent.delivery.child import command
from edgesdk_agent.delivery.child_line import ChildLine
from edgesdk_agent.delivery.frame_encoding import FrameEncoder
from edgesdk_agent.delivery.hand_off import Waiting
from edgesdk_agent.delivery.hook_limits import WhenFull, check_limits
from edgesdk_agent.delivery.hook_name import HookName
from edgesdk_agent.delivery.picture_memory import SharedPicture
from edgesdk_agent.delivery.queued import HookCrashed, HookGone, HookHung, QueuedDelivery
from edgesdk_agent.delivery.restart_budget import RestartBudget
from edgesdk_agent.delivery.tally import HookNews, Tally
from edgesdk_agent.frame import FrameResult
from edgesdk_targets.errors import EdgeError


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
        found = HookName.parse(hook) if isinstance(hook, str) else HookName.of(hook)
        tally = Tally(name or str(found), on_news)
        memories = [SharedPicture() for _ in range(queue + 1)]
        call = _ChildCall(found, folder, memories, timeout_s, tally, budget or RestartBudget(), self._restarting)
        super().__init__(
            call,
            memories,
            tally,
            when_full=when_full,
            timeout_s=timeout_s,
            ends_by_itself=True,
            pictures=pictures,
        )

    def _restarting(self, now: bool) -> None:
        self._hand_off.restarting(now=now)


class _ChildCall:
    """Call the hook through a line, and see to it that there is one."""

    def __init__(
        self,
        hook: HookName,
        folder: Path | None,
        memories: list[SharedPicture],
        timeout_s: float,
        tally: Tally,
        budget: RestartBudget,
        restarting: Callable[[bool], None],
    ) -> None:
        self._hook = hook
        self._folder = folder
        self._memories = memories
        self._timeout_s = timeout_s
        self._tally = tally
        self._budget = budget
        self._restarting = restarting
        self._line: ChildLine | None = None
        self._encoder = FrameEncoder()
        self._given_up = False
        self._aborted = threading.Event()

    def open(self) -> None:
        """Start the process, and wait until it has imported the hook.

        Raises:
            EdgeError: it cannot be started, or there is no such hook.
        """
        self._encoder = FrameEncoder()
        pictures = [memory.open() for memory in self._memories]
        self._line = ChildLine(
            f"hook {self._hook}",
            lambda line: command(self._hook, self._folder, line, pictures),
            pictures,
            self._timeout_s,
            hint="See what it printed, and try it with isolate=inline.",
        )

    def __call__(self, waiting: Waiting[SharedPicture]) -> None:
        line = self._line
        if line is None:
            self._restarting(True)
            try:
                line = self._started_again()
            finally:
                self._restarting(False)
        picture = None if waiting.memory is None else self._memories.index(waiting.memory)
        message = self._encoder.encode(waiting.result, picture)
        try:
            line.call(message)
        except (HookHung, HookCrashed) as error:
            self._end()
            if self._aborted.is_set():
                raise HookHung("It had not returned when the pipeline stopped; its process is ended.") from error
            raise

    def abort(self) -> None:
        """End the process; what waits for it comes back at once."""
        self._aborted.set()
        line = self._line
        if line is not None:
            line.kill()

    def close(self) -> None:
        """Let the process end."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _end(self) -> None:
        if self._line is not None:
            self._line.kill()
        self.close()

    def _started_again(self) -> ChildLine:
        while not self._given_up:
            wait_s = self._budget.spend()
            if wait_s is None:
                self._given_up = True
                self._tally.trouble("given_up", "It ended too often; its results are dropped from now on.")
            elif self._aborted.wait(wait_s):
                break
            else:
                try:
                    self.open()
                except EdgeError as error:
                    self._tally.trouble("crashed", error.message)
                if self._line is not None and not self._aborted.is_set():
                    return self._line
        raise HookGone
