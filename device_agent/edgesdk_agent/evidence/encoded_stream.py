"""A camera's video as it was encoded, packet by packet, by a connection of its own: nothing is decoded.

OpenCV's FFmpeg hands out packets as they come (`CAP_PROP_FORMAT` -1), H.264 and H.265 in the form with start codes
(Annex B). Which packet is a key frame is read from the packets themselves, as containers and drivers differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.secret_url import SecretUrl

Codec = Literal["h264", "h265"]
_FOURCC: dict[str, Codec] = {
    "h264": "h264", "avc1": "h264", "x264": "h264", "hevc": "h265", "hev1": "h265", "hvc1": "h265", "h265": "h265",
}  # fmt: skip
_START = b"\x00\x00\x01"
# Unit types: a picture that needs no other, and what a decoder has to know before it.
_KEY: dict[Codec, frozenset[int]] = {"h264": frozenset({5}), "h265": frozenset(range(16, 22))}
_SETS: dict[Codec, frozenset[int]] = {"h264": frozenset({7, 8}), "h265": frozenset({32, 33, 34})}
# A stop of the agent waits for a read that hangs, so that this bounds it; see `ClipCamera.close`.
READ_TIMEOUT_S = 4.0
# Units that matter stand at the front of a packet; the picture itself is not searched.
_LOOKED_AT = 4096


@dataclass(frozen=True, slots=True)
class Packet:
    """One encoded picture.

    Attributes:
        data: with start codes; at: when it came, seconds of the monotonic clock.
        key: whether decoding can begin with it.
        has_sets: whether it brings the parameter sets that a decoder needs.
    """

    data: bytes
    at: float
    key: bool
    has_sets: bool


class PacketSource(Protocol):
    """Where packets come from."""

    codec: Codec
    parameter_sets: bytes

    def read(self) -> Packet | None:
        """Wait for the next packet; None at the end. Raises CameraLost."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


def unit_types(data: bytes, codec: Codec) -> set[int]:
    """Return the types of the units at the front of a packet."""
    found, at = set(), data.find(_START, 0, _LOOKED_AT)
    while at >= 0 and at + 3 < len(data):
        first = data[at + 3]
        found.add(first & 31 if codec == "h264" else first >> 1 & 63)
        at = data.find(_START, at + 3, _LOOKED_AT)
    return found


class OpenCvPackets:
    """Packets of a network stream or a film.

    Args:
        url: where; it may hold a password, which is never told.
        timeout_s: to connect, and for each packet.
        clock: monotonic seconds.

    Raises:
        CameraLost: nothing answers.
        InputError: it is encoded as something else than H.264 or H.265.
    """

    def __init__(
        self, url: SecretUrl, *, timeout_s: float = READ_TIMEOUT_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._url = url
        wait_ms = int(timeout_s * 1e3)
        self._capture = cv2.VideoCapture(
            url.reveal(),
            cv2.CAP_FFMPEG,
            [cv2.CAP_PROP_FORMAT, -1, cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, wait_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, wait_ms],
        )
        if not self._capture.isOpened():
            raise CameraLost(
                f"{url} gives no video for clips.", hint="Check clips.sources, and what the camera allows."
            )
        name = int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("latin-1").lower()
        codec = _FOURCC.get(name)
        if codec is None:
            self.close()
            raise InputError(
                f"{url} is encoded as {name!r}; clips are made of H.264 and H.265.", hint="Set the camera so."
            )
        self.codec: Codec = codec
        self.parameter_sets = self._sets()

    def read(self) -> Packet | None:
        """Wait for the next packet.

        Raises:
            CameraLost: the stream stopped.
        """
        read, data = self._capture.read()
        if not read or data is None or not data.size:
            raise CameraLost(f"{self._url} stopped.", hint="Check the camera's power and cable.")
        packet = data.tobytes()
        types = unit_types(packet, self.codec)
        return Packet(packet, self._clock(), bool(types & _KEY[self.codec]), bool(types & _SETS[self.codec]))

    def close(self) -> None:
        """Let go of the connection."""
        self._capture.release()

    def _sets(self) -> bytes:
        """Return what a decoder has to know first, where the connection said it before the first packet."""
        index = int(self._capture.get(cv2.CAP_PROP_CODEC_EXTRADATA_INDEX))
        read, data = self._capture.retrieve(None, index)
        sets: bytes = data.tobytes() if read and data is not None else b""
        # A film's own form has lengths and no start codes; its packets bring the sets themselves.
        return sets if sets.startswith((_START, b"\x00" + _START)) else b""
