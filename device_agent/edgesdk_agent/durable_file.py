"""Small files that survive a cut of the power: whole, and the new one from the moment that `replace_file` returns.

Four steps, each needed: write a file beside it, sync its bytes, rename it over the old one, sync the folder. Without
the first sync a file system may keep the name and lose the bytes; without the second it may lose the name.
"""

from __future__ import annotations

import os
from pathlib import Path

from edgesdk_targets.whole_file import disk_errors

_SUFFIX = ".new"


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that after a crash at any moment either the old or the new content is there, whole.

    One writer at a time; what an earlier crash left half written is overwritten.

    Raises:
        NoSpace: the disk is full; the old content stays.
        InputError: the place cannot be written.
    """
    beside = path.with_name(path.name + _SUFFIX)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write_all(handle, content)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(beside, path)  # noqa: PTH105  (all of them calls of `os`, as the test of power cuts records these)
        _sync_folder(path.parent)


def _write_all(handle: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
