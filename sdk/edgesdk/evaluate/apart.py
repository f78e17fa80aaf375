"""Whether two sets of pictures are apart: what was learnt from must not be judged by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def in_both(one: Iterable[Path], other: Iterable[Path]) -> list[Path]:
    """Return the files of `other` that are also in `one`, as `found_again` finds them, in order of their names."""
    return sorted(found_again(one, other))


def found_again(used: Iterable[Path], judged: Iterable[Path]) -> dict[Path, Path]:
    """Return which files of `judged` are also in `used`, and as which: the same file, or a copy byte for byte.

    A picture that was written anew (another size, another format) is not found here; `edgesdk data dedup` finds it. One that is
    missing is told by whoever reads it.

    Raises:
        OSError: a file cannot be read.
    """
    known = {path.resolve(): path for path in used}
    by_size: dict[int, list[Path]] = {}
    for path in known.values():
        if path.is_file():
            by_size.setdefault(path.stat().st_size, []).append(path)
    # Only files of one size can be copies: most are never read.
    digests: dict[int, dict[bytes, Path]] = {}
    found = {}
    for path in judged:
        if path.resolve() in known:
            found[path] = path
        elif path.is_file() and (size := path.stat().st_size) in by_size:
            if size not in digests:
                digests[size] = {_digest(one): one for one in by_size[size]}
            if (copied := digests[size].get(_digest(path))) is not None:
                found[path] = copied
    return found


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
