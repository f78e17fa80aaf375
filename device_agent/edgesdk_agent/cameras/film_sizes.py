"""What size each picture of a film is, by the packets of its file.

Only key frames bring another size. Their packets are looked into by FFmpeg itself, as films of one picture, so that
whatever codec names its size in the stream is understood.
"""

from __future__ import annotations

import os
from pathlib import Path

from edgesdk_targets.preprocess.opencv import cv2


class FilmSizes:
    """Read a film's packets, without decoding them, as far as they are asked about.

    Attributes:
        key_frames: how many came so far.
    """

    def __init__(self, path: Path) -> None:
        # -1 is OpenCV's word for packets as they are.
        self._packets = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
        self._read = self.key_frames = 0
        self._size: tuple[int, int] | None = None

    def of(self, number: int) -> tuple[int, int] | None:
        """Return width and height of a picture, pixels; None where the codec does not say so in the stream.

        Args:
            number: of the picture, from 0; never less than before.
        """
        while self._read <= number and self._packets.grab():
            self._read += 1
            if self._packets.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME):
                self.key_frames += 1
                self._size = self._size_of_packet() or self._size
        return self._size

    def close(self) -> None:
        self._packets.release()

    def _size_of_packet(self) -> tuple[int, int] | None:
        read, packet = self._packets.retrieve()
        if not read:
            return None
        # A file in memory: OpenCV reads Python's own streams too, and crashes where one is collected too early.
        with os.fdopen(os.memfd_create("packet"), "wb") as file:
            file.write(packet)
            file.flush()
            alone = cv2.VideoCapture(f"/proc/self/fd/{file.fileno()}", cv2.CAP_FFMPEG)
            width, height = (int(alone.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
            alone.release()
        return (width, height) if width > 0 and height > 0 else None
