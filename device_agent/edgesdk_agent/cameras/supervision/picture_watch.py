"""Judge a live camera by the pictures that it brings: at its rate or well under it, moving or frozen."""

from __future__ import annotations

from edgesdk_agent.cameras.camera import CameraCounts, CameraInfo
from edgesdk_agent.cameras.supervision.frozen_picture import FrozenPicture
from edgesdk_agent.cameras.supervision.health import ONLINE, CameraHealth
from edgesdk_agent.cameras.supervision.limits import SupervisionLimits
from edgesdk_agent.cameras.supervision.rate_watch import RateWatch
from edgesdk_agent.cameras.supervision.still_scene import StillScene
from edgesdk_targets.tensor import Array


class PictureWatch:
    """Watch the pictures of one camera.

    Args:
        limits: what it is held to.
        expected_fps: frames a second that are to come; measured unless given.
        wanted_fps: no more of them are handed on.
        counts: are told of frozen pictures and new rates.
    """

    def __init__(
        self,
        limits: SupervisionLimits,
        expected_fps: float | None,
        wanted_fps: float | None,
        counts: CameraCounts,
    ) -> None:
        self._limits = limits
        self._wanted_fps = wanted_fps
        self._counts = counts
        expected = _slower(expected_fps, wanted_fps) if expected_fps else None
        self._rate = RateWatch(expected, limits.slow_below, limits.rate_window_s)
        self._frozen = FrozenPicture()
        self._still = StillScene()

    def known_fps(self, told: float | None) -> float | None:
        """Return the rate that the camera has shown, or else what it tells of itself; never more than is wanted."""
        return _slower(told if self._rate.expected is None else self._rate.expected, self._wanted_fps)

    def begin_again(self) -> None:
        """Note that the camera was opened again: its rate is measured from there."""
        self._rate.begin()

    def see(self, picture: Array, began: float, at: float, info: CameraInfo) -> CameraHealth:
        """Return how the camera does by this picture.

        Args:
            picture: (H, W, 3) uint8.
            began: when the reader began to wait for it; at: when it came, monotonic seconds.
            info: what the camera tells of itself.
        """
        self._rate.picture(at, at - began)
        self._counts.rate_changes = self._rate.changes
        if self._frozen.see(picture, at, frozen_s := self._limits.frozen_s(self.known_fps(info.fps))):
            if self._still.is_new:
                self._counts.frozen += 1
            shown = f"{info.description} has shown one and the same picture for {frozen_s:.3g} s."
            return CameraHealth("degraded", "frozen", shown)
        self._still.moves(at)
        if self._rate.slow:
            expected = self._rate.expected or 0.0
            return CameraHealth("degraded", "slow", f"{info.description} sends well under {expected:.3g} fps.")
        return ONLINE

    def is_to_be_opened_again(self, at: float, told_fps: float | None) -> bool:
        """Say whether a frozen camera is to be opened again now; seldom one whose scene stays the same after that."""
        return self._still.try_again(at, self._limits.frozen_s(self.known_fps(told_fps)))


def _slower(one: float | None, other: float | None) -> float | None:
    return min((fps for fps in (one, other) if fps), default=None)
