"""The second buffer of the pipeline: a model's bound inputs, and how one model follows another.

Preprocessing writes straight into the runtime's memory, so what is handed over is the model's slots. In `freshest` the
newest *prepared* input is replaced until the model takes it, which needs three slots: one being written, one ready,
one in inference. A plain pair would hold an input that was prepared when the last inference began, and its frame would
be a whole inference old before its own begins (measured: 142 instead of 84 ms of age at 60 ms of inference).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import numpy as np

from edgesdk_agent.double_buffer import DoubleBuffer, Drop
from edgesdk_agent.frame import Frame
from edgesdk_targets.errors import InputError, SessionFailed
from edgesdk_targets.results import Result
from edgesdk_targets.tensor import Array

Policy = Literal["freshest", "every_frame"]

# How many slots let both threads work without waiting for each other; fewer work too, with less overlap.
SLOTS_WANTED: dict[Policy, int] = {"freshest": 3, "every_frame": 2}


class Slot(Protocol):
    """One preallocated input of a model."""

    def prepare(self, image: Array) -> None:
        """Preprocess a picture, (H, W, 3) uint8 BGR, into the model's memory."""
        ...

    def infer(self, camera: str, seq: int) -> Result:
        """Run the model on what was prepared."""
        ...


class FrameCell:
    """One preallocated picture of the first buffer, and the frame that is in it.

    Args:
        width, height: pixels; 0 leaves the allocation to the first read, where the camera does not know its size yet.
    """

    __slots__ = ("frame", "image")

    def __init__(self, width: int, height: int) -> None:
        self.image: Array | None = np.empty((height, width, 3), np.uint8) if width and height else None
        self.frame: Frame | None = None


class InputCell:
    """One slot, the frame that was prepared into it, and that frame's cell where its picture is kept."""

    __slots__ = ("frame", "home", "kept", "prepare_s", "slot")

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.frame: Frame | None = None
        self.kept: FrameCell | None = None
        self.prepare_s = 0.0
        self.home: DoubleBuffer[InputCell]


class ModelInputs:
    """A double buffer over a model's slots, which can be exchanged for another model's between two frames.

    Args:
        slots: of the first model.
        policy: `freshest` replaces what the model did not take yet; `every_frame` waits.
        on_drop: is told each prepared input that the model never got.

    Raises:
        InputError: there are no slots.
    """

    def __init__(self, slots: Sequence[Slot], policy: Policy, on_drop: Callable[[InputCell, Drop], None]) -> None:
        self._policy = policy
        self._on_drop = on_drop
        self._lock = threading.Lock()
        self._ended = False
        # The first is read, the last is written; they differ only while a swapped-out model finishes its work.
        self._chain: deque[DoubleBuffer[InputCell]] = deque([self._buffer(slots)])

    def acquire(self) -> InputCell | None:
        """Return a slot of the current model to prepare, or None after `close` or `abort`."""
        while True:
            buffer = self._chain[-1]
            cell = buffer.acquire()
            if cell is not None or buffer is self._chain[-1]:
                return cell

    def publish(self, cell: InputCell) -> None:
        """Make a prepared slot ready for its model."""
        cell.home.publish(cell)

    def abandon(self, cell: InputCell) -> None:
        """Give back a slot that could not be prepared."""
        cell.home.abandon(cell)

    def take(self) -> InputCell | None:
        """Return the next prepared slot, or None at the end."""
        while True:
            cell = self._chain[0].take()
            if cell is not None:
                return cell
            with self._lock:
                if len(self._chain) == 1:
                    return None
                self._chain.popleft()

    def release(self, cell: InputCell) -> None:
        """Give back a slot after its inference."""
        cell.home.release(cell)

    def swap(self, slots: Sequence[Slot], timeout_s: float) -> None:
        """Let `slots` take over: what is prepared goes to the old model, the next frame to the new one.

        Returns when the old model has done its last frame and may be closed.

        Raises:
            InputError: there are no slots.
            SessionFailed: the old model is still at work after `timeout_s`; the new one has taken over all the same.
        """
        successor = self._buffer(slots)
        with self._lock:
            if self._ended:
                successor.close()
            # The successor is in place before the old one closes: both threads look for it when theirs is at its end.
            old = self._chain[-1]
            self._chain.append(successor)
            old.close()
        if not old.wait_idle(timeout_s):
            raise SessionFailed(
                f"The model that was replaced is still at work after {timeout_s:g} s.",
                hint="Do not close it yet; restart the agent if it stays so.",
            )

    def close(self) -> None:
        """Prepare nothing any more; what is prepared is still inferred."""
        with self._lock:
            self._ended = True
            self._chain[-1].close()

    def abort(self) -> None:
        """Drop what is prepared, and end."""
        with self._lock:
            self._ended = True
            chain = tuple(self._chain)
        for buffer in chain:
            buffer.abort()

    def _buffer(self, slots: Sequence[Slot]) -> DoubleBuffer[InputCell]:
        if not slots:
            raise InputError(
                "A pipeline needs at least one slot of a model.",
                hint=f"Ask the model for slots({SLOTS_WANTED[self._policy]}).",
            )
        cells = [InputCell(slot) for slot in slots]
        buffer = DoubleBuffer(cells, replace=self._policy == "freshest", on_drop=self._on_drop)
        for cell in cells:
            cell.home = buffer
        return buffer
