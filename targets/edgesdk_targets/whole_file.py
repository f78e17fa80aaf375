"""Files that are written whole or not at all, and what the operating system says when it refuses."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesdk_targets.errors import InputError, NoSpace


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a crash.

    Raises:
        NoSpace: the disk is full.
        InputError: the place cannot be written.
    """
    with disk_errors(path):
        handle, name = tempfile.mkstemp(prefix=".writing-", dir=made_parent(path))
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


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
