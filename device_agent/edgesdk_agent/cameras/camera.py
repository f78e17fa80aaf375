"""What every camera keeps: describe itself, fill a picture on demand, close."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, Protocol

from edgesdk_agent.cameras.supervision.health import ONLINE, CameraHealth
from edgesdk_targets.errors import CameraLost, DeviceError
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


class SizeChanged(CameraLost):
    """The pictures are of another size from here on; opened again, the camera delivers them."""

    code = "size_changed"


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """What a camera delivers.

    Attributes:
        width, height: of each picture, pixels; a folder's may differ from picture to picture.
        fps: pictures a second, or None where that is not known.
        live: pictures come whether they are read or not; a late reader gets a later one.
        description: for people; never holds a password.
        decoder: what decodes its pictures, and with which element; empty where nothing is decoded.
    """

    width: int
    height: int
    fps: float | None
    live: bool
    description: str
    decoder: str = ""


@dataclass(slots=True)
class CameraCounts:
    """What a camera did so far; it is kept when the camera is opened again.

    One thread writes it, so that others read numbers that are at most one frame old.

    Attributes:
        skipped: frames that came and were not wanted (`detect_fps`): never captured, so never dropped.
        stalls: how often no picture came in time, or the stream broke off.
        reconnects: how often the camera was lost, or frozen, and came back.
        frozen: how often it showed one and the same picture for too long.
        corrupt: pictures that the decoder could not decode, or said were damaged.
        missing: pictures that a film should have had and did not, where they are more than a tenth: it is cut off.
        resized: how often the pictures' size changed.
        size_alarms: how often it seemed to have, by what conversions cost, and had not, or nobody could tell.
        rate_changes: how often the camera took up another rate, which is expected of it since.
        decode_cpu_s: processor time of taking and decoding its pictures; None where other processes or a driver do it.
    """

    skipped: int = 0
    stalls: int = 0
    reconnects: int = 0
    frozen: int = 0
    corrupt: int = 0
    missing: int = 0
    resized: int = 0
    size_alarms: int = 0
    rate_changes: int = 0
    decode_cpu_s: float | None = None

    def numbers(self) -> dict[str, int]:
        """Return what is counted in whole numbers, for whoever exports it."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, int)}


def counts_of(camera: Camera) -> CameraCounts:
    """Return what a camera counted; nothing for one that counts nothing, such as an application's own."""
    counts = getattr(camera, "counts", None)
    return counts if isinstance(counts, CameraCounts) else CameraCounts()


def health_of(camera: Camera) -> CameraHealth:
    """Return how a camera does; one that nothing supervises is online until it ends."""
    health = getattr(camera, "health", None)
    return health if isinstance(health, CameraHealth) else ONLINE


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
