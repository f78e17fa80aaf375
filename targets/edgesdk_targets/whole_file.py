"""Files that are written whole or not at all, also when the power is cut, and what the operating system says when it refuses.

Four steps, each needed: write a file beside it, sync its bytes, rename it over the old one, sync the folder. Without
the first sync a file system may keep the name and lose the bytes; without the second it may lose the name.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesdk_targets.errors import InputError, NoSpace

# For whom a file is: anybody on the machine, or its owner alone.
EVERYBODY, OWNER_ONLY = 0o644, 0o600


def write_whole(path: Path, content: bytes, mode: int = EVERYBODY) -> None:
    """Write a file: when this returns the new content is there for good, and before that the old or the new one, whole.

    Args:
        mode: who may read it.

    Raises:
        NoSpace: the disk is full; what was there stays.
        InputError: the place cannot be written.
    """
    with replacing(path, mode) as handle:
        write_all(handle, content)


@contextmanager
def replacing(path: Path, mode: int = EVERYBODY) -> Iterator[int]:
    """Yield a handle to write a file piece by piece, which takes its place at the end of the block, as `write_whole` says.

    Raises:
        NoSpace: the disk is full; what was there stays, as after any error in the block.
        InputError: the place cannot be written.
    """
    with disk_errors(path):
        folder = made_parent(path)
        handle, name = tempfile.mkstemp(prefix=".writing-", dir=folder)
        try:
            try:
                yield handle
                os.fchmod(handle, mode)
                os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(name, path)  # noqa: PTH105  (all of them calls of `os`, as the test of power cuts records these)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(folder)


def write_all(handle: int, content: bytes | memoryview) -> None:
    """Write all of some bytes: the system may take them in parts."""
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]


def sync_folder(folder: Path) -> None:
    """Make for good which names are in a folder. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_writable(path: Path, flag: str) -> None:
    """Refuse a file that could not be written, before long work is done for it; nothing is left behind.

    Args:
        flag: how the user names another place, such as `--report`.

    Raises:
        InputError: it is a folder, or the nearest folder above it that exists is none, or must not be written.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder.", hint=f"Name a file in it by {flag}.")
    place = path.absolute().parent
    while not place.exists():
        place = place.parent
    try:
        # Only trying tells: rights say nothing of root, of a read-only file system, or of /proc.
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        message = f"{path} cannot be written: {place} does not let you."
        raise InputError(message, hint=f"Choose another {flag}.") from error


def made_parent(path: Path) -> Path:
    """Return the folder that a path lies in, made where it is absent."""
    parent = path.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    return parent


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Translate the operating system's refusal to write `path`.

    Raises:
        NoSpace: the disk is full.
        InputError: anything else.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoSpace(f"The disk is full; {path} was not written.", hint="Free some space.") from error
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}.", hint="Check the folder and its rights."
        ) from error


def free_bytes_checked(path: Path, needed: int, spare: int = 16 << 20) -> None:
    """Refuse to begin what the disk cannot take.

    Args:
        needed: bytes that will be written at `path`; spare: what is to be left for everybody else.

    Raises:
        NoSpace: there is less.
    """
    free = shutil.disk_usage(made_parent(path)).free
    if free < needed + spare:
        raise NoSpace(
            f"{needed + spare} bytes are needed for {path}, and {free} are free.", hint="Free some space, or send less."
        )
