"""A camera whose reader is another process: what hangs or crashes there is killed, and costs one picture.

The reader writes into shared slots, and the pipeline's pictures are those slots (`lend_pictures`), so that nothing of
frame size is copied on the way. One message each way a picture takes about 0.1 ms.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from edgesdk_agent.cameras import decoder_probe
from edgesdk_agent.cameras.camera import CameraCounts, CameraInfo, FrameLost, SizeChanged
from edgesdk_agent.cameras.isolation import left_readers
from edgesdk_agent.cameras.isolation.picture_slots import MOST_SLOTS, PictureSlot
from edgesdk_agent.cameras.isolation.reader_command import command
from edgesdk_agent.cameras.isolation.reader_line import LineClosed, ReaderLine
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.secret_url import SecretUrl
from edgesdk_targets.tensor import Array

log = logging.getLogger(__name__)

# Python, OpenCV and GStreamer from a slow card, before the camera itself is opened.
_STARTS_WITHIN_S = 30.0
# The reader's own time-outs come first; it is killed only when they did not.
_GRACE_S = 1.0
_ENDS_WITHIN_S = 0.5
# Of SIGKILL; a process that a driver holds takes longer, or never ends.
_KILLED_WITHIN_S = 1.0
_AGAIN = "It is started again; if this goes on, choose another decoder or update the driver."
# What the process counts; the rest is counted here, by whoever supervises.
_COUNTED = frozenset({"skipped", "corrupt", "missing", "resized", "decode_cpu_s"})


class IsolatedCamera:
    """Read a source in a process of its own.

    Args:
        source: what to open; told to the process on its line.
        options: plain values of `SourceOptions`.
        description: for people, without a password.
        silent_s: how long a picture may take.
        open_s: how long the opening may take, beyond the start of Python.
        slots: where pictures are written; the next reader of this camera goes on with them.
        counts: of the camera over all its lives.

    Raises:
        CameraLost: the camera does not answer, or its process does not start.
        InputError: an option cannot be used.
    """

    def __init__(
        self,
        source: SecretUrl,
        options: dict[str, Any],
        *,
        description: str,
        silent_s: float,
        open_s: float,
        slots: list[PictureSlot],
        counts: CameraCounts,
    ) -> None:
        self.counts = counts
        # What the process told last, of its own life.
        self._told: dict[str, float] = {}
        self._description = description
        self._silent_s = silent_s
        self._slots = slots
        self._known: set[int] = set()
        self._lends = False
        self._is_left = False
        self._closed = threading.Event()
        self._reading = threading.Lock()
        # The kernel ends a reader with the thread that started it, so that none outlives us: a thread that lasts as long,
        # as the one that opens a camera is gone when that is open.
        self._starter = ThreadPoolExecutor(1, "edgesdk-reader")
        try:
            self._process, self._line = _started(description, self._starter)
        except BaseException:
            self._starter.shutdown(wait=False)
            raise
        try:
            self._line.send({"source": source.reveal(), "options": options, "tried": decoder_probe.known()})
            answer = self._answer(_STARTS_WITHIN_S + open_s)
            if "refused" in answer:
                raise _error(answer["refused"])
        except LineClosed:
            ending = self._end(_ENDS_WITHIN_S)
            self.close()
            raise CameraLost(f"{description}: its reader ended{ending} at its start.", hint=_AGAIN) from None
        except BaseException:
            self.close()
            raise
        self._info = CameraInfo(**answer["info"])
        self._count(answer)

    @property
    def info(self) -> CameraInfo:
        return self._info

    @property
    def pid(self) -> int:
        """The reader's process."""
        return self._process.pid

    def lend_pictures(self) -> None:
        """Return pictures as they lie in the slots: each is valid until it is given to `read` as `out`."""
        self._lends = True

    def read(self, out: Array | None) -> Array | None:
        """Let the process write the next picture, and return it.

        Raises:
            CameraLost: the camera stopped, or its process crashed or hung and is ended.
            FrameLost: this picture is lost.
        """
        with self._reading:
            if self._closed.is_set():
                return None
            number = self._slot_for(out)
            try:
                picture = self._picture(number)
            except (CameraLost, LineClosed) as lost:
                if self._closed.is_set():
                    return None
                if isinstance(lost, CameraLost):
                    self._end(0.0)
                    raise
                ending = self._end(_ENDS_WITHIN_S)
                raise CameraLost(f"{self._description}: its reader ended{ending}.", hint=_AGAIN) from None
        if picture is None or self._lends:
            return picture
        if out is None or out.shape != picture.shape:
            return picture.copy()
        np.copyto(out, picture)
        return out

    def close(self) -> None:
        self._closed.set()
        # The process ends its connection to the camera in an orderly way, where it can.
        self._line.shut()
        self._end(_ENDS_WITHIN_S)
        with self._reading:
            self._line.close()

    def _picture(self, number: int) -> Array | None:
        slot = self._slots[number]
        while True:
            new = number not in self._known
            self._known.add(number)
            # Its reader begins with counts of its own, and is to know what others were wrong about.
            request = {"slot": number, "size_alarms": self.counts.size_alarms}
            self._line.send(request, [slot.fd] if new else [])
            answer = self._answer(self._silent_s + _GRACE_S)
            self._count(answer)
            if "need" in answer:
                slot.grow(int(answer["need"]))
                continue
            if "lost" in answer:
                raise _error(answer["lost"])
            if "shape" not in answer:
                return None
            height, width, channels = answer["shape"]
            if (width, height, answer["fps"]) != (self._info.width, self._info.height, self._info.fps):
                self._info = replace(self._info, width=width, height=height, fps=answer["fps"])
            return slot.hand_out((height, width, channels))

    def _slot_for(self, out: Array | None) -> int:
        """Return the slot whose picture was given back, or another one."""
        if not self._lends:
            if not self._slots:
                self._slots.append(self._new_slot())
            return 0
        for number, slot in enumerate(self._slots):
            if slot.picture is out and out is not None:
                return number
        if len(self._slots) >= MOST_SLOTS:
            raise InputError("More pictures of a camera are kept than it can lend.", hint="Copy what is kept.")
        self._slots.append(self._new_slot())
        return len(self._slots) - 1

    def _new_slot(self) -> PictureSlot:
        slot = PictureSlot()
        slot.grow(self._info.width * self._info.height * 3)
        return slot

    def _answer(self, within_s: float) -> dict[str, Any]:
        try:
            return self._line.receive(within_s)[0]
        except TimeoutError:
            message = f"{self._description}: its reader hung for {within_s:.3g} s and is ended."
            raise CameraLost(message, hint=_AGAIN) from None

    def _count(self, answer: dict[str, Any]) -> None:
        """Add what this life counted since it last told to what was before."""
        for name, value in answer.get("counts", {}).items():
            if value is not None and name in _COUNTED:
                setattr(self.counts, name, (getattr(self.counts, name) or 0) + value - self._told.get(name, 0))
                self._told[name] = value

    def _end(self, within_s: float) -> str:
        """End the process, and say how it ended where it did so by itself within some seconds."""
        if self._is_left:
            return ""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._kill()
            return ""
        finally:
            self._line.shut()
            self._starter.shutdown(wait=False)
        left_readers.collect()
        code = self._process.returncode
        return f" by {signal.Signals(-code).name}" if code < 0 else ""

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        try:
            self._process.wait(_KILLED_WITHIN_S)
        except subprocess.TimeoutExpired:
            if not self._is_left:
                self._is_left = True
                left_readers.leave(self._process)


def _started(description: str, starter: ThreadPoolExecutor) -> tuple[subprocess.Popen[bytes], ReaderLine]:
    if not sys.executable:
        raise InputError("A frozen application cannot start Python for a camera.", hint="Use isolate=False.")
    left_readers.collect()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            starting = starter.submit(
                subprocess.Popen,
                command(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C is for us, who end the child
            )
            process = starting.result()
        except OSError as error:
            ours.close()
            raise CameraLost(f"{description}: its reader cannot be started: {error.strerror}.") from error
    return process, ReaderLine(ours)


def _error(told: dict[str, str]) -> Exception:
    if told["kind"] == "frame":
        return FrameLost(told["message"], cause="unreadable")
    kind = {"input": InputError, "size": SizeChanged}.get(told["kind"], CameraLost)
    return kind(told["message"], hint=told["hint"])
