"""A file system of its own that is really small, and what fills it to the last byte, or to the last name."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesdk_testkit.required import missing

_FILLER = "filler"


@contextmanager
def small_disk(folder: Path, size: str, *, names: int = 0) -> Iterator[Path]:
    """Yield a file system below a folder; mounting takes root.

    Args:
        size: of it, such as `1m`; names: how many files and folders it takes; as many as the system thinks unless given.
    """
    disk = folder / "disk"
    disk.mkdir()
    options = f"size={size}" + (f",nr_inodes={names}" if names else "")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], capture_output=True, check=False)
    if made.returncode != 0:
        missing(f"a small file system cannot be mounted: {made.stderr.decode().strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room at all, and return the file that takes it."""
    file = disk / _FILLER
    with file.open("ab", buffering=0) as filler:
        for size in (1 << 20, 64 << 10, 4 << 10, 1):
            with contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(size))
    status = os.statvfs(disk)
    assert status.f_bavail * status.f_bsize < 4096
    return file


def use_up_names(disk: Path) -> None:
    """Leave room for no file or folder more."""
    folder = disk / f"{_FILLER}s"
    with contextlib.suppress(OSError):
        folder.mkdir()
        for number in range(os.statvfs(disk).f_files):
            (folder / str(number)).touch()
    assert os.statvfs(disk).f_favail == 0
