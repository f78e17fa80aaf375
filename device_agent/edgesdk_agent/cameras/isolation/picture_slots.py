"""Pictures in memory that the reader's process writes and this one reads: nothing of frame size is copied between them.

Each slot is an anonymous file of the kernel (`memfd`): it has no name that could be left behind, and needs no room in
/dev/shm, whose size containers limit. A slot outlives the reader's process, so that a picture in use stays whole when
the process is killed, and the next one writes into the same slots.
"""

from __future__ import annotations

import mmap
import os
import tempfile

import numpy as np

from edgesdk_targets.tensor import Array

# A pipeline lends a few pictures a camera; whoever keeps more is given copies.
MOST_SLOTS = 64


class PictureSlot:
    """Room for one picture that both processes see; grows with the pictures.

    Attributes:
        fd: the file, for the other process.
        picture: as it was handed out last.
    """

    def __init__(self) -> None:
        self.fd = _anonymous_file()
        self.picture: Array | None = None
        self._bytes: Array = np.empty(0, np.uint8)

    @property
    def size_bytes(self) -> int:
        return self._bytes.nbytes

    def grow(self, size_bytes: int) -> None:
        """Make room for so many bytes; pictures that were handed out before stay as they are."""
        if size_bytes > self.size_bytes:
            os.ftruncate(self.fd, size_bytes)
            self._bytes = np.frombuffer(mmap.mmap(self.fd, size_bytes), np.uint8)

    def hand_out(self, shape: tuple[int, int, int]) -> Array:
        """Return the picture that lies in the slot, (H, W, 3) uint8; the same array as before where its shape is."""
        if self.picture is None or self.picture.shape != shape:
            self.picture = self._bytes[: shape[0] * shape[1] * shape[2]].reshape(shape)
        return self.picture

    def __del__(self) -> None:
        # Mapped pictures keep the memory; the file's number is not needed for that.
        os.close(self.fd)


class SlotView:
    """The reader's side of a slot.

    Args:
        fd: the file that was received; belongs to the view.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._bytes: Array = np.empty(0, np.uint8)

    def room(self, shape: tuple[int, ...]) -> Array | None:
        """Return where a picture of this shape is to be written, or None where the slot is too small."""
        size = int(np.prod(shape))
        if self._bytes.nbytes < size:
            length = os.fstat(self._fd).st_size
            if length < size:
                return None
            self._bytes = np.frombuffer(mmap.mmap(self._fd, length), np.uint8)
        return self._bytes[:size].reshape(shape)


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("edgesdk-camera")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
