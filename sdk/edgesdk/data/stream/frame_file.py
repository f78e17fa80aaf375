"""The file of a frame cache: where it may lie, and how large it may become; a full disk or a full memory is never its doing."""

from __future__ import annotations

import errno
import os
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path

import numpy as np

from edgesdk_targets.file_system import is_in_memory
from edgesdk_targets.tensor import Array

# As large as this no prepared set has to be held: the next pass reads the pictures.
MOST_BYTES = 16 << 30
# Where a temporary file may be large, says the Filesystem Hierarchy Standard; /tmp is memory on many systems.
_LARGE = Path("/var/tmp")  # noqa: S108  (the file has no name)


class FrameFile:
    """A file without a name: it goes with this object or the process, whatever ends it, and nobody else can write to it.

    It takes at most as much as it leaves free, whoever else writes there meanwhile.

    Args:
        folder: where it lies, made if it is absent; the system's for temporary files unless given.
        most_bytes: at most so much.
    """

    def __init__(self, folder: Path | None = None, most_bytes: int = MOST_BYTES) -> None:
        self._place, self._most = folder, most_bytes
        self._number: int | None = None
        self._free: weakref.finalize[..., FrameFile] | None = None
        self.bytes = 0

    def take(self, size: int) -> int | None:
        """Return where so many bytes may be written; None where there is no room for them. For one thread at a time."""
        if self.bytes + size > self._most or not self._opened():
            return None
        assert self._number is not None  # noqa: S101  (opened)
        found = os.fstatvfs(self._number)
        if 2 * (self.bytes + size) > found.f_bavail * found.f_frsize + self.bytes:
            self._most = 0
            return None
        offset, self.bytes = self.bytes, self.bytes + size
        return offset

    def write(self, array: Array, offset: int) -> bool:
        """Write an array where `take` said; say whether the disk took it."""
        assert self._number is not None  # noqa: S101  (opened by `take`)
        view, done = np.ascontiguousarray(array).data.cast("B"), 0
        try:
            while done < len(view):
                done += os.pwrite(self._number, view[done:], offset + done)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                raise
            self._most = 0
            return False
        return True

    def read(self, out: Array, offset: int) -> bool:
        """Fill an array from where one of its size was written; say whether all of it was there."""
        if self._number is None:
            return False
        view, done = out.data.cast("B"), 0
        while done < len(view):
            got = os.preadv(self._number, [view[done:]], offset + done)
            if not got:
                return False
            done += got
        return True

    def close(self) -> None:
        """Give the disk back."""
        if self._free is not None:
            self._free()
        self._number, self._most = None, 0

    def _opened(self) -> bool:
        if self._number is not None:
            return True
        place = on_a_disk(self._place)
        if place is not None:
            with suppress(OSError):
                place.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(prefix="edgesdk-frames-", dir=place) as file:
                    self._number = os.dup(file.fileno())
                # Nobody has to close it: a search or a cross-validation opens two for each training.
                self._free = weakref.finalize(self, os.close, self._number)
        if self._number is None:
            self._most = 0
        return self._number is not None


def on_a_disk(folder: Path | None = None) -> Path | None:
    """Return a folder whose files take no memory: the given one, or the system's for temporary files; None where neither is one.

    A folder in memory would make what is put aside there the very thing that it is to spare.
    """
    usual = (Path(tempfile.gettempdir()), _LARGE) if folder is None else (folder,)
    return next((place for place in usual if not is_in_memory(place)), None)
