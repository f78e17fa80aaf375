"""Whether two sets of pictures are apart: what was learnt from must not be judged by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def in_both(one: Iterable[Path], other: Iterable[Path]) -> list[Path]:
    """Return the files of `other` that are also in `one`, in order of their names: the same file, or a copy byte for byte.

    A picture that was written anew (another size, another format) is not found here; `edgesdk data dedup` finds it.

    Raises:
        OSError: a file cannot be read.
    """
    mine, theirs = ({path.resolve() for path in paths} for paths in (one, other))
    by_size: dict[int, list[Path]] = {}
    for path in mine:
        by_size.setdefault(path.stat().st_size, []).append(path)
    # Only files of one size can be copies: most are never read.
    digests: dict[int, set[bytes]] = {}
    found = []
    for path in sorted(theirs):
        size = path.stat().st_size
        if path in mine:
            found.append(path)
        elif size in by_size:
            if size not in digests:
                digests[size] = {_digest(one) for one in by_size[size]}
            if _digest(path) in digests[size]:
                found.append(path)
    return found


def _digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
