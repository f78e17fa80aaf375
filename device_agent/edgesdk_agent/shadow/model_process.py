"""The parent's end of one model in a shadow run: start its process, ask it, and know whose fault it is where it does not answer."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesdk_agent.delivery.child_line import ChildLine
from edgesdk_agent.delivery.frame_encoding import FrameEncoder
from edgesdk_agent.delivery.hook_errors import HookCrashed, HookHung, HookRaised
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.shadow.child import command
from edgesdk_targets.child_watch import available_bytes, held_bytes
from edgesdk_targets.errors import EdgeError

_LOOK_S = 0.25
# Python, numpy, a runtime and a model, on what is left of a slow processor.
_STARTS_WITHIN_S = 300.0
_KILLED = "SIGKILL"
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_MB = 1 << 20


class Faulty(Exception):
    """The model's own fault: it crashed, hung, cannot be loaded, or takes too much memory. The message says which."""


class NoRoom(Exception):
    """The device has no room for it now. The message says of what."""


class Stopped(Exception):
    """The run was told to stop meanwhile."""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What a process may take.

    Attributes:
        answers_s: of the processor's time or of the clock where it waits for something, for one frame; starved_s: by the clock
            where it wants to go on and gets no time.
        memory_bytes: that it may hold; keep_free_bytes: that it must leave to others.
    """

    answers_s: float = 30.0
    starved_s: float = 300.0
    memory_bytes: int = 1 << 30
    keep_free_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class Bundled:
    """Which model: a bundle file, and how its variant is chosen."""

    path: Path
    target: str = ""
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What a process says of a frame; see `child`.

    Attributes:
        memory_bytes: that are its own; held_bytes: with the files that it maps.
    """

    begins: bool
    differs: float | None
    classes: dict[str, float]
    took_s: float
    memory_bytes: int
    held_bytes: int


class ModelProcess:
    """A model in a process of its own, which stands back; used by one thread.

    Args:
        what: it is called.
        picture: the file in which frames lie.
        stopped: whether everything is to end.

    Raises:
        Faulty, NoRoom: it cannot be started; Stopped: everything ended before it was ready.
    """

    def __init__(
        self,
        what: str,
        model: Bundled,
        picture: int,
        apart_s: float,
        limits: ProcessLimits,
        stopped: Callable[[], bool],
    ) -> None:
        self._what, self._limits, self._stopped = what, limits, stopped
        self._encoder = FrameEncoder()
        try:
            self._line = ChildLine(
                what,
                lambda line: command(model.path, model.target, model.variant, apart_s, line, picture),
                [picture],
                limits.starved_s,
                starts_within_s=_STARTS_WITHIN_S,
                look=self._go_on,
            )
        except EdgeError as error:
            raise _fault(f"it does not start: {error.message}") from error

    def ask(self, frame: FrameResult) -> Said:
        """Let it answer a frame whose picture lies in the shared memory.

        Raises:
            Faulty, NoRoom, Stopped: it does not; its process is of no use then.
        """
        try:
            self._line.send(self._encoder.encode(frame, 0))
            self._wait()
            held = self._check_memory()
            found = json.loads(self._line.answer())
            if "failed" in found:
                raise Faulty(f"it failed with a frame: {found['failed'][:200]}")
            return _said(found, held)
        except HookRaised as error:
            raise Faulty(f"it failed with a frame: {_last_line(str(error))}") from error
        except HookCrashed as error:
            raise _fault(f"it crashed. {error}") from error
        except HookHung as error:
            raise NoRoom("processor time") from error

    def close(self) -> None:
        """End its process."""
        self._line.kill()
        self._line.close()

    def _wait(self) -> None:
        began, used = time.monotonic(), self._used_s()
        while not self._line.answered(_LOOK_S):
            self._go_on()
            self._check_memory()
            waited, worked = time.monotonic() - began, self._used_s() - used
            if max(worked, 0.0 if self._wants_to_run() else waited) >= self._limits.answers_s:
                raise Faulty(f"it hangs: no answer to a frame after {waited:.0f} s, {worked:.0f} s of them at work")
            if waited >= self._limits.starved_s:
                raise NoRoom("processor time")

    def _go_on(self) -> None:
        if self._stopped():
            raise Stopped

    def _check_memory(self) -> int:
        held = held_bytes(self._line.pid)
        if held > self._limits.memory_bytes:
            raise Faulty(f"it takes {held // _MB} MB of memory, {self._limits.memory_bytes // _MB} are allowed")
        if available_bytes() < self._limits.keep_free_bytes:
            raise NoRoom("memory")
        return held

    def _used_s(self) -> float:
        """Return the processor time of the process so far."""
        with suppress(OSError, ValueError, IndexError):  # it has just ended, which the line tells
            fields = Path(f"/proc/{self._line.pid}/stat").read_text("ascii").rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) * _TICK_S
        return 0.0

    def _wants_to_run(self) -> bool:
        """Say whether a thread of it only waits for its turn."""
        for thread in Path(f"/proc/{self._line.pid}/task").glob("*/stat"):
            with suppress(OSError):
                if thread.read_text("ascii", "replace").rpartition(")")[2].split()[0] == "R":
                    return True
        return False


def _fault(said: str) -> Faulty | NoRoom:
    # Nobody here sends it, so it was the kernel, which was told to take this process first.
    return NoRoom("memory") if _KILLED in said else Faulty(said)


def _said(found: dict[str, Any], held: int) -> Said:
    return Said(found["begins"], found["whole"], found["classes"], found["took_s"], found["memory"], held)


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")[:200]
