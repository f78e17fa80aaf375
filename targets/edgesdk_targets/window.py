"""Models that look at a clip: which frames go in together, how often they are asked, and when a clip begins anew.

The last frames of each camera are kept as the model takes them, each preprocessed once. The model is asked when so many are
there, and again after every `stride` frames. A clip begins anew where the card says so: `camera_change` gives every
camera frames of its own (without it all cameras share one clip), `gap` forgets the frames before those that were lost:
a model that learnt motion from every frame would see it run too fast.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from pydantic import ConfigDict, Field

from edgesdk_targets.gap_tally import GapTally
from edgesdk_targets.late_model import LateModel
from edgesdk_targets.state import Reset
from edgesdk_targets.tensor import Array, TensorSpec

log = logging.getLogger(__name__)

# Of a picture's width, from one frame of a made-up clip to the next.
_PAN = 0.025
# So many clips of a camera that were forgotten one after the other before they were full are told.
_BROKEN_TOLD = 3


class WindowSpec(LateModel):
    """How frames become one input.

    Attributes:
        frames: so many in a row, the oldest first.
        stride: the model is asked after every so many frames.
        axis: of the input that counts the frames: 1 of (1, T, C, H, W) and (1, T, H, W, C), 2 of (1, C, T, H, W).
        reset: when the frames so far are forgotten.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: int = Field(ge=2, le=1024)
    stride: int = Field(default=1, ge=1, le=65536)
    axis: int = Field(default=1, ge=1, le=4)
    reset: tuple[Reset, ...] = ("camera_change", "gap")

    def frame_of(self, clip: TensorSpec) -> TensorSpec:
        """Return the input that one frame alone would be: (1, C, H, W) or (1, H, W, C).

        Raises:
            ValueError: the input is no clip of so many frames.
        """
        shape = clip.shape
        if len(shape) != 5 or shape[self.axis] != self.frames:
            raise ValueError(
                f"window: the input {clip.name!r} is {list(shape)}, and not five dimensions with {self.frames} frames "
                f"on axis {self.axis}"
            )
        return clip.model_copy(update={"shape": (*shape[: self.axis], *shape[self.axis + 1 :])})

    def place(self, clip: Array, number: int) -> Array:
        """Return the part of a clip that is its frame `number`, to be written into."""
        part: Array = clip[(slice(None),) * self.axis + (number,)]
        return part

    def clip_of(self, frames: Sequence[Array]) -> Array:
        """Return frames, each shaped as `frame_of` says, as one input."""
        return np.stack(frames, axis=self.axis)


def check_window(window: WindowSpec | None, image: TensorSpec, *, alone: bool, picture: bool) -> None:
    """Check that a window and a model's image input belong together.

    Args:
        alone: the model has no recurrent state.
        picture: the model has a `preprocess`.

    Raises:
        ValueError: they do not.
    """
    if window is None:
        return
    window.frame_of(image)
    if not alone:
        raise ValueError("window: a model has either a window or recurrent state, not both")
    if not picture:
        raise ValueError("window: it needs a `preprocess`, which says how a picture becomes a frame")


def panned_clip(image: Array, frames: int) -> list[Array]:
    """Return a clip made of one picture: as a camera sees it that turns to the right, a little further in each frame.

    What leaves on the left comes in again on the right. So a clip has an order, and a model that is shown it backwards, or with
    its frames mixed up, answers something else.
    """
    step = max(1, round(_PAN * image.shape[1]))
    return [np.roll(image, -step * number, axis=1) for number in range(frames)]


class StreamWindows:
    """The last frames of every camera's stream.

    Memory for a camera is taken at its first frame; afterwards nothing is allocated.

    Args:
        clip: the model's input.
    """

    def __init__(self, spec: WindowSpec, clip: TensorSpec) -> None:
        self._spec = spec
        self._frame = spec.frame_of(clip)
        self._per_camera = "camera_change" in spec.reset
        self._on_gap = "gap" in spec.reset
        self._rings: dict[str, Array] = {}
        self._seen: dict[str, int] = {}
        self._last_seq: dict[str, int] = {}
        # Since the last full clip.
        self._gaps = GapTally(_BROKEN_TOLD)

    def push(self, camera: str, seq: int, frame: Array) -> bool:
        """Take a camera's next frame, and say whether the model is to be asked now."""
        key = self._key(camera)
        ring = self._rings.get(key)
        if ring is None:
            ring = self._rings[key] = np.empty((self._spec.frames, *self._frame.shape), self._frame.numpy_dtype)
        if self._on_gap and camera in self._last_seq and seq != self._last_seq[camera] + 1:
            self._broken_off(camera, key, seq)
        # Each camera numbers its own frames, also where all share one clip.
        self._last_seq[camera] = seq
        seen = self._seen.get(key, 0)
        np.copyto(ring[seen % self._spec.frames], frame)
        seen = self._seen[key] = seen + 1
        if seen == self._spec.frames:
            self._gaps.went_well(camera)
        return seen >= self._spec.frames and (seen - self._spec.frames) % self._spec.stride == 0

    def write(self, camera: str, clip: Array) -> None:
        """Write a camera's last frames into the model's input, the oldest first."""
        key = self._key(camera)
        ring, oldest = self._rings[key], self._seen[key] % self._spec.frames
        for number in range(self._spec.frames):
            np.copyto(self._spec.place(clip, number), ring[(oldest + number) % self._spec.frames])

    def reset(self, camera: str | None = None) -> None:
        """Forget one camera's frames, or all."""
        if camera is None:
            for table in (self._rings, self._seen, self._last_seq):
                table.clear()
        else:
            self._rings.pop(self._key(camera), None)
            self._seen.pop(self._key(camera), None)
            self._last_seq.pop(camera, None)
        self._gaps.forget(camera)

    def _broken_off(self, camera: str, key: str, seq: int) -> None:
        """Begin the clip anew, and tell once where this goes on without one that is ever full."""
        self._gaps.missed(camera, seq - self._last_seq[camera] - 1)
        in_all = self._gaps.began_anew(camera) if self._seen.get(key, 0) < self._spec.frames else None
        if in_all is not None:
            log.warning(
                "%s gives no results: %d frames were missing, and %d clips in a row began anew before they had their "
                "%d frames. Lower the camera's `fps` to what the model keeps up with, let it run in the mode "
                "`every_frame`, or take `gap` out of `reset` in the model's card.",
                camera,
                in_all,
                _BROKEN_TOLD,
                self._spec.frames,
            )
        self._seen[key] = 0

    def _key(self, camera: str) -> str:
        return camera if self._per_camera else ""
