"""Files that open with the sha256 of what follows, so that one that a power cut or a worn card damaged counts as absent."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from edgesdk_targets.whole_file import write_whole

log = logging.getLogger(__name__)

_DIGEST_BYTES = 32


def write_sealed(path: Path, content: bytes) -> None:
    """Write a file that `read_sealed` takes.

    Raises:
        NoSpace: the disk is full; what was there stays.
        InputError: the place cannot be written.
    """
    write_whole(path, hashlib.sha256(content).digest() + content)


def read_sealed(path: Path) -> bytes | None:
    """Return what follows a file's digest; None where there is no such file, or a damaged one, which then goes."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    content = data[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() == data[:_DIGEST_BYTES]:
        return content
    log.warning("%s is damaged, and is made again", path.name)
    path.unlink(missing_ok=True)
    return None
