"""Room for one picture that outlives the pipeline's own: in this process, or shared with a child.

Shared memory is an anonymous file of the kernel (`memfd`), handed to the child when it is started: it has no name that
could be left behind, and is gone with the last process that holds it, also after SIGKILL. Python's own
`multiprocessing.shared_memory` has names and, before 3.13, a tracker that removes them while others still use them.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile

import numpy as np

from edgesdk_targets.tensor import Array


class OwnPicture:
    """Room in this process; grows with the pictures, and is used again."""

    def __init__(self) -> None:
        self._bytes: Array = np.empty(0, np.uint8)

    def hold(self, image: Array) -> Array:
        """Copy a picture in, and return the copy."""
        if self._bytes.size < image.nbytes:
            self._bytes = np.empty(image.nbytes, np.uint8)
        copy = self._bytes[: image.nbytes].view(image.dtype).reshape(image.shape)
        np.copyto(copy, image)
        return copy

    def close(self) -> None:
        """Let go of the memory."""
        self._bytes = np.empty(0, np.uint8)


class SharedPicture:
    """Room that a child process sees too, from `open` to `close`; grows with the pictures.

    Attributes:
        fd: the file to hand to the child, which maps it with `SharedView`; -1 while it is not open.
    """

    def __init__(self) -> None:
        self.fd = -1
        self._size = 0
        self._bytes: Array = np.empty(0, np.uint8)

    def open(self) -> int:
        """Make the file, unless it is open, and return it."""
        if self.fd < 0:
            self.fd = _anonymous_file()
        return self.fd

    def hold(self, image: Array) -> Array:
        """Copy a picture in, and return it as it lies there."""
        if self._size < image.nbytes:
            # The child may have made it larger, and no one can make it smaller.
            if os.fstat(self.fd).st_size < image.nbytes:
                os.ftruncate(self.fd, image.nbytes)
            self._map(image.nbytes)
        shared = self._bytes[: image.nbytes].view(image.dtype).reshape(image.shape)
        np.copyto(shared, image)
        return shared

    def seen(self, shape: tuple[int, ...], dtype: str) -> Array:
        """Return the picture that the child left there.

        Raises:
            ValueError: there is no room for such a picture.
        """
        size = _size_of(shape, dtype)
        if self._size < size:
            if os.fstat(self.fd).st_size < size:
                raise ValueError(f"There is no picture {list(shape)} {dtype} in the shared memory.")
            self._map(size)
        return self._bytes[:size].view(dtype).reshape(shape)

    def close(self) -> None:
        """Let go of the memory; may be called twice."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd, self._size, self._bytes = -1, 0, np.empty(0, np.uint8)

    def _map(self, size: int) -> None:
        self._bytes = np.frombuffer(mmap.mmap(self.fd, size), np.uint8)
        self._size = size


class SharedView:
    """The child's side of a `SharedPicture`: nothing is copied.

    Args:
        fd: the file.
        writable: the picture may be written there, or replaced by `put`.
    """

    def __init__(self, fd: int, *, writable: bool = False) -> None:
        self._fd = fd
        self._protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        self._bytes: Array = np.empty(0, np.uint8)

    def picture(self, shape: tuple[int, ...], dtype: str) -> Array:
        """Return the picture that lies there now, valid until the hook returns."""
        return self._at_least(_size_of(shape, dtype)).view(dtype).reshape(shape)

    def put(self, image: Array, given: Array | None) -> None:
        """Let a picture lie there from now on, instead of the one that was given; that one itself lies there already."""
        if given is not None and _same_place(image, given):
            return
        if given is not None and np.may_share_memory(image, given):
            image = image.copy()
        if os.fstat(self._fd).st_size < image.nbytes:
            os.ftruncate(self._fd, image.nbytes)
        np.copyto(self._at_least(image.nbytes).view(image.dtype).reshape(image.shape), image)

    def _at_least(self, size: int) -> Array:
        if self._bytes.size < size:
            self._bytes = np.frombuffer(mmap.mmap(self._fd, size, prot=self._protection), np.uint8)
        return self._bytes[:size]


def _same_place(one: Array, other: Array) -> bool:
    facts = ("data", "shape", "strides", "typestr")
    return all(one.__array_interface__[fact] == other.__array_interface__[fact] for fact in facts)


def _size_of(shape: tuple[int, ...], dtype: str) -> int:
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("edgesdk-picture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        # Whoever made it smaller would end the other process, by SIGBUS, as soon as that one touches what it has mapped. Growing
        # stays allowed to both, as pictures may; the last seal keeps it so.
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        return fd
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
