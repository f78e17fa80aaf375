"""What every camera keeps: describe itself, fill a picture on demand, close."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from edgesdk_targets.errors import DeviceError
from edgesdk_targets.tensor import Array


class FrameLost(DeviceError):
    """This one picture is lost, and the camera goes on.

    It is counted as a frame without a result, so that its number is missing from the results: a streaming model then
    starts its state again, and the accounts agree.

    Attributes:
        cause: `unreadable`, or `camera_lost` where the camera had to be opened again.
    """

    code = "frame_lost"

    def __init__(self, message: str, *, cause: Literal["unreadable", "camera_lost"]) -> None:
        super().__init__(message)
        self.cause: Literal["unreadable", "camera_lost"] = cause


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """What a camera delivers.

    Attributes:
        width, height: of each picture, pixels; a folder's may differ from picture to picture.
        fps: pictures a second, or None where that is not known.
        live: pictures come whether they are read or not; a late reader gets a later one.
        description: for people; never holds a password.
    """

    width: int
    height: int
    fps: float | None
    live: bool
    description: str


class Camera(Protocol):
    """A source of pictures, read by one thread."""

    @property
    def info(self) -> CameraInfo:
        """What this camera delivers."""
        ...

    def read(self, out: Array | None) -> Array | None:
        """Return the next picture, (H, W, 3) uint8 BGR, or None at the end of the source or when closed.

        Args:
            out: is written and returned when its shape fits; otherwise a new array is returned.

        Raises:
            CameraLost: the camera stopped delivering.
            FrameLost: this picture is lost; the next call goes on with the one after it.
        """
        ...

    def close(self) -> None:
        """Release the device and wake a waiting reader; may be called twice and from another thread."""
        ...
