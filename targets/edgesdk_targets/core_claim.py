"""Which process may pin its threads to this machine's cores.

Rule: a runtime that pins begins at the first core, in every process alike; two that pin share cores while others idle. So
a process pins only while it holds the claim on every core that it may use: an advisory lock (flock) on one empty file a
core, in a folder that all users share. The kernel gives the locks back when the process ends, however it ends. A second
process (or a second model in the same one) finds a core taken and leaves its threads free.

Containers with folders of their own do not see each other: there pinning is switched by hand.
"""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

_SHARED = Path("/run/lock")


class CoreClaim:
    """The hold on some cores; None of them is held after `release`.

    Attributes:
        cores: what is held.
    """

    def __init__(self, cores: tuple[int, ...], files: tuple[int, ...]) -> None:
        self.cores = cores
        self._files = files

    def release(self) -> None:
        """Give the cores back; again does nothing."""
        files, self._files = self._files, ()
        self.cores = ()
        _close(files)

    def __enter__(self) -> CoreClaim:  # noqa: PYI034  (typing.Self came with Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def claim_cores(cores: Iterable[int] | None = None, *, folder: Path | None = None) -> CoreClaim | None:
    """Claim cores for pinning, all or none; None where one of them is taken, or the locks cannot be made.

    Args:
        cores: those that this process may use, unless given.
        folder: of the locks; one of this machine that all users share, unless given.
    """
    wanted = tuple(sorted(os.sched_getaffinity(0) if cores is None else cores))
    place = folder or _shared_folder()
    held: list[int] = []
    for core in wanted:
        try:
            held.append(_locked(place / f"edgesdk-core-{core}.lock"))
        except BlockingIOError:
            log.info("Core %d is pinned by another process: threads are left free", core)
            break
        except OSError as error:
            log.info("No claim on core %d: %s", core, error)
            break
    else:
        return CoreClaim(wanted, tuple(held))
    _close(held)
    return None


def _locked(path: Path) -> int:
    """Open and lock a file; another user's, which cannot be written, is locked as well as one's own."""
    file = _opened(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file


def _opened(path: Path) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    with suppress(FileNotFoundError):
        return os.open(path, flags)
    # In a shared folder the kernel refuses O_CREAT on another user's file, hence the look before.
    return os.open(path, flags | os.O_CREAT, 0o644)


def _shared_folder() -> Path:
    return _SHARED if os.access(_SHARED, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def _close(files: Iterable[int]) -> None:
    for file in files:
        with suppress(OSError):
            os.close(file)
