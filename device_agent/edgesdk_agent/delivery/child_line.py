"""One process of a hook, and the line to it: start it, ask it, end it. Nothing here decides whether to start another."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from edgesdk_agent.delivery.child import RAISED, READY, REFUSED, command
from edgesdk_agent.delivery.hook_name import HookName
from edgesdk_agent.delivery.queued import HookCrashed, HookHung, HookRaised
from edgesdk_targets.errors import EdgeError, InputError

_STARTS_WITHIN_S = 60.0  # Python and numpy, from a slow card
_ENDS_WITHIN_S = 2.0
log = logging.getLogger(__name__)

_TIMEVAL = struct.Struct("@ll")


class ChildLine:
    """A running process that calls the hook.

    Args:
        hook: imported there.
        folder: where to look for it after everything else.
        pictures: files of the shared pictures.
        timeout_s: for one call.

    Raises:
        EdgeError: the process cannot be started, or refuses the hook.
    """

    def __init__(self, hook: HookName, folder: Path | None, pictures: list[int], timeout_s: float) -> None:
        if not sys.executable:
            raise InputError("A frozen application cannot start Python for a hook.", hint="Use isolate=thread.")
        self._hook = hook
        self._timeout_s = timeout_s
        ours, theirs = socket.socketpair()
        # The kernel watches the time: a line that waits is one system call, and no thread.
        _limit(ours, socket.SO_SNDTIMEO, timeout_s)
        _limit(ours, socket.SO_RCVTIMEO, _STARTS_WITHIN_S)
        with theirs:
            try:
                self._process = subprocess.Popen(
                    command(hook, folder, theirs.fileno(), pictures),
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), *pictures),
                    start_new_session=True,  # Ctrl-C is for us, who end the child
                )
            except OSError as error:
                ours.close()
                raise InputError(f"The process of hook {hook} cannot be started: {error.strerror}.") from error
        self._line = Connection(ours.fileno())
        self._socket = ours
        try:
            self._become_ready()
        except BaseException:
            self.kill()
            self.close()
            raise
        _limit(ours, socket.SO_RCVTIMEO, timeout_s)

    def call(self, message: bytes) -> None:
        """Give one result to the hook, and wait until it returned.

        Raises:
            HookRaised, HookCrashed, HookHung: it did not; after the last two the process is of no use.
        """
        try:
            self._line.send_bytes(message)
            answer = self._line.recv_bytes()
        except BlockingIOError as error:
            raise HookHung(f"It did not return within {self._timeout_s:g} s; its process is ended.") from error
        except (EOFError, ConnectionError) as error:
            raise HookCrashed(self._ending()) from error
        if answer[:1] == RAISED:
            raise HookRaised(answer[1:].decode("utf-8", "replace"))

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

    def _become_ready(self) -> None:
        hint = "See what it printed, and try it with isolate=inline."
        try:
            answer = self._line.recv_bytes()
        except BlockingIOError as error:
            message = f"The process of hook {self._hook} was not ready within {_STARTS_WITHIN_S:g} s."
            raise InputError(message, hint=hint) from error
        except (EOFError, ConnectionError) as error:
            raise InputError(f"The process of hook {self._hook} does not start: {self._ending()}", hint=hint) from error
        if answer[:1] == REFUSED:
            refusal = json.loads(answer[1:])
            log.debug("The process of hook %s: %s", self._hook, refusal["traceback"])
            raise InputError(refusal["message"], hint=refusal["hint"])
        if answer != READY:
            raise EdgeError(f"The process of hook {self._hook} answered {answer[:20]!r}.")

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
