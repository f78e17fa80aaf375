"""What has come of a file so far: `NAME.part`, with its chunks in their places, each synced before the next is asked for.

The file is its own journal. After a cut each chunk's bytes are read and hashed: what is good is there, whatever any note would
say, and what a disk lost or altered meanwhile is fetched again. Hashing is a hundred times as fast as any network.
"""

from __future__ import annotations

import os
from pathlib import Path

from edgesdk_targets.bundle.chunk_list import ChunkList
from edgesdk_targets.whole_file import disk_errors, made_parent, sync_folder, write_all

PART = ".part"


class PartFile:
    """A file that comes in chunks, in any order; used by one thread, as a context.

    Args:
        path: where the whole file will lie; the part lies beside it.

    Raises:
        NoSpace, InputError: the disk refuses.
    """

    def __init__(self, path: Path, chunks: ChunkList) -> None:
        self._path, self._chunks = path, chunks
        self._part = path.with_name(path.name + PART)
        self._handle = -1
        self._good: set[int] = set()
        # What was copied of chunks that are not good yet: where each run begins and ends.
        self._copied: list[tuple[int, int]] = []

    def __enter__(self) -> PartFile:  # noqa: PYI034  (typing.Self came with Python 3.11)
        with disk_errors(self._part):
            folder = made_parent(self._part)
            self._handle = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            sync_folder(folder)
            self._good = {number for number in range(len(self._chunks.sha256)) if self._is_there(number)}
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    @property
    def missing(self) -> list[int]:
        """The numbers of the chunks that are not there, rising."""
        return [number for number in range(len(self._chunks.sha256)) if number not in self._good]

    def put(self, number: int, data: bytes) -> bool:
        """Write a chunk, if it is good; tell whether it was. When this returns it is there for good.

        Raises:
            NoSpace, InputError: the disk does not take it.
        """
        if not self._chunks.is_good(number, data):
            return False
        with disk_errors(self._part):
            os.lseek(self._handle, self._chunks.span(number)[0], os.SEEK_SET)
            write_all(self._handle, data)
            os.fsync(self._handle)
        self._good.add(number)
        return True

    def lacks(self, start: int, end: int) -> bool:
        """Say whether a run of bytes lies in a chunk, or several, that are not there."""
        size = self._chunks.chunk_bytes
        return any(number not in self._good for number in range(start // size, -(-end // size)))

    def copy_in(self, start: int, data: bytes) -> None:
        """Write bytes that are not known to be good, where no good chunk lies. Raises NoSpace, InputError."""
        at = start
        while at < start + len(data):
            number = at // self._chunks.chunk_bytes
            begin, length = self._chunks.span(number)
            until = min(begin + length, start + len(data))
            if number not in self._good:
                with disk_errors(self._part):
                    os.lseek(self._handle, at, os.SEEK_SET)
                    write_all(self._handle, data[at - start : until - start])
                self._copied.append((at, until))
            at = until

    def settle(self) -> int:
        """Make what was copied lasting, take the chunks that it completes, and return their bytes. Raises NoSpace, InputError."""
        if not self._copied:
            return 0
        with disk_errors(self._part):
            os.fsync(self._handle)
            found = {number for number in self.missing if self._is_there(number)}
        self._good |= found
        return sum(self._chunks.span(number)[1] for number in found)

    def copied(self, number: int) -> list[tuple[int, bytes]]:
        """Return what was copied of a chunk: where each run begins within it, and its bytes."""
        begin, length = self._chunks.span(number)
        runs = sorted((start, end) for start, end in self._copied if begin <= start < begin + length)
        with disk_errors(self._part):
            return [(start - begin, os.pread(self._handle, end - start, start)) for start, end in runs]

    def finish(self) -> None:
        """Give the file its name, once no chunk is missing.

        Raises:
            NoSpace, InputError: the disk refuses.
        """
        if self.missing:
            raise ValueError("the file is not whole")
        with disk_errors(self._path):
            # An earlier release's part may have been longer.
            os.ftruncate(self._handle, self._chunks.size)
            os.fsync(self._handle)
            os.replace(self._part, self._path)  # noqa: PTH105
            sync_folder(self._path.parent)

    def _is_there(self, number: int) -> bool:
        start, length = self._chunks.span(number)
        return self._chunks.is_good(number, os.pread(self._handle, length, start))
