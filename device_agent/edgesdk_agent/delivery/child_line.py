"""A child process, and the line to it: start it, ask it, end it. Nothing here decides whether to start another."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TypeVar

from edgesdk_agent.delivery.child_loop import RAISED, READY, REFUSED
from edgesdk_agent.delivery.hook_errors import HookCrashed, HookHung, HookRaised
from edgesdk_targets.errors import EdgeError, InputError

_STARTS_WITHIN_S = 60.0  # Python and numpy, from a slow card
_ENDS_WITHIN_S = 2.0
_LOOK_S = 0.25
log = logging.getLogger(__name__)

_TIMEVAL = struct.Struct("@ll")
T = TypeVar("T")


class ChildLine:
    """A running process that answers messages, one at a time.

    Args:
        what: it is, such as `hook app:count`.
        command: returns what starts it, given the descriptor of its end of the line.
        pictures: files of the shared pictures.
        timeout_s: for one call; starts_within_s: until it is ready.
        hint: what to do where it does not start.
        look: called a few times a second until it is ready; what it raises ends the process.

    Raises:
        EdgeError: the process cannot be started, or refuses.
    """

    def __init__(
        self,
        what: str,
        command: Callable[[int], list[str]],
        pictures: list[int],
        timeout_s: float,
        *,
        starts_within_s: float = _STARTS_WITHIN_S,
        hint: str = "",
        look: Callable[[], None] | None = None,
    ) -> None:
        if not sys.executable:
            raise InputError(f"A frozen application cannot start Python for the {what}.", hint=hint)
        self._what, self._hint = what, hint
        self._timeout_s = timeout_s
        ours, theirs = socket.socketpair()
        # The kernel watches the time: a line that waits is one system call, and no thread.
        _limit(ours, socket.SO_SNDTIMEO, timeout_s)
        _limit(ours, socket.SO_RCVTIMEO, starts_within_s)
        with theirs:
            try:
                self._process = subprocess.Popen(
                    command(theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), *pictures),
                    start_new_session=True,  # Ctrl-C is for us, who end the child
                )
            except OSError as error:
                ours.close()
                raise InputError(f"The process of {what} cannot be started: {error.strerror}.") from error
        self._line = Connection(ours.fileno())
        self._socket = ours
        try:
            self._become_ready(starts_within_s, look)
        except BaseException:
            self.kill()
            self.close()
            raise
        _limit(ours, socket.SO_RCVTIMEO, timeout_s)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def call(self, message: bytes) -> bytes:
        """Give the process a message, wait until it is done with it, and return its answer.

        Raises:
            HookRaised, HookCrashed, HookHung: it is not; after the last two the process is of no use.
        """
        self.send(message)
        return self.answer()

    def send(self, message: bytes) -> None:
        """Give the process a message, of which the answer is to be taken next. Raises HookCrashed, HookHung."""
        self._translated(lambda: self._line.send_bytes(message))

    def answered(self, within_s: float) -> bool:
        """Wait for an answer, and say whether there is one to be taken, or an end to be told."""
        return self._line.poll(within_s)

    def answer(self) -> bytes:
        """Wait for the answer, and return it. Raises as `call`."""
        answer = self._translated(self._line.recv_bytes)
        if answer[:1] == RAISED:
            raise HookRaised(answer[1:].decode("utf-8", "replace"))
        return answer[1:]

    def kill(self) -> None:
        """End the process and the programs that it started, at once; from any thread, also where it has ended."""
        # It leads a group, whose number the kernel keeps as long as one of the group lives.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let the process end by itself, or end it; however this returns, it has ended."""
        self._line_closed()
        try:
            self._process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def _line_closed(self) -> None:
        if self._socket.fileno() >= 0:
            self._socket.detach()
            self._line.close()

    def _translated(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except BlockingIOError as error:
            raise HookHung(f"It did not return within {self._timeout_s:g} s; its process is ended.") from error
        except (EOFError, ConnectionError) as error:
            raise HookCrashed(self._ending()) from error

    def _become_ready(self, within_s: float, look: Callable[[], None] | None) -> None:
        ends_at = time.monotonic() + within_s
        try:
            while look is not None and not self._line.poll(_LOOK_S):
                look()
                if time.monotonic() >= ends_at:
                    raise BlockingIOError
            answer = self._line.recv_bytes()
        except BlockingIOError as error:
            message = f"The process of {self._what} was not ready within {within_s:g} s."
            raise InputError(message, hint=self._hint) from error
        except (EOFError, ConnectionError) as error:
            raise InputError(
                f"The process of {self._what} does not start: {self._ending()}", hint=self._hint
            ) from error
        if answer[:1] == REFUSED:
            refusal = json.loads(answer[1:])
            log.debug("The process of %s: %s", self._what, refusal["traceback"])
            raise InputError(refusal["message"], hint=refusal["hint"])
        if answer != READY:
            raise EdgeError(f"The process of {self._what} answered {answer[:20]!r}.")

    def _ending(self) -> str:
        """Say how the process ended, which it just did or is about to."""
        try:
            code = self._process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            return "It closed its line."
        if code >= 0:
            return f"Its process ended with exit code {code}."
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"Its process was ended by {name}."


def _limit(line: socket.socket, what: int, seconds: float) -> None:
    # Nothing at all would mean no limit.
    whole, micros = divmod(max(1, round(seconds * 1e6)), 1_000_000)
    line.setsockopt(socket.SOL_SOCKET, what, _TIMEVAL.pack(whole, micros))
