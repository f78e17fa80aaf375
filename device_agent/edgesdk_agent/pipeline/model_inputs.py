"""A model's bound inputs, by turns being prepared, ready, and in inference.

Preprocessing writes straight into the memory of a slot, so what is handed over between the threads is the model's
slots. One model follows another by a second set of slots: what is prepared goes to the model it was prepared for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from edgesdk_agent.frame import Frame
from edgesdk_agent.pipeline.policy import UNDER_WAY, lanes_prepare
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Result
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    from edgesdk_agent.pipeline.camera_line import CameraLine, FrameCell


class Slot(Protocol):
    """One preallocated input of a model.

    A slot whose `infer` looks at the picture itself (a detector whose boxes are cut out for a second model) says so by
    an attribute `needs_image = True`: the frame's picture then stays as it is until `infer` has returned. One that knows
    the bundle of its answers says so by an attribute `digest`; and one whose `infer` does all of the work on the thread that calls
    it by `on_caller = True`. One that has `starts_ahead = True` has a method `start` as well, which returns at once: `infer` then
    waits for what was started.
    """

    def prepare(self, image: Array) -> None:
        """Preprocess a picture, (H, W, 3) uint8 BGR, into the model's memory."""
        ...

    def infer(self, camera: str, seq: int) -> Result | None:
        """Run the model on what was prepared; None where no result is due yet, as a clip of frames is not full."""
        ...


class AheadSlot(Slot, Protocol):
    """A slot that `starts_ahead`."""

    def start(self) -> None:
        """Start the model on what was prepared, and return at once.

        Where this raises, `infer` starts it itself, and raises what comes of it.
        """
        ...

    @property
    def ran_s(self) -> float:
        """How long the last inference took from its start, seconds; what it waited in the runtime is in it."""
        ...


class InputCell:
    """One slot, the frame that was prepared into it, and that frame's cell where its picture is kept.

    Attributes:
        picture: what is to be prepared into the slot; None once it is.
        by_lane: whether a lane prepares it, which comes back to infer it.
        ticket: the place of its result in the order of delivery, drawn when a lane takes it.
    """

    __slots__ = (
        "by_lane",
        "digest",
        "frame",
        "home",
        "kept",
        "line",
        "needs_image",
        "picture",
        "prepare_s",
        "slot",
        "ticket",
    )

    def __init__(self, slot: Slot, home: ModelInputs) -> None:
        self.slot = slot
        self.home = home
        self.needs_image = bool(getattr(slot, "needs_image", False))
        self.digest = str(getattr(slot, "digest", ""))
        self.line: CameraLine
        self.picture: FrameCell | None = None
        self.frame: Frame | None = None
        self.kept: FrameCell | None = None
        self.prepare_s = 0.0
        self.by_lane = False
        self.ticket = -1


class ModelInputs:
    """The slots of one model. It locks nothing: the hand-over does, whose part it is.

    Args:
        slots: of the model, in no order.
        lanes: how many of them may be inferred at the same time, or started and not over.
        fresh: how many cameras keep a ready slot that newer frames replace.

    Attributes:
        free: neither being prepared nor ready nor in inference.
        running: in inference.
        queued: of cameras that lose nothing, being prepared or ready.
        ahead: whether inferences are started ahead: a thread has several under way.
        by_lanes: whether lanes prepare them.

    Raises:
        InputError: there are no slots, or no lane.
    """

    def __init__(self, slots: Sequence[Slot], lanes: int, fresh: int) -> None:
        if not slots:
            raise InputError("A pipeline needs at least one slot of a model.", hint="Ask the model for slots(3).")
        if lanes < 1:
            raise InputError(f"A pipeline needs at least one lane, not {lanes}.", hint="Leave `lanes` out.")
        self.lanes = lanes
        on_caller = all(getattr(slot, "on_caller", False) for slot in slots)
        self.ahead = lanes > 1 and not fresh and all(getattr(slot, "starts_ahead", False) for slot in slots)
        self.by_lanes = lanes_prepare(fresh, lanes, on_caller=on_caller, ahead=self.ahead)
        self.size = len(slots)
        # The slot that came back last is taken first: its memory is still in the cache.
        self.free = [InputCell(slot, self) for slot in reversed(slots)]
        self.running = 0
        self.queued = 0
        # Slots that queueing frames leave to the cameras whose frames are replaced.
        self._may_queue = max(1, self.size - lanes - fresh - 1) if fresh else self.size

    @property
    def threads(self) -> int:
        """How many threads keep its lanes busy: one for each lane, or for two where one of them is started ahead."""
        return math.ceil(self.lanes / UNDER_WAY) if self.ahead else self.lanes

    @property
    def idle(self) -> bool:
        """Whether every slot came back."""
        return len(self.free) == self.size

    def has_room(self, line: CameraLine) -> bool:
        """Say whether a frame of this camera may take a free slot now."""
        return bool(self.free) and (line.replaces or self.queued < self._may_queue)
