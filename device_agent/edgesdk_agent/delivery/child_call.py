"""User code in a child process, asked one message at a time: there is such a process, or it is said that there is none any more.

One that crashes or hangs is ended and started again, a few times, later each time; then it is given up. So each ending costs
exactly what was being asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from edgesdk_agent.delivery.child import Form, command
from edgesdk_agent.delivery.child_line import ChildLine
from edgesdk_agent.delivery.frame_encoding import FrameDecoder, FrameEncoder, PictureAt
from edgesdk_agent.delivery.hook_errors import HookCrashed, HookGone, HookHung
from edgesdk_agent.delivery.hook_name import HookName
from edgesdk_agent.delivery.picture_memory import SharedPicture
from edgesdk_agent.delivery.restart_budget import RestartBudget
from edgesdk_agent.delivery.tally import Tally
from edgesdk_agent.frame import Frame, FrameResult
from edgesdk_targets.errors import EdgeError, SessionFailed
from edgesdk_targets.tensor import Array


class ChildCall:
    """Ask through a line, and see to it that there is one; all but `abort` is for one thread, with which the process ends.

    Args:
        hook: where the user's function is.
        form: what it is given, and what is taken from it.
        folder: where to look for its module after everything else.
        memories: room for pictures that the process sees.
        timeout_s: for one call.
        tally: is told what happens beside the calls.
        lost: what becomes of everything once it is given up, for the message.
        budget: how often the process may be started again.
        restarting: is told when a start begins, and when it is over.

    Attributes:
        given_up: it is started no more.
    """

    def __init__(
        self,
        hook: HookName,
        form: Form,
        folder: Path | None,
        memories: Sequence[SharedPicture],
        timeout_s: float,
        tally: Tally,
        *,
        lost: str = "its results are dropped",
        budget: RestartBudget | None = None,
        restarting: Callable[[bool], None] | None = None,
    ) -> None:
        self.given_up = False
        self._hook = hook
        self._form = form
        self._folder = folder
        self._memories = memories
        self._timeout_s = timeout_s
        self._tally = tally
        self._lost = lost
        self._budget = budget or RestartBudget()
        self._restarting = restarting or (lambda _now: None)
        self._line: ChildLine | None = None
        self._encoder = FrameEncoder()
        self._decoder = FrameDecoder(self._picture)
        self._aborted = threading.Event()

    def open(self) -> None:
        """Start the process, and wait until it has imported the function.

        Raises:
            EdgeError: it cannot be started, there is no such function, or `abort` came before it was ready.
        """
        self._go_on()
        # Both ends remember labels; a new process remembers none.
        self._encoder, self._decoder = FrameEncoder(), FrameDecoder(self._picture)
        pictures = [memory.open() for memory in self._memories]
        self._line = ChildLine(
            f"{self._tally.kind} {self._hook}",
            lambda line: command(self._hook, self._form, self._folder, line, pictures),
            pictures,
            self._timeout_s,
            hint="See what it printed, and try it with isolate=inline.",
            look=self._go_on,
        )

    def ask(self, one: Frame | FrameResult, memory: SharedPicture | None) -> bytes:
        """Give the function a frame or a result, and return the process's answer; starts the process first if it has ended.

        Args:
            memory: holds the picture, where there is one.

        Raises:
            HookHung, HookCrashed, HookRaised: there is no answer.
            HookGone: there is no process, and will be none.
        """
        line = self._line
        if line is None:
            self._restarting(True)
            try:
                line = self._started_again()
            finally:
                self._restarting(False)
        message = self._encoder.encode(one, None if memory is None else self._memories.index(memory))
        try:
            return line.call(message)
        except (HookHung, HookCrashed) as error:
            self._end()
            if self._aborted.is_set():
                raise HookHung("It had not returned when the pipeline stopped; its process is ended.") from error
            raise

    def result_in(self, answer: bytes) -> FrameResult:
        """Return the result that an answer holds; its picture lies in the shared memory."""
        return self._decoder.decode_result(answer)

    def abort(self) -> None:
        """End the process, also one that is not ready yet; what waits for it comes back soon."""
        self._aborted.set()
        line = self._line
        if line is not None:
            line.kill()

    def close(self) -> None:
        """Let the process end."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _go_on(self) -> None:
        if self._aborted.is_set():
            raise SessionFailed(f"The process of {self._tally.kind} {self._hook} was not ready before the stop.")

    def _picture(self, at: PictureAt) -> Array:
        return self._memories[at[0]].seen(at[1], at[2])

    def _end(self) -> None:
        if self._line is not None:
            self._line.kill()
        self.close()

    def _started_again(self) -> ChildLine:
        while not self.given_up:
            wait_s = self._budget.spend()
            if wait_s is None:
                self.given_up = True
                self._tally.trouble("given_up", f"It ended too often; {self._lost} from now on.")
            elif self._aborted.wait(wait_s):
                break
            else:
                try:
                    self.open()
                except EdgeError as error:
                    if not self._aborted.is_set():
                        self._tally.trouble("crashed", error.message)
                if self._line is not None and not self._aborted.is_set():
                    return self._line
        raise HookGone
